import { createServer } from 'node:http';
import { makeExecutableSchema } from '@graphql-tools/schema';
import { attach, createBus, negotiate, presence, topic } from 'subwire';
import { ProtocolError } from 'subwire/extend';
import { graphqlServer } from 'subwire/graphql';
import { createClient } from 'subwire/graphql/client';
import { graphqlHttp } from 'subwire/graphql/http';
import { mqttBroker } from 'subwire/mqtt';
import { createPubSub } from 'subwire/pubsub';
import { stompBroker, stompRelay } from 'subwire/stomp';
import { createStompClient } from 'subwire/stomp/client';
import { createTestEndpoint } from 'subwire/testing';
import { afterAll, describe, expect, test } from 'vitest';

const hostile = new Proxy(
  {},
  {
    get: () => {
      throw new TypeError('it does not let itself be looked at');
    },
    ownKeys: () => {
      throw new TypeError('it does not let itself be looked at');
    },
    has: () => {
      throw new TypeError('it does not let itself be looked at');
    },
  },
);

/** What people hand in by mistake, and what strangers might. */
const wrong: readonly [string, () => unknown][] = [
  ['undefined', () => undefined],
  ['null', () => null],
  ['NaN', () => Number.NaN],
  ['-1', () => -1],
  ['1e21', () => 1e21],
  ['""', () => ''],
  ['a text', () => 'x'],
  ['{}', () => ({})],
  ['[]', () => []],
  ['a promise', () => Promise.resolve({})],
  ['an Error', () => new Error('wrong')],
  ['a function', () => () => {}],
  ['a symbol', () => Symbol('s')],
  ['a bigint', () => 10n],
  ['a Map', () => new Map([['url', 'ws://here/']])],
  ['a URL', () => new URL('ws://here/')],
  ['a Date', () => new Date(Number.NaN)],
  ['a hostile proxy', () => hostile],
];

const ticks = topic<{ readonly n: number }>('ticks', { clients: 'readwrite' });
const bus = createBus({ topics: [ticks], open: { 'open.**': 'readwrite' }, onError() {} });
const schema = makeExecutableSchema({
  typeDefs: 'type Query { n: Int } type Subscription { tick: Int }',
  resolvers: {
    Subscription: { tick: { subscribe: () => bus.subscribe(ticks), resolve: ({ n }: { n: number }) => n } },
  },
});
const broker = stompBroker({ bus });
const endpoint = createTestEndpoint({ protocols: [graphqlServer({ schema }), broker], onError() {} });
const server = createServer();
const own = () => createBus({ onError() {} });

/** Each public entry point, with one argument that is wrong; and which of these mean something there. */
const calls: readonly [string, (value: never) => unknown, good?: readonly string[]][] = [
  ['attach(here)', (value) => attach(value, { protocols: [stompBroker({ bus: own() })] })],
  ['attach(server, here)', (value) => attach(server, value)],
  ['createBus(here)', createBus, ['undefined', '{}']],
  ['topic(here)', (value) => topic(value), ['a text']],
  ['topic(name, here)', (value) => topic('a', value), ['undefined', '{}']],
  ['negotiate(here)', (value) => negotiate(value, {} as never)],
  ['negotiate(url, here)', (value) => negotiate('ws://here/', value)],
  ['graphqlServer(here)', graphqlServer],
  ['stompBroker(here)', stompBroker],
  ['stompRelay(here)', stompRelay],
  ['mqttBroker(here)', mqttBroker],
  ['createClient(here)', createClient],
  ['createStompClient(here)', createStompClient],
  ['graphqlHttp(here)', graphqlHttp],
  ['presence(here)', (value) => presence(value)],
  ['presence(bus, here)', (value) => presence(own(), value), ['undefined', '{}']],
  ['createPubSub(here)', (value) => createPubSub(value)],
  ['bus.publish(here)', (value) => bus.publish(value, new Uint8Array()), ['a text']],
  ['bus.publish(name, here)', (value) => bus.publish('open.a', value)],
  [
    'bus.publish(topic, here)',
    (value) => bus.publish(ticks, value),
    ['null', 'NaN', '-1', '1e21', '""', 'a text', '{}', '[]', 'a promise', 'an Error', 'a Map', 'a URL', 'a Date'],
  ],
  ['bus.publish(name, bytes, here)', (value) => bus.publish('open.a', new Uint8Array(), value), ['undefined', '{}']],
  ['bus.subscribe(here)', (value) => bus.subscribe(value)],
  ['bus.subscribe(topic, here)', (value) => bus.subscribe(ticks, value), ['undefined', '{}']],
  ['bus.listen(here)', (value) => bus.listen(value, () => {}), ['a text']],
  ['bus.listen(name, here)', (value) => bus.listen('open.a', value), ['a function']],
  ['bus.listen(name, listener, here)', (value) => bus.listen('open.a', () => {}, value), ['undefined', '{}']],
  ['bus.declare(here)', (value) => bus.declare(value), ['a text']],
  ['bus.declare(name, here)', (value) => bus.declare('z.*', value), ['undefined', '{}']],
  ['bus.disconnect(here)', (value) => bus.disconnect(value)],
  ['bus.disconnect(match, here)', (value) => bus.disconnect({ principal: 'a' }, value), ['undefined']],
  ['bus.on(here)', (value) => bus.on(value, (() => {}) as never)],
  ['bus.on(event, here)', (value) => bus.on('gap', value), ['a function']],
  ['bus.claim(here)', (value) => bus.claim(value, 'x')],
  ['endpoint.disconnect(here)', (value) => endpoint.disconnect(value), ['a function']],
  ['endpoint.drain(here)', (value) => createTestEndpoint({ protocols: [broker] }).drain(value), ['undefined', '{}']],
  ['broker.send(here)', (value) => broker.send(value, 'x')],
  ['broker.send(to, here)', (value) => broker.send('/topic/open.a', value), ['""', 'a text']],
  ['broker.send(to, body, here)', (value) => broker.send('/topic/open.a', 'x', value), ['undefined', '{}']],
];

const stomp = createStompClient({ url: 'ws://test', transport: endpoint.transport });
const graphql = createClient({ url: 'ws://test', transport: endpoint.transport });
const heard = { stomp: 0, graphql: 0 };
stomp.subscribe('/topic/ticks', ({ body }) => {
  heard.stomp = Math.max(heard.stomp, (JSON.parse(body) as { n?: number } | null)?.n ?? 0);
});
graphql.subscribe(
  { query: 'subscription { tick }' },
  {
    next({ data }: { data?: { tick?: number } | null }) {
      heard.graphql = Math.max(heard.graphql, data?.tick ?? 0);
    },
    error(error: unknown) {
      throw error;
    },
    complete() {},
  },
);
let n = 0;

afterAll(async () => {
  await Promise.all([stomp.dispose(), graphql.dispose()]);
  await endpoint.close();
});

describe('a wrong call says what is wrong, and harms nobody', () => {
  test.each(calls)('[CONN-52] %s', async (_, call, good = []) => {
    for (const [name, make] of wrong) {
      if (good.includes(name)) continue;
      const outcome = (async () => call(make() as never))();
      const error: unknown = await outcome.then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      // A destination may be refused as one of a client is.
      expect(error instanceof TypeError || error instanceof ProtocolError, `${name}: ${error}`).toBe(true);
      expect((error as Error).message, name).toMatch(/got |needs |takes |must |no option|cannot|no destination|look/);
    }
    // Old connections and a new one hear the next good message.
    const fresh = createStompClient({ url: 'ws://test', transport: endpoint.transport });
    const hears = new Promise<void>((resolve) =>
      fresh
        .subscribe('/topic/ticks', () => resolve())
        .active?.then(async () => {
          await bus.publish(ticks, { n: ++n });
        }),
    );
    await hears;
    await expect.poll(() => [heard.stomp, heard.graphql]).toEqual([n, n]);
    await fresh.dispose();
  });
});
