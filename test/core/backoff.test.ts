import fc from 'fast-check';
import { expect, test } from 'vitest';
import { backoff, checkRetry, readRetryHint, retryHint } from '../../src/core/backoff.ts';

const full = { random: () => 1 };

test('[CONN-33] the bound of the wait doubles from 4 s to 30 s', () => {
  expect([0, 1, 2, 3, 4, 5, 2_000].map((attempt) => backoff(attempt, full))).toEqual([
    4_000, 8_000, 16_000, 30_000, 30_000, 30_000, 30_000,
  ]);
});

test('[CONN-33] the jitter is full: any wait from 0 to the bound', () => {
  expect(backoff(0, { random: () => 0 })).toBe(0);
  expect(backoff(3, { random: () => 0.25, base: 100, cap: 1_000 })).toBe(200);
  fc.assert(
    fc.property(fc.nat(40), fc.nat(10_000), fc.nat(60_000), (attempt, base, cap) => {
      const wait = backoff(attempt, { base, cap });
      expect(wait).toBeGreaterThanOrEqual(0);
      expect(wait).toBeLessThanOrEqual(Math.min(cap, base * 2 ** attempt));
    }),
  );
});

test('[CONN-34] a hint of the server bounds the first wait, and only the first', () => {
  expect(backoff(0, full, 12_000)).toBe(12_000);
  expect(backoff(0, { random: () => 0.5 }, 90_000)).toBe(45_000);
  expect(backoff(1, full, 12_000)).toBe(8_000);
});

test('[CONN-34] a hint is read back from the end of a close reason, at most an hour', () => {
  expect(readRetryHint(`Going away${retryHint(11_999.2)}`)).toBe(12_000);
  expect(readRetryHint(`x${retryHint(999_999_999)}`)).toBe(3_600_000);
  for (const reason of ['', 'Going away', 'retry within x ms', 'retry within 5 ms!', 'retry within 9999999999 ms']) {
    expect(readRetryHint(reason)).toBeUndefined();
  }
});

test('an answer to whether to come back is a boolean, or a number of ms', () => {
  for (const answer of [true, false, 0, 5, Number.POSITIVE_INFINITY]) expect(checkRetry(answer)).toBe(answer);
  for (const answer of [Number.NaN, -1, undefined]) expect(() => checkRetry(answer as number)).toThrow(TypeError);
});
