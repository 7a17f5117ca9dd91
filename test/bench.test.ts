import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { digits, markdown, median } from './bench/table.ts';

const run = fileURLToPath(new URL('bench/run.ts', import.meta.url));
const bench = (...names: string[]) => promisify(execFile)(process.execPath, ['--import', 'tsx', run, ...names]);

test('a quick bench prints a table of subwire beside raw ws', { timeout: 60_000 }, async () => {
  const { stdout } = await bench('graphql-100b', '--quick');
  const rows = stdout.split('\n').filter((line) => line.startsWith('|'));
  const cells = rows.map((row) =>
    row
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
  expect(cells[0]).toEqual(['', 'CPU µs/msg', 'of it user', '÷ subwire', 'msg/s', 'p50 ms', 'p99 ms', 'RSS MiB']);
  expect(cells.slice(2).map(([label]) => label)).toEqual(['subwire', 'raw ws']);
  expect(cells[2]?.[3]).toBe('1');
  for (const row of cells.slice(2)) for (const cell of row.slice(1)) expect(cell).toMatch(/^\d/);
});

test('a wrong bench name lists the names', { timeout: 30_000 }, async () => {
  await expect(bench('nonsense')).rejects.toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/There is no bench nonsense\. There are:\n {2}graphql-100b\n/),
  });
});

test('tables are Markdown with aligned columns', () => {
  const table = {
    title: 'Title',
    columns: ['', 'µs'],
    rows: [['ours', digits(median([3, 1, 2]))]],
    notes: ['A note.'],
  };
  expect(markdown(table)).toBe('### Title\n\n|      |   µs |\n| ---- | ---: |\n| ours | 2.00 |\n\nA note.\n');
});
