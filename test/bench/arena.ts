import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { startRabbitMq } from '../support/programs/rabbitmq.ts';
import type { Goal, Sample } from './contest.ts';
import { contestTable } from './contest.ts';
import { startChild } from './ipc.ts';
import type { Stretch } from './load/load.ts';
import { program } from './peers.ts';
import type { ServerReady, Usage } from './servers/harness.ts';
import { type ProfileRow, printed } from './servers/profile.ts';
import type { Table } from './table.ts';
import { type Contender, present, type Scale } from './workload.ts';

/** Rounds in which everything is compiled and nothing is counted. */
const warmUps = 2;

/** A server that runs, whoever made it. */
export interface RunningServer extends ServerReady {
  usage(): Promise<Usage>;
  /** Collect garbage, where the server can be told to. */
  collect(): Promise<void>;
  stop(): Promise<void>;
  /** Where its time goes while `run` runs; absent where it cannot tell. */
  profile?(run: () => Promise<unknown>): Promise<ProfileRow[]>;
}

/** A server beside which others are measured. */
export interface ServerContender extends Contender {
  /** A program of `servers/`, or RabbitMQ. */
  readonly server: string | 'rabbitmq';
  readonly options?: object | undefined;
  /** What the load generator is asked to do with it. */
  load(server: ServerReady): { readonly name: string; readonly plan: object };
}

export async function startServer({
  server,
  options = {},
}: Pick<ServerContender, 'server' | 'options'>): Promise<RunningServer> {
  if (server === 'rabbitmq') return startRabbit();
  const child = await startChild<ServerReady>(program(`servers/${server}`), options, ['--expose-gc']);
  return {
    ...child.ready,
    usage: () => child.ask<Usage>('usage'),
    collect: () => child.ask('collect'),
    stop: child.stop,
    async profile(run) {
      await child.ask('startProfile');
      await run();
      return child.ask<ProfileRow[]>('stopProfile');
    },
  };
}

async function startRabbit(): Promise<RunningServer> {
  const rabbit = await startRabbitMq();
  const pid = processBelow(rabbit.pid, 'beam.smp');
  return {
    port: Number(new URL(rabbit.url).port),
    controlPort: 0,
    usage: async () => usageOf(pid),
    collect: async () => {},
    stop: () => rabbit.stop(),
  };
}

/** The descendant of a process that runs this command. */
function processBelow(ancestor: number, command: string): number {
  const parents = new Map<number, number>();
  const found: number[] = [];
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry) || !existsSync(`/proc/${entry}/stat`)) continue;
    const { name, fields } = statOf(Number(entry));
    parents.set(Number(entry), Number(fields[1]));
    if (name === command) found.push(Number(entry));
  }
  const below = found.find((pid) => {
    for (let each: number | undefined = pid; each !== undefined; each = parents.get(each))
      if (each === ancestor) return true;
    return false;
  });
  if (below === undefined) throw new Error(`Process ${ancestor} has no ${command} below it`);
  return below;
}

function statOf(pid: number): { readonly name: string; readonly fields: string[] } {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const end = text.lastIndexOf(')');
  return { name: text.slice(text.indexOf('(') + 1, end), fields: text.slice(end + 2).split(' ') };
}

/** Linux counts CPU time in ticks of 10 ms, and memory in pages of 4 KiB. */
function usageOf(pid: number): Usage {
  const { fields } = statOf(pid);
  return {
    user: Number(fields[11]) * 10_000,
    system: Number(fields[12]) * 10_000,
    rss: Number(fields[21]) * 4_096,
  };
}

/**
 * Every contender's server with a load generator of its own, all at once but loaded in turn: one after the other in
 * each round, so that a slow minute of the machine is slow for all of them.
 */
export async function contest(
  title: string,
  contenders: readonly ServerContender[],
  scale: Scale,
  { subjects = ['subwire'], goals = [], notes = [] }: { subjects?: string[]; goals?: Goal[]; notes?: string[] } = {},
): Promise<Table> {
  const taking = present(contenders, scale);
  const samples = new Map<string, Sample[]>();
  const running = new Map<string, Entered>();
  const failures: string[] = [];
  const profiles: string[] = [];
  /** A peer that fails is told of, and the others go on. */
  const attempt = async (label: string, run: () => Promise<void>): Promise<void> => {
    try {
      await run();
    } catch (error) {
      await running.get(label)?.stop();
      running.delete(label);
      samples.delete(label);
      failures.push(`Failed: ${label} (${(error as Error).message.split('\n', 1)[0]}).`);
      console.log(failures.at(-1));
    }
  };
  try {
    for (const contender of taking.present) {
      await attempt(contender.label, async () => {
        running.set(contender.label, await enter(contender, scale));
      });
    }
    for (let round = -warmUps; round < scale.rounds; round++) {
      for (const [label, { round: play }] of running) {
        await attempt(label, async () => {
          const sample = await play();
          if (round >= 0) samples.set(label, [...(samples.get(label) ?? []), sample]);
        });
      }
    }
    if (scale.profile) {
      for (const subject of subjects) {
        const entered = running.get(subject);
        if (entered) profiles.push(await entered.profile());
      }
    }
  } finally {
    await Promise.all([...running.values()].map(({ stop }) => stop()));
  }
  return contestTable(title, samples, subjects, goals, [...notes, ...profiles, ...taking.notes, ...failures]);
}

interface Entered {
  round(): Promise<Sample>;
  /** Prints what the server does, and sums it up. */
  profile(): Promise<string>;
  stop(): Promise<void>;
}

async function enter(contender: ServerContender, { stretch }: Scale): Promise<Entered> {
  const server = await startServer(contender);
  const load = await startChild(program('load/load'), {});
  const stop = async (): Promise<void> => {
    await Promise.all([load.stop(), server.stop()]);
  };
  const { name, plan } = contender.load(server);
  try {
    await load.ask(name, plan);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    stop,
    async profile() {
      return printed(contender.label, (await server.profile?.(() => load.ask('run', 2_000))) ?? []);
    },
    async round(): Promise<Sample> {
      const before = await server.usage();
      const { messages, elapsed, p50, p99 } = await load.ask<Stretch>('run', stretch);
      const after = await server.usage();
      const user = (after.user - before.user) / messages;
      const cpu = user + (after.system - before.system) / messages;
      return { cpu, user, rate: (messages / elapsed) * 1_000, p50, p99, rss: after.rss };
    },
  };
}
