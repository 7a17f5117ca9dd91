import { describe, expect, test } from 'vitest';
import type { Bus } from '../../../src/bus/bus.ts';
import { encodeUtf8 } from '../../../src/core/wire.ts';
import { type Version, versions } from '../../../src/stomp/protocol/versions.ts';
import type { StompSession } from '../../../src/stomp/server/stomp-session.ts';
import { createGate } from '../../support/gate.ts';
import { createStompDesk, openAll, type StompDeskOptions, type StompPeer } from '../../support/stomp-desk.ts';

const escaping = ['1.1', '1.2'] as const;

async function connected(version: Version = '1.2', options: StompDeskOptions = {}) {
  const desk = createStompDesk(options);
  return { ...desk, peer: await desk.open().connect(version) };
}

/** What SUBSCRIBE needs in any version; 1.0 does without an id. */
const subscribing = (version: Version, destination: string, more: Record<string, string> = {}) => ({
  destination,
  ...(version === '1.0' ? {} : { id: '0' }),
  ...more,
});

/** What arrives on a topic of the bus, as text. */
function recordTopic(bus: Bus, topic: string): string[] {
  const bodies: string[] = [];
  bus.listen(topic, ({ body }) => bodies.push(Buffer.from(body).toString()));
  return bodies;
}

async function refusal(peer: StompPeer, command: string, headers: Record<string, string> = {}, body = '') {
  await peer.send(command, { ...headers, receipt: 'r' }, body);
  const frames = peer.take();
  expect(frames.map((frame) => frame.command)).toEqual(['ERROR']);
  expect(frames[0]?.headers['receipt-id']).toBe('r');
  expect(peer.closed).toBeDefined();
  return { message: frames[0]?.headers['message'], code: peer.closed?.code, body: frames[0]?.body };
}

describe('connecting', () => {
  test.each(versions)('[STOMP-28] CONNECTED of %s has version, session and server', async (version) => {
    const peer = createStompDesk({ server: 'house/1' }).open();
    await peer.send('CONNECT', version === '1.0' ? {} : { 'accept-version': version, host: 'h' });
    const [frame] = peer.take();
    expect(frame?.command).toBe('CONNECTED');
    expect(frame?.headers).toMatchObject({ version, server: 'house/1', session: expect.stringMatching(/.{36}/) });
    expect(frame?.headers['heart-beat']).toBe(version === '1.0' ? undefined : '10000,10000');
  });

  test.each(escaping)('[STOMP-25] STOMP is CONNECT in %s', async (version) => {
    const peer = await createStompDesk().open().send('STOMP', { 'accept-version': version, host: 'h' });
    expect(peer.take()[0]?.headers['version']).toBe(version);
  });

  test.each([
    [undefined, '1.0'],
    ['1.0', '1.0'],
    ['1.0,1.1', '1.1'],
    ['1.2,1.0,1.1,2.0', '1.2'],
  ])('[STOMP-26] [STOMP-27] accept-version %s agrees on %s', async (accepted, version) => {
    const peer = await createStompDesk()
      .open()
      .send('CONNECT', accepted === undefined ? {} : { 'accept-version': accepted });
    expect(peer.take()[0]?.headers['version']).toBe(version);
  });

  test('[STOMP-27] [STOMP-30] no common version: ERROR with the versions there are, then the close', async () => {
    const peer = await createStompDesk().open().send('CONNECT', { 'accept-version': '1.3,2.0', host: 'h' });
    const [frame] = peer.take();
    expect(frame).toMatchObject({ command: 'ERROR', headers: { version: '1.2,1.1,1.0' } });
    expect(frame?.body).toContain('1.2, 1.1, 1.0');
    expect(peer.closed?.code).toBe(1002);
  });

  test.each([
    ['v11.stomp', '1.0,1.1,1.2', '1.1'],
    ['v12.stomp', '1.0,1.1,1.2', '1.2'],
    ['v12.stomp', '1.0,1.1', '1.1'],
    ['stomp', '1.0,1.1,1.2', '1.2'],
  ])('[STOMP-32] over %s, accept-version %s agrees on %s', async (protocol, accepted, version) => {
    const peer = await createStompDesk().open(protocol).send('CONNECT', { 'accept-version': accepted });
    expect(peer.take()[0]?.headers['version']).toBe(version);
  });

  test('[STOMP-29] a virtual host that is not known is refused, one that is left out is taken', async () => {
    const desk = createStompDesk({ hosts: ['here'] });
    const peer = await desk.open().send('CONNECT', { 'accept-version': '1.2', host: 'there' });
    expect(peer.brief()).toEqual(['ERROR Unauthorized, no virtual host "there" here']);
    expect(peer.closed?.code).toBe(1008);
    await desk.open().connect('1.2', { host: 'here' });
    await desk.open().connect('1.0');
    await createStompDesk({ hosts: (host) => host === 'mine' })
      .open()
      .connect('1.2', { host: 'mine' });
  });

  test('[STOMP-29] [STOMP-80] who decides on virtual hosts may take time, and lets in by nothing but true', async () => {
    for (const answer of [false, 'yes', {}, undefined]) {
      for (const known of [answer, Promise.resolve(answer)]) {
        const peer = createStompDesk({ hosts: () => known as boolean }).open();
        await peer.send('CONNECT', { 'accept-version': '1.2', host: 'there' });
        expect(peer.brief()).toEqual(['ERROR Unauthorized, no virtual host "there" here']);
      }
    }
    const gate = createGate();
    const desk = createStompDesk({ hosts: (host) => gate.opened.then(() => host === 'mine') });
    const peer = await desk
      .open()
      .raw('CONNECT\naccept-version:1.2\nhost:mine\n\n\0SEND\ndestination:/topic/a\nreceipt:1\n\nx\0');
    expect(peer.take()).toEqual([]);
    gate.open();
    await desk.clock.settle();
    expect(peer.take().map(({ command }) => command)).toEqual(['CONNECTED', 'RECEIPT']);
  });

  test.each([
    [
      'throws',
      () => {
        throw new Error('down');
      },
    ],
    ['rejects', () => Promise.reject(new Error('down'))],
  ] as const)('[STOMP-29] who decides on virtual hosts and %s is our fault: 1011, reported', async (_, hosts) => {
    const peer = await createStompDesk({ hosts }).open().send('CONNECT', { 'accept-version': '1.2', host: 'a' });
    expect([peer.closed?.code, peer.reported.length]).toEqual([1011, 1]);
  });

  test('[STOMP-30] a login that is refused: ERROR, then 1008; what follows in the same chunk is not looked at', async () => {
    const desk = createStompDesk({
      authenticate: async ({ login, passcode }) => login === 'a' && passcode === 'b' && {},
    });
    const sent = recordTopic(desk.bus, 't');
    const peer = await desk
      .open()
      .raw('CONNECT\naccept-version:1.2\nhost:h\nlogin:a\npasscode:c\n\n\0SEND\ndestination:/topic/t\n\nx\0');
    expect(peer.brief()).toEqual(['ERROR Unauthorized, login or passcode was not accepted']);
    expect(peer.closed?.code).toBe(1008);
    expect(sent).toEqual([]);
    await desk.open().connect('1.2', { login: 'a', passcode: 'b' });
  });

  test('frames behind CONNECT in the same chunk wait until it is authenticated', async () => {
    const desk = createStompDesk({ authenticate: async () => ({ name: 'ann' }) });
    const peer = desk.open();
    peer.connection.received('CONNECT\naccept-version:1.2\nhost:h\n\n\0SEND\ndestination:/topic/t\nreceipt:1\n\nx\0');
    expect(peer.socket.sent).toEqual([]);
    await desk.clock.settle();
    expect(peer.take().map(({ command }) => command)).toEqual(['CONNECTED', 'RECEIPT']);
  });

  test('an authenticate hook that throws is our fault: 1011, reported, and it says nothing of the reason', async () => {
    const desk = createStompDesk({
      authenticate: () => {
        throw new Error('database password is hunter2');
      },
    });
    const peer = await desk.open().send('CONNECT', { 'accept-version': '1.2' });
    expect(peer.brief()).toEqual(['ERROR Internal error']);
    expect(peer.closed).toEqual({ code: 1011, reason: 'Internal error' });
    expect(peer.reported).toHaveLength(1);
  });

  test('[STOMP-7] [STOMP-69] the words of an ERROR before CONNECTED mean the same in every version', async () => {
    const peer = createStompDesk().open();
    await peer.raw('a:b\\x\n\n\0');
    const [error] = peer.socket.sent;
    expect(error).toMatch(/^ERROR\nmessage:Malformed frame, a b x before CONNECT\n/);
  });

  test('[STOMP-31] a frame before CONNECT is malformed', async () => {
    const peer = createStompDesk().open();
    expect(await refusal(peer, 'SEND', { destination: '/topic/a' })).toMatchObject({
      message: 'Malformed frame, SEND before CONNECT',
      code: 1002,
    });
  });

  test('[STOMP-23] who has not said who it is cannot make us keep a large body; who has, can', async () => {
    const { open } = createStompDesk();
    const stranger = open();
    await stranger.raw('SEND\ndestination:/topic/a\ncontent-length:1025\n\n');
    expect(stranger.closed?.code).toBe(1009);
    const silent = open();
    await silent.raw(`CONNECT\naccept-version:1.2\n\n${'x'.repeat(1_025)}`);
    expect(silent.closed?.code).toBe(1009);
    const peer = await open().connect();
    await peer.send('SEND', { destination: '/topic/a', receipt: '1' }, 'x'.repeat(100_000));
    expect(peer.brief()).toEqual(['RECEIPT 1']);
  });

  test('[STOMP-31] [STOMP-20] a receipt that no version before CONNECTED can carry is left out of the ERROR', async () => {
    const peer = createStompDesk().open();
    await peer.raw('SEND\nreceipt:a\\nb\n\n\0');
    expect(peer.take()[0]?.headers).not.toHaveProperty('receipt-id');
  });

  test.each(versions)('[STOMP-31] a second CONNECT of %s is malformed', async (version) => {
    const { peer } = await connected(version);
    await peer.send('CONNECT', { 'accept-version': version, receipt: '1' });
    expect(peer.take()).toMatchObject([
      { command: 'ERROR', headers: { message: expect.stringContaining('a second CONNECT') } },
    ]);
    expect(peer.closed?.code).toBe(1002);
  });

  test('no CONNECT within 3 s: 4408', async () => {
    const desk = createStompDesk();
    const peer = desk.open();
    desk.clock.advance(2_999);
    expect(peer.closed).toBeUndefined();
    desk.clock.advance(11);
    expect(peer.closed?.code).toBe(4408);
    expect(peer.brief()[0]).toContain('no CONNECT within 3000 ms');
  });

  test('[STOMP-33] a connection that comes and goes leaves nothing behind', async () => {
    const desk = createStompDesk();
    for (let round = 0; round < 50; round++) {
      const peer = await desk.open().connect();
      peer.put('SUBSCRIBE', { id: '0', destination: '/topic/a' });
      peer.put('SUBSCRIBE', { id: '1', destination: '/queue/a', ack: 'client' });
      peer.socket.hangUp();
    }
    await desk.clock.settle();
    expect(desk.bus.stats().listeners).toBe(0);
    expect(desk.broker.stats()).toMatchObject({ queues: 0, queued: 0 });
    expect(desk.clock.armed).toBe(0);
  });
});

describe('heart-beats', () => {
  test.each(escaping)('[STOMP-34] heart-beat of %s has to be two numbers', async (version) => {
    const peer = createStompDesk().open();
    await peer.send('CONNECT', { 'accept-version': version, 'heart-beat': '1,x' });
    expect(peer.closed?.code).toBe(1002);
    expect(peer.brief()[0]).toContain('heart-beat');
  });

  test.each(escaping)(
    '[STOMP-35] [STOMP-36] %s: an EOL leaves when nothing else did for the slower interval',
    async (version) => {
      const { clock, peer } = await connectedWith(version, '0,5000', { heartbeat: { outgoing: 4_000, incoming: 0 } });
      const before = peer.socket.writes.length;
      clock.advance(4_400);
      expect(peer.socket.writes.length).toBe(before);
      clock.advance(600);
      expect(peer.socket.sent.slice(before)).toEqual(['\n']);
      await peer.send('SEND', { destination: '/topic/a', receipt: '1' });
      clock.advance(4_400);
      expect(peer.socket.sent.slice(before + 1)).toHaveLength(1);
    },
  );

  test.each(escaping)(
    '[STOMP-37] %s: any octet counts, twice the interval is waited, then 4000 without a goodbye',
    async (version) => {
      const { clock, peer } = await connectedWith(version, '1000,0', { heartbeat: { outgoing: 0, incoming: 1_000 } });
      clock.advance(1_900);
      peer.connection.received('\n');
      clock.advance(1_900);
      peer.connection.received('SEND\ndestin');
      clock.advance(1_990);
      expect(peer.closed).toBeUndefined();
      clock.advance(20);
      expect(peer.closed?.code).toBe(4000);
    },
  );

  test.each([...escaping, '1.0'] as const)(
    '[STOMP-35] [STOMP-38] %s: no beats where one side says 0, or in 1.0',
    async (version) => {
      const { clock, peer } = await connectedWith(version, version === '1.0' ? '1000,1000' : '0,0');
      clock.advance(600_000);
      expect(peer.closed).toBeUndefined();
      expect(peer.socket.sent).not.toContain('\n');
    },
  );

  test('[STOMP-36] [STOMP-37] while input is held back we go on beating, and the silence of the peer is our own doing', async () => {
    const gate = createGate();
    const { clock, peer } = await connectedWith('1.2', '1000,1000', {
      heartbeat: { outgoing: 1_000, incoming: 1_000 },
      authorize: () => gate.opened.then(() => true),
    });
    await peer.send('SEND', { destination: '/topic/a', receipt: '1' });
    const before = peer.socket.sent.length;
    clock.advance(5_000);
    expect(peer.socket.sent.slice(before)).toEqual(['\n', '\n', '\n', '\n', '\n']);
    gate.open();
    await peer.raw('\n');
    expect(peer.brief()).toEqual(['RECEIPT 1']);
    expect(peer.closed).toBeUndefined();
  });

  async function connectedWith(version: Version, beat: string, options: StompDeskOptions = {}) {
    const desk = createStompDesk({ ...options, connection: { pingInterval: Number.POSITIVE_INFINITY } });
    return { ...desk, peer: await desk.open().connect(version, { 'heart-beat': beat }) };
  }
});

describe('frames', () => {
  test('[STOMP-14] where the stream is cut has no meaning: octet by octet the same happens', async () => {
    const { bus, peer } = await connected();
    const bodies = recordTopic(bus, 'a');
    const stream =
      'SEND\ndestination:/topic/a\nreceipt:1\n\nhéllo\0\n\r\nSEND\ndestination:/topic/a\ncontent-length:3\n\na\0b\0\n';
    for (const octet of encodeUtf8(stream)) await peer.raw(Uint8Array.of(octet));
    expect(bodies).toEqual(['héllo', 'a\0b']);
    expect(peer.brief()).toEqual(['RECEIPT 1']);
  });

  test.each([
    '\0',
    '\0\n\n\0',
    'SE\0ND\ndestination:/topic/a\n\n\0',
    'SEND\ndestination:/topic/a\nx:a\0ERROR\nmessage:m\n\nforged\0',
  ])(
    '[STOMP-1] [STOMP-79] a NUL where a command or a header should be is malformed, and goes on to nobody: %j',
    async (data) => {
      const { bus, peer } = await connected();
      const bodies = recordTopic(bus, 'a');
      await peer.raw(`${data}\n\n\0`);
      expect(peer.brief()).toEqual(['ERROR Malformed frame: a NUL in the head of a frame']);
      expect([bodies, peer.closed?.code]).toEqual([[], 1002]);
    },
  );

  test.each([
    ['1.1', '\\r'],
    ['1.1', '\\t'],
    ['1.2', '\\t'],
  ] as const)('[STOMP-17] %s: the escape %s ends the connection with an ERROR', async (version, escape) => {
    const { peer } = await connected(version);
    await peer.raw(`SEND\ndestination:/topic/a\nk:${escape}\n\n\0`);
    expect(peer.brief()[0]).toMatch(/^ERROR Malformed frame: the escape/);
    expect(peer.closed?.code).toBe(1002);
  });

  test.each(versions)('[STOMP-65] an unknown command of %s is malformed', async (version) => {
    const { peer } = await connected(version);
    expect((await refusal(peer, 'FROBNICATE')).message).toContain(`FROBNICATE is none of STOMP ${version}`);
  });

  test('[STOMP-5] commands and header names are case sensitive', async () => {
    expect((await refusal((await connected()).peer, 'send', { destination: '/topic/a' })).code).toBe(1002);
    const { message } = await refusal((await connected()).peer, 'SEND', { Destination: '/topic/a' });
    expect(message).toContain('SEND without destination');
  });

  test('[STOMP-22] the first of repeated headers counts', async () => {
    const { peer } = await connected();
    await peer.raw('SEND\ndestination:/topic/a\nreceipt:1\nreceipt:2\ndestination:nowhere\n\n\0');
    expect(peer.brief()).toEqual(['RECEIPT 1']);
  });

  test('[STOMP-23] over a limit: ERROR, then 1009', async () => {
    const { peer } = await connected('1.2', { limits: { maxBody: 10, maxHeaders: 5 } });
    await peer.send('SEND', { destination: '/topic/a' }, 'more than ten');
    expect(peer.brief()).toEqual(['ERROR Too large: a body of more than 10 bytes']);
    expect(peer.closed?.code).toBe(1009);
  });

  test('a frame that does not end within 30 s is cut, however much trickles in', async () => {
    const desk = createStompDesk({ connection: { pingInterval: Number.POSITIVE_INFINITY } });
    const peer = await desk.open().connect();
    await peer.raw('SEND\ndestination:/topic/a\n\n');
    for (let second = 0; second < 29; second++) {
      desk.clock.advance(1_000);
      await peer.raw('x');
    }
    await peer.raw('\0SEND');
    desk.clock.advance(29_000);
    expect(peer.closed).toBeUndefined();
    desk.clock.advance(1_010);
    expect(peer.brief().at(-1)).toContain('did not end within 30000 ms');
    expect(peer.closed?.code).toBe(1002);
  });

  test('[STOMP-20] 1.0: a receipt or id with a CR cannot be given back', async () => {
    for (const header of ['receipt', 'id']) {
      const { peer } = await connected('1.0');
      await peer.raw(`SUBSCRIBE\ndestination:/topic/a\n${header}:a\rb\n\n\0`);
      expect(peer.brief()).toEqual([`ERROR Malformed frame, a ${header} with a CR`]);
    }
  });
});

describe('SEND and MESSAGE', () => {
  test.each(versions)(
    '[STOMP-13] [STOMP-40] [STOMP-42] [STOMP-44] %s: user headers and content-type pass, those of the server are its own',
    async (version) => {
      const { peer } = await connected(version);
      await peer.send('SUBSCRIBE', subscribing(version, '/topic/a'));
      await peer.send(
        'SEND',
        {
          destination: '/topic/a',
          'content-type': 'text/x',
          own: 'é\\',
          'message-id': 'm',
          subscription: 's',
          ack: 'k',
          receipt: '1',
        },
        'hello',
      );
      const [message, receipt] = peer.take();
      expect(receipt).toMatchObject({ command: 'RECEIPT', headers: { 'receipt-id': '1' } });
      const { 'message-id': id, ...headers } = message!.headers;
      expect(id).not.toBe('m');
      expect(headers).toEqual({
        destination: '/topic/a',
        'content-type': 'text/x',
        'content-length': '5',
        own: 'é\\',
        ...(version === '1.0' ? {} : { subscription: '0' }),
      });
      expect(message!.body).toBe('hello');
    },
  );

  test.each(versions)(
    '[STOMP-44] %s: the transaction and the receipt of a SEND are no part of its message',
    async (version) => {
      const { peer } = await connected(version);
      await peer.send('SUBSCRIBE', subscribing(version, '/topic/a'));
      await peer.send('BEGIN', { transaction: 't' });
      await peer.send('SEND', { destination: '/topic/a', transaction: 't', receipt: 'r', redelivered: 'true' });
      await peer.send('COMMIT', { transaction: 't' });
      const [, message] = peer.take();
      for (const name of ['transaction', 'receipt', 'redelivered']) expect(message?.headers).not.toHaveProperty(name);
      expect(message?.command).toBe('MESSAGE');
    },
  );

  test('[STOMP-42] 1.0: the subscription is named if SUBSCRIBE had an id', async () => {
    const { peer } = await connected('1.0');
    await peer.send('SUBSCRIBE', { destination: '/topic/a', id: 'mine' });
    await peer.send('SEND', { destination: '/topic/a' }, 'x');
    expect(peer.take()[0]?.headers['subscription']).toBe('mine');
  });

  test('[STOMP-42] message ids are unique', async () => {
    const { peer } = await connected();
    await peer.send('SUBSCRIBE', { id: '0', destination: '/topic/#' });
    for (const name of ['a', 'b', 'a']) await peer.send('SEND', { destination: `/topic/${name}` });
    expect(new Set(peer.take().map(({ headers }) => headers['message-id'])).size).toBe(3);
  });

  test('[STOMP-21] a message is written anew for the version of each receiver', async () => {
    const desk = createStompDesk();
    const peers = new Map<Version, StompPeer>();
    for (const version of versions) {
      const peer = await desk.open().connect(version);
      await peer.send('SUBSCRIBE', subscribing(version, '/topic/a'));
      peers.set(version, peer);
    }
    await peers.get('1.2')!.send('SEND', { destination: '/topic/a', colon: 'a:b', line: 'a\nb', return: 'a\rb' });
    expect(peers.get('1.2')!.take()[0]?.headers).toMatchObject({ colon: 'a:b', line: 'a\nb', return: 'a\rb' });
    expect(peers.get('1.1')!.take()[0]?.headers).toMatchObject({ colon: 'a:b', line: 'a\nb', return: 'a\rb' });
    const plain = peers.get('1.0')!.take()[0]!.headers;
    expect(plain).toMatchObject({ colon: 'a:b' });
    expect(plain).not.toHaveProperty('line');
    expect(plain).not.toHaveProperty('return');
  });

  test('a body that is not UTF-8 leaves in a binary message', async () => {
    const { peer } = await connected();
    await peer.send('SUBSCRIBE', { id: '0', destination: '/topic/a' });
    await peer.send('SEND', { destination: '/topic/a' }, Uint8Array.of(0xff, 0, 1));
    expect(peer.take()[0]).toMatchObject({ binary: true, body: 'ff0001' });
  });

  test.each(versions)(
    '[STOMP-41] [STOMP-63] [STOMP-64] %s: a SEND that fails gets an ERROR and no RECEIPT',
    async (version) => {
      const { peer, bus } = await connected(version);
      const sent = recordTopic(bus, 'after');
      const after = 'SEND\ndestination:/topic/after\n\n\0';
      await peer.raw(`SEND\ndestination:nowhere\nreceipt:r\n\nx\0${after}`);
      const frames = peer.take();
      expect(frames).toMatchObject([
        {
          command: 'ERROR',
          headers: { 'receipt-id': 'r', message: expect.stringContaining('no destination "nowhere" here') },
          body: expect.stringContaining('SEND with destination nowhere'),
        },
      ]);
      expect(frames[0]?.headers['content-type']).toContain('text/plain');
      expect(peer.closed?.code).toBe(1008);
      expect(sent).toEqual([]);
    },
  );

  test('[STOMP-64] an ERROR that no frame has thrown stops the rest of the chunk as well', async () => {
    const { peer, bus } = await connected('1.2', { limits: { maxBacklog: 1 } });
    const sent = recordTopic(bus, 'after');
    await peer.send('SUBSCRIBE', { id: '0', destination: '/topic/a', ack: 'client', 'prefetch-count': '1' });
    await peer.raw(`${'SEND\ndestination:/topic/a\n\nx\0'.repeat(3)}SEND\ndestination:/topic/after\n\nx\0`);
    expect(peer.brief()).toEqual(['MESSAGE x', expect.stringMatching(/^ERROR Reading too slowly/)]);
    expect(peer.closed?.code).toBe(1013);
    expect(sent).toEqual([]);
  });

  test.each(versions)('[STOMP-39] [STOMP-41] %s: a SEND without destination is malformed', async (version) => {
    expect((await refusal((await connected(version)).peer, 'SEND')).code).toBe(1002);
  });

  test('[STOMP-41] a bus that is away: ERROR with the receipt of the SEND, then 1013', async () => {
    const { bus, peer } = await connected();
    await bus.close();
    expect(await refusal(peer, 'SEND', { destination: '/topic/a' })).toMatchObject({ code: 1013 });
  });
});

test.each(escaping)('[STOMP-69] %s: MESSAGE, RECEIPT and ERROR are escaped like any other frame', async (version) => {
  const { peer } = await connected(version);
  await peer.send('SUBSCRIBE', { id: 'a:b\\\n', destination: '/topic/a' });
  await peer.send('SEND', { destination: '/topic/a', receipt: 'r:\n' }, 'x');
  await peer.send('SEND', { receipt: 'e:\n' });
  expect(peer.take()).toMatchObject([
    { command: 'MESSAGE', headers: { subscription: 'a:b\\\n' } },
    { command: 'RECEIPT', headers: { 'receipt-id': 'r:\n' } },
    { command: 'ERROR', headers: { 'receipt-id': 'e:\n' } },
  ]);
});

describe('SUBSCRIBE and UNSUBSCRIBE', () => {
  test.each(escaping)('[STOMP-45] [STOMP-46] %s: no id, no destination, or an id in use', async (version) => {
    const without = await refusal((await connected(version)).peer, 'SUBSCRIBE', { destination: '/topic/a' });
    expect(without.message).toContain('SUBSCRIBE without id');
    const nowhere = await refusal((await connected(version)).peer, 'SUBSCRIBE', { id: '0' });
    expect(nowhere.message).toContain('SUBSCRIBE without destination');
    const { peer } = await connected(version);
    await peer.send('SUBSCRIBE', { id: '0', destination: '/topic/a' });
    expect(await refusal(peer, 'SUBSCRIBE', { id: '0', destination: '/topic/b' })).toMatchObject({ code: 1002 });
  });

  test('[STOMP-46] 1.0: without an id the destination is in use', async () => {
    const { peer } = await connected('1.0');
    await peer.send('SUBSCRIBE', { destination: '/topic/a' });
    expect(await refusal(peer, 'SUBSCRIBE', { destination: '/topic/a' })).toMatchObject({ code: 1002 });
  });

  test.each(['1.0', ...escaping] as const)('[STOMP-47] %s: ack modes', async (version) => {
    const { peer } = await connected(version);
    await peer.send('SUBSCRIBE', { id: '0', destination: '/topic/a', ack: 'auto' });
    await peer.send('SUBSCRIBE', { id: '1', destination: '/topic/a', ack: 'client' });
    if (version !== '1.0') await peer.send('SUBSCRIBE', { id: '2', destination: '/topic/a', ack: 'client-individual' });
    expect(peer.take()).toEqual([]);
    const bad = version === '1.0' ? 'client-individual' : 'sometimes';
    const { message } = await refusal(peer, 'SUBSCRIBE', { id: '3', destination: '/topic/a', ack: bad });
    expect(message).toContain(`the ack mode ${bad} is none of STOMP ${version}`);
  });

  test.each(versions)('[STOMP-48] %s: two subscriptions to a topic get a message twice', async (version) => {
    const { peer } = await connected(version);
    await peer.send('SUBSCRIBE', { id: '0', destination: '/topic/a' });
    await peer.send('SUBSCRIBE', { id: '1', destination: '/topic/a' });
    await peer.send('SEND', { destination: '/topic/a' }, 'x');
    expect(peer.take().map(({ headers }) => headers['subscription'])).toEqual(['0', '1']);
  });

  test.each(versions)('[STOMP-50] %s: nothing comes after UNSUBSCRIBE', async (version) => {
    const { peer } = await connected(version);
    await peer.send('SUBSCRIBE', { id: '0', destination: '/topic/a' });
    await peer.send('UNSUBSCRIBE', { id: '0', receipt: 'u' });
    await peer.send('SEND', { destination: '/topic/a' }, 'x');
    expect(peer.brief()).toEqual(['RECEIPT u']);
  });

  test('[STOMP-49] 1.0: UNSUBSCRIBE by destination, whether or not there was an id', async () => {
    const { bus, peer } = await connected('1.0');
    await peer.send('SUBSCRIBE', { destination: '/topic/a' });
    await peer.send('SUBSCRIBE', { id: '1', destination: '/topic/b' });
    expect(bus.stats().listeners).toBe(2);
    await peer.send('UNSUBSCRIBE', { destination: '/topic/a' });
    await peer.send('UNSUBSCRIBE', { destination: '/topic/b', receipt: 'u' });
    expect(peer.brief()).toEqual(['RECEIPT u']);
    expect(bus.stats().listeners).toBe(0);
  });

  test.each(versions)('[STOMP-49] %s: UNSUBSCRIBE of nothing is malformed', async (version) => {
    expect((await refusal((await connected(version)).peer, 'UNSUBSCRIBE', { id: '0' })).code).toBe(1002);
    expect((await refusal((await connected(version)).peer, 'UNSUBSCRIBE', { destination: '/topic/a' })).code).toBe(
      1002,
    );
  });

  test('more than maxSubscriptions: 1013', async () => {
    const { peer } = await connected('1.2', { limits: { maxSubscriptions: 1 } });
    await peer.send('SUBSCRIBE', { id: '0', destination: '/topic/a' });
    expect(await refusal(peer, 'SUBSCRIBE', { id: '1', destination: '/topic/a' })).toMatchObject({ code: 1013 });
  });

  test('prefetch-count has to be a number', async () => {
    const { peer } = await connected();
    const headers = { id: '0', destination: '/queue/a', 'prefetch-count': '0' };
    expect((await refusal(peer, 'SUBSCRIBE', headers)).message).toContain('prefetch-count');
  });
});

/** The headers with which a version acknowledges a MESSAGE. */
function acknowledging(version: Version, { headers }: { headers: Record<string, string> }): Record<string, string> {
  if (version === '1.2') return { id: headers['ack']! };
  const id = { 'message-id': headers['message-id']! };
  return version === '1.0' ? id : { ...id, subscription: headers['subscription']! };
}

describe('ACK and NACK', () => {
  async function withMessages(version: Version, ack: string, count = 4, destination = '/queue/a') {
    const desk = await connected(version);
    await desk.peer.send('SUBSCRIBE', { id: '0', destination, ack });
    for (let n = 1; n <= count; n++) await desk.peer.send('SEND', { destination }, String(n));
    return { ...desk, messages: desk.peer.take() };
  }

  test.each(['client', 'client-individual'])(
    '[STOMP-43] 1.2: MESSAGE of an %s subscription has ack, of auto none',
    async (ack) => {
      const { messages } = await withMessages('1.2', ack);
      expect(new Set(messages.map(({ headers }) => headers['ack'])).size).toBe(4);
      const { messages: auto } = await withMessages('1.2', 'auto');
      expect(auto[0]?.headers).not.toHaveProperty('ack');
    },
  );

  test.each(versions)(
    '[STOMP-51] [STOMP-54] %s client: ACK is cumulative, over this subscription only',
    async (version) => {
      const { broker, peer, messages } = await withMessages(version, 'client');
      await peer.send('SUBSCRIBE', { id: 'other', destination: '/queue/b', ack: 'client' });
      await peer.send('SEND', { destination: '/queue/b' }, 'b');
      const [other] = peer.take();
      expect(broker.stats().queued).toBe(5);
      await peer.send('ACK', { ...acknowledging(version, messages[2]!), receipt: 'a' });
      expect(peer.brief()).toEqual(['RECEIPT a']);
      expect(broker.stats().queued).toBe(2);
      await peer.send('ACK', acknowledging(version, other!));
      expect(broker.stats().queued).toBe(1);
    },
  );

  test.each(escaping)('[STOMP-52] %s client-individual: ACK is about that message only', async (version) => {
    const { broker, peer, messages } = await withMessages(version, 'client-individual');
    await peer.send('ACK', acknowledging(version, messages[2]!));
    expect(broker.stats().queued).toBe(3);
    await peer.send('UNSUBSCRIBE', { id: '0' });
    await peer.send('SUBSCRIBE', { id: '1', destination: '/queue/a' });
    expect(peer.brief()).toEqual(['MESSAGE 1', 'MESSAGE 2', 'MESSAGE 4']);
  });

  test.each(escaping)('[STOMP-55] %s: NACK puts back, in mode client all before it as well', async (version) => {
    for (const [ack, expected] of [
      ['client', ['1', '2']],
      ['client-individual', ['2']],
    ] as const) {
      const { peer, messages } = await withMessages(version, ack);
      await peer.send('NACK', acknowledging(version, messages[1]!));
      const again = peer.take();
      expect(again.map(({ body }) => body)).toEqual(expected);
      expect(again.every(({ headers }) => headers['redelivered'] === 'true')).toBe(true);
    }
  });

  test('[STOMP-55] 1.0 has no NACK', async () => {
    const { peer, messages } = await withMessages('1.0', 'client');
    expect((await refusal(peer, 'NACK', acknowledging('1.0', messages[0]!))).message).toContain(
      'NACK is none of STOMP 1.0',
    );
  });

  test.each(versions)('[STOMP-54] %s: an ACK of something unknown, or twice, is malformed', async (version) => {
    const { peer, messages } = await withMessages(version, 'client');
    await peer.send('ACK', acknowledging(version, messages[1]!));
    expect((await refusal(peer, 'ACK', acknowledging(version, messages[1]!))).code).toBe(1002);
    const empty = (await connected(version)).peer;
    expect((await refusal(empty, 'ACK', { id: '1-x', 'message-id': '1-x', subscription: '9' })).code).toBe(1002);
    const bare = (await connected(version)).peer;
    expect((await refusal(bare, 'ACK')).message).toContain('ACK without');
  });

  test('[STOMP-54] an ACK of a message of an auto subscription is malformed', async () => {
    const { peer } = await withMessages('1.2', 'auto');
    expect((await refusal(peer, 'ACK', { id: '1-x' })).code).toBe(1002);
  });

  test.each(versions)(
    '[STOMP-53] %s: what a lost connection did not acknowledge goes to another one, in order',
    async (version) => {
      const { open, peer } = await withMessages(version, 'client');
      const heir = await open().connect(version);
      await heir.send('SUBSCRIBE', { id: '9', destination: '/queue/a', ack: 'client' });
      expect(heir.take()).toEqual([]);
      peer.socket.hangUp();
      await heir.raw('\n');
      const inherited = heir.take();
      expect(inherited.map(({ body }) => body)).toEqual(['1', '2', '3', '4']);
      expect(inherited[0]?.headers['redelivered']).toBe('true');
    },
  );

  test('delivery pauses at maxUnacknowledged of the connection and goes on with an ACK of any subscription', async () => {
    const { peer } = await connected('1.2', { limits: { maxUnacknowledged: 2 } });
    await peer.send('SUBSCRIBE', { id: '0', destination: '/queue/a', ack: 'client' });
    await peer.send('SUBSCRIBE', { id: '1', destination: '/queue/b', ack: 'client' });
    for (const name of ['a', 'a', 'b']) await peer.send('SEND', { destination: `/queue/${name}` }, name);
    const messages = peer.take();
    expect(messages.map(({ body }) => body)).toEqual(['a', 'a']);
    await peer.send('ACK', { id: messages[0]!.headers['ack']! });
    expect(peer.brief()).toEqual(['MESSAGE b']);
  });
});

describe('transactions', () => {
  test.each(versions)(
    '[STOMP-57] [STOMP-58] %s: SENDs wait for COMMIT and leave in order; ABORT drops them',
    async (version) => {
      const { peer } = await connected(version);
      await peer.send('SUBSCRIBE', { id: '0', destination: '/topic/a' });
      await peer.send('BEGIN', { transaction: 't' });
      await peer.send('BEGIN', { transaction: 'u' });
      for (const body of ['1', '2'])
        await peer.send('SEND', { destination: '/topic/a', transaction: 't', receipt: body }, body);
      await peer.send('SEND', { destination: '/topic/a', transaction: 'u' }, 'never');
      await peer.send('SEND', { destination: '/topic/a' }, '0');
      expect(peer.brief()).toEqual(['RECEIPT 1', 'RECEIPT 2', 'MESSAGE 0']);
      await peer.send('COMMIT', { transaction: 't', receipt: 'c' });
      await peer.send('ABORT', { transaction: 'u', receipt: 'a' });
      const frames = peer.take();
      expect(frames.map(({ body, headers }) => body || headers['receipt-id'])).toEqual(['1', '2', 'c', 'a']);
      expect(frames[0]?.headers).not.toHaveProperty('transaction');
    },
  );

  test.each(versions)(
    '[STOMP-56] [STOMP-58] %s: ACKs wait for COMMIT; ABORT leaves the messages unacknowledged',
    async (version) => {
      const { broker, peer } = await connected(version);
      await peer.send('SUBSCRIBE', { id: '0', destination: '/queue/a', ack: 'client' });
      for (const body of ['1', '2', '3']) await peer.send('SEND', { destination: '/queue/a' }, body);
      const messages = peer.take();
      await peer.send('BEGIN', { transaction: 't' });
      await peer.send('ACK', { ...acknowledging(version, messages[0]!), transaction: 't' });
      await peer.send('ACK', { ...acknowledging(version, messages[1]!), transaction: 't' });
      expect(broker.stats().queued).toBe(3);
      await peer.send('ABORT', { transaction: 't' });
      expect(broker.stats().queued).toBe(3);
      await peer.send('BEGIN', { transaction: 't' });
      await peer.send('ACK', { ...acknowledging(version, messages[1]!), transaction: 't' });
      await peer.send('COMMIT', { transaction: 't', receipt: 'c' });
      expect(peer.brief()).toEqual(['RECEIPT c']);
      expect(broker.stats().queued).toBe(1);
    },
  );

  test('[STOMP-58] a COMMIT that cannot be done as a whole does nothing', async () => {
    const { broker, open, peer } = await connected('1.2', { limits: { maxQueueMessages: 2 } });
    await peer.send('BEGIN', { transaction: 't' });
    for (const body of ['1', '2', '3']) await peer.send('SEND', { destination: '/queue/a', transaction: 't' }, body);
    const { code, message } = await refusal(peer, 'COMMIT', { transaction: 't' });
    expect(code).toBe(1013);
    expect(message).toContain('/queue/a is full');
    expect(broker.stats()).toMatchObject({ queues: 0, queued: 0 });
    const next = await open().connect();
    await next.send('SUBSCRIBE', { id: '0', destination: '/queue/a', receipt: 's' });
    expect(next.brief()).toEqual(['RECEIPT s']);
  });

  test.each(versions)(
    '[STOMP-59] %s: DISCONNECT and loss abort what is open; claimed messages go back in order',
    async (version) => {
      for (const lost of [true, false]) {
        const { open, peer } = await connected(version);
        await peer.send('SUBSCRIBE', { id: '0', destination: '/queue/a', ack: 'client' });
        for (const body of ['1', '2', '3']) await peer.send('SEND', { destination: '/queue/a' }, body);
        const messages = peer.take();
        await peer.send('BEGIN', { transaction: 't' });
        await peer.send('ACK', { ...acknowledging(version, messages[1]!), transaction: 't' });
        await peer.send('SEND', { destination: '/queue/a', transaction: 't' }, 'never');
        if (lost) peer.socket.hangUp();
        else await peer.send('DISCONNECT');
        const heir = await open().connect(version);
        await heir.send('SUBSCRIBE', { id: '0', destination: '/queue/a' });
        expect(heir.brief()).toEqual(['MESSAGE 1', 'MESSAGE 2', 'MESSAGE 3']);
      }
    },
  );

  test.each(versions)('[STOMP-57] [STOMP-60] %s: unknown, duplicate and unnamed transactions', async (version) => {
    const duplicate = (await connected(version)).peer;
    await duplicate.send('BEGIN', { transaction: 't' });
    expect((await refusal(duplicate, 'BEGIN', { transaction: 't' })).message).toContain('open already');
    for (const [command, headers] of [
      ['COMMIT', { transaction: 'x' }],
      ['ABORT', { transaction: 'x' }],
      ['SEND', { destination: '/topic/a', transaction: 'x' }],
      ['BEGIN', {}],
      ['COMMIT', {}],
      ['ABORT', {}],
    ] as const) {
      expect((await refusal((await connected(version)).peer, command, headers)).code).toBe(1002);
      const { peer } = await connected(version);
      await peer.send('BEGIN', { transaction: 'other' });
      expect((await refusal(peer, command === 'BEGIN' ? 'ABORT' : command, headers)).code).toBe(1002);
    }
  });

  test('[STOMP-60] an ACK in a transaction that is not open leaves the message where it is', async () => {
    const { broker, peer } = await connected();
    await peer.send('SUBSCRIBE', { id: '0', destination: '/queue/a', ack: 'client' });
    await peer.send('SEND', { destination: '/queue/a' }, 'x');
    const [message] = peer.take();
    expect((await refusal(peer, 'ACK', { id: message!.headers['ack']!, transaction: 'x' })).code).toBe(1002);
    expect(broker.stats().queued).toBe(1);
  });
});

describe('receipts and the end', () => {
  test.each(versions)('[STOMP-61] %s: every frame that asks gets one RECEIPT', async (version) => {
    const { peer } = await connected(version);
    await peer.send('SUBSCRIBE', { id: '0', destination: '/queue/a', ack: 'client', receipt: '1' });
    await peer.send('BEGIN', { transaction: 't', receipt: '2' });
    await peer.send('SEND', { destination: '/queue/a', receipt: '3' }, 'x');
    expect(peer.brief()).toEqual(['RECEIPT 1', 'RECEIPT 2', 'MESSAGE x', 'RECEIPT 3']);
    await peer.send('COMMIT', { transaction: 't', receipt: '4' });
    await peer.send('UNSUBSCRIBE', { id: '0', receipt: '5' });
    await peer.send('DISCONNECT', { receipt: '6' });
    expect(peer.brief()).toEqual(['RECEIPT 4', 'RECEIPT 5', 'RECEIPT 6']);
  });

  test('[STOMP-61] RECEIPTs leave in order, each once its frame was processed', async () => {
    const gate = createGate();
    const { peer } = await connected('1.2', { onSend: () => gate.opened });
    await peer.send('SEND', { destination: '/app/slow', receipt: '1' });
    await peer.send('SEND', { destination: '/topic/a', receipt: '2' });
    await peer.send('BEGIN', { transaction: 't', receipt: '3' });
    expect(peer.connection.session.idle).toBe(false);
    expect(peer.take()).toEqual([]);
    gate.open();
    await peer.raw('\n');
    expect(peer.brief()).toEqual(['RECEIPT 1', 'RECEIPT 2', 'RECEIPT 3']);
    expect(peer.connection.session.idle).toBe(true);
  });

  test('too many outcomes that are awaited: the connection is not read until half of them are there', async () => {
    const gates: (() => void)[] = [];
    const { peer } = await connected('1.2', {
      limits: { maxPending: 2 },
      onSend: () => new Promise<void>((resolve) => gates.push(resolve)),
    });
    for (let n = 1; n <= 4; n++) peer.put('SEND', { destination: '/app/x', receipt: String(n) });
    expect(gates).toHaveLength(2);
    expect(peer.socket.paused).toBe(true);
    gates[0]?.();
    await peer.raw('\n');
    expect(peer.brief()).toEqual(['RECEIPT 1']);
    expect(gates).toHaveLength(3);
    for (const open of gates) open();
    await peer.raw('\n');
    gates[3]?.();
    await peer.raw('\n');
    expect(peer.brief()).toEqual(['RECEIPT 2', 'RECEIPT 3', 'RECEIPT 4']);
    expect(peer.socket.paused).toBe(false);
  });

  test.each(versions)(
    '[STOMP-62] [STOMP-66] [STOMP-68] %s: DISCONNECT waits for what came before, then RECEIPT, flush, 1000',
    async (version) => {
      const gate = createGate();
      const { peer, bus } = await connected(version, { onSend: () => gate.opened });
      const late = recordTopic(bus, 'late');
      await peer.send('SEND', { destination: '/app/slow' });
      await peer.send('DISCONNECT', { receipt: 'bye' });
      await peer.send('SEND', { destination: '/topic/late' });
      expect(peer.take()).toEqual([]);
      expect(peer.closed).toBeUndefined();
      gate.open();
      await peer.raw('\n');
      expect(peer.brief()).toEqual(['RECEIPT bye']);
      expect(late).toEqual([]);
      expect(peer.closed).toEqual({ code: 1000, reason: '' });
    },
  );

  test.each([
    ['authenticate', { authenticate: () => new Promise<never>(() => {}) }],
    ['hosts', { hosts: () => new Promise<never>(() => {}) }],
    ['authorize', { authorize: () => new Promise<never>(() => {}) }],
    ['onSend before DISCONNECT', { onSend: () => new Promise<never>(() => {}) }],
    ['onSend of as many as may be pending', { onSend: () => new Promise<never>(() => {}), limits: { maxPending: 1 } }],
  ] as const)(
    '[STOMP-77] a hook that never answers does not hold a connection for ever: %s',
    async (title, options) => {
      const none = Number.POSITIVE_INFINITY;
      const desk = createStompDesk({ ...options, connection: { pingInterval: none, hookTimeout: none } });
      const peer = desk.open();
      peer.put('CONNECT', { 'accept-version': '1.2', host: 'h' });
      await desk.clock.settle();
      peer.put('SEND', { destination: 'onSend' in options ? '/app/x' : '/topic/x', receipt: '1' });
      if (title.includes('DISCONNECT')) peer.put('DISCONNECT', { receipt: '2' });
      desk.clock.advance(9_980);
      expect(peer.closed).toBeUndefined();
      desk.clock.advance(40);
      expect(peer.brief().at(-1)).toMatch(/^ERROR Unavailable[:,] the application has not answered within 10000 ms$/);
      expect(peer.closed?.code).toBe(1013);
    },
  );

  test('[STOMP-77] an answer that took its time starts no clock for the next one', async () => {
    const gate = createGate();
    const desk = await connected('1.2', {
      authorize: () => gate.opened.then(() => true),
      connection: { pingInterval: Number.POSITIVE_INFINITY },
    });
    await desk.peer.send('SEND', { destination: '/topic/a', receipt: '1' });
    desk.clock.advance(8_000);
    gate.open();
    await desk.peer.raw('\n');
    desk.clock.advance(60_000);
    expect(desk.peer.brief()).toEqual(['RECEIPT 1']);
    expect(desk.peer.closed).toBeUndefined();
  });

  test('RECEIPTs that wait for an earlier one are bounded, whatever their frames are', async () => {
    const gate = createGate();
    const { peer } = await connected('1.2', { limits: { maxPending: 3 }, onSend: () => gate.opened });
    peer.put('SEND', { destination: '/app/x', receipt: '0' });
    for (let n = 1; n < 9; n++) peer.put(n % 2 ? 'BEGIN' : 'ABORT', { transaction: 't', receipt: String(n) });
    expect(peer.socket.paused).toBe(true);
    gate.open();
    await peer.raw('\n');
    expect(peer.brief()).toEqual(Array.from({ length: 9 }, (_, n) => `RECEIPT ${n}`));
    expect(peer.socket.paused).toBe(false);
  });

  test('[STOMP-62] what was sent right before a loss is still processed', async () => {
    const { broker, bus, peer } = await connected();
    const got = recordTopic(bus, 'a');
    peer.put('SEND', { destination: '/topic/a' }, '1');
    peer.put('SEND', { destination: '/queue/a' }, '2');
    peer.socket.hangUp();
    expect(got).toEqual(['1']);
    expect(broker.stats().queued).toBe(1);
  });

  test('[STOMP-62] [STOMP-77] also while the application thinks, for hookTimeout at most; the queue gives nothing to who is gone', async () => {
    const gate = createGate();
    const pending = gate.opened.then(() => true);
    const desk = await connected('1.2', {
      authorize: ({ headers }) => (headers.has('slow') ? pending : headers.has('stuck') ? new Promise(() => {}) : true),
      connection: { pingInterval: Number.POSITIVE_INFINITY },
    });
    const { broker, bus, clock, peer } = desk;
    const got = recordTopic(bus, 'a');
    peer.put('SUBSCRIBE', { id: '0', destination: '/queue/a', ack: 'client' });
    peer.put('SEND', { destination: '/topic/a', slow: 'yes' }, '1');
    peer.put('SEND', { destination: '/queue/a' }, '2');
    peer.put('SEND', { destination: '/topic/a', stuck: 'yes' }, '3');
    peer.put('SEND', { destination: '/topic/a' }, '4');
    peer.socket.hangUp();
    await broker.send('/queue/a', '0');
    expect([got, broker.stats().queued, peer.take()]).toEqual([[], 1, []]);
    gate.open();
    await clock.settle();
    expect([got, broker.stats().queued]).toEqual([['1'], 2]);
    clock.advance(30_010);
    expect([got, peer.take()]).toEqual([['1'], []]);
    const other = await desk.open().connect();
    await other.send('SUBSCRIBE', { id: '0', destination: '/queue/a' });
    expect(other.brief()).toEqual(['MESSAGE 0', 'MESSAGE 2']);
  });

  test('[STOMP-53] a client that closes its half counts as lost: what it had was delivered to it', async () => {
    const { broker, open, peer } = await connected('1.2', {
      limits: { maxDeliveries: 1 },
      deadLetter: '/queue/dead',
      authorize: openAll,
    });
    await peer.send('SUBSCRIBE', { id: '0', destination: '/queue/a', ack: 'client' });
    await broker.send('/queue/a', 'poison');
    await peer.raw('\n');
    peer.connection.ended();
    peer.connection.ended();
    expect(peer.closed).toEqual({ code: 1000, reason: '' });
    const heir = await open().connect();
    await heir.send('SUBSCRIBE', { id: '0', destination: '/queue/dead' });
    expect(heir.brief()).toEqual(['MESSAGE poison']);
  });

  test('a client that closes its half before CONNECT, or behind DISCONNECT, is asked for nothing', async () => {
    const gate = createGate();
    const { open, peer } = await connected('1.2', { onSend: () => gate.opened });
    const stranger = open();
    stranger.connection.ended();
    expect(stranger.closed?.code).toBe(1000);
    peer.put('SEND', { destination: '/app/x' });
    peer.put('DISCONNECT', { receipt: 'bye' });
    peer.connection.ended();
    expect(peer.closed).toBeUndefined();
    gate.open();
    await peer.raw('\n');
    expect(peer.brief()).toEqual(['RECEIPT bye']);
  });

  test('DISCONNECT without a receipt just ends it', async () => {
    const { peer } = await connected();
    await peer.send('DISCONNECT');
    expect(peer.take()).toEqual([]);
    expect(peer.closed?.code).toBe(1000);
  });

  test('[STOMP-63] an outcome that fails later: ERROR with the receipt of its frame', async () => {
    const { peer } = await connected('1.2', {
      onSend: async () => {
        throw new Error('a bug with a secret');
      },
    });
    peer.put('SEND', { destination: '/app/x', receipt: 'one' });
    await peer.send('SEND', { destination: '/topic/a', receipt: 'two' });
    expect(peer.take()).toMatchObject([
      { command: 'ERROR', headers: { 'receipt-id': 'one', message: 'Internal error' } },
    ]);
    expect(peer.closed?.code).toBe(1011);
    expect(peer.reported).toHaveLength(1);
  });

  test('the server leaves: pending receipts are finished, then ERROR and 1001', async () => {
    const gate = createGate();
    const { peer, broker } = await connected('1.2', { onSend: () => gate.opened });
    await peer.send('SEND', { destination: '/app/x', receipt: '1' });
    peer.connection.drain();
    await broker.send('/queue/a', 'for the next server');
    expect(peer.connection.session.idle).toBe(false);
    gate.open();
    await peer.raw('\n');
    expect(peer.brief()).toEqual(['RECEIPT 1']);
    expect(peer.connection.session.idle).toBe(true);
    peer.connection.leave('', false);
    expect(peer.brief()).toEqual(['ERROR Going away']);
    expect(peer.closed?.code).toBe(1001);
    expect(broker.stats().queued).toBe(1);
  });
});

describe('authorize', () => {
  test('frames wait for an answer that takes time, and happen in their order', async () => {
    const gates = new Map<string, (verdict: boolean) => void>();
    const { bus, peer } = await connected('1.2', {
      authorize: ({ destination }) => new Promise((resolve) => gates.set(destination, resolve)),
    });
    const got: string[] = [];
    bus.listen('**', ({ topic }) => got.push(topic));
    peer.put('SEND', { destination: '/topic/a', receipt: '1' });
    peer.put('SEND', { destination: '/topic/b', receipt: '2' });
    expect([...gates.keys()]).toEqual(['/topic/a']);
    gates.get('/topic/a')?.(true);
    await peer.raw('\n');
    expect([...gates.keys()]).toEqual(['/topic/a', '/topic/b']);
    expect(peer.brief()).toEqual(['RECEIPT 1']);
    gates.get('/topic/b')?.(false);
    await peer.raw('\n');
    expect(peer.take()).toMatchObject([{ command: 'ERROR', headers: { 'receipt-id': '2' } }]);
    expect(peer.closed?.code).toBe(1008);
    expect(got).toEqual(['a']);
  });

  test('a hook that rejects is our fault, with the receipt of the frame', async () => {
    const { peer } = await connected('1.2', { authorize: async () => Promise.reject(new Error('down')) });
    expect(await refusal(peer, 'SUBSCRIBE', { id: '0', destination: '/topic/a' })).toMatchObject({
      code: 1011,
      message: 'Internal error',
    });
    expect(peer.reported).toHaveLength(1);
  });
});

describe('reply queues', () => {
  test('a temporary queue in reply-to comes to life with the SEND, and answers reach only its owner', async () => {
    const { open, peer } = await connected();
    const service = await open().connect('1.1');
    await service.send('SUBSCRIBE', { id: '0', destination: '/queue/service' });
    const ask = { destination: '/queue/service', 'reply-to': '/temp-queue/answers' };
    await peer.send('SEND', { ...ask, 'correlation-id': '1' }, 'how much?');
    await peer.send('SEND', { ...ask, 'correlation-id': '2' }, 'and now?');
    const questions = service.take();
    const address = questions[0]?.headers['reply-to'];
    expect(address).toMatch(/^\/reply-queue\/.{36}\/answers$/);
    expect(questions[1]?.headers['reply-to']).toBe(address);
    await service.send('SEND', { destination: address!, 'correlation-id': '1' }, '42');
    expect(peer.take()).toMatchObject([
      { command: 'MESSAGE', body: '42', headers: { subscription: '/temp-queue/answers', destination: address } },
    ]);
    expect(service.take()).toEqual([]);
  });

  test("the client's own subscription takes the place of the one that came by itself; any other reply-to is left as it is", async () => {
    const { bus, peer } = await connected('1.2', { authenticate: () => ({ name: 'ann' }) });
    await peer.send('SUBSCRIBE', { id: 'q', destination: '/queue/service' });
    await peer.send('SEND', { destination: '/queue/service', 'reply-to': '/temp-queue/a' });
    await peer.send('SUBSCRIBE', { id: 'own', destination: '/temp-queue/a' });
    expect(bus.stats().listeners).toBe(1);
    await peer.send('SEND', { destination: '/queue/service', 'reply-to': '/temp-queue/a' });
    await peer.send('SEND', { destination: '/queue/service', 'reply-to': '/topic/a' });
    const [first, , last] = peer.take();
    expect(last?.headers['reply-to']).toBe('/topic/a');
    await peer.send('SEND', { destination: first!.headers['reply-to']! }, 'x');
    expect(peer.take()).toMatchObject([{ headers: { subscription: 'own' } }]);
    await peer.send('SUBSCRIBE', { id: 'u', destination: '/user/queue/a' });
    await peer.send('SEND', { destination: '/user/ann/queue/a' }, 'for ann');
    expect(peer.take()).toMatchObject([{ headers: { destination: '/user/queue/a', subscription: 'u' } }]);
  });
});

test('who has no name is known by the session, in /user/ destinations', async () => {
  const { broker, peer } = await connected();
  await peer.send('SUBSCRIBE', { id: '0', destination: '/user/queue/a' });
  const { session } = peer.connection.session as StompSession;
  await broker.send(`/user/${session}/queue/a`, 'x');
  await peer.raw('\n');
  expect(peer.brief()).toEqual(['MESSAGE x']);
});

test('queues wait while the socket takes nothing, and go on when it does', async () => {
  const { broker, peer } = await connected();
  await peer.send('SUBSCRIBE', { id: '0', destination: '/queue/a' });
  peer.socket.bufferedAmount = 600_000;
  await broker.send('/queue/a', 'later');
  expect(broker.stats().queued).toBe(1);
  peer.socket.bufferedAmount = 0;
  peer.connection.drained();
  await peer.raw('\n');
  expect(peer.brief()).toEqual(['MESSAGE later']);
  expect(broker.stats().queued).toBe(0);
});

test('[STOMP-88] frames of one read are worked off in shares, in their order, and others have a turn between them', async () => {
  const desk = createStompDesk();
  const peer = await desk.open().connect();
  const honest = await desk.open().connect();
  const got: string[] = [];
  desk.bus.listen('**', ({ topic, body }) => got.push(`${topic}${topic === 'flood' ? '' : String(body)}`));
  const frames = Array.from({ length: 2_000 }, (_, n) => `SEND\ndestination:/topic/flood\nreceipt:${n}\n\n${n}\0`);
  peer.connection.received(encodeUtf8(frames.join('')));
  honest.put('SEND', { destination: '/topic/honest' }, 'x');
  const before = got.filter((topic) => topic === 'flood').length;
  expect(before).toBeLessThan(1_000);
  for (let turn = 0; turn < 20; turn++) await peer.raw('\n');
  expect(got.filter((topic) => topic === 'flood')).toHaveLength(2_000);
  expect(peer.brief()).toEqual(frames.map((_, n) => `RECEIPT ${n}`));
});
