import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, type Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { makeExecutableSchema } from '@graphql-tools/schema';
import { type ExecutionArgs, type ExecutionResult, parse, versionInfo } from 'graphql';
import * as reference from 'graphql-ws';
import { useServer as useReferenceServer } from 'graphql-ws/use/ws';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import WebSocket, { WebSocketServer } from 'ws';
import * as own from '../../src/graphql/graphql-ws/index.ts';
import { root } from '../support/project-files.ts';

/** Both packages are asked the same here: what differs stands in spec-notes/migration.md, row by row. */
type Names = Pick<typeof own, 'createClient' | 'makeServer' | 'useServer'>;
/** Real sockets on a machine that others use as well. */
const eventually = <T>(check: () => T): Promise<T> => vi.waitFor(check, { timeout: 10_000 });
type Message = { readonly id?: string; readonly type: string; readonly payload?: unknown };

const theirs = { ...reference, useServer: useReferenceServer } as unknown as Names;
const schema = makeExecutableSchema({
  typeDefs: 'type Query { hello: String, fail: String } type Subscription { never: String, twice: String }',
  resolvers: {
    Query: { hello: () => 'world' },
    Subscription: {
      never: { subscribe: () => ({ [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => {}) }) }) },
      twice: {
        async *subscribe() {
          yield { twice: 'a' };
          yield { twice: 'b' };
        },
      },
    },
  },
});

let http: HttpServer;
let port: number;
let endings: (() => unknown)[];

beforeEach(async () => {
  vi.spyOn(console, 'error').mockImplementation(() => {});
  endings = [];
  http = createServer();
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  port = (http.address() as AddressInfo).port;
});

afterEach(async () => {
  for (const end of endings.reverse()) await end();
  http.closeAllConnections();
  http.close();
  vi.restoreAllMocks();
});

const url = (): string => `ws://127.0.0.1:${port}/graphql`;

function serve({ useServer }: Names, options: own.ServerOptions<Record<string, unknown>, own.Extra> = {}) {
  const wsServer = new WebSocketServer({ server: http, path: '/graphql' });
  const { dispose } = useServer({ schema, isProd: false, ...options }, wsServer);
  endings.push(() => dispose().catch(() => {}));
  return { wsServer, dispose };
}

/** A client that says exactly what a test tells it to, once it was let in. */
async function speak(...messages: readonly unknown[]) {
  const socket = new WebSocket(url(), 'graphql-transport-ws');
  const received: Message[] = [];
  let code: number | undefined;
  socket.on('message', (data) => received.push(JSON.parse(String(data)) as Message));
  const closed = new Promise<string>((resolve) => {
    socket.on('close', (closedBy, reason) => {
      code = closedBy;
      resolve(String(reason));
    });
  });
  await once(socket, 'open');
  endings.push(() => socket.terminate());
  const send = (message: unknown): void => socket.send(JSON.stringify(message));
  send({ type: 'connection_init' });
  await eventually(() => expect(received).toEqual([{ type: 'connection_ack' }]));
  for (const message of messages) send(message);
  return {
    send,
    /** What came, or the code of the close that came: the first of both that is there. */
    answer: () =>
      eventually(() => {
        const answers = received.slice(1);
        if (code === undefined && answers.length === 0) throw new Error('no answer yet');
        return code ?? answers;
      }),
    received,
    /** The reason of the close. */
    closed,
  };
}

const ask = (id: string, query: string): unknown => ({ id, type: 'subscribe', payload: { query } });
const done = (id: string, payload: unknown): unknown[] => [
  { id, type: 'next', payload },
  { id, type: 'complete' },
];
const eachOf = <T>(reference: T, ours: T): readonly (readonly [string, Names, T])[] => [
  ['graphql-ws', theirs, reference],
  ['subwire/graphql-ws', own, ours],
];

describe('servers', () => {
  test.each(
    eachOf<unknown>(4500, [
      { id: '1', type: 'error', payload: [expect.objectContaining({ message: expect.any(String) })] },
    ]),
  )('a syntax error: %s', async (_name, names, expected) => {
    serve(names);
    const { answer } = await speak(ask('1', '{ hello'));
    expect(await answer()).toEqual(expected);
  });

  test.each(eachOf(4500, 4400))("a server's message from a client: %s", async (_name, names, expected) => {
    serve(names);
    const { answer } = await speak({ type: 'connection_ack' });
    expect(await answer()).toBe(expected);
  });

  test.each(eachOf(false, true))(
    'the context value without `context` is the context: %s',
    async (_name, names, expected) => {
      const seen: ExecutionArgs[] = [];
      serve(names, {
        execute(args) {
          seen.push(args);
          return { data: {} };
        },
      });
      const { answer } = await speak(ask('1', '{ hello }'));
      await answer();
      expect(Object.hasOwn(Object(seen[0]?.contextValue), 'acknowledged')).toBe(expected);
      expect((seen[0] as { abortSignal?: unknown }).abortSignal instanceof AbortSignal).toBe(expected);
    },
  );

  test.each(eachOf(3, 1))('how often three equal documents are parsed: %s', async (_name, names, expected) => {
    const parser = vi.fn(parse);
    serve(names, { parse: parser as typeof parse });
    const { received } = await speak(ask('1', '{ hello }'), ask('2', '{ hello }'), ask('3', '{ hello }'));
    await eventually(() => expect(received).toHaveLength(7));
    expect(parser).toHaveBeenCalledTimes(expected);
  });

  test.each(eachOf<unknown>(4500, done('1', { errors: [{ message: 'elsewhere' }] })))(
    'errors that are plain objects: %s',
    async (_name, names, expected) => {
      serve(names, { execute: () => ({ errors: [{ message: 'elsewhere' }] }) as unknown as ExecutionResult });
      const { answer, received } = await speak(ask('1', '{ hello }'));
      if (typeof expected === 'object') await eventually(() => expect(received).toHaveLength(3));
      expect(await answer()).toEqual(expected);
    },
  );

  test.each(eachOf('not now', 'Internal server error'))(
    'what hooks throw that is no error: %s',
    async (_name, names, expected) => {
      serve(names, {
        onSubscribe() {
          throw 'not now';
        },
      });
      const { closed } = await speak(ask('1', '{ hello }'));
      expect(await closed).toBe(expected);
    },
  );

  test.each(eachOf(true, false))('what a replacer sees of a result: all of it: %s', async (_name, names, expected) => {
    const keys = new Set<string>();
    serve(names, {
      jsonMessageReplacer(key, value) {
        keys.add(value === 'next' ? 'the type of a result' : key);
        return value;
      },
    });
    const { received } = await speak(ask('1', '{ hello }'));
    await eventually(() => expect(received).toHaveLength(3));
    expect(keys.has('hello')).toBe(true);
    expect(keys.has('the type of a result')).toBe(expected);
  });

  test.each(eachOf(0, 1))('onComplete for a source that is not a generator: %s', async (_name, names, expected) => {
    const onComplete = vi.fn();
    const onClose = vi.fn();
    serve(names, { onComplete, onClose });
    const { send, received } = await speak(ask('1', 'subscription { never }'));
    send({ type: 'ping' });
    await eventually(() => expect(received.at(-1)).toEqual({ type: 'pong' }));
    await endings.pop()?.();
    // With graphql 17, graphql-ws waits here for a source that never ends, and calls neither.
    const closes = names !== theirs || versionInfo.major < 17;
    await eventually(() => expect(onClose).toHaveBeenCalledTimes(closes ? 1 : 0));
    expect(onComplete).toHaveBeenCalledTimes(expected);
  });

  test.each(eachOf(101, 100))('operations of one connection: %s', async (_name, names, expected) => {
    serve(names);
    let open = 0;
    const ids = Array.from({ length: 101 }, (_each, index) => String(index));
    const { send, received } = await speak(...ids.map((id) => ask(id, 'subscription { never }')));
    send({ type: 'ping' });
    await eventually(() => expect(received.at(-1)).toEqual({ type: 'pong' }));
    open = 101 - received.filter(({ type }) => type === 'error').length;
    expect(open).toBe(expected);
  });

  test.each(eachOf<unknown>(4500, [{ type: 'pong' }]))(
    'an error of the WebSocket server, such as one of its http server: %s',
    async (_name, names, expected) => {
      const { wsServer } = serve(names);
      const { send, answer } = await speak();
      wsServer.emit('error', new Error('too many open files'));
      send({ type: 'ping' });
      expect(await answer()).toEqual(expected);
      expect(console.error).toHaveBeenCalled();
    },
  );

  test.each(eachOf(0, 1))('your own listeners after dispose(): %s', async (_name, names, expected) => {
    const { wsServer, dispose } = serve(names);
    wsServer.on('connection', () => {});
    await dispose();
    expect(wsServer.listenerCount('connection')).toBe(expected);
  });

  test.each(eachOf('rejected', 'resolved'))(
    'makeServer: what the callback of onMessage tells of a hook that threw: %s',
    async (_name, { makeServer }, expected) => {
      const onConnect = (): never => {
        throw new Error('no');
      };
      let receive: (data: string) => Promise<void> = async () => {};
      const onMessage = (callback: typeof receive): void => {
        receive = callback;
      };
      const close = vi.fn();
      const closed = makeServer({ schema, onConnect, isProd: false }).opened(
        { protocol: 'graphql-transport-ws', send() {}, close, onMessage },
        {},
      );
      expect(
        await receive('{"type":"connection_init"}').then(
          () => 'resolved',
          () => 'rejected',
        ),
      ).toBe(expected);
      // It has told the client itself.
      if (expected === 'resolved') expect(close).toHaveBeenCalledWith(4500, 'no');
      await closed(4500, 'no');
    },
  );
});

describe('clients', () => {
  type Options = Partial<own.ClientOptions>;
  function connect({ createClient }: Names, options: Options = {}): own.Client {
    const client = createClient({ url: url(), webSocketImpl: WebSocket, ...options });
    endings.push(() => Promise.resolve(client.dispose()).catch(() => {}));
    return client;
  }

  test.each(eachOf('given up', 'tries again'))('a refused connection in Node: %s', async (_name, names, expected) => {
    http.close();
    await once(http, 'close');
    const outcome = await new Promise((resolve) => {
      const client = connect(names, { on: { closed: () => setImmediate(() => resolve('tries again')) } });
      client.subscribe({ query: '{ hello }' }, { next() {}, error: () => resolve('given up'), complete() {} });
    });
    expect(outcome).toBe(expected);
  });

  test.each(eachOf(false, true))('what `closed` listeners get is an Error: %s', async (_name, names, expected) => {
    serve(names);
    const closed = new Promise((resolve) => {
      const client = connect(names, { on: { closed: resolve } });
      client.subscribe({ query: '{ hello }' }, { next() {}, error() {}, complete() {} });
    });
    expect((await closed) instanceof Error).toBe(expected);
    expect(await closed).toMatchObject({ code: 1000, reason: 'Normal Closure', wasClean: true });
  });

  test.each(eachOf(4004, 1000))('a sink that throws: %s', async (_name, names, expected) => {
    serve(names);
    const code = await new Promise((resolve) => {
      const closed = (event: unknown): void => resolve((event as CloseEvent).code);
      const client = connect(names, { onError: () => {}, on: { closed } });
      const next = (): never => {
        throw new Error('of the application');
      };
      client.subscribe({ query: '{ hello }' }, { next, error() {}, complete() {} });
    });
    expect(code).toBe(expected);
  });

  test.each(eachOf(4004, 4004))('a listener of connected that throws: %s', async (_name, names, expected) => {
    serve(names);
    const code = await new Promise((resolve) => {
      const closed = (event: unknown): void => resolve((event as CloseEvent).code);
      const connected = (): never => {
        throw new Error('of the application');
      };
      const client = connect(names, { onError: () => {}, on: { closed, connected } });
      client.subscribe({ query: '{ hello }' }, { next() {}, error() {}, complete() {} });
    });
    expect(code).toBe(expected);
  });

  test.each(eachOf(4499, 1006))('what the server sees of terminate(): %s', async (_name, names, expected) => {
    const { wsServer } = serve(names);
    const code = new Promise((resolve) => wsServer.once('connection', (socket) => socket.once('close', resolve)));
    const client = connect(names, { on: { connected: () => setImmediate(() => client.terminate()) } });
    client.subscribe({ query: 'subscription { never }' }, { next() {}, error() {}, complete() {} });
    expect(await code).toBe(expected);
  });

  test('url that throws: ours says so', async () => {
    const thrown = new Error('no address');
    const client = connect(own, {
      url: () => {
        throw thrown;
      },
    });
    const heard = new Promise((resolve) => {
      client.subscribe({ query: '{ hello }' }, { next() {}, error: resolve, complete() {} });
    });
    expect(await heard).toBe(thrown);
  });

  test.each(eachOf('runs on', 'fails'))('1000 before the acknowledgement: %s', async (_name, names, expected) => {
    let connections = 0;
    const wsServer = new WebSocketServer({ server: http, path: '/graphql' });
    wsServer.on('connection', (socket) => {
      connections++;
      socket.close(1000);
    });
    endings.push(() => wsServer.close());
    const outcome = await new Promise((resolve) => {
      const client = connect(names, { retryAttempts: 1, retryWait: async () => {} });
      client.on('closed', () => connections > 5 && resolve('runs on'));
      client.subscribe({ query: '{ hello }' }, { next() {}, error: () => resolve('fails'), complete() {} });
    });
    expect(outcome).toBe(expected);
  });

  test.each(eachOf(/^[0-9a-f-]{36}$/, /^[0-9a-f]{18}$/))('ids: %s', async (_name, names, expected) => {
    serve(names);
    const ids: string[] = [];
    const client = connect(names, { on: { message: (message) => 'id' in message && ids.push(message.id) } });
    for await (const result of client.iterate({ query: '{ hello }' })) expect(result.errors).toBeUndefined();
    expect(ids[0]).toMatch(expected);
  });

  test.each(eachOf(true, true))(
    'what `opened` listeners get is the WebSocket itself: %s',
    async (_name, names, expected) => {
      serve(names);
      const opened = new Promise((resolve) => connect(names, { lazy: false, on: { opened: resolve } }));
      expect((await opened) instanceof WebSocket).toBe(expected);
      expect(await opened).toMatchObject({ protocol: 'graphql-transport-ws', readyState: 1 });
    },
  );

  test.each(eachOf(true, true))('dispose() gives a promise to wait for: %s', async (_name, names, expected) => {
    expect((connect(names).dispose() as unknown) instanceof Promise).toBe(expected);
  });

  test.each(eachOf('runs', 'refused'))('an operation after dispose(): %s', async (_name, names, expected) => {
    serve(names);
    const client = connect(names);
    await client.dispose();
    const outcome = await new Promise((resolve) =>
      client.subscribe(
        { query: '{ hello }' },
        { next: () => resolve('runs'), error: () => resolve('refused'), complete() {} },
      ),
    );
    expect(outcome).toBe(expected);
  });
});

test('every difference that the table of migration.md tells of is proved by the test that it names', async () => {
  const note = await readFile(join(root, 'spec-notes/migration.md'), 'utf8');
  const proofs = [...note.matchAll(/\| (test\/\S+\.ts): (.+?) \|$/gm)].map(([, file = '', title = '']) => ({
    file,
    title,
  }));
  expect(proofs.length).toBeGreaterThan(20);
  for (const { file, title } of proofs) {
    expect(await readFile(join(root, file), 'utf8'), `${file} has a test whose title holds: ${title}`).toContain(title);
  }
});
