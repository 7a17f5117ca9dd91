import { once } from 'node:events';
import { createServer, type Server as HttpServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ApolloServer } from '@apollo/server';
import { ApolloServerPluginDrainHttpServer } from '@apollo/server/plugin/drainHttpServer';
import { expressMiddleware } from '@as-integrations/express5';
import { makeExecutableSchema } from '@graphql-tools/schema';
import express from 'express';
import {
  type DocumentNode,
  type ExecutionArgs,
  execute,
  GraphQLError,
  type GraphQLSchema,
  getOperationAST,
  parse,
  subscribe,
  validate,
} from 'graphql';
import { PubSub } from 'graphql-subscriptions';
import * as reference from 'graphql-ws';
import { useServer as useReferenceServer } from 'graphql-ws/use/ws';
import { createYoga } from 'graphql-yoga';
import { afterEach, beforeEach, describe, expect, expectTypeOf, test, vi } from 'vitest';
import WebSocket, { WebSocketServer } from 'ws';
import * as own from '../../src/graphql/graphql-ws/index.ts';

type Names = Pick<
  typeof own,
  'createClient' | 'makeServer' | 'useServer' | 'CloseCode' | 'MessageType' | 'stringifyMessage'
>;

const packages: readonly (readonly [string, Names])[] = [
  ['graphql-ws', { ...reference, useServer: useReferenceServer } as unknown as Names],
  ['subwire/graphql-ws', own],
];

const pubsub = new PubSub();
const schema = makeExecutableSchema({
  typeDefs: `type Query { hello: String, user: String } type Subscription { greetings: String, event: String }`,
  resolvers: {
    Query: {
      hello: () => 'world',
      user: (_root, _args, context: { user?: string } | undefined) => context?.user ?? null,
    },
    Subscription: {
      greetings: {
        async *subscribe() {
          for (const greetings of ['Hi', 'Bonjour', 'Hola', 'Ciao', 'Zdravo']) yield { greetings };
        },
      },
      event: { subscribe: () => pubsub.asyncIterableIterator('event') },
    },
  },
});
const greetings = ['Hi', 'Bonjour', 'Hola', 'Ciao', 'Zdravo'].map((each) => ({ data: { greetings: each } }));
const hello = [{ data: { hello: 'world' } }];

let http: HttpServer;
let port: number;
let clients: own.Client[];
let endings: (() => unknown)[];

beforeEach(async () => {
  clients = [];
  endings = [];
  http = createServer();
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  port = (http.address() as AddressInfo).port;
});

afterEach(async () => {
  for (const client of clients) void leave(client);
  for (const end of endings) await end();
  http.closeAllConnections();
  http.close();
});

const url = (path = '/graphql'): string => `ws://127.0.0.1:${port}${path}`;

function connect({ createClient }: Pick<Names, 'createClient'>, options: Partial<own.ClientOptions> = {}): own.Client {
  const client = createClient({ url: url(), webSocketImpl: WebSocket, retryWait: async () => {}, ...options });
  clients.push(client);
  return client;
}

/** Done with a client, whatever it was about to do: that of graphql-ws rejects when it was connecting in vain. */
async function leave(client: own.Client): Promise<void> {
  await Promise.resolve(client.dispose()).catch(() => {});
}

/** Every result of an operation; rejects with its errors. */
async function all(client: own.Client, query: string, more: Partial<own.SubscribePayload> = {}): Promise<unknown[]> {
  const results: unknown[] = [];
  await new Promise<void>((resolve, reject) =>
    client.subscribe({ query, ...more }, { next: (result) => results.push(result), error: reject, complete: resolve }),
  );
  return results;
}

/** A subscription that stays; what came so far. */
function follow(client: own.Client, query = 'subscription { event }') {
  const results: unknown[] = [];
  const errors: unknown[] = [];
  const stop = client.subscribe(
    { query },
    { next: (result) => results.push(result), error: (error) => errors.push(error), complete() {} },
  );
  return { results, errors, stop };
}

/** Publish until somebody hears it: a plain server does not tell when a subscription is open. */
const heard = (results: readonly unknown[], event: string): Promise<void> =>
  vi.waitFor(async () => {
    await pubsub.publish('event', { event });
    expect(results).toContainEqual({ data: { event } });
  });

describe('every runtime name of graphql-ws is ours too', () => {
  /** Names that are not: the reasons stand in spec-notes/migration.md. */
  const missing = ['areGraphQLErrors'];

  test.each([
    ['graphql-ws', Object.keys(reference)],
    ['graphql-ws/use/ws', Object.keys({ useServer: useReferenceServer })],
  ])('%s', (_name, names) => {
    expect(names.filter((name) => !(name in own))).toEqual(names.filter((name) => missing.includes(name)));
  });

  test('with the same values', () => {
    expect(own.CloseCode).toEqual(
      Object.fromEntries(Object.entries(reference.CloseCode).filter(([name]) => Number.isNaN(Number(name)))),
    );
    expect(own.MessageType).toEqual({ ...reference.MessageType });
  });
});

describe.each(packages)("Apollo's set-up with %s", (_name, names) => {
  async function start(options: Partial<own.ServerOptions<Record<string, unknown>, own.Extra>> = {}) {
    const app = express();
    http.on('request', app);
    const wsServer = new WebSocketServer({ server: http, path: '/graphql' });
    const serverCleanup = names.useServer({ schema, ...options }, wsServer);
    const server = new ApolloServer({
      schema,
      stopOnTerminationSignals: false,
      plugins: [
        ApolloServerPluginDrainHttpServer({ httpServer: http }),
        {
          async serverWillStart() {
            return {
              async drainServer() {
                await serverCleanup.dispose();
              },
            };
          },
        },
      ],
    });
    await server.start();
    app.use('/graphql', express.json(), expressMiddleware(server));
    return server;
  }

  test('serves subscriptions beside HTTP, and says goodbye when Apollo stops', async () => {
    const server = await start();
    const closes: number[] = [];
    const client = connect(reference as never, { on: { closed: (event) => closes.push((event as CloseEvent).code) } });
    expect(await all(client, 'subscription { greetings }')).toEqual(greetings);
    const response = await fetch(`http://127.0.0.1:${port}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"query":"{ hello }"}',
    });
    expect(await response.json()).toEqual(hello[0]);
    const { results } = follow(client);
    await heard(results, 'before');
    await server.stop();
    void leave(client);
    await vi.waitFor(() => expect(closes).toContain(1001));
  });

  test('its hooks and its context function', async () => {
    const log: unknown[] = [];
    const server = await start({
      onConnect: async ({ connectionParams }) => connectionParams?.['token'] !== 'bad',
      onDisconnect: (_context, code) => void log.push(code),
      context: async ({ connectionParams, extra }, id, { query }, { operationName }) => {
        log.push([typeof id, query, operationName, extra.request.url]);
        return { user: connectionParams?.['token'] };
      },
    });
    const client = connect(reference as never, { connectionParams: { token: 'ann' } });
    expect(await all(client, 'query Me { user }', { operationName: 'Me' })).toEqual([{ data: { user: 'ann' } }]);
    await vi.waitFor(() => expect(log).toEqual([['string', 'query Me { user }', 'Me', '/graphql'], 1000]));
    const bad = connect(reference as never, { connectionParams: { token: 'bad' }, retryAttempts: 0 });
    await expect(all(bad, '{ hello }')).rejects.toMatchObject({ code: 4403, reason: 'Forbidden' });
    await server.stop();
  });
});

describe.each(packages)("NestJS's set-up with %s", (_name, { useServer }) => {
  /** As its subscription service does it: servers without a socket, and an upgrade listener that picks one by path. */
  function start(options: Partial<own.ServerOptions<Record<string, unknown>, own.Extra & { user?: string }>>) {
    const wss = new WebSocketServer({ path: '/graphql', noServer: true });
    const disposable = useServer<Record<string, unknown>, { user?: string }>(
      { schema, execute, subscribe, ...options },
      wss,
    );
    http.on('upgrade', (request, socket, head) => {
      if (!request.url?.startsWith('/graphql')) return;
      wss.handleUpgrade(request, socket, head, (webSocket) => wss.emit('connection', webSocket, request));
    });
    endings.push(() => disposable.dispose().catch(() => {}));
    return disposable;
  }

  test('hooks hand things on by `extra`', async () => {
    start({
      onConnect(context) {
        const { connectionParams, extra } = context;
        extra.user = String(connectionParams?.['authToken']);
      },
      context: ({ extra }) => ({ user: extra.user }),
    });
    const client = connect(reference as never, { connectionParams: { authToken: 'ann' } });
    expect(await all(client, '{ user }')).toEqual([{ data: { user: 'ann' } }]);
    expect(await all(client, 'subscription { greetings }')).toEqual(greetings);
  });

  test('its stop closes what is open', async () => {
    const { dispose } = start({});
    const closes: number[] = [];
    const client = connect(reference as never, { on: { closed: (event) => closes.push((event as CloseEvent).code) } });
    const { results } = follow(client);
    await heard(results, 'nest');
    await dispose();
    await vi.waitFor(() => expect(closes[0]).toBe(1001));
    void leave(client);
  });
});

describe.each(packages)(
  'recipes for servers with %s',
  (_name, { useServer, makeServer, CloseCode, MessageType, stringifyMessage }) => {
    function start(options: own.ServerOptions<Record<string, unknown>, own.Extra>): WebSocketServer {
      const wsServer = new WebSocketServer({ server: http, path: '/graphql' });
      const { dispose } = useServer(options, wsServer);
      endings.push(dispose);
      return wsServer;
    }
    const peer = (options: Partial<own.ClientOptions> = {}): own.Client => connect(reference as never, options);

    test('makeServer by hand, with pings of the subprotocol', async () => {
      const ponged = vi.fn();
      const server = makeServer<Record<string, unknown>, { readonly request: IncomingMessage }>({
        schema,
        context: ({ extra }) => ({ user: extra.request.url }),
      });
      const wsServer = new WebSocketServer({ server: http, path: '/graphql' });
      wsServer.on('connection', (socket, request) => {
        const closed = server.opened(
          {
            protocol: socket.protocol,
            send: (data) =>
              new Promise((resolve, reject) => socket.send(data, (error) => (error ? reject(error) : resolve()))),
            close: (code, reason) => socket.close(code, reason),
            onMessage: (callback) =>
              socket.on('message', async (event) => {
                try {
                  await callback(String(event));
                } catch (error) {
                  socket.close(CloseCode.InternalServerError, (error as Error).message);
                }
              }),
            onPong: ponged,
          },
          { request },
        );
        socket.send(stringifyMessage({ type: MessageType.Ping, payload: { a: 1 } }));
        socket.once('close', (code, reason) => closed(code, String(reason)));
      });
      endings.push(() => wsServer.close());
      expect(await all(peer(), '{ user }')).toEqual([{ data: { user: '/graphql' } }]);
      expect(ponged).toHaveBeenCalledWith({ a: 1 });
    });

    test("Yoga's getEnveloped in onSubscribe", async () => {
      const yoga = createYoga({ schema, logging: false });
      const ask = ({ rootValue }: ExecutionArgs) =>
        rootValue as { execute: typeof execute; subscribe: typeof subscribe };
      start({
        execute: (args) => ask(args).execute(args),
        subscribe: (args) => ask(args).subscribe(args) as never,
        async onSubscribe(context, _id, payload) {
          const enveloped = yoga.getEnveloped({ ...context, req: context.extra.request, params: payload } as never);
          const args = {
            schema: enveloped.schema,
            operationName: payload.operationName,
            document: enveloped.parse(payload.query) as DocumentNode,
            variableValues: payload.variables,
            contextValue: await enveloped.contextFactory(),
            rootValue: { execute: enveloped.execute, subscribe: enveloped.subscribe },
          };
          const errors = enveloped.validate(args.schema, args.document);
          return errors.length > 0 ? errors : args;
        },
      });
      expect(await all(peer(), '{ hello }')).toEqual(hello);
      expect(await all(peer(), 'subscription { greetings }')).toEqual(greetings);
      await expect(all(peer(), '{ nothing }')).rejects.toMatchObject([{ message: expect.stringContaining('nothing') }]);
    });

    test('a schema, a validation and a parser of your own', async () => {
      const seen: unknown[] = [];
      start({
        schema: async (_context, _id, { query }, { document }) => {
          seen.push(query, document.kind);
          return schema;
        },
        parse: (...details) => parse(...details),
        validate: (known, document) => validate(known, document, []),
      });
      expect(await all(peer(), '{ hello }')).toEqual(hello);
      expect(seen).toEqual(['{ hello }', 'Document']);
      expect(await all(peer(), '{ nothing }')).toEqual([{ data: {} }]);
    });

    test('only subscriptions, and arguments of your own', async () => {
      start({
        onSubscribe(_context, _id, { operationName, query, variables }) {
          const args = { schema, operationName, document: parse(query), variableValues: variables };
          const operation = getOperationAST(args.document, args.operationName);
          if (!operation) return [new GraphQLError('Unable to identify operation')];
          if (operation.operation !== 'subscription')
            return [new GraphQLError('Only subscription operations are supported')];
          const errors = validate(args.schema, args.document);
          return errors.length > 0 ? errors : args;
        },
      });
      expect(await all(peer(), 'subscription { greetings }')).toEqual(greetings);
      await expect(all(peer(), '{ hello }')).rejects.toMatchObject([{ message: expect.stringContaining('Only') }]);
    });

    test('persisted queries', async () => {
      const store: Record<string, ExecutionArgs> = {
        iWantTheGreetings: { schema, document: parse('subscription Greetings { greetings }') },
      };
      start({
        isProd: false,
        onSubscribe(_context, _id, { extensions, variables }) {
          const persisted = store[String(extensions?.['persistedQuery'])];
          if (persisted) return { ...persisted, variableValues: variables };
          throw new Error('404: Query Not Found');
        },
      });
      const silence = vi.spyOn(console, 'error').mockImplementation(() => {});
      const extensions = { persistedQuery: 'iWantTheGreetings' };
      expect(await all(peer(), '', { extensions })).toEqual(greetings);
      await expect(all(peer(), '{ hello }')).rejects.toMatchObject({ code: 4500, reason: '404: Query Not Found' });
      silence.mockRestore();
    });

    test('a token that is looked at for each operation', async () => {
      const valid = new Set<unknown>(['a']);
      start({
        schema,
        onConnect: ({ connectionParams }) => valid.has(connectionParams?.['token']),
        onSubscribe: ({ connectionParams, extra }) => {
          if (!valid.has(connectionParams?.['token'])) extra.socket.close(CloseCode.Forbidden, 'Forbidden');
        },
      });
      let token = 'a';
      const tokens: string[] = [];
      const client = peer({
        lazyCloseTimeout: 5_000,
        connectionParams: () => {
          tokens.push(token);
          return { token };
        },
        on: {
          closed: (event) => {
            if ((event as CloseEvent).code === CloseCode.Forbidden) token = 'b';
          },
        },
      });
      expect(await all(client, '{ hello }')).toEqual(hello);
      valid.clear();
      valid.add('b');
      expect(await all(client, 'subscription { greetings }')).toEqual(greetings);
      expect(tokens).toEqual(['a', 'b']);
    });

    test('an acknowledgement of subscriptions by pings', async () => {
      const wsServer = new WebSocketServer({ server: http, path: '/graphql' });
      const { dispose } = useServer<undefined, { ackWaiters: Record<string, () => void> }>(
        {
          schema,
          onConnect({ extra }) {
            extra.ackWaiters = {};
          },
          onSubscribe({ extra }, id, { extensions }) {
            const ackId = extensions?.['ackId'];
            if (typeof ackId !== 'string') return;
            extra.ackWaiters![id] = () =>
              extra.socket.send(stringifyMessage({ type: MessageType.Ping, payload: { ackId } }));
          },
          onOperation({ extra }, id) {
            extra.ackWaiters![id]?.();
            delete extra.ackWaiters![id];
          },
        },
        wsServer,
      );
      endings.push(dispose);
      const pings: unknown[] = [];
      const client = peer({ on: { ping: (received, payload) => received && pings.push(payload) } });
      expect(await all(client, 'subscription { greetings }', { extensions: { ackId: 'x' } })).toEqual(greetings);
      expect(pings).toEqual([{ ackId: 'x' }]);
    });

    test('an http server with several WebSocket servers', async () => {
      const waves = new WebSocketServer({ noServer: true });
      const graphql = new WebSocketServer({ noServer: true });
      waves.on('connection', (socket) => socket.send('~'));
      http.on('upgrade', (request, socket, head) => {
        const server = request.url === '/wave' ? waves : graphql;
        server.handleUpgrade(request, socket, head, (webSocket) => server.emit('connection', webSocket, request));
      });
      const { dispose } = useServer({ schema }, graphql);
      endings.push(dispose);
      const wave = new WebSocket(url('/wave'));
      const [data] = (await once(wave, 'message')) as [Buffer];
      expect(String(data)).toBe('~');
      wave.close();
      expect(await all(peer(), '{ hello }')).toEqual(hello);
    });
  },
);

describe.each(packages)('recipes for clients with %s', (_name, names) => {
  let wsServer: WebSocketServer;

  beforeEach(() => {
    wsServer = new WebSocketServer({ server: http, path: '/graphql' });
    const { dispose } = useReferenceServer({ schema }, wsServer);
    endings.push(dispose);
  });

  test('a graceful restart: the subscription goes on', async () => {
    let restart = (): void => {};
    const client = connect(names, {
      on: {
        opened(socket) {
          const opened = socket as WebSocket;
          restart = () => {
            if (opened.readyState === WebSocket.OPEN) opened.close(4205, 'Client Restart');
          };
        },
      },
    });
    const { results, errors } = follow(client);
    await heard(results, 'before');
    const codes: number[] = [];
    const off = client.on('closed', ((event: CloseEvent) => codes.push(event.code)) as (event: unknown) => void);
    restart();
    await vi.waitFor(() => expect(codes).toEqual([4205]));
    off();
    await heard(results, 'after');
    expect(errors).toEqual([]);
  });

  test('pings and pongs by hand', async () => {
    let socket: Pick<WebSocket, 'readyState' | 'send'> | undefined;
    const pongs: unknown[] = [];
    const client = connect(names, {
      disablePong: true,
      lazy: false,
      on: {
        opened: (opened) => {
          socket = opened as WebSocket;
        },
        pong: (received, payload) => received && pongs.push(payload),
      },
    });
    await new Promise<void>((resolve) => client.on('connected', () => resolve()));
    expect(socket?.readyState).toBe(WebSocket.OPEN);
    socket?.send(names.stringifyMessage({ type: names.MessageType.Ping, payload: { by: 'hand' } }));
    await vi.waitFor(() => expect(pongs).toEqual([{ by: 'hand' }]));
  });

  test('a termination when a pong is missing', async () => {
    const terminated: boolean[] = [];
    let unanswered = 0;
    const client = connect(names, {
      keepAlive: 20,
      on: {
        ping(received) {
          if (!received) unanswered++;
        },
        pong(received) {
          if (received) unanswered--;
        },
        closed: (event) => terminated.push(event instanceof (names as unknown as typeof own).TerminatedCloseEvent),
      },
    });
    const { results, errors } = follow(client);
    await heard(results, 'before');
    // The server is deaf from now on.
    const deaf = [...wsServer.clients];
    for (const socket of deaf) socket.pause();
    // A ping may have left before: it gets no pong either.
    await vi.waitFor(() => expect(unanswered).toBeGreaterThan(0));
    client.terminate();
    await heard(results, 'after');
    expect(terminated).toEqual([true]);
    for (const socket of deaf) socket.terminate();
    expect(errors).toEqual([]);
  });

  test('is the subprotocol supported there?', async () => {
    const supports = (at: string): Promise<boolean> =>
      new Promise((resolve) => {
        const client = connect(names, {
          url: at,
          retryAttempts: 0,
          lazy: false,
          onNonLazyError: () => {},
          on: {
            closed: () => resolve(false),
            connected() {
              resolve(true);
              void leave(client);
            },
          },
        });
      });
    expect(await supports(url())).toBe(true);
    expect(await supports(url('/elsewhere'))).toBe(false);
  });

  test('a listener for reconnects', async () => {
    let abruptlyClosed = false;
    let reconnects = 0;
    const client = connect(names, {
      on: {
        closed: (event) => {
          if ((event as CloseEvent).code !== 1000) abruptlyClosed = true;
        },
        connected() {
          if (abruptlyClosed) reconnects++;
          abruptlyClosed = false;
        },
      },
    });
    const { results } = follow(client);
    await heard(results, 'before');
    for (const socket of wsServer.clients) socket.terminate();
    await vi.waitFor(() => expect(reconnects).toBe(1));
    await heard(results, 'after');
  });

  test('headers of your own in Node', async () => {
    const seen: unknown[] = [];
    wsServer.on('connection', (_socket, { headers }) => seen.push(headers['x-custom-header']));
    class SocketWithHeaders extends WebSocket {
      constructor(address: string, protocols: string[]) {
        super(address, protocols, { headers: { 'X-Custom-Header': 'hello world' } });
      }
    }
    expect(await all(connect(names, { webSocketImpl: SocketWithHeaders }), '{ hello }')).toEqual(hello);
    expect(seen).toEqual(['hello world']);
  });
});

test('types: hooks know what ws gives them, and listeners may make of events what they know them to be', () => {
  type Options = own.ServerOptions<{ readonly token: string }, own.Extra<WebSocket, IncomingMessage>>;
  const wsServer = new WebSocketServer({ noServer: true });
  const { dispose } = own.useServer(
    {
      schema,
      onConnect({ extra }) {
        expectTypeOf(extra.request).toEqualTypeOf<IncomingMessage>();
        expectTypeOf(extra.socket).toEqualTypeOf<WebSocket>();
      },
    },
    wsServer,
  );
  const options: Options = {
    schema: schema as GraphQLSchema,
    onConnect: ({ connectionParams }) => connectionParams?.token === '',
  };
  const clientOptions: own.ClientOptions<{ token: string }> = {
    url: 'ws://localhost/',
    connectionParams: () => ({ token: '' }),
    on: { closed: (event) => void (event as CloseEvent).code, opened: (socket) => void (socket as WebSocket).send('') },
  };
  expectTypeOf(own.makeServer(options).opened).parameter(1).toEqualTypeOf<own.Extra<WebSocket, IncomingMessage>>();
  expectTypeOf(own.createClient<{ token: string }>)
    .parameter(0)
    .toEqualTypeOf<typeof clientOptions>();
  return dispose();
});
