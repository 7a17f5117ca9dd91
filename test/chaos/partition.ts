import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { promisify } from 'node:util';
import { accepts, freePort } from '../support/programs/program.ts';
import { startRabbitMq } from '../support/programs/rabbitmq.ts';
import type { ClusterBroker } from './cluster-scenarios.ts';

const run = promisify(execFile);
const program = '/usr/sbin/ip';
const ip = (...args: string[]): Promise<unknown> => run(program, args);

/** Nobody may make networks here: said aloud by whoever wanted one. */
export class NoNetworks extends Error {}

/** A network behind a pair of virtual cables. */
interface Network {
  readonly name: string;
  /** Of what runs in it. */
  readonly address: string;
  /** Pull the cable for so many ms: packets are lost, and nobody hears of it. */
  cut(ms: number): Promise<void>;
  remove(): Promise<void>;
}

/** Throws {@link NoNetworks} where that is not permitted. */
async function makeNetwork(): Promise<Network> {
  const mark = Math.floor(Math.random() * 250) + 1;
  const [name, near, far] = [`subwire-${mark}`, `subwire${mark}a`, `subwire${mark}b`];
  const [here, there] = [`10.203.${mark}.1`, `10.203.${mark}.2`];
  const inside = (...args: string[]): Promise<unknown> => ip('netns', 'exec', name, 'ip', ...args);
  const remove = async (): Promise<void> => void (await ip('netns', 'del', name).catch(() => {}));
  const refused = (error: unknown): NoNetworks =>
    new NoNetworks(`no network can be made here: ${(error as Error).message.trim()}`);
  try {
    await ip('netns', 'add', name);
  } catch (error) {
    throw refused(error);
  }
  try {
    await ip('link', 'add', near, 'type', 'veth', 'peer', 'name', far);
    await ip('link', 'set', far, 'netns', name);
    await ip('addr', 'add', `${here}/30`, 'dev', near);
    await ip('link', 'set', near, 'up');
    await inside('addr', 'add', `${there}/30`, 'dev', far);
    await inside('link', 'set', far, 'up');
    // Erlang talks to itself.
    await inside('link', 'set', 'lo', 'up');
  } catch (error) {
    await remove();
    throw refused(error);
  }
  return {
    name,
    address: there,
    remove,
    async cut(ms) {
      await inside('link', 'set', far, 'down');
      await setTimeout(ms);
      await inside('link', 'set', far, 'up');
    },
  };
}

/** A Redis in a network of its own; `freeze` pulls the cable. Throws {@link NoNetworks} where that is not permitted. */
export async function startPartitionedRedis(): Promise<ClusterBroker> {
  const network = await makeNetwork();
  const { name, address } = network;
  const port = await freePort();
  const directory = await mkdtemp(join(tmpdir(), 'subwire-partition-'));
  const redis = spawn(
    program,
    [
      ...['netns', 'exec', name, '/usr/bin/redis-server', '--port', String(port), '--bind', address, '--save', ''],
      ...['--protected-mode', 'no', '--appendonly', 'yes', '--appendfsync', 'always', '--dir', directory],
    ],
    { stdio: 'ignore' },
  );
  const ended = once(redis, 'exit');
  while (!(await accepts(port, address))) await setTimeout(50);
  return {
    address: { kind: 'redis', port, host: address, durable: true },
    async crash() {},
    freeze: (ms) => network.cut(ms),
    async close() {
      redis.kill('SIGKILL');
      await ended;
      await network.remove();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** The same with a RabbitMQ. */
export async function startPartitionedRabbitMq(): Promise<ClusterBroker> {
  const network = await makeNetwork();
  try {
    const rabbit = await startRabbitMq({ network });
    return {
      address: { kind: 'rabbitmq', port: rabbit.port, host: network.address },
      async crash() {},
      freeze: (ms) => network.cut(ms),
      async close() {
        await rabbit.stop();
        await network.remove();
      },
    };
  } catch (error) {
    await network.remove();
    throw error;
  }
}
