import { expect, test } from 'vitest';
import { connectionLimits, resolveLimits } from '../../../src/core/limits.ts';
import { ServerConnection } from '../../../src/core/server-connection.ts';
import type { Authenticate } from '../../../src/core/subprotocol.ts';
import type { Frame, Headers } from '../../../src/stomp/protocol/frame.ts';
import { required } from '../../../src/stomp/protocol/frame-fields.ts';
import { stompFaults } from '../../../src/stomp/server/faults.ts';
import { stompLimits } from '../../../src/stomp/server/limits.ts';
import { ServerSession } from '../../../src/stomp/server/server-session.ts';
import { createFakeClock } from '../../support/fake-clock.ts';
import { FakeSocket } from '../../support/fake-socket.ts';

/** Writes down what it is given, and answers nothing. */
class Notes extends ServerSession {
  readonly idle = true;
  readonly frames: Frame[] = [];
  readonly admissions: Headers[] = [];
  admit = true;
  outcome: Promise<string> | string = 'at once';

  protected admitted(headers: Headers): void {
    this.admissions.push(headers);
    if (this.admit) this.connected([['server', 'notes']]);
  }

  /** What the class that stands on it does later. */
  later(): void {
    this.connected([]);
  }

  get gone(): boolean {
    return this.disconnected;
  }

  processed(): void {}

  protected process(frame: Frame): void {
    if (frame.command === 'DISCONNECT') return this.leave();
    if (frame.command === 'BEGIN') required(frame, 'transaction');
    this.settle(frame, this.outcome, (value) => {
      if (value === 'refused') throw new Error('refused');
      this.frames.push(frame);
    });
  }

  protected peerLeft(): void {
    this.leave();
  }

  drained(): void {}
  end(): void {}
}

interface SceneOptions {
  readonly protocol?: string;
  readonly authenticate?: Authenticate;
  readonly beat?: readonly [outgoing: number, incoming: number];
}

function scene({ protocol = '', authenticate, beat = [10_000, 10_000] }: SceneOptions = {}) {
  const clock = createFakeClock();
  const socket = new FakeSocket({ protocol });
  const reported: unknown[] = [];
  const connection = new ServerConnection(
    socket,
    { url: '/', headers: {}, remoteAddress: '', secure: false },
    {
      clock,
      authenticate,
      limits: resolveLimits(connectionLimits, { pingInterval: Number.POSITIVE_INFINITY }),
      faultTable: stompFaults,
      cutsSlowReader: true,
      report: (error) => reported.push(error),
    },
  );
  connection.start(
    (opened) => new Notes(opened, resolveLimits(stompLimits, {}), { outgoing: beat[0], incoming: beat[1] }),
  );
  socket.receiver = connection;
  const session = connection.session as Notes;
  const say = (data: string): string[] => {
    connection.received(data);
    clock.flushTurn();
    return socket.take().map(String);
  };
  return { clock, socket, session, say, reported };
}

const connect = (versions = '1.2', more = ''): string => `CONNECT\naccept-version:${versions}\nhost:x\n${more}\n\0`;

test.each([
  ['1.0', '', 'CONNECTED\nversion:1.0\nserver:notes\n\n\0'],
  ['1.0,1.1,1.2', '', 'CONNECTED\nversion:1.2\nheart-beat:10000,10000\nserver:notes\n\n\0'],
  ['1.0,1.1,1.2', 'v11.stomp', 'CONNECTED\nversion:1.1\nheart-beat:10000,10000\nserver:notes\n\n\0'],
  ['1.0,1.1', 'v12.stomp', 'CONNECTED\nversion:1.1\nheart-beat:10000,10000\nserver:notes\n\n\0'],
])('[RELAY-4] a client of %s on %j is answered in its version', (versions, protocol, answer) => {
  const { say, session } = scene({ protocol });
  expect(say(connect(versions))).toEqual([answer]);
  expect(session.admissions[0]?.get('host')).toBe('x');
});

test('[RELAY-4] a client without a common version hears which there are', () => {
  const { say, socket } = scene();
  const [error] = say(connect('2.0'));
  expect(error).toMatch(/^ERROR\nmessage:Not acceptable, supported versions are 1\.2, 1\.1, 1\.0\n/);
  expect(error).toMatch(/\nversion:1\.2,1\.1,1\.0\n/);
  expect(socket.closing?.code).toBe(1002);
});

test('[RELAY-21] a STOMP frame connects, any other comes too early', () => {
  const one = scene();
  expect(one.say('STOMP\naccept-version:1.1\nhost:x\n\n\0')[0]).toMatch(/^CONNECTED\nversion:1\.1\n/);
  const other = scene();
  const [error] = other.say('SEND\ndestination:/a\nreceipt:r\n\n\0');
  expect(error).toMatch(/^ERROR\nmessage:Malformed frame, SEND before CONNECT\n(.+\n)*receipt-id:r\n/);
  expect(other.socket.closing?.code).toBe(1002);
});

test('[RELAY-21] a second CONNECT is one too many, a frame without what it needs as well', () => {
  const one = scene();
  one.say(connect());
  expect(one.say(connect())[0]).toMatch(/a second CONNECT/);
  const other = scene();
  other.say(connect());
  other.say('BEGIN\ntransaction:t\n\n\0');
  expect(other.session.frames).toHaveLength(1);
  expect(other.say('BEGIN\ntransaction:\n\n\0')[0]).toMatch(/BEGIN without transaction/);
});

test('[RELAY-1] frames behind CONNECT wait until the client is let in', async () => {
  let admit: (principal: { name: string }) => void = () => {};
  const { say, session, clock, socket } = scene({ authenticate: () => new Promise((resolve) => (admit = resolve)) });
  session.admit = false;
  expect(say(`${connect()}SEND\ndestination:/a\n\nx\0`)).toEqual([]);
  expect(socket.paused).toBe(true);
  admit({ name: 'alice' });
  await clock.settle();
  expect(session.frames).toEqual([]);
  session.later();
  clock.flushTurn();
  expect(session.frames).toHaveLength(1);
  expect(socket.paused).toBe(false);
});

test('[RELAY-1] a client that is not let in hears so, and nothing of what it sent is looked at', () => {
  const { say, socket, session } = scene({ authenticate: () => false });
  say(`${connect('1.2', 'login:a\npasscode:b\n')}SEND\ndestination:/a\n\nx\0`);
  return new Promise<void>((resolve) => {
    setImmediate(resolve);
  }).then(() => {
    expect(String(socket.take()[0])).toMatch(/^ERROR\nmessage:Unauthorized/);
    expect(socket.closing?.code).toBe(1008);
    expect(session.admissions).toEqual([]);
  });
});

test('[RELAY-21] CONNECT has to come in time, and so has the end of a frame', () => {
  const one = scene();
  one.clock.advance(2_990);
  expect(one.socket.closing).toBeUndefined();
  one.clock.advance(20);
  expect(one.socket.closing?.code).toBe(4408);

  const other = scene();
  other.say(connect());
  other.say('SEND\ndestination:/a\n');
  other.clock.advance(20_000);
  other.say('x:y\n');
  other.clock.advance(9_900);
  expect(other.socket.closing).toBeUndefined();
  other.clock.advance(200);
  expect(String(other.socket.sent.at(-1))).toMatch(/a frame that did not end within 30000 ms/);

  const third = scene();
  third.say(connect());
  third.say('SEND\ndestination:/a\n');
  third.say('\n\0SEND\ndestination:/a\n');
  third.clock.advance(29_000);
  third.say('\n\0');
  third.clock.advance(60_000);
  expect(third.socket.closing).toBeUndefined();
  expect(third.session.frames).toHaveLength(2);
});

test('[RELAY-6] beats are sent a little early, and expected with patience', () => {
  const { clock, say, socket, session } = scene({ beat: [1_000, 2_000] });
  say(connect('1.2', 'heart-beat:500,1500\n'));
  clock.advance(1_340);
  session.tick(clock.now());
  expect(socket.take()).toEqual([]);
  clock.advance(20);
  expect(socket.take()).toEqual(['\n']);
  clock.advance(2_600);
  expect(socket.closing).toBeUndefined();
  clock.advance(100);
  expect(socket.closing?.code).toBe(4000);
});

test('[RELAY-6] 1.0 knows no beats, whatever it says', () => {
  const { clock, say, socket } = scene({ beat: [1_000, 1_000] });
  say(connect('1.0', 'heart-beat:bad\n'));
  clock.advance(120_000);
  expect(socket.take()).toEqual([]);
  expect(socket.closing).toBeUndefined();
});

test('[RELAY-13] nothing after DISCONNECT is looked at, and no beat is expected any more', () => {
  const { clock, say, socket, session } = scene({ beat: [0, 1_000] });
  say(connect('1.2', 'heart-beat:1000,0\n'));
  expect(session.gone).toBe(false);
  say('DISCONNECT\n\n\0SEND\ndestination:/a\n\n\0');
  say('SEND\ndestination:/a\n\n\0');
  expect(session.gone).toBe(true);
  clock.advance(120_000);
  expect(session.frames).toEqual([]);
  expect(socket.closing).toBeUndefined();
});

test('[RELAY-17] an outcome is awaited in order, and its failure is that of its frame', async () => {
  const { clock, say, socket, session, reported } = scene();
  say(connect());
  let settle: (value: string) => void = () => {};
  session.outcome = new Promise((resolve) => (settle = resolve));
  say('SEND\ndestination:/1\n\n\0SEND\ndestination:/2\nreceipt:two\n\n\0');
  expect(session.frames).toEqual([]);
  session.outcome = Promise.resolve('refused');
  settle('later');
  await clock.settle();
  expect(session.frames.map(({ headers }) => headers.get('destination'))).toEqual(['/1']);
  expect(String(socket.sent.at(-1))).toMatch(/\nreceipt-id:two\n/);
  expect(socket.closing?.code).toBe(1011);
  expect(String(reported)).toBe('Error: refused');
});

test('[RELAY-17] an outcome that never comes good ends the connection as well', async () => {
  const { clock, say, socket, session } = scene();
  say(connect());
  session.outcome = Promise.reject(new Error('gone'));
  say('SEND\ndestination:/1\nreceipt:one\n\n\0');
  await clock.settle();
  expect(String(socket.sent.at(-1))).toMatch(/\nreceipt-id:one\n/);
  expect(socket.closing?.code).toBe(1011);
});

test('[RELAY-18] a drain asks nothing of a front alone', () => {
  const { session, say } = scene();
  say(connect());
  session.drain(0);
  expect(say('SEND\ndestination:/a\n\n\0')).toEqual([]);
  expect(session.frames).toHaveLength(1);
});

test('[STOMP-77] an application that never answers is not waited for, and beats go on meanwhile', () => {
  const { clock, say, socket, session } = scene({ beat: [10_000, 0] });
  say(connect('1.2', 'heart-beat:0,10000\n'));
  session.outcome = new Promise(() => {});
  say('SEND\ndestination:/1\nreceipt:one\n\n\0');
  clock.advance(9_980);
  expect(socket.take().map(String)).toEqual(['\n']);
  expect(socket.closing).toBeUndefined();
  clock.advance(40);
  expect(String(socket.sent.at(-1))).toMatch(
    /^ERROR\nmessage:Unavailable\\c the application has not answered.*\n(.+\n)*receipt-id:one\n/,
  );
  expect(socket.closing?.code).toBe(1013);

  const stranger = scene({ authenticate: () => new Promise(() => {}) });
  stranger.say(connect());
  stranger.clock.advance(10_010);
  expect(stranger.socket.closing?.code).toBe(1013);
});
