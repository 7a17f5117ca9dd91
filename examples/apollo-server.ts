/**
 * Apollo Server and subwire on one http server and one schema: queries and mutations by HTTP, subscriptions by
 * WebSocket, and one `stop()` that drains both. Run: npx tsx examples/apollo-server.ts
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ApolloServer, type ApolloServerPlugin } from '@apollo/server';
import { ApolloServerPluginDrainHttpServer } from '@apollo/server/plugin/drainHttpServer';
import { expressMiddleware } from '@as-integrations/express5';
import { makeExecutableSchema } from '@graphql-tools/schema';
import express from 'express';
import { PubSub, withFilter } from 'graphql-subscriptions';
import { attach } from 'subwire';
import { graphqlServer } from 'subwire/graphql';
import { createClient } from 'subwire/graphql/client';

interface Price {
  readonly symbol: string;
  readonly price: number;
}

const pubsub = new PubSub<{ price: { price: Price } }>();
const schema = makeExecutableSchema({
  typeDefs: /* GraphQL */ `
    type Price { symbol: String! price: Float! }
    type Query { hello: String! }
    type Mutation { trade(symbol: String!, price: Float!): Boolean! }
    type Subscription { price(symbol: String!): Price! }
  `,
  resolvers: {
    Query: { hello: () => 'world' },
    Mutation: {
      async trade(_root: unknown, price: Price) {
        await pubsub.publish('price', { price });
        return true;
      },
    },
    Subscription: {
      price: {
        subscribe: withFilter(
          () => pubsub.asyncIterableIterator('price'),
          ({ price }, { symbol }) => price.symbol === symbol,
        ),
      },
    },
  },
});

const app = express();
const http = createServer(app);
const endpoint = attach(http, { path: '/graphql', protocols: [graphqlServer({ schema })] });

/**
 * Apollo calls the hooks of all plugins at once, and its own ends the TCP connections that have no request, WebSockets
 * too. So the two take turns: first our endpoint says goodbye, then the http server closes.
 */
const drains: ApolloServerPlugin = {
  async serverWillStart(service) {
    const drainHttp = await ApolloServerPluginDrainHttpServer({ httpServer: http }).serverWillStart?.(service);
    return {
      async drainServer() {
        await endpoint.drain({ deadline: 10_000 });
        await drainHttp?.drainServer?.();
      },
    };
  },
};

const apollo = new ApolloServer({ schema, plugins: [drains] });
await apollo.start();
app.use('/graphql', express.json(), expressMiddleware(apollo));
http.listen(0, '127.0.0.1');
await once(http, 'listening');
const address = `127.0.0.1:${(http.address() as AddressInfo).port}/graphql`;

async function post(query: string): Promise<unknown> {
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(`http://${address}`, { method: 'POST', headers, body: JSON.stringify({ query }) });
  return response.json();
}

const client = createClient({ url: `ws://${address}` });
const closed = new Promise<number>((resolve) => client.on('closed', ({ code }) => resolve(code)));

console.log('HTTP     ', JSON.stringify(await post('{ hello }')));
const prices = client.iterate({ query: 'subscription { price(symbol: "ACME") { symbol price } }' });
const first = prices.next();
// A query on the same socket is answered after the subscription before it was opened.
for await (const result of client.iterate({ query: '{ hello }' })) console.log('WebSocket', JSON.stringify(result));
await post('mutation { trade(symbol: "UMBR", price: 99) }');
await post('mutation { trade(symbol: "ACME", price: 10) }');
console.log('WebSocket', JSON.stringify((await first).value));

await Promise.all([apollo.stop(), closed.then(() => client.dispose())]);
console.log('closed   ', await closed);
