/**
 * A GraphQL and a STOMP client whose sockets are cut while prices come: both come back to where they were and miss nothing.
 * Then one is away for longer than the server remembers, and is told. Run: npx tsx examples/resume.ts
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeExecutableSchema } from '@graphql-tools/schema';
import { attach, createBus, topic } from 'subwire';
import { field, graphqlServer } from 'subwire/graphql';
import { createClient } from 'subwire/graphql/client';
import { stompBroker } from 'subwire/stomp';
import { createStompClient } from 'subwire/stomp/client';

interface Price {
  readonly number: number;
}

const prices = topic<Price>('prices', { clients: 'read' });
// Small, so that the end of this example is soon reached: unless it is said otherwise, 10,000 messages or 2 min are kept.
const bus = createBus({ topics: [prices], history: { maxMessages: 50 } });
const schema = makeExecutableSchema({
  typeDefs: 'type Price { number: Int! } type Query { hello: String } type Subscription { prices: Price! }',
  resolvers: { Subscription: { prices: field(bus, prices) } },
});

const http = createServer();
const endpoint = attach(http, { path: '/ws', bus, protocols: [graphqlServer({ schema, bus }), stompBroker({ bus })] });
const sockets = new Set<Socket>();
http.on('connection', (socket: Socket) => void sockets.add(socket));
http.listen(0, '127.0.0.1');
await once(http, 'listening');
const url = `ws://127.0.0.1:${(http.address() as AddressInfo).port}/ws`;

/** As a tunnel would: no goodbye, to nobody. */
function cut(): void {
  for (const socket of sockets) socket.destroy();
  sockets.clear();
}

/** What a page has seen; it reads again what it cannot recover. */
function page(name: string) {
  const seen: number[] = [];
  const told: boolean[] = [];
  const onRecovery = (recovered: boolean): void => {
    told.push(recovered);
    console.log(`${name} is back: ${recovered ? 'nothing is missing' : 'something is missing, it reads again'}`);
  };
  return { name, seen, told, onRecovery };
}

const web = createClient({ url, warn: false, backoff: { base: 100, cap: 200 } });
const graphql = page('GraphQL');
const live = new Promise<void>((resolve, reject) => {
  web.subscribe<{ prices: Price }>(
    { query: 'subscription { prices { number } }' },
    {
      next: ({ data }) => void (data && graphql.seen.push(data.prices.number)),
      onRecovery: graphql.onRecovery,
      onLive: resolve,
      error: reject,
      complete: resolve,
    },
  );
});

const terminal = createStompClient({ url, warn: false, backoff: { base: 100, cap: 200 } });
const stomp = page('STOMP');
const { active } = terminal.subscribe('/topic/prices', (message) => stomp.seen.push(message.json<Price>().number), {
  onRecovery: stomp.onRecovery,
});
await Promise.all([live, active]);

let number = 0;
/** Publish so many, and wait until both have the last one. */
async function publish(count: number): Promise<void> {
  for (let left = count; left > 0; left--) await bus.publish(prices, { number: ++number });
  while ([graphql, stomp].some(({ seen }) => seen.at(-1) !== number)) await sleep(10);
}

await publish(10);
for (let round = 1; round <= 3; round++) {
  console.log('cut');
  cut();
  await publish(20);
}
for (const { name, seen } of [graphql, stomp]) {
  const different = new Set(seen).size;
  console.log(`${name}: ${number} prices, missed ${number - different}, twice ${seen.length - different}`);
}
console.log('cut, for longer than is remembered');
cut();
for (let left = 100; left > 0; left--) await bus.publish(prices, { number: ++number });
while ([graphql, stomp].some(({ told }) => told.at(-1) === true)) await sleep(10);
// Both go on, whatever they have missed.
await publish(1);

await Promise.all([web.dispose(), terminal.dispose()]);
await endpoint.drain();
http.close();
