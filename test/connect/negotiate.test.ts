import { makeExecutableSchema } from '@graphql-tools/schema';
import { expect, test, vi } from 'vitest';
import { negotiate } from '../../src/connect/negotiate.ts';
import { systemClock } from '../../src/core/clock.ts';
import type { Socket, Transport } from '../../src/core/socket.ts';
import type { Subprotocol } from '../../src/core/subprotocol.ts';
import { type Client, createClient } from '../../src/graphql/client/client.ts';
import { graphqlServer } from '../../src/graphql/server/graphql-server.ts';
import { stompBroker } from '../../src/stomp/broker/stomp-broker.ts';
import { createStompClient, type StompClient } from '../../src/stomp/client/client.ts';
import { FakeSocket } from '../support/fake-socket.ts';
import { httpEndpoint } from '../support/http-endpoint.ts';
import { openBus } from '../support/open-bus.ts';
import { echo } from '../support/scripted-session.ts';

const schema = makeExecutableSchema({
  typeDefs: 'type Query { hello: String! }',
  resolvers: { Query: { hello: () => 'world' } },
});

async function serve(...protocols: readonly Subprotocol[]) {
  const { port, endpoint, stop } = await httpEndpoint({ protocols });
  const url = `ws://127.0.0.1:${port}/ws`;
  const clients = {
    'graphql-transport-ws': (transport: Transport): Client | StompClient => createClient({ url, transport }),
    'v12.stomp': (transport: Transport) => createStompClient({ brokerURL: url, transport }),
  };
  return { url, endpoint, stop, clients };
}
const broker = (): Subprotocol => stompBroker({ bus: openBus() });

test('[CONN-6] the GraphQL client runs where the server speaks GraphQL, over the connection that was negotiated', async () => {
  for (const protocols of [[graphqlServer({ schema })], [broker(), graphqlServer({ schema })]]) {
    const { url, clients, endpoint, stop } = await serve(...protocols);
    const client = (await negotiate(url, clients)) as Client;
    const { value } = await client.iterate({ query: '{ hello }' }).next();
    expect(value?.data).toEqual({ hello: 'world' });
    expect(endpoint.stats().accepted).toBe(1);
    client.dispose();
    await stop();
  }
});

test('[CONN-6] the STOMP client runs where the server speaks STOMP alone, or where STOMP is preferred', async () => {
  for (const [protocols, preferred] of [
    [[broker()], false],
    [[graphqlServer({ schema }), broker()], true],
  ] as const) {
    const { url, clients, endpoint, stop } = await serve(...protocols);
    const { 'v12.stomp': stomp, ...others } = clients;
    const ordered = preferred ? { 'v12.stomp': stomp, ...others } : clients;
    const client = (await negotiate(url, ordered)) as StompClient;
    await client.connect();
    expect(client.state.getSnapshot()).toMatchObject({ status: 'connected', subprotocol: 'v12.stomp', version: '1.2' });
    expect(endpoint.stats().accepted).toBe(1);
    await client.dispose();
    await stop();
  }
});

test('a client that loses the connection comes back by itself, with what it speaks', async () => {
  const { url, clients, endpoint, stop } = await serve(broker());
  const client = (await negotiate(url, clients)) as StompClient;
  await client.connect();
  client.on('closed', () => void client.connect());
  const back = new Promise((resolve) => client.on('connected', resolve));
  client.terminate();
  await back;
  expect(endpoint.stats().accepted).toBe(2);
  await client.dispose();
  await stop();
});

test('[CONN-6] a server that speaks none of it, and one that is not there, are errors', async () => {
  const { url, clients, stop } = await serve(echo(['mqtt']));
  // The server takes the first token, so that its words can be read, and closes.
  const client = (await negotiate(url, clients)) as Client;
  await expect(client.iterate({ query: '{ hello }' }).next()).rejects.toMatchObject({
    code: 4406,
    reason: 'Subprotocol not acceptable. Spoken here: mqtt',
  });
  await stop();
  await expect(negotiate(url, clients)).rejects.toMatchObject({ cause: expect.any(Error) });
});

const clients = { a: (connect: Transport) => connect, b: (connect: Transport) => connect };
const opening =
  (socket: Socket): Transport =>
  (_url, _protocols, attempt) => {
    (socket as FakeSocket).receiver = attempt.opened(socket);
    return () => {};
  };

test.each([
  ['', 'none'],
  ['mqtt', '"mqtt"'],
  ['toString', '"toString"'],
])('[CONN-6] the choice of "%s" is refused with 4406', async (protocol, words) => {
  const socket = new FakeSocket({ protocol });
  await expect(negotiate('ws://a', clients, { transport: opening(socket) })).rejects.toThrow(
    `No connection to ws://a: the server chose ${words} of a, b`,
  );
  expect(socket.closing).toMatchObject({ code: 4406 });
});

test('[CONN-36] a server that does not answer in time is given up', async () => {
  let abandoned = 0;
  const transport: Transport = () => () => abandoned++;
  await expect(negotiate('ws://a', clients, { transport, openTimeout: 20 })).rejects.toThrow(
    'No connection to ws://a: the socket did not open within 20 ms',
  );
  expect(abandoned).toBe(1);
});

test('a transport that throws rejects, and nothing waits any longer', async () => {
  const connect = (): never => {
    throw new TypeError('no URL');
  };
  const watched = vi.spyOn(systemClock, 'watch');
  const forgotten = vi.spyOn(systemClock, 'forget');
  await expect(negotiate('nonsense', clients, { transport: connect })).rejects.toThrow('no URL');
  expect(watched).toHaveBeenCalledTimes(1);
  expect(forgotten).toHaveBeenCalledWith(watched.mock.calls[0]?.[0]);
  vi.restoreAllMocks();
});

test('what a factory throws rejects, and the socket is dropped', async () => {
  const socket = new FakeSocket({ protocol: 'a' });
  const bug = new Error('factory');
  const a = (): never => {
    throw bug;
  };
  await expect(negotiate('ws://a', { a }, { transport: opening(socket) })).rejects.toBe(bug);
  expect(socket.terminated).toBe(true);
});

test('the open socket is for the first who asks for it by its name; what happens to it is told', async () => {
  const socket = new FakeSocket({ protocol: 'a' });
  const dialled: string[] = [];
  const heard: unknown[] = [];
  const connect: Transport = (url, protocols, attempt) => {
    dialled.push(url);
    return dialled.length === 1 ? opening(socket)(url, protocols, attempt) : () => {};
  };
  const transport = await negotiate('ws://1', clients, { transport: connect });
  const attempt = {
    failed() {},
    opened: (opened: Socket) => {
      heard.push(opened);
      return {
        received: (data: string | Uint8Array) => heard.push(data),
        drained: () => heard.push('drained'),
        closed: (code: number) => heard.push(code),
      };
    },
  };
  transport('ws://2', ['b'], attempt);
  transport('ws://3', ['a'], attempt)();
  transport('ws://4', ['a'], attempt);
  expect(dialled).toEqual(['ws://1', 'ws://2', 'ws://4']);
  socket.receiver?.received('x');
  socket.receiver?.drained();
  socket.hangUp(1001);
  expect(heard).toEqual([socket, 'x', 'drained', 1001]);
});

test('a socket that closed before anybody took it is not handed over; one that closes while it is taken is told', async () => {
  const socket = new FakeSocket({ protocol: 'a' });
  const dialled: string[] = [];
  const connect: Transport = (url, protocols, attempt) => {
    dialled.push(url);
    return opening(socket)(url, protocols, attempt);
  };
  const late = await negotiate('ws://1', clients, { transport: connect });
  socket.hangUp(1001);
  late('ws://2', ['a'], { failed() {}, opened: () => ({}) as never });
  expect(dialled).toEqual(['ws://1', 'ws://2']);

  const dropped = new FakeSocket({ protocol: 'a' });
  const transport = await negotiate('ws://1', clients, { transport: opening(dropped) });
  const ends: number[] = [];
  transport('ws://1', ['a'], {
    failed() {},
    opened(opened) {
      opened.terminate();
      return { received() {}, flush() {}, drained() {}, closed: (code) => ends.push(code) };
    },
  });
  expect(ends).toEqual([1006]);
});

test.each([
  [{}, {}, /^clients must be an object from tokens to functions.*got an empty object$/],
  [{ 'v12.stomp': 'client' as never }, {}, /^clients must be .*got one that is no function$/],
  [Promise.resolve({}) as never, {}, /^clients must be .*got a Promise$/],
  [clients, Promise.resolve({}) as never, /^negotiate\(\) takes an object of options; got a Promise$/],
  [clients, { openTimeout: 0 }, /^openTimeout must be/],
])('[CONN-10] a wrong argument is a TypeError that names it', (wrong, options, message) => {
  expect(() => negotiate('ws://a', wrong, options)).toThrow(message);
  expect(() => negotiate('ws://a', wrong, options)).toThrow(TypeError);
});
