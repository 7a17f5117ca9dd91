import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, test } from 'vitest';
import { startLocalHub } from '../../src/backbones/local.ts';
import { until } from './world.ts';

const script = fileURLToPath(new URL('./presence.script.ts', import.meta.url));

let processes: ChildProcess[] = [];
afterEach(() => {
  for (const each of processes) each.kill('SIGKILL');
  processes = [];
});

/** A server in a process of its own, and what it said last. */
function start(order: object) {
  const child = spawn(process.execPath, ['--import', 'tsx', script, JSON.stringify(order)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  processes.push(child);
  const server = { child, users: [] as string[], servers: 0 };
  createInterface({ input: child.stdout }).on('line', (line) => {
    const said = JSON.parse(line) as { users: string[]; servers: number };
    server.users = said.users.toSorted();
    server.servers = said.servers;
  });
  return server;
}

test('[PRESENCE-3] kill -9 of one of three servers: those who were on it leave, and no others', async () => {
  const hub = await startLocalHub();
  try {
    const order = { address: hub.address, entries: 0, churn: 0, every: 50, interval: 300, window: 300 };
    const [one, two, three] = ['ada', 'bob', 'eve'].map((name) => start({ ...order, name }));
    const know = (users: readonly string[]) => () =>
      [two, three].every((server) => server?.users.join() === users.join());
    await until(know(['ada', 'bob', 'eve']), 'all three know each other');
    one?.child.kill('SIGKILL');
    await until(know(['bob', 'eve']), 'those of the dead server are gone', 5_000);
    const again = start({ ...order, name: 'ada' });
    await until(know(['ada', 'bob', 'eve']), 'it is back');
    await until(() => again.users.length === 3 && again.servers === 2, 'it knows the others');
  } finally {
    await hub.close();
  }
});
