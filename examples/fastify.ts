/**
 * Fastify and subwire on one http server: a route publishes, a subscription hears it, and `app.close()` ends both.
 * Run: npx tsx examples/fastify.ts
 */
import { makeExecutableSchema } from '@graphql-tools/schema';
import { fastify } from 'fastify';
import { attach, createBus, topic } from 'subwire';
import { field, graphqlServer } from 'subwire/graphql';
import { createClient } from 'subwire/graphql/client';

const orders = topic<{ readonly item: string }>('orders');
const bus = createBus({ topics: [orders] });
const schema = makeExecutableSchema({
  typeDefs: 'type Order { item: String! } type Query { hello: String } type Subscription { orders: Order! }',
  resolvers: { Subscription: { orders: field(bus, orders) } },
});

const app = fastify();
app.post<{ Body: { item: string } }>('/orders', async (request, reply) => {
  await bus.publish(orders, { item: request.body.item });
  return reply.code(201).send({ ok: true });
});
attach(app.server, { path: '/ws', protocols: [graphqlServer({ schema })] });
const address = await app.listen({ host: '127.0.0.1', port: 0 });

const client = createClient({ url: `${address.replace('http', 'ws')}/ws` });
const heard = new Promise((next, error) => {
  client.subscribe(
    { query: 'subscription { orders { item } }' },
    { next, error, complete() {}, onLive: () => void order('tea') },
  );
});
async function order(item: string): Promise<void> {
  const headers = { 'content-type': 'application/json' };
  const { status } = await fetch(`${address}/orders`, { method: 'POST', headers, body: JSON.stringify({ item }) });
  console.log(`POST /orders: ${status}`);
}
console.log(`received: ${JSON.stringify(await heard)}`);

// The endpoint notices that its server is being closed, and lets its clients go; those would come back to another one.
const gone = new Promise<void>((resolve) => {
  client.on('closed', ({ code }) => {
    console.log(`closed: ${code}`);
    client.dispose().then(resolve);
  });
});
await Promise.all([app.close(), gone]);
console.log('the server is closed');
