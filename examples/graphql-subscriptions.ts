/**
 * A GraphQL subscriptions backend and its client, in one process: the client follows one share price until it has
 * seen three changes. Run: npx tsx examples/graphql-subscriptions.ts
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { makeExecutableSchema } from '@graphql-tools/schema';
import { attach, createBus, topic } from 'subwire';
import { graphqlServer } from 'subwire/graphql';
import { createClient } from 'subwire/graphql/client';

interface Price {
  readonly symbol: string;
  readonly price: number;
}

const prices = topic<Price>('prices');
const bus = createBus();
const schema = makeExecutableSchema({
  typeDefs: /* GraphQL */ `
    type Price { symbol: String! price: Float! }
    type Query { symbols: [String!]! }
    type Mutation { trade(symbol: String!, price: Float!): Boolean! }
    type Subscription { price(symbol: String!): Price! }
  `,
  resolvers: {
    Query: { symbols: () => ['ACME', 'UMBR'] },
    Mutation: {
      async trade(_root: unknown, price: Price) {
        await bus.publish(prices, price);
        return true;
      },
    },
    Subscription: {
      price: {
        subscribe: (_root: unknown, { symbol }: Price) =>
          bus.subscribe(prices, { filter: (price) => price.symbol === symbol }),
        resolve: (price: Price) => price,
      },
    },
  },
});

const http = createServer();
const endpoint = attach(http, { path: '/ws', protocols: [graphqlServer({ schema })] });
http.listen(0, '127.0.0.1');
await once(http, 'listening');

const client = createClient({ url: `ws://127.0.0.1:${(http.address() as AddressInfo).port}/ws` });

async function run<Data>(query: string): Promise<Data | null | undefined> {
  for await (const { data } of client.iterate<Data>({ query })) return data;
  return undefined;
}

console.log('symbols:', (await run<{ symbols: string[] }>('{ symbols }'))?.symbols.join(', '));

const changes = client.iterate<{ price: Price }>({ query: 'subscription { price(symbol: "ACME") { symbol price } }' });
const seen = (async () => {
  let count = 0;
  for await (const { data } of changes) {
    console.log(`${data?.price.symbol} ${data?.price.price}`);
    if (++count === 3) break;
  }
})();
// On one socket the server reads in order: the subscription is there before the first trade.
for (const price of [10, 11.5, 12]) await run(`mutation { trade(symbol: "ACME", price: ${price}) }`);
await run('mutation { trade(symbol: "UMBR", price: 99) }');
await seen;

await client.dispose();
await endpoint.drain();
http.close();
