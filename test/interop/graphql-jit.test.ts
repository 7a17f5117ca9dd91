import { makeExecutableSchema } from '@graphql-tools/schema';
import { compileQuery } from 'graphql-jit';
import { describe, expect, test } from 'vitest';
import { createBus } from '../../src/bus/bus.ts';
import { topic } from '../../src/bus/topic.ts';
import type { Compile } from '../../src/graphql/index.ts';
import { serveGraphql } from '../support/graphql-peer.ts';

interface Price {
  readonly symbol: string;
  readonly price: number;
}

const next = (id: string, payload: unknown) => ({ id, type: 'next', payload });
const complete = (id: string) => ({ id, type: 'complete' });

/** With what graphql-jit compiles, and a list of the documents that it took. */
function serve() {
  const bus = createBus();
  const prices = topic<Price>('prices');
  const schema = makeExecutableSchema({
    typeDefs: `
      scalar Time
      interface Named { name: String! }
      type Share implements Named { name: String! price: Float! }
      type Index implements Named { name: String! members: [String!]! }
      type Query { hello(name: String!): String, named: [Named!], time: Time, fail: String, user: String }
      type Mutation { add(a: Int!, b: Int!): Int }
      type Price { symbol: String!, price: Float, user: String, fail: Int! }
      type Subscription { price(symbol: String): Price, broken: Int }
    `,
    resolvers: {
      Query: {
        hello: async (_, { name }: { name: string }) => `hello ${name}`,
        named: () => [
          { __typename: 'Share', name: 'A', price: 1.5 },
          { __typename: 'Index', name: 'I', members: ['A', '"\u00fc\u2028'] },
        ],
        time: () => 'noon',
        fail: () => {
          throw Object.assign(new Error('failed'), { extensions: { code: 'FAILED' } });
        },
        user: (_, __, context: { readonly user: string }) => context.user,
      },
      Mutation: { add: (_, { a, b }: { a: number; b: number }) => a + b },
      Price: { user: (_, __, context: { readonly user: string }) => context.user, fail: () => null },
      Subscription: {
        price: {
          subscribe: (_, { symbol }: { symbol?: string }) =>
            bus.subscribe(prices, symbol ? { filter: (price) => price.symbol === symbol } : {}),
          resolve: (price: Price) => price,
        },
        broken: {
          subscribe: () => {
            throw new Error('no source');
          },
        },
      },
    },
  });
  const compiled: string[] = [];
  const compile: Compile = (schema, document, operationName) => {
    const outcome = compileQuery(schema, document, operationName, { customJSONSerializer: true });
    if ('query' in outcome) compiled.push(document.loc?.source.body ?? '');
    return outcome;
  };
  const context = ({ connectionParams }: { readonly connectionParams?: unknown }) => connectionParams;
  return { bus, prices, compiled, ...serveGraphql({ schema, compile, context }), schema };
}

describe('[GQL-45] graphql-jit', () => {
  test.each([
    ['query ($n: String!) { hello(name: $n) }', { n: 'w\u00f6rld' }],
    ['{ named { __typename name ... on Share { price } ... on Index { members } } }', {}],
    ['{ fail __typename }', {}],
    ['mutation { add(a: 1, b: 2) }', {}],
    ['{ __schema { queryType { name } } }', {}],
    ['query A { hello(name: "a") } query B { time }', {}, 'A'],
  ])('answers %s as the graphql package does', async (query, variables, operationName?: string) => {
    const { connect, compiled, schema } = serve();
    const answers: unknown[] = [];
    for (const peer of [connect(), serveGraphql({ schema }).connect()]) {
      peer.subscribe('1', query, { variables, operationName });
      answers.push(await peer.take());
    }
    expect(answers[0]).toEqual(answers[1]);
    expect(compiled).toEqual([query]);
  });

  test('says which variable is wrong', async () => {
    const peer = serve().connect();
    peer.subscribe('1', 'query ($n: String!) { hello(name: $n) }');
    const message = expect.stringContaining('"$n"');
    expect(await peer.take()).toEqual([next('1', { errors: [expect.objectContaining({ message })] }), complete('1')]);
  });

  test('leaves a document that it cannot compile, here for a scalar of its own, to the graphql package', async () => {
    const { connect, compiled } = serve();
    const peer = connect();
    peer.subscribe('1', '{ time }');
    expect(await peer.take()).toEqual([next('1', { data: { time: 'noon' } }), complete('1')]);
    expect(compiled).toEqual([]);
  });

  test('is handed in as it is, where its serialiser is not wanted', async () => {
    const peer = serveGraphql({ schema: serve().schema, compile: compileQuery }).connect();
    peer.subscribe('1', '{ time fail }');
    const message = 'failed';
    const errors = [{ message, locations: [expect.anything()], path: ['fail'], extensions: { code: 'FAILED' } }];
    expect(await peer.take()).toEqual([next('1', { data: { time: 'noon', fail: null }, errors }), complete('1')]);
  });

  test('executes the events of subscriptions, for each user alone, with the errors of each', async () => {
    const { connect, clock, bus, prices, compiled } = serve();
    const query = 'subscription ($s: String) { price(symbol: $s) { symbol price user } }';
    const failing = 'subscription { price { price fail } }';
    const peers = ['ann', 'bob'].map((user) => {
      const peer = connect({ acknowledged: false });
      peer.send({ type: 'connection_init', payload: { user } });
      return peer;
    });
    await clock.settle();
    for (const [index, peer] of peers.entries()) {
      peer.subscribe('1', query, { variables: { s: ['A', 'B'][index] } });
      peer.subscribe('2', failing);
    }
    for (const peer of peers) await peer.take();
    void bus.publish(prices, { symbol: 'A', price: 1 });
    void bus.publish(prices, { symbol: 'B', price: 2 });
    const errors = [
      { message: expect.stringContaining('Price.fail'), locations: [expect.anything()], path: ['price', 'fail'] },
    ];
    const broken = next('2', { data: { price: null }, errors });
    const seen = (symbol: string, price: number, user: string) =>
      next('1', { data: { price: { symbol, price, user } } });
    // Of each operation in its order; which of two operations comes first is nobody's promise.
    expect(await peers[0]?.take()).toEqual([seen('A', 1, 'ann'), broken, broken]);
    expect(await peers[1]?.take()).toEqual([seen('B', 2, 'bob'), broken, broken]);
    expect(compiled).toEqual([query, failing]);
    for (const peer of peers) peer.complete('1');
    for (const peer of peers) peer.complete('2');
    expect(bus.stats().listeners).toBe(0);
  });

  test('[GQL-25] does not hide why a source could not be opened', async () => {
    const peer = serve().connect();
    peer.subscribe('1', 'subscription { broken }');
    const message = 'no source';
    expect(await peer.take()).toEqual([
      next('1', expect.objectContaining({ errors: [expect.objectContaining({ message })] })),
      complete('1'),
    ]);
  });
});
