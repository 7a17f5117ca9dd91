/**
 * graphql-yoga and subwire on one http server. What comes by WebSocket goes through Yoga's own pipeline: its plugins
 * and its context serve it as they serve HTTP. Run: npx tsx examples/yoga.ts
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ExecutionArgs } from 'graphql';
import { createPubSub, createSchema, createYoga, type Plugin } from 'graphql-yoga';
import { attach, type Principal } from 'subwire';
import { graphqlServer, type OperationResult } from 'subwire/graphql';
import { createClient } from 'subwire/graphql/client';

interface Price {
  readonly symbol: string;
  readonly price: number;
}
interface UserContext {
  readonly user: string;
}
/** What a WebSocket adds to the context that Yoga begins with. */
interface SocketContext {
  readonly principal?: Principal | undefined;
}

const pubSub = createPubSub<{ price: [symbol: string, price: Price] }>();
const schema = createSchema<UserContext>({
  typeDefs: /* GraphQL */ `
    type Price { symbol: String! price: Float! }
    type Query { me: String! }
    type Mutation { trade(symbol: String!, price: Float!): Boolean! }
    type Subscription { price(symbol: String!): Price! }
  `,
  resolvers: {
    Query: { me: (_root, _args, { user }) => user },
    Mutation: {
      trade(_root, price: Price) {
        pubSub.publish('price', price.symbol, price);
        return true;
      },
    },
    Subscription: {
      price: {
        subscribe: (_root, { symbol }: Price) => pubSub.subscribe('price', symbol),
        resolve: (price: Price) => price,
      },
    },
  },
});
const log: Plugin<UserContext> = {
  onExecute: ({ args }) => console.log('plugin   ', `execute, for ${args.contextValue.user}`),
  onSubscribe: ({ args }) => console.log('plugin   ', `subscribe, for ${args.contextValue.user}`),
};
const yoga = createYoga<SocketContext, UserContext>({
  schema,
  plugins: [log],
  logging: false,
  context: ({ principal, request }) => ({ user: principal?.name ?? request.headers.get('x-user') ?? 'nobody' }),
});

/** Yoga's executors for one operation: they travel with its arguments, from `onSubscribe` to `execute`. */
interface Executors {
  readonly execute: (args: ExecutionArgs) => OperationResult;
  readonly subscribe: (args: ExecutionArgs) => OperationResult;
}

const throughYoga = graphqlServer({
  execute: (args) => (args.rootValue as Executors).execute(args),
  subscribe: (args) => (args.rootValue as Executors).subscribe(args),
  async onSubscribe({ handshake, principal }, _id, { query, operationName, variables, extensions }) {
    const enveloped = yoga.getEnveloped({
      principal,
      request: new Request(new URL(handshake.url, 'http://localhost'), { headers: handshake.headers }),
      params: {
        query,
        operationName: operationName ?? undefined,
        variables: variables ?? {},
        extensions: extensions ?? {},
      },
      waitUntil: () => {},
    });
    const document = enveloped.parse(query);
    const errors = enveloped.validate(enveloped.schema, document);
    if (errors.length > 0) return errors;
    return {
      schema: enveloped.schema,
      document,
      operationName,
      variableValues: variables,
      contextValue: await enveloped.contextFactory(),
      rootValue: { execute: enveloped.execute, subscribe: enveloped.subscribe } satisfies Executors,
    };
  },
});

const http = createServer(yoga);
const endpoint = attach(http, {
  path: yoga.graphqlEndpoint,
  protocols: [throughYoga],
  authenticate: ({ connectionParams }) => ({ name: String(connectionParams?.['user']) }),
});
http.listen(0, '127.0.0.1');
await once(http, 'listening');
const address = `127.0.0.1:${(http.address() as AddressInfo).port}${yoga.graphqlEndpoint}`;

async function post(query: string): Promise<unknown> {
  const headers = { 'content-type': 'application/json', 'x-user': 'ben' };
  const response = await fetch(`http://${address}`, { method: 'POST', headers, body: JSON.stringify({ query }) });
  return response.json();
}

const client = createClient({ url: `ws://${address}`, connectionParams: { user: 'ann' } });

console.log('HTTP     ', JSON.stringify(await post('{ me }')));
for await (const result of client.iterate({ query: '{ me }' })) console.log('WebSocket', JSON.stringify(result));

const prices: unknown[] = [];
await new Promise<void>((resolve, reject) => {
  client.subscribe(
    { query: 'subscription { price(symbol: "ACME") { symbol price } }' },
    {
      onLive: () => void post('mutation { trade(symbol: "ACME", price: 10) }').catch(reject),
      next(result) {
        prices.push(result);
        resolve();
      },
      error: reject,
      complete: resolve,
    },
  );
});
console.log('WebSocket', JSON.stringify(prices));

await client.dispose();
await endpoint.drain();
http.close();
