import { makeExecutableSchema } from '@graphql-tools/schema';
import { describe, expect, test } from 'vitest';
import { createBus } from '../../../src/bus/bus.ts';
import { topic } from '../../../src/bus/topic.ts';
import { field, graphqlServer } from '../../../src/graphql/index.ts';
import { serveGraphql } from '../../support/graphql-peer.ts';
import { createTestSchema } from '../../support/graphql-schema.ts';

interface Price {
  readonly symbol: string;
  readonly price: number;
}

describe('[GQL-105] field', () => {
  const bus = createBus();
  const prices = topic<Price>('prices');
  const resolvers = {
    Subscription: {
      price: field(bus, prices, { filter: (price, { symbol }: { symbol: string }) => price.symbol === symbol }),
      mine: field(bus, prices, {
        filter: async (price, _: unknown, context: { readonly allowed: string }) => price.symbol === context.allowed,
        resolve: ({ symbol, price }) => ({ symbol, price: price * 2 }),
      }),
      room: field(bus, ({ name }: { name: string }) => topic<string>(`room.${name}`)),
    },
  };
  const schema = makeExecutableSchema({
    typeDefs: `
      type Query { a: Int }
      type Price { symbol: String, price: Float }
      type Subscription { price(symbol: String!): Price, mine: Price, room(name: String!): String }
    `,
    resolvers: resolvers as never,
  });

  test('makes both resolvers of a subscription: filters, also asynchronous ones, arguments and context', async () => {
    const peer = serveGraphql({ schema, context: () => ({ allowed: 'B' }) }).connect();
    peer.subscribe('price', 'subscription { price(symbol: "A") { symbol price } }');
    peer.subscribe('mine', 'subscription { mine { price } }');
    peer.subscribe('room', 'subscription { room(name: "x") }');
    await peer.take();
    void bus.publish(prices, { symbol: 'A', price: 1 });
    void bus.publish(prices, { symbol: 'B', price: 2 });
    void bus.publish(topic<string>('room.x'), 'hello');
    void bus.publish(topic<string>('room.y'), 'nobody');
    const results = (await peer.take()).map(({ id, payload }) => [id, (payload as { data: unknown }).data]);
    expect(results.sort()).toEqual([
      ['mine', { mine: { price: 4 } }],
      ['price', { price: { symbol: 'A', price: 1 } }],
      ['room', { room: 'hello' }],
    ]);
  });
});

test.each([
  [[topic('prices')], 'field(bus, topic) takes a bus first'],
  [[createBus(), 'prices'], "such as topic('prices'), or a function that gives one; got the string prices"],
  [[createBus(), undefined], 'got undefined'],
  [[createBus(), topic('prices'), null], 'options are { filter, resolve }'],
  [[createBus(), topic('prices'), { fliter: () => true }], 'did you mean "filter"'],
  [[createBus(), topic('prices'), { filter: true }], 'field(): filter must be a function; got boolean'],
])('[GQL-105] field(…%#) is refused with words', (given, words) => {
  expect(() => Reflect.apply(field, undefined, given)).toThrow(words);
});

test('[GQL-106] stats() counts operations and results', async () => {
  const { schema, bus, counts } = createTestSchema();
  const server = graphqlServer({ schema });
  expect(server.stats()).toEqual({ operations: 0, subscriptions: 0, started: 0, refused: 0, failed: 0, results: 0 });
  const peer = serveGraphql({ schema }, {}, server).connect();
  for (const id of ['a', 'b']) peer.subscribe(id, 'subscription { count }');
  peer.subscribe('query', '{ hello }');
  peer.subscribe('slow', '{ slow }');
  peer.subscribe('bad', '{ nothing }');
  await peer.take();
  void bus.publish(counts, 1);
  await peer.take();
  expect(server.stats()).toEqual({ operations: 3, subscriptions: 2, started: 5, refused: 1, failed: 0, results: 3 });
  peer.complete('a');
  peer.socket.hangUp();
  expect(server.stats()).toMatchObject({ operations: 0, subscriptions: 0 });
});
