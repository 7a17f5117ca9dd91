import { once } from 'node:events';
import { createServer, type Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ApolloClient, gql, InMemoryCache } from '@apollo/client';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
import { makeExecutableSchema } from '@graphql-tools/schema';
import { createClient as createUrqlClient, subscriptionExchange } from '@urql/core';
import type { ServerOptions } from 'graphql-ws';
import { useServer } from 'graphql-ws/use/ws';
import { createYoga } from 'graphql-yoga';
import { Network, Observable } from 'relay-runtime';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { attach } from '../../src/adapters/attach.ts';
import type { Sink } from '../../src/bus/subscription.ts';
import type { Endpoint } from '../../src/core/endpoint.ts';
import type { Credentials } from '../../src/core/subprotocol.ts';
import { type Client, type ClientOptions, ConnectionLost, createClient } from '../../src/graphql/client/client.ts';
import { graphqlServer } from '../../src/graphql/server/graphql-server.ts';

const endless = async function* (): AsyncGenerator<{ count: number }> {
  for (let count = 1; ; count++) {
    yield { count };
    await new Promise((resolve) => setImmediate(resolve));
  }
};

const schema = makeExecutableSchema({
  typeDefs: /* GraphQL */ `
    type Query { hello(name: String): String! fails: String }
    type Mutation { add(a: Int!, b: Int!): Int! }
    type Subscription { count(to: Int!): Int! endless: Int! broken: Int! }
  `,
  resolvers: {
    Query: {
      hello: (_root, { name }: { name?: string }) => `Hello ${name ?? 'world'}`,
      fails: () => {
        throw new Error('no');
      },
    },
    Mutation: { add: (_root, { a, b }: { a: number; b: number }) => a + b },
    Subscription: {
      count: {
        async *subscribe(_root: unknown, { to }: { to: number }) {
          for (let count = 1; count <= to; count++) yield { count };
        },
      },
      endless: { subscribe: endless, resolve: ({ count }: { count: number }) => count },
      broken: {
        // biome-ignore lint/correctness/useYield: it breaks before its first value
        async *subscribe() {
          throw new Error('broken');
        },
      },
    },
  },
});

let http: HttpServer;
let sockets: WebSocketServer;
let url: string;
let client: Client;
const closers: (() => unknown)[] = [];

async function listen(server: HttpServer): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** The server of graphql-ws over `ws`. */
async function serve(options: Partial<ServerOptions> = {}): Promise<void> {
  http = createServer();
  sockets = new WebSocketServer({ server: http });
  useServer({ schema, ...options }, sockets);
  url = `ws://127.0.0.1:${await listen(http)}`;
}

function create(options: Partial<ClientOptions> = {}): Client {
  client = createClient({ url, ...options });
  closers.push(() => client.dispose());
  return client;
}

const closeOf = async (): Promise<[code: number, reason: string]> => {
  const [socket] = (await once(sockets, 'connection')) as [WebSocket];
  const [code, reason] = (await once(socket, 'close')) as [number, Buffer];
  return [code, String(reason)];
};

/** All that an operation told, once it has ended. */
function outcome(query: string, variables?: Record<string, unknown>): Promise<unknown[]> {
  return new Promise((resolve) => {
    const told: unknown[] = [];
    client.subscribe(
      { query, variables },
      {
        next: (result) => told.push(result),
        error: (error) => resolve([...told, { error }]),
        complete: () => resolve(told),
      },
    );
  });
}

beforeEach(() => serve());
afterEach(() => {
  for (const close of closers.splice(0)) close();
  for (const socket of sockets.clients) socket.terminate();
  http.close();
  http.closeAllConnections();
});

describe("graphql-ws's server", () => {
  test('queries, mutations and subscriptions', async () => {
    create();
    expect(await outcome('query ($name: String) { hello(name: $name) }', { name: 'you' })).toEqual([
      { data: { hello: 'Hello you' } },
    ]);
    expect(await outcome('mutation { add(a: 1, b: 2) }')).toEqual([{ data: { add: 3 } }]);
    expect(await outcome('subscription { count(to: 3) }')).toEqual([1, 2, 3].map((count) => ({ data: { count } })));
  });

  test('errors of the operation, of its validation and of its source', async () => {
    create();
    expect(await outcome('{ fails }')).toMatchObject([{ data: { fails: null }, errors: [{ message: 'no' }] }]);
    expect(await outcome('{ nothing }')).toMatchObject([{ error: [{ message: expect.stringContaining('nothing') }] }]);
    expect(await outcome('subscription { broken }')).toMatchObject([{ error: [{ message: 'broken' }] }]);
    expect(await outcome('{ hello }')).toEqual([{ data: { hello: 'Hello world' } }]);
  });

  test('many operations at once over one connection', async () => {
    create();
    let connections = 0;
    sockets.on('connection', () => connections++);
    const results = await Promise.all(
      Array.from({ length: 50 }, (_, to) => outcome('subscription ($to: Int!) { count(to: $to) }', { to })),
    );
    expect(results.map(({ length }) => length)).toEqual(Array.from({ length: 50 }, (_, to) => to));
    expect(connections).toBe(1);
  });

  test('an iterator that is left ends the source and, lazily, the connection', async () => {
    create();
    const closed = closeOf();
    const counts: unknown[] = [];
    for await (const { data } of client.iterate<{ endless: number }>({ query: 'subscription { endless }' })) {
      counts.push(data?.endless);
      if (counts.length === 3) break;
    }
    expect(counts).toEqual([1, 2, 3]);
    expect(await closed).toEqual([1000, 'Normal Closure']);
  });

  test('the connection payloads of both sides', async () => {
    let params: unknown;
    http.close();
    await serve({
      onConnect(context) {
        params = context.connectionParams;
        return { hello: 'client' };
      },
    });
    create({ connectionParams: async () => ({ token: 'x' }) });
    const connected = new Promise((resolve) => client.on('connected', (_socket, payload) => resolve(payload)));
    await outcome('{ hello }');
    expect(params).toEqual({ token: 'x' });
    expect(await connected).toEqual({ hello: 'client' });
  });

  test('[GQL-79] a refusal is tried again with new params', async () => {
    http.close();
    await serve({ onConnect: ({ connectionParams }) => connectionParams?.['token'] === 2 });
    let token = 0;
    create({ connectionParams: () => ({ token: ++token }), retryWait: async () => {} });
    expect(await outcome('{ hello }')).toEqual([{ data: { hello: 'Hello world' } }]);
  });

  test('[GQL-77] a subscription goes on over a connection that the server cut', async () => {
    create({ retryWait: async () => {} });
    let cuts = 0;
    let seen = 0;
    for await (const { data } of client.iterate<{ endless: number }>({ query: 'subscription { endless }' })) {
      if (data?.endless === 2 && cuts < 2) {
        cuts++;
        for (const socket of sockets.clients) socket.terminate();
      }
      if (cuts === 2 && data?.endless === 1) seen++;
      if (seen > 0 && data?.endless === 5) break;
    }
    expect([cuts, seen]).toEqual([2, 1]);
  });

  test('[GQL-67] [GQL-74] [GQL-66] the server reads our close codes', async () => {
    http.close();
    await serve({ onConnect: () => new Promise(() => {}) });
    create({ connectionAckWaitTimeout: 20, retryAttempts: 0 });
    let closed = closeOf();
    expect(await outcome('{ hello }')).toMatchObject([{ error: { code: 4504 } }]);
    expect(await closed).toEqual([4504, 'Connection acknowledgement timeout']);
    create({ connectionParams: () => Promise.reject(new Error('no token')) });
    expect(await outcome('{ hello }')).toMatchObject([{ error: { message: 'no token' } }]);
    create();
    sockets.on('connection', (socket) => socket.send('{'));
    closed = closeOf();
    expect(await outcome('{ hello }')).toMatchObject([{ error: { code: 4004 } }]);
    expect(await closed).toEqual([4004, 'Unexpected message: {']);
  });

  test('[GQL-68] [GQL-70] pings and pongs in both directions', async () => {
    create({ keepAlive: 20, lazy: false });
    const [socket] = (await once(sockets, 'connection')) as [WebSocket];
    const received: string[] = [];
    socket.on('message', (data) => received.push(String(data)));
    await new Promise((resolve) => client.on('pong', (isReceived) => isReceived && resolve(undefined)));
    expect(client.state.getSnapshot().latency).toBeGreaterThanOrEqual(0);
    socket.send('{"type":"ping","payload":{"n":1}}');
    await expect.poll(() => received).toContain('{"type":"pong","payload":{"n":1}}');
  });

  test('[GQL-76] a refused connection is tried again until the server is there', async () => {
    const port = Number(new URL(url).port);
    http.close();
    await once(http, 'close');
    create({ retryWait: async (retries) => void (retries === 2 && (await serveAt(port))) });
    const errors: unknown[] = [];
    client.on('error', (error) => errors.push(error));
    expect(await outcome('{ hello }')).toEqual([{ data: { hello: 'Hello world' } }]);
    expect(errors).toHaveLength(3);
  });

  async function serveAt(port: number): Promise<void> {
    http = createServer();
    sockets = new WebSocketServer({ server: http });
    useServer({ schema }, sockets);
    http.listen(port, '127.0.0.1');
    await once(http, 'listening');
  }

  test('a subscription that is refused for good says why', async () => {
    create();
    sockets.on('connection', (socket) => socket.close(4400, 'Invalid message received'));
    const [{ error }] = (await outcome('{ hello }')) as [{ error: ConnectionLost }];
    expect(error).toBeInstanceOf(ConnectionLost);
    expect(String(error)).toBe('ConnectionLost: The connection ended: 4400 Invalid message received');
  });

  test('the class that was handed in is used', async () => {
    let made = 0;
    class Counted extends WebSocket {
      constructor(address: string, protocols: string[]) {
        super(address, protocols);
        made++;
      }
    }
    create({ webSocketImpl: Counted });
    await outcome('{ hello }');
    expect(made).toBe(1);
  });
});

describe('consumers of the client', () => {
  test('Apollo: GraphQLWsLink takes it as it is', async () => {
    // The link looks at WebSocket.CLOSED whenever the server sends errors, and Node 20 has none.
    globalThis.WebSocket ??= WebSocket as unknown as typeof globalThis.WebSocket;
    // No cast: our client has the type that the link asks for.
    const link = new GraphQLWsLink(create());
    const apollo = new ApolloClient({ link, cache: new InMemoryCache() });
    const { data } = await apollo.query<{ hello: string }>({ query: gql`{ hello }` });
    expect(data?.hello).toBe('Hello world');
    const counts: unknown[] = [];
    await new Promise<void>((resolve, reject) =>
      apollo
        .subscribe<{ count: number }>({ query: gql`subscription { count(to: 3) }` })
        .subscribe({ next: (result) => counts.push(result.data?.count), complete: resolve, error: reject }),
    );
    expect(counts).toEqual([1, 2, 3]);
    await expect(apollo.query({ query: gql`{ nothing }` })).rejects.toThrow(/nothing/);
    sockets.on('connection', (socket) => socket.close(4401, 'Unauthorized'));
    await expect(apollo.query({ query: gql`{ fails }` })).rejects.toThrow('The connection ended: 4401 Unauthorized');
  });

  test('urql: subscriptionExchange', async () => {
    create();
    const urql = createUrqlClient({
      url: 'http://127.0.0.1',
      preferGetMethod: false,
      exchanges: [
        subscriptionExchange({
          enableAllOperations: true,
          forwardSubscription: ({ query = '', variables }) => ({
            subscribe: (sink) => ({
              unsubscribe: client.subscribe({ query, variables: variables as Record<string, unknown> }, sink),
            }),
          }),
        }),
      ],
    });
    const { data } = await urql.query('query ($name: String) { hello(name: $name) }', { name: 'urql' });
    expect(data).toEqual({ hello: 'Hello urql' });
    const counts: unknown[] = [];
    await new Promise<void>((resolve) => {
      const { unsubscribe } = urql.subscription('subscription { endless }', {}).subscribe((result) => {
        if (counts.push(result.data?.endless) < 3) return;
        unsubscribe();
        resolve();
      });
    });
    expect(counts).toEqual([1, 2, 3]);
  });

  test('Relay: Observable.create over the network layer', async () => {
    create();
    const network = Network.create(
      () => {
        throw new Error('Nothing is fetched here');
      },
      ({ text }, variables) =>
        Observable.create((sink) => client.subscribe({ query: text ?? '', variables }, sink as Sink<unknown>)),
    );
    const counts: unknown[] = [];
    await new Promise<void>((resolve, reject) =>
      network
        .execute(
          {
            id: null,
            cacheID: 'count',
            name: 'Count',
            operationKind: 'subscription',
            text: 'subscription ($to: Int!) { count(to: $to) }',
            metadata: {},
          },
          { to: 3 },
          { force: true },
        )
        .subscribe({ next: (result) => counts.push(result), complete: resolve, error: reject }),
    );
    expect(counts).toEqual([1, 2, 3].map((count) => ({ data: { count } })));
  });
});

test('graphql-yoga behind the server of graphql-ws', async () => {
  http.close();
  const yoga = createYoga({ schema });
  http = createServer(yoga);
  sockets = new WebSocketServer({ server: http, path: '/graphql' });
  useServer(
    {
      async onSubscribe(context, _id, { query, variables, operationName }) {
        const { parse, validate, contextFactory, execute, subscribe, schema: enveloped } = yoga.getEnveloped(context);
        const args = {
          schema: enveloped,
          document: parse(query),
          variableValues: variables,
          operationName,
          contextValue: await contextFactory(),
          rootValue: { execute, subscribe },
        };
        const errors = validate(args.schema, args.document);
        return errors.length > 0 ? errors : args;
      },
      execute: (args) => (args.rootValue as { execute(args: unknown): never }).execute(args),
      subscribe: (args) => (args.rootValue as { subscribe(args: unknown): never }).subscribe(args),
    },
    sockets,
  );
  url = `ws://127.0.0.1:${await listen(http)}/graphql`;
  create();
  expect(await outcome('subscription { count(to: 2) }')).toEqual([1, 2].map((count) => ({ data: { count } })));
  expect(await outcome('{ hello }')).toEqual([{ data: { hello: 'Hello world' } }]);
});

describe('our own server', () => {
  let endpoint: Endpoint;
  const seen: Credentials[] = [];

  beforeEach(async () => {
    seen.length = 0;
    http.close();
    http = createServer();
    endpoint = attach(http, {
      path: '/ws',
      protocols: [graphqlServer({ schema })],
      authenticate(credentials) {
        seen.push(credentials);
        return credentials.connectionParams?.['token'] === 'bad' ? false : { name: 'somebody' };
      },
    });
    url = `ws://127.0.0.1:${await listen(http)}/ws`;
  });
  afterEach(() => endpoint.drain({ deadline: 1 }));

  test('queries, mutations, subscriptions and errors', async () => {
    create();
    expect(await outcome('{ hello }')).toEqual([{ data: { hello: 'Hello world' } }]);
    expect(await outcome('mutation { add(a: 1, b: 2) }')).toEqual([{ data: { add: 3 } }]);
    expect(await outcome('subscription { count(to: 3) }')).toEqual([1, 2, 3].map((count) => ({ data: { count } })));
    expect(await outcome('{ nothing }')).toMatchObject([{ error: [{ message: expect.stringContaining('nothing') }] }]);
    expect(await outcome('{ hello')).toMatchObject([{ error: [{ message: expect.stringContaining('Syntax') }] }]);
  });

  test('Apollo over our client and our server', async () => {
    const apollo = new ApolloClient({ link: new GraphQLWsLink(create()), cache: new InMemoryCache() });
    const { data } = await apollo.query<{ hello: string }>({ query: gql`{ hello }` });
    expect(data?.hello).toBe('Hello world');
    const counts: unknown[] = [];
    await new Promise<void>((resolve, reject) =>
      apollo
        .subscribe<{ count: number }>({ query: gql`subscription { count(to: 3) }` })
        .subscribe({ next: (result) => counts.push(result.data?.count), complete: resolve, error: reject }),
    );
    expect(counts).toEqual([1, 2, 3]);
  });

  test('[GQL-77] a subscription goes on after the server has left and come back', async () => {
    create({ retryWait: async () => {} });
    let drained = false;
    let again = false;
    for await (const { data } of client.iterate<{ endless: number }>({ query: 'subscription { endless }' })) {
      if (drained && data?.endless === 1) again = true;
      if (again && data?.endless === 3) break;
      if (drained || data?.endless !== 3) continue;
      drained = true;
      await endpoint.drain({ deadline: 1 });
      endpoint = attach(http, { path: '/ws', protocols: [graphqlServer({ schema })] });
    }
    expect(again).toBe(true);
  });

  test('[GQL-84] a subscription is confirmed', async () => {
    create();
    await new Promise<void>((onLive) => {
      const nothing = (): void => {};
      client.subscribe(
        { query: 'subscription { endless }' },
        { next: nothing, error: nothing, complete: nothing, onLive },
      );
    });
  });

  test('[GQL-85] credentials are refreshed on the live connection; bad ones end it', async () => {
    create({ connectionParams: { token: 'first' }, lazy: false });
    await new Promise<void>((resolve) => client.on('connected', () => resolve()));
    const pong = new Promise((resolve) => client.on('pong', (received, payload) => received && resolve(payload)));
    expect(await client.refresh({ token: 'second' })).toBe(true);
    await pong;
    expect(seen.map(({ connectionParams }) => connectionParams)).toEqual([{ token: 'first' }, { token: 'second' }]);
    const closed = new Promise((resolve) => client.on('closed', resolve));
    expect(await client.refresh({ token: 'bad' })).toBe(false);
    expect(await closed).toMatchObject({ code: 4403 });
    expect(client.state.getSnapshot().status).toBe('waiting');
  });

  test('[GQL-76] a drain says when to come back, and the client means to', async () => {
    create({ lazy: false });
    await new Promise<void>((resolve) => client.on('connected', () => resolve()));
    const closed = new Promise<ConnectionLost>((resolve) => client.on('closed', resolve));
    void endpoint.drain({ deadline: 1_000 });
    expect(await closed).toMatchObject({ code: 1001, reason: expect.stringMatching(/retry within \d+ ms$/) });
    expect(client.state.getSnapshot().status).toBe('waiting');
  });
});
