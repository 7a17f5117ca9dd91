import { describe, expect, test } from 'vitest';
import { openConnection } from '../../../src/core/client-connection.ts';
import { ConnectionLost } from '../../../src/core/connection-lost.ts';
import { connectionLimits, resolveLimits } from '../../../src/core/limits.ts';
import {
  type ClientSession,
  type ClientSessionHandler,
  type ClientSessionOptions,
  type Done,
  openClientSession,
} from '../../../src/stomp/client/client-session.ts';
import { stompClientFaults } from '../../../src/stomp/client/close-codes.ts';
import { StompError } from '../../../src/stomp/client/errors.ts';
import { resolveOptions } from '../../../src/stomp/client/options.ts';
import { createFakeClock } from '../../support/fake-clock.ts';
import { FakeSocket } from '../../support/fake-socket.ts';

interface Setup extends Partial<ClientSessionOptions> {
  /** Sent by the server at once; undefined: nothing. */
  readonly answer?: string | undefined;
  /** Does the server take part in a close handshake? */
  readonly alive?: boolean | undefined;
}

function open({ answer, alive = true, ...more }: Setup = {}) {
  const clock = createFakeClock();
  const socket = new FakeSocket({ batches: false, answersClose: alive });
  const heard: unknown[] = [];
  const bugs: unknown[] = [];
  const host: ClientSessionHandler = {
    connected: (headers) => heard.push(['connected', headers.get('version')]),
    message: ({ body }) => heard.push(['message', new TextDecoder().decode(body)]),
    error: (error) => heard.push(['error', error, session.connected]),
    drained: () => heard.push('drained'),
    measured: (latency) => heard.push(['measured', latency]),
  };
  const given = resolveOptions({ brokerURL: 'ws://a', heartbeatOutgoing: 0, heartbeatIncoming: 0, ...more });
  const options = { ...given, connectionTimeout: 5_000 };
  const connection = openConnection(socket, {
    clock,
    limits: resolveLimits(connectionLimits),
    faults: stompClientFaults,
    report: (bug) => bugs.push(bug),
    ended() {},
  });
  let session!: ClientSession;
  connection.start((opened) => {
    session = openClientSession(opened, options, host);
    return session;
  });
  socket.receiver = connection;
  if (answer !== undefined) {
    session.start('a');
    socket.take();
    connection.received(answer);
  }
  return { clock, socket, connection, session, heard, bugs };
}

const connected = (lines = 'version:1.2\n'): string => `CONNECTED\n${lines}\n\0`;

function recorder(): Done & { readonly heard: unknown[] } {
  const heard: unknown[] = [];
  return Object.assign((error?: unknown) => void heard.push(error ?? 'done'), { heard });
}

describe('connecting', () => {
  test('[STOMP-24] CONNECT carries accept-version, host and heart-beat', () => {
    const { session, socket } = open({ heartbeatOutgoing: 1_000, heartbeatIncoming: 2_000 });
    session.start('broker.example', { login: 'me', passcode: ' \\t:' });
    expect(socket.sent).toEqual([
      'CONNECT\naccept-version:1.2,1.1,1.0\nhost:broker.example\nheart-beat:1000,2000\nlogin:me\npasscode: \\t:\n\n\0',
    ]);
  });

  test('[STOMP-24] headers of the application win', () => {
    const { session, socket } = open({ versions: ['1.1'] });
    session.start('a', [['host', '/']]);
    expect(socket.sent[0]).toBe('CONNECT\naccept-version:1.1\nhost:/\nheart-beat:0,0\n\n\0');
  });

  test('[STOMP-20] a CONNECT header that cannot be carried throws, and nothing is sent', () => {
    const { session, socket } = open();
    expect(() => session.start('a', { login: 'a\nb' })).toThrow(TypeError);
    expect(socket.sent).toEqual([]);
  });

  test('[STOMP-28] CONNECTED names the version; without one it is 1.0', () => {
    for (const [lines, version] of [
      ['version:1.1\n', '1.1'],
      ['session:7\n', '1.0'],
    ] as const) {
      const { session, heard } = open({ answer: connected(lines) });
      expect(session.version).toBe(version);
      expect(session.connected).toBe(true);
      expect(heard).toHaveLength(1);
    }
  });

  test('[STOMP-32] a version that was not offered is refused', () => {
    for (const lines of ['version:1.2\n', 'version:2.0\n', 'session:7\n']) {
      const { socket, session, heard } = open({ versions: ['1.1'], answer: connected(lines) });
      expect(socket.closing).toMatchObject({ code: 1002, reason: expect.stringContaining('not offered') });
      expect(session.connected).toBe(false);
      expect(heard).toEqual([]);
    }
  });

  test('[STOMP-31] nothing but CONNECTED and ERROR answers CONNECT, and only once', () => {
    for (const answer of [
      'RECEIPT\nreceipt-id:1\n\n\0',
      'MESSAGE\n\n\0',
      'HELLO\n\n\0',
      `${connected()}${connected()}`,
    ]) {
      expect(open({ answer }).socket.closing?.code, answer).toBe(1002);
    }
  });

  test('a connection without CONNECTED is given up, also while its headers are awaited', () => {
    for (const answer of [undefined, '\n']) {
      const { clock, socket } = open({ answer });
      clock.advance(4_990);
      expect(socket.closing).toBeUndefined();
      clock.advance(20);
      expect(socket.closing?.code).toBe(4408);
    }
  });

  test('[STOMP-30] [STOMP-63] an ERROR in answer to CONNECT is told as such, and the connection closed', () => {
    const { socket, heard } = open({ answer: 'ERROR\nmessage:Bad CONNECT\n\nAccess refused\0MESSAGE\n\n\0' });
    expect(heard).toEqual([['error', expect.any(StompError), false]]);
    expect((heard[0] as [string, StompError])[1]).toMatchObject({ message: 'Bad CONNECT', body: 'Access refused' });
    expect(socket.closing?.code).toBe(1000);
  });
});

describe('frames', () => {
  test('[STOMP-14] frames come in any number of messages', () => {
    const { connection, heard } = open({ answer: connected() });
    connection.received('MESSAGE\n\none\0\nMESSAGE\n\ntw');
    connection.received(Buffer.from('o\0'));
    expect(heard.slice(1)).toEqual([
      ['message', 'one'],
      ['message', 'two'],
    ]);
  });

  test('[STOMP-17] a bad frame closes the connection, and nothing after it is taken', () => {
    const { connection, socket, heard } = open({ answer: connected() });
    connection.received('MESSAGE\na:\\t\n\n\0MESSAGE\n\nno\0');
    expect(socket.closing?.code).toBe(1002);
    expect(heard).toHaveLength(1);
  });

  test('[STOMP-16] frames are sent and read in the version that was agreed', () => {
    for (const [version, header] of [
      ['1.0', 'a:b\\c'],
      ['1.1', 'a:b\\\\c'],
      ['1.2', 'a:b\\\\c'],
    ] as const) {
      const { session, socket } = open({ answer: connected(`version:${version}\n`) });
      session.send('SEND', { a: 'b\\c' }, 'x');
      expect(socket.take()).toEqual([`SEND\n${header}\ncontent-length:1\n\nx\0`]);
    }
  });

  test('[STOMP-12] text without a NUL goes without its length where that is wanted', () => {
    const { session, socket } = open({ answer: connected(), contentLength: false });
    for (const body of ['text', 'a\0b', Uint8Array.of(1)]) session.send('SEND', {}, body);
    session.send('ACK', { id: '1' });
    expect(socket.take().map((message) => Buffer.from(message).toString())).toEqual([
      'SEND\n\ntext\0',
      'SEND\ncontent-length:3\n\na\0b\0',
      'SEND\ncontent-length:1\n\n\x01\0',
      'ACK\nid:1\n\n\0',
    ]);
  });

  test('[CONN-40] a body over maxPayload is not waited for', () => {
    const { connection, socket } = open();
    connection.received('MESSAGE\nsubscription:0\ncontent-length:4194305\n\n');
    expect(socket.closing).toEqual({ code: 1009, reason: 'a body of more than 4194304 bytes' });
  });

  test('[STOMP-14] a large frame is split between characters, or octets if it is bytes', () => {
    const { session, socket } = open({ answer: connected(), maxFrameBytes: 33 });
    const body = '\u{1f600}'.repeat(100);
    session.send('SEND', {}, body);
    const pieces = socket.take();
    expect(pieces.every((piece) => Buffer.byteLength(piece) <= 33)).toBe(true);
    expect(pieces.join('')).toBe(`SEND\ncontent-length:400\n\n${body}\0`);
    session.send('SEND', {}, 'short');
    expect(socket.take()).toEqual(['SEND\ncontent-length:5\n\nshort\0']);
    session.send('SEND', {}, Uint8Array.from(Array(40).fill(7)));
    expect(Buffer.concat(socket.take() as Uint8Array[]).toString()).toContain('content-length:40\n\n');
  });

  test('[STOMP-63] after an ERROR the connection is closed, whatever the server does, and nothing more is sent', () => {
    const { connection, session, socket, heard } = open({ answer: connected() });
    connection.received('ERROR\nmessage:no\n\n\0MESSAGE\n\nlate\0');
    expect(heard.slice(1)).toEqual([['error', expect.objectContaining({ message: 'no' }), true]]);
    expect(socket.closing?.code).toBe(1000);
    expect(session.connected).toBe(false);
  });

  test('the transport takes more: the client is told', () => {
    const { connection, heard } = open({ answer: connected() });
    connection.drained();
    expect(heard).toContain('drained');
  });
});

describe('receipts', () => {
  test('[STOMP-61] a RECEIPT settles its frame with the round trip, others are left', () => {
    const { clock, connection, session, heard } = open({ answer: connected() });
    const [first, second] = [recorder(), recorder()];
    session.expect('1', 'RECEIPT', 30_000, first);
    clock.advance(30);
    session.expect('2', 'RECEIPT', 30_000, second);
    clock.advance(10);
    connection.received('RECEIPT\nreceipt-id:1\n\n\0RECEIPT\nreceipt-id:unknown\n\n\0RECEIPT\n\n\0');
    expect(first.heard).toEqual(['done']);
    expect(heard.at(-1)).toEqual(['measured', 40]);
    expect(second.heard).toEqual([]);
  });

  test('[STOMP-61] a frame is done when it was written, or when the RECEIPT that it asked for came', () => {
    const { connection, session, socket } = open({ answer: connected() });
    const [written, processed] = [recorder(), recorder()];
    session.send('SEND', {}, 'x', written);
    expect(written.heard).toEqual(['done']);
    session.send('SEND', { a: 'b' }, 'x', processed, true);
    const [, line] = /\nreceipt:(.+)\n/.exec(String(socket.take()[1])) ?? [];
    expect(processed.heard).toEqual([]);
    connection.received(`RECEIPT\nreceipt-id:${line}\n\n\0`);
    expect(processed.heard).toEqual(['done']);
  });

  test('nothing is sent before CONNECTED, and whoever waits for it is told', () => {
    const { session, socket } = open();
    const done = recorder();
    expect(session.send('SEND', {}, 'x', done)).toBe(false);
    expect(session.send('SEND', {}, 'x')).toBe(false);
    expect(done.heard).toEqual([expect.objectContaining({ message: expect.stringContaining('gone') })]);
    expect(socket.sent).toEqual([]);
  });

  test('a RECEIPT that does not come in time fails its frame and no other', () => {
    const { clock, connection, session, socket } = open({ answer: connected() });
    const [first, second] = [recorder(), recorder()];
    session.expect('1', 'RECEIPT', 30_000, first);
    clock.advance(20_000);
    session.expect('2', 'RECEIPT', 30_000, second);
    clock.advance(10_010);
    expect(first.heard).toEqual([expect.objectContaining({ message: 'No RECEIPT came within 30000 ms' })]);
    expect(second.heard).toEqual([]);
    connection.received('RECEIPT\nreceipt-id:1\n\n\0');
    clock.advance(20_000);
    expect(first.heard).toHaveLength(1);
    expect(second.heard).toHaveLength(1);
    expect(socket.closing).toBeUndefined();
  });

  test('[STOMP-64] an ERROR fails the frame that it names; the end of the connection fails the others', () => {
    const { connection, session } = open({ answer: connected() });
    const [first, second] = [recorder(), recorder()];
    session.expect('1', 'RECEIPT', 30_000, first);
    session.expect('2', 'RECEIPT', 30_000, second);
    connection.received('ERROR\nmessage:forbidden\nreceipt-id:2\n\n\0');
    expect(second.heard).toEqual([expect.any(StompError)]);
    expect(first.heard).toEqual([expect.any(ConnectionLost)]);
    expect(first.heard[0]).toMatchObject({ code: 1000, message: 'The connection ended: 1000' });
  });
});

test('[STOMP-63] an ERROR without a message is one all the same', () => {
  const { heard } = open({ answer: `${connected()}ERROR\n\n\0` });
  expect(heard[1]).toEqual(['error', expect.objectContaining({ message: 'The server sent an ERROR', body: '' }), true]);
});

test('[STOMP-74] an ERROR that names no frame fails all that wait', () => {
  const { connection, session } = open({ answer: connected() });
  const waiting = recorder();
  session.expect('1', 'RECEIPT', 30_000, waiting);
  connection.received('ERROR\nmessage:Unknown destination\n\n\0');
  expect(waiting.heard).toEqual([expect.objectContaining({ name: 'StompError', message: 'Unknown destination' })]);
});

describe('heart-beats', () => {
  const heartbeat = { heartbeatOutgoing: 10_000, heartbeatIncoming: 10_000 };

  test('[STOMP-36] something is sent before the agreed time is over, and nothing extra while traffic flows', () => {
    const { clock, session, socket } = open({ ...heartbeat, answer: connected('version:1.2\nheart-beat:0,10000\n') });
    clock.advance(7_900);
    expect(session.sendBy - clock.now()).toBeCloseTo(100);
    session.send('SEND', {}, 'x');
    expect(socket.take()).toHaveLength(1);
    clock.advance(7_900);
    expect(socket.take()).toEqual([]);
    clock.advance(200);
    expect(socket.take()).toEqual(['\n']);
    clock.advance(80_000);
    expect(socket.take().length).toBeGreaterThanOrEqual(8);
  });

  test('[STOMP-37] a server that is silent for more than twice the agreed time is dropped at once; any octet counts', () => {
    const { clock, connection, socket, heard } = open({
      ...heartbeat,
      alive: false,
      answer: connected('version:1.1\nheart-beat:10000,0\n'),
    });
    clock.advance(19_000);
    connection.received('\n');
    clock.advance(19_000);
    connection.received('MESS');
    clock.advance(20_900);
    expect(heard).toHaveLength(1);
    expect(socket.closing).toBeUndefined();
    clock.advance(200);
    expect(socket.closing).toEqual({ code: 4000, reason: 'Heartbeat timeout' });
    expect(socket.terminated).toBe(true);
  });

  test('[STOMP-38] 1.0 has none, whatever the server says', () => {
    const { clock, socket } = open({ ...heartbeat, answer: connected('heart-beat:1000,1000\n') });
    clock.advance(100_000);
    expect(socket.take()).toEqual([]);
    expect(socket.closing).toBeUndefined();
  });

  test('[STOMP-34] a heart-beat header that is none closes the connection', () => {
    expect(open({ ...heartbeat, answer: connected('version:1.2\nheart-beat:soon\n') }).socket.closing?.code).toBe(1002);
  });

  test('a probe gives the link something to do, once connected', () => {
    const { connection, socket } = open();
    connection.probe();
    expect(socket.take()).toEqual([]);
    const second = open({ answer: connected() });
    second.connection.probe();
    expect(second.socket.take()).toEqual(['\n']);
  });
});

describe('leaving', () => {
  test('[STOMP-66] DISCONNECT asks for a receipt, and nothing is sent after it, not even a heart-beat', () => {
    const { clock, connection, session, socket, heard } = open({
      heartbeatOutgoing: 1_000,
      answer: connected('version:1.2\nheart-beat:0,1000\n'),
    });
    let left = 0;
    session.leave(5_000, () => left++);
    expect(socket.take()).toEqual(['DISCONNECT\nreceipt:disconnect\n\n\0']);
    expect(session.connected).toBe(false);
    connection.probe();
    clock.advance(3_000);
    connection.received('MESSAGE\n\nlate\0');
    expect(heard.at(-1)).toEqual(['message', 'late']);
    expect(left).toBe(0);
    connection.received('RECEIPT\nreceipt-id:disconnect\n\n\0');
    expect(left).toBe(1);
    clock.advance(10_000);
    expect(socket.take()).toEqual([]);
    expect(left).toBe(1);
  });

  test('[STOMP-67] the wait for the RECEIPT is bounded', () => {
    const { clock, session, socket } = open({ answer: connected() });
    let left = 0;
    session.leave(5_000, () => left++);
    clock.advance(4_900);
    expect(left).toBe(0);
    clock.advance(110);
    expect(left).toBe(1);
    expect(socket.closing).toBeUndefined();
  });

  test.each([
    ['an ERROR', 'ERROR\n\n\0'],
    ['what is no STOMP', 'FROB\n\n\0'],
  ])('[STOMP-67] %s in answer ends the wait, though the server takes part in no close handshake', (_, answer) => {
    const { connection, session, socket } = open({ answer: connected(), alive: false });
    let left = 0;
    session.leave(5_000, () => left++);
    connection.received(answer);
    expect([left, socket.terminated]).toEqual([1, false]);
    expect(socket.closing).toBeDefined();
  });

  test('[STOMP-33] a link that breaks while leaving ends the wait', () => {
    const { session, socket } = open({ answer: connected() });
    let left = 0;
    session.leave(5_000, () => left++);
    socket.hangUp(1006);
    expect(left).toBe(1);
  });
});
