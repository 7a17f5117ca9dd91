import { expect, test } from 'vitest';
import { Rate } from '../../src/core/rate.ts';

/** Offer a message every `interval` ms for `total` ms; how many passed, and when patience ended. */
function offer(rate: Rate, interval: number, total: number, start = 0) {
  let passed = 0;
  for (let now = start; now < start + total; now += interval) {
    if (rate.take(now)) passed++;
    else if (rate.exhausted(now)) return { passed, cutAt: now };
  }
  return { passed, cutAt: undefined };
}

test("[CONN-15] a second's worth may come at once, then as many as flow in again", () => {
  const rate = new Rate(125, 0);
  let passed = 0;
  while (rate.take(0)) passed++;
  expect(passed).toBe(125);
  expect(rate.nextAt(0)).toBe(8);
  expect(rate.take(4)).toBe(false);
  expect(rate.nextAt(4)).toBe(8);
  expect(rate.take(8)).toBe(true);
  expect(rate.take(8)).toBe(false);
});

test.each([0.5, 1, 2, 10, 1_000])('[CONN-15] at a rate of %d a peer at that rate passes for ever', (perSecond) => {
  const rate = new Rate(perSecond, 0);
  expect(offer(rate, 1_000 / perSecond, 60_000).cutAt).toBeUndefined();
});

test.each([0.5, 1, 2, 10, 1_000])('[CONN-15] at a rate of %d three times as many are cut after 10 s', (perSecond) => {
  const { cutAt } = offer(new Rate(perSecond, 0), 1_000 / perSecond / 3, 60_000);
  expect(cutAt).toBeGreaterThan(10_000);
  expect(cutAt).toBeLessThan(18_000);
});

test('[CONN-15] who falls quiet is forgiven: two bursts an hour apart cut nobody', () => {
  for (const perSecond of [1, 5]) {
    const rate = new Rate(perSecond, 0);
    offer(rate, 1, 100);
    expect(rate.take(3_600_000)).toBe(true);
    offer(rate, 1, 100, 3_600_000);
    expect(rate.exhausted(3_600_100)).toBe(false);
  }
});
