import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ApolloClient, gql, InMemoryCache } from '@apollo/client';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
import { createClient } from 'graphql-ws';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import WebSocket from 'ws';
import { attach } from '../../src/adapters/attach.ts';
import type { Endpoint } from '../../src/core/endpoint.ts';
import { createClient as createOwnClient } from '../../src/graphql/client/client.ts';
import { type GraphqlOptions, graphqlServer } from '../../src/graphql/index.ts';
import { createTestSchema } from '../support/graphql-schema.ts';
import { openRaw, type RawWebSocket } from '../support/raw-websocket.ts';

let http: Server;
let port: number;
let endpoint: Endpoint | undefined;
let world: ReturnType<typeof createTestSchema>;

beforeEach(async () => {
  world = createTestSchema();
  http = createServer();
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  port = (http.address() as AddressInfo).port;
});

afterEach(async () => {
  await endpoint?.drain({ deadline: 0 });
  endpoint = undefined;
  http.closeAllConnections();
  http.close();
});

function serve(options: Partial<GraphqlOptions> = {}): string {
  endpoint = attach(http, { protocols: [graphqlServer({ schema: world.schema, isProd: false, ...options })] });
  return `ws://127.0.0.1:${port}/ws`;
}

const listeners = (count: number): Promise<void> =>
  vi.waitFor(() => expect(world.bus.stats().listeners).toBe(count), { timeout: 5_000 });

describe('the client of graphql-ws', () => {
  test('queries, mutations, errors and subscriptions', async () => {
    const url = serve();
    const client = createClient({ url, webSocketImpl: WebSocket, connectionParams: { a: 1 } });
    const results: unknown[] = [];
    for await (const result of client.iterate({ query: 'mutation { add(a: 1, b: 2) }' })) results.push(result);
    expect(results).toEqual([{ data: { add: 3 } }]);
    const errors = await new Promise((resolve) =>
      client.subscribe({ query: '{ nothing }' }, { next() {}, error: resolve, complete() {} }),
    );
    expect(errors).toEqual([expect.objectContaining({ message: expect.stringContaining('nothing') })]);
    const prices = client.iterate({ query: 'subscription { price { price } }' });
    const first = prices.next();
    await listeners(1);
    await world.bus.publish(world.prices, { symbol: 'A', price: 7 });
    expect((await first).value).toEqual({ data: { price: { price: 7 } } });
    await prices.return?.();
    await listeners(0);
    await client.dispose();
  });

  test('many subscriptions that share, on many sockets', async () => {
    const url = serve({ share: () => 'all' });
    const clients = Array.from({ length: 5 }, () => createClient({ url, webSocketImpl: WebSocket, lazy: false }));
    const got: unknown[] = [];
    for (const client of clients) {
      for (let each = 0; each < 10; each++) {
        client.subscribe(
          { query: 'subscription { price { symbol price } }' },
          { next: ({ data }) => got.push(data), error() {}, complete() {} },
        );
      }
    }
    await listeners(50);
    for (const price of [1, 2, 3]) await world.bus.publish(world.prices, { symbol: 'ü', price });
    await vi.waitFor(() => expect(got).toHaveLength(150));
    expect(world.calls.price).toBe(3);
    expect(got.slice(-1)).toEqual([{ price: { symbol: 'ü', price: 3 } }]);
    for (const client of clients) await client.dispose();
    await listeners(0);
  });
});

test('[GQL-40] [GQL-41] our own client: confirmation, and fresh credentials on a live connection', async () => {
  let token = 'a';
  const seen: unknown[] = [];
  endpoint = attach(http, {
    protocols: [graphqlServer({ schema: world.schema })],
    authenticate({ connectionParams }) {
      seen.push(connectionParams?.['token']);
      return { name: 'ann' };
    },
  });
  const client = createOwnClient({ url: `ws://127.0.0.1:${port}/ws`, connectionParams: () => ({ token }) });
  const prices: unknown[] = [];
  await new Promise<void>((live) => {
    client.subscribe(
      { query: 'subscription { price { price } }' },
      { next: ({ data }) => prices.push(data), error() {}, complete() {}, onLive: live },
    );
  });
  await world.bus.publish(world.prices, { symbol: 'A', price: 1 });
  await vi.waitFor(() => expect(prices).toEqual([{ price: { price: 1 } }]));
  token = 'b';
  expect(await client.refresh({ token })).toBe(true);
  await vi.waitFor(() => expect(seen).toEqual(['a', 'b']));
  await client.dispose();
});

test('GraphQLWsLink of @apollo/client', async () => {
  // The link looks at WebSocket.CLOSED when the connection ends, as at the end of this test, and Node 20 has none.
  globalThis.WebSocket ??= WebSocket as unknown as typeof globalThis.WebSocket;
  const client = new ApolloClient({
    cache: new InMemoryCache(),
    link: new GraphQLWsLink(createClient({ url: serve(), webSocketImpl: WebSocket })),
  });
  expect((await client.query({ query: gql('{ hello }') })).data).toEqual({ hello: 'world' });
  const next = new Promise((resolve) => {
    client
      .subscribe({ query: gql('subscription { price { price } }') })
      .subscribe({ next: ({ data }) => resolve(data) });
  });
  await listeners(1);
  await world.bus.publish(world.prices, { symbol: 'A', price: 1 });
  expect(await next).toEqual({ price: { __typename: 'Price', price: 1 } });
  client.stop();
});

describe('raw sockets', () => {
  async function open(): Promise<RawWebSocket> {
    return openRaw({ port, protocols: ['graphql-transport-ws'] });
  }
  const send = (raw: RawWebSocket, message: unknown): void => raw.send(JSON.stringify(message));
  const init = { type: 'connection_init' };
  const subscribe = (id: string, query: string) => ({ type: 'subscribe', id, payload: { query } });

  test.each([
    ['[GQL-3] no JSON', ['nonsense'], 4400, 'Invalid message received: A message must be JSON'],
    [
      '[GQL-8] a message of servers',
      ['{"type":"connection_ack"}'],
      4400,
      'Invalid message received: Only servers send connection_ack',
    ],
    ['[GQL-13] too early', [subscribe('1', '{ hello }')], 4401, 'Unauthorized'],
    ['[GQL-10] twice', [init, init], 4429, 'Too many initialisation requests'],
    [
      '[GQL-14] id in use',
      [init, subscribe('1', '{ slow }'), subscribe('1', '{ slow }')],
      4409,
      'Subscriber for 1 already exists',
    ],
    ['[GQL-18] a long connection_init', [{ ...init, payload: { a: 'x'.repeat(70_000) } }], 1009, 'Message too large'],
  ])('%s', async (_, messages, code, reason) => {
    serve();
    const raw = await open();
    for (const message of messages) raw.send(typeof message === 'string' ? message : JSON.stringify(message));
    expect(await raw.closed()).toEqual({ code, reason });
    raw.destroy();
  });

  test('[GQL-9] no connection_init at all', async () => {
    serve({ limits: { initTimeout: 20 } });
    const raw = await open();
    expect(await raw.closed()).toEqual({ code: 4408, reason: 'Connection initialisation timeout' });
    raw.destroy();
  });

  test('[GQL-7] [GQL-1] binary frames hold messages too', async () => {
    serve();
    const raw = await open();
    expect(raw.protocol).toBe('graphql-transport-ws');
    raw.send(Buffer.from(JSON.stringify(init)));
    expect(await raw.message()).toBe('{"type":"connection_ack"}');
    raw.destroy();
  });

  test('[GQL-2] the legacy token alone is closed with advice', async () => {
    serve();
    const raw = await openRaw({ port, protocols: ['graphql-ws'] });
    const { code, reason } = await raw.closed();
    expect(code).toBe(4406);
    expect(reason).toContain('graphql-transport-ws');
    raw.destroy();
  });

  test('[GQL-34] an always ready source does not keep others waiting', async () => {
    serve();
    const hot = await open();
    send(hot, init);
    send(hot, subscribe('1', 'subscription { hot }'));
    await hot.message();
    const other = await open();
    send(other, init);
    send(other, subscribe('1', '{ hello }'));
    expect(await other.message()).toBe('{"type":"connection_ack"}');
    expect(JSON.parse(await other.message())).toEqual({ id: '1', type: 'next', payload: { data: { hello: 'world' } } });
    hot.destroy();
    other.destroy();
  });

  test('[GQL-35] a reader that stops is not drowned, and gets its results when it reads again', async () => {
    let executed = 0;
    serve({
      onOperation() {
        executed++;
      },
    });
    const raw = await open();
    send(raw, init);
    await raw.message();
    raw.socket.pause();
    for (let id = 0; id < 40; id++) send(raw, subscribe(String(id), '{ bytes(n: 400000) }'));
    // All were executed; had they been written as well, the connection would be cut by now.
    await vi.waitFor(() => expect(executed).toBe(40));
    raw.socket.resume();
    const ids = new Set<string>();
    while (ids.size < 40) {
      const message = JSON.parse(await raw.message()) as { id: string; type: string };
      if (message.type === 'next') ids.add(message.id);
    }
    expect(ids.size).toBe(40);
    raw.destroy();
  });

  test('[GQL-29] a connection that breaks leaves nothing behind', async () => {
    serve();
    const raw = await open();
    send(raw, init);
    for (let id = 0; id < 20; id++) send(raw, subscribe(String(id), 'subscription { price { price } }'));
    await listeners(20);
    raw.destroy();
    await listeners(0);
  });
});
