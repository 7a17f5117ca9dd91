/**
 * The benchmark: `npm run bench [-- name …] [--only subwire,yoga] [--quick] [--write] [--profile] [--rounds 5] [--stretch 700]`. Prints one table per
 * workload; `--write` keeps them in RESULTS.md, `--profile` says where the time of subwire goes.
 */
import { parseArgs } from 'node:util';
import { buildPrograms, installPeers } from './peers.ts';
import { writeResults } from './results.ts';
import { markdown, type Table } from './table.ts';
import type { Scale } from './workload.ts';
import { workloads } from './workloads/index.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    only: { type: 'string' },
    quick: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '5' },
    profile: { type: 'boolean', default: false },
    stretch: { type: 'string', default: '700' },
  },
});

const unknown = positionals.filter((name) => !workloads.some((workload) => workload.name === name));
if (unknown.length > 0) {
  console.error(
    `There is no bench ${unknown.join(', ')}. There are:\n${workloads.map(({ name }) => `  ${name}`).join('\n')}`,
  );
  process.exit(1);
}

const { quick, profile } = values;
// A smoke run needs nothing but the project itself.
const only = values.only?.split(',') ?? (quick ? ['subwire', 'raw ws'] : undefined);
const scale: Scale = quick
  ? { quick, only, profile, rounds: 1, stretch: 50 }
  : { quick, only, profile, rounds: Number(values.rounds), stretch: Number(values.stretch) };
if (!scale.quick) installPeers();
await buildPrograms();

const tables = new Map<string, Table>();
for (const workload of workloads) {
  if (positionals.length > 0 && !positionals.includes(workload.name)) continue;
  console.log(`\n${workload.name} …`);
  const table = await workload.run(scale);
  tables.set(workload.name, table);
  console.log(`\n${markdown(table)}`);
}
if (values.write) writeResults(tables);
// Programs of others, such as RabbitMQ, end with this process.
process.exit();
