import { describe, expect, test, vi } from 'vitest';
import { type PublishParameters, StompError } from '../../../src/stomp/client/client.ts';
import { setup } from '../../support/stomp-client-desk.ts';

const caught = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'resolved',
    (error) => error,
  );
const quiet = { warn: false, onError: () => {} };

describe('a refusal ends what was refused, and nothing else', () => {
  test('[STOMP-116] a refused SEND rejects its promise; the connection and the rest come back', async () => {
    const { client, online, back } = setup(quiet);
    const heard: string[] = [];
    client.subscribe('/topic/a', ({ body }) => heard.push(body));
    const peer = await online();
    peer.take();
    const refused = caught(client.publish({ destination: '/topic/closed', body: 'x', receipt: true }));
    const other = caught(client.publish({ destination: '/topic/a', body: 'y', receipt: true }));
    const receipt = peer.take()[0]?.headers.get('receipt') as string;
    peer.say('ERROR', { message: 'Forbidden', 'receipt-id': receipt });
    peer.socket.hangUp(1008, 'Forbidden');
    expect(await refused).toMatchObject({ name: 'StompError', message: 'Forbidden' });
    expect(await other).toMatchObject({ name: 'ConnectionLost' });
    const next = await back();
    expect(next.lines()).toEqual(['SUBSCRIBE id:subscription-0 destination:/topic/a']);
    next.say('MESSAGE', { subscription: 'subscription-0', destination: '/topic/a' }, 'again');
    expect(heard).toEqual(['again']);
  });

  test('[STOMP-116] a refused SUBSCRIBE ends with its error, and is not sent again', async () => {
    const { client, online, back } = setup(quiet);
    client.subscribe('/topic/good', () => {});
    const bad = client.subscribe('/topic/closed', () => {});
    const read = caught(bad.next());
    const peer = await online();
    const receipt = peer.take()[1]?.headers.get('receipt') as string;
    peer.say('ERROR', { message: 'Forbidden', 'receipt-id': receipt });
    expect(await caught(bad.active)).toBeInstanceOf(StompError);
    expect(await read).toBeInstanceOf(StompError);
    expect(peer.lines()).toEqual([]);
    expect((await back()).lines()).toEqual(['SUBSCRIBE id:subscription-0 destination:/topic/good']);
  });

  test('[STOMP-116] an ERROR without a name, as of RabbitMQ, blames the first that was not answered; twice is enough', async () => {
    const { client, online, back } = setup(quiet);
    for (const destination of ['/topic/first', '/exchange/none', '/topic/last'])
      client.subscribe(destination, () => {});
    let peer = await online();
    for (let round = 0; round < 2; round++) {
      const [first] = peer.take();
      peer.say('RECEIPT', { 'receipt-id': first?.headers.get('receipt') as string });
      peer.say('ERROR', { message: 'not_found' }, 'no exchange');
      peer.socket.hangUp(1000);
      peer = await back();
    }
    expect(peer.lines()).toEqual([
      'SUBSCRIBE id:subscription-0 destination:/topic/first',
      'SUBSCRIBE id:subscription-2 destination:/topic/last',
    ]);
  });

  test('[STOMP-116] an ERROR about a SEND without a receipt blames no subscription that was confirmed', async () => {
    const { client, online, back } = setup(quiet);
    client.subscribe('/topic/a', () => {});
    let peer = await online();
    for (let round = 0; round < 3; round++) {
      for (const { headers } of peer.take()) peer.say('RECEIPT', { 'receipt-id': headers.get('receipt') as string });
      void client.publish({ destination: '/exchange/none' });
      peer.take();
      peer.say('ERROR', { message: 'not_found' });
      peer = await back();
    }
    expect(peer.lines()).toEqual(['SUBSCRIBE id:subscription-0 destination:/topic/a']);
  });

  test.each([1001, 1011, 1012, 1013, 4403, 4408])(
    '[STOMP-73] an ERROR in answer to CONNECT with %i is trouble that passes',
    async (code) => {
      const { client, clock, last, back } = setup({ ...quiet, answersClose: false });
      void client.connect();
      await clock.settle();
      last().say('ERROR', { message: 'Internal error' });
      last().socket.hangUp(code, 'Internal error');
      await back();
      expect(client.state.getSnapshot().status).toBe('connected');
    },
  );

  test('[STOMP-112] 4403 to the same CONNECT, five times in a row, is the end', async () => {
    const { client, clock, peers, last } = setup({ ...quiet, answersClose: false });
    const connected = caught(client.connect());
    for (let round = 1; round <= 5; round++) {
      await clock.settle();
      expect(peers).toHaveLength(round);
      last().say('ERROR', { message: 'Credentials expired' });
      last().socket.hangUp(4403, 'Credentials expired');
      clock.advance(2_010);
    }
    expect(await connected).toMatchObject({ message: 'Credentials expired' });
    expect(client.state.getSnapshot().status).toBe('idle');
  });

  test('[STOMP-76] an error that nobody listens to has a last resort', async () => {
    const { online, problems } = setup({ warn: false });
    (await online()).say('ERROR', { message: 'Forbidden' });
    expect(problems).toEqual([expect.any(StompError)]);
  });

  test('the end tells its cause, and the state keeps it', async () => {
    const { client, online } = setup(quiet);
    const ends: unknown[] = [];
    client.on('closed', (event) => ends.push(event.cause));
    (await online()).say('ERROR', { message: 'Forbidden' });
    expect(ends).toEqual([expect.any(StompError)]);
    expect(client.state.getSnapshot()).toMatchObject({
      status: 'waiting',
      latency: undefined,
      error: { message: 'The connection ended: 1000 (Forbidden)' },
      retryAt: expect.any(Number),
    });
  });
});

describe('[STOMP-118] doors', () => {
  test.each([
    [{ a: 1 }, 'body must be text or bytes; got an object: JSON.stringify it'],
    [[1], 'body must be text or bytes; got an Array: JSON.stringify it'],
    [new Date(0), 'body must be text or bytes; got a Date: JSON.stringify it'],
    [new Blob([]), 'body must be text or bytes; got a Blob: await its arrayBuffer()'],
    [5, 'body must be text or bytes; got a number: make it text'],
    [null, 'body must be text or bytes; got null: make it text'],
    [() => '', 'body must be text or bytes; got a Function: JSON.stringify it'],
  ])('a body that is none is refused, and nothing is written: %j', async (body, words) => {
    for (const isOnline of [true, false]) {
      const { client, online, accept } = setup(quiet);
      if (isOnline) (await online()).take();
      expect(await caught(client.publish({ destination: '/a', body: body as never }))).toEqual(new TypeError(words));
      const good = client.publish({ destination: '/a', body: 'good' });
      const peer = isOnline ? undefined : await accept();
      await good;
      if (peer) expect(peer.take()).toMatchObject([{ text: 'good' }]);
    }
  });

  test('buffers and views are taken as their bytes', async () => {
    const { client, online } = setup();
    const peer = await online();
    const bytes = Uint8Array.of(1, 2, 3, 4);
    for (const body of [bytes, bytes.buffer, new DataView(bytes.buffer, 1, 2), new Uint16Array(bytes.buffer)]) {
      await client.publish({ destination: '/a', body });
    }
    expect(peer.take().map(({ body }) => [...body])).toEqual([
      [1, 2, 3, 4],
      [1, 2, 3, 4],
      [2, 3],
      [1, 2, 3, 4],
    ]);
  });

  test.each(['1.0', '1.1', '1.2'])('numbers and booleans are text, undefined is left out: %s', async (version) => {
    const { client, online } = setup({ connectHeaders: { login: 'me', passcode: undefined, attempts: 1 } });
    const peer = await online({ version });
    client.subscribe('/queue/a', () => {}, { 'prefetch-count': 1, durable: false, selector: undefined });
    await client.publish({ destination: '/a', headers: { priority: 9, persistent: true, gone: undefined } });
    expect(peer.lines()).toEqual([
      'SUBSCRIBE id:subscription-0 destination:/queue/a prefetch-count:1 durable:false',
      'SEND destination:/a priority:9 persistent:true',
    ]);
  });

  test.each([
    [{ a: null }, 'header "a" must be text, a number or a boolean; got null'],
    [{ a: {} }, 'header "a" must be text, a number or a boolean; got an object'],
    [{ a: 'x\0' }, 'header "a" needs a name, and has no NUL'],
    [{ '': 'x' }, 'header "" needs a name, and has no NUL'],
    [null, 'headers must be an object such as { priority: 9 }; got null'],
    ['a:b', 'headers must be an object such as { priority: 9 }; got a:b'],
  ])('headers that are none are refused at the call: %j', async (headers, words) => {
    const { client, online } = setup(quiet);
    const peer = await online();
    peer.take();
    const given = headers as PublishParameters['headers'];
    const wrong = new TypeError(words);
    const told = headers === null ? [] : [await caught(client.publish({ destination: '/a', headers: given }))];
    expect(told.every((error) => String(error) === String(wrong))).toBe(true);
    expect(() => client.subscribe('/a', () => {}, given as never)).toThrow(words);
    expect(peer.take()).toEqual([]);
  });

  test('a callback that is none is refused', () => {
    const { client } = setup();
    expect(() => client.subscribe('/a', {} as never)).toThrow(/^callback must be a function/);
  });

  test('[STOMP-76] what callbacks and listeners reject with is reported', async () => {
    const { client, online, problems, clock } = setup();
    client.on('connected', async () => {
      throw new Error('listener');
    });
    client.subscribe('/topic/a', async () => {
      throw new Error('callback');
    });
    const peer = await online();
    peer.say('MESSAGE', { subscription: 'subscription-0', destination: '/topic/a' });
    await clock.settle();
    expect(problems).toEqual([new Error('listener'), new Error('callback')]);
  });
});

describe('what a client tells', () => {
  test('[STOMP-110] a subscription can be awaited, over a reconnect too', async () => {
    const { client, online, back, clock } = setup(quiet);
    let active = 'pending';
    const subscription = client.subscribe('/topic/a', () => {}, { receipt: 'of the application' });
    subscription.active.then(() => (active = 'active'));
    (await online()).socket.hangUp();
    const peer = await back();
    expect(active).toBe('pending');
    peer.say('RECEIPT', { 'receipt-id': peer.take()[0]?.headers.get('receipt') as string });
    await clock.settle();
    expect(active).toBe('active');
    const ended = client.subscribe('/topic/b', () => {});
    ended.unsubscribe();
    expect(await caught(ended.active)).toEqual(new Error('The subscription to "/topic/b" has ended'));
  });

  test('[STOMP-113] what was under way at UNSUBSCRIBE is told to nobody, what belongs to nobody is', async () => {
    const { client, online } = setup();
    const unhandled: string[] = [];
    client.on('unhandled', ({ body }) => unhandled.push(body));
    const subscription = client.subscribe('/queue/a', () => {});
    const peer = await online();
    peer.take();
    subscription.unsubscribe();
    const [unsubscribe] = peer.take();
    peer.say('MESSAGE', { subscription: subscription.id, destination: '/queue/a' }, 'under way');
    peer.say('RECEIPT', { 'receipt-id': unsubscribe?.headers.get('receipt') as string });
    peer.say('MESSAGE', { subscription: '/temp-queue/x', destination: '/temp-queue/x' }, 'reply');
    expect(unhandled).toEqual(['reply']);
  });

  test('[STOMP-114] a durable subscription of ActiveMQ is ended by a second UNSUBSCRIBE, later too', async () => {
    const { client, online, back } = setup(quiet);
    const subscription = client.subscribe('/topic/a', () => {}, { id: 'mine' });
    let peer = await online();
    peer.take();
    subscription.unsubscribe();
    subscription.unsubscribe();
    expect(peer.lines()).toEqual(['UNSUBSCRIBE id:mine']);
    peer.socket.hangUp();
    subscription.unsubscribe({ 'activemq.subscriptionName': 'mine' });
    peer = await back();
    expect(peer.lines()).toEqual(['UNSUBSCRIBE id:mine activemq.subscriptionName:mine']);
  });

  test('[STOMP-115] subscribing again in a listener of connected is warned of, once', async () => {
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => {});
    const { client, online, back } = setup({ warn: true });
    client.on('connected', () => {
      client.subscribe('/topic/a', (message) => void message.body);
      client.subscribe('/topic/b', (message) => void message.body);
    });
    let peer = await online();
    expect(warn).not.toHaveBeenCalled();
    for (let round = 0; round < 2; round++) {
      peer.socket.hangUp();
      peer = await back();
    }
    expect(warn.mock.calls).toEqual([[expect.stringMatching(/"\/topic\/a" is subscribed to again .* outside of it/)]]);
    warn.mockRestore();
  });

  test('frames can be seen, without the passcode', async () => {
    const frames: unknown[] = [];
    const { client, online } = setup({
      connectHeaders: { login: 'me', passcode: 'secret' },
      onFrame: ({ direction, command, headers, body }) =>
        frames.push([direction, command, headers.get('passcode') ?? headers.get('destination'), body]),
    });
    const peer = await online();
    await client.publish({ destination: '/a', body: 'x' });
    peer.say('MESSAGE', { destination: '/b', subscription: 'x' }, 'y');
    expect(frames).toEqual([
      ['sent', 'CONNECT', '…', ''],
      ['received', 'CONNECTED', undefined, ''],
      ['sent', 'SEND', '/a', 'x'],
      ['received', 'MESSAGE', '/b', 'y'],
    ]);
  });

  test('[STOMP-126] [STOMP-76] a log that throws or rejects harms nothing, and sees no token', async () => {
    const errors: unknown[] = [];
    const seen: unknown[] = [];
    let count = 0;
    const { client, online } = setup({
      connectHeaders: { Authorization: 'Bearer secret' },
      onError: (error) => void errors.push(error),
      onFrame: ({ headers }) => {
        seen.push(...headers.values());
        if (count++ % 2 === 0) throw new Error('log');
        return Promise.reject(new Error('log')) as never;
      },
    });
    const peer = await online();
    await client.publish({ destination: '/a', body: 'x' });
    await Promise.resolve();
    expect(peer.socket.closing).toBeUndefined();
    expect(errors.map(String)).toEqual(Array(count).fill('Error: log'));
    expect(seen).not.toContain('Bearer secret');
  });

  test('what may be missing after a reconnect is said', async () => {
    const { client, online, back } = setup(quiet);
    const gaps: unknown[] = [];
    client.on('gap', ({ code }) => gaps.push(code));
    let peer = await online();
    peer.socket.hangUp();
    peer = await back();
    expect(gaps).toEqual([]);
    client.subscribe('/topic/a', () => {});
    peer.socket.hangUp();
    await back();
    expect(gaps).toEqual([1006]);
  });

  test('[STOMP-111] refresh() shows the headers of CONNECT again, or others', async () => {
    let token = 0;
    const { client, online } = setup({ ...quiet, connectHeaders: () => ({ login: 'me', passcode: ++token }) });
    expect(await client.refresh()).toBe(false);
    const peer = await online();
    const taken = client.refresh();
    await Promise.resolve();
    await Promise.resolve();
    const [send] = peer.take();
    expect(Object.fromEntries(send?.headers ?? [])).toMatchObject({ destination: '/app/$credentials', passcode: '2' });
    peer.say('RECEIPT', { 'receipt-id': send?.headers.get('receipt') as string });
    expect(await taken).toBe(true);
    const refused = caught(client.refresh({ passcode: 'bad' }));
    const receipt = peer.take()[0]?.headers.get('receipt') as string;
    peer.say('ERROR', { message: 'Unauthorized', 'receipt-id': receipt });
    expect(await refused).toBeInstanceOf(StompError);
  });

  test('a message can choose whether its text has a length', async () => {
    const { client, online } = setup();
    const peer = await online();
    await client.publish({ destination: '/a', body: 'x', contentLength: false });
    await client.publish({ destination: '/a', body: 'x' });
    expect(peer.take().map(({ headers }) => headers.get('content-length'))).toEqual([undefined, '1']);
  });
});

describe('ends of a client', () => {
  test('dispose() is final and told once; disconnect() is not', async () => {
    const { client, online, clock } = setup(quiet);
    const peer = await online();
    const first = client.dispose();
    expect(client.dispose()).toBe(first);
    await clock.settle();
    peer.say('RECEIPT', { 'receipt-id': 'disconnect' });
    await client[Symbol.asyncDispose]();
    await first;
    expect(await caught(client.connect())).toEqual(new Error('The client is disposed'));
    expect(await caught(client.publish({ destination: '/a', receipt: true }))).toEqual(
      new Error('The client is disposed'),
    );
    expect(await client.subscribe('/a').next()).toEqual({ done: true, value: undefined });
  });

  test('a signal is left alone by a client that has ended', async () => {
    const { signal } = new AbortController();
    const [added, removed] = [vi.spyOn(signal, 'addEventListener'), vi.spyOn(signal, 'removeEventListener')];
    const { client } = setup({ signal });
    await client.dispose();
    expect([added.mock.calls.length, removed.mock.calls.length]).toEqual([1, 1]);
  });

  test('[STOMP-59] commit() after a loss rejects with the loss', async () => {
    const { client, online } = setup(quiet);
    const peer = await online();
    const transaction = client.begin();
    peer.socket.hangUp();
    expect(await caught(transaction.commit())).toMatchObject({ name: 'ConnectionLost', code: 1006 });
  });
});

test('[STOMP-118] publish without an object says what it takes', async () => {
  const { client } = setup(quiet);
  const publish: (...parameters: unknown[]) => Promise<void> = client.publish as never;
  await expect(publish()).rejects.toThrow('publish() takes one object { destination, body, headers }; got undefined');
  await expect(publish('/topic/a', 'x')).rejects.toThrow('got string');
});
