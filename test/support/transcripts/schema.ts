import { makeExecutableSchema } from '@graphql-tools/schema';
import type { GraphQLSchema } from 'graphql';
import type { Bus } from '../../../src/bus/bus.ts';
import { topic } from '../../../src/bus/topic.ts';

export interface Price {
  readonly symbol: string;
  readonly price: number;
}

/** The topic behind the subscription `price`. */
export const prices = topic<Price>('transcript.prices', { clients: 'readwrite' });

const typeDefs = /* GraphQL */ `
  type Price {
    symbol: String!
    price: Float!
  }
  type Query {
    hello(name: String = "world"): String!
    never: String
    broken: String!
  }
  type Mutation {
    publish(symbol: String!, price: Float!): Boolean!
  }
  type Subscription {
    price(symbol: String): Price!
    count(to: Int!): Int!
    brokenAfter(count: Int!): Int!
    refused: Int!
  }
`;

async function* count(to: number): AsyncGenerator<number> {
  for (let value = 1; value <= to; value++) yield value;
}

async function* brokenAfter(to: number): AsyncGenerator<number> {
  yield* count(to);
  throw new Error('the source broke');
}

/** What the transcripts of GraphQL query. */
export function transcriptSchema(bus: Bus): GraphQLSchema {
  bus.declare(prices);
  const subscription = <Value>(subscribe: (args: never) => AsyncIterable<Value>) => ({
    subscribe: (_: unknown, args: unknown) => subscribe(args as never),
    resolve: (value: Value) => value,
  });
  return makeExecutableSchema({
    typeDefs,
    resolvers: {
      Query: {
        hello: (_: unknown, { name }: { name: string }) => `hello ${name}`,
        never: () => new Promise(() => {}),
        broken: () => {
          throw new Error('the resolver broke');
        },
      },
      Mutation: {
        publish: async (_: unknown, price: Price) => {
          await bus.publish(prices, price);
          return true;
        },
      },
      Subscription: {
        price: subscription(({ symbol }: { symbol?: string }) =>
          bus.subscribe(prices, { filter: (price) => symbol === undefined || price.symbol === symbol }),
        ),
        count: subscription(({ to }: { to: number }) => count(to)),
        brokenAfter: subscription((args: { count: number }) => brokenAfter(args.count)),
        refused: subscription(() => {
          throw new Error('not for you');
        }),
      },
    },
  });
}
