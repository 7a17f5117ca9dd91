import { isInstalled } from '../support/programs/program.ts';
import { clusterScenarios } from './cluster-scenarios.ts';
import { judge, pending } from './judge.ts';
import { lineOf } from './ledger.ts';
import { NoNetworks } from './partition.ts';
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
for (const { name, program, again, run } of clusterScenarios.filter((each) => each.name.includes(CHAOS))) {
  const began = performance.now();
  if (program !== undefined && !isInstalled(program)) {
    console.log(`SKIPPED   ${name}: ${program} is not installed here (npm run setup:programs)`);
    continue;
  }
  try {
    const balance = await run();
    // What is missing was told; a queue may hand out what it handed out to somebody who was killed.
    const problems = judge({ tells: true }, again ? { ...balance, doubled: 0 } : balance);
    if (problems.length > 0) failed++;
    const seconds = ((performance.now() - began) / 1_000).toFixed(1);
    console.log(`${(problems.length > 0 ? 'HARM' : 'well').padEnd(9)} ${name} (${seconds} s)`);
    console.log(`          ${lineOf(balance)} ${problems.join('; ')}`);
  } catch (error) {
    if (error instanceof NoNetworks) {
      console.log(`SKIPPED   ${name}: ${error.message}`);
      continue;
    }
    failed++;
    console.log(`BROKE     ${name}: ${(error as Error).stack}`);
  }
}
process.exit(failed > 0 ? 1 : 0);
