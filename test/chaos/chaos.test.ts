import { expect, test } from 'vitest';
import { judge, pending } from './judge.ts';
import { lineOf } from './ledger.ts';
import { scenarios } from './scenarios.ts';

const short = scenarios.flatMap((scenario) =>
  scenario.short === undefined ? [] : [{ ...scenario, scale: scenario.short }],
);

// Each waits most of its time.
test.concurrent.each(short)('$name', { timeout: 120_000 }, async (scenario) => {
  const balance = await scenario.run(scenario.scale);
  const problems = judge(scenario, balance);
  if (!(scenario.name in pending)) return expect(problems, lineOf(balance)).toEqual([]);
  const state = problems.length > 0 ? `PENDING (${pending[scenario.name]})` : 'HOLDS NOW, take it off the list';
  console.warn(`${state}: ${scenario.name}: ${lineOf(balance)}`);
});
