import { describe, expect, test } from 'vitest';
import { cycles, importsOf, type SourceFile, sourceFiles } from './support/imports.ts';

const files = sourceFiles();

/** The rooms of the house, and what each of them may import. A room is a folder of src, or a file that lies in src. */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  core: [],
  bus: ['core'],
  adapters: ['core', '#socket', 'ws', 'node:'],
  graphql: ['core', 'bus', 'adapters', '#socket', 'graphql'],
  stomp: ['core', 'bus', 'adapters', '#socket'],
  'browser.ts': ['core', 'bus', 'adapters'],
  'index.ts': ['core', 'bus', 'adapters', 'browser.ts'],
  'rxjs.ts': ['rxjs', 'bus'],
};

/** Rooms that may be imported for their types only. */
const mayImportTypes: Readonly<Record<string, readonly string[]>> = {
  'rxjs.ts': ['graphql', 'stomp'],
};

/** Files that may be longer than 400 lines, with the reason. */
const longFiles: Readonly<Record<string, string>> = {};

const roomOf = (path: string): string => path.split('/')[1] as string;

/** What an import names: a room of src, `node:`, or a package. */
const targetOf = (to: string): string => (to.startsWith('src/') ? roomOf(to) : to.startsWith('node:') ? 'node:' : to);

/** Imports that point the wrong way, one line each. */
function wrongArrows(sources: readonly Pick<SourceFile, 'path' | 'imports'>[]): string[] {
  return sources.flatMap(({ path, imports }) => {
    const room = roomOf(path);
    return imports
      .filter(({ to, typeOnly }) => {
        const target = targetOf(to);
        if (to.startsWith('src/') && target === room) return false;
        return !mayImport[room]?.includes(target) && !(typeOnly && mayImportTypes[room]?.includes(target));
      })
      .map(({ to }) => `${path} imports ${to}`);
  });
}

/** Lines of code in which a pattern occurs, as file:line. */
const places = (pattern: RegExp, except: readonly string[] = []): string[] =>
  files
    .filter(({ path }) => !except.includes(path))
    .flatMap(({ path, code }) =>
      code.split('\n').flatMap((line, index) => (pattern.test(line) ? `${path}:${index + 1}: ${line.trim()}` : [])),
    );

describe('the arrows of the house', () => {
  test('every room is known', () => {
    expect(Object.keys(mayImport)).toEqual(expect.arrayContaining([...new Set(files.map(({ path }) => roomOf(path)))]));
  });

  test('imports point one way: core imports nothing, protocols never import each other', () => {
    expect(wrongArrows(files)).toEqual([]);
  });

  test('no file imports itself in a circle, not even for types', () => {
    expect(cycles(files).map((cycle) => cycle.join(' → '))).toEqual([]);
  });

  test('clients, codecs and fault tables do without the graphql package, unless for types', () => {
    const light = /(client[^/]*|codec|faults|retry|iterate)\.ts$/;
    const heavy = files.filter(({ path, imports }) =>
      imports.some(({ to, typeOnly }) => light.test(path) && to === 'graphql' && !typeOnly),
    );
    expect(heavy.map(({ path }) => path)).toEqual([]);
  });

  test('time and timers come from core alone, and from the worker that keeps time for it', () => {
    const time = /\b(Date\.now|new Date\(|performance\.now|setTimeout\(|setInterval\(|setImmediate\()/;
    expect(places(time, ['src/core/clock.ts', 'src/core/timers.ts', 'src/adapters/worker-timers.ts'])).toEqual([]);
  });

  test('there are no default exports and no any', () => {
    expect(places(/\bexport default\b|(?:[:<|]|\bas)\s*any\b|\bany\[\]/)).toEqual([]);
  });

  test('a file of more than 400 lines asks for a second noun', () => {
    const long = files.filter(({ text, path }) => text.split('\n').length > 401 && !Object.hasOwn(longFiles, path));
    expect(long.map(({ path, text }) => `${path}: ${text.split('\n').length - 1} lines`)).toEqual([]);
  });
});

describe('the check itself', () => {
  const file = (path: string, text: string): Pick<SourceFile, 'path' | 'imports'> => ({
    path,
    imports: importsOf(path, text),
  });

  test('it sees imports of values and types, on several lines, exported and dynamic ones', () => {
    const text = [
      "import './a.ts';",
      "import type { B } from '../core/b.ts';",
      "import {\n  c,\n  type D,\n} from './c.ts';",
      "export * from './d.ts';",
      "const e = import('./e.ts');",
      " * import { f } from './f.ts';",
      "// import { g } from './g.ts';",
    ].join('\n');
    expect(importsOf('src/bus/x.ts', text)).toEqual([
      { to: 'src/bus/a.ts', typeOnly: false },
      { to: 'src/core/b.ts', typeOnly: true },
      { to: 'src/bus/c.ts', typeOnly: false },
      { to: 'src/bus/d.ts', typeOnly: false },
      { to: 'src/bus/e.ts', typeOnly: false },
    ]);
  });

  test('it refuses arrows that point up', () => {
    const wrong = [
      file('src/core/a.ts', "import type { Bus } from '../bus/bus.ts';"),
      file('src/stomp/a.ts', "import { codec } from '../graphql/codec.ts';"),
      file('src/bus/a.ts', "import { once } from 'node:events';"),
      file('src/stomp/b.ts', "import { WebSocket } from 'ws';"),
      file('src/rxjs.ts', "import { createClient } from './graphql/client.ts';"),
      file('src/rxjs.ts', "import type { Client } from './graphql/client.ts';"),
      file('src/graphql/b.ts', "import { createBus } from '../bus/bus.ts';"),
    ];
    expect(wrongArrows(wrong)).toEqual([
      'src/core/a.ts imports src/bus/bus.ts',
      'src/stomp/a.ts imports src/graphql/codec.ts',
      'src/bus/a.ts imports node:events',
      'src/stomp/b.ts imports ws',
      'src/rxjs.ts imports src/graphql/client.ts',
    ]);
  });

  test('it finds circles', () => {
    const circle = [
      file('src/bus/a.ts', "import { b } from './b.ts';"),
      file('src/bus/b.ts', "import type { C } from './c.ts';"),
      file('src/bus/c.ts', "import { b } from './b.ts';"),
    ];
    expect(cycles(circle)).toEqual([['src/bus/b.ts', 'src/bus/c.ts', 'src/bus/b.ts']]);
  });
});
