import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { TestAPI } from 'vitest';

/** Programs that tests use, and a file by which each is recognised. `npm run setup:programs` installs them. */
const programs = {
  chromium: '/usr/bin/chromium',
  rabbitmq: '/usr/sbin/rabbitmq-server',
  activemq: '/usr/share/activemq/lib',
  redis: '/usr/bin/redis-server',
  nats: '/usr/sbin/nats-server',
  nginx: '/usr/sbin/nginx',
  haproxy: '/usr/sbin/haproxy',
  'mosquitto-clients': '/usr/bin/mosquitto_sub',
  'python3-stomp': '/usr/lib/python3/dist-packages/stomp',
} as const;

export type ProgramName = keyof typeof programs;

/** Is this program here? */
export const isInstalled = (name: ProgramName): boolean => existsSync(programs[name]);

/**
 * The `test` to use where a program is needed. Without the program its tests are skipped, and it says so and how to
 * install it; on CI that is an error.
 *
 * @example
 * const rabbitTest = requireProgram('rabbitmq', test);
 * rabbitTest('a queue of RabbitMQ', async () => { … });
 */
export function requireProgram(name: ProgramName, test: TestAPI): TestAPI {
  if (isInstalled(name)) return test;
  const advice = `${name} is not installed here. To install it: npm run setup:programs`;
  if (process.env['CI']) throw new Error(advice);
  console.warn(`SKIPPED: ${advice}`);
  return test.skipIf(true) as TestAPI;
}

const handedOut = new Set<number>();

/** A free TCP port of 127.0.0.1, below the range from which outgoing connections take theirs. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    if (!handedOut.has(port) && (await isFree(port))) {
      handedOut.add(port);
      return port;
    }
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

export interface ProgramOptions {
  readonly name: string;
  readonly command: readonly [string, ...string[]];
  /** The private directory of {@link privateDirectory}: removed when the program ends. */
  readonly directory: string;
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** The program is ready when this port accepts a connection. */
  readonly port: number;
  /** Of this address. Default: 127.0.0.1. */
  readonly host?: string | undefined;
  /** It has to be ready within so many ms. */
  readonly within: number;
}

export interface RunningProgram {
  readonly pid: number;
  /** What it has printed lately. */
  output(): string;
  /** End it and everything that it started; resolves when all of it is gone. */
  stop(): Promise<void>;
  /** Send a signal to the program alone: SIGSTOP lets it stand still, SIGCONT go on. */
  signal(name: 'SIGSTOP' | 'SIGCONT'): Promise<void>;
  /** The same without a chance to say goodbye, as in a crash. */
  kill(): Promise<void>;
}

/** A new directory for one program, with these files in it. */
export async function privateDirectory(name: string, files: Readonly<Record<string, string>> = {}): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), `subwire-${name}-`));
  for (const [file, text] of Object.entries(files)) await writeFile(join(directory, file), text, { mode: 0o600 });
  return directory;
}

/**
 * Start a program and wait until it is ready. Fails with its last output when it ends early or takes too long. It ends
 * at the latest when this process does.
 */
export async function startProgram(options: ProgramOptions): Promise<RunningProgram> {
  const { name, command, directory, env, port, host = '127.0.0.1', within } = options;
  const supervisor = spawn(fileURLToPath(new URL('supervise.sh', import.meta.url)), [directory, ...command], {
    // In a group of its own: a Ctrl-C in the terminal reaches the tests only, and their end ends it.
    detached: true,
    env: { ...process.env, ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [supervisor.stdout, supervisor.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output = (output + text).slice(-4_000);
    });
  }
  const running: RunningProgram = {
    pid: supervisor.pid as number,
    output: () => output,
    stop: () => stop(supervisor),
    kill: () => kill(supervisor),
    async signal(name) {
      const [program] = await childrenOf(supervisor);
      if (program !== undefined) process.kill(program, name);
    },
  };
  const deadline = performance.now() + within;
  while (!(await accepts(port, host))) {
    const ended = supervisor.exitCode !== null || supervisor.signalCode !== null;
    if (!ended && performance.now() < deadline) {
      await setTimeout(50);
      continue;
    }
    await running.stop();
    const what = ended ? 'ended before it was ready' : `was not ready within ${within} ms`;
    throw new Error(`${name} ${what}. Its last output:\n${output.trim() || '(none)'}`);
  }
  return running;
}

async function stop(supervisor: ChildProcess): Promise<void> {
  if (supervisor.exitCode !== null || supervisor.signalCode !== null) return;
  const exit = once(supervisor, 'exit');
  supervisor.stdin?.end();
  await exit;
}

async function kill(supervisor: ChildProcess): Promise<void> {
  if (supervisor.exitCode !== null || supervisor.signalCode !== null) return;
  const exit = once(supervisor, 'exit');
  // The program, and what keeps watch over our end of the pipe: the supervisor finds the rest.
  for (const child of await childrenOf(supervisor)) process.kill(child, 'SIGKILL');
  await exit;
}

/** The program comes first. */
async function childrenOf({ pid }: ChildProcess): Promise<number[]> {
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8');
  return children.split(' ').filter(Boolean).map(Number);
}

/** Does somebody listen there? */
export function accepts(port: number, host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, host);
    socket.once('connect', () => socket.destroy());
    socket.once('error', () => {});
    socket.once('close', (failed) => resolve(!failed));
  });
}
