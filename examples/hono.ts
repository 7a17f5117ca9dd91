/**
 * Hono and subwire on one http server: a route publishes, a subscription hears it, and a session cookie lets it in.
 * Run: npx tsx examples/hono.ts
 */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { makeExecutableSchema } from '@graphql-tools/schema';
import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import { attach, createBus, topic } from 'subwire';
import { field, graphqlServer } from 'subwire/graphql';
import { createClient } from 'subwire/graphql/client';
import WebSocket from 'ws';

const orders = topic<{ readonly item: string }>('orders');
const bus = createBus({ topics: [orders] });
const schema = makeExecutableSchema({
  typeDefs: 'type Order { item: String! } type Query { me: String } type Subscription { orders: Order! }',
  resolvers: {
    Query: { me: (_root: unknown, _args: unknown, { user }: { user: string }) => user },
    Subscription: { orders: field(bus, orders) },
  },
});
const userOf = (cookie = ''): string | undefined => /(?:^|; )session=(\w+)/.exec(cookie)?.[1];

const app = new Hono();
app.post('/orders', async (context) => {
  if (!userOf(context.req.header('cookie'))) return context.text('Log in first', 401);
  await bus.publish(orders, await context.req.json<{ item: string }>());
  return context.json({ ok: true }, 201);
});

const server = serve({ fetch: app.fetch, hostname: '127.0.0.1', port: 0 });
await once(server, 'listening');
const endpoint = attach(server, {
  path: '/ws',
  protocols: [graphqlServer({ schema, context: ({ principal }) => ({ user: principal?.name }) })],
  authenticate({ handshake }) {
    const name = userOf(handshake.headers['cookie']);
    return name === undefined ? false : { name };
  },
});

// A browser sends its cookie by itself; here the socket is given it.
const headers = { cookie: 'session=ann', 'content-type': 'application/json' };
class WithCookie extends WebSocket {
  constructor(url: string, protocols: string[]) {
    super(url, protocols, { headers });
  }
}
const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
const client = createClient({ url: `ws://${host}/ws`, webSocketImpl: WithCookie });
for await (const { data } of client.iterate<{ me: string }>({ query: '{ me }' })) console.log(`me: ${data?.me}`);
const heard = new Promise((next, error) => {
  client.subscribe(
    { query: 'subscription { orders { item } }' },
    { next, error, complete() {}, onLive: () => void order() },
  );
});
async function order(): Promise<void> {
  const { status } = await fetch(`http://${host}/orders`, { method: 'POST', headers, body: '{"item":"tea"}' });
  console.log(`POST /orders: ${status}`);
}
console.log(`received: ${JSON.stringify(await heard)}`);

await client.dispose();
server.close();
await endpoint.drain();
