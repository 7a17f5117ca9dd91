import { AsyncLocalStorage } from 'node:async_hooks';
import { setImmediate } from 'node:timers/promises';
import { makeExecutableSchema } from '@graphql-tools/schema';
import { describe, expect, test } from 'vitest';
import { createBus } from '../../../src/bus/bus.ts';
import { topic } from '../../../src/bus/topic.ts';
import type { GraphqlOptions } from '../../../src/graphql/index.ts';
import { Shares } from '../../../src/graphql/server/shares.ts';
import { serveGraphql } from '../../support/graphql-peer.ts';
import { ManualSource } from '../../support/graphql-schema.ts';
import { RecordingConnection } from '../../support/recording-connection.ts';

const store = new AsyncLocalStorage<string>();
const events = topic<string>('events');

/** A server whose resolvers, filters and hooks say in whose async context they run. */
function serve(options: Partial<GraphqlOptions> = {}) {
  const bus = createBus();
  const source = new ManualSource();
  const seen: string[] = [];
  const note = (what: string): void => void seen.push(`${what} ${store.getStore()}`);
  const schema = makeExecutableSchema({
    typeDefs: 'type Query { who: String } type Subscription { pushed: String, pulled: String, own: String }',
    resolvers: {
      Query: { who: () => `${store.getStore()}` },
      Subscription: {
        pushed: {
          subscribe: () =>
            bus.subscribe(events, {
              filter: () => {
                note('filter');
                return true;
              },
            }),
          resolve: () => `${store.getStore()}`,
        },
        pulled: { subscribe: () => source, resolve: () => `${store.getStore()}` },
        own: {
          subscribe: () => {
            store.enterWith('resolver');
            return bus.subscribe(events);
          },
          resolve: () => `${store.getStore()}`,
        },
      },
    },
  });
  const server = serveGraphql({
    schema,
    context: (_: unknown, id: string) => {
      if (id !== 'nobody') store.enterWith(id);
      return {};
    },
    onNext: () => note('onNext'),
    onComplete: (_: unknown, id: string) => note(`onComplete ${id}`),
    ...options,
  });
  const publish = (): void => store.run('publisher', () => void bus.publish(events, 'x'));
  return { ...server, publish, source, seen };
}

describe('[GQL-56] async context', () => {
  test('what one operation enters is not seen by the next ones of its connection, nor outside', async () => {
    const peer = serve().connect();
    peer.subscribe('a', '{ who }');
    expect(store.getStore()).toBeUndefined();
    peer.subscribe('nobody', '{ who }');
    peer.subscribe('b', '{ who }');
    await peer
      .take()
      .then((messages) =>
        expect(messages.filter(({ type }) => type === 'next').map(({ payload }) => payload)).toEqual([
          { data: { who: 'a' } },
          { data: { who: 'undefined' } },
          { data: { who: 'b' } },
        ]),
      );
  });

  test('an event is filtered, executed and told to hooks in the context of its subscriber, whoever published it', async () => {
    const { connect, publish, seen } = serve();
    const peer = connect();
    for (const id of ['a', 'b']) peer.subscribe(id, 'subscription { pushed }');
    await peer.take();
    publish();
    expect(await peer.take()).toEqual([
      { id: 'a', type: 'next', payload: { data: { pushed: 'a' } } },
      { id: 'b', type: 'next', payload: { data: { pushed: 'b' } } },
    ]);
    store.run('somebody', () => peer.complete('a'));
    store.run('somebody', () => peer.socket.hangUp());
    await peer.take();
    expect(seen.sort()).toEqual([
      ...['filter a', 'filter b', 'onComplete a a', 'onComplete b b', 'onNext a', 'onNext b'],
    ]);
  });

  test('so is one that is pulled', async () => {
    const { connect, source } = serve();
    const peer = connect();
    peer.subscribe('a', 'subscription { pulled }');
    await peer.take();
    for (const value of [1, 2]) {
      store.run('publisher', () => source.push(value));
      expect(await peer.results('a')).toEqual([{ data: { pulled: 'a' } }]);
    }
  });

  test('what the resolver of the subscription enters is there for its events', async () => {
    const { connect, publish } = serve();
    const peer = connect();
    peer.subscribe('a', 'subscription { own }');
    await peer.take();
    publish();
    expect(await peer.results('a')).toEqual([{ data: { own: 'resolver' } }]);
  });

  test('an asynchronous hook has it as well', async () => {
    const context = async (_: unknown, id: string): Promise<object> => {
      await setImmediate();
      store.enterWith(id);
      return {};
    };
    const { connect } = serve({ context });
    const peer = connect();
    peer.subscribe('a', '{ who }');
    peer.subscribe('b', '{ who }');
    await setImmediate();
    const payloads = (await peer.take()).filter(({ type }) => type === 'next').map(({ payload }) => payload);
    expect(payloads).toHaveLength(2);
    for (const payload of payloads) expect(payload).toEqual({ data: { who: expect.not.stringMatching('publisher') } });
  });

  test('a result that is shared is executed in the context of nobody', async () => {
    const { connect, publish } = serve({ share: () => 'all' });
    const peer = connect();
    for (const id of ['a', 'b']) peer.subscribe(id, 'subscription { pushed }');
    await peer.take();
    publish();
    const payload = { data: { pushed: 'undefined' } };
    expect(await peer.take()).toEqual([
      { id: 'a', type: 'next', payload },
      { id: 'b', type: 'next', payload },
    ]);
  });
});

describe('[GQL-54] publishing does not pay for subscribers', () => {
  test('nothing is decoded, filtered or executed before publish() has returned, and all of it arrives in order', async () => {
    const { connect, publish, seen } = serve();
    const peer = connect();
    for (let id = 0; id < 50; id++) peer.subscribe(String(id), 'subscription { pushed }');
    await peer.take();
    publish();
    publish();
    expect(seen).toEqual([]);
    const ids = (await peer.take()).map(({ id }) => id);
    expect(ids).toHaveLength(100);
    expect(seen).toHaveLength(200);
  });

  test('what waits is worked off in shares of 10 ms, each in a turn of its own', () => {
    const shares = new Shares();
    const connection = new RecordingConnection();
    let done = 0;
    for (let work = 0; work < 100; work++) {
      shares.add(
        {
          workOff() {
            done++;
            connection.now += 1;
            return false;
          },
        },
        connection,
      );
    }
    let turns = 0;
    while (connection.queued.length > 0) {
      const before = done;
      connection.endTurn();
      turns++;
      // Every eighth looks at the time.
      expect(done - before).toBeLessThanOrEqual(16);
    }
    expect(done).toBe(100);
    expect(turns).toBeGreaterThan(6);
  });

  test('one that always has more gives others their turn', () => {
    const shares = new Shares();
    const connection = new RecordingConnection();
    let greedy = 0;
    let other = 0;
    shares.add(
      {
        workOff() {
          for (let piece = 0; piece < 1_000; piece++) {
            greedy++;
            connection.now += 1;
            if (!shares.timeLeft()) return true;
          }
          return true;
        },
      },
      connection,
    );
    shares.add({ workOff: () => ++other < 0 }, connection);
    connection.endTurn();
    connection.endTurn();
    expect(other).toBe(1);
    expect(greedy).toBeLessThan(40);
  });
});
