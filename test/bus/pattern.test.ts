import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createPatternTree, isPattern } from '../../src/bus/pattern.ts';

/** What the tree says in a few slow lines. */
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

test('the tree finds what a naive matcher finds, through adds and deletes', () => {
  const step = fc.record({ pattern: name, value: fc.nat(3), add: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), fc.array(name, { maxLength: 8 }), (steps, topics) => {
      const tree = createPatternTree<string>();
      const held = new Map<string, string>();
      for (const { pattern, value, add } of steps) {
        const key = `${pattern.replaceAll('/', '.')}#${value}`;
        if (add) {
          tree.add(pattern, key);
          held.set(key, pattern);
        } else expect(tree.delete(pattern, key)).toBe(held.delete(key));
      }
      expect(tree.size).toBe(held.size);
      for (const topic of topics) {
        const expected = [...held].filter(([, pattern]) => matches(pattern, topic)).map(([key]) => key);
        expect(tree.match(topic).sort()).toEqual(expected.sort());
      }
      for (const [key, pattern] of held) expect(tree.delete(pattern, key)).toBe(true);
      expect(tree.size).toBe(0);
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
  const tree = createPatternTree<string>();
  tree.add(pattern, 'x');
  expect(tree.match(topic)).toEqual(expected ? ['x'] : []);
});

test('only whole segments make a pattern', () => {
  expect(['a.*', '**', 'a/**/b', '*'].filter(isPattern)).toHaveLength(4);
  expect(['a', 'a*', 'a.b*c', '', 'a.***'].filter(isPattern)).toEqual([]);
});

test('a value is matched once, even where the topic itself has a star in it', () => {
  const tree = createPatternTree<string>();
  tree.add('prices.*', 'x');
  expect(tree.match('prices.*')).toEqual(['x']);
});

test('a pattern may have more values than a call has arguments', () => {
  const tree = createPatternTree<number>();
  for (let index = 0; index < 200_000; index++) {
    tree.add('a.**', index);
    tree.add('*.b', index);
  }
  expect(tree.match('a.b')).toHaveLength(400_000);
});
