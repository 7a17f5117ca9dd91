import { describe, expect, test } from 'vitest';
import { jsonCost } from '../../../src/graphql/protocol/json-cost.ts';

const enough = Number.POSITIVE_INFINITY;

describe('[GQL-57] what parsed JSON costs', () => {
  test.each([
    ['a list of empty objects', `[${Array(1_000).fill('{}').join()}]`, 20],
    ['a list of empty lists', `[${Array(1_000).fill('[]').join()}]`, 15],
    ['names that nobody else has', `{${Array.from({ length: 1_000 }, (_, id) => `"k${id}":1`).join()}}`, 7],
    ['a long text', JSON.stringify('x'.repeat(10_000)), 1],
  ])('%s', (_, text, least) => {
    const times = jsonCost(JSON.parse(text), enough) / text.length;
    expect(times).toBeGreaterThanOrEqual(least);
    expect(times).toBeLessThan(2 * least);
  });

  test('of what is no object it is small, and depth has no end', () => {
    expect([null, true, 1, undefined].map((value) => jsonCost(value, enough))).toEqual([0, 0, 0, 0]);
    expect(jsonCost(1.5, enough)).toBe(16);
    const deep: unknown = JSON.parse(`${'['.repeat(100_000)}${']'.repeat(100_000)}`);
    expect(jsonCost(deep, enough)).toBeGreaterThan(5_000_000);
  });

  test('it stops looking once the limit is passed', () => {
    let looked = 0;
    const values = Array.from({ length: 1_000 }, () => ({
      get one() {
        looked++;
        return {};
      },
    }));
    expect(jsonCost(values, 10_000)).toBeGreaterThan(10_000);
    expect(looked).toBeLessThan(50);
  });
});
