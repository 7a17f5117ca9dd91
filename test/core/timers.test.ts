import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Timed } from '../../src/core/clock.ts';
import { timers } from '../../src/core/timers.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** Something that notes when it was called, and what it wants next. */
function timed(deadline: number, next: readonly number[] = []): Timed & { deadline: number; readonly at: number[] } {
  const left = [...next];
  const made = {
    deadline,
    at: [] as number[],
    tick(now: number) {
      made.at.push(now);
      made.deadline = left.shift() ?? Number.POSITIVE_INFINITY;
    },
  };
  return made;
}

test('each is called at its deadline, as often as it wants', () => {
  const start = timers.now();
  const one = timed(start + 100, [start + 300]);
  const other = timed(start + 200);
  for (const each of [one, other]) timers.watch(each);
  vi.advanceTimersByTime(1_000);
  expect([one.at, other.at]).toEqual([[start + 100, start + 300], [start + 200]]);
  expect(vi.getTimerCount()).toBe(0);
});

test('a deadline that moves later costs nothing until the timer fires; one that moves earlier sets it anew', () => {
  const start = timers.now();
  const it = timed(start + 100);
  timers.watch(it);
  it.deadline = start + 500;
  timers.watch(it);
  expect(vi.getTimerCount()).toBe(1);
  vi.advanceTimersByTime(400);
  expect(it.at).toEqual([]);
  it.deadline = start + 450;
  timers.watch(it);
  vi.advanceTimersByTime(100);
  expect(it.at).toEqual([start + 450]);
});

test('what was forgotten, or never wants anything, is not called', () => {
  const it = timed(timers.now() + 100);
  timers.watch(it);
  timers.forget(it);
  timers.forget(it);
  for (const deadline of [Number.POSITIVE_INFINITY, Number.NaN]) timers.watch(timed(deadline));
  expect(vi.getTimerCount()).toBe(0);
  vi.advanceTimersByTime(1_000);
  expect(it.at).toEqual([]);
});

test('a wait of more than 31 bits of ms is made of several', () => {
  const start = timers.now();
  const it = timed(start + 3e9);
  timers.watch(it);
  vi.advanceTimersByTime(2_999_999_000);
  expect(it.at).toEqual([]);
  vi.advanceTimersByTime(1_000);
  expect(it.at).toEqual([start + 3e9]);
});

test('[CONN-31] a tab that slept reads what arrived meanwhile before anything ends', () => {
  const start = timers.now();
  const it = timed(start + 100);
  timers.watch(it);
  let slept = start + 60_000;
  vi.spyOn(performance, 'now').mockImplementation(() => slept);
  vi.advanceTimersToNextTimer();
  expect([it.at, vi.getTimerCount()]).toEqual([[], 1]);
  slept += 5;
  vi.advanceTimersToNextTimer();
  expect(it.at).toEqual([start + 60_005]);
});
