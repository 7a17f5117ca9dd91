import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { localBackbone } from '../../../src/backbones/local.ts';
import { startFaultProxy } from '../../support/fault-proxy.ts';
import { hastyClock } from '../../support/hasty-clock.ts';
import type { SmallHistory, World } from '../world.ts';

const script = fileURLToPath(new URL('../hub.script.ts', import.meta.url));
const token = 'a-token-of-tests';

/** A hub in a process of its own, behind a proxy. */
export async function localWorld(history: SmallHistory = {}): Promise<World> {
  const directory = await mkdtemp(join(tmpdir(), 'subwire-contract-'));
  const [path, proxyPath] = [join(directory, 'hub'), join(directory, 'proxy')];
  const proxy = await startFaultProxy(proxyPath, path);

  async function start() {
    const options = JSON.stringify({ address: `${token}@${path}`, ...history });
    const hub = spawn(process.execPath, ['--import', 'tsx', script, options], { stdio: ['pipe', 'pipe', 'inherit'] });
    await once(hub.stdout, 'data');
    return hub;
  }

  let hub = await start();
  const ended = async (signal: 'SIGKILL' | 'SIGTERM'): Promise<void> => {
    if (hub.exitCode !== null || hub.signalCode !== null) return;
    const exit = once(hub, 'exit');
    hub.kill(signal);
    await exit;
  };
  return {
    backbone: ({ clock = history.hasty ? hastyClock : undefined } = {}) =>
      localBackbone({ address: `${token}@${proxyPath}`, clock }),
    intruder: () => localBackbone({ address: `another-token@${proxyPath}` }),
    faults: {
      kill: () => ended('SIGKILL'),
      async restart() {
        hub = await start();
      },
      stop: () => void hub.kill('SIGSTOP'),
      resume: () => void hub.kill('SIGCONT'),
      cut: proxy.cut,
      swallowAnswers: proxy.swallowAnswers,
      freeze: proxy.freeze,
      thaw: proxy.thaw,
    },
    async close() {
      await proxy.close();
      await ended('SIGKILL');
      await rm(directory, { recursive: true, force: true });
    },
  };
}
