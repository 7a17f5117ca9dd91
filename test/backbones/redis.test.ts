import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { redisBackbone } from '../../src/backbones/redis.ts';
import { startFaultProxy } from '../support/fault-proxy.ts';
import { freePort } from '../support/programs/program.ts';
import { startRedis } from '../support/programs/redis.ts';
import { type ClosableRedis, ioredisClient, nodeRedisClient } from '../support/redis-clients.ts';
import { describeContract } from './contract.ts';
import type { SmallHistory, World } from './world.ts';

/** A Redis behind a proxy; `durable`: it is on disk before it is confirmed. */
async function world(clients: typeof nodeRedisClient, durable: boolean, history: SmallHistory = {}): Promise<World> {
  const password = 'secret of this test';
  const appendTo = durable ? await mkdtemp(join(tmpdir(), 'subwire-redis-append-')) : undefined;
  const options = { password, ...(appendTo === undefined ? {} : { appendTo }) };
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
  return {
    backbone: ({ prefix, history: remembered } = {}) =>
      redisBackbone({ client: opening(connect), prefix, history: remembered, durable, ...history }),
    intruder: () => redisBackbone({ client: opening(intrude) }),
    async writeForeign(topic, bytes) {
      const place = String(Date.now() * 1_000);
      const tag = '{subwire:0}';
      const epoch = String(await writer.send('HGET', tag, 'e'));
      const link = String((await writer.send('ZSCORE', `${tag}:z`, topic)) ?? '0');
      const head = bytes[0] === 0xb5 ? Buffer.from(`${place} ${link} ${epoch} `) : Buffer.alloc(0);
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
    },
    async close() {
      for (const client of opened) client.end();
      await proxy.close();
      await redis.stop();
      if (appendTo !== undefined) await rm(appendTo, { recursive: true, force: true });
    },
  };
}

const abilities = {
  ids: true,
  positions: true,
  patterns: 'broker',
  queues: false,
  history: true,
  maxBody: 16_777_216,
} as const;

describe.each([
  ['redis', nodeRedisClient],
  ['ioredis', ioredisClient],
] as const)('with the package %s', (name, clients) => {
  describeContract({
    name: `${name}, memory only`,
    program: 'redis',
    abilities,
    durable: false,
    shared: true,
    world: (history) => world(clients, false, history),
  });
  describeContract({
    name: `${name}, on disk`,
    program: 'redis',
    abilities,
    durable: true,
    shared: true,
    world: (history) => world(clients, true, history),
    only: [48, 50, 53, 55, 56, 57],
  });
});

test('what is no client says so, and a wrong option names itself', () => {
  const client = { duplicate() {}, callBuffer() {} } as never;
  expect(() => redisBackbone(undefined as never)).toThrow('options must be an object with a client');
  expect(() => redisBackbone({ client: {} as never })).toThrow('must be a client of the package redis');
  expect(() => redisBackbone({ client, prefx: 'x' } as never)).toThrow('has no option "prefx"');
  expect(() => redisBackbone({ client, prefix: 'a{b}' })).toThrow('prefix must be text without');
  expect(() => redisBackbone({ client, maxAge: 0 })).toThrow('maxAge must be a number from 1 up');
  expect(() => redisBackbone({ client, history: 1 as never })).toThrow('history must be a function');
  expect(() => redisBackbone({ client: { ...(client as object), options: { keyPrefix: 'x' } } as never })).toThrow(
    'use the option prefix instead',
  );
});
