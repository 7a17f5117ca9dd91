import { describe, expect, test } from 'vitest';
import { charged } from '../../../src/core/account.ts';
import type { SlowSubscriber } from '../../../src/core/slow-subscriber.ts';
import { Backlog } from '../../../src/graphql/server/backlog.ts';

function open(policy: SlowSubscriber, most: number) {
  const account = {
    kept: 0,
    charge(bytes: number) {
      account.kept = charged(account.kept, bytes, most, undefined);
    },
  };
  return { account, backlog: new Backlog(policy, 100, account) };
}
const text = (letter: string) => letter.repeat(1_000);
const all = (backlog: Backlog): unknown[] => {
  const taken: unknown[] = [];
  while (!backlog.empty) taken.push(backlog.take());
  return taken;
};

describe('[GQL-55] values that wait are charged, and given back', () => {
  test('disconnect: one that does not fit is one too many', () => {
    const { account, backlog } = open('disconnect', 2_500);
    expect(['a', 'b', 'c'].map((letter) => backlog.add(text(letter), true))).toEqual([true, true, false]);
    expect(account.kept).toBe(2_000);
    expect(all(backlog)).toEqual([text('a'), text('b')]);
    expect(account.kept).toBe(0);
  });

  test('dropOldest: older ones make room, and one that has none alone is dropped', () => {
    const { account, backlog } = open('dropOldest', 2_500);
    for (const letter of 'abc') expect(backlog.add(text(letter), true)).toBe(true);
    expect(all(backlog)).toEqual([text('b'), text('c')]);
    expect(backlog.add('x'.repeat(3_000), true)).toBe(true);
    expect([backlog.empty, account.kept]).toEqual([true, 0]);
  });

  test('latest: there is one', () => {
    const { account, backlog } = open('latest', 2_500);
    for (const letter of 'abc') expect(backlog.add(text(letter), true)).toBe(true);
    expect(account.kept).toBe(1_000);
    backlog.clear();
    expect([backlog.empty, account.kept]).toEqual([true, 0]);
  });

  test('bytes count as what they are; a circle, and what cannot be looked at, count as something', () => {
    const circle: Record<string, unknown> = {};
    circle['self'] = circle;
    const closed = new Proxy(
      {},
      {
        ownKeys() {
          throw new Error('no');
        },
      },
    );
    for (const [value, least, most] of [
      [new Uint8Array(5_000_000), 5_000_000, 5_000_000],
      [circle, 65_536, 70_000],
      [closed, 65_536, 65_536],
      [{ text: 'x'.repeat(200_000) }, 200_000, 201_000],
      [1, 0, 0],
      [undefined, 0, 0],
    ] as [unknown, number, number][]) {
      const { account, backlog } = open('disconnect', 10_000_000);
      expect(backlog.add(value, false)).toBe(true);
      expect(account.kept).toBeGreaterThanOrEqual(least);
      expect(account.kept).toBeLessThanOrEqual(most);
      backlog.take();
      expect(account.kept).toBe(0);
    }
  });
});
