import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isPattern, PatternIndex } from '../../src/bus/pattern.ts';

/** What the index says in a few slow lines. */
function matches(pattern: string, topic: string): boolean {
  const wanted = pattern.split(/[./]/);
  const path = topic.split(/[./]/);
  const rest = wanted.at(-1) === '**';
  const fixed = rest ? wanted.slice(0, -1) : wanted;
  if (rest ? path.length < fixed.length : path.length !== fixed.length) return false;
  return fixed.every((segment, index) => segment === '*' || segment === path[index]);
}

const segment = fc.constantFrom('a', 'b', '', '*', '**', 'c');
const name = fc
  .tuple(fc.array(segment, { minLength: 1, maxLength: 4 }), fc.constantFrom('.', '/'))
  .map(([path, separator]) => path.join(separator));

test('the index finds what a naive matcher finds, through changes', () => {
  const step = fc.record({ pattern: name, add: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), fc.array(name, { maxLength: 8 }), (steps, topics) => {
      const index = new PatternIndex<string>();
      const held = new Set<string>();
      for (const { pattern, add } of steps) {
        const key = pattern.replaceAll('/', '.');
        if (add) {
          index.set(pattern, key);
          held.add(key);
        } else expect(index.delete(pattern)).toBe(held.delete(key));
        expect(index.get(pattern)).toBe(add ? key : undefined);
      }
      expect([index.size, [...index.values()].sort()]).toEqual([held.size, [...held].sort()]);
      for (const topic of topics) {
        const expected = [...held].filter((pattern) => matches(pattern, topic));
        expect(index.match(topic).sort()).toEqual(expected.sort());
      }
      for (const pattern of held) expect(index.delete(pattern)).toBe(true);
      expect(index.size).toBe(0);
    }),
  );
});

test.each([
  ['prices.*', 'prices.eur', true],
  ['prices.*', 'prices', false],
  ['prices.*', 'prices.eur.usd', false],
  ['prices.**', 'prices', true],
  ['prices.**', 'prices.eur.usd', true],
  ['*.eur', 'prices.eur', true],
  ['**', 'anything.at/all', true],
  ['prices/*', 'prices.eur', true],
])('%s and %s: %s', (pattern, topic, expected) => {
  const index = new PatternIndex<string>();
  index.set(pattern, 'x');
  expect(index.match(topic)).toEqual(expected ? ['x'] : []);
});

test('only whole segments make a pattern', () => {
  expect(['a.*', '**', 'a/**/b', '*'].filter(isPattern)).toHaveLength(4);
  expect(['a', 'a*', 'a.b*c', '', 'a.***'].filter(isPattern)).toEqual([]);
});

test('a value is matched once, even where the topic itself has a star in it', () => {
  const index = new PatternIndex<string>();
  index.set('prices.*', 'x');
  expect(index.match('prices.*')).toEqual(['x']);
});

test('a wildcard in the first segment matches no private name, as in MQTT', () => {
  const index = new PatternIndex<string>();
  for (const pattern of ['**', '*.a', '*.**', '$user.*', '$user.**']) index.set(pattern, pattern);
  expect(index.match('$user.a').sort()).toEqual(['$user.*', '$user.**']);
});

test('[BUS-4] a pattern of more than 32 segments is refused', () => {
  const index = new PatternIndex<string>();
  index.set(Array(32).fill('*').join('.'), 'x');
  expect(index.match(Array(32).fill('a').join('.'))).toEqual(['x']);
  expect(() => index.set(Array(33).fill('*').join('.'), 'x')).toThrow(RangeError);
});

test('[BUS-5] what a lookup costs is bounded, however many patterns there are and however they branch', () => {
  const index = new PatternIndex<number>();
  const random = (bits: number): string[] =>
    Array.from({ length: 32 }, (_, at) => ((bits >> (at % 31)) & 1 ? '*' : 'a'));
  let refused = 0;
  for (let count = 0; count < 2_000; count++) {
    const path = random(Math.imul(count, 0x9e3779b1));
    path[31] = `tail-${count}`;
    try {
      index.set(path.join('.'), count);
    } catch (error) {
      expect(error).toMatchObject({ fault: 'tooMany' });
      refused++;
    }
  }
  // Every shape of at most six segments, and every depth without `*`, beside those.
  for (let depth = 1; depth <= 6; depth++) {
    for (let mask = 0; mask < 2 ** depth; mask++) {
      const path = Array.from({ length: depth }, (_, at) => ((mask >> at) & 1 ? '*' : 'a'));
      for (const end of [[], ['**']]) index.set([...path, ...end].join('.'), mask);
    }
  }
  for (let depth = 7; depth < 32; depth++) index.set(`${Array(depth).fill('a').join('.')}.**`, depth);
  expect(refused).toBeGreaterThan(1_000);
  const before = index.lookups;
  index.match(Array(32).fill('a').join('.'));
  expect(index.lookups - before).toBeLessThan(512);
  // What a stranger's patterns take is free again when they go.
  for (let count = 0; count < 2_000; count++) {
    const path = random(Math.imul(count, 0x9e3779b1));
    path[31] = `tail-${count}`;
    index.delete(path.join('.'));
  }
  index.set('a.b.c.d.e.f.g.*', 1);
  expect(index.match('a.b.c.d.e.f.g.h')).toContain(1);
});

test('[BUS-5] many patterns of one shape cost one lookup', () => {
  const index = new PatternIndex<number>();
  for (let count = 0; count < 10_000; count++) index.set(`room.${count}.*`, count);
  expect([index.match('room.7.a'), index.lookups]).toEqual([[7], 1]);
});
