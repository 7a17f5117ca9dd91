import { describe, expect, test } from 'vitest';
import { redisBackbone } from '../../src/backbones/redis.ts';
import { requireProgram } from '../support/programs/program.ts';
import { startRedis } from '../support/programs/redis.ts';
import { nodeRedisClient } from '../support/redis-clients.ts';
import { describeContract } from './contract.ts';
import { redisWorld } from './worlds/redis.ts';

const abilities = {
  ids: true,
  positions: true,
  patterns: 'broker',
  queues: false,
  history: true,
  maxBody: 16_777_216,
} as const;

describe.each(['redis', 'ioredis'] as const)('with the package %s', (name) => {
  describeContract({
    name: `${name}, memory only`,
    program: 'redis',
    abilities,
    durable: false,
    shared: true,
    world: (history) => redisWorld(name, false, history),
  });
  describeContract({
    name: `${name}, on disk`,
    program: 'redis',
    abilities,
    durable: true,
    shared: true,
    world: (history) => redisWorld(name, true, history),
    only: [48, 50, 53, 55, 56, 57],
  });
});

requireProgram('redis', test)(
  'an id of a publisher is kept for 5 min, that of a batch for 60 s (case 14)',
  async () => {
    const redis = await startRedis();
    const client = (await nodeRedisClient({ port: redis.port }))();
    const backbone = redisBackbone({ client });
    backbone.open({ message() {}, gap() {}, state() {}, unreadable() {} });
    await backbone.publish('a', Buffer.from('x'), { id: 'order-7' });
    const keys = (await client.send('KEYS', '*')) as string[];
    const left = await Promise.all(keys.map(async (key) => Number(await client.send('PTTL', key))));
    const [longest = 0, next = 0, ...rest] = left.filter((ms) => ms > 0).toSorted((a, b) => b - a);
    expect([longest > 299_000 && longest <= 300_000, next <= 120_000, rest.some((ms) => ms <= 60_000)]).toEqual([
      true,
      true,
      true,
    ]);
    await backbone.close();
    client.end();
    await redis.stop();
  },
);

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
