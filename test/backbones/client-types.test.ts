import { connect, headers } from '@nats-io/transport-node';
import { Redis } from 'ioredis';
import { createClient } from 'redis';
import { expect, test } from 'vitest';
import { natsBackbone } from '../../src/backbones/nats.ts';
import { redisBackbone } from '../../src/backbones/redis.ts';

/** What users write, with the types of the packages: it has to compile. */
const written = [
  () => redisBackbone({ client: createClient({ url: 'redis://127.0.0.1:6379' }) }),
  () => redisBackbone({ client: new Redis('redis://127.0.0.1:6379') }),
  async () => natsBackbone({ connection: await connect({ servers: '127.0.0.1:4222' }), headers }),
];

test('clients of redis, ioredis and NATS are taken as their packages type them', () => {
  expect(written).toHaveLength(3);
});
