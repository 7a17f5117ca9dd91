import { describe, expect, test } from 'vitest';
import { type Bus, createBus } from '../../../src/bus/bus.ts';
import { topic } from '../../../src/bus/topic.ts';
import { ProtocolError } from '../../../src/core/fault.ts';
import { encodeUtf8 } from '../../../src/core/wire.ts';
import { type Version, versions } from '../../../src/stomp/protocol/versions.ts';
import { createGate } from '../../support/gate.ts';
import { openBus } from '../../support/open-bus.ts';
import { createStompDesk, openAll, type StompDeskOptions } from '../../support/stomp-desk.ts';

async function connected(options: StompDeskOptions = {}, version: Version = '1.2') {
  const desk = createStompDesk(options);
  return { ...desk, peer: await desk.open().connect(version) };
}

describe('topics', () => {
  test('one tail for all subscribers of a version, whatever the number of subscriptions', async () => {
    const { bus, open, peer } = await connected();
    const other = await open().connect();
    await peer.send('SUBSCRIBE', { id: '0', destination: '/topic/a' });
    await peer.send('SUBSCRIBE', { id: '1', destination: '/topic/a', ack: 'client' });
    await other.send('SUBSCRIBE', { id: '0', destination: '/topic/a' });
    await bus.publish('a', encodeUtf8('hello'));
    await peer.raw('\n');
    const tails = [peer, other].flatMap(({ socket }) => socket.writes.flat().slice(1));
    expect(tails).toHaveLength(3);
    expect(new Set(tails.map(({ tail }) => tail)).size).toBe(1);
    expect(tails[0]?.head).toBe('MESSAGE\nsubscription:0\n');
  });

  test.each([
    ['/topic/prices.*', ['prices.eur']],
    ['/topic/prices.**', ['prices', 'prices.eur', 'prices.eur.spot']],
    ['/topic/prices.#', ['prices', 'prices.eur', 'prices.eur.spot']],
    ['/topic/prices.>', ['prices', 'prices.eur', 'prices.eur.spot']],
    ['/topic/#', ['prices', 'prices.eur', 'prices.eur.spot', 'other']],
  ])('the wildcard %s', async (destination, expected) => {
    const { bus, peer } = await connected();
    await peer.send('SUBSCRIBE', { id: '0', destination });
    for (const name of ['prices', 'prices.eur', 'prices.eur.spot', 'other']) await bus.publish(name, encodeUtf8(name));
    await peer.raw('\n');
    expect(peer.take().map(({ body }) => body)).toEqual(expected);
  });

  test.each([
    ['SUBSCRIBE', '/topic/a.**.b', 1002],
    ['SEND', '/topic/a.*', 1002],
    ['SEND', '/topic/$user/ann/queue/a', 1008],
    ['SUBSCRIBE', '/topic/$user/ann/queue/a', 1008],
    ['SEND', '/topic/', 1008],
    ['SUBSCRIBE', '/elsewhere', 1008],
    ['SEND', '/topic/a\u0001', 1002],
    ['SEND', '/temp-queue/a', 1008],
    ['SEND', '/user/ann', 1002],
    ['SEND', '/user/ann/', 1002],
    ['SEND', '/user/%zz/queue/a', 1002],
    ['SEND', '/app/x', 1008],
    ['SUBSCRIBE', '/app/x', 1008],
  ])('%s to %s closes with %d', async (command, destination, code) => {
    const { peer } = await connected();
    await peer.send(command, { id: '0', destination });
    expect(peer.brief()).toEqual([expect.stringMatching(/^ERROR /)]);
    expect(peer.closed?.code).toBe(code);
  });

  test.each([
    ['none', false, false],
    ['read', true, false],
    ['write', false, true],
    ['readwrite', true, true],
  ] as const)('[BUS-1] a typed topic with clients: %s', async (clients, mayRead, mayWrite) => {
    const name = `typed-${clients}`;
    const { open } = createStompDesk({ bus: createBus({ topics: [topic(name, { clients })] }) });
    const reader = await open().connect();
    await reader.send('SUBSCRIBE', { id: '0', destination: `/topic/${name}`, receipt: '1' });
    const refused = (what: string): string => `ERROR Forbidden: ${what} to /topic/${name} is not allowed`;
    expect(reader.brief()[0]).toMatch(mayRead ? 'RECEIPT 1' : refused('SUBSCRIBE'));
    const writer = await open().connect();
    await writer.send('SEND', { destination: `/topic/${name}`, receipt: '1' }, '{}');
    expect(writer.brief()[0]).toMatch(mayWrite ? 'RECEIPT 1' : refused('SEND'));
  });

  test('a SEND to a typed topic is its value, and publishing to it is a MESSAGE', async () => {
    const prices = topic<{ price: number }>('typed-prices', { clients: 'readwrite' });
    const { bus, peer } = await connected();
    bus.declare(prices);
    const values = bus.subscribe(prices);
    await peer.send('SUBSCRIBE', { id: '0', destination: '/topic/typed-prices' });
    await peer.send('SEND', { destination: '/topic/typed-prices' }, '{"price":1}');
    expect((await values.next()).value).toEqual({ price: 1 });
    await bus.publish(prices, { price: 2 });
    await peer.raw('\n');
    expect(peer.take()[1]).toMatchObject({ body: '{"price":2}', headers: { 'content-type': 'application/json' } });
    await values.return();
  });

  test('authorize decides before the typed topic, and undefined leaves it to the topic', async () => {
    const verdicts: Record<string, boolean | undefined> = { '/topic/typed-closed': true, '/topic/open': false };
    const { bus, open } = createStompDesk({ authorize: ({ destination }) => verdicts[destination] });
    bus.declare('typed-closed');
    const peer = await open().connect();
    await peer.send('SUBSCRIBE', { id: '0', destination: '/topic/typed-closed' });
    await peer.send('SUBSCRIBE', { id: '1', destination: '/topic/unknown', receipt: '1' });
    expect(peer.brief()).toEqual(['RECEIPT 1']);
    await peer.send('SEND', { destination: '/topic/open' });
    expect(peer.closed?.code).toBe(1008);
  });

  test.each([[{ allowed: false }], ['false'], [1], [null]])(
    '[STOMP-80] authorize that answers %j, which is not true, lets nobody in',
    async (answer) => {
      for (const verdict of [answer, Promise.resolve(answer)]) {
        const wild = (destination: string): unknown => (destination.includes('*') ? true : verdict);
        const { bus, open } = createStompDesk({ authorize: ({ destination }) => wild(destination) as boolean });
        const peer = await open().connect();
        await peer.send('SUBSCRIBE', { id: '0', destination: '/topic/typed-truthy.*' });
        await bus.publish('typed-truthy.open', encodeUtf8('{}'));
        await peer.raw('\n');
        expect(peer.take()).toEqual([]);
        await peer.send('SEND', { destination: '/topic/typed-truthy.open' });
        expect(peer.closed?.code).toBe(1008);
      }
    },
  );

  test('authorize is told who asks for what, and may answer with any thenable', async () => {
    const asked: unknown[] = [];
    const { open } = createStompDesk({
      authenticate: () => ({ name: 'ann' }),
      authorize: ({ command, destination, principal, headers, session, handshake }) => {
        asked.push([command, destination, principal?.name, headers.get('own'), session.length, handshake.url]);
        // biome-ignore lint/suspicious/noThenProperty: that is what a query builder looks like
        return { then: (resolve: (verdict: undefined) => void) => resolve(undefined) } as unknown as Promise<undefined>;
      },
    });
    const peer = await open().connect();
    await peer.send('SEND', { destination: '/topic/a', own: 'x', receipt: '1' });
    expect(peer.brief()).toEqual(['RECEIPT 1']);
    expect(asked).toEqual([['SEND', '/topic/a', 'ann', 'x', 36, '/ws']]);
  });

  test.each(versions)(
    '[STOMP-79] %s: what the application publishes with a NUL in a header loses that header',
    async (version) => {
      const { bus, peer } = await connected({}, version);
      await peer.send('SUBSCRIBE', { id: '0', destination: '/topic/a' });
      const headers = new Map([
        ['x', 'a\0ERROR'],
        ['kept', '1'],
      ]);
      await bus.publish('a', encodeUtf8('a'), { headers, contentType: 'text/\0plain' });
      await peer.raw('\n');
      const frames = peer.take();
      expect(frames.map(({ body }) => body)).toEqual(['a']);
      expect(frames.map((frame) => frame.headers['kept'])).toEqual(['1']);
      for (const frame of frames) expect(JSON.stringify(frame.headers)).not.toContain('\\u0000');
      expect(frames[0]?.headers).not.toHaveProperty('content-type');
    },
  );

  test('[STOMP-82] wildcard subscribers get no topic that they could not read by its name', async () => {
    const { bus, broker, peer } = await connected();
    bus.declare('secret.typed');
    await peer.send('SUBSCRIBE', { id: '0', destination: '/topic/**' });
    await broker.send('/user/ann/queue/a', 'private');
    for (const name of ['secret.typed', 'public']) await bus.publish(name, encodeUtf8(name));
    await peer.raw('\n');
    expect(peer.brief()).toEqual(['MESSAGE public']);
  });

  test('wildcard subscribers with authorize: asked once per topic, messages wait for the answer', async () => {
    const asked: string[] = [];
    const gates = new Map<string, (verdict: boolean) => void>();
    const { bus, peer } = await connected({
      authorize: ({ destination }) => {
        asked.push(destination);
        if (destination.includes('*')) return true;
        if (destination === '/topic/fast') return true;
        if (destination === '/topic/closed') return false;
        return new Promise((resolve) => gates.set(destination, resolve));
      },
    });
    await peer.send('SUBSCRIBE', { id: '0', destination: '/topic/**' });
    for (const name of ['fast', 'slow', 'slow', 'closed', 'fast', 'closed']) await bus.publish(name, encodeUtf8(name));
    await peer.raw('\n');
    expect(peer.brief()).toEqual(['MESSAGE fast', 'MESSAGE fast']);
    gates.get('/topic/slow')?.(true);
    await peer.raw('\n');
    expect(peer.brief()).toEqual(['MESSAGE slow', 'MESSAGE slow']);
    expect(asked).toEqual(['/topic/**', '/topic/fast', '/topic/slow', '/topic/closed']);
  });

  test.each([
    ['a fault', new ProtocolError('unavailable', 'database is away'), 'ERROR Unavailable: database is away', 1013, 0],
    ['any other error', new Error('down'), 'ERROR Internal error', 1011, 1],
  ] as const)(
    '[CONN-25] authorize that fails for a topic of a wildcard ends the connection by %s',
    async (_, error, words, code, reported) => {
      for (const fail of [
        () => Promise.reject(error),
        () => {
          throw error;
        },
      ]) {
        const unheard: unknown[] = [];
        const { bus, peer } = await connected({
          bus: openBus({ onError: (bug) => unheard.push(bug) }),
          authorize: ({ destination }) => destination !== '/topic/a' || fail(),
        });
        await peer.send('SUBSCRIBE', { id: '0', destination: '/topic/*' });
        for (const name of ['b', 'a', 'a']) await bus.publish(name, encodeUtf8(name));
        await peer.raw('\n');
        expect(peer.brief()).toEqual(['MESSAGE b', words]);
        expect([peer.closed?.code, peer.reported.length, unheard]).toEqual([code, reported, []]);
      }
    },
  );

  test('[STOMP-50] authorize that fails after UNSUBSCRIBE is reported, and ends nothing', async () => {
    const gate = createGate();
    const { bus, peer } = await connected({
      authorize: ({ destination }) =>
        destination !== '/topic/slow' || gate.opened.then(() => Promise.reject(new Error('down'))),
    });
    await peer.send('SUBSCRIBE', { id: '0', destination: '/topic/*' });
    await bus.publish('slow', encodeUtf8('x'));
    await peer.send('UNSUBSCRIBE', { id: '0', receipt: '1' });
    gate.open();
    await peer.raw('\n');
    expect(peer.brief()).toEqual(['RECEIPT 1']);
    expect([peer.closed, peer.reported.map(String)]).toEqual([undefined, ['Error: down']]);
  });

  test('the order of a topic stays while authorize is asked about many others', async () => {
    const gates: ((verdict: boolean) => void)[] = [];
    const { bus, peer } = await connected({
      limits: { maxBacklog: 3 },
      authorize: ({ destination }) => destination !== '/topic/a' || new Promise((resolve) => gates.push(resolve)),
    });
    await peer.send('SUBSCRIBE', { id: '0', destination: '/topic/*' });
    for (const body of ['a first', 'b', 'c', 'd', 'e', 'a second']) {
      await bus.publish(body.slice(0, 1), encodeUtf8(body));
    }
    for (const decide of gates.reverse()) {
      decide(true);
      await peer.raw('\n');
    }
    expect(peer.take().map(({ body }) => body)).toEqual(['b', 'c', 'd', 'e', 'a first', 'a second']);
    expect(gates).toHaveLength(1);
  });

  test('[STOMP-50] an answer of authorize that comes after UNSUBSCRIBE changes nothing', async () => {
    let decide = (_verdict: boolean): void => {};
    const { bus, peer } = await connected({
      authorize: ({ destination }) =>
        destination !== '/topic/slow' ||
        new Promise((resolve) => {
          decide = resolve;
        }),
    });
    await peer.send('SUBSCRIBE', { id: '0', destination: '/topic/*' });
    await bus.publish('slow', encodeUtf8('x'));
    await peer.send('UNSUBSCRIBE', { id: '0' });
    decide(true);
    await peer.raw('\n');
    expect(peer.take()).toEqual([]);
  });

  test('what authorize said of topics, and what waits for it, is bounded', async () => {
    const { bus, peer } = await connected({
      limits: { maxBacklog: 2 },
      authorize: ({ destination }) => destination !== '/topic/slow' || new Promise(() => {}),
    });
    await peer.send('SUBSCRIBE', { id: '0', destination: '/topic/**' });
    for (const name of ['a', 'b', 'c', 'slow', 'slow']) await bus.publish(name, encodeUtf8(name));
    await peer.raw('\n');
    expect(peer.brief()).toEqual(['MESSAGE a', 'MESSAGE b', 'MESSAGE c']);
    await bus.publish('slow', encodeUtf8('slow'));
    expect(peer.closed?.code).toBe(1013);
  });

  test('ack modes pace a topic: the rest waits, ACK or NACK lets it go on, nothing comes twice', async () => {
    const { bus, peer } = await connected();
    await peer.send('SUBSCRIBE', { id: '0', destination: '/topic/a', ack: 'client', 'prefetch-count': '2' });
    for (const body of ['1', '2', '3', '4']) await bus.publish('a', encodeUtf8(body));
    await peer.raw('\n');
    const first = peer.take();
    expect(first.map(({ body }) => body)).toEqual(['1', '2']);
    await peer.send('NACK', { id: first[0]!.headers['ack']! });
    expect(peer.brief()).toEqual(['MESSAGE 3']);
    await peer.send('ACK', { id: first[1]!.headers['ack']! });
    expect(peer.brief()).toEqual(['MESSAGE 4']);
  });
});

describe('slow subscribers of topics', () => {
  async function slow(policy: 'disconnect' | 'dropOldest' | 'latest', names: readonly string[]) {
    const desk = await connected({ slowSubscriber: policy, limits: { maxBacklog: 2 } });
    const quick = await desk.open().connect();
    await desk.peer.send('SUBSCRIBE', { id: '0', destination: '/topic/*' });
    await quick.send('SUBSCRIBE', { id: '0', destination: '/topic/*' });
    desk.peer.socket.bufferedAmount = 600_000;
    for (const [index, name] of names.entries()) await desk.bus.publish(name, encodeUtf8(`${name}${index}`));
    await quick.raw('\n');
    expect(quick.take()).toHaveLength(names.length);
    const before = desk.peer.take().length;
    desk.peer.socket.bufferedAmount = 0;
    desk.peer.connection.drained();
    await desk.peer.raw('\n');
    return { before, after: desk.peer.take().map(({ body }) => body), peer: desk.peer };
  }

  test('dropOldest keeps the last ones', async () => {
    expect(await slow('dropOldest', ['a', 'a', 'a', 'a'])).toMatchObject({ before: 0, after: ['a2', 'a3'] });
  });

  test('latest keeps the last one of each topic, in the order of their last messages', async () => {
    expect(await slow('latest', ['a', 'b', 'a', 'a'])).toMatchObject({ before: 0, after: ['b1', 'a3'] });
  });

  test('disconnect: over the high-water mark the core cuts who takes nothing with 1013, the others go on', async () => {
    const { bus, open, peer, clock } = await connected();
    const quick = await open().connect();
    for (const each of [peer, quick]) await each.send('SUBSCRIBE', { id: '0', destination: '/topic/a' });
    peer.socket.bufferedAmount = 2_000_000;
    await bus.publish('a', encodeUtf8('x'));
    await quick.raw('\n');
    clock.advance(30_100);
    peer.socket.peerReads(2_000_000);
    expect(peer.closed?.code).toBe(1013);
    expect(quick.brief()).toEqual(['MESSAGE x']);
  });

  test('a backlog for missing ACKs has an end: 1013', async () => {
    const { bus, peer } = await connected({ limits: { maxBacklog: 2 } });
    await peer.send('SUBSCRIBE', { id: '0', destination: '/topic/a', ack: 'client', 'prefetch-count': '1' });
    for (const body of ['1', '2', '3', '4']) await bus.publish('a', encodeUtf8(body));
    expect(peer.closed?.code).toBe(1013);
  });
});

describe('queues', () => {
  test('competing consumers take turns; a message stays until it is consumed', async () => {
    const { broker, open, peer } = await connected();
    await broker.send('/queue/a', '0');
    const consumers = [peer, await open().connect('1.1'), await open().connect('1.0')];
    for (const [index, each] of consumers.entries())
      await each.send('SUBSCRIBE', { id: String(index), destination: '/queue/a' });
    for (let n = 1; n <= 5; n++) await broker.send('/queue/a', String(n));
    await peer.raw('\n');
    expect(consumers.map((each) => each.take().map(({ body }) => body))).toEqual([
      ['0', '3'],
      ['1', '4'],
      ['2', '5'],
    ]);
    expect(broker.stats()).toMatchObject({ queues: 1, queued: 0 });
  });

  test('prefetch-count: no more than that many wait for their ACK; who has room gets the rest', async () => {
    const { broker, open, peer } = await connected();
    const other = await open().connect();
    await peer.send('SUBSCRIBE', { id: '0', destination: '/queue/a', ack: 'client', 'prefetch-count': '1' });
    await other.send('SUBSCRIBE', { id: '0', destination: '/queue/a', ack: 'client', 'prefetch-count': '2' });
    for (let n = 1; n <= 5; n++) await broker.send('/queue/a', String(n));
    await peer.raw('\n');
    const [first] = peer.take();
    expect(other.brief()).toEqual(['MESSAGE 2', 'MESSAGE 3']);
    await peer.send('ACK', { id: first!.headers['ack']! });
    expect(peer.brief()).toEqual(['MESSAGE 4']);
    expect(broker.stats().queued).toBe(4);
  });

  test('bounded in messages, bytes and number: the SEND gets an ERROR that says so', async () => {
    for (const limits of [{ maxQueueMessages: 1 }, { maxQueueBytes: 503 }, { maxQueues: 1 }]) {
      const { broker, peer } = await connected({ limits });
      await peer.send('SEND', { destination: '/queue/a', receipt: '1' }, 'ab');
      await peer.send('SEND', { destination: 'maxQueues' in limits ? '/queue/b' : '/queue/a', receipt: '2' }, 'cd');
      expect(peer.brief()).toEqual(['RECEIPT 1', expect.stringMatching(/is full|more than 1 queues/)]);
      expect(peer.closed?.code).toBe(1013);
      if (!('maxQueues' in limits)) await expect(broker.send('/queue/a', 'ef')).rejects.toThrow(ProtocolError);
    }
  });

  test('a long queue keeps its order', async () => {
    const { broker, peer } = await connected();
    for (let n = 0; n < 200; n++) await broker.send('/queue/a', String(n));
    await peer.send('SUBSCRIBE', { id: '0', destination: '/queue/a', ack: 'client', 'prefetch-count': '7' });
    const got: string[] = [];
    for (let frames = peer.take(); frames.length > 0; frames = peer.take()) {
      got.push(...frames.map(({ body }) => body));
      await peer.send('ACK', { id: frames.at(-1)!.headers['ack']! });
    }
    expect(got).toEqual(Array.from({ length: 200 }, (_, n) => String(n)));
  });

  test.each(versions)('%s: what several consumers give back stands at the head, in its old order', async (version) => {
    const { broker, open, peer } = await connected({}, version);
    const other = await open().connect(version);
    for (const each of [peer, other])
      await each.send('SUBSCRIBE', { id: '0', destination: '/queue/a', ack: 'client', 'prefetch-count': '2' });
    for (let n = 1; n <= 6; n++) await broker.send('/queue/a', String(n));
    const heir = await open().connect(version);
    await other.send('DISCONNECT');
    peer.socket.hangUp();
    await heir.send('SUBSCRIBE', { id: '0', destination: '/queue/a' });
    const got = heir.take();
    expect(got.map(({ body }) => body)).toEqual(['1', '2', '3', '4', '5', '6']);
    expect(got.map(({ headers }) => headers['redelivered'])).toEqual([
      'true',
      'true',
      'true',
      'true',
      undefined,
      undefined,
    ]);
  });

  test('a message that is put back too often goes to the dead-letter queue and says where it was', async () => {
    const { broker, open, peer } = await connected({
      limits: { maxDeliveries: 2 },
      deadLetter: '/queue/dead',
      authorize: openAll,
    });
    await peer.send('SUBSCRIBE', { id: '0', destination: '/queue/a', ack: 'client' });
    await peer.send('SEND', { destination: '/queue/a', own: 'x' }, 'poison');
    for (let round = 0; round < 2; round++) await peer.send('NACK', { id: peer.take()[0]!.headers['ack']! });
    expect(peer.take()).toEqual([]);
    expect(broker.stats()).toMatchObject({ deadLettered: 1, queued: 1 });
    const undertaker = await open().connect();
    await undertaker.send('SUBSCRIBE', { id: '0', destination: '/queue/dead', ack: 'client' });
    const [dead] = undertaker.take();
    expect(dead).toMatchObject({
      body: 'poison',
      headers: { own: 'x', 'original-destination': '/queue/a', 'delivery-count': '2' },
    });
    let again = dead!;
    for (let round = 0; round < 5; round++) {
      await undertaker.send('NACK', { id: again.headers['ack']! });
      again = undertaker.take()[0]!;
    }
    expect(again.body).toBe('poison');
  });

  test('a dead letter that finds no room is counted', async () => {
    const { broker, peer } = await connected({ limits: { maxDeliveries: 1, maxQueues: 1 } });
    await peer.send('SUBSCRIBE', { id: '0', destination: '/queue/a', ack: 'client' });
    await peer.send('SEND', { destination: '/queue/a' }, 'poison');
    await peer.send('NACK', { id: peer.take()[0]!.headers['ack']! });
    expect(broker.stats()).toMatchObject({ deadLettered: 0, dropped: 1, queued: 0 });
  });
});

describe('users', () => {
  test('SEND to a user reaches all connections of that user and nobody else, whatever the name', async () => {
    const names = ['ann', 'a/b', '*', '**', 'a.b', 'ann%', 'é'];
    for (const name of names) {
      const { open } = createStompDesk({ authenticate: ({ login }) => ({ name: login }), authorize: openAll });
      const own = await Promise.all([1, 2].map(() => open().connect('1.2', { login: name })));
      const other = await open().connect('1.2', { login: 'bob' });
      for (const each of [...own, other]) await each.send('SUBSCRIBE', { id: '0', destination: '/user/queue/a*%' });
      await other.send('SEND', { destination: `/user/${encodeURIComponent(name)}/queue/a*%` }, name);
      for (const each of own) {
        expect(each.take()).toMatchObject([{ body: name, headers: { destination: '/user/queue/a*%' } }]);
      }
      expect(other.take()).toEqual([]);
    }
  });

  test('without a name the session is the name', async () => {
    const { open } = createStompDesk();
    const peer = open();
    await peer.send('CONNECT', { 'accept-version': '1.2' });
    const session = peer.take()[0]!.headers['session']!;
    await peer.send('SUBSCRIBE', { id: '0', destination: '/user/queue/a' });
    await peer.send('SEND', { destination: `/user/${session}/queue/a` }, 'x');
    expect(peer.brief()).toEqual(['MESSAGE x']);
  });
});

describe('the application', () => {
  test('[STOMP-78] an answer goes nowhere where the client could not have sent it itself', async () => {
    for (const replyTo of ['/topic/closed-to-replies', '/queue/closed']) {
      const asked: string[] = [];
      const { broker, bus, peer } = await connected({
        onSend: () => ({ body: 'an answer' }),
        authorize: ({ command, destination }) => {
          asked.push(`${command} ${destination}`);
          return destination === '/queue/closed' ? false : undefined;
        },
      });
      bus.declare('closed-to-replies');
      const heard: string[] = [];
      bus.listen('closed-to-replies', ({ body }) => heard.push(String(body)));
      await peer.send('SEND', { destination: '/app/x', 'reply-to': '/temp-queue/r' });
      expect(peer.brief()).toEqual(['MESSAGE an answer']);
      await peer.send('SEND', { destination: '/app/x', 'reply-to': '/queue/open' });
      await peer.send('SEND', { destination: '/app/x', 'reply-to': replyTo });
      expect(peer.brief()).toEqual([expect.stringMatching(`^ERROR Forbidden: reply-to ${replyTo} is not allowed`)]);
      expect(asked).toEqual(['/app/x', '/app/x', '/queue/open', '/app/x', replyTo].map((each) => `SEND ${each}`));
      expect([heard, broker.stats().queued]).toEqual([[], 1]);
    }
  });

  test('onSend gets the SEND and answers to reply-to, with the correlation-id', async () => {
    const { peer } = await connected({
      onSend: ({ destination, json, text, contentType }) => ({
        body: `${destination} ${text()} ${contentType}`,
        headers: { sum: String((json() as number[])[0]) },
      }),
    });
    const headers = {
      destination: '/app/sum',
      'reply-to': '/temp-queue/r',
      'correlation-id': '7',
      'content-type': 'application/json',
    };
    await peer.send('SEND', { ...headers, receipt: '1' }, '[1]');
    const [message, receipt] = peer.take();
    expect(receipt?.command).toBe('RECEIPT');
    expect(message).toMatchObject({
      body: '/app/sum [1] application/json',
      headers: { 'correlation-id': '7', sum: '1', 'content-type': 'text/plain;charset=utf-8' },
    });
  });

  test('onSend may answer to another destination, with bytes, or not at all', async () => {
    const { peer } = await connected({
      onSend: async ({ destination }) =>
        destination === '/app/none'
          ? undefined
          : { destination: '/topic/a', body: Uint8Array.of(255), contentType: 'x/y' },
    });
    await peer.send('SUBSCRIBE', { id: '0', destination: '/topic/a' });
    await peer.send('SEND', { destination: '/app/none', receipt: '1' });
    await peer.send('SEND', { destination: '/app/some' });
    expect(peer.take()).toMatchObject([{ command: 'RECEIPT' }, { body: 'ff', headers: { 'content-type': 'x/y' } }]);
  });

  test('an answer that can go nowhere is a bug of the hook: 1011, reported', async () => {
    const { peer } = await connected({ onSend: () => ({ body: 'x' }) });
    await peer.send('SEND', { destination: '/app/x' });
    expect(peer.closed?.code).toBe(1011);
    expect(String(peer.reported[0])).toContain('no reply-to');
    const looped = await connected({ onSend: () => ({ body: 'x', destination: '/app/y' }) });
    await looped.peer.send('SEND', { destination: '/app/x' });
    expect(looped.peer.closed?.code).toBe(1008);
  });

  test('a hook chooses the fault by throwing a ProtocolError', async () => {
    const { peer } = await connected({
      onSend: () => {
        throw new ProtocolError('forbidden', 'not on Sundays');
      },
    });
    await peer.send('SEND', { destination: '/app/x' });
    expect(peer.brief()).toEqual(['ERROR Forbidden: not on Sundays']);
  });

  test.each(versions)(
    '[STOMP-63] [STOMP-79] %s: a fault whose words have a NUL is told without it',
    async (version) => {
      const onSend = () => Promise.reject(new ProtocolError('forbidden', 'not\0on\r\nSundays'));
      const { peer } = await connected({ onSend }, version);
      await peer.send('SEND', { destination: '/app/x' });
      expect(peer.take()).toMatchObject([{ headers: { message: expect.stringMatching(/not on Sundays$/) } }]);
      expect(peer.closed?.code).toBe(1008);
    },
  );

  test('onSubscribe gives the first message; live ones that come meanwhile follow it', async () => {
    let answer = (_body: string): void => {};
    const { bus, peer } = await connected({
      onSubscribe: () =>
        new Promise((resolve) => {
          answer = (body) => resolve({ body });
        }),
    });
    await peer.send('SUBSCRIBE', { id: '0', destination: '/topic/a', receipt: '1' });
    await bus.publish('a', encodeUtf8('live'));
    expect(peer.take()).toEqual([]);
    answer('state');
    await peer.raw('\n');
    expect(peer.take().map(({ body, command }) => body || command)).toEqual(['state', 'live', 'RECEIPT']);
  });

  test('[CONN-25] onSubscribe that fails before the bus delivers, or while it never does, harms nobody else', async () => {
    const unhandled: unknown[] = [];
    const note = (reason: unknown): void => void unhandled.push(reason);
    process.on('unhandledRejection', note);
    try {
      for (const works of [true, false]) {
        const gate = createGate();
        const active = gate.opened.then(() => (works ? undefined : Promise.reject(new Error('no broker'))));
        const bus: Bus = { ...openBus(), listen: () => ({ active, stop() {} }) };
        const onSubscribe = () => Promise.reject(new Error('database is down'));
        const { clock, peer } = await connected({ bus, onSubscribe });
        await peer.send('SUBSCRIBE', { id: '0', destination: '/topic/a', receipt: '1' });
        await new Promise((resolve) => setTimeout(resolve, 1));
        expect([unhandled, peer.take()]).toEqual([[], []]);
        gate.open();
        await clock.settle();
        expect(peer.take()).toMatchObject([{ command: 'ERROR', headers: { 'receipt-id': '1' } }]);
        expect(peer.closed?.code).toBe(works ? 1011 : 1013);
      }
      await new Promise((resolve) => setTimeout(resolve, 1));
      expect(unhandled).toEqual([]);
    } finally {
      process.off('unhandledRejection', note);
    }
  });

  test('onSubscribe answers application destinations, and queues start behind it', async () => {
    const { broker, peer } = await connected({
      onSubscribe: ({ destination }) => (destination === '/app/now' ? { body: 'now' } : undefined),
    });
    await broker.send('/queue/a', 'x', { headers: { own: 'y' }, contentType: 'a/b' });
    await peer.send('SUBSCRIBE', { id: '0', destination: '/app/now' });
    expect(peer.take()).toMatchObject([{ body: 'now', headers: { destination: '/app/now', subscription: '0' } }]);
    await peer.send('SUBSCRIBE', { id: '1', destination: '/queue/a' });
    expect(peer.take()).toMatchObject([{ body: 'x', headers: { own: 'y', 'content-type': 'a/b' } }]);
  });

  test('a first message for a subscription that is gone is nobody else’s', async () => {
    let answer = (): void => {};
    const { broker, peer } = await connected({
      onSubscribe: () =>
        new Promise((resolve) => {
          answer = () => resolve({ body: 'late' });
        }),
    });
    await peer.send('SUBSCRIBE', { id: '0', destination: '/queue/a' });
    await peer.send('UNSUBSCRIBE', { id: '0' });
    answer();
    await peer.raw('\n');
    expect(peer.take()).toEqual([]);
    await broker.send('/queue/a', 'kept');
    expect(broker.stats().queued).toBe(1);
  });

  test('the application sends as well; bytes are bytes, and its own destinations are not for it', async () => {
    const { broker, peer } = await connected();
    await peer.send('SUBSCRIBE', { id: '0', destination: '/topic/a' });
    await broker.send('/topic/a', Uint8Array.of(254));
    await peer.raw('\n');
    expect(peer.take()).toMatchObject([{ body: 'fe', binary: true }]);
    await expect(broker.send('/app/x', '')).rejects.toThrow('for what clients send');
    await expect(broker.send('nowhere', '')).rejects.toThrow('no destination');
  });
});

test('a bus that does not deliver: ERROR and 1013 for the SUBSCRIBE', async () => {
  const bus = openBus({ onError: () => {} });
  const away: Bus = { ...bus, listen: () => ({ active: Promise.reject(new Error('no broker')), stop: () => {} }) };
  const { peer } = await connected({ bus: away });
  await peer.send('SUBSCRIBE', { id: '0', destination: '/topic/a', receipt: '1' });
  expect(peer.take()).toMatchObject([{ command: 'ERROR', headers: { 'receipt-id': '1' } }]);
  expect(peer.closed?.code).toBe(1013);
});

test('two transactions that acknowledge across an UNSUBSCRIBE: COMMIT consumes, ABORT gives back', async () => {
  const { broker, peer } = await connected();
  await peer.send('SUBSCRIBE', { id: '0', destination: '/queue/a', ack: 'client-individual' });
  for (const body of ['1', '2', '3']) await broker.send('/queue/a', body);
  await peer.raw('\n');
  const [one, two] = peer.take();
  for (const transaction of ['t', 'u']) await peer.send('BEGIN', { transaction });
  await peer.send('ACK', { id: one!.headers['ack']!, transaction: 't' });
  await peer.send('ACK', { id: two!.headers['ack']!, transaction: 'u' });
  await peer.send('UNSUBSCRIBE', { id: '0' });
  await peer.send('COMMIT', { transaction: 't' });
  await peer.send('ABORT', { transaction: 'u' });
  expect(broker.stats().queued).toBe(2);
  await peer.send('SUBSCRIBE', { id: '1', destination: '/queue/a' });
  expect(peer.brief()).toEqual(['MESSAGE 2', 'MESSAGE 3']);
});

test('transactions are bounded in number, frames and bytes', async () => {
  for (const [limits, fault] of [
    [{ maxTransactions: 1 }, 'open transactions'],
    [{ maxTransactionFrames: 1 }, 'frames in a transaction'],
    [{ maxTransactionBytes: 1_100 }, 'bytes in open transactions'],
  ] as const) {
    const { peer } = await connected({ limits });
    await peer.send('BEGIN', { transaction: 't' });
    await peer.send('SEND', { destination: '/topic/a', transaction: 't' }, 'ab');
    if ('maxTransactions' in limits) await peer.send('BEGIN', { transaction: 'u' });
    else await peer.send('SEND', { destination: '/topic/a', transaction: 't' }, 'cd');
    expect(peer.brief()).toEqual([expect.stringContaining(fault)]);
  }
});

test('a transaction that acknowledges messages of a topic leaves them waiting when it is aborted', async () => {
  const { bus, peer } = await connected();
  await peer.send('SUBSCRIBE', { id: '0', destination: '/topic/a', ack: 'client' });
  for (const body of ['1', '2']) await bus.publish('a', encodeUtf8(body));
  await peer.raw('\n');
  const messages = peer.take();
  const id = messages[1]!.headers['ack']!;
  await peer.send('BEGIN', { transaction: 't' });
  await peer.send('ACK', { id, transaction: 't' });
  await peer.send('ABORT', { transaction: 't' });
  await peer.send('ACK', { id, receipt: 'a' });
  await peer.send('BEGIN', { transaction: 't' });
  await peer.send('UNSUBSCRIBE', { id: '0', receipt: 'u' });
  expect(peer.brief()).toEqual(['RECEIPT a', 'RECEIPT u']);
});

describe('memory is bounded', () => {
  test('[STOMP-91] headers count like bodies, in queues and in transactions', async () => {
    for (const limits of [{ maxQueueBytes: 1_000 }, { maxStoredBytes: 1_000 }]) {
      const { broker, peer } = await connected({ limits });
      await peer.send('SEND', { destination: '/queue/a', note: 'x'.repeat(300), receipt: '1' });
      await peer.send('SEND', { destination: '/queue/a', note: 'x'.repeat(300), receipt: '2' });
      expect(peer.brief()).toEqual(['RECEIPT 1', expect.stringContaining('keep')]);
      expect(peer.closed?.code).toBe(1013);
      expect(broker.stats().queued).toBe(1);
    }
    const { peer } = await connected({ limits: { maxTransactionBytes: 2_000 } });
    for (const transaction of ['t', 'u']) await peer.send('BEGIN', { transaction });
    await peer.send('SEND', { destination: '/topic/a', transaction: 't', note: 'x'.repeat(300), receipt: '1' });
    await peer.send('SEND', { destination: '/topic/a', transaction: 'u', note: 'x'.repeat(300), receipt: '2' });
    expect(peer.brief()).toEqual(['RECEIPT 1', expect.stringContaining('bytes in open transactions')]);
  });

  test('destinations count as well, in transactions', async () => {
    const { peer } = await connected({ limits: { maxTransactionBytes: 1_500 } });
    await peer.send('BEGIN', { transaction: 't' });
    for (const receipt of ['1', '2']) {
      await peer.send('SEND', { destination: `/topic/${'x'.repeat(300)}`, transaction: 't', receipt });
    }
    expect(peer.brief()).toEqual(['RECEIPT 1', expect.stringContaining('bytes in open transactions')]);
  });

  test('what was committed or aborted gives its room in transactions back', async () => {
    const { peer } = await connected({ limits: { maxTransactionBytes: 502 + 504 + '/topic/a'.length } });
    for (const end of ['COMMIT', 'ABORT', 'COMMIT']) {
      await peer.send('BEGIN', { transaction: 't' });
      await peer.send('SEND', { destination: '/topic/a', transaction: 't' }, 'abcd');
      await peer.send(end, { transaction: 't', receipt: end });
    }
    expect(peer.brief()).toEqual(['RECEIPT COMMIT', 'RECEIPT ABORT', 'RECEIPT COMMIT']);
  });

  test('all queues together have an end, and what is consumed makes room', async () => {
    const { broker, peer } = await connected({ limits: { maxStoredMessages: 2 } });
    for (const name of ['a', 'b']) await broker.send(`/queue/${name}`, 'x');
    await expect(broker.send('/queue/c', 'x')).rejects.toThrow('All queues together keep at most 2 messages');
    expect(broker.stats()).toMatchObject({ queues: 2, queued: 2 });
    await peer.send('SUBSCRIBE', { id: '0', destination: '/queue/a' });
    await peer.send('UNSUBSCRIBE', { id: '0' });
    await broker.send('/queue/c', 'x');
    expect(broker.stats()).toMatchObject({ queues: 2, queued: 2 });
  });

  test('[STOMP-58] a COMMIT that asks for too many queues, or too much in all of them, leaves none behind', async () => {
    for (const limits of [{ maxQueues: 1 }, { maxStoredMessages: 1 }]) {
      const { broker, peer } = await connected({ limits });
      await peer.send('BEGIN', { transaction: 't' });
      for (const name of ['a', 'b']) await peer.send('SEND', { destination: `/queue/${name}`, transaction: 't' }, 'x');
      await peer.send('COMMIT', { transaction: 't', receipt: 'c' });
      expect(peer.brief()).toEqual([expect.stringMatching(/^ERROR Too many/)]);
      expect(broker.stats()).toMatchObject({ queues: 0, queued: 0 });
    }
  });

  test('[STOMP-58] a COMMIT whose NACK takes the last room of the dead-letter queue is done as a whole all the same', async () => {
    const { broker, open, peer } = await connected({
      limits: { maxDeliveries: 2, maxQueueMessages: 2 },
      deadLetter: '/queue/dead',
      authorize: openAll,
    });
    await broker.send('/queue/dead', 'first');
    await peer.send('SUBSCRIBE', { id: '0', destination: '/queue/a', ack: 'client-individual' });
    for (const body of ['poison', 'done']) await broker.send('/queue/a', body);
    await peer.raw('\n');
    const [first, done] = peer.take();
    await peer.send('NACK', { id: first!.headers['ack']! });
    const [poison] = peer.take();
    await peer.send('BEGIN', { transaction: 't' });
    await peer.send('NACK', { id: poison!.headers['ack']!, transaction: 't' });
    await peer.send('SEND', { destination: '/queue/dead', transaction: 't' }, 'x');
    await peer.send('ACK', { id: done!.headers['ack']!, transaction: 't' });
    await peer.send('COMMIT', { transaction: 't', receipt: 'c' });
    expect(peer.brief()).toEqual(['RECEIPT c']);
    const heir = await open().connect();
    await heir.send('SUBSCRIBE', { id: '0', destination: '/queue/dead' });
    expect(heir.brief()).toEqual(['MESSAGE first', 'MESSAGE x']);
    expect(broker.stats()).toMatchObject({ queued: 0, dropped: 1 });
  });

  test('a small message does not keep the chunk alive that it came in', async () => {
    const { peer, bus } = await connected();
    const bodies: Uint8Array[] = [];
    bus.listen('a', ({ body }) => bodies.push(body));
    const chunk = new Uint8Array(65_536).fill(10);
    chunk.set(encodeUtf8('SEND\ndestination:/topic/a\n\nhi\0'));
    await peer.raw(chunk);
    await peer.raw(Buffer.from(chunk));
    expect(bodies.map(({ buffer }) => buffer.byteLength)).toEqual([2, 2]);
  });

  test('a backlog has an end in bytes as well', async () => {
    for (const slowSubscriber of ['disconnect', 'dropOldest'] as const) {
      const { bus, peer } = await connected({ limits: { maxBacklogBytes: 1_010 }, slowSubscriber });
      await peer.send('SUBSCRIBE', { id: '0', destination: '/topic/a', ack: 'client', 'prefetch-count': '1' });
      for (const body of ['first', 'second', 'third', 'last']) await bus.publish('a', encodeUtf8(body));
      await peer.raw('\n');
      expect(peer.closed?.code).toBe(slowSubscriber === 'disconnect' ? 1013 : undefined);
      if (slowSubscriber === 'disconnect') continue;
      const [first] = peer.take();
      await peer.send('ACK', { id: first!.headers['ack']! });
      const [third] = peer.take();
      expect(third?.body).toBe('third');
      await peer.send('ACK', { id: third!.headers['ack']! });
      expect(peer.brief()).toEqual(['MESSAGE last']);
      for (const body of ['4', '5']) await bus.publish('a', encodeUtf8(body));
      expect(peer.closed).toBeUndefined();
    }
  });

  test('what waits for an answer of authorize is bounded over all topics of a wildcard', async () => {
    const { bus, peer } = await connected({
      limits: { maxBacklog: 3 },
      authorize: ({ destination }) => destination === '/topic/**' || new Promise(() => {}),
    });
    await peer.send('SUBSCRIBE', { id: '0', destination: '/topic/**' });
    for (const name of ['a', 'b', 'c']) await bus.publish(name, encodeUtf8(name));
    expect(peer.closed).toBeUndefined();
    await bus.publish('d', encodeUtf8('d'));
    expect(peer.closed?.code).toBe(1013);
  });
});

test.each(versions)(
  '[STOMP-51] [STOMP-58] %s: transactions that are aborted in any order leave the order of deliveries alone',
  async (version) => {
    const { broker, peer } = await connected({}, version);
    await peer.send('SUBSCRIBE', { id: '0', destination: '/queue/a', ack: 'client' });
    for (const body of ['1', '2', '3']) await broker.send('/queue/a', body);
    await peer.raw('\n');
    const named = ({ headers }: { headers: Record<string, string> }): Record<string, string> =>
      version === '1.2' ? { id: headers['ack']! } : { 'message-id': headers['message-id']!, subscription: '0' };
    const messages = peer.take();
    for (const transaction of ['t', 'u']) await peer.send('BEGIN', { transaction });
    await peer.send('ACK', { ...named(messages[0]!), transaction: 't' });
    await peer.send('ACK', { ...named(messages[1]!), transaction: 'u' });
    for (const transaction of ['t', 'u']) await peer.send('ABORT', { transaction });
    await peer.send('ACK', named(messages[0]!));
    expect(broker.stats().queued).toBe(2);
  },
);
