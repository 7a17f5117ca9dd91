import { describe, expect, test } from 'vitest';
import { decodeUtf8Lossy } from '../../../src/core/wire.ts';
import {
  ConnectionLost,
  createStompClient,
  type ReceivedMessage,
  type StompClientOptions,
  StompError,
} from '../../../src/stomp/client/client.ts';
import type { Frame } from '../../../src/stomp/protocol/frame.ts';
import { firstWait, setup } from '../../support/stomp-client-desk.ts';

const caught = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'resolved',
    (error) => error,
  );
/** Has it settled by now? */
async function outcome(promise: Promise<unknown>, settle: () => Promise<void>): Promise<unknown> {
  let result: unknown = 'pending';
  promise.then(
    () => (result = 'resolved'),
    (error) => (result = error),
  );
  await settle();
  return result;
}
const bodyOf = ({ body }: Frame): string => decodeUtf8Lossy(body);

describe('options', () => {
  test('a wrong option throws at once and is named', () => {
    const wrong: [RegExp, object][] = [
      [/^url must be an address/, {}],
      [/^url/, { brokerURL: 'broker' }],
      [/^url/, { brokerURL: ['wss://a', '/ws'] }],
      [/url/, { brokerURL: [] }],
      [/versions/, { versions: [] }],
      [/versions/, { versions: ['1.3'] }],
      [/heartbeatOutgoing/, { heartbeatOutgoing: -1 }],
      [/heartbeatIncoming/, { heartbeatIncoming: Number.NaN }],
      [/connectionTimeout/, { connectionTimeout: 0 }],
      [/receiptTimeout/, { receiptTimeout: '5' }],
      [/maxQueued/, { maxQueued: 0 }],
      [/maxFrameBytes/, { maxFrameBytes: 0 }],
      [/webSocketImpl/, { webSocketImpl: {} }],
      [/limits\.maxPayload/, { limits: { maxPayload: -1 } }],
    ];
    for (const [message, options] of wrong) {
      const complete = message.source.includes('must be') ? {} : { brokerURL: 'ws://a' };
      expect(() => createStompClient({ ...complete, ...options } as StompClientOptions), message.source).toThrow(
        message,
      );
    }
  });

  test('a destination must be a string that says something', async () => {
    const { client, peers } = setup();
    for (const destination of ['', undefined as unknown as string]) {
      await expect(client.publish({ destination })).rejects.toThrow(/^destination must be a string/);
      expect(() => client.subscribe(destination)).toThrow(/destination/);
    }
    expect(peers).toHaveLength(0);
  });
});

describe('connecting', () => {
  test('[STOMP-24] offers its versions, and names the host of the URL', async () => {
    const { client, last, clock } = setup({ versions: ['1.2', '1.0'], connectHeaders: { login: 'me' } });
    void client.connect();
    await clock.settle();
    expect(last().protocols).toEqual(['v12.stomp', 'v10.stomp', 'stomp']);
    expect(last().lines()).toEqual(['CONNECT accept-version:1.2,1.0 host:broker.example heart-beat:0,0 login:me']);
  });

  test('[STOMP-24] over a byte stream no subprotocol is offered; the virtual host is /, or what is said', async () => {
    for (const host of [undefined, 'vhost']) {
      const { client, last, clock } = setup({ brokerURL: undefined, host });
      void client.connect();
      await clock.settle();
      expect(last().protocols).toEqual([]);
      expect(last().take()[0]?.headers.get('host')).toBe(host ?? '/');
    }
  });

  test('headers and addresses are asked for at each attempt', async () => {
    let token = 0;
    let urls = 0;
    const { client, back, peers, last, clock } = setup({
      brokerURL: async () => `ws://host${urls++}/`,
      connectHeaders: async () => ({ passcode: String(token++) }),
    });
    void client.connect();
    await clock.settle();
    expect(last().take()[0]?.headers.get('passcode')).toBe('0');
    last().say('CONNECTED', { version: '1.2' });
    last().socket.hangUp();
    clock.advance(firstWait);
    await clock.settle();
    expect(Object.fromEntries(last().take()[0]!.headers)).toMatchObject({ passcode: '1', host: 'host1' });
    expect(peers).toHaveLength(2);
    expect(back).toBeTypeOf('function');
  });

  test('several addresses are tried in turn', async () => {
    const { client, clock, peers } = setup({ brokerURL: ['ws://one/', 'ws://two/'], accepts: false });
    const given = caught(client.connect());
    await clock.settle();
    clock.advance(60_000);
    expect(peers.slice(0, 3).map(({ url }) => url)).toEqual(['ws://one/', 'ws://two/', 'ws://one/']);
    await client.disconnect();
    expect(await given).toMatchObject({ message: 'The client was disconnected' });
  });

  test('headers that cannot be had are reported, and asked for again', async () => {
    let asked = 0;
    const { client, clock, last } = setup({
      connectHeaders() {
        if (asked++ === 0) throw new Error('no token');
        return { login: 'me' };
      },
    });
    const errors: unknown[] = [];
    client.on('error', (error) => errors.push(error));
    void client.connect();
    await clock.settle();
    expect(errors).toEqual([expect.objectContaining({ message: 'no token' })]);
    clock.advance(firstWait);
    await clock.settle();
    expect(last().take()[0]?.headers.get('login')).toBe('me');
  });

  test('[STOMP-20] headers that CONNECT cannot carry are final', async () => {
    const { client, clock, peers } = setup({ connectHeaders: { login: 'a\nb' } });
    expect(await caught(client.connect())).toMatchObject({
      name: 'TypeError',
      message: expect.stringContaining('"login"'),
    });
    clock.advance(60_000);
    expect(peers).toHaveLength(1);
  });

  test('[STOMP-30] an ERROR in answer to CONNECT is final, and says why', async () => {
    const { client, clock, peers, last } = setup();
    const connected = caught(client.connect());
    const published = caught(client.publish({ destination: '/a', receipt: true }));
    const read = caught(client.subscribe('/a').next());
    await clock.settle();
    last().say('ERROR', { message: 'Bad CONNECT' }, 'Access refused');
    for (const each of [connected, published, read]) {
      expect(await each).toBeInstanceOf(StompError);
      expect(await each).toMatchObject({ message: 'Bad CONNECT', body: 'Access refused' });
    }
    clock.advance(60_000);
    expect(peers).toHaveLength(1);
    expect(client.state.getSnapshot().status).toBe('idle');
  });

  test('[STOMP-73] an ERROR in answer to CONNECT that a passing code explains is not final', async () => {
    for (const [code, attempts] of [
      [1013, 2],
      [1012, 2],
      [4408, 2],
      [1008, 1],
      [1000, 1],
      [1006, 1],
    ] as const) {
      const { client, clock, peers, last } = setup({ answersClose: false });
      void client.connect();
      await clock.settle();
      last().say('ERROR', { message: 'not now' });
      last().socket.hangUp(code);
      clock.advance(firstWait);
      expect(peers.length, String(code)).toBe(attempts);
    }
  });

  test('an attempt whose headers never come is given up, and made again', async () => {
    const { client, clock, peers } = setup({ connectHeaders: () => new Promise<never>(() => {}) });
    void client.connect();
    await clock.settle();
    clock.advance(10_010);
    expect(peers[0]?.socket.closing?.code).toBe(4408);
    clock.advance(firstWait);
    expect(peers).toHaveLength(2);
  });

  test('[STOMP-32] a version that was not offered is final', async () => {
    const { client, clock, peers, last } = setup({ versions: ['1.2'] });
    const connected = caught(client.connect());
    await clock.settle();
    last().say('CONNECTED', { version: '1.1' });
    expect(await connected).toBeInstanceOf(ConnectionLost);
    clock.advance(60_000);
    expect(peers).toHaveLength(1);
  });

  test('[STOMP-73] 4406 is final, others are not once it was connected; `retry` decides over the rest', async () => {
    for (const [code, again] of [
      [1008, true],
      [1011, true],
      [4406, false],
      [1002, true],
      [1013, true],
      [4403, true],
    ] as const) {
      const { online, clock, peers } = setup();
      (await online()).socket.hangUp(code);
      clock.advance(firstWait);
      expect(peers.length === 2, String(code)).toBe(again);
    }
    const asked: unknown[] = [];
    const { online, clock, peers } = setup({ retry: ({ code }, attempt) => asked.push([code, attempt]) < 1 });
    (await online()).socket.hangUp(1006);
    clock.advance(60_000);
    expect(asked).toEqual([[1006, 0]]);
    expect(peers).toHaveLength(1);
  });

  test('[CONN-33] back-off starts again after a connection in good order, and not after CONNECTED', async () => {
    const { online, accept, clock, peers, last } = setup({ backoff: { base: 1_000, random: () => 0.5 } });
    let count = 1;
    async function waits(ms: number): Promise<void> {
      last().socket.hangUp();
      clock.advance(ms - 10);
      expect(peers).toHaveLength(count);
      clock.advance(20);
      expect(peers).toHaveLength(++count);
      await accept();
    }
    await online();
    for (const ms of [500, 1_000, 2_000]) await waits(ms);
    clock.advance(10_000);
    await waits(500);
  });

  test('the state is a store whose snapshot is the same until it changes', async () => {
    const { client, online } = setup();
    const seen: string[] = [];
    const stop = client.state.subscribe(() => seen.push(client.state.getSnapshot().status));
    expect(client.state.getSnapshot()).toEqual({
      status: 'idle',
      attempt: 0,
      subprotocol: undefined,
      version: undefined,
      latency: undefined,
    });
    const peer = await online();
    expect(client.state.getSnapshot()).toBe(client.state.getSnapshot());
    expect(client.state.getSnapshot()).toMatchObject({ status: 'connected', subprotocol: 'v12.stomp', version: '1.2' });
    peer.socket.hangUp();
    expect(client.state.getSnapshot()).toMatchObject({ status: 'waiting', attempt: 1, version: undefined });
    stop();
    await client.disconnect();
    expect(seen).toEqual(['connecting', 'connected', 'waiting']);
  });

  test('any number of listeners hear an event; one that throws harms only itself', async () => {
    const { client, online, problems } = setup();
    const heard: unknown[] = [];
    const listener = (): number => heard.push('again');
    client.on('connected', () => {
      throw new Error('mine');
    });
    client.on('connected', (headers) => heard.push(headers.get('version')));
    client.on('connected', listener);
    const off = client.on('connected', listener);
    off();
    client.on('closed', (event, willRetry) => heard.push([event.code, willRetry]));
    (await online()).socket.hangUp(1001, 'Going away');
    expect(heard).toEqual(['1.2', 'again', [1001, true]]);
    expect(problems).toEqual([expect.objectContaining({ message: 'mine' })]);
  });

  test('[STOMP-37] a link that died is noticed after twice the heart-beat, and a tenth for a beat that is just late', async () => {
    const { client, online, clock } = setup({ heartbeatIncoming: 10_000 });
    const heard: string[] = [];
    client.on('heartbeatLost', () => heard.push('lost'));
    const peer = await online({ version: '1.2', 'heart-beat': '10000,0' });
    clock.advance(20_900);
    expect(heard).toEqual([]);
    clock.advance(200);
    expect(heard).toEqual(['lost']);
    expect(peer.socket.closing?.code).toBe(4000);
    expect(client.state.getSnapshot().status).toBe('waiting');
  });
});

describe('publishing', () => {
  test('[STOMP-13] [STOMP-39] a SEND carries destination and headers; the promise resolves when it was written', async () => {
    const { client, online } = setup();
    const peer = await online();
    await client.publish({ destination: '/topic/a', body: 'hi', headers: { 'content-type': 'text/plain' } });
    await client.publish({ destination: '/topic/b', body: Uint8Array.of(0, 255), headers: new Map([['k', 'v']]) });
    await client.publish({ destination: '/topic/c' });
    const frames = peer.take();
    expect(frames.map(({ headers }) => Object.fromEntries(headers))).toEqual([
      { destination: '/topic/a', 'content-type': 'text/plain', 'content-length': '2' },
      { destination: '/topic/b', k: 'v', 'content-length': '2' },
      { destination: '/topic/c' },
    ]);
    expect([...frames[1]!.body]).toEqual([0, 255]);
  });

  test('[STOMP-61] with `receipt` it resolves when the RECEIPT came, and the latency is known', async () => {
    const { client, online, clock } = setup();
    const peer = await online();
    const published = client.publish({ destination: '/a', receipt: true });
    const receipt = peer.take()[0]?.headers.get('receipt') as string;
    expect(await outcome(published, clock.settle)).toBe('pending');
    clock.advance(25);
    peer.say('RECEIPT', { 'receipt-id': receipt });
    await published;
    expect(client.state.getSnapshot().latency).toBe(25);
  });

  test('[STOMP-74] with `receipt` it rejects on an ERROR, on loss and after a time', async () => {
    const { client, online, back, clock } = setup({ receiptTimeout: 1_000 });
    let peer = await online();
    const refused = caught(client.publish({ destination: '/a', receipt: true }));
    peer.say('ERROR', { message: 'no', 'receipt-id': peer.take()[0]?.headers.get('receipt') as string });
    expect(await refused).toBeInstanceOf(StompError);
    peer = await back();
    const lost = caught(client.publish({ destination: '/a', receipt: true }));
    peer.socket.hangUp(1006);
    expect(await lost).toMatchObject({ name: 'ConnectionLost', code: 1006 });
    await back();
    const late = caught(client.publish({ destination: '/a', receipt: true }));
    clock.advance(1_010);
    expect(await late).toMatchObject({ message: 'No RECEIPT came within 1000 ms' });
  });

  test('what is published while offline waits, in order, and connects', async () => {
    const { client, accept, clock } = setup();
    const first = client.publish({ destination: '/a', body: '1' });
    const second = client.publish({ destination: '/a', body: '2' });
    expect(await outcome(first, clock.settle)).toBe('pending');
    const peer = await accept();
    await Promise.all([first, second]);
    expect(peer.take().map(bodyOf)).toEqual(['1', '2']);
  });

  test('[STOMP-72] the queue is bounded, and what it drops is said', async () => {
    const { client, accept, problems } = setup({ maxQueued: 2 });
    const all = ['1', '2', '3'].map((body) => client.publish({ destination: '/a', body }));
    expect(await caught(all[2]!)).toMatchObject({ message: expect.stringContaining('maxQueued') });
    expect(problems).toEqual([expect.objectContaining({ message: expect.stringContaining('maxQueued') })]);
    const dropped: unknown[] = [];
    client.on('dropped', ({ body }) => dropped.push(body));
    void client.publish({ destination: '/a', body: '4' });
    expect(dropped).toEqual(['4']);
    expect(problems).toHaveLength(1);
    const peer = await accept();
    expect(peer.take().map(bodyOf)).toEqual(['1', '2']);
  });

  test('publishing waits while the server does not read, and goes on when it does', async () => {
    const { client, online, clock } = setup();
    const peer = await online();
    peer.socket.bufferedAmount = 600_000;
    const waiting = client.publish({ destination: '/a', body: '1' });
    expect(await outcome(waiting, clock.settle)).toBe('pending');
    expect(peer.take()).toEqual([]);
    peer.socket.bufferedAmount = 0;
    peer.socket.receiver?.drained();
    await waiting;
    expect(peer.take().map(bodyOf)).toEqual(['1']);
  });

  test('a signal stops the waiting; what has not been written is not sent', async () => {
    const { client, accept } = setup();
    const controller = new AbortController();
    const aborted = caught(client.publish({ destination: '/a', body: '1', signal: controller.signal }));
    void client.publish({ destination: '/a', body: '2', signal: new AbortController().signal });
    controller.abort(new Error('enough'));
    expect(await aborted).toMatchObject({ message: 'enough' });
    expect(await caught(client.publish({ destination: '/a', signal: controller.signal }))).toMatchObject({
      message: 'enough',
    });
    expect((await accept()).take().map(bodyOf)).toEqual(['2']);
  });

  test('[STOMP-20] a header that the version cannot carry rejects, and nothing is sent', async () => {
    const { client, online } = setup();
    const peer = await online({ version: '1.0' });
    expect(await caught(client.publish({ destination: '/a', headers: { k: 'a\nb' } }))).toMatchObject({
      name: 'TypeError',
      message: expect.stringContaining('"k"'),
    });
    expect(peer.take()).toEqual([]);
  });

  test('[STOMP-14] large frames are split when a size is given', async () => {
    const { client, online } = setup({ maxFrameBytes: 1_000 });
    const peer = await online();
    await client.publish({ destination: '/a', body: '漢'.repeat(1_000) });
    const sent = peer.socket.sent.slice(1);
    expect(sent.every((piece) => typeof piece === 'string' && Buffer.byteLength(piece) <= 1_000)).toBe(true);
    expect(peer.take().map(bodyOf)).toEqual(['漢'.repeat(1_000)]);
  });
});

describe('content-length', () => {
  test('[STOMP-12] is left out where the application says so, for text without a NUL', async () => {
    const { client, online } = setup({ contentLength: false });
    const peer = await online();
    for (const body of ['text', 'a\0b', Uint8Array.of(1, 2)]) await client.publish({ destination: '/a', body });
    const frames = peer.take();
    expect(frames.map(({ headers }) => headers.get('content-length'))).toEqual([undefined, '3', '2']);
    expect(frames.map(bodyOf)).toEqual(['text', 'a\0b', '\x01\x02']);
  });
});

describe('subscribing', () => {
  test('[STOMP-49] UNSUBSCRIBE carries more headers where they are given; one that cannot be carried is an error', async () => {
    const { client, online } = setup();
    const peer = await online({});
    const errors: unknown[] = [];
    client.on('error', (error) => errors.push(error));
    const [first, second] = [client.subscribe('/topic/a', () => {}), client.subscribe('/topic/b', () => {})];
    peer.take();
    first.unsubscribe({ durable: 'true' });
    second.unsubscribe({ bad: 'a\nb' });
    expect(peer.lines()).toEqual([
      `UNSUBSCRIBE id:${first.id} destination:/topic/a durable:true`,
      `UNSUBSCRIBE id:${second.id} destination:/topic/b`,
    ]);
    expect(errors).toEqual([expect.any(TypeError)]);
  });

  test('[STOMP-45] SUBSCRIBE carries an id of its own and the destination', async () => {
    const { client, online } = setup();
    const peer = await online();
    const first = client.subscribe('/topic/a', () => {});
    client.subscribe('/topic/a', () => {}, { ack: 'client', id: 'mine' });
    expect(peer.lines()).toEqual([
      `SUBSCRIBE id:${first.id} destination:/topic/a`,
      'SUBSCRIBE id:mine destination:/topic/a ack:client',
    ]);
    expect(() => client.subscribe('/topic/b', () => {}, { id: 'mine' })).toThrow(/"mine"/);
  });

  test('[STOMP-76] a callback is called at once and in order; one that throws harms only itself', async () => {
    const { client, online, problems } = setup();
    const peer = await online();
    const heard: unknown[] = [];
    const { id } = client.subscribe('/topic/a', (message) => {
      heard.push(message.json());
      if (heard.length === 1) throw new Error('mine');
    });
    const other = client.subscribe('/topic/b', (message) => heard.push(message.body));
    peer.say('MESSAGE', { subscription: id, destination: '/topic/a' }, '{"n":1}');
    peer.say('MESSAGE', { subscription: other.id, destination: '/topic/b' }, '\ufeffb');
    peer.say('MESSAGE', { subscription: id, destination: '/topic/a' }, '2');
    expect(heard).toEqual([{ n: 1 }, '\ufeffb', 2]);
    expect(problems).toEqual([expect.objectContaining({ message: 'mine' })]);
  });

  test('a subscription can be iterated; leaving the loop unsubscribes', async () => {
    const { client, online } = setup();
    const peer = await online();
    const subscription = client.subscribe('/topic/a');
    peer.take();
    for (const body of ['1', '2', '3'])
      peer.say('MESSAGE', { subscription: subscription.id, destination: '/topic/a' }, body);
    const read: string[] = [];
    for await (const { body, destination } of subscription) if (read.push(`${destination} ${body}`) === 2) break;
    expect(read).toEqual(['/topic/a 1', '/topic/a 2']);
    expect(peer.lines()).toEqual([`UNSUBSCRIBE id:${subscription.id}`]);
  });

  test('[STOMP-49] UNSUBSCRIBE names the id, on 1.0 the destination too; nothing is delivered after it', async () => {
    for (const [version, more] of [
      ['1.2', ''],
      ['1.0', ' destination:/a'],
    ] as const) {
      const { client, online } = setup();
      const peer = await online({ version });
      const heard: ReceivedMessage[] = [];
      const subscription = client.subscribe('/a', (message) => heard.push(message));
      peer.take();
      subscription.unsubscribe();
      subscription.unsubscribe();
      expect(peer.lines()).toEqual([`UNSUBSCRIBE id:${subscription.id}${more}`]);
      peer.say('MESSAGE', { subscription: subscription.id, destination: '/a' });
      expect(heard).toEqual([]);
    }
  });

  test('[STOMP-42] a 1.0 message without a subscription goes by its destination', async () => {
    const { client, online } = setup();
    const peer = await online({ version: '1.0' });
    const heard: string[] = [];
    client.subscribe('/b', ({ body }) => heard.push(`b${body}`));
    client.subscribe('/a', ({ body }) => heard.push(`a${body}`));
    peer.say('MESSAGE', { destination: '/a', 'message-id': '1' }, '1');
    expect(heard).toEqual(['a1']);
  });

  test('a message of no subscription is told', async () => {
    const { client, online } = setup({ maxFrameBytes: 1e6 });
    const peer = await online();
    const heard: (string | undefined)[] = [];
    client.on('unhandled', ({ headers }) => heard.push(headers.get('subscription')));
    peer.say('MESSAGE', { subscription: '/temp-queue/x', destination: '/a' });
    peer.say('MESSAGE');
    expect(heard).toEqual(['/temp-queue/x', undefined]);
    client.on('unhandled', ({ destination, ack }) => heard.push(destination, typeof ack));
    peer.say('MESSAGE');
    expect(heard.slice(2)).toEqual([undefined, '', 'function']);
  });

  test('an iterator that nobody reads ends with an error, and its subscription with it', async () => {
    const { client, online } = setup();
    const peer = await online();
    const subscription = client.subscribe('/topic/a');
    peer.take();
    for (let count = 0; count <= 1_000; count++) peer.say('MESSAGE', { subscription: subscription.id });
    expect(await caught(subscription.next())).toMatchObject({ message: expect.stringContaining('1000') });
    expect(peer.lines()).toEqual([`UNSUBSCRIBE id:${subscription.id}`]);
  });

  test('[STOMP-71] subscriptions come back before what was published meanwhile, with fresh headers', async () => {
    const { client, clock, online, back } = setup();
    let peer = await online();
    let asked = 0;
    const kept = client.subscribe('/kept', () => {}, { ack: 'client' });
    const asking = client.subscribe(
      '/asking',
      () => {},
      async () => ({ token: String(asked++) }),
    );
    client.subscribe('/ended').unsubscribe();
    await clock.settle();
    expect(peer.lines()).toContain(`SUBSCRIBE id:${asking.id} destination:/asking token:0`);
    peer.socket.hangUp();
    const published = client.publish({ destination: '/kept', body: 'x' });
    peer = await back();
    await published;
    expect(peer.lines().map((line) => line.replace(/ content-length:\d+/, ''))).toEqual([
      `SUBSCRIBE id:${kept.id} destination:/kept ack:client`,
      `SUBSCRIBE id:${asking.id} destination:/asking token:1`,
      'SEND destination:/kept',
    ]);
  });

  test('subscription headers that cannot be had, or sent, end that subscription only', async () => {
    const { client, clock, online } = setup();
    const peer = await online();
    const errors: unknown[] = [];
    client.on('error', (error) => errors.push((error as Error).message));
    const asking = caught(
      client
        .subscribe('/a', undefined, () => {
          throw new Error('no token');
        })
        .next(),
    );
    const bad = caught(client.subscribe('/b', undefined, () => ({ '': 'x' })).next());
    expect(await asking).toMatchObject({ message: 'no token' });
    expect(await bad).toMatchObject({ name: 'TypeError' });
    await client.publish({ destination: '/a', body: 'goes on' });
    await clock.settle();
    expect(errors).toHaveLength(2);
    expect(peer.take().map(bodyOf)).toEqual(['goes on']);
  });

  test('[STOMP-74] subscription headers that never come hold nobody up for ever, and nobody once it is ended', async () => {
    const { client, clock, online } = setup({ connectionTimeout: 5_000 });
    const peer = await online();
    const never = (): Promise<never> => new Promise(() => {});
    const ended = client.subscribe('/a', () => {}, never);
    const first = client.publish({ destination: '/a', body: 'first' });
    ended.unsubscribe();
    await first;
    const hanging = caught(client.subscribe('/b', undefined, never).next());
    const second = client.publish({ destination: '/a', body: 'second' });
    await clock.settle();
    expect(peer.take().map(bodyOf)).toEqual(['first']);
    await clock.advance(5_000);
    expect(await hanging).toMatchObject({ message: 'No headers came within 5000 ms' });
    await second;
    expect(peer.take().map(bodyOf)).toEqual(['second']);
  });

  test('headers that fail after their connection went end nothing', async () => {
    const { client, clock, online, back } = setup();
    let peer = await online();
    const asked: { resolve(headers: Record<string, string>): void; reject(error: Error): void }[] = [];
    const subscription = client.subscribe(
      '/a',
      () => {},
      () => new Promise((resolve, reject) => asked.push({ resolve, reject })),
    );
    await clock.settle();
    peer.socket.hangUp();
    peer = await back();
    asked[0]?.reject(new Error('old'));
    await clock.settle();
    asked[1]?.resolve({});
    await clock.settle();
    expect(peer.lines()).toEqual([`SUBSCRIBE id:${subscription.id} destination:/a`]);
  });

  test('[STOMP-45] a subscription that is made while others come back is announced once', async () => {
    const { client, online } = setup();
    client.on('error', () => client.subscribe('/b', () => {}, { id: 'b' }));
    client.subscribe('/a', undefined, { bad: 'cannot\nbe sent' });
    const peer = await online({});
    expect(peer.lines()).toEqual(['SUBSCRIBE id:b destination:/b']);
  });

  test('[STOMP-45] a subscription that ends while others come back is not announced', async () => {
    const { client, online } = setup();
    client.on('error', () => ended.unsubscribe());
    client.subscribe('/a', undefined, { bad: 'cannot\nbe sent' });
    const ended = client.subscribe('/b');
    const peer = await online({});
    expect(peer.lines()).toEqual([]);
  });

  test('[STOMP-71] what is published as soon as the state is known goes behind the subscriptions', async () => {
    const { client, online } = setup();
    client.state.subscribe(() => {
      if (client.state.getSnapshot().status === 'connected') void client.publish({ destination: '/b' });
    });
    const { id } = client.subscribe('/a');
    const peer = await online();
    expect(peer.lines()).toEqual([`SUBSCRIBE id:${id} destination:/a`, 'SEND destination:/b']);
  });

  test('headers that come after their connection went are not used', async () => {
    const { client, clock, online, back } = setup();
    let peer = await online();
    const answers: ((headers: Record<string, string>) => void)[] = [];
    const { id } = client.subscribe(
      '/a',
      () => {},
      () => new Promise((resolve) => answers.push(resolve)),
    );
    await clock.settle();
    peer.socket.hangUp();
    peer = await back();
    answers[0]?.({ token: 'old' });
    await clock.settle();
    expect(peer.lines()).toEqual([]);
    answers[1]?.({ token: 'new' });
    await clock.settle();
    expect(peer.lines()).toEqual([`SUBSCRIBE id:${id} destination:/a token:new`]);
  });
});

describe('acknowledging', () => {
  async function received(version: '1.0' | '1.1' | '1.2', more: Record<string, string> = {}) {
    const context = setup();
    const peer = await context.online({ version });
    const messages: ReceivedMessage[] = [];
    const { id } = context.client.subscribe('/q', (message) => messages.push(message), { ack: 'client' });
    peer.take();
    peer.say('MESSAGE', { subscription: id, destination: '/q', 'message-id': 'm1', ...more });
    return { ...context, peer, id, message: messages[0] as ReceivedMessage };
  }

  test('[STOMP-54] ACK names the message as the version wants it', async () => {
    const v12 = await received('1.2', { ack: 'a1' });
    expect(v12.message.ack({ receipt: 'r' })).toBe(true);
    expect(v12.peer.lines()).toEqual(['ACK id:a1 receipt:r']);
    const v11 = await received('1.1');
    v11.message.ack();
    expect(v11.peer.lines()).toEqual([`ACK message-id:m1 subscription:${v11.id}`]);
    const v10 = await received('1.0');
    v10.message.ack();
    expect(v10.peer.lines()).toEqual([`ACK message-id:m1 subscription:${v10.id}`]);
    const bare: ReceivedMessage[] = [];
    v10.client.on('unhandled', (message) => bare.push(message));
    v10.peer.say('MESSAGE', { destination: '/elsewhere', 'message-id': 'm2' });
    v10.peer.say('MESSAGE', { destination: '/elsewhere' });
    for (const message of bare) message.ack();
    expect(v10.peer.lines()).toEqual(['ACK message-id:m2', 'ACK message-id:']);
  });

  test('[STOMP-55] NACK likewise; 1.0 has none', async () => {
    const v12 = await received('1.2', { ack: 'a1' });
    v12.message.nack();
    expect(v12.peer.lines()).toEqual(['NACK id:a1']);
    const v10 = await received('1.0');
    expect(() => v10.message.nack()).toThrow(/1\.0/);
  });

  test('[STOMP-43] a message that needs no ACK says so', async () => {
    const { message, peer } = await received('1.2');
    expect(() => message.ack()).toThrow(/ack: 'client'/);
    expect(peer.take()).toEqual([]);
  });

  test('[STOMP-75] a message of an earlier connection is not acknowledged on the next one', async () => {
    const { message, peer, back } = await received('1.2', { ack: 'a1' });
    peer.socket.hangUp();
    const next = await back();
    next.take();
    expect(message.ack()).toBe(false);
    expect(next.take()).toEqual([]);
  });
});

describe('transactions', () => {
  test('[STOMP-56] [STOMP-57] [STOMP-58] BEGIN, frames with the transaction header, COMMIT with a receipt', async () => {
    const { client, online, clock } = setup();
    const peer = await online();
    const messages: ReceivedMessage[] = [];
    const { id } = client.subscribe('/q', (message) => messages.push(message), { ack: 'client' });
    for (const ack of ['1', '2']) peer.say('MESSAGE', { subscription: id, destination: '/q', 'message-id': ack, ack });
    peer.take();
    const transaction = client.begin();
    // What waits because the server does not read must not fall behind COMMIT.
    peer.socket.bufferedAmount = 600_000;
    await transaction.publish({ destination: '/q', headers: { k: 'v' } });
    transaction.ack(messages[0]!);
    transaction.nack(messages[1]!);
    const committed = transaction.commit();
    const t = transaction.id;
    const lines = peer.lines();
    expect(lines.slice(0, 4)).toEqual([
      `BEGIN transaction:${t}`,
      `SEND destination:/q transaction:${t} k:v`,
      `ACK id:1 transaction:${t}`,
      `NACK id:2 transaction:${t}`,
    ]);
    expect(lines[4]).toMatch(new RegExp(`^COMMIT receipt:(.+) transaction:${t}$`));
    expect(await outcome(committed, clock.settle)).toBe('pending');
    peer.say('RECEIPT', { 'receipt-id': lines[4]!.split(/[: ]/)[2]! });
    await committed;
  });

  test('[STOMP-57] ABORT drops it; ids are distinct', async () => {
    const { client, online } = setup();
    const peer = await online();
    const [one, two] = [client.begin(), client.begin()];
    one.abort();
    two.abort();
    expect(one.id).not.toBe(two.id);
    expect(peer.lines().slice(2)).toEqual([`ABORT transaction:${one.id}`, `ABORT transaction:${two.id}`]);
  });

  test('[STOMP-59] a transaction does not outlive its connection', async () => {
    const { client, online, back, problems } = setup();
    expect(() => client.begin()).toThrow(/connect/);
    const peer = await online();
    const transaction = client.begin();
    const pending = caught(client.begin().commit());
    peer.socket.hangUp();
    expect(await pending).toBeInstanceOf(ConnectionLost);
    const next = await back();
    expect(await caught(transaction.publish({ destination: '/a' }))).toMatchObject({
      message: expect.stringContaining('gone'),
    });
    expect(await caught(transaction.commit())).toMatchObject({ message: expect.stringContaining('gone') });
    transaction.abort();
    expect(next.take()).toEqual([]);
    expect(problems).toHaveLength(1);
  });
});

describe('disconnecting', () => {
  test('[STOMP-66] DISCONNECT, its RECEIPT, close; subscriptions complete and nothing is sent after it', async () => {
    const { client, online, clock, problems } = setup();
    const peer = await online();
    const ends: unknown[] = [];
    client.on('closed', (event, willRetry) => ends.push([event.code, willRetry]));
    const read = client.subscribe('/a').next();
    peer.take();
    const gone = client.disconnect();
    expect(client.disconnect()).toBe(gone);
    await clock.settle();
    expect(await caught(client.publish({ destination: '/a', body: 'late' }))).toMatchObject({
      message: expect.stringContaining('disconnecting'),
    });
    const late = client.subscribe('/b').next();
    expect(peer.lines()).toEqual(['DISCONNECT receipt:disconnect']);
    expect(await outcome(gone, clock.settle)).toBe('pending');
    peer.say('RECEIPT', { 'receipt-id': 'disconnect' });
    await gone;
    expect(peer.socket.closing).toEqual({ code: 1000, reason: '' });
    expect([await read, await late]).toEqual([
      { done: true, value: undefined },
      { done: true, value: undefined },
    ]);
    expect(peer.take()).toEqual([]);
    expect(ends).toEqual([[1000, false]]);
    expect(problems).toHaveLength(1);
    expect(clock.armed).toBe(0);
  });

  test('[STOMP-67] the wait is bounded, and a lost link ends it', async () => {
    for (const end of ['timeout', 'loss']) {
      const { client, online, clock, peers } = setup();
      const peer = await online();
      const gone = client.disconnect({ timeout: 700 });
      await clock.settle();
      expect(await outcome(gone, clock.settle)).toBe('pending');
      if (end === 'timeout') clock.advance(710);
      else peer.socket.hangUp(1006);
      await gone;
      clock.advance(60_000);
      expect(peers).toHaveLength(1);
      expect(client.state.getSnapshot().status).toBe('idle');
    }
  });

  test('an attempt or a wait is given up; what was queued is rejected', async () => {
    const { client, clock, peers } = setup({ accepts: false });
    const connected = caught(client.connect());
    await clock.settle();
    const published = caught(client.publish({ destination: '/a', receipt: true }));
    await client.disconnect();
    for (const each of [connected, published])
      expect(await each).toMatchObject({ message: 'The client was disconnected' });
    clock.advance(120_000);
    expect(peers).toHaveLength(1);
    expect(clock.armed).toBe(0);
  });

  test('terminate drops a stuck connection at once and comes back, and cuts a wait short', async () => {
    const { client, online, clock, peers } = setup();
    const peer = await online();
    const ends: unknown[] = [];
    client.on('closed', (event, willRetry) => ends.push([event.message, willRetry]));
    client.terminate();
    expect(peer.socket.terminated).toBe(true);
    expect(ends).toEqual([['The connection ended: 4499 Terminated', true]]);
    expect(client.state.getSnapshot().status).toBe('waiting');
    client.terminate();
    await clock.settle();
    expect(peers).toHaveLength(2);
  });

  test('connect() during a disconnect comes after it', async () => {
    const { client, online, clock, peers, accept } = setup();
    const peer = await online();
    const gone = client.disconnect();
    const again = client.connect();
    await clock.settle();
    peer.say('RECEIPT', { 'receipt-id': 'disconnect' });
    await gone;
    await accept();
    await again;
    await client.connect();
    expect(peers).toHaveLength(2);
  });

  test('after its signal a client dials no more, whatever is asked of it', async () => {
    const { client, peers } = setup({ signal: AbortSignal.abort('over') });
    expect(await caught(client.publish({ destination: '/a' }))).toBe('over');
    const ended = client.subscribe('/a').next();
    expect(await ended).toEqual({ done: true, value: undefined });
    expect([peers.length, client.state.getSnapshot().status]).toEqual([0, 'idle']);
  });

  test('a signal ends the client with its reason, early or late', async () => {
    const controller = new AbortController();
    const { client, clock } = setup({ signal: controller.signal });
    const connected = caught(client.connect());
    await clock.settle();
    controller.abort(new Error('enough'));
    expect(await connected).toMatchObject({ message: 'enough' });
    expect(await caught(client.connect())).toMatchObject({ message: 'enough' });
    const late = setup({ signal: controller.signal });
    expect(await caught(late.client.connect())).toMatchObject({ message: 'enough' });
    expect(late.peers).toHaveLength(0);
  });

  test('dispose is disconnect, by its own name and by the symbol', async () => {
    for (const name of ['dispose', Symbol.asyncDispose] as const) {
      const { client, online, clock } = setup();
      const peer = await online();
      const gone = client[name]();
      await clock.settle();
      peer.say('RECEIPT', { 'receipt-id': 'disconnect' });
      await gone;
      expect(client.state.getSnapshot().status).toBe('idle');
    }
  });

  test('a logger that throws costs nothing', async () => {
    const { client, online } = setup({
      onError() {
        throw new Error('broken logger');
      },
    });
    client.on('connected', () => {
      throw new Error('mine');
    });
    await online();
    expect(client.state.getSnapshot().status).toBe('connected');
  });
});
