import { afterAll, expect, test } from 'vitest';
import { allAttacks } from './all.ts';
import { Harness, rowOf } from './harness.ts';
import { pending } from './pending.ts';

// Other tests share the machine: the figures that are promised are those of `npm run attacks`.
const harness = new Harness({ patience: 300, times: 3, turn: 60 });
afterAll(() => harness.stop());

const short = allAttacks.flatMap((attack) => (attack.short === undefined ? [] : [{ ...attack, scale: attack.short }]));

test.each(short)('$finding: $name', { timeout: 120_000 }, async (attack) => {
  const outcome = await harness.run(attack, attack.scale);
  if (!(attack.name in pending)) return expect(outcome.problems, rowOf(outcome)).toEqual([]);
  const state = outcome.problems.length > 0 ? `PENDING (${pending[attack.name]})` : 'HOLDS NOW, take it off the list';
  console.warn(`${state}: ${rowOf(outcome)}`);
});
