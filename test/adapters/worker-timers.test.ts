import { resolveObjectURL } from 'node:buffer';
import { runInNewContext } from 'node:vm';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { workerTimers } from '../../src/adapters/worker-timers.ts';

/** As much of a browser's `Worker` as is needed, with the timers of the test. */
class FakeWorker {
  static last: FakeWorker;
  onmessage: (event: { data: unknown }) => void = () => {};
  onerror: () => void = () => {};
  terminated = false;
  readonly loaded: Promise<void>;
  readonly #inside: { onmessage?: (event: { data: unknown }) => void } & Record<string, unknown> = {};

  constructor(url: string) {
    FakeWorker.last = this;
    Object.assign(this.#inside, {
      setTimeout: (run: () => void, ms: number) => setTimeout(run, ms),
      clearTimeout: (timer: ReturnType<typeof setTimeout>) => clearTimeout(timer),
      postMessage: (data: unknown) => this.onmessage({ data }),
    });
    this.loaded = (async () => {
      runInNewContext((await resolveObjectURL(url)?.text()) ?? '', this.#inside);
    })();
  }

  postMessage(data: unknown): void {
    this.#inside.onmessage?.({ data });
  }

  terminate(): void {
    this.terminated = true;
  }
}

beforeEach(() => {
  vi.stubGlobal('Worker', FakeWorker);
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

test('a worker tells when a deadline has come, and forgets what was forgotten', async () => {
  const timers = workerTimers();
  await FakeWorker.last.loaded;
  const start = timers.now();
  const heard: string[] = [];
  const timed = (name: string, ms: number) => ({
    deadline: start + ms,
    tick() {
      heard.push(name);
      this.deadline = Number.POSITIVE_INFINITY;
    },
  });
  const forgotten = timed('forgotten', 100);
  for (const each of [timed('second', 200), timed('first', 100), forgotten]) timers.watch(each);
  expect(vi.getTimerCount()).toBe(3);
  timers.forget(forgotten);
  expect(vi.getTimerCount()).toBe(2);
  vi.advanceTimersByTime(150);
  expect(heard).toEqual(['first']);
  vi.advanceTimersByTime(50);
  expect(heard).toEqual(['first', 'second']);
});

test('what was cleared while it was under way does nothing, nor does anything after the end', async () => {
  const timers = workerTimers();
  const worker = FakeWorker.last;
  await worker.loaded;
  let ticks = 0;
  const timed = { deadline: timers.now() + 10, tick: () => ticks++ };
  timers.watch(timed);
  timers.forget(timed);
  worker.onmessage({ data: 1 });
  timers.watch(timed);
  timers.dispose();
  vi.advanceTimersByTime(1_000);
  expect([ticks, worker.terminated]).toEqual([0, true]);
});

test.each(['tells so later', 'throws'])(
  "[CONN-83] where no worker may be loaded, which %s, the page's timers serve",
  (how) => {
    if (how === 'throws') {
      vi.stubGlobal(
        'Worker',
        class {
          constructor() {
            throw new Error('SecurityError');
          }
        },
      );
    }
    const timers = workerTimers();
    const start = timers.now();
    const heard: string[] = [];
    const timed = (name: string, ms: number) => ({
      deadline: start + ms,
      tick() {
        heard.push(name);
        this.deadline = Number.POSITIVE_INFINITY;
      },
    });
    const forgotten = timed('forgotten', 90);
    for (const each of [timed('before', 100), forgotten]) timers.watch(each);
    if (how !== 'throws') {
      // What the worker was asked for, it never does.
      vi.clearAllTimers();
      vi.advanceTimersByTime(40);
      FakeWorker.last.onerror();
      FakeWorker.last.onerror();
    }
    timers.forget(forgotten);
    timers.watch(timed('after', 120));
    vi.advanceTimersByTime(130);
    expect(heard).toEqual(['before', 'after']);
    timers.watch({ deadline: timers.now() + 10, tick: () => heard.push('never') });
    timers.dispose();
    vi.advanceTimersByTime(1_000);
    expect(heard).toEqual(['before', 'after']);
  },
);
