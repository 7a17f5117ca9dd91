/**
 * Credentials that end: the server closes the connection when they do, the client comes back with fresh ones, and its
 * subscription goes on. Or it shows the fresh ones before, and nothing is interrupted. Run: npx tsx examples/auth.ts
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { makeExecutableSchema } from '@graphql-tools/schema';
import { attach, createBus, topic } from 'subwire';
import { graphqlServer } from 'subwire/graphql';
import { createClient } from 'subwire/graphql/client';

const notes = topic<string>('notes');
const bus = createBus();
const schema = makeExecutableSchema({
  typeDefs: /* GraphQL */ `
    type Query { me: String! }
    type Subscription { note: String! }
  `,
  resolvers: {
    Query: { me: (_root: unknown, _args: unknown, { user }: { user: string }) => user },
    Subscription: { note: { subscribe: () => bus.subscribe(notes), resolve: (note: string) => note } },
  },
});

/** Stands for your identity provider: tokens of so many ms. */
const issued = new Map<unknown, { readonly user: string; readonly expiresAt: number }>();
function issue(user: string, ms: number): string {
  const token = `token ${issued.size + 1}`;
  issued.set(token, { user, expiresAt: Date.now() + ms });
  return token;
}

const http = createServer();
const endpoint = attach(http, {
  path: '/ws',
  protocols: [graphqlServer({ schema, context: ({ principal }) => ({ user: principal?.name }) })],
  /** Asked when a client connects, and again when it refreshes. */
  authenticate({ connectionParams }) {
    const known = issued.get(connectionParams?.['token']);
    if (!known || known.expiresAt <= Date.now()) return false;
    console.log('server: ', connectionParams?.['token']);
    return { name: known.user, expiresAt: known.expiresAt };
  },
});
http.listen(0, '127.0.0.1');
await once(http, 'listening');

const lifetimes = [60_000, 60_000];
const client = createClient({
  url: `ws://127.0.0.1:${(http.address() as AddressInfo).port}/ws`,
  // Asked for each connection, so that a new one never comes with what has expired.
  connectionParams: () => ({ token: issue('ann', lifetimes.shift() ?? 60_000) }),
  backoff: { base: 100 },
  on: {
    connected: (_socket, _payload, wasRetry) => console.log('client: ', wasRetry ? 'connected again' : 'connected'),
    closed: ({ code, reason }) => console.log('client: ', code, reason),
  },
});

const received = new Promise<void>((resolve, reject) => {
  let connections = 0;
  client.subscribe<{ note: string }>(
    { query: 'subscription { note }' },
    {
      // Called for each connection, once the server has opened the subscription there.
      onLive() {
        connections++;
        void bus.publish(notes, `on connection ${connections}`);
      },
      next({ data }) {
        console.log('note:   ', data?.note);
        if (connections === 2) return resolve();
        // Fresh credentials on the connection that is open. These end soon, to show what happens then.
        client.refresh({ token: issue('ann', 1_000) });
      },
      error: reject,
      complete: resolve,
    },
  );
});
await received;
for await (const { data } of client.iterate({ query: '{ me }' })) console.log('me:     ', data?.['me']);

await client.dispose();
await endpoint.drain();
http.close();
