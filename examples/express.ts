/**
 * Express and subwire on one http server: routes publish to the bus, and the session cookie that Express sets lets the
 * WebSocket in. Run: npx tsx examples/express.ts
 */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { makeExecutableSchema } from '@graphql-tools/schema';
import express from 'express';
import { attach, createBus, topic } from 'subwire';
import { graphqlServer } from 'subwire/graphql';
import { createClient } from 'subwire/graphql/client';
import WebSocket from 'ws';

interface Order {
  readonly item: string;
  readonly by: string;
}

const orders = topic<Order>('orders');
const bus = createBus();
const sessions = new Map<string, string>();
const userOf = (cookie = ''): string | undefined => sessions.get(/(?:^|; )session=([^;]*)/.exec(cookie)?.[1] ?? '');

const app = express().use(express.json());
app.post('/login', (request, response) => {
  const session = randomUUID();
  sessions.set(session, String(request.body.user));
  response.cookie('session', session, { httpOnly: true, sameSite: 'strict' }).json({ ok: true });
});
app.post('/orders', async (request, response) => {
  const by = userOf(request.headers.cookie);
  if (by === undefined) return void response.sendStatus(401);
  await bus.publish(orders, { item: String(request.body.item), by });
  response.status(201).json({ ok: true });
});

const schema = makeExecutableSchema({
  typeDefs: /* GraphQL */ `
    type Order { item: String! by: String! }
    type Query { me: String! }
    type Subscription { orders: Order! }
  `,
  resolvers: {
    Query: { me: (_root: unknown, _args: unknown, { user }: { user: string }) => user },
    Subscription: { orders: { subscribe: () => bus.subscribe(orders), resolve: (order: Order) => order } },
  },
});

const http = app.listen(0, '127.0.0.1');
const endpoint = attach(http, {
  path: '/ws',
  protocols: [graphqlServer({ schema, context: ({ principal }) => ({ user: principal?.name }) })],
  authenticate({ handshake }) {
    const name = userOf(handshake.headers['cookie']);
    return name === undefined ? false : { name };
  },
});
await once(http, 'listening');
const address = `127.0.0.1:${(http.address() as AddressInfo).port}`;

async function post(path: string, body: object, cookie = ''): Promise<Response> {
  const headers = { 'content-type': 'application/json', cookie };
  return fetch(`http://${address}${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
}

const cookie = (await post('/login', { user: 'ann' })).headers.getSetCookie()[0]?.split(';')[0] ?? '';

/** A browser sends the cookie by itself; a program has to be told to. */
class SocketWithCookie extends WebSocket {
  constructor(url: string, protocols: string[]) {
    super(url, protocols, { headers: { cookie } });
  }
}

const stranger = createClient({ url: `ws://${address}/ws`, retryAttempts: 0 });
await stranger
  .iterate({ query: '{ me }' })
  .next()
  .catch((error: unknown) => console.log('stranger:', (error as Error).message));

const client = createClient({ url: `ws://${address}/ws`, webSocketImpl: SocketWithCookie });
const received = client.iterate<{ orders: Order }>({ query: 'subscription { orders { item by } }' });
const first = received.next();
// A query on the same socket is answered after the subscription before it was opened.
for await (const { data } of client.iterate({ query: '{ me }' })) console.log('me:', data?.['me']);
console.log('POST /orders:', (await post('/orders', { item: 'tea' }, cookie)).status);
console.log('received:', JSON.stringify((await first).value?.data?.orders));

await client.dispose();
await endpoint.drain();
http.close();
