import { expect, test } from 'vitest';
import { fileExists, filesBelow, readText } from './support/project-files.ts';
import { mentionsInTitles, mentionsInTranscript, mismatches, parseRules } from './support/rules.ts';

test('every rule of spec-notes stands in a test title, and no title names an unknown one', () => {
  const rules = filesBelow('spec-notes', '.md').flatMap((file) => parseRules(file, readText(file)));
  const mentions = [
    ...filesBelow('test', '.test.ts')
      .filter((file) => file !== 'test/rules.test.ts')
      .flatMap((file) => mentionsInTitles(file, readText(file))),
    ...filesBelow('test/transcripts', '.wire').flatMap((file) => mentionsInTranscript(file, readText(file))),
  ];
  expect(rules.length).toBeGreaterThan(0);
  expect(mismatches(rules, mentions, fileExists).join('\n')).toBe('');
});

const row = (id: string): string => `- [${id}] MUST. Something is done. → src/core/fault.ts`;

test('a row is read with its level, its words and its files', () => {
  const text = 'Prose.\n\n- [A-1] SHOULD. Look → left. → src/a.ts, src/b.ts\n- no rule\n';
  expect(parseRules('notes.md', text)).toEqual([
    { id: 'A-1', level: 'SHOULD', text: 'Look → left.', files: ['src/a.ts', 'src/b.ts'], place: 'notes.md:3' },
  ]);
});

test.each([
  '- [A-1] Must. Something is done. → src/a.ts',
  '- [A-1] MUST. Something is done.',
  '- [A-1] MUST Something is done. → src/a.ts',
  '* [A-1] MUST. Something is done. → src/a.ts',
  '  - [A-1] MUST. Something is done. → src/a.ts',
])('a row that does not parse fails with its line: %s', (line) => {
  expect(() => parseRules('notes.md', `# Notes\n${line}\n`)).toThrow('notes.md:2: not a rule');
});

test('a rule that no title names is a problem', () => {
  expect(mismatches(parseRules('n.md', row('A-1')), [], () => true)).toEqual([
    'n.md:1: [A-1] stands in no test title: Something is done.',
  ]);
});

test('an unknown id in a title is a problem', () => {
  const mentions = mentionsInTitles('t.ts', "const a = 1;\ntest.each(versions)(\n  '[A-1] [A-2] works',\n  () => {});");
  expect(mismatches(parseRules('n.md', row('A-1')), mentions, () => true)).toEqual(['t.ts:2: there is no rule [A-2]']);
});

test('an id outside of a title does not count', () => {
  expect(mentionsInTitles('t.ts', "// [A-1]\nexpect(text).toBe('[A-1]');")).toEqual([]);
});

test('the head of a transcript is a title', () => {
  expect(mentionsInTranscript('t.wire', '# [A-1] [A-2] both\nC: [A-3]\n')).toEqual([
    { id: 'A-1', place: 't.wire:1' },
    { id: 'A-2', place: 't.wire:1' },
  ]);
});

test('an id that is given twice is a problem', () => {
  const rules = parseRules('n.md', `${row('A-1')}\n${row('A-1')}`);
  expect(mismatches(rules, [{ id: 'A-1', place: 't.ts:1' }], () => true)).toEqual([
    'n.md:2: [A-1] is taken already, at n.md:1',
  ]);
});

test('a file that does not exist is a problem', () => {
  const rules = parseRules('n.md', row('A-1'));
  expect(mismatches(rules, [{ id: 'A-1', place: 't.ts:1' }], () => false)).toEqual([
    'n.md:1: [A-1] names src/core/fault.ts, which does not exist',
  ]);
});
