import { makeExecutableSchema } from '@graphql-tools/schema';
import { createBus, topic } from 'subwire';
import { graphqlServer } from 'subwire/graphql';
import { createClient } from 'subwire/graphql/client';
import { stompBroker } from 'subwire/stomp';
import { createStompClient } from 'subwire/stomp/client';
import { createTestClock, createTestEndpoint, type TestEndpoint } from 'subwire/testing';
import { afterEach, describe, expect, test, vi } from 'vitest';
import type { EndpointOptions } from '../../src/core/endpoint-options.ts';

const prices = topic<{ readonly price: number }>('prices', { clients: 'readwrite' });

function createServer(over: Partial<EndpointOptions> = {}) {
  const bus = createBus({ topics: [prices] });
  const schema = makeExecutableSchema({
    typeDefs: 'type Query { hello: String! long: String! } type Subscription { price: Float! }',
    resolvers: {
      Query: { hello: () => 'world', long: () => 'x'.repeat(300_000) },
      Subscription: {
        price: { subscribe: () => bus.subscribe(prices), resolve: ({ price }: { price: number }) => price },
      },
    },
  });
  const endpoint = createTestEndpoint({ protocols: [graphqlServer({ schema }), stompBroker({ bus })], ...over });
  endpoints.push(endpoint);
  return { bus, endpoint };
}

const endpoints: TestEndpoint[] = [];
const url = 'ws://test/ws?room=7';

afterEach(async () => {
  await Promise.all(endpoints.splice(0).map((endpoint) => endpoint.close()));
});

describe('an endpoint in memory', () => {
  test('[TESTING-1] answers queries, pushes events, and is the same bus for STOMP', async () => {
    const { bus, endpoint } = createServer();
    const { transport } = endpoint;
    await using client = createClient({ url, transport });
    for await (const result of client.iterate({ query: '{ hello }' }))
      expect(result).toEqual({ data: { hello: 'world' } });
    const live = vi.fn();
    const next = vi.fn();
    client.subscribe({ query: 'subscription { price }' }, { next, onLive: live, error: expect.fail, complete() {} });
    await using stomp = createStompClient({ url, transport });
    const received = vi.fn();
    await stomp.subscribe('/topic/prices', (message) => received(message.json())).active;
    await vi.waitFor(() => expect(live).toHaveBeenCalled());
    await stomp.publish({ destination: '/topic/prices', body: '{"price":1.5}', receipt: true });
    await bus.publish(prices, { price: 2 });
    await vi.waitFor(() => expect(next).toHaveBeenCalledTimes(2));
    expect(next.mock.calls).toEqual([[{ data: { price: 1.5 } }], [{ data: { price: 2 } }]]);
    expect(received.mock.calls).toEqual([[{ price: 1.5 }], [{ price: 2 }]]);
    expect(endpoint.stats()).toMatchObject({ open: 2 });
  });

  test('[TESTING-1] authenticate sees the address, headers and what a path found', async () => {
    const seen: unknown[] = [];
    const { endpoint } = createServer({
      authenticate: ({ handshake }) => ({ name: `ada ${seen.push(handshake)}` }),
    });
    const handshake = { headers: { cookie: 'session=ada' }, params: { id: '7' }, remoteAddress: '192.0.2.1' };
    await using client = createClient({ url, transport: endpoint.transportFrom(handshake) });
    for await (const _ of client.iterate({ query: '{ hello }' })) expect(endpoint.stats().open).toBe(1);
    expect(seen).toEqual([
      {
        url: '/ws?room=7',
        remoteAddress: '192.0.2.1',
        secure: false,
        params: { id: '7' },
        headers: { host: 'test', cookie: 'session=ada' },
      },
    ]);
  });

  test('[TESTING-1] closes are told on both sides, with their code and reason', async () => {
    const ends: unknown[] = [];
    const closes: unknown[] = [];
    const { endpoint } = createServer({
      authenticate: () => ({ name: 'ada' }),
      onDisconnect: (_connection, { code, reason }) => ends.push([code, reason]),
    });
    const client = createClient({
      url,
      transport: endpoint.transport,
      retryAttempts: 0,
      on: { closed: ({ code, reason }) => closes.push([code, reason]) },
    });
    const error = vi.fn();
    client.subscribe({ query: 'subscription { price }' }, { next() {}, error, complete() {} });
    await vi.waitFor(() => expect(client.state.getSnapshot().status).toBe('connected'));
    expect(endpoint.disconnect({ principal: 'ada' }, { code: 4403, reason: 'Your account was closed' })).toBe(1);
    await vi.waitFor(() => expect(error).toHaveBeenCalledOnce());
    for await (const _ of client.iterate({ query: '{ hello }' })) expect(ends).toHaveLength(1);
    await client.dispose();
    await vi.waitFor(() => expect(ends).toHaveLength(2));
    expect(ends).toEqual([
      [4403, 'Your account was closed'],
      [1000, 'Normal Closure'],
    ]);
    expect(closes).toEqual(ends);
    expect(endpoint.stats().open).toBe(0);
  });

  test('[TESTING-1] a client that offers nothing known reads why, and long messages are refused', async () => {
    const { endpoint } = createServer({ limits: { maxPayload: 2_000 } });
    const closes: unknown[] = [];
    const received: unknown[] = [];
    const open = (offered: string[], then: (send: (text: string) => void) => void): void => {
      endpoint.transport(url, offered, {
        opened(socket) {
          then((head) => socket.write([{ head, binary: false }]));
          const receiver = { received: (data: unknown) => received.push(data), drained() {} };
          return { ...receiver, closed: (code, reason) => closes.push([code, reason]) };
        },
        failed: expect.fail,
      });
    };
    open(['mqtt'], () => {});
    await vi.waitFor(() => expect(closes).toHaveLength(1));
    open(['graphql-transport-ws'], (send) => send('x'.repeat(2_001)));
    await vi.waitFor(() => expect(closes).toHaveLength(2));
    expect(closes).toEqual([
      [4406, expect.stringContaining('Spoken here')],
      [1009, 'Message too large'],
    ]);
    expect(received).toEqual([]);
  });
});

describe('what a network does', () => {
  test('[TESTING-2] cut() loses every connection, and clients come back', async () => {
    const { bus, endpoint } = createServer();
    const gap = vi.fn();
    await using client = createClient({ url, transport: endpoint.transport, backoff: { base: 1 }, on: { gap } });
    const next = vi.fn();
    const onLive = vi.fn();
    client.subscribe({ query: 'subscription { price }' }, { next, onLive, error: expect.fail, complete() {} });
    await vi.waitFor(() => expect(onLive).toHaveBeenCalledOnce());
    expect(endpoint.cut()).toBe(1);
    await vi.waitFor(() => expect(onLive).toHaveBeenCalledTimes(2));
    await bus.publish(prices, { price: 3 });
    await vi.waitFor(() => expect(next).toHaveBeenCalledOnce());
    expect(gap).toHaveBeenCalledWith(expect.objectContaining({ code: 1006 }));
    expect(endpoint.stats()).toMatchObject({ open: 1, accepted: 2 });
  });

  test('[TESTING-2] refuse() keeps clients out until it is called without words, and a drained endpoint does', async () => {
    const { endpoint } = createServer();
    endpoint.refuse('maintenance');
    const closes: unknown[] = [];
    const closed = (end: Error): void => void closes.push(end.message);
    const options = { url, transport: endpoint.transport, backoff: { base: 1 }, warn: false, on: { closed } };
    await using client = createClient(options);
    const answered = vi.fn();
    client.subscribe({ query: '{ hello }' }, { next: answered, error: expect.fail, complete() {} });
    await vi.waitFor(() => expect(closes.length).toBeGreaterThan(1));
    expect(closes[0]).toContain('maintenance');
    endpoint.refuse();
    await vi.waitFor(() => expect(answered).toHaveBeenCalledOnce());
    await endpoint.close();
    await expect(
      new Promise((resolve) =>
        endpoint.transport(url, [], { opened: () => expect.fail(), failed: (...why) => resolve(why[2]) }),
      ),
    ).resolves.toEqual(new Error('The server is going away'));
    expect(endpoint.stats().refused).toBeGreaterThan(2);
  });

  test('[TESTING-2] an attempt that is given up opens nothing', async () => {
    const { endpoint } = createServer();
    endpoint.transport(url, ['graphql-transport-ws'], { opened: () => expect.fail(), failed: expect.fail })();
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(endpoint.stats().accepted).toBe(0);
  });

  test('[TESTING-3] with a clock of the test minutes pass in no time', async () => {
    const clock = createTestClock();
    const { endpoint } = createServer({ clock });
    const client = createClient({ url, transport: endpoint.transport, clock, lazyCloseTimeout: 60_000 });
    const complete = vi.fn();
    client.subscribe({ query: '{ hello }' }, { next() {}, error: expect.fail, complete });
    await vi.waitFor(async () => {
      await clock.settle();
      expect(complete).toHaveBeenCalled();
    });
    expect(endpoint.stats().open).toBe(1);
    clock.advance(60_000);
    await clock.settle();
    expect(endpoint.stats().open).toBe(0);
  });

  test('[TESTING-3] a client that says nothing is told so after the time that production has', async () => {
    const clock = createTestClock();
    const { endpoint } = createServer({ clock });
    const closed = vi.fn();
    endpoint.transport(url, ['graphql-transport-ws'], {
      opened: () => ({ received() {}, drained() {}, closed }),
      failed: expect.fail,
    });
    clock.advance(2_900);
    expect(closed).not.toHaveBeenCalled();
    clock.advance(200);
    expect(closed).toHaveBeenCalledWith(4408, 'Connection initialisation timeout');
  });
});

test('[TESTING-1] what is long passes with back-pressure', async () => {
  const { endpoint } = createServer();
  await using client = createClient({ url, transport: endpoint.transport });
  const results = await Promise.all(
    Array.from({ length: 20 }, async () => {
      for await (const { data } of client.iterate<{ long: string }>({ query: '{ long }' })) return data?.long.length;
      return 0;
    }),
  );
  expect(new Set(results)).toEqual(new Set([300_000]));
});

test.each([
  [undefined, 'needs options'],
  [{ protocols: [], path: '/ws' }, 'createTestEndpoint() has no option "path"'],
])('createTestEndpoint(%j) is refused with words', (options, words) => {
  expect(() => createTestEndpoint(options as never)).toThrow(words);
});
