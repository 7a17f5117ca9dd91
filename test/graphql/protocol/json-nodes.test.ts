import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encodeUtf8 } from '../../../src/core/wire.ts';
import { jsonNodes } from '../../../src/graphql/protocol/json-nodes.ts';

/** The same of what was parsed. */
function nodesOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  const names = Array.isArray(value) ? 0 : Object.keys(value).length;
  return Object.values(value).reduce((sum: number, each) => sum + nodesOf(each), 1 + names);
}

describe('[GQL-104] what parsing takes its time for', () => {
  test('is counted as parsing finds it, whatever stands in texts', () => {
    const text = fc.string({ unit: fc.constantFrom('"', '\\', '{', '[', ':', ',', 'a', 'é', '\u2028') });
    const json = fc.letrec((tie) => ({
      value: fc.oneof({ maxDepth: 5 }, fc.integer(), text, tie('list'), tie('object')),
      list: fc.array(tie('value')),
      object: fc.dictionary(text, tie('value')),
    })).value;
    fc.assert(
      fc.property(json, fc.nat(3), (value, indent) => {
        const written = JSON.stringify(value, undefined, indent);
        // Short texts are not looked at: a list of as many bytes makes it long enough.
        const padded = `[${written},"${' '.repeat(20_000)}"]`;
        expect(jsonNodes(padded, 10_000)).toBe(nodesOf(value) + 1);
        expect(jsonNodes(encodeUtf8(padded), 10_000)).toBe(nodesOf(value) + 1);
      }),
    );
  });

  test('stops at one more than are allowed, and does not look at what is too short for them', () => {
    expect(jsonNodes('[]'.repeat(1_000), 10)).toBe(11);
    expect(jsonNodes('[[[[[', 3)).toBe(0);
  });

  test('what is no JSON is some number, in linear time', () => {
    for (const text of ['"', '"\\', '\\"'.repeat(50_000), `"${'\\'.repeat(100_000)}`, `${'"\\"'.repeat(30_000)}`]) {
      const began = performance.now();
      expect(jsonNodes(text, 1)).toBeLessThan(3);
      expect(performance.now() - began).toBeLessThan(50);
    }
  });
});
