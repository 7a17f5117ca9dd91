import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { transform } from 'esbuild';
import { buildSchema, parse, specifiedRules, type ValidationRule, validate } from 'graphql';
import { expect, test } from 'vitest';
import { connectionLimits, type LimitTable } from '../src/core/limits.ts';
import { graphqlLimits } from '../src/graphql/server/limits.ts';
import { mqttLimits } from '../src/mqtt/server/limits.ts';
import { brokerLimits } from '../src/stomp/broker/limits.ts';
import { relayLimits } from '../src/stomp/relay/limits.ts';
import { stompLimits } from '../src/stomp/server/limits.ts';
import { pending } from './attacks/pending.ts';
import { fileExists, readText, root } from './support/project-files.ts';

const tables: readonly (readonly [of: string, table: LimitTable])[] = [
  ['every connection', connectionLimits],
  ['GraphQL', graphqlLimits],
  ['MQTT', mqttLimits],
  ['STOMP', stompLimits],
  ['STOMP broker', without(brokerLimits, stompLimits)],
  ['STOMP relay', without(relayLimits, stompLimits)],
];

function without(table: LimitTable, other: LimitTable): LimitTable {
  return Object.fromEntries(Object.entries(table).filter(([name]) => !Object.hasOwn(other, name)));
}

function limitRows(): string {
  const rows = tables.flatMap(([of, table]) =>
    Object.entries(table).map(([name, { default: value, unit, fault }]) => {
      const number = value === Number.POSITIVE_INFINITY ? 'none' : value.toLocaleString('en-US');
      return `| \`${name}\` | ${of} | ${number} | ${unit} | ${fault} |`;
    }),
  );
  return ['| limit | of | default | unit | fault |', '| --- | --- | --- | --- | --- |', ...rows].join('\n');
}

const marked = /(<!-- limits: begin -->\n)(.*?)(<!-- limits: end -->)/s;

test('SECURITY.md has the limits of the code; UPDATE=1 writes them', async () => {
  const text = readText('SECURITY.md');
  const wanted = text.replace(
    marked,
    (_, begin: string, _rows: string, end: string) => `${begin}${limitRows()}\n${end}`,
  );
  if (process.env['UPDATE']) await writeFile(join(root, 'SECURITY.md'), wanted);
  else expect(marked.exec(text)?.[2]?.trim()).toBe(limitRows());
});

test('every promise of SECURITY.md has a test, which is there', () => {
  const rows =
    readText('SECURITY.md')
      .split('## Promises')[1]
      ?.split('\n')
      .filter((line) => /^\| [A-Z]/.test(line)) ?? [];
  expect(rows.length).toBeGreaterThan(20);
  const missing = rows.flatMap((row) => {
    const links = [...row.matchAll(/\[([^\]]+)\]\((test\/[^)]+)\)/g)];
    if (links.length === 0) return [`no test: ${row}`];
    return links.flatMap(([, words = '', file = '']) => {
      const [, name] = /^(?:attack|chaos|fuzz): (.+)$/.exec(words) ?? [];
      if (!fileExists(file)) return [`${file} does not exist`];
      return name === undefined || readText(file).includes(name) ? [] : [`${file} has no "${name}"`];
    });
  });
  expect(missing).toEqual([]);
});

test('the rule for depth and cost that SECURITY.md shows works', async () => {
  const [, source = ''] = /```ts\n(.*?)```/s.exec(readText('SECURITY.md')) ?? [];
  const { code } = await transform(source, { loader: 'ts', format: 'esm' });
  const file = join(root, '.cache/security-example.mjs');
  await mkdir(join(root, '.cache'), { recursive: true });
  await writeFile(file, code);
  const { limitShape } = (await import(pathToFileURL(file).href)) as {
    limitShape: (limits: { maxDepth: number; maxCost: number }) => ValidationRule;
  };
  const schema = buildSchema('type Query { name: String  all(first: Int): [Query] }');
  const rule = limitShape({ maxDepth: 4, maxCost: 100 });
  const complaints = (query: string): string[] =>
    validate(schema, parse(query), [...specifiedRules, rule]).map(({ message }) => message);
  expect(complaints('{ all(first: 5) { name all(first: 3) { name } } }')).toEqual([]);
  expect(complaints('{ all(first: 1) { all(first: 1) { all(first: 1) { all(first: 1) { name } } } } }')).toEqual([
    'The document is more than 4 deep',
  ]);
  expect(complaints('{ all { ...A } } fragment A on Query { all { name } }')).toEqual([
    'The document costs more than 100',
  ]);
  // Fragments that double eighty times cost what they cost, and are not walked that often.
  const chain = Array.from({ length: 80 }, (_, at) => `fragment F${at} on Query { ...F${at + 1} ...F${at + 1} }`);
  expect(complaints(`{ ...F0 } ${chain.join(' ')} fragment F80 on Query { name }`)).toEqual([
    'The document costs more than 100',
  ]);
  expect(complaints('{ ...A } fragment A on Query { ...A }')).toContain('Cannot spread fragment "A" within itself.');
});

test('what SECURITY.md says does not hold yet is what the attacks say', () => {
  const section = readText('SECURITY.md').split('## What does not hold yet')[1]?.split('\n## ')[0] ?? '';
  const named = [...section.matchAll(/^- \*\*([^*]+)\*\*/gm)].map(([, name]) => name);
  expect(named).toEqual(Object.keys(pending));
});
