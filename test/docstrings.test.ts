import { expect, test } from 'vitest';
import { undocumented } from './support/docstrings.ts';
import { sourceFiles } from './support/imports.ts';

/** Rooms that are still to be written: this list only shrinks. */
const unwritten: readonly string[] = ['src/graphql/server/', 'src/graphql/graphql-ws/make-server.ts'];

test('what is exported says what it is, members too', () => {
  const silent = sourceFiles()
    .filter(({ path }) => !unwritten.some((room) => path.startsWith(room)))
    .flatMap(({ path, text }) => undocumented(path, text));
  expect(silent.map(({ place, name }) => `${place}: ${name} has no docstring`)).toEqual([]);
});

test('the check itself sees interfaces, classes, functions and constants, and what they say', () => {
  const text = [
    '/** Said. */',
    'export interface A {',
    '  /** Said. */',
    '  readonly said: number;',
    '  silent?: string;',
    '  call<T>(value: T): void;',
    '  call(value: string): void;',
    '}',
    'export class B {',
    '  #own = 1;',
    '  private kept = 2;',
    '  open = 3;',
    '  constructor() {',
    '    this.open = 4;',
    '  }',
    '  /** Said. */',
    '  get loud(): number {',
    '    return 5;',
    '  }',
    '  run(): void {}',
    '}',
    '/** Said. */',
    'export function f(): void {}',
    'export const g = 1;',
    'interface Hidden {',
    '  nothing: string;',
    '}',
  ].join('\n');
  expect(undocumented('src/x.ts', text)).toEqual([
    { place: 'src/x.ts:5', name: 'A.silent' },
    { place: 'src/x.ts:6', name: 'A.call' },
    { place: 'src/x.ts:9', name: 'B' },
    { place: 'src/x.ts:12', name: 'B.open' },
    { place: 'src/x.ts:20', name: 'B.run' },
    { place: 'src/x.ts:24', name: 'g' },
  ]);
});
