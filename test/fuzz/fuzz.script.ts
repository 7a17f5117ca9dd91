import { fork } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { allFuzz } from './all.ts';
import { type FuzzOutcome, firstSeed, runFuzz } from './fuzz.ts';

/**
 * `npm run fuzz`: everything, long. `FUZZ='part of a name'` chooses, `COUNT=1000` says how many of each, `SEED=7` where
 * it begins, `JOBS=1` how many processes share the work.
 */
const { FUZZ = '', COUNT, JOBS, FUZZ_SHARE } = process.env;
const seed = firstSeed();
const chosen = allFuzz.filter(({ name }) => name.includes(FUZZ));
const outcomes: FuzzOutcome[] = [];

if (chosen.length === 0) throw new Error(`No fuzz is named "${FUZZ}". There are:\n${allFuzz.map(nameOf).join('\n')}`);
if (FUZZ_SHARE !== undefined) {
  for (const fuzz of chosen) process.send?.(await runFuzz(fuzz, Number(FUZZ_SHARE), seed));
  process.exit();
}

const jobs = COUNT === '1' ? 1 : Number(JOBS ?? Math.max(1, availableParallelism()));
console.log(`seed ${seed} (SEED=${seed} makes the same inputs again), ${jobs} processes`);
for (const fuzz of chosen) {
  const share = Math.ceil(Number(COUNT ?? fuzz.long) / jobs);
  const parts = await Promise.all(Array.from({ length: jobs }, (_, job) => runShare(fuzz.name, share, job)));
  const count = parts.reduce((sum, part) => sum + part.count, 0);
  const seconds = Math.max(...parts.map((part) => part.seconds));
  outcomes.push({ ...fuzz, count, seconds });
  console.log(
    `${String(count).padStart(11)} ${fuzz.unit.padEnd(10)} ${seconds.toFixed(1).padStart(7)} s  ${fuzz.name}`,
  );
}
console.log(
  `all well: ${outcomes.length} kinds in ${outcomes.reduce((sum, { seconds }) => sum + seconds, 0).toFixed(0)} s`,
);

/** A share of one kind, in a process of its own and with seeds of its own. */
async function runShare(name: string, share: number, job: number): Promise<FuzzOutcome> {
  const child = fork(import.meta.filename, {
    execArgv: process.execArgv,
    env: { ...process.env, FUZZ: name, FUZZ_SHARE: String(share), SEED: String((seed + job * 1_000_000_000) >>> 0) },
  });
  let outcome: FuzzOutcome | undefined;
  child.on('message', (message) => {
    outcome = message as FuzzOutcome;
  });
  await once(child, 'exit');
  if (!outcome) process.exit(1);
  return outcome;
}

function nameOf({ name }: { readonly name: string }): string {
  return name;
}
