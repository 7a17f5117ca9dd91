import { afterEach, beforeEach, describe, expect, expectTypeOf, test, vi } from 'vitest';
import type { Subscription } from '../../../src/bus/subscription.ts';
import {
  type Client,
  type ClientEvents,
  type ClientOptions,
  ConnectionLost,
  createClient,
  type FormattedExecutionResult,
  type QueryOf,
  type SubscribePayload,
  type TypedQuery,
} from '../../../src/graphql/client/client.ts';
import { createFakeClock, type FakeClock } from '../../support/fake-clock.ts';
import type { FakeSocket } from '../../support/fake-socket.ts';
import { FakeTransport } from '../../support/fake-transport.ts';

const query = 'subscription { price }';

let clock: FakeClock;
let server: FakeTransport;
let client: Client;
let reported: unknown[];
let events: unknown[][];
const created: Client[] = [];

beforeEach(() => {
  clock = createFakeClock(1_000);
  server = new FakeTransport();
  reported = [];
  events = [];
});
afterEach(() => {
  for (const each of created.splice(0)) each.dispose();
});

const eventNames = ['connecting', 'opened', 'connected', 'ping', 'pong', 'message', 'closed', 'error'] as const;

function create(options: Partial<ClientOptions> = {}): Client {
  client = createClient({
    url: 'ws://server',
    transport: server.transport,
    clock,
    backoff: { base: 4_000, random: () => 0.5 },
    onError: (error) => reported.push(error),
    generateID: ({ operationName }) => operationName ?? '1',
    ...options,
  });
  created.push(client);
  for (const name of eventNames) {
    client.on(name, ((...details: unknown[]) => events.push([name, ...details])) as ClientEvents[typeof name]);
  }
  return client;
}

/** Let the attempt under way succeed, up to the acknowledgement. */
async function accept(payload?: unknown, answersClose = true): Promise<FakeSocket> {
  await clock.settle();
  const socket = server.last.open(undefined, answersClose);
  await clock.settle();
  socket.receiver?.received(JSON.stringify({ type: 'connection_ack', payload }));
  return socket;
}

const say = (socket: FakeSocket, message: unknown): void => socket.receiver?.received(JSON.stringify(message));
const sent = (socket: FakeSocket): unknown[] => socket.take().map((message) => JSON.parse(String(message)));
const named = (name: string): unknown[][] => events.filter(([event]) => event === name);
const closedEvent = (code: number, reason: string): unknown => expect.objectContaining({ code, reason });
const closed = (code: number, reason: string, willRetry: boolean): unknown[] => [
  'closed',
  closedEvent(code, reason),
  willRetry,
];

/** A sink that writes down what it is told. */
function recorder(): { told: unknown[][]; next(value: unknown): void; error(error: unknown): void; complete(): void } {
  const told: unknown[][] = [];
  return {
    told,
    next: (value) => told.push(['next', value]),
    error: (error) => told.push(['error', error]),
    complete: () => told.push(['complete']),
  };
}

describe('options', () => {
  test.each([
    [{ keepAlive: -1 }, /keepAlive/],
    [{ lazyCloseTimeout: Number.NaN }, /lazyCloseTimeout/],
    [{ connectionAckWaitTimeout: -5 }, /connectionAckWaitTimeout/],
    [{ retryAttempts: -1 }, /retryAttempts/],
    [{ webSocketImpl: 'ws' }, /webSocketImpl/],
    [{ url: '' }, /url/],
    [{ limits: { pongTimeout: 0 } }, /limits\.pongTimeout/],
    [
      { url: 'ftp://x', transport: undefined },
      /createClient\(\): url must begin with ws:\/\/ or wss:\/\/; got ftp:\/\/x/,
    ],
    [{ retry: 5 }, /retry must be a function; got number/],
    [{ shouldRetry: true }, /shouldRetry must be a function; got boolean/],
    [
      { connectionParams: 'tok' },
      /connectionParams must be an object such as \{ token: '…' \}, or a function; got tok/,
    ],
    [{ connectionParams: Promise.resolve({}) }, /connectionParams must be an object such as/],
    [{ on: { conected() {} } }, /on\(\) has no option "conected": did you mean "connected"/],
    [{ on: { closed: true } }, /on\(\): the listener of closed must be a function; got boolean/],
  ])('%o is refused by name', (options, message) => {
    expect(() => createClient({ url: 'ws://server', ...options } as never)).toThrow(message);
  });

  test('[GQL-81] an operation that is none, and a listener of nothing, are told in words', async () => {
    create({ generateID: undefined });
    for (const payload of [undefined, null, '{ a }', 5]) {
      const results = client.iterate(payload as never);
      await expect(results.next()).rejects.toThrow(/An operation is an object: \{ query: '\{ hello \}' \}; got/);
    }
    expect(() => client.on('conected' as never, () => {})).toThrow(/did you mean "connected"/);
    expect(() => client.on('connected', undefined as never)).toThrow(/the listener of connected must be a function/);
  });

  test('[GQL-60] another choice is final, though the peer vanishes before it answers the close', () => {
    create();
    const sink = recorder();
    client.subscribe({ query }, sink);
    server.last.open('', false).hangUp(1006);
    expect(sink.told).toEqual([['error', closedEvent(4406, 'The server chose none of graphql-transport-ws')]]);
  });

  test('[GQL-60] the subprotocol is offered; another choice is final', () => {
    create();
    const sink = recorder();
    client.subscribe({ query }, sink);
    expect(server.last.protocols).toEqual(['graphql-transport-ws']);
    server.last.open('graphql-ws');
    expect(sink.told).toEqual([['error', closedEvent(4406, 'The server chose "graphql-ws" of graphql-transport-ws')]]);
    expect(client.state.getSnapshot().status).toBe('idle');
    expect(server.dials).toHaveLength(1);
  });
});

describe('a lazy client', () => {
  test('connects with the first operation, runs it, and closes after the last', async () => {
    create();
    expect(server.dials).toHaveLength(0);
    const sink = recorder();
    client.subscribe({ query, variables: { n: 1 } }, sink);
    const socket = await accept();
    expect(sent(socket)).toEqual([
      { type: 'connection_init' },
      { id: '1', type: 'subscribe', payload: { query, variables: { n: 1 } } },
    ]);
    say(socket, { id: '1', type: 'next', payload: { data: { price: 1 } } });
    say(socket, { id: '1', type: 'complete' });
    await clock.settle();
    expect(sink.told).toEqual([['next', { data: { price: 1 } }], ['complete']]);
    expect(sent(socket)).toEqual([]);
    expect(socket.closing).toEqual({ code: 1000, reason: 'Normal Closure' });
    expect(named('closed')).toEqual([closed(1000, 'Normal Closure', false)]);
    expect(clock.armed).toBe(0);
  });

  test('[GQL-72] stays for an operation that follows in the same turn', async () => {
    create();
    client.subscribe({ query }, recorder())();
    client.subscribe({ query }, recorder());
    await clock.settle();
    expect(server.dials).toHaveLength(1);
    expect(server.last.abandoned).toBe(false);
  });

  test('[GQL-72] stays for lazyCloseTimeout, and longer for a new operation', async () => {
    create({ lazyCloseTimeout: 3_000 });
    const stop = client.subscribe({ query }, recorder());
    const socket = await accept();
    stop();
    await clock.settle();
    clock.advance(2_990);
    client.subscribe({ query, operationName: '2' }, recorder())();
    await clock.settle();
    clock.advance(2_990);
    expect(socket.closing).toBeUndefined();
    clock.advance(20);
    expect(socket.closing).toEqual({ code: 1000, reason: 'Normal Closure' });
  });

  test('[GQL-72] does not come back for a connection that is lost while nobody wants it', async () => {
    create({ lazyCloseTimeout: 3_000 });
    const stop = client.subscribe({ query }, recorder());
    const socket = await accept();
    stop();
    await clock.settle();
    socket.hangUp(1006);
    clock.advance(60_000);
    expect(server.dials).toHaveLength(1);
    expect(client.state.getSnapshot().status).toBe('idle');
  });

  test('gives an attempt up when its only operation is stopped', async () => {
    create();
    client.subscribe({ query }, recorder())();
    await clock.settle();
    expect(server.last.abandoned).toBe(true);
  });

  test('[GQL-71] stopping twice is stopping once', async () => {
    create();
    const sink = recorder();
    const stop = client.subscribe({ query }, sink);
    const socket = await accept();
    sent(socket);
    stop();
    stop();
    expect(sink.told).toEqual([['complete']]);
    expect(sent(socket)).toEqual([{ id: '1', type: 'complete' }]);
  });
});

describe('a client that is not lazy', () => {
  test('connects at once and stays', async () => {
    create({ lazy: false });
    const stop = client.subscribe({ query }, recorder());
    const socket = await accept();
    stop();
    await clock.settle();
    expect(socket.closing).toBeUndefined();
  });

  test('reconnects though nothing runs, and tells onNonLazyError when it gives up', async () => {
    const onNonLazyError = vi.fn();
    create({ lazy: false, onNonLazyError });
    (await accept()).hangUp(1006);
    clock.advance(2_000);
    expect(server.dials).toHaveLength(2);
    (await accept()).hangUp(4400, 'Invalid message received');
    clock.advance(60_000);
    expect(server.dials).toHaveLength(2);
    expect(onNonLazyError.mock.calls).toEqual([[closedEvent(4400, 'Invalid message received')]]);
  });
});

describe('connection params', () => {
  test('[GQL-61] [GQL-79] are asked for each connection, after 4403 as well', async () => {
    let token = 0;
    create({ connectionParams: async () => ({ token: ++token }) });
    client.subscribe({ query }, recorder());
    const first = await accept();
    expect(sent(first)[0]).toEqual({ type: 'connection_init', payload: { token: 1 } });
    first.hangUp(4403, 'Forbidden');
    clock.advance(2_000);
    expect(sent(await accept())[0]).toEqual({ type: 'connection_init', payload: { token: 2 } });
  });

  test.each([
    [
      'throw',
      () => {
        throw new Error('No token');
      },
    ],
    ['reject', () => Promise.reject(new Error('No token'))],
    [
      'cannot be JSON',
      () => ({
        toJSON() {
          throw new Error('No token');
        },
      }),
    ],
  ])('[GQL-74] that %s are final', async (_how, connectionParams) => {
    create({ connectionParams });
    const sink = recorder();
    client.subscribe({ query }, sink);
    await clock.settle();
    if (server.dials.length > 0) server.last.open();
    await clock.settle();
    expect(sink.told).toEqual([['error', new Error('No token')]]);
    expect(named('error')).toEqual([['error', new Error('No token')]]);
    expect(named('closed')).toEqual([closed(4005, 'No token', false)]);
    const { length } = server.dials;
    clock.advance(60_000);
    await clock.settle();
    expect(server.dials).toHaveLength(length);
  });

  test.each([undefined, null, '', false])('[GQL-61] that are %j are none', async (params) => {
    create({ connectionParams: () => params as undefined });
    client.subscribe({ query }, recorder());
    expect(sent(await accept())[0]).toEqual({ type: 'connection_init' });
  });

  test('[GQL-74] that throw something else are said as they are, and shouldRetry may know better', async () => {
    const shouldRetry = vi.fn(() => true);
    create({ connectionParams: () => Promise.reject('offline'), shouldRetry });
    client.subscribe({ query }, recorder());
    await clock.settle();
    expect(shouldRetry.mock.calls).toEqual([['offline']]);
    clock.advance(2_000);
    await clock.settle();
    expect(shouldRetry.mock.calls).toEqual([['offline'], ['offline']]);
    expect(server.dials).toHaveLength(0);
  });
});

describe('coming back', () => {
  test('[GQL-76] [GQL-77] a lost connection is dialled again after a back-off and what runs is sent again', async () => {
    create();
    const sink = recorder();
    client.subscribe({ query }, sink);
    client.subscribe({ query: '{ slow }', operationName: 'query' }, recorder());
    client.subscribe({ query: '{ done }', operationName: 'done' }, recorder());
    const first = await accept();
    say(first, { id: 'done', type: 'next', payload: {} });
    say(first, { id: 'done', type: 'complete' });
    first.hangUp(1006);
    expect(client.state.getSnapshot()).toMatchObject({ status: 'waiting', attempt: 1 });
    clock.advance(1_990);
    expect(server.dials).toHaveLength(1);
    clock.advance(20);
    const second = await accept();
    expect(sent(second).map((message) => (message as { id?: string }).id)).toEqual([undefined, '1', 'query']);
    say(second, { id: '1', type: 'next', payload: { data: { price: 2 } } });
    expect(sink.told).toEqual([['next', { data: { price: 2 } }]]);
    expect(named('connecting')).toEqual([
      ['connecting', false],
      ['connecting', true],
    ]);
    expect(named('connected').map(([, , , wasRetry]) => wasRetry)).toEqual([false, true]);
  });

  test('[GQL-76] a refused connection is tried again, with growing waits', () => {
    create();
    client.subscribe({ query }, recorder());
    for (const wait of [2_000, 4_000, 8_000, 15_000, 15_000]) {
      const { length } = server.dials;
      server.last.refuse();
      clock.advance(wait - 20);
      expect(server.dials).toHaveLength(length);
      clock.advance(40);
      expect(server.dials).toHaveLength(length + 1);
    }
    expect(named('error')).toHaveLength(5);
    expect(named('closed')[0]).toEqual(closed(1006, 'connect ECONNREFUSED', true));
  });

  test('[GQL-76] the hint of the server spreads the first wait', async () => {
    create();
    client.subscribe({ query }, recorder());
    (await accept()).hangUp(1001, 'Going away retry within 12000 ms');
    clock.advance(5_980);
    expect(server.dials).toHaveLength(1);
    clock.advance(40);
    expect(server.dials).toHaveLength(2);
  });

  test('[GQL-76] retryAttempts counts failures in a row', async () => {
    create({ retryAttempts: 1 });
    const sink = recorder();
    client.subscribe({ query }, sink);
    (await accept()).hangUp(1006);
    clock.advance(4_000);
    (await accept()).hangUp(1006);
    clock.advance(4_000);
    server.last.refuse();
    expect(sink.told).toEqual([['error', closedEvent(1006, 'connect ECONNREFUSED')]]);
    expect(client.state.getSnapshot()).toMatchObject({ status: 'idle', attempt: 0 });
    client.subscribe({ query }, recorder());
    expect(named('connecting').at(-1)).toEqual(['connecting', false]);
  });

  test('retryAttempts 0 never tries again', async () => {
    create({ retryAttempts: 0 });
    const sink = recorder();
    client.subscribe({ query }, sink);
    (await accept()).hangUp(1006);
    expect(sink.told).toEqual([['error', closedEvent(1006, '')]]);
  });

  test.each([4004, 4005, 4400, 4406, 4409, 4429, 4500, 1002, 1003, 1007, 1008, 1010, 1011, 1015])(
    '[GQL-75] %i is final',
    async (code) => {
      create({ shouldRetry: () => true });
      const sink = recorder();
      client.subscribe({ query }, sink);
      (await accept()).hangUp(code, 'why');
      expect(sink.told).toEqual([['error', closedEvent(code, 'why')]]);
      clock.advance(60_000);
      expect(server.dials).toHaveLength(1);
    },
  );

  test.each([1001, 1005, 1006, 1012, 1013, 1014, 4000, 4403, 4408, 4499, 4504, 3000, 4999])(
    '[GQL-75] [GQL-76] %i is not final',
    async (code) => {
      create();
      client.subscribe({ query }, recorder());
      (await accept()).hangUp(code);
      clock.advance(2_000);
      expect(server.dials).toHaveLength(2);
    },
  );

  test('[GQL-73] 1000 while something runs: back at once, and not counted', async () => {
    create({ retryAttempts: 0 });
    client.subscribe({ query }, recorder());
    for (let round = 2; round < 5; round++) {
      const socket = await accept();
      clock.advance(10_000);
      socket.hangUp(1000, 'Normal Closure');
      clock.advance(10);
      expect(server.dials).toHaveLength(round);
    }
    expect(named('connecting').at(-1)).toEqual(['connecting', true]);
  });

  test('[GQL-73] a server that is done at once, again and again, meets the back-off', async () => {
    create();
    client.subscribe({ query }, recorder());
    for (const wait of [0, 4_000, 8_000]) {
      const { length } = server.dials;
      (await accept()).hangUp(1000, 'Normal Closure');
      clock.advance(wait - 20);
      expect(server.dials).toHaveLength(length);
      clock.advance(40);
      expect(server.dials).toHaveLength(length + 1);
    }
  });

  test('1000 before the acknowledgement counts, so that nothing spins', async () => {
    create({ retryAttempts: 1 });
    client.subscribe({ query }, recorder());
    server.last.open().hangUp(1000);
    clock.advance(1_980);
    expect(server.dials).toHaveLength(1);
    clock.advance(40);
    expect(server.dials).toHaveLength(2);
  });

  test('shouldRetry false, or thrown, gives up', async () => {
    for (const shouldRetry of [
      () => false,
      () => {
        throw new Error('hook');
      },
    ]) {
      create({ shouldRetry });
      const sink = recorder();
      client.subscribe({ query }, sink);
      (await accept()).hangUp(4403, 'Forbidden');
      expect(sink.told).toEqual([['error', closedEvent(4403, 'Forbidden')]]);
    }
    expect(reported).toEqual([new Error('hook')]);
  });

  test('retryWait is awaited instead of the back-off', async () => {
    const waits: number[] = [];
    let go = (): void => {};
    create({
      retryWait: (retries) => {
        waits.push(retries);
        return new Promise((resolve) => {
          go = resolve;
        });
      },
    });
    client.subscribe({ query }, recorder());
    server.last.refuse();
    clock.advance(60_000);
    expect(server.dials).toHaveLength(1);
    go();
    await clock.settle();
    server.last.refuse();
    expect(waits).toEqual([0, 1]);
    // Whoever cuts the wait short has dialled already: its end begins nothing more.
    client.terminate();
    expect(server.dials).toHaveLength(3);
    go();
    await clock.settle();
    expect(server.dials).toHaveLength(3);
  });

  test('a retryWait that throws gives up with what it threw', async () => {
    let late = (_error: Error): void => {};
    create({
      retryWait: (retries) => {
        if (retries > 0) throw new Error('enough');
        return new Promise((_resolve, reject) => {
          late = reject;
        });
      },
    });
    const sink = recorder();
    client.subscribe({ query }, sink);
    server.last.refuse();
    client.terminate();
    server.last.refuse();
    await clock.settle();
    late(new Error('too late'));
    await clock.settle();
    expect(sink.told).toEqual([['error', new Error('enough')]]);
    expect(client.state.getSnapshot().status).toBe('idle');
  });

  test('stopping the last operation cuts a wait short', async () => {
    create({ lazyCloseTimeout: 5_000 });
    const stop = client.subscribe({ query }, recorder());
    server.last.refuse();
    stop();
    await clock.settle();
    expect(client.state.getSnapshot().status).toBe('idle');
    expect(clock.armed).toBe(0);
  });

  test('[GQL-67] an acknowledgement that does not come is 4504 and tried again', async () => {
    create({ connectionAckWaitTimeout: 3_000 });
    client.subscribe({ query }, recorder());
    const socket = server.last.open();
    await clock.settle();
    clock.advance(3_000);
    expect(socket.closing).toEqual({ code: 4504, reason: 'Connection acknowledgement timeout' });
    clock.advance(2_000);
    expect(server.dials).toHaveLength(2);
  });

  test('[GQL-70] a dead peer is dropped and dialled again', async () => {
    create({ keepAlive: 5_000, limits: { pongTimeout: 2_000 } });
    client.subscribe({ query }, recorder());
    const socket = await accept(undefined, false);
    clock.advance(7_000);
    expect(socket.terminated).toBe(true);
    expect(named('closed')).toEqual([closed(4000, 'Heartbeat timeout', true)]);
    clock.advance(2_000);
    expect(server.dials).toHaveLength(2);
  });

  test('[GQL-70] a network that comes back pings at once, or cuts a wait short', async () => {
    const target = new EventTarget();
    const signals: (AbortSignal | undefined)[] = [];
    vi.stubGlobal('addEventListener', (type: string, wake: () => void, options: AddEventListenerOptions) => {
      signals.push(options.signal);
      target.addEventListener(type, wake, options);
    });
    try {
      create();
      client.subscribe({ query }, recorder());
      const socket = await accept(undefined, false);
      sent(socket);
      target.dispatchEvent(new Event('online'));
      expect(sent(socket)).toEqual([{ type: 'ping' }]);
      clock.advance(10_000);
      expect(socket.terminated).toBe(true);
      target.dispatchEvent(new Event('pageshow'));
      expect(server.dials).toHaveLength(2);
      client.dispose();
      expect(signals.map((signal) => signal?.aborted)).toEqual([true, true, true]);
    } finally {
      vi.unstubAllGlobals();
    }
  });

  test('[GQL-66] a bad message is 4004, final, and told as an error', async () => {
    create();
    const sink = recorder();
    client.subscribe({ query }, sink);
    const socket = await accept();
    say(socket, { type: 'shout' });
    expect(socket.closing).toEqual({ code: 4004, reason: 'Unexpected message: {"type":"shout"}' });
    expect(sink.told).toEqual([['error', closedEvent(4004, 'Unexpected message: {"type":"shout"}')]]);
    expect(named('error')).toHaveLength(1);
  });

  test('what we close for counts, though the peer vanishes before it answers', async () => {
    create();
    const sink = recorder();
    client.subscribe({ query }, sink);
    const socket = server.last.open(undefined, false);
    await clock.settle();
    say(socket, { id: '1', type: 'complete' });
    socket.hangUp(1006);
    expect(sink.told).toEqual([['error', closedEvent(4004, 'complete before connection_ack')]]);
  });
});

describe('dispose and terminate', () => {
  test('dispose completes what runs and closes; nothing begins afterwards', async () => {
    create();
    const sink = recorder();
    client.subscribe({ query }, sink);
    const socket = await accept();
    client.dispose();
    expect(sink.told).toEqual([['complete']]);
    expect(socket.closing).toEqual({ code: 1000, reason: 'Normal Closure' });
    const late = recorder();
    client.subscribe({ query }, late)();
    expect(late.told).toEqual([['error', new Error('The client is disposed')]]);
    await clock.settle();
    expect(server.dials).toHaveLength(1);
  });

  test('dispose cuts a wait short and does not wait for an attempt', async () => {
    create();
    client.subscribe({ query }, recorder());
    server.last.refuse();
    client.dispose();
    expect(clock.armed).toBe(0);
    create();
    client.subscribe({ query }, recorder());
    await client[Symbol.asyncDispose]();
    expect(server.last.abandoned).toBe(true);
  });

  test('dispose while the acknowledgement is being told: nothing is said of it afterwards', async () => {
    create();
    client.on('message', () => client.dispose());
    const sink = recorder();
    client.subscribe({ query }, sink);
    const socket = await accept();
    expect(sink.told).toEqual([['complete']]);
    expect(named('connected')).toEqual([]);
    expect(sent(socket)).toEqual([{ type: 'connection_init' }]);
  });

  test('[GQL-80] terminate drops the socket and comes back at once', async () => {
    create();
    client.subscribe({ query }, recorder());
    const socket = await accept();
    client.terminate();
    expect(socket.terminated).toBe(true);
    expect(named('closed')).toEqual([closed(4499, 'Terminated', true)]);
    clock.advance(10);
    expect(server.dials).toHaveLength(2);
    expect(named('connecting').at(-1)).toEqual(['connecting', true]);
    expect(client.state.getSnapshot().attempt).toBe(0);
  });

  test('[GQL-80] terminate of an idle client does nothing', () => {
    create();
    client.terminate();
    expect(events).toEqual([]);
  });
});

describe('operations', () => {
  test('[GQL-78] the errors of the server end an operation', async () => {
    create();
    const sink = recorder();
    client.subscribe({ query }, sink);
    const socket = await accept();
    say(socket, { id: '1', type: 'error', payload: [{ message: 'no' }] });
    say(socket, { id: '1', type: 'complete' });
    expect(sink.told).toEqual([['error', [{ message: 'no' }]]]);
  });

  test('[GQL-81] any text is an id', async () => {
    create();
    const sink = recorder();
    client.subscribe({ query, operationName: '__proto__' }, sink);
    const socket = await accept();
    say(socket, { id: '__proto__', type: 'next', payload: { data: {} } });
    say(socket, { id: 'constructor', type: 'next', payload: { data: {} } });
    expect(sink.told).toEqual([['next', { data: {} }]]);
  });

  test('[GQL-81] an id that is in use is refused without disturbing the one that runs', async () => {
    create();
    const first = recorder();
    const second = recorder();
    client.subscribe({ query }, first);
    client.subscribe({ query }, second)();
    expect(second.told).toEqual([['error', new Error('Operation "1" is running already')]]);
    const socket = await accept();
    expect(sent(socket)).toHaveLength(2);
    say(socket, { id: '1', type: 'complete' });
    expect(first.told).toEqual([['complete']]);
  });

  test('[GQL-81] ids are random unless generateID says otherwise', async () => {
    create({ generateID: undefined });
    for (let count = 0; count < 100; count++) client.subscribe({ query }, recorder());
    const ids = sent(await accept()).map((message) => (message as { id: string }).id);
    expect(new Set(ids).size).toBe(101);
    expect(ids[1]).toMatch(/^[0-9a-f]{18}$/);
  });

  test('variables that are no JSON fail their operation only', () => {
    create();
    const sink = recorder();
    client.subscribe({ query, variables: { big: 1n } }, sink);
    expect(sink.told).toEqual([['error', expect.any(TypeError)]]);
    expect(server.dials).toHaveLength(0);
  });

  test.each([
    ['no query', { operationName: 'A' }, 'An operation needs { query }, the text of a document; got undefined'],
    [
      'a document object as its query',
      { query: { kind: 'Document' }, operationName: 'A' },
      'An operation needs { query }, the text of a document; got object (a document object: print(document))',
    ],
    ['no id', { query, operationName: '' }, 'generateID must return a text; got ""'],
  ])(
    '[GQL-81] an operation with %s fails alone, before the server closes on all of them',
    async (_, payload, words) => {
      create();
      client.subscribe({ query }, recorder());
      const socket = await accept();
      sent(socket);
      const sink = recorder();
      client.subscribe(payload as { query: string }, sink);
      expect(sink.told).toEqual([['error', new TypeError(words)]]);
      expect(sent(socket)).toEqual([]);
    },
  );

  test('the replacer and the reviver see payloads', async () => {
    create({
      jsonMessageReplacer: (_key, value) => (typeof value === 'bigint' ? `${value}n` : value),
      jsonMessageReviver: (key, value) => (key === 'price' ? BigInt(value as string) : value),
    });
    const sink = recorder();
    client.subscribe({ query, variables: { big: 1n } }, sink);
    const socket = await accept();
    expect(sent(socket)[1]).toMatchObject({ payload: { variables: { big: '1n' } } });
    say(socket, { id: '1', type: 'next', payload: { data: { price: '7' } } });
    expect(sink.told).toEqual([['next', { data: { price: 7n } }]]);
  });

  test('[GQL-82] a sink that throws harms only itself', async () => {
    create({
      on: {
        message: () => {
          throw new Error('listener');
        },
      },
    });
    const good = recorder();
    const bad = (): never => {
      throw new Error('sink');
    };
    client.subscribe({ query, operationName: 'bad' }, { next: bad, error: bad, complete: bad });
    client.subscribe({ query }, good);
    const socket = await accept();
    say(socket, { id: 'bad', type: 'next', payload: {} });
    say(socket, { id: 'bad', type: 'complete' });
    say(socket, { id: '1', type: 'next', payload: { data: {} } });
    expect(good.told).toEqual([['next', { data: {} }]]);
    expect(reported.map((error) => (error as Error).message)).toEqual([
      'listener',
      'listener',
      'sink',
      'listener',
      'sink',
      'listener',
    ]);
    expect(socket.closing).toBeUndefined();
  });

  test('[GQL-82] an onError that throws is no end either', async () => {
    create({
      onError: () => {
        throw new Error('logger');
      },
    });
    const sink = {
      ...recorder(),
      next: () => {
        throw new Error('sink');
      },
    };
    client.subscribe({ query }, sink);
    const socket = await accept();
    say(socket, { id: '1', type: 'next', payload: {} });
    expect(socket.closing).toBeUndefined();
  });

  test('[GQL-84] onLive asks for a confirmation and hears it', async () => {
    create();
    const onLive = vi.fn();
    client.subscribe({ query, extensions: { a: 1, subwire: { from: 'x' } } }, { ...recorder(), onLive });
    client.subscribe({ query, operationName: '2' }, { ...recorder(), onLive: undefined });
    const socket = await accept();
    const subscribes = sent(socket).slice(1) as { payload: { extensions?: unknown } }[];
    expect(subscribes.map(({ payload }) => payload.extensions)).toEqual([
      { a: 1, subwire: { from: 'x', confirm: true } },
      undefined,
    ]);
    expect(onLive).not.toHaveBeenCalled();
    say(socket, { type: 'ping', payload: { subwire: { live: '1' } } });
    say(socket, { type: 'ping', payload: { subwire: { live: '2' } } });
    expect(onLive).toHaveBeenCalledTimes(1);
  });

  test('[GQL-85] refresh shows credentials on the live connection', async () => {
    create();
    expect(await client.refresh({ token: 'new' })).toBe(false);
    client.subscribe({ query }, recorder());
    const socket = await accept();
    sent(socket);
    const taken = client.refresh({ token: 'new' });
    const payload = { subwire: { credentials: { token: 'new' } } };
    expect(sent(socket)).toEqual([{ type: 'ping', payload }]);
    say(socket, { type: 'pong' });
    say(socket, { type: 'pong', payload: { subwire: { refreshed: true } } });
    expect(await taken).toBe(true);
  });

  test('[GQL-85] a server that knows nothing of it, says nothing, or closes, did not take them', async () => {
    create({ keepAlive: 0 });
    client.subscribe({ query }, recorder());
    const socket = await accept();
    const echoed = client.refresh({ token: 'new' });
    say(socket, { type: 'pong', payload: { subwire: { credentials: { token: 'new' } } } });
    expect(await echoed).toBe(false);
    const late = client.refresh({ token: 'new' });
    clock.advance(30_000);
    expect(await late).toBe(false);
    const refused = client.refresh({ token: 'bad' });
    socket.hangUp(4403, 'Forbidden');
    expect(await refused).toBe(false);
  });
});

test('a query that knows its types gives them to its results', () => {
  create();
  interface Prices {
    readonly price: number;
  }
  // As a code generator and `print` make them.
  interface PricesDocument {
    readonly kind: 'Document';
    readonly __apiType?: (variables: { readonly symbol: string }) => Prices;
  }
  const typed = query as QueryOf<PricesDocument>;
  const results = client.iterate({ query: typed, variables: { symbol: 'x' } });
  expectTypeOf(results).toEqualTypeOf<Subscription<FormattedExecutionResult<Prices, unknown>>>();
  expectTypeOf<QueryOf<{ kind: 'Document' }>>().toEqualTypeOf<string>();
  // @ts-expect-error a variable that the query does not have
  client.iterate({ query: typed, operationName: '3', variables: { symbl: 'x' } });
  // @ts-expect-error without the variable that it needs
  client.iterate({ query: typed, operationName: '4' });
  const optional = query as TypedQuery<Prices, { readonly symbol?: string | null }>;
  client.iterate({ query: optional, operationName: '6' });
  const payload: SubscribePayload = { query, operationName: '7' };
  client.iterate(payload);
  const plain = client.iterate({ query, operationName: '2' });
  expectTypeOf(plain).toEqualTypeOf<Subscription<FormattedExecutionResult<Record<string, unknown>, unknown>>>();
  client.subscribe(
    { query: typed, operationName: '3' },
    {
      next: (result) => expectTypeOf(result.data).toEqualTypeOf<Prices | null | undefined>(),
      error() {},
      complete() {},
    },
  );
  expect(server.dials).toHaveLength(1);
});

describe('iterate', () => {
  test('yields results and ends with the operation', async () => {
    create();
    const results = client.iterate<{ price: number }>({ query });
    const socket = await accept();
    say(socket, { id: '1', type: 'next', payload: { data: { price: 1 } } });
    say(socket, { id: '1', type: 'next', payload: { data: { price: 2 } } });
    say(socket, { id: '1', type: 'complete' });
    const prices: (number | undefined)[] = [];
    for await (const { data } of results) prices.push(data?.price);
    expect(prices).toEqual([1, 2]);
  });

  test('leaving the loop, or disposing it, stops the operation', async () => {
    create();
    const results = client.iterate({ query });
    const others = client.iterate({ query, operationName: '2' });
    const socket = await accept();
    sent(socket);
    say(socket, { id: '1', type: 'next', payload: { data: {} } });
    for await (const _result of results) break;
    await others[Symbol.asyncDispose]();
    expect(sent(socket)).toEqual([
      { id: '1', type: 'complete' },
      { id: '2', type: 'complete' },
    ]);
  });

  test('throws the errors of the operation', async () => {
    create();
    const results = client.iterate({ query });
    const socket = await accept();
    say(socket, { id: '1', type: 'error', payload: [{ message: 'no' }] });
    await expect(results.next()).rejects.toEqual([{ message: 'no' }]);
  });

  test('[GQL-86] results that nobody reads are bounded', async () => {
    create();
    const results = client.iterate({ query }, { buffer: 2 });
    const socket = await accept();
    sent(socket);
    for (let count = 0; count < 3; count++) say(socket, { id: '1', type: 'next', payload: { data: {} } });
    await expect(results.next()).rejects.toThrow('more than 2 values');
    expect(sent(socket)).toEqual([{ id: '1', type: 'complete' }]);
  });

  test('a signal stops the operation and throws its reason', async () => {
    create();
    const controller = new AbortController();
    const results = client.iterate({ query }, { signal: controller.signal });
    const socket = await accept();
    sent(socket);
    const next = results.next();
    controller.abort(new Error('enough'));
    await expect(next).rejects.toThrow('enough');
    expect(sent(socket)).toEqual([{ id: '1', type: 'complete' }]);
  });

  test('a signal that is aborted already begins nothing', async () => {
    create();
    const results = client.iterate({ query }, { signal: AbortSignal.abort(new Error('never')) });
    await expect(results.next()).rejects.toThrow('never');
    expect(server.dials).toHaveLength(0);
  });
});

describe('events and state', () => {
  test('the socket of opened and connected can be looked at and closed', async () => {
    create({ on: { closed: undefined } });
    client.subscribe({ query }, recorder());
    const socket = await accept({ hello: true });
    const [, opened] = named('opened')[0] as [
      string,
      { protocol: string; readyState: number; close(code: number, reason: string): void },
    ];
    expect(named('connected')).toEqual([['connected', opened, { hello: true }, false]]);
    expect(opened).toMatchObject({ protocol: 'graphql-transport-ws', readyState: 1 });
    opened.close(4408, 'Request Timeout');
    expect(opened.readyState).toBe(2);
    expect(socket.closing).toEqual({ code: 4408, reason: 'Request Timeout' });
    expect(client.state.getSnapshot().status).toBe('waiting');
  });

  test('listeners of options come first; one that is taken off hears nothing more', () => {
    const order: string[] = [];
    create({ on: { connecting: () => order.push('option') } });
    const off = client.on('connecting', () => order.push('taken off'));
    client.on('connecting', () => order.push('on'));
    off();
    client.subscribe({ query }, recorder());
    expect(order).toEqual(['option', 'on']);
  });

  test('an operation that is begun as the client gives up is a new beginning', async () => {
    create();
    const second = recorder();
    const off = client.on('closed', () => {
      off();
      client.subscribe({ query }, second);
    });
    const first = recorder();
    client.subscribe({ query }, first);
    (await accept()).hangUp(4400);
    expect(first.told).toEqual([['error', closedEvent(4400, '')]]);
    expect(second.told).toEqual([]);
    expect(sent(await accept())).toHaveLength(2);
  });

  test('pings, pongs and their latency are told', async () => {
    create({ keepAlive: 1_000 });
    client.subscribe({ query }, recorder());
    const socket = await accept();
    const before = client.state.getSnapshot();
    expect(before).toEqual({
      status: 'connected',
      attempt: 0,
      subprotocol: 'graphql-transport-ws',
      latency: undefined,
    });
    clock.advance(1_000);
    clock.advance(30);
    say(socket, { type: 'pong' });
    expect(client.state.getSnapshot()).toEqual({ ...before, latency: 30 });
    expect(named('ping')).toEqual([['ping', false, undefined]]);
    expect(named('pong')).toEqual([['pong', true, undefined]]);
  });

  test('the snapshot is the same object until it changes, and listeners are told when it does', () => {
    create();
    const listener = vi.fn();
    const off = client.state.subscribe(listener);
    const idle = client.state.getSnapshot();
    expect(client.state.getSnapshot()).toBe(idle);
    client.subscribe({ query }, recorder());
    expect(listener).toHaveBeenCalledTimes(1);
    expect(client.state.getSnapshot()).toMatchObject({ status: 'connecting', subprotocol: undefined });
    off();
    server.last.refuse();
    expect(listener).toHaveBeenCalledTimes(1);
  });

  test('a closed connection prints as something that can be read', () => {
    const closed = new ConnectionLost(4403, 'Forbidden');
    expect(String(closed)).toBe('ConnectionLost: The connection ended: 4403 Forbidden');
    expect(closed).toMatchObject({ type: 'close', wasClean: true });
    expect(new ConnectionLost(1006, '', { cause: new Error('x') })).toMatchObject({
      message: 'The connection ended: 1006 (x)',
      wasClean: false,
      cause: new Error('x'),
    });
  });
});

describe('what cannot change, and what can', () => {
  /** Let the attempt under way be refused before the acknowledgement. */
  async function refuse(code = 4403): Promise<void> {
    await clock.settle();
    const socket = server.last.open();
    await clock.settle();
    socket.hangUp(code, 'Forbidden');
    await comeBack();
  }
  /** Wait until the client dials again, or gives up. */
  async function comeBack(): Promise<void> {
    const { length } = server.dials;
    while (server.dials.length === length && client.state.getSnapshot().status !== 'idle') {
      clock.advance(500);
      await clock.settle();
    }
  }

  test.each([
    ['constant params', { connectionParams: { token: 'bad' } }, 4403],
    ['no params', {}, 4403],
    ['1000 before the acknowledgement', {}, 1000],
    ['a function that always gives the same', { connectionParams: async () => ({ token: 'bad' }) }, 4403],
  ] as [string, Partial<ClientOptions>, number][])(
    '[GQL-88] %s, refused five times in a row, is the end',
    async (_, options, code) => {
      create(options);
      const sink = recorder();
      client.subscribe({ query }, sink);
      for (let round = 0; round < 4; round++) await refuse(code);
      expect(sink.told).toEqual([]);
      await refuse(code);
      expect(sink.told).toEqual([['error', closedEvent(code, 'Forbidden')]]);
      expect([server.dials.length, client.state.getSnapshot().status]).toEqual([5, 'idle']);
    },
  );

  test('[GQL-88] [GQL-79] params that change, and refusals between which one was let in, go on', async () => {
    let token = 0;
    create({ connectionParams: () => ({ token: ++token }) });
    client.subscribe({ query }, recorder());
    for (let round = 0; round < 7; round++) await refuse();
    expect(server.dials).toHaveLength(8);
    await client.dispose();
    create({ connectionParams: { token: 'sometimes' } });
    client.subscribe({ query }, recorder());
    for (let round = 0; round < 4; round++) await refuse();
    (await accept()).hangUp(1006);
    await comeBack();
    for (let round = 0; round < 4; round++) await refuse();
    expect(client.state.getSnapshot().status).toBe('connecting');
  });

  test('[GQL-75] 4401 is final, unless the application says that it is not', async () => {
    create();
    const sink = recorder();
    client.subscribe({ query }, sink);
    (await accept()).hangUp(4401, 'Expired');
    expect(sink.told).toEqual([['error', closedEvent(4401, 'Expired')]]);
    for (const options of [{ shouldRetry: vi.fn(() => true) }, { retry: vi.fn(() => 100) }]) {
      const { length } = server.dials;
      create(options);
      client.subscribe({ query }, recorder());
      (await accept()).hangUp(4401, 'Expired');
      expect(options.shouldRetry ?? options.retry).toHaveBeenCalledOnce();
      clock.advance(2_010);
      expect(server.dials).toHaveLength(length + 2);
    }
  });

  test('[GQL-74] params that fail once after a good connection are asked again', async () => {
    let fails = false;
    const connectionParams = async (): Promise<Record<string, unknown>> => {
      if (fails) throw new TypeError('fetch failed');
      return { token: 'x' };
    };
    create({ connectionParams });
    const sink = recorder();
    client.subscribe({ query }, sink);
    fails = true;
    (await accept()).hangUp(1006);
    clock.advance(2_010);
    await clock.settle();
    expect(client.state.getSnapshot()).toMatchObject({
      status: 'waiting',
      error: { code: 4005, reason: 'fetch failed' },
    });
    fails = false;
    clock.advance(4_010);
    await accept();
    expect([sink.told, client.state.getSnapshot().status]).toEqual([[], 'connected']);
  });

  test('[GQL-89] 1009 ends the largest operation that was not answered, and the others go on', async () => {
    create();
    const [subscription, small, large] = [recorder(), recorder(), recorder()];
    client.subscribe({ query: query + ' '.repeat(900), operationName: 'old' }, subscription);
    const socket = await accept();
    say(socket, { id: 'old', type: 'next', payload: { data: { price: 1 } } });
    client.subscribe({ query, operationName: 'small' }, small);
    client.subscribe({ query: query + ' '.repeat(500), operationName: 'large' }, large);
    say(socket, { id: 'old', type: 'next', payload: { data: { price: 2 } } });
    socket.hangUp(1009, 'Message too large');
    expect(large.told).toEqual([['error', closedEvent(1009, 'Message too large')]]);
    clock.advance(2_010);
    const next = await accept();
    expect(sent(next).map((message) => (message as { id?: string }).id)).toEqual([undefined, 'old', 'small']);
    expect(subscription.told.at(-1)).toEqual(['next', { data: { price: 2 } }]);
  });

  test('[GQL-89] without anything that was sent 1009 is final', async () => {
    create();
    const sink = recorder();
    client.subscribe({ query }, sink);
    await clock.settle();
    server.last.open().hangUp(1009, 'Message too large');
    expect(sink.told).toEqual([['error', closedEvent(1009, 'Message too large')]]);
    expect(server.dials).toHaveLength(1);
  });

  test('[GQL-70] a dead link is noticed with default options', async () => {
    create();
    client.subscribe({ query }, recorder());
    await accept();
    clock.advance(25_000 + 10_000);
    expect(client.state.getSnapshot()).toMatchObject({ status: 'waiting', error: { code: 4000 } });
  });

  test('what may be missing after a reconnect is said', async () => {
    create();
    const gaps: unknown[] = [];
    client.on('gap', ({ code }) => gaps.push(code));
    client.subscribe({ query }, recorder());
    (await accept()).hangUp(1006);
    clock.advance(2_010);
    expect(gaps).toEqual([]);
    await accept();
    expect(gaps).toEqual([1006]);
  });

  test('`retry` is asked in place of the three names of graphql-ws', async () => {
    const retry = vi.fn((_end: unknown, attempt: number) => (attempt < 2 ? 50 : false));
    create({ retry });
    const sink = recorder();
    client.subscribe({ query }, sink);
    for (let round = 0; round < 3; round++) {
      server.last.refuse();
      clock.advance(60);
    }
    expect(retry.mock.calls.map(([, attempt]) => attempt)).toEqual([0, 1, 2]);
    expect(sink.told).toEqual([['error', closedEvent(1006, 'connect ECONNREFUSED')]]);
  });

  test('dispose() is final, resolves when the connection is closed, and can be called again', async () => {
    create();
    client.subscribe({ query }, recorder());
    const socket = await accept(undefined, false);
    const first = client.dispose();
    let resolved = false;
    void first.then(() => (resolved = true));
    await clock.settle();
    expect([resolved, client.dispose() === first]).toEqual([false, true]);
    socket.hangUp(1000);
    await first;
    const sink = recorder();
    client.subscribe({ query }, sink);
    expect(sink.told).toEqual([['error', new Error('The client is disposed')]]);
  });

  test('a signal ends the client, and is left alone by one that has ended', async () => {
    const controller = new AbortController();
    const removed = vi.spyOn(controller.signal, 'removeEventListener');
    create({ signal: controller.signal });
    const sink = recorder();
    client.subscribe({ query }, sink);
    controller.abort();
    expect(sink.told).toEqual([['complete']]);
    expect(removed).toHaveBeenCalledOnce();
  });
});

describe('[CONN-10] words for wrong options', () => {
  test.each([
    [undefined, "createClient() needs { url: 'wss://host/graphql' }; got undefined"],
    ['ws://host', "createClient() needs { url: 'wss://host/graphql' }; got ws://host"],
    [{}, "createClient() needs { url: 'wss://host/graphql' }; got an object"],
    [{ uri: 'ws://host' }, 'createClient() has no option "uri": here it is: url'],
    [
      { url: 'ws://a', conectionParams: {} },
      'createClient() has no option "conectionParams": did you mean "connectionParams"?',
    ],
    [{ url: 'ws://a', connect: () => {} }, 'createClient() has no option "connect": here it is: transport'],
    [
      { url: 'ws://a', reconnection: true },
      'createClient() has no option "reconnection": here it is: retry; it reconnects by itself',
    ],
  ])('%j', (options, words) => {
    expect(() => createClient(options as ClientOptions)).toThrow(words);
  });
});
