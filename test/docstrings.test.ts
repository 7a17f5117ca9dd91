import { expect, test } from 'vitest';
import { interfacesOf, undocumented } from './support/docstrings.ts';
import { sourceFiles } from './support/imports.ts';

/** Rooms that are still to be written: this list only shrinks. */
const unwritten: readonly string[] = [];

test('what is exported says what it is, members too', () => {
  const files = sourceFiles();
  const interfaces = interfacesOf(files.map(({ text }) => text));
  const silent = files
    .filter(({ path }) => !unwritten.some((room) => path.startsWith(room)))
    .flatMap(({ path, text }) => undocumented(path, text, interfaces));
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

test('what a class implements is said by its interface', () => {
  const texts = [
    'interface A extends B<string> {\n  one(): void;\n}\nexport interface B<T> {\n  readonly two: T;\n}\n',
    '/** Said. */\nexport class C\n  extends D\n  implements A, E\n{\n  one(): void {}\n  readonly two = 2;\n  three(): void {}\n}\n',
  ];
  expect(undocumented('src/c.ts', texts[1] ?? '', interfacesOf(texts))).toEqual([
    { place: 'src/c.ts:8', name: 'C.three' },
  ]);
});
