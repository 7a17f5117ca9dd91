import { expect, test } from 'vitest';
import { firstSeed, runFuzz } from './fuzz.ts';
import { createLiveFuzz } from './live.ts';

const fuzz = createLiveFuzz();

test(fuzz.name, { timeout: 60_000 }, async () => {
  const { count } = await runFuzz(fuzz, fuzz.short, firstSeed());
  expect(count).toBeGreaterThanOrEqual(fuzz.short);
});
