import { describe, expect, test } from 'vitest';
import { cycles, importsOf, type SourceFile, sourceFiles } from './support/imports.ts';

const files = sourceFiles();

/**
 * The rooms of the house, and what each of them may import. A room is a folder of src, a folder of a protocol, or a file
 * that lies in src or in a protocol. A room of a protocol names the protocol's other rooms by their whole names.
 */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  core: [],
  bus: ['core'],
  adapters: ['core', '#socket', 'ws', 'node:'],
  connect: ['adapters', 'core', '#socket'],
  'graphql/protocol': ['core', 'graphql'],
  'graphql/execution': ['graphql/protocol', 'core', '#scope', 'graphql'],
  'graphql/server': ['graphql/execution', 'graphql/protocol', 'core', 'bus', '#scope', 'graphql'],
  'graphql/client': ['graphql/protocol', 'core', 'bus', 'connect', '#socket', 'graphql'],
  'graphql/http': ['graphql/server', 'graphql/execution', 'graphql/protocol', 'core', 'adapters'],
  'graphql/graphql-ws': [
    ...['graphql/server', 'graphql/client', 'graphql/execution', 'graphql/protocol'],
    ...['core', 'bus', 'adapters', 'graphql'],
  ],
  'graphql/index.ts': ['graphql/server', 'graphql/execution', 'graphql/protocol', 'core'],
  'stomp/protocol': ['core'],
  'stomp/server': ['stomp/protocol', 'core', 'bus'],
  'stomp/broker': ['stomp/server', 'stomp/protocol', 'core', 'bus'],
  'stomp/relay': ['stomp/server', 'stomp/client', 'stomp/protocol', 'core', '#tcp'],
  'stomp/client': ['stomp/protocol', 'core', 'bus', 'connect', '#socket'],
  'stomp/index.ts': ['stomp/broker', 'stomp/relay', 'stomp/server', 'stomp/protocol', 'core'],
  'mqtt/protocol': ['core'],
  'mqtt/server': ['mqtt/protocol', 'core', 'bus'],
  'mqtt/index.ts': ['mqtt/server', 'mqtt/protocol', 'core'],
  backbones: ['bus', 'core', 'adapters', 'stomp/client', 'node:'],
  events: ['core', 'bus', 'adapters'],
  testing: ['core', 'bus'],
  'browser.ts': ['core', 'bus', 'connect'],
  'index.ts': ['core', 'bus', 'adapters', 'browser.ts'],
  'extend.ts': ['core', 'bus'],
  'rxjs.ts': ['rxjs', 'bus'],
  'pubsub.ts': ['core', 'bus'],
};

/** Rooms that may be imported for their types only. */
const mayImportTypes: Readonly<Record<string, readonly string[]>> = {
  'rxjs.ts': ['graphql/client', 'graphql/protocol', 'stomp/client'],
};

/** Files that may be longer than 400 lines, with the reason. */
const longFiles: Readonly<Record<string, string>> = {};

/** Folders of src that have rooms of their own. */
const protocols = ['graphql', 'mqtt', 'stomp'];

function roomOf(path: string): string {
  const [, folder = '', inner = ''] = path.split('/');
  return protocols.includes(folder) ? `${folder}/${inner}` : folder;
}

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
    const light = /^src\/graphql\/(client|protocol)\/|faults\.ts$/;
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
      file('src/stomp/server/a.ts', "import { codec } from '../../graphql/protocol/messages.ts';"),
      file('src/bus/a.ts', "import { once } from 'node:events';"),
      file('src/stomp/server/b.ts', "import { WebSocket } from 'ws';"),
      file('src/rxjs.ts', "import { createClient } from './graphql/client/client.ts';"),
      file('src/rxjs.ts', "import type { Client } from './graphql/client/client.ts';"),
      file('src/graphql/server/b.ts', "import { createBus } from '../../bus/bus.ts';"),
    ];
    expect(wrongArrows(wrong)).toEqual([
      'src/core/a.ts imports src/bus/bus.ts',
      'src/stomp/server/a.ts imports src/graphql/protocol/messages.ts',
      'src/bus/a.ts imports node:events',
      'src/stomp/server/b.ts imports ws',
      'src/rxjs.ts imports src/graphql/client/client.ts',
    ]);
  });

  test('it refuses arrows through the walls inside a protocol', () => {
    const wrong = [
      file('src/stomp/relay/a.ts', "import type { Broker } from '../broker/broker.ts';"),
      file('src/stomp/broker/a.ts', "import { stompRelay } from '../relay/stomp-relay.ts';"),
      file('src/stomp/protocol/a.ts', "import { stompFaults } from '../server/faults.ts';"),
      file('src/graphql/execution/a.ts', "import { Operation } from '../server/operation.ts';"),
      file('src/graphql/client/a.ts', "import { graphql } from '../index.ts';"),
      file('src/graphql/client/b.ts', "import { isObject } from '../protocol/messages.ts';"),
    ];
    expect(wrongArrows(wrong)).toEqual([
      'src/stomp/relay/a.ts imports src/stomp/broker/broker.ts',
      'src/stomp/broker/a.ts imports src/stomp/relay/stomp-relay.ts',
      'src/stomp/protocol/a.ts imports src/stomp/server/faults.ts',
      'src/graphql/execution/a.ts imports src/graphql/server/operation.ts',
      'src/graphql/client/a.ts imports src/graphql/index.ts',
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
