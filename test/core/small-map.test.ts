import fc from 'fast-check';
import { expect, test } from 'vitest';
import { SmallMap } from '../../src/core/small-map.ts';

const step = fc.oneof(
  fc.record({ kind: fc.constant('set' as const), key: fc.constantFrom('a', 'b', 'c') }),
  fc.record({ kind: fc.constant('delete' as const), key: fc.constantFrom('a', 'b', 'c') }),
  fc.record({ kind: fc.constant('clear' as const), key: fc.constant('') }),
);

test('it does what a Map does', () => {
  fc.assert(
    fc.property(fc.array(step), (steps) => {
      const small = new SmallMap<string, object>();
      const map = new Map<string, object>();
      for (const { kind, key } of steps) {
        if (kind === 'set') {
          const value = { key };
          small.set(key, value);
          map.set(key, value);
        } else if (kind === 'delete') {
          small.delete(key);
          map.delete(key);
        } else {
          small.clear();
          map.clear();
        }
        expect([...small.values()]).toEqual([...map.values()]);
        expect(small.size).toBe(map.size);
        for (const each of ['a', 'b', 'c']) {
          expect(small.get(each)).toBe(map.get(each));
          expect(small.has(each)).toBe(map.has(each));
        }
      }
    }),
  );
});
