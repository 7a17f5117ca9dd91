import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { redisBackbone } from '../../../src/backbones/redis.ts';
import { startFaultProxy } from '../../support/fault-proxy.ts';
import { hastyClock } from '../../support/hasty-clock.ts';
import { freePort } from '../../support/programs/program.ts';
import { startRedis } from '../../support/programs/redis.ts';
import { type ClosableRedis, ioredisClient, nodeRedisClient } from '../../support/redis-clients.ts';
import type { SmallHistory, World } from '../world.ts';

/** A Redis behind a proxy; `durable`: it is on disk before it is confirmed. */
export async function redisWorld(
  name: 'redis' | 'ioredis',
  durable: boolean,
  { hasty = false, ...history }: SmallHistory = {},
): Promise<World> {
  const clients = name === 'redis' ? nodeRedisClient : ioredisClient;
  const password = 'secret of this test';
  const storeIn = await mkdtemp(join(tmpdir(), 'subwire-redis-store-'));
  const options = { password, ...(durable ? { appendTo: storeIn } : { snapshotIn: storeIn }) };
  let redis = await startRedis(options);
  const { port } = redis;
  const proxyPort = await freePort();
  const proxy = await startFaultProxy(proxyPort, port);
  const connect = await clients({ port: proxyPort, password });
  const intrude = await clients({ port: proxyPort, password: 'wrong' });
  const opened: ClosableRedis[] = [];
  const opening = (make: () => ClosableRedis): ClosableRedis => {
    const client = make();
    opened.push(client);
    return client;
  };
  const writer = opening(connect);
  let lastPlace = 0;
  return {
    backbone: ({ prefix, history: remembered, clock } = {}) =>
      redisBackbone({
        ...{ client: opening(connect), prefix, history: remembered, durable, ...history },
        clock: hasty ? hastyClock : clock,
      }),
    intruder: () => redisBackbone({ client: opening(intrude) }),
    async writeForeign(topic, bytes) {
      lastPlace = Math.max(lastPlace + 1, Date.now() * 1_000);
      const tag = '{subwire:0}';
      const epoch = String(await writer.send('HGET', tag, 'e'));
      const link = String((await writer.send('ZSCORE', `${tag}:z`, topic)) ?? '0');
      const head = bytes[0] === 0xb5 ? Buffer.from(`${lastPlace} ${link} ${epoch} `) : Buffer.alloc(0);
      await writer.send('PUBLISH', `${tag}#${topic}`, Buffer.concat([head, bytes]));
    },
    faults: {
      kill: () => redis.kill(),
      async restart() {
        redis = await startRedis({ ...options, port });
      },
      stop: () => void redis.signal('SIGSTOP'),
      resume: () => void redis.signal('SIGCONT'),
      cut: proxy.cut,
      swallowAnswers: proxy.swallowAnswers,
      freeze: proxy.freeze,
      thaw: proxy.thaw,
      async cutSubscribers() {
        await writer.send('CLIENT', 'KILL', 'TYPE', 'pubsub');
      },
      ...(!durable && {
        async remember() {
          await writer.send('SAVE');
        },
      }),
    },
    async clientWorks() {
      return (await opened.at(-1)?.send('PING')) !== undefined;
    },
    async close() {
      for (const client of opened) client.end();
      await proxy.close();
      await redis.stop();
      await rm(storeIn, { recursive: true, force: true });
    },
  };
}
