import { makeExecutableSchema } from '@graphql-tools/schema';
import fc from 'fast-check';
import * as graphqlPackage from 'graphql';
import { buildSchema } from 'graphql';
import { describe, expect, test, vi } from 'vitest';
import { createBus } from '../../../src/bus/bus.ts';
import { createSubscription, type Sink } from '../../../src/bus/subscription.ts';
import { topic } from '../../../src/bus/topic.ts';
import type { GraphqlContext, GraphqlOptions } from '../../../src/graphql/index.ts';
import { contentOf } from '../../support/fake-socket.ts';
import { type GraphqlPeer, serveGraphql } from '../../support/graphql-peer.ts';
import { createTestSchema, ManualSource } from '../../support/graphql-schema.ts';

const data = (id: string, value: unknown) => ({ id, type: 'next', payload: { data: value } });
const complete = (id: string) => ({ id, type: 'complete' });
const one = <T>(items: readonly T[]): T => {
  expect(items).toHaveLength(1);
  return items[0] as T;
};

/** Hold everything that is written, as a peer does that reads nothing; `read()` lets it go. */
function stall(peer: GraphqlPeer) {
  peer.socket.bufferedAmount = 600_000;
  return {
    read(): void {
      peer.socket.bufferedAmount = 0;
      peer.socket.receiver?.drained();
    },
  };
}

describe('sources that are pulled', () => {
  test('[GQL-21] each value is a next, and the end is complete', async () => {
    const { schema, sources } = createTestSchema();
    const onComplete = vi.fn();
    const peer = serveGraphql({ schema, onComplete }).connect();
    peer.subscribe('1', 'subscription { manual }');
    await peer.take();
    const source = one(sources);
    source.push({ manual: 'a' });
    source.push({ manual: 'b' });
    expect(await peer.take()).toEqual([data('1', { manual: 'a' }), data('1', { manual: 'b' })]);
    source.end();
    expect(await peer.take()).toEqual([complete('1')]);
    expect(source.returned).toBe(0);
    expect(onComplete).toHaveBeenCalledTimes(1);
    peer.complete('1');
    expect(await peer.take()).toEqual([]);
  });

  test('[GQL-27] [GQL-29] the client’s complete gives the source back once and ends in silence', async () => {
    const { schema, sources } = createTestSchema();
    const onComplete = vi.fn();
    const peer = serveGraphql({ schema, onComplete }).connect();
    peer.subscribe('1', 'subscription { manual }');
    await peer.take();
    peer.complete('1');
    one(sources).push({ manual: 'late' });
    expect(await peer.take()).toEqual([]);
    peer.socket.hangUp();
    await peer.take();
    expect(one(sources).returned).toBe(1);
    expect(onComplete).toHaveBeenCalledTimes(1);
  });

  test('[GQL-29] a source that opens after the client’s complete, or after the end, is given back', async () => {
    const { schema, sources, open } = createTestSchema();
    const { connect } = serveGraphql({ schema });
    const peer = connect();
    peer.subscribe('1', 'subscription { opening }');
    peer.complete('1');
    open('opening');
    await peer.take();
    expect(one(sources).returned).toBe(1);
    peer.subscribe('2', 'subscription { opening }');
    peer.socket.hangUp();
    open('opening');
    await peer.take();
    expect(sources.map(({ returned }) => returned)).toEqual([1, 1]);
  });

  test('[GQL-29] when a connection ends, by fault or otherwise, nothing stays alive', async () => {
    const { schema, sources, bus } = createTestSchema();
    const onDisconnect = vi.fn();
    const { connect } = serveGraphql({ schema, onDisconnect });
    for (const end of [
      (peer: GraphqlPeer) => peer.socket.hangUp(),
      (peer: GraphqlPeer) => peer.socket.receiver?.received('nonsense'),
      (peer: GraphqlPeer) => peer.send({ type: 'connection_init' }),
    ]) {
      const peer = connect();
      for (let id = 0; id < 10; id++) {
        peer.subscribe(`m${id}`, 'subscription { manual }');
        peer.subscribe(`p${id}`, 'subscription { price { price } }');
      }
      await peer.take();
      expect(bus.stats().listeners).toBe(10);
      end(peer);
      await peer.take();
      expect(bus.stats().listeners).toBe(0);
    }
    expect(sources.map(({ returned }) => returned)).toEqual(Array(30).fill(1));
    expect(onDisconnect).toHaveBeenCalledTimes(3);
  });

  test('onDisconnect does not wait for a source that hangs', async () => {
    const { schema, sources } = createTestSchema();
    const onDisconnect = vi.fn();
    const peer = serveGraphql({ schema, onDisconnect }).connect();
    peer.subscribe('1', 'subscription { manual }');
    await peer.take();
    one(sources).hangs = true;
    peer.socket.hangUp();
    await peer.take();
    expect(onDisconnect).toHaveBeenCalledTimes(1);
  });

  test('[GQL-25] a resolver that opens no source answers with errors in next, then complete', async () => {
    const peer = serveGraphql({ schema: createTestSchema().schema }).connect();
    peer.subscribe('1', 'subscription { broken }');
    const messages = await peer.take();
    expect(messages.map(({ type }) => type)).toEqual(['next', 'complete']);
    expect(messages[0]?.payload).toEqual({ errors: [expect.objectContaining({ message: 'no source' })] });
    peer.subscribe('2', 'subscription ($symbol: String!) { price(symbol: $symbol) { price } }');
    expect((await peer.take()).map(({ type }) => type)).toEqual(['next', 'complete']);
  });

  test('[GQL-26] a source that throws gets error and no complete, and is not given back', async () => {
    const { schema, sources } = createTestSchema();
    const onComplete = vi.fn();
    const peer = serveGraphql({ schema, onComplete }).connect();
    peer.subscribe('1', 'subscription { manual }');
    await peer.take();
    one(sources).fail(new Error('source failed'));
    expect(await peer.take()).toEqual([{ id: '1', type: 'error', payload: [{ message: 'source failed' }] }]);
    expect(one(sources).returned).toBe(0);
    expect(onComplete).toHaveBeenCalledTimes(1);
    expect(peer.socket.closing).toBeUndefined();
  });

  test('[GQL-26] so does one that cannot be iterated', async () => {
    const iterable = {
      [Symbol.asyncIterator]() {
        throw new Error('no iterator');
      },
    };
    const peer = serveGraphql({ schema: createTestSchema().schema, subscribe: () => iterable as never }).connect();
    peer.subscribe('1', 'subscription { manual }');
    expect(await peer.take()).toEqual([{ id: '1', type: 'error', payload: [{ message: 'no iterator' }] }]);
  });

  test('[GQL-26] [GQL-29] a result that is not JSON ends its operation, and the source is given back', async () => {
    const source = new ManualSource();
    const peer = serveGraphql({ schema: createTestSchema().schema, subscribe: () => source as never }).connect();
    peer.subscribe('1', 'subscription { manual }');
    source.push({ data: 1n });
    const messages = await peer.take();
    expect(messages.map(({ type }) => type)).toEqual(['error']);
    expect(source.returned).toBe(1);
  });

  test('a single result that is not JSON is an error', async () => {
    const peer = serveGraphql({ schema: createTestSchema().schema, execute: () => ({ data: 1n }) as never }).connect();
    peer.subscribe('1', '{ hello }');
    expect((await peer.take()).map(({ type }) => type)).toEqual(['error']);
  });

  test('[GQL-26] an execution of an event that throws or rejects ends its subscription alone', async () => {
    const sources: ManualSource[] = [];
    const manual = (): ManualSource => {
      const source = new ManualSource();
      sources.push(source);
      return source;
    };
    const schema = buildSchema('type Query { a: Int } type Subscription { a: Int }');
    for (const share of [undefined, () => 'all']) {
      const { connect, clock } = serveGraphql({ schema, share, roots: { subscription: { a: manual } } });
      const peer = connect();
      peer.subscribe('1', 'subscription { a }');
      await clock.settle();
      // The proxy makes graphql-js throw where no resolver is to blame.
      one(sources.splice(0)).push(
        new Proxy(
          {},
          {
            get() {
              throw new Error('no property');
            },
          },
        ),
      );
      const [message] = await peer.take();
      expect(JSON.stringify(message?.payload)).toContain('no property');
      expect(peer.socket.closing).toBeUndefined();
    }
  });

  test.each([
    () => Promise.reject(new Error('return failed')),
    () => {
      throw new Error('return failed');
    },
  ])('[GQL-29] a source that breaks while it is given back is reported, and harms nobody', async (breaks) => {
    const source = new ManualSource();
    source.return = breaks;
    const server = serveGraphql({ schema: createTestSchema().schema, subscribe: () => source as never });
    const peer = server.connect();
    peer.subscribe('1', 'subscription { manual }');
    await peer.take();
    peer.complete('1');
    await peer.take();
    expect(server.errors).toEqual([new Error('return failed')]);
    expect(peer.socket.closing).toBeUndefined();
  });

  test.each([
    () => Promise.reject(new Error('a bug')),
    () => {
      throw new Error('a bug');
    },
  ])('[GQL-30] onComplete that throws on the client’s complete is reported', async (onComplete) => {
    const server = serveGraphql({ schema: createTestSchema().schema, isProd: false, onComplete });
    const peer = server.connect();
    peer.subscribe('1', '{ slow }');
    peer.complete('1');
    await peer.take();
    expect(peer.socket.closing).toBeUndefined();
    expect(server.errors).toEqual([new Error('a bug')]);
  });

  test('[GQL-34] an always ready source starves neither pings nor other operations', async () => {
    const server = serveGraphql({ schema: createTestSchema().schema });
    const peer = server.connect();
    peer.subscribe('hot', 'subscription { hot }');
    await new Promise((resolve) => setImmediate(resolve));
    const first = peer.socket.sent.length;
    // Without a turn of the clock it has come to rest by itself.
    await new Promise((resolve) => setImmediate(resolve));
    expect(peer.socket.sent.length).toBe(first);
    peer.send({ type: 'ping' });
    peer.subscribe('1', '{ hello }');
    server.clock.turn();
    await new Promise((resolve) => setImmediate(resolve));
    const types = peer.socket.sent.map((text) => JSON.parse(String(text)).type);
    expect(types).toContain('pong');
    expect(types).toContain('complete');
    expect(types.filter((type) => type === 'next').length).toBe(65);
    peer.complete('hot');
    await peer.take();
  });

  test('[GQL-35] nothing is sent while the connection is saturated', async () => {
    const { schema, sources } = createTestSchema();
    const peer = serveGraphql({ schema }).connect();
    peer.subscribe('1', 'subscription { manual }');
    await peer.take();
    const source = one(sources);
    const { read } = stall(peer);
    source.push({ manual: 'a' });
    source.push({ manual: 'b' });
    expect(await peer.take()).toEqual([]);
    read();
    expect(await peer.take()).toEqual([data('1', { manual: 'a' }), data('1', { manual: 'b' })]);
    expect(source.asked).toBe(3);
  });

  test('[GQL-35] single results wait, and a completed one is forgotten', async () => {
    const peer = serveGraphql({ schema: createTestSchema().schema }).connect();
    const { read } = stall(peer);
    peer.subscribe('1', '{ hello }');
    peer.subscribe('2', '{ hello }');
    expect(await peer.take()).toEqual([]);
    peer.complete('2');
    read();
    expect(await peer.take()).toEqual([data('1', { hello: 'world' }), complete('1')]);
  });

  test('an asynchronous onNext keeps the order', async () => {
    const { schema, sources } = createTestSchema();
    const peer = serveGraphql({ schema, onNext: async (_, __, ___, ____, result) => result }).connect();
    peer.subscribe('1', 'subscription { manual }');
    await peer.take();
    for (const manual of ['a', 'b', 'c']) one(sources).push({ manual });
    one(sources).end();
    expect((await peer.take()).map(({ type }) => type)).toEqual(['next', 'next', 'next', 'complete']);
  });

  test('context.subscriptions names what runs, whatever its id', async () => {
    const { schema, sources } = createTestSchema();
    let subscriptions: (() => Readonly<Record<string, unknown>>) | undefined;
    const peer = serveGraphql({
      schema,
      onConnect(context) {
        subscriptions = () => context.subscriptions;
      },
    }).connect();
    peer.subscribe('__proto__', 'subscription { manual }');
    peer.subscribe('slow', '{ slow }');
    await peer.take();
    expect(Object.entries(subscriptions?.() ?? {})).toEqual([
      ['__proto__', sources[0]],
      ['slow', null],
    ]);
  });

  test('[GQL-32] a query may stream, on any version', async () => {
    async function* live() {
      yield { data: { hello: 'a' } };
      yield { data: { hello: 'b' } };
    }
    const peer = serveGraphql({ schema: createTestSchema().schema, execute: live }).connect();
    peer.subscribe('1', '{ hello }');
    expect(await peer.take()).toEqual([data('1', { hello: 'a' }), data('1', { hello: 'b' }), complete('1')]);
  });

  test('[GQL-32] defer is delivered in parts where the graphql package can, and at once where it cannot', async () => {
    const schema = buildSchema(`
      directive @defer(if: Boolean! = true, label: String) on FRAGMENT_SPREAD | INLINE_FRAGMENT
      type Query { a: String, b: String }
    `);
    const { connect } = serveGraphql({ schema, roots: { query: { a: 'a', b: async () => 'b' } } });
    const peer = connect();
    peer.subscribe('1', '{ a ... @defer { b } }');
    const results = await peer.results('1');
    expect(results).toEqual(
      'experimentalExecuteIncrementally' in graphqlPackage
        ? [expect.objectContaining({ data: { a: 'a' }, hasNext: true }), expect.objectContaining({ hasNext: false })]
        : [{ data: { a: 'a', b: 'b' } }],
    );
  });

  test('[GQL-29] with onOperation as well, a source that opens late is given back', async () => {
    const { schema, sources, open } = createTestSchema();
    const peer = serveGraphql({ schema, onOperation: () => undefined }).connect();
    peer.subscribe('1', 'subscription { opening }');
    await peer.take();
    peer.complete('1');
    open('opening');
    await peer.take();
    expect(one(sources).returned).toBe(1);
    peer.subscribe('2', 'subscription { manual }');
    peer.subscribe('3', 'subscription { broken }');
    await peer.take();
    sources[1]?.push({ manual: 'a' });
    expect(await peer.results('2')).toEqual([{ data: { manual: 'a' } }]);
  });

  test('[GQL-40] who asks for it is told when the source is open', async () => {
    const { schema, open } = createTestSchema();
    const peer = serveGraphql({ schema }).connect();
    const extensions = { subwire: { confirm: true } };
    peer.subscribe('1', 'subscription { opening }', { extensions });
    expect(await peer.take()).toEqual([]);
    open('opening');
    expect(await peer.take()).toEqual([{ type: 'ping', payload: { subwire: { live: '1' } } }]);
    peer.subscribe('2', 'subscription { manual }', { extensions: { subwire: { confirm: false } } });
    peer.subscribe('3', 'subscription { manual }');
    expect(await peer.take()).toEqual([]);
  });

  test('[GQL-40] a subscription that takes its time to become live is confirmed when it is, or never', async () => {
    let live = (): void => {};
    const actives = [
      new Promise<void>((resolve) => {
        live = resolve;
      }),
      Promise.reject(new Error('no backbone')),
      new Promise<void>((resolve) => setImmediate(resolve)),
    ];
    const subscribe = () => Object.assign(new ManualSource(), { active: actives.shift() }) as never;
    const peer = serveGraphql({ schema: createTestSchema().schema, subscribe }).connect();
    const extensions = { subwire: { confirm: true } };
    for (const id of ['1', '2', '3']) peer.subscribe(id, 'subscription { manual }', { extensions });
    peer.complete('3');
    expect(await peer.take()).toEqual([]);
    live();
    expect(await peer.take()).toEqual([{ type: 'ping', payload: { subwire: { live: '1' } } }]);
  });

  test('a topic’s subscription that the application returns is completed', async () => {
    const { schema, bus } = createTestSchema();
    let context: GraphqlContext | undefined;
    const { connect } = serveGraphql({
      schema,
      onConnect(given) {
        context = given;
      },
    });
    const peer = connect();
    peer.subscribe('1', 'subscription { price { price } }', { extensions: { subwire: { confirm: true } } });
    expect((await peer.take()).map(({ type }) => type)).toEqual(['ping']);
    const running = context?.subscriptions['1'] as AsyncIterableIterator<unknown> | undefined;
    await running?.return?.();
    expect(await peer.take()).toEqual([complete('1')]);
    expect(bus.stats().listeners).toBe(0);
  });

  test('[GQL-42] a draining server starts nothing and closes with 1001 when single results are out', async () => {
    const { schema, open } = createTestSchema();
    const server = serveGraphql({ schema });
    const peer = server.connect();
    peer.subscribe('1', '{ slow }');
    peer.subscribe('2', 'subscription { manual }');
    const drained = server.endpoint.drain();
    peer.subscribe('3', '{ hello }');
    server.clock.advance(1_000);
    expect(await peer.take()).toEqual([]);
    open('slow');
    expect((await peer.take()).map(({ id }) => id)).toEqual(['1', '1']);
    server.clock.advance(1_000);
    expect(peer.socket.closing?.code).toBe(1001);
    await drained;
  });
});

describe('sources that are pushed', () => {
  const query = 'subscription { price { symbol price } }';

  test('[GQL-21] values of a topic arrive in the turn in which they were published', async () => {
    const { schema, bus, prices } = createTestSchema();
    const peer = serveGraphql({ schema }).connect();
    peer.subscribe('1', query);
    peer.subscribe('2', 'subscription { price(symbol: "A") { price } }');
    await peer.take();
    void bus.publish(prices, { symbol: 'B', price: 1 });
    void bus.publish(prices, { symbol: 'A', price: 2 });
    expect(await peer.take()).toEqual([
      data('1', { price: { symbol: 'B', price: 1 } }),
      data('1', { price: { symbol: 'A', price: 2 } }),
      data('2', { price: { price: 2 } }),
    ]);
  });

  test('asynchronous resolvers keep the order, and the end comes last', async () => {
    const { schema, bus, prices } = createTestSchema();
    const peer = serveGraphql({ schema }).connect();
    peer.subscribe('1', 'subscription { price { late } }');
    await peer.take();
    for (const price of [1, 2, 3]) void bus.publish(prices, { symbol: 'A', price });
    expect(await peer.results('1')).toEqual([1, 2, 3].map((late) => ({ data: { price: { late } } })));
    peer.complete('1');
    void bus.publish(prices, { symbol: 'A', price: 4 });
    expect(await peer.take()).toEqual([]);
  });

  /** Each event pushes what `pushes` has for it, from inside its resolver. */
  function serveFeedback(pushes: (value: number, sink: Sink<number>) => void, more: Partial<GraphqlOptions> = {}) {
    let sink: Sink<number> | undefined;
    const count = (): AsyncIterable<number> =>
      createSubscription<number>((to) => {
        sink = to;
        return () => {};
      });
    const schema = makeExecutableSchema({
      typeDefs: 'type Query { a: Int } type Subscription { count: Int }',
      resolvers: {
        Subscription: {
          count: {
            subscribe: count,
            resolve(value: number) {
              pushes(value, sink as Sink<number>);
              return value;
            },
          },
        },
      },
    });
    const peer = serveGraphql({ schema, ...more }).connect();
    peer.subscribe('1', 'subscription { count }');
    return { peer, push: (value: number) => sink?.next(value) };
  }

  test('[GQL-26] [GQL-21] what a resolver pushes into its own source comes after its result, and nothing after complete', async () => {
    const { peer, push } = serveFeedback((value, sink) => {
      if (value !== 1) return;
      sink.next(2);
      sink.complete();
    });
    await peer.take();
    push(1);
    expect(await peer.take()).toEqual([data('1', { count: 1 }), data('1', { count: 2 }), complete('1')]);
  });

  test('[GQL-26] nothing follows the error of a source that a resolver has filled to overflowing', async () => {
    const onNext = vi.fn();
    const { peer, push } = serveFeedback((_, sink) => [2, 3, 4].forEach((value) => void sink.next(value)), {
      limits: { maxBacklog: 1 },
      onNext,
    });
    await peer.take();
    push(1);
    expect(await peer.take()).toEqual([
      { id: '1', type: 'error', payload: [{ message: 'More than 1 events were waiting to be executed' }] },
    ]);
    expect(onNext).not.toHaveBeenCalled();
  });

  test('[GQL-36] disconnect: too many events before one is executed end the subscription', async () => {
    const { schema, bus, prices } = createTestSchema();
    const peer = serveGraphql({ schema, limits: { maxBacklog: 2 } }).connect();
    peer.subscribe('1', 'subscription { price { late } }');
    await peer.take();
    for (const price of [1, 2, 3, 4]) void bus.publish(prices, { symbol: 'A', price });
    expect(await peer.take()).toEqual([
      { id: '1', type: 'error', payload: [{ message: 'More than 2 events were waiting to be executed' }] },
    ]);
    expect(bus.stats().listeners).toBe(0);
  });

  test('[GQL-36] disconnect: a client that does not read is cut with 1013', async () => {
    const { schema, bus, prices } = createTestSchema();
    const server = serveGraphql({ schema });
    const peer = server.connect();
    peer.subscribe('1', query);
    await peer.take();
    peer.socket.bufferedAmount = 2_000_000;
    void bus.publish(prices, { symbol: 'A', price: 1 });
    server.clock.advance(30_100);
    peer.socket.peerReads(2_000_000);
    expect(peer.socket.closing?.code).toBe(1013);
  });

  test.each([
    ['dropOldest', [3, 4]],
    ['latest', [4]],
  ] as const)('[GQL-36] %s: what a client gets that reads again', async (slowSubscriber, kept) => {
    const { schema, bus, prices, calls } = createTestSchema();
    const peer = serveGraphql({ schema, slowSubscriber, limits: { maxBacklog: 2 } }).connect();
    peer.subscribe('1', query);
    await peer.take();
    const { read } = stall(peer);
    for (const price of [1, 2, 3, 4]) void bus.publish(prices, { symbol: 'A', price });
    expect(await peer.take()).toEqual([]);
    read();
    expect(await peer.results('1')).toEqual(kept.map((price) => ({ data: { price: { symbol: 'A', price } } })));
    // What is dropped was never executed.
    expect(calls.price).toBe(kept.length);
  });

  test('[GQL-36] it stalls again while it catches up', async () => {
    const { schema, bus, prices } = createTestSchema();
    const peer = serveGraphql({ schema, slowSubscriber: 'dropOldest' }).connect();
    peer.subscribe('1', query);
    await peer.take();
    const { read } = stall(peer);
    for (const price of [1, 2]) void bus.publish(prices, { symbol: 'x'.repeat(600_000), price });
    read();
    expect(await peer.results('1')).toHaveLength(2);
  });
});

describe('[GQL-38] sharing', () => {
  const query = 'subscription { price { symbol price } }';

  function tailsOf(peers: readonly GraphqlPeer[]): Set<Uint8Array | undefined> {
    return new Set(peers.map(({ socket }) => socket.writes.at(-1)?.at(-1)?.tail));
  }

  test('one execution and one tail for all with the same key', async () => {
    const { schema, bus, prices, calls } = createTestSchema();
    const { connect, clock } = serveGraphql({ schema, share: () => 'all' });
    const peers = [connect(), connect(), connect()];
    for (const [index, peer] of peers.entries()) peer.subscribe(String(index), query);
    await clock.settle();
    void bus.publish(prices, { symbol: 'A', price: 1 });
    await clock.settle();
    expect(calls.price).toBe(1);
    const tails = tailsOf(peers);
    expect(tails.size).toBe(1);
    expect([...tails][0]).toBeInstanceOf(Uint8Array);
    for (const [index, peer] of peers.entries()) {
      const wire = peer.socket.writes.at(-1)?.at(-1);
      expect(JSON.parse(String(contentOf(wire!)))).toEqual(data(String(index), { price: { symbol: 'A', price: 1 } }));
    }
  });

  test('asynchronous executions are shared as well, and one who leaves does not harm the others', async () => {
    const { schema, bus, prices, calls } = createTestSchema();
    const { connect, clock } = serveGraphql({ schema, share: () => 1 });
    const peers = [connect(), connect(), connect()];
    for (const peer of peers) peer.subscribe('1', 'subscription { price { late } }');
    await clock.settle();
    for (const price of [1, 2]) void bus.publish(prices, { symbol: 'A', price });
    peers[0]?.complete('1');
    peers[1]?.socket.hangUp();
    await clock.settle();
    expect(await peers[2]?.results('1')).toEqual([1, 2].map((late) => ({ data: { price: { late } } })));
    expect(await peers[0]?.take()).toEqual([]);
    expect(calls.price).toBe(2);
  });

  test('results never leak: other keys, variables, names or documents, and undefined, are executed apart', async () => {
    const { schema, bus, prices, calls } = createTestSchema();
    const { connect, clock } = serveGraphql({
      schema,
      context: (_, id) => ({ key: id.startsWith('none') ? undefined : id[0] }),
      share: (context) => (context as { key?: string }).key,
    });
    const peer = connect();
    const named = 'query Q { hello } subscription A($s: String) { price(symbol: $s) { price } }';
    peer.subscribe('a1', query);
    peer.subscribe('a2', query);
    peer.subscribe('b1', query);
    peer.subscribe('none1', query);
    peer.subscribe('none2', query);
    peer.subscribe('c1', named, { operationName: 'A', variables: { s: 'A' } });
    peer.subscribe('c2', named, { operationName: 'A', variables: { s: null } });
    peer.subscribe('c3', named, { operationName: 'A', variables: { s: null } });
    await clock.settle();
    peer.socket.take();
    void bus.publish(prices, { symbol: 'A', price: 1 });
    expect((await peer.take()).filter(({ type }) => type === 'next')).toHaveLength(8);
    expect(calls.price).toBe(1 + 1 + 2 + 2);
  });

  test('whoever comes and goes, everybody gets exactly what their own context and variables make of each event', async () => {
    const users = fc.constantFrom('ann', 'bob', undefined);
    const action = fc.oneof(
      fc.record({
        kind: fc.constant('subscribe' as const),
        user: users,
        symbol: fc.constantFrom(null, 'A', 'B'),
        late: fc.boolean(),
      }),
      fc.record({ kind: fc.constant('leave' as const), index: fc.nat(10) }),
      fc.record({ kind: fc.constant('publish' as const), symbol: fc.constantFrom('A', 'B'), price: fc.nat(3) }),
      fc.record({ kind: fc.constant('settle' as const) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(action, { maxLength: 30 }), async (actions) => {
        const bus = createBus();
        const prices = topic<{ symbol: string; price: number }>('prices');
        const schema = makeExecutableSchema({
          typeDefs: 'type Query { a: Int } type Subscription { price(symbol: String, late: Boolean!): String }',
          resolvers: {
            Subscription: {
              price: {
                subscribe: (_, { symbol }: { symbol: string | null }) =>
                  bus.subscribe(prices, symbol ? { filter: (price) => price.symbol === symbol } : {}),
                resolve(price: { symbol: string; price: number }, { symbol, late }, { user }: { user?: string }) {
                  const text = `${user} asked for ${symbol}: ${price.symbol} ${price.price}`;
                  return late ? Promise.resolve(text) : text;
                },
              },
            },
          },
        });
        const server = serveGraphql({
          schema,
          context: ({ connectionParams }) => ({ user: connectionParams?.['user'] }),
          share: (context) => (context as { user?: string }).user,
        });
        const members: { peer: GraphqlPeer; expected: string[]; wants(symbol: string): boolean; gone: boolean }[] = [];
        const names: (string | undefined)[] = [];
        for (const each of actions) {
          if (each.kind === 'subscribe') {
            const peer = server.connect({ acknowledged: false });
            peer.send({ type: 'connection_init', payload: { user: each.user } });
            await peer.take();
            const { symbol, late } = each;
            peer.subscribe(
              '1',
              'subscription ($symbol: String, $late: Boolean!) { price(symbol: $symbol, late: $late) }',
              {
                variables: { symbol, late },
              },
            );
            await server.clock.settle();
            names.push(`${each.user} asked for ${symbol}`);
            members.push({ peer, expected: [], wants: (of) => symbol === null || symbol === of, gone: false });
          } else if (each.kind === 'leave') {
            const member = members[each.index];
            if (!member || member.gone) continue;
            await server.clock.settle();
            member.gone = true;
            if (each.index % 2) member.peer.complete('1');
            else member.peer.socket.hangUp();
          } else if (each.kind === 'publish') {
            void bus.publish(prices, { symbol: each.symbol, price: each.price });
            members.forEach((member, index) => {
              if (!member.gone && member.wants(each.symbol))
                member.expected.push(`${names[index]}: ${each.symbol} ${each.price}`);
            });
          } else await server.clock.settle();
        }
        for (const { peer, expected } of members) {
          expect(await peer.results('1')).toEqual(expected.map((price) => ({ data: { price } })));
          peer.socket.hangUp();
        }
        expect(server.errors).toEqual([]);
        expect(bus.stats().listeners).toBe(0);
      }),
      { numRuns: 60 },
    );
  });

  test('without share nothing is shared', async () => {
    const { schema, bus, prices, calls } = createTestSchema();
    const { connect, clock } = serveGraphql({ schema });
    const peers = [connect(), connect()];
    for (const peer of peers) peer.subscribe('1', query);
    await clock.settle();
    void bus.publish(prices, { symbol: 'A', price: 1 });
    await clock.settle();
    expect(calls.price).toBe(2);
  });

  test('equal values that were published twice are two events', async () => {
    const { schema, bus, counts } = createTestSchema();
    const { connect, clock } = serveGraphql({ schema, share: () => 'all' });
    const peers = [connect(), connect()];
    for (const peer of peers) peer.subscribe('1', 'subscription { count }');
    await clock.settle();
    for (const count of [7, 7, 8]) void bus.publish(counts, count);
    for (const peer of peers) expect(await peer.results('1')).toEqual([7, 7, 8].map((count) => ({ data: { count } })));
    expect(peers[0]?.socket.writes.at(-1)?.[1]?.tail).toBe(peers[1]?.socket.writes.at(-1)?.[1]?.tail);
  });

  test('onNext still sees, and may replace, each of them', async () => {
    const { schema, bus, counts } = createTestSchema();
    const onNext = vi.fn((_: unknown, id: string) => (id === '2' ? { data: { mine: true } } : undefined));
    const { connect } = serveGraphql({ schema, share: () => 'all', onNext });
    const peer = connect();
    for (const id of ['1', '2']) peer.subscribe(id, 'subscription { count }');
    await peer.take();
    void bus.publish(counts, 1);
    expect(await peer.take()).toEqual([data('1', { count: 1 }), data('2', { mine: true })]);
    expect(onNext).toHaveBeenCalledTimes(2);
  });

  test('an execution that throws fails each of them, not their connections', async () => {
    const peers: GraphqlPeer[] = [];
    const sources: ManualSource[] = [];
    const { connect, clock } = serveGraphql({
      schema: createTestSchema().schema,
      share: () => 'all',
      subscribe() {
        const source = new ManualSource();
        sources.push(source);
        return source as never;
      },
    });
    peers.push(connect(), connect());
    for (const peer of peers) peer.subscribe('1', 'subscription { count }');
    await clock.settle();
    const circle: Record<string, unknown> = {};
    circle['circle'] = circle;
    const result = { data: circle };
    for (const source of sources) source.push(result);
    for (const peer of peers) {
      expect((await peer.take()).map(({ type }) => type)).toEqual(['error']);
      expect(peer.socket.closing).toBeUndefined();
    }
  });
});
