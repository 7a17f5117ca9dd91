import { judge, pending } from './judge.ts';
import { lineOf } from './ledger.ts';
import { scenarios } from './scenarios.ts';

/** `npm run chaos`: every bad day in full. `CHAOS='part of a name'` chooses, `SCALE=0.1` makes them smaller. */
const { CHAOS = '', SCALE = '1' } = process.env;
let failed = 0;
for (const scenario of scenarios.filter(({ name }) => name.includes(CHAOS))) {
  const began = performance.now();
  try {
    const balance = await scenario.run(Number(SCALE));
    const problems = judge(scenario, balance);
    const isPending = scenario.name in pending;
    const state = problems.length === 0 ? (isPending ? 'HOLDS NOW' : 'well') : isPending ? 'PENDING' : 'HARM';
    if (state === 'HARM') failed++;
    const seconds = ((performance.now() - began) / 1_000).toFixed(1);
    console.log(
      `${state.padEnd(9)} ${scenario.name} (${seconds} s)\n          ${lineOf(balance)} ${problems.join('; ')}`,
    );
  } catch (error) {
    failed++;
    console.log(`BROKE     ${scenario.name}: ${(error as Error).stack}`);
  }
}
process.exit(failed > 0 ? 1 : 0);
