import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import * as reference from 'graphql-ws';
import { describe, expect, test, vi } from 'vitest';
import WebSocketClient, { WebSocketServer } from 'ws';
import { ConnectionLost } from '../../../src/core/connection-lost.ts';
import * as names from '../../../src/graphql/graphql-ws/index.ts';
import { createFakeClock } from '../../support/fake-clock.ts';
import { FakeTransport } from '../../support/fake-transport.ts';
import { createTestSchema } from '../../support/graphql-schema.ts';

const { schema } = createTestSchema();

/** A socket of somebody else's server. */
class ForeignSocket implements names.WebSocket {
  readonly protocol: string;
  readonly sent: unknown[] = [];
  closed: readonly [number | undefined, string | undefined] | undefined;
  receive: (data: string) => Promise<void> = async () => {};
  readonly leaving: (() => void)[] = [];
  holds = false;

  constructor(protocol = 'graphql-transport-ws') {
    this.protocol = protocol;
  }

  send(data: string): Promise<void> {
    this.sent.push(JSON.parse(data));
    return this.holds ? new Promise((resolve) => void this.leaving.push(resolve)) : Promise.resolve();
  }
  close(code?: number, reason?: string): void {
    this.closed = [code, reason];
  }
  onMessage(callback: (data: string) => Promise<void>): void {
    this.receive = callback;
  }
}

const settle = async (): Promise<void> => {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
};

test('has the names and values of graphql-ws', () => {
  for (const [name, value] of Object.entries(names.CloseCode)) expect(reference.CloseCode).toHaveProperty(name, value);
  for (const [name, value] of Object.entries(names.MessageType))
    expect(reference.MessageType).toHaveProperty(name, value);
  expect(Object.keys(names)).toEqual(
    expect.arrayContaining(['makeServer', 'useServer', 'handleProtocols', 'validateMessage', 'createClient']),
  );
  expect(names.GRAPHQL_TRANSPORT_WS_PROTOCOL).toBe(reference.GRAPHQL_TRANSPORT_WS_PROTOCOL);
  expect(names.DEPRECATED_GRAPHQL_WS_PROTOCOL).toBe(reference.DEPRECATED_GRAPHQL_WS_PROTOCOL);
});

test('parseMessage and stringifyMessage check what they get', () => {
  const message = { id: '1', type: 'complete' } as const;
  expect(names.stringifyMessage(message)).toBe('{"id":"1","type":"complete"}');
  expect(names.parseMessage(names.stringifyMessage(message))).toEqual(message);
  expect(names.parseMessage(message)).toEqual(message);
  expect(() => names.parseMessage(1)).toThrow('A message must be an object');
  expect(() => names.stringifyMessage({ type: 'complete' } as never)).toThrow('complete: id');
});

test('a TerminatedCloseEvent is any close with 4499', () => {
  expect(new names.TerminatedCloseEvent()).toMatchObject({ code: 4499, reason: 'Terminated', wasClean: false });
  expect(new ConnectionLost(4499, 'Terminated')).toBeInstanceOf(names.TerminatedCloseEvent);
  expect(new ConnectionLost(1000, '')).not.toBeInstanceOf(names.TerminatedCloseEvent);
  expect({ code: 4499 }).not.toBeInstanceOf(names.TerminatedCloseEvent);
});

test('handleProtocols takes sets, lists and header values', () => {
  expect(names.handleProtocols(new Set(['a', 'graphql-transport-ws']))).toBe('graphql-transport-ws');
  expect(names.handleProtocols(['graphql-transport-ws'])).toBe('graphql-transport-ws');
  expect(names.handleProtocols('graphql-ws, graphql-transport-ws')).toBe('graphql-transport-ws');
  expect(names.handleProtocols('graphql-ws')).toBe(false);
});

test('makeServer serves any socket', async () => {
  const onDisconnect = vi.fn();
  const seen: unknown[] = [];
  const server = names.makeServer({
    schema,
    onConnect: ({ extra }) => void seen.push(extra),
    onDisconnect,
  });
  const socket = new ForeignSocket();
  const closed = server.opened(socket, { request: 1 });
  await socket.receive('{"type":"connection_init"}');
  await socket.receive('{"id":"1","type":"subscribe","payload":{"query":"{ hello }"}}');
  await settle();
  expect(socket.sent).toEqual([
    { type: 'connection_ack' },
    { id: '1', type: 'next', payload: { data: { hello: 'world' } } },
    { id: '1', type: 'complete' },
  ]);
  expect(seen).toEqual([{ request: 1 }]);
  await closed(1000, 'bye');
  expect(onDisconnect).toHaveBeenCalledWith(expect.anything(), 1000, 'bye');
});

test('makeServer and useServer pass over options that they do not know, as graphql-ws does', async () => {
  const options = { schema, keepAlive: 1, path: '/graphql' };
  expect(() => names.makeServer(options)).not.toThrow();
  const server = new WebSocketServer({ noServer: true });
  await names.useServer(options, server).dispose();
});

test('makeServer: a send that is not done yet holds sources back', async () => {
  const socket = new ForeignSocket();
  const closed = names.makeServer({ schema }).opened(socket, {});
  await socket.receive('{"type":"connection_init"}');
  await settle();
  socket.holds = true;
  await socket.receive('{"id":"1","type":"subscribe","payload":{"query":"{ bytes(n: 700000) }"}}');
  await settle();
  await socket.receive('{"id":"2","type":"subscribe","payload":{"query":"{ hello }"}}');
  await settle();
  const ids = (): unknown[] => socket.sent.map((message) => (message as { id?: string }).id);
  expect(ids()).not.toContain('2');
  socket.holds = false;
  for (const leave of socket.leaving) leave();
  await settle();
  expect(ids()).toContain('2');
  await closed();
});

test('makeServer: a socket that throws costs its own connection, and is reported', async () => {
  const logged = vi.spyOn(console, 'error').mockImplementation(() => {});
  const onClose = vi.fn();
  const server = names.makeServer({ schema, onClose });
  for (const failure of [
    () => {
      throw new Error('a broken socket');
    },
    () => Promise.reject(new Error('a broken socket')),
  ]) {
    const socket = new ForeignSocket();
    const closed = server.opened(Object.assign(socket, { send: failure, close: failure }), {});
    await socket.receive('{"type":"ping"}');
    await socket.receive('{"type":"ping"}');
    await socket.receive('nonsense');
    await settle();
    await closed(1006, '');
  }
  expect(onClose).toHaveBeenCalledTimes(2);
  expect(logged.mock.calls.length).toBeGreaterThanOrEqual(3);
  expect(logged).toHaveBeenCalledWith('subwire:', new Error('a broken socket'));
  logged.mockRestore();
});

test('makeServer refuses other subprotocols, and tells onClose', async () => {
  const onClose = vi.fn();
  const onDisconnect = vi.fn();
  const socket = new ForeignSocket('graphql-ws');
  const closed = names.makeServer({ schema, onClose, onDisconnect }).opened(socket, {});
  expect(socket.closed).toEqual([4406, 'Subprotocol not acceptable']);
  await closed(4406, '');
  expect(onClose).toHaveBeenCalledTimes(1);
  expect(onDisconnect).not.toHaveBeenCalled();
});

test('makeServer: onPing on the socket takes the place of the pong', async () => {
  const heard: unknown[] = [];
  const socket = Object.assign(new ForeignSocket(), {
    onPing: (payload: unknown) => void heard.push(payload),
    onPong: (payload: unknown) => void heard.push(payload),
  });
  const closed = names.makeServer({ schema }).opened(socket, {});
  await socket.receive('{"type":"ping","payload":{"a":1}}');
  await socket.receive('{"type":"pong","payload":{"b":1}}');
  await settle();
  expect(heard).toEqual([{ a: 1 }, { b: 1 }]);
  expect(socket.sent).toEqual([]);
  await closed();
});

test.each([{}, { schema: undefined }])(
  'makeServer without a schema (%j) says so when an operation needs it',
  async (options) => {
    const error = vi.spyOn(console, 'error').mockImplementation(() => {});
    const socket = new ForeignSocket();
    const closed = names.makeServer({ isProd: false, ...options }).opened(socket, {});
    await socket.receive('{"type":"connection_init"}');
    await socket.receive('{"id":"1","type":"subscribe","payload":{"query":"{ hello }"}}');
    await settle();
    expect(socket.closed).toEqual([4500, 'The GraphQL schema is not provided']);
    expect(error).toHaveBeenCalled();
    error.mockRestore();
    await closed();
  },
);

test('useServer serves a WebSocketServer of ws and leaves with 1001', async () => {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0, path: '/graphql' });
  await once(server, 'listening');
  const extras: names.Extra[] = [];
  const { dispose } = names.useServer(
    {
      schema,
      onConnect({ extra, handshake }) {
        extras.push(extra);
        return { url: handshake.url };
      },
    },
    server,
  );
  const url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}/graphql?a=1`;
  const acknowledged: unknown[] = [];
  const closes: number[] = [];
  const client = reference.createClient({
    url,
    webSocketImpl: WebSocketClient,
    retryAttempts: 0,
    on: {
      connected: (_, payload) => acknowledged.push(payload),
      closed: (event) => closes.push((event as CloseEvent).code),
    },
  });
  const results: unknown[] = [];
  for await (const result of client.iterate({ query: '{ hello }' })) results.push(result);
  expect(results).toEqual([{ data: { hello: 'world' } }]);
  expect(acknowledged).toEqual([{ url: '/graphql?a=1' }]);
  expect(extras[0]?.request.url).toBe('/graphql?a=1');
  const lost = new Promise((resolve) =>
    client.subscribe({ query: 'subscription { manual }' }, { next() {}, error: resolve, complete() {} }),
  );
  await vi.waitFor(() => expect(acknowledged).toHaveLength(2));
  await dispose();
  await lost;
  expect(closes.at(-1)).toBe(1001);
});

test('useServer: who answers no ping is cut', async () => {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  await once(server, 'listening');
  const { dispose } = names.useServer({ schema }, server, 30);
  const client = new WebSocketClient(
    `ws://127.0.0.1:${(server.address() as AddressInfo).port}`,
    'graphql-transport-ws',
    {
      autoPong: false,
    },
  );
  const [code] = (await once(client, 'close')) as [number];
  expect([1006, 4000]).toContain(code);
  await dispose();
});

describe('createClient has the habits of graphql-ws', () => {
  function create(options: Partial<names.ClientOptions> = {}) {
    const clock = createFakeClock();
    const server = new FakeTransport();
    const events: unknown[][] = [];
    const client = names.createClient({
      url: 'ws://server',
      transport: server.transport,
      clock,
      onError: () => {},
      generateID: () => '1',
      on: {
        closed: (event, ...more) => events.push(['closed', (event as ConnectionLost).code, more.length]),
        error: (error) => events.push(['error', (error as Error).message]),
      },
      ...options,
    });
    const told: unknown[] = [];
    const sink = { next: () => {}, error: (error: unknown) => told.push(error), complete: () => told.push('complete') };
    const run = (): (() => void) => client.subscribe({ query: '{ a }' }, sink);
    async function accept() {
      await clock.settle();
      const socket = server.last.open();
      await clock.settle();
      socket.receiver?.received('{"type":"connection_ack"}');
      return socket;
    }
    return { client, clock, server, events, told, run, accept };
  }

  test('names that it does not know are passed over, as that package does', () => {
    expect(() => create({ isFatalConnectionProblem: () => false, whatever: 1 } as object)).not.toThrow();
  });

  test('five attempts in a row, each later than the one before, and then the error', () => {
    const { server, clock, told, run } = create();
    run();
    for (const least of [1_300, 2_300, 4_300, 8_300, 16_300]) {
      server.last.refuse();
      const { length } = server.dials;
      clock.advance(least - 20);
      expect(server.dials).toHaveLength(length);
      clock.advance(3_040);
      expect(server.dials).toHaveLength(length + 1);
      // The attempt after that is the test's to end.
    }
    server.last.refuse();
    expect(told).toEqual([expect.objectContaining({ code: 1006 })]);
  });

  test('retryWait stands in for these waits, and what it rejects with ends everything', async () => {
    const retryWait = vi.fn(async (retries: number) => {
      if (retries > 0) throw new Error('enough');
    });
    const { server, clock, told, run } = create({ retryWait });
    run();
    server.last.refuse();
    await clock.settle();
    server.last.refuse();
    await clock.settle();
    expect(retryWait.mock.calls).toEqual([[0], [1]]);
    expect(told).toEqual([new Error('enough')]);
  });

  test('it sends no pings of its own', async () => {
    const { accept, run, clock, client } = create();
    run();
    const socket = await accept();
    socket.take();
    clock.advance(120_000);
    expect([socket.take(), client.state.getSnapshot().status]).toEqual([[], 'connected']);
  });

  test('4401 is final, whatever shouldRetry says; what connectionParams throw is final as well', async () => {
    const shouldRetry = vi.fn(() => true);
    const { accept, run, told } = create({ shouldRetry });
    run();
    (await accept()).hangUp(4401, 'Unauthorized');
    expect([told.length, shouldRetry.mock.calls.length]).toEqual([1, 0]);
    let fails = false;
    const later = create({
      connectionParams: async () => {
        if (fails) throw new Error('fetch failed');
        return {};
      },
      retryWait: async () => {},
    });
    later.run();
    fails = true;
    (await later.accept()).hangUp(1006);
    await later.clock.settle();
    expect(later.told).toEqual([new Error('fetch failed')]);
  });

  test('`closed` is told after dispose(), with the code', async () => {
    const { client, accept, run, events } = create();
    run();
    await accept();
    await client.dispose();
    expect(events).toEqual([['closed', 1000, 1]]);
  });

  test.each([
    ['opened', 4005],
    ['connected', 4004],
    ['message', 4004],
  ] as const)('a listener of %s that throws closes with %i, whenever it was added', async (event, code) => {
    for (const early of [true, false]) {
      const listener = (): never => {
        throw new Error('of the application');
      };
      const on = early ? { [event]: listener } : {};
      const { client, server, clock, run } = create({ on });
      if (!early) client.on(event, listener);
      run();
      await clock.settle();
      const socket = server.last.open();
      await clock.settle();
      if (code === 4004) socket.receiver?.received('{"type":"connection_ack"}');
      expect(socket.closing).toEqual({ code, reason: 'of the application' });
    }
  });
});
