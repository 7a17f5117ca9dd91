import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { promisify } from 'node:util';
import { freePort } from '../support/programs/program.ts';
import type { ClusterBroker } from './cluster-scenarios.ts';

const run = promisify(execFile);
const program = '/usr/sbin/ip';
const ip = (...args: string[]): Promise<unknown> => run(program, args);

/** Nobody may make networks here: said aloud by whoever wanted one. */
export class NoNetworks extends Error {}

/**
 * A Redis in a network of its own, behind a pair of virtual cables. `freeze` pulls the cable: packets are lost, and nobody
 * hears of it. Throws {@link NoNetworks} where that is not permitted.
 */
export async function startPartitionedRedis(): Promise<ClusterBroker> {
  const mark = Math.floor(Math.random() * 250) + 1;
  const [name, near, far] = [`subwire-${mark}`, `subwire${mark}a`, `subwire${mark}b`];
  const [here, there] = [`10.203.${mark}.1`, `10.203.${mark}.2`];
  const inside = (...args: string[]): Promise<unknown> => ip('netns', 'exec', name, 'ip', ...args);
  try {
    await ip('netns', 'add', name);
  } catch (error) {
    throw new NoNetworks(`no network can be made here: ${(error as Error).message.trim()}`);
  }
  const removeNetwork = (): Promise<unknown> => ip('netns', 'del', name).catch(() => {});
  try {
    await ip('link', 'add', near, 'type', 'veth', 'peer', 'name', far);
    await ip('link', 'set', far, 'netns', name);
    await ip('addr', 'add', `${here}/30`, 'dev', near);
    await ip('link', 'set', near, 'up');
    await inside('addr', 'add', `${there}/30`, 'dev', far);
    await inside('link', 'set', far, 'up');
  } catch (error) {
    await removeNetwork();
    throw new NoNetworks(`no network can be made here: ${(error as Error).message.trim()}`);
  }
  const port = await freePort();
  const directory = await mkdtemp(join(tmpdir(), 'subwire-partition-'));
  const redis = spawn(
    program,
    [
      ...['netns', 'exec', name, '/usr/bin/redis-server', '--port', String(port), '--bind', there, '--save', ''],
      ...['--protected-mode', 'no', '--appendonly', 'yes', '--appendfsync', 'always', '--dir', directory],
    ],
    { stdio: 'ignore' },
  );
  const ended = once(redis, 'exit');
  while (!(await answers(there, port))) await setTimeout(50);
  return {
    address: { kind: 'redis', port, host: there, durable: true },
    async crash() {},
    async freeze(ms) {
      await inside('link', 'set', far, 'down');
      await setTimeout(ms);
      await inside('link', 'set', far, 'up');
    },
    async close() {
      redis.kill('SIGKILL');
      await ended;
      await removeNetwork();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function answers(host: string, port: number): Promise<boolean> {
  const socket = connect(port, host);
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
