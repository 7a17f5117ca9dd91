/** Each codec and session file is covered wholly, lines and branches, by the test file of its own name. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const files = [
  ...['protocol/messages', 'server/session', 'client/client-session'].map((name) => `graphql/${name}`),
  ...['protocol/decoder', 'protocol/encoder', 'server/stomp-session', 'client/client-session'].map(
    (name) => `stomp/${name}`,
  ),
];

async function check(file: string): Promise<boolean> {
  const command = [
    'node_modules/vitest/vitest.mjs',
    ...['run', `test/${file}.test.ts`, '--reporter=dot', '--coverage'],
    ...[`--coverage.include=src/${file}.ts`, `--coverage.reportsDirectory=coverage/own/${file}`],
    ...['--coverage.thresholds.lines=100', '--coverage.thresholds.branches=100', '--coverage.reporter=text'],
  ];
  try {
    await promisify(execFile)(process.execPath, command, { env: { ...process.env, NO_COLOR: '1' } });
    return true;
  } catch (error) {
    const { stdout, stderr } = error as { readonly stdout: string; readonly stderr: string };
    console.error(`src/${file}.ts is not covered wholly by test/${file}.test.ts:\n${stdout}${stderr}`);
    return false;
  }
}

const covered: boolean[] = [];
const queue = [...files];
await Promise.all(
  // As many at a time as small machines have cores.
  [1, 2].map(async () => {
    for (let file = queue.shift(); file !== undefined; file = queue.shift()) covered.push(await check(file));
  }),
);
console.log(`Own coverage: ${covered.filter(Boolean).length} of ${files.length} files at 100 % of lines and branches`);
process.exitCode = covered.every(Boolean) ? 0 : 1;
