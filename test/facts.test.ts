import { buildSchema } from 'graphql';
import { describe, expect, test } from 'vitest';
import { createBus } from '../src/bus/bus.ts';
import { presenceDefaults } from '../src/bus/presence-types.ts';
import { defaultBuffer } from '../src/bus/subscription.ts';
import { resolveClientLimits } from '../src/core/client-limits.ts';
import { createEndpoint } from '../src/core/endpoint.ts';
import { CloseCode } from '../src/core/fault.ts';
import { connectionLimits } from '../src/core/limits.ts';
import { resolveNumbers } from '../src/graphql/client/options.ts';
import { graphqlServer } from '../src/graphql/index.ts';
import { resolveOptions } from '../src/stomp/client/options.ts';
import { stompBroker } from '../src/stomp/index.ts';
import { beatFactors } from '../src/stomp/protocol/heart-beat.ts';
import { defaultsOf, proseDefaults } from './support/defaults.ts';
import { sourceFiles } from './support/imports.ts';
import { readText } from './support/project-files.ts';

const files = sourceFiles();

/** Code without remarks, as `file:line: text`, of other files than these. */
const linesOf = (home: readonly string[]): (readonly [place: string, line: string])[] =>
  files
    .filter(({ path }) => !home.includes(path))
    .flatMap(({ path, text }) =>
      text.split('\n').flatMap((line, index) => {
        const bare = line.replace(/\s\/\/ .*$/, '');
        return /^\s*(?:\/\/|\/\*|\*)/.test(bare) ? [] : ([[`${path}:${index + 1}: ${bare.trim()}`, bare]] as const);
      }),
    );

/** Lines of code in which a pattern stands, elsewhere than at home. */
const elsewhere = (pattern: RegExp, home: readonly string[]): string[] =>
  linesOf(home).flatMap(([place, line]) => (pattern.test(line) ? [place] : []));

describe('one place per fact', () => {
  test('close codes are numbers in core/fault.ts alone; tables of protocols and clients use their names', () => {
    // Four digits without a separator are a close code: other numbers of that size are written 1_000.
    const words = /'[^']*'|"[^"]*"|`[^`]*`/g;
    const found = linesOf(['src/core/fault.ts']).flatMap(([place, line]) =>
      /(?<![\w.`])[1-4]\d{3}(?![\w.])/.test(line.replace(words, "''")) && !/^\s*[`']/.test(line) ? [place] : [],
    );
    expect(found).toEqual([]);
  });

  test('a close code has one name', () => {
    const codes = Object.values(CloseCode);
    expect(codes).toHaveLength(new Set(codes).size);
  });

  test('headers of STOMP are listed in stomp/protocol/headers.ts alone', () => {
    const header =
      "'(?:destination|content-type|content-length|message-id|subscription|ack|redelivered|receipt|transaction|accept-version|version|host|login|passcode|heart-beat|original-destination|delivery-count)'";
    const lists = elsewhere(new RegExp(`${header},\\s*${header},\\s*${header}`), ['src/stomp/protocol/headers.ts']);
    expect(lists).toEqual([]);
    expect(elsewhere(/'(?:original-destination|delivery-count)'/, ['src/stomp/protocol/headers.ts'])).toEqual([]);
  });

  test('how punctual heart-beats are stands in stomp/protocol/heart-beat.ts alone', () => {
    const factors = Object.values(beatFactors).flatMap(({ early, tolerance }) => [early, tolerance]);
    const odd = factors
      .filter((factor) => !Number.isInteger(factor))
      .map((factor) => String(factor).replace('.', '\\.'));
    const found = elsewhere(new RegExp(`(?<![\\w.])(?:${odd.join('|')})(?![\\w.])`), [
      'src/stomp/protocol/heart-beat.ts',
    ]);
    expect(found.filter((place) => place.startsWith('src/stomp/'))).toEqual([]);
  });

  test('[CONN-41] spec-notes/limits.md lists the limits of clients and of bus subscriptions', () => {
    const rows = (of: string, values: Readonly<Record<string, number>>): string[] =>
      Object.entries(values).map(([name, value]) =>
        [name, of, value === Number.POSITIVE_INFINITY ? 'none' : value.toLocaleString('en-US')].join(' | '),
      );
    const stomp = resolveOptions({ url: 'ws://server' });
    const numbers = Object.fromEntries(Object.entries(stomp).filter(([, value]) => typeof value === 'number'));
    const noted = readText('spec-notes/limits.md')
      .split('\n')
      .filter((line) => /^\| `\w+` \|/.test(line) && line.split('|').length === 7)
      .map((line) => line.split('|').map((cell) => cell.trim().replaceAll('`', '')));
    expect(noted.map((cells) => cells.slice(1, 4).join(' | ')).sort()).toEqual(
      [
        ...rows('clients', { ...resolveClientLimits() }),
        ...rows('GraphQL client', resolveNumbers({ url: 'ws://server' })),
        ...rows('STOMP client', numbers as Record<string, number>),
        ...rows('bus subscription', { buffer: defaultBuffer }),
        ...rows('presence', presenceDefaults),
      ].sort(),
    );
    const units = Object.fromEntries(
      noted.filter(([, , of]) => of === 'clients').map(([, name = '', , , unit]) => [name, unit]),
    );
    for (const [name, unit] of Object.entries(units)) {
      expect(connectionLimits[name as keyof typeof connectionLimits].unit).toBe(unit);
    }
  });

  test('a default is said by @defaultValue, where tools look for it, and not in prose', () => {
    const prose = files.flatMap(({ path, text }) => proseDefaults(path, text));
    expect(prose).toEqual([]);
  });

  test('a number that @defaultValue names is the one of the code', () => {
    const wrong = files.flatMap(({ path, text }) =>
      defaultsOf(path, text).flatMap(({ place, name, value }) => {
        const room = path
          .split('/')
          .slice(0, path.startsWith('src/core') ? 2 : 3)
          .join('/');
        const coded = files
          .filter((file) => file.path.startsWith(room))
          .flatMap(({ code }) =>
            [...code.matchAll(new RegExp(`\\b${name}(?:: | = |: \\{ default: )(\\d[\\d_.]*)`, 'g'))].map(
              ([, number = '']) => Number(number.replaceAll('_', '')),
            ),
          );
        return coded.length === 0 || coded.includes(value) ? [] : [`${place}: ${name} is ${coded}, not ${value}`];
      }),
    );
    expect(wrong).toEqual([]);
  });
});

describe('the checks themselves', () => {
  const text = [
    'export interface Options {',
    '  /** How long, in ms. Default 5,000. */',
    '  readonly patience?: number;',
    '  /**',
    '   * How many.',
    '   *',
    '   * @defaultValue `1_000`',
    '   */',
    '  readonly many?: number;',
    '  /** By default it waits. @defaultValue `0.5` */',
    '  readonly part?: number;',
    '}',
  ].join('\n');

  test('prose that should be a tag is found', () => {
    expect(proseDefaults('src/a.ts', text)).toEqual(['src/a.ts:2: /** How long, in ms. Default 5,000. */']);
  });

  test('tags are read with the member that follows', () => {
    expect(defaultsOf('src/a.ts', text)).toEqual([
      { place: 'src/a.ts:9', name: 'many', value: 1_000 },
      { place: 'src/a.ts:11', name: 'part', value: 0.5 },
    ]);
  });
});

describe('what is counted', () => {
  /** The paths of everything in there that is no number, no text and no yes or no. */
  const strange = (value: unknown, path: string): string[] =>
    typeof value === 'object' && value !== null
      ? Object.entries(value).flatMap(([name, inner]) => strange(inner, `${path}.${name}`))
      : ['number', 'boolean', 'string'].includes(typeof value)
        ? []
        : [path];

  test('[CONN-64] one call tells what an endpoint and its protocols count, and one walk exports it', () => {
    const bus = createBus();
    const broker = stompBroker({ bus });
    const graphql = graphqlServer({ schema: buildSchema('type Query { hello: String }') });
    const endpoint = createEndpoint({ protocols: [graphql, broker] });
    const stats = endpoint.stats();
    expect(stats.protocols).toEqual({ 'graphql-transport-ws': graphql.stats(), 'v12.stomp': broker.stats() });
    expect([...strange(stats, 'endpoint'), ...strange(bus.stats(), 'bus')]).toEqual([]);
  });
});
