import type { Timers } from '../core/clock.ts';
import { createTimers } from '../core/timers.ts';

/** A message is an id and a time; without a time the timer is cleared. */
const script = `const timers = new Map();
onmessage = ({ data: [id, ms] }) => {
  clearTimeout(timers.get(id));
  timers.delete(id);
  if (ms !== undefined) timers.set(id, setTimeout(() => { timers.delete(id); postMessage(id); }, ms));
};`;

/** Time from a worker. */
export interface WorkerTimers extends Timers {
  /** Ends the worker; nothing that was waited for comes any more. */
  dispose(): void;
}

/** A timer that waits. `at` is in ms of `performance.now()`; `page` is the page's own timer, where there is no worker. */
interface Wait {
  readonly run: () => void;
  readonly at: number;
  page?: ReturnType<typeof setTimeout>;
}

/**
 * Time from a worker: browsers slow the timers of hidden tabs down to one a minute, those of workers not, so that
 * heart-beats go on. A page with a Content-Security-Policy has to allow `worker-src blob:`; where the worker cannot be
 * loaded, the page's own timers serve instead ([CONN-83]).
 *
 * @example
 * const client = createStompClient({ url: 'wss://host/ws', clock: workerTimers() });
 */
export function workerTimers(): WorkerTimers {
  const url = URL.createObjectURL(new Blob([script], { type: 'text/javascript' }));
  const waiting = new Map<number, Wait>();
  let count = 0;
  let worker = load();

  function load(): Worker | undefined {
    try {
      const loaded = new Worker(url);
      loaded.onmessage = ({ data }: { readonly data: number }) => fire(data);
      // The script throws nothing: an error means that it was not allowed to load.
      loaded.onerror = fallBack;
      return loaded;
    } catch {
      return undefined;
    }
  }

  function fire(id: number): void {
    // It may have been cleared while this was under way.
    const wait = waiting.get(id);
    waiting.delete(id);
    wait?.run();
  }

  function fallBack(): void {
    if (!worker) return;
    worker = undefined;
    for (const [id, wait] of waiting) start(id, wait);
  }

  function start(id: number, wait: Wait): void {
    const ms = Math.max(0, wait.at - performance.now());
    if (worker) worker.postMessage([id, ms]);
    else wait.page = setTimeout(fire, ms, id);
  }

  function clear(id: number): void {
    clearTimeout(waiting.get(id)?.page);
    waiting.delete(id);
    worker?.postMessage([id]);
  }

  return {
    ...createTimers<number>((run, ms) => {
      const wait = { run, at: performance.now() + ms };
      waiting.set(++count, wait);
      start(count, wait);
      return count;
    }, clear),
    dispose() {
      for (const { page } of waiting.values()) clearTimeout(page);
      waiting.clear();
      worker?.terminate();
      URL.revokeObjectURL(url);
    },
  };
}
