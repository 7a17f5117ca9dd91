/**
 * Two servers on one Redis, and a page on each. One server is killed: its page goes to the other one and has missed
 * nothing. Run: REDIS_URL=redis://127.0.0.1:6379 npx tsx examples/cluster-redis.ts
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { makeExecutableSchema } from '@graphql-tools/schema';
import { createClient as createRedis } from 'redis';
import { attach, createBus, topic } from 'subwire';
import { redisBackbone } from 'subwire/backbones/redis';
import { field, graphqlServer } from 'subwire/graphql';
import { createClient } from 'subwire/graphql/client';

interface Tick {
  readonly number: number;
}

const ticks = topic<Tick>('ticks');
const url = process.env['REDIS_URL'] ?? 'redis://127.0.0.1:6379';

if (process.send) await serve();
else await tryIt();

/** A bus on Redis. `prefix` keeps this run apart from others. */
async function busOnRedis() {
  const redis = createRedis({ url });
  redis.on('error', () => {});
  await redis.connect();
  const bus = createBus({ backbone: redisBackbone({ client: redis, prefix: process.env['PREFIX'] }) });
  return { redis, bus };
}

/** What each server does. */
async function serve(): Promise<void> {
  const { bus } = await busOnRedis();
  const schema = makeExecutableSchema({
    typeDefs: 'type Tick { number: Int! } type Query { hello: String } type Subscription { ticks: Tick! }',
    resolvers: { Subscription: { ticks: field(bus, ticks) } },
  });
  const http = createServer();
  attach(http, { path: '/ws', bus, protocols: [graphqlServer({ schema })] });
  http.listen(0, '127.0.0.1', () => process.send?.((http.address() as AddressInfo).port));
  // A server that nobody needs any more.
  process.once('disconnect', () => process.exit());
}

async function startServer(): Promise<{ child: ChildProcess; url: string }> {
  const child = fork(fileURLToPath(import.meta.url), { env: process.env });
  const [port] = (await once(child, 'message')) as [number];
  return { child, url: `ws://127.0.0.1:${port}/ws` };
}

/** A page, in this process: it asks to come back to where it was. */
function openPage(name: string, urls: readonly string[]) {
  const seen: number[] = [];
  const client = createClient({ url: urls, backoff: { base: 100, cap: 300 } });
  const live = new Promise<void>((resolve, reject) => {
    client.subscribe<{ ticks: Tick }>(
      { query: 'subscription { ticks { number } }' },
      {
        next: ({ data }) => void (data && seen.push(data.ticks.number)),
        onLive: resolve,
        onRecovery: (recovered) =>
          console.log(`${name} is back: ${recovered ? 'nothing is missing' : 'read it again'}`),
        error: reject,
        complete: resolve,
      },
    );
  });
  return { name, client, seen, live };
}

/** Here the two servers are started, and killed, and their pages are played. */
async function tryIt(): Promise<void> {
  process.env['PREFIX'] = `example-${process.pid}`;
  const servers = [await startServer(), await startServer()];
  const [first, second] = servers.map((server) => server.url) as [string, string];
  const pages = [openPage('page 1', [first, second]), openPage('page 2', [second, first])];
  await Promise.all(pages.map(({ live }) => live));
  const { redis, bus } = await busOnRedis();
  let number = 0;
  const publish = async (count: number): Promise<void> => {
    for (let left = count; left > 0; left--) await bus.publish(ticks, { number: ++number });
  };
  await publish(20);
  // As a crash would: no goodbye.
  servers[0]?.child.kill('SIGKILL');
  await publish(200);
  const deadline = performance.now() + 10_000;
  while (pages.some(({ seen }) => seen.length < number) && performance.now() < deadline) await sleep(20);
  for (const { name, seen } of pages) {
    const missed = number - new Set(seen).size;
    console.log(`${name}: ${number} ticks, missed ${missed}, twice ${seen.length - new Set(seen).size}`);
  }
  await Promise.all(pages.map(({ client }) => client.dispose()));
  await bus.close();
  redis.destroy();
  servers[1]?.child.disconnect();
}
