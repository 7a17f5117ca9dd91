import { expect, test } from 'vitest';
import { requireProgram } from '../support/programs/program.ts';
import { clusterScenarios } from './cluster-scenarios.ts';
import { judge } from './judge.ts';
import { lineOf } from './ledger.ts';

// Those that are short; `npm run chaos` runs all of them.
for (const { name, program, again, run } of clusterScenarios.filter(({ short }) => short)) {
  const tested = program === undefined ? test : requireProgram(program, test);
  tested(name, { timeout: 60_000 }, async () => {
    const balance = await run();
    expect(judge({ tells: true }, again ? { ...balance, doubled: 0 } : balance), lineOf(balance)).toEqual([]);
  });
}
