/** The load generator: a process of its own beside each server. */
import { answer } from '../ipc.ts';
import { ClosedLoop, type ClosedLoopPlan } from './closed-loop.ts';
import { type Dialect, openSockets } from './dialect.ts';
import { FanOut, type FanOutPlan } from './fan-out.ts';
import { QueueLoop, type QueuePlan } from './queue-loop.ts';

/** What one stretch of load brought. */
export interface Stretch {
  readonly messages: number;
  readonly elapsed: number;
  readonly p50: number;
  readonly p99: number;
}

/** A way to put load on a server, once its sockets are open. */
export interface Loading {
  run(ms: number): Promise<Stretch>;
}

/** An answer that does not come within this many ms after its stretch never comes. */
const patience = 10_000;

function within(ms: number, loaded: Promise<Stretch>): Promise<Stretch> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('An answer did not come')), ms + patience);
    loaded.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

let loading: Loading;

answer({
  fanOut: async (plan: FanOutPlan) => {
    loading = await FanOut.open(plan);
  },
  closedLoop: async (plan: ClosedLoopPlan) => {
    loading = await ClosedLoop.open(plan);
  },
  queue: async (plan: QueuePlan) => {
    loading = await QueueLoop.open(plan);
  },
  idle: async ({ dialect, sockets }: { dialect: Dialect; sockets: number }) => {
    await openSockets(dialect, sockets);
  },
  run: (ms: number) => within(ms, loading.run(ms)),
});
