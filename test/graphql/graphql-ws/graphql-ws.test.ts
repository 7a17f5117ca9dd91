import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { type ExecutionArgs, execute, parse } from 'graphql';
import * as reference from 'graphql-ws';
import { describe, expect, test, vi } from 'vitest';
import WebSocketClient, { WebSocketServer } from 'ws';
import { ConnectionLost } from '../../../src/core/connection-lost.ts';
import * as names from '../../../src/graphql/graphql-ws/index.ts';
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

test.each([undefined, null, 7, { token: 'graphql-transport-ws' }, () => {}])(
  'handleProtocols finds nothing in what is no offer: %s',
  (offered) => {
    expect(names.handleProtocols(offered as never)).toBe(false);
  },
);

describe('what onSubscribe returns, by way of graphql-ws', () => {
  const given = (over: object = {}): ExecutionArgs => ({ schema, document: parse('{ hello }'), ...over });

  async function executed(onSubscribe: () => ExecutionArgs, connections = 1): Promise<ExecutionArgs[]> {
    const seen: ExecutionArgs[] = [];
    const server = names.makeServer({
      onSubscribe,
      roots: { query: { hello: 'root' } },
      context: ({ extra }) => ({ extra }),
      execute: (args) => {
        seen.push(args);
        return execute(args);
      },
    });
    for (let extra = 1; extra <= connections; extra++) {
      const socket = new ForeignSocket();
      const closed = server.opened(socket, extra);
      await socket.receive('{"type":"connection_init"}');
      await socket.receive('{"id":"1","type":"subscribe","payload":{"query":"{ hello }"}}');
      await settle();
      await closed();
    }
    return seen;
  }

  test('is filled in and executed itself', async () => {
    const args = given();
    const [seen] = await executed(() => args);
    expect(seen).toBe(args);
    expect(seen).toMatchObject({ rootValue: { hello: 'root' }, contextValue: { extra: 1 } });
  });

  test('keeps what it has', async () => {
    const args = given({ contextValue: 'mine', rootValue: undefined });
    const [seen] = await executed(() => args);
    expect(seen).toBe(args);
    expect(seen).toMatchObject({ rootValue: undefined, contextValue: 'mine' });
  });

  test('has the context of each client, though one object is returned for all of them', async () => {
    const args = given();
    const seen = await executed(() => args, 3);
    expect(seen.map(({ contextValue }) => contextValue)).toEqual([{ extra: 1 }, { extra: 2 }, { extra: 3 }]);
  });

  test('may be frozen', async () => {
    const args = Object.freeze(given());
    const seen = await executed(() => args, 2);
    expect(seen.map(({ contextValue }) => contextValue)).toEqual([{ extra: 1 }, { extra: 2 }]);
  });
});

test('makeServer: what it says is sent in the call that it answers', async () => {
  // Into a turn of its own, whose time nobody has had.
  await settle();
  const socket = new ForeignSocket();
  names.makeServer({ schema }).opened(socket, {});
  void socket.receive('{"type":"connection_init"}');
  expect(socket.sent).toEqual([{ type: 'connection_ack' }]);
});

test('makeServer: a replacer that makes a message vanish leaves its type', async () => {
  const socket = new ForeignSocket();
  names.makeServer({ schema, jsonMessageReplacer: () => undefined }).opened(socket, {});
  await socket.receive('{"type":"connection_init"}');
  await settle();
  expect(socket.sent).toEqual([{ type: 'connection_ack' }]);
});

test('makeServer: a replacer sees whole control messages', async () => {
  const socket = new ForeignSocket();
  names
    .makeServer({ schema, jsonMessageReplacer: (key, value) => (key === 'type' ? String(value).toUpperCase() : value) })
    .opened(socket, {});
  await socket.receive('{"type":"connection_init"}');
  await socket.receive('{"type":"ping","payload":{"a":1}}');
  await settle();
  expect(socket.sent).toEqual([{ type: 'CONNECTION_ACK' }, { type: 'PONG', payload: { a: 1 } }]);
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
  expect(code).toBe(1006);
  await dispose();
});

test('useServer: a frame that is none closes with the code of ws, and is not logged', async () => {
  const logged = vi.spyOn(console, 'error').mockImplementation(() => {});
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0, maxPayload: 1_000 });
  await once(server, 'listening');
  const onClose = vi.fn();
  const { dispose } = names.useServer({ schema, onClose }, server);
  const { port } = server.address() as AddressInfo;
  const client = new WebSocketClient(`ws://127.0.0.1:${port}`, 'graphql-transport-ws');
  await once(client, 'open');
  client.send('x'.repeat(1_001));
  expect((await once(client, 'close'))[0]).toBe(1009);
  await vi.waitFor(() => expect(onClose).toHaveBeenCalledOnce());
  expect(logged).not.toHaveBeenCalled();
  await dispose();
});

test.each([
  ['a short one', 'cannot write', 'cannot write'],
  ['one that is no reason of a close', 'x'.repeat(124), 'Internal server error'],
])('useServer: an error of a socket closes it, with its message: %s', async (_name, message, reason) => {
  const logged = vi.spyOn(console, 'error').mockImplementation(() => {});
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  await once(server, 'listening');
  const { dispose } = names.useServer({ schema, isProd: false }, server);
  const { port } = server.address() as AddressInfo;
  const client = new WebSocketClient(`ws://127.0.0.1:${port}`, 'graphql-transport-ws');
  await once(client, 'open');
  for (const socket of server.clients) socket.emit('error', new Error(message));
  const [code, words] = (await once(client, 'close')) as [number, Buffer];
  expect([code, String(words)]).toEqual([4500, reason]);
  expect(logged).toHaveBeenCalled();
  await dispose();
});
