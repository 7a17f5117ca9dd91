import { expect, test } from 'vitest';
import { createFakeClock } from './fake-clock.ts';

test('timers run in order, each at its time', () => {
  const clock = createFakeClock();
  const ran: [string, number][] = [];
  clock.watch({ deadline: 3_000, tick: (now) => ran.push(['late', now]) });
  const early = {
    deadline: 1_000,
    tick(now: number) {
      ran.push(['early', now]);
      early.deadline = Number.POSITIVE_INFINITY;
    },
  };
  clock.watch(early);
  clock.advance(2_999);
  expect(ran).toEqual([['early', 1_000]]);
  expect(clock.now()).toBe(2_999);
});

test('a sleeping process runs what fell due at the time of waking up', () => {
  const clock = createFakeClock();
  const ran: number[] = [];
  const timed = {
    deadline: 1_000,
    tick(now: number) {
      ran.push(now);
      timed.deadline = Number.POSITIVE_INFINITY;
    },
  };
  clock.watch(timed);
  clock.sleep(60_000);
  expect(ran).toEqual([60_000]);
  expect(clock.armed).toBe(0);
});

test('ends of turns run when the turn is flushed, also those that they queue', () => {
  const clock = createFakeClock();
  const ran: string[] = [];
  clock.afterTurn(() => {
    ran.push('first');
    clock.afterTurn(() => ran.push('second'));
  });
  expect(ran).toEqual([]);
  clock.turn();
  expect(ran).toEqual(['first']);
  clock.flushTurn();
  expect(ran).toEqual(['first', 'second']);
});

test('settle waits for promises and for the turns that they queue', async () => {
  const clock = createFakeClock();
  const ran: string[] = [];
  Promise.resolve()
    .then(() => {})
    .then(() => clock.afterTurn(() => ran.push('after a promise')));
  await clock.settle();
  expect(ran).toEqual(['after a promise']);
});
