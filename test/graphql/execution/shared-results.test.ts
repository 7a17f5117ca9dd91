import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { canonical, Replays, ShareGroup, ShareGroups } from '../../../src/graphql/execution/shared-results.ts';

const turn = { whenIdle(): void {} };
const parts = { schema: {}, document: {}, operationName: undefined, variables: undefined };

describe('[GQL-38] groups', () => {
  test('are joined by equal parts and equal keys only, and go with their last member', () => {
    const groups = new ShareGroups();
    const first = groups.join('a', parts);
    expect(groups.join('a', { ...parts, variables: {}, operationName: null })).toBe(first);
    const others = [
      groups.join('b', parts),
      groups.join(1, parts),
      groups.join('1', parts),
      groups.join(true, parts),
      groups.join({}, parts),
      groups.join({}, parts),
      groups.join('a', { ...parts, schema: {} }),
      groups.join('a', { ...parts, document: {} }),
      groups.join('a', { ...parts, operationName: 'A' }),
      groups.join('a', { ...parts, variables: { a: 1 } }),
    ];
    expect(new Set([first, ...others]).size).toBe(11);
    for (const group of [first, first, ...others]) groups.leave(group as ShareGroup);
    expect(groups.size).toBe(0);
  });

  test('variables that are no plain JSON are never shared', () => {
    const groups = new ShareGroups();
    for (const value of [new Date(0), new Map(), 1n, Number.NaN, undefined, () => {}, Symbol('s')]) {
      expect(groups.join('a', { ...parts, variables: { deep: [{ value }] } })).toBeUndefined();
    }
    expect(groups.size).toBe(0);
  });

  test('an event is executed once per turn, and again for who has had it', () => {
    const group = new ShareGroup('g', new Replays());
    let forget = (): void => {};
    const turns = {
      whenIdle(run: () => void): void {
        forget = run;
      },
    };
    let executed = 0;
    const execute = () => ({ data: { executed: ++executed } });
    const first = group.take(7, 0, execute, turns);
    expect(group.take(7, 0, execute, turns)).toBe(first);
    const second = group.take(7, first.serial, execute, turns);
    expect(second).not.toBe(first);
    expect(group.take(7, first.serial, execute, turns)).toBe(second);
    forget();
    expect(group.take(7, 0, execute, turns)).not.toBe(second);
    expect(executed).toBe(3);
  });

  test('who waits is told once, of results and of failures', async () => {
    const group = new ShareGroup('g', new Replays());
    const told: string[] = [];
    const sharer = { shared: ({ state }: { readonly state: string }) => void told.push(state) };
    const kept = group.take('a', 0, async () => ({ data: {} }), turn);
    kept.wait(sharer);
    kept.wait(sharer);
    const broken = group.take('b', 0, () => Promise.reject(new Error('no')), turn);
    broken.wait(sharer);
    await Promise.allSettled([Promise.resolve()]);
    expect(told).toEqual(['ready', 'ready', 'failed']);
    const thrown = group.take(
      'c',
      0,
      () => {
        throw new Error('at once');
      },
      turn,
    );
    expect([thrown.state, thrown.error]).toEqual(['failed', new Error('at once')]);
  });
});

describe('canonical', () => {
  test('the order of properties does not matter, all else does', () => {
    expect(canonical({ b: [1, null, 'x'], a: { d: true, c: -0 } })).toBe('{"a":{"c":-0,"d":true},"b":[1,null,"x"]}');
    expect(canonical({ a: 1, b: 2 })).toBe(canonical({ b: 2, a: 1 }));
    expect(canonical(JSON.parse('{"__proto__":1}'))).toBe('{"__proto__":1}');
    expect(canonical([undefined])).toBeUndefined();
    expect(canonical(Object.create(null))).toBe('{}');
  });

  test('tells JSON values apart exactly as deep equality does', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (a, b) => {
        let equal = true;
        try {
          expect(a).toStrictEqual(b);
        } catch {
          equal = false;
        }
        return (canonical(a) === canonical(b)) === equal;
      }),
      { numRuns: 300 },
    );
  });
});

test('[GQL-38] keys that cannot be told apart for sure are not shared', () => {
  const groups = new ShareGroups();
  const parts = { schema: {}, document: {}, operationName: null, variables: {} };
  const joined = (key: unknown) => groups.join(key as string, parts);
  // What JavaScript may hand over though the types do not allow it.
  expect(joined(null)).toBeUndefined();
  expect(joined(Symbol('a'))).toBeUndefined();
  const [first, second] = [() => 1, () => 1];
  expect(joined(first)).toBe(joined(first));
  expect(joined(first)).not.toBe(joined(second));
  expect(joined(1n)).not.toBe(joined(1));
  expect(joined('1')).not.toBe(joined(1));
});

test('[GQL-38] variables that are too deep to be compared are not shared', () => {
  const variables = JSON.parse(`${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}`);
  expect(canonical(variables)).toBeUndefined();
});
