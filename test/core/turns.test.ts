import { expect, test } from 'vitest';
import { Turns } from '../../src/core/turns.ts';
import { createFakeClock } from '../support/fake-clock.ts';

test('[CONN-94] what is heavy is done in its turn, and what it throws is its own', async () => {
  const clock = createFakeClock();
  const turns = new Turns(clock);
  const log: string[] = [];
  const heavy = (name: string): Promise<string> =>
    turns.heavy(() => {
      log.push(`${name} ${clock.now()}`);
      clock.sleep(50);
      if (name === 'b') throw new Error('no JSON');
      return name;
    });
  const all = Promise.allSettled([heavy('a'), heavy('b'), heavy('c')]);
  clock.advance(500);
  expect(log).toEqual(['a 0', 'b 100', 'c 200']);
  expect((await all).map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  expect(turns.deadline).toBe(Number.POSITIVE_INFINITY);
});
