import { describe, expect, test } from 'vitest';
import { redisBackbone } from '../../src/backbones/redis.ts';
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
