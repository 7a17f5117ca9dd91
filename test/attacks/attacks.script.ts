import { allAttacks } from './all.ts';
import { Harness, rowOf, tableHead } from './harness.ts';
import { pending } from './pending.ts';

/**
 * `npm run attacks`: all of them in full. `ATTACK='part of a name'` chooses, `SCALE=0.1` makes them smaller, `ROUNDS=20`
 * repeats. `BUSY=1`: others use the machine.
 */
const { ATTACK = '', SCALE = '1', ROUNDS = '1', BUSY } = process.env;
const harness = new Harness({ patience: 100, times: 2, ...(BUSY === undefined ? {} : { turn: 60 }) });
const chosen = allAttacks.filter(({ name }) => name.includes(ATTACK));
const failed: string[] = [];
const waiting: string[] = [];

if (chosen.length === 0) throw new Error(`No attack is named "${ATTACK}"`);
console.log(tableHead);
for (const attack of chosen) {
  for (let round = 0; round < Number(ROUNDS); round++) {
    const outcome = await harness.run(attack, Number(SCALE));
    console.log(rowOf(outcome));
    if (outcome.problems.length > 0) (attack.name in pending ? waiting : failed).push(attack.name);
  }
}
await harness.stop();
console.log(`\n${chosen.length} attacks, ${failed.length} did harm, ${waiting.length} pending`);
for (const name of waiting) console.log(`PENDING ${name}: ${pending[name]}`);
for (const name of failed) console.log(`HARM ${name}`);
for (const { name } of chosen) {
  if (name in pending && !waiting.includes(name)) console.log(`HOLDS NOW, take it off the list: ${name}`);
}
process.exit(failed.length > 0 ? 1 : 0);
