import { describe, expect, test } from 'vitest';
import { redisBackbone } from '../../src/backbones/redis.ts';
import { startFaultProxy } from '../support/fault-proxy.ts';
import { freePort, requireProgram } from '../support/programs/program.ts';
import { type Redis, startRedis } from '../support/programs/redis.ts';
import { type ClosableRedis, ioredisClient, nodeRedisClient } from '../support/redis-clients.ts';
import { Server, until } from './world.ts';

const tested = requireProgram('redis', test);

/** A primary with a replica, behind one address that follows the failover. */
async function pair() {
  const [primary, replica] = [await startRedis(), await startRedis()];
  const port = await freePort();
  const proxy = await startFaultProxy(port, primary.port);
  const clients: ClosableRedis[] = [];
  const client = async (make: typeof nodeRedisClient, to = port): Promise<ClosableRedis> => {
    const made = (await make({ port: to }))();
    clients.push(made);
    return made;
  };
  const onReplica = await client(nodeRedisClient, replica.port);
  await until(() => onReplica.isUp(), 'the replica');
  await onReplica.send('REPLICAOF', '127.0.0.1', String(primary.port));
  const follows = async (): Promise<boolean> =>
    String(await onReplica.send('INFO', 'replication')).includes('master_link_status:up');
  while (!(await follows())) await new Promise((resolve) => setTimeout(resolve, 20));
  return {
    client,
    onReplica,
    replica,
    /** The replica takes over, and whoever is connected comes to it. */
    async failover() {
      await onReplica.send('REPLICAOF', 'NO', 'ONE');
      await primary.kill();
      proxy.retarget(replica.port);
      proxy.cut();
    },
    async close() {
      for (const each of clients) each.end();
      await proxy.close();
      await Promise.all([primary, replica].map((redis: Redis) => redis.stop()));
    },
  };
}

describe.each([
  ['redis', nodeRedisClient],
  ['ioredis', ioredisClient],
] as const)('a replica takes over, with the package %s', (_name, make) => {
  tested('with replicas: 1 all that was confirmed is there, and a gap is said', { timeout: 30_000 }, async () => {
    const { client, onReplica, replica, failover, close } = await pair();
    const [one, other] = [0, 1].map(async () => new Server(redisBackbone({ client: await client(make), replicas: 1 })));
    const [writer, reader] = [await (one as Promise<Server>), await (other as Promise<Server>)];
    await reader.backbone.subscribe('a');
    const confirmed: string[] = [];
    const publish = async (text: string): Promise<void> => {
      await writer.publish('a', text);
      confirmed.push(text);
    };
    await Promise.all(Array.from({ length: 50 }, (_, index) => publish(String(index))));
    // The replica stands still: nothing is confirmed that it does not have.
    await replica.signal('SIGSTOP');
    const late = writer.publish('a', 'unknown', { timeout: 700 });
    await expect(late).rejects.toMatchObject({ reason: 'timeout', stored: 'unknown' });
    await replica.signal('SIGCONT');
    await Promise.all(Array.from({ length: 50 }, (_, index) => publish(String(50 + index))));
    const { epoch } = reader.messages[0]?.position ?? {};
    await failover();
    // The new primary has no replica: who asks for one is told that there is none.
    await expect(writer.publish('a', 'unknown', { timeout: 1_500 })).rejects.toMatchObject({ stored: 'unknown' });
    const easy = new Server(redisBackbone({ client: await client(make) }));
    await easy.publish('a', 'after');
    confirmed.push('after');
    await until(() => reader.bodies('a').includes('after'), 'the message after it', 15_000);
    expect([...new Set(reader.bodies('a'))].filter((text) => text !== 'unknown')).toEqual(confirmed);
    await until(() => reader.gaps.length > 0, 'the gap', 8_000);
    const kept = String(await onReplica.send('XLEN', '{subwire:0}:s:a'));
    expect(Number(kept)).toBeGreaterThanOrEqual(confirmed.length);
    // Whoever was away cannot be sure: the replica might have lost the end of the log.
    expect(await reader.backbone.since?.('a', { epoch: String(epoch), offset: 1 }, 10)).toBe(undefined);
    await Promise.all([writer, reader, easy].map(({ backbone }) => backbone.close()));
    await close();
  });
});

tested('without a replica nothing is confirmed that one should have, and the words say so', async () => {
  const redis = await startRedis();
  const client = (await nodeRedisClient({ port: redis.port }))();
  const server = new Server(redisBackbone({ client, replicas: 1 }));
  const failed = server.publish('a', 'x', { timeout: 1_500 });
  await expect(failed).rejects.toThrow('0 of 1 replicas have the message');
  await expect(failed).rejects.toMatchObject({ stored: 'unknown' });
  for (const replicas of [-1, 1.5, '1', Number.NaN]) {
    expect(() => redisBackbone({ client, replicas } as never)).toThrow('replicas must be');
  }
  await server.backbone.close();
  client.end();
  await redis.stop();
});
