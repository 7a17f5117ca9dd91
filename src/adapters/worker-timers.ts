import type { Timers } from '../core/clock.ts';
import { createTimers } from '../core/timers.ts';

/** A message is an id and a time; without a time the timer is cleared. */
const script = `const timers = new Map();
onmessage = ({ data: [id, ms] }) => {
  clearTimeout(timers.get(id));
  timers.delete(id);
  if (ms !== undefined) timers.set(id, setTimeout(() => { timers.delete(id); postMessage(id); }, ms));
};`;

export interface WorkerTimers extends Timers {
  /** End the worker; nothing that was waited for comes any more. */
  dispose(): void;
}

/**
 * Time from a worker: browsers slow the timers of hidden tabs down to one a minute, those of workers not, so that
 * heart-beats go on. A page with a Content-Security-Policy has to allow `worker-src blob:`.
 *
 * @example
 * const client = createStompClient({ brokerURL: 'wss://host/ws', clock: workerTimers() });
 */
export function workerTimers(): WorkerTimers {
  const url = URL.createObjectURL(new Blob([script], { type: 'text/javascript' }));
  const worker = new Worker(url);
  const waiting = new Map<number, () => void>();
  let count = 0;
  worker.onmessage = ({ data }: { readonly data: number }) => {
    // It may have been cleared while this was under way.
    const run = waiting.get(data);
    waiting.delete(data);
    run?.();
  };
  const timers = createTimers<number>(
    (run, ms) => {
      waiting.set(++count, run);
      worker.postMessage([count, ms]);
      return count;
    },
    (id) => {
      waiting.delete(id);
      worker.postMessage([id]);
    },
  );
  return {
    ...timers,
    dispose() {
      waiting.clear();
      worker.terminate();
      URL.revokeObjectURL(url);
    },
  };
}
