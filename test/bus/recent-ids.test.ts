import { expect, test } from 'vitest';
import { idKey, RecentIds } from '../../src/bus/recent-ids.ts';

test('an id is known for the window, and what is too old leaves the memory', () => {
  const ids = new RecentIds<number>(100, 10);
  ids.set('a', 1, 0);
  expect([ids.get('a', 99), ids.get('a', 100), ids.get('b', 0)]).toEqual([1, undefined, undefined]);
  ids.set('b', 2, 100);
  expect(ids.size).toBe(1);
});

test('no more ids are kept than was said: the oldest leave', () => {
  const ids = new RecentIds<number>(100, 2);
  for (const [index, id] of ['a', 'b', 'a', 'c'].entries()) ids.set(id, index, 0);
  expect([ids.size, ids.get('a', 0), ids.get('b', 0), ids.get('c', 0)]).toEqual([2, 2, undefined, 3]);
});

test('an id counts for its topic, whatever the two hold', () => {
  expect(idKey('a', 'bc')).not.toBe(idKey('ab', 'c'));
});
