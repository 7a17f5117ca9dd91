import { expect, test } from 'vitest';
import { MemoryBudget, sharedBudget } from '../../src/core/budget.ts';
import { createFakeClock } from '../support/fake-clock.ts';

function scene(limit: number, sizes: readonly number[]) {
  const clock = createFakeClock();
  const budget = new MemoryBudget(limit, clock);
  const cut: number[] = [];
  const holders = sizes.map((bytes) => ({
    heldBytes: bytes,
    cutForMemory() {
      cut.push(this.heldBytes);
      budget.charge(-this.heldBytes);
      this.heldBytes = 0;
    },
  }));
  budget.holders.add(holders);
  return { clock, budget, cut };
}

test('[CONN-54] the largest holders are cut at the end of the turn, until the rest fits', () => {
  const { clock, budget, cut } = scene(100, [30, 50, 40, 20]);
  budget.charge(100);
  clock.flushTurn();
  expect(cut).toEqual([]);
  budget.charge(40);
  expect(cut).toEqual([]);
  clock.flushTurn();
  expect(cut).toEqual([50]);
  expect(budget.stats()).toEqual({ used: 90, peak: 140, limit: 100, refused: 0, cut: 1 });
});

test('[CONN-54] others have a turn after eight cuts, and nobody is cut twice or for nothing', () => {
  const { clock, budget, cut } = scene(
    5,
    Array.from({ length: 20 }, () => 10),
  );
  budget.charge(200);
  clock.turn();
  expect(cut).toHaveLength(8);
  clock.flushTurn();
  expect(cut).toHaveLength(20);
  budget.charge(10);
  clock.flushTurn();
  expect(cut).toHaveLength(20);
});

test('[CONN-54] endpoints without a budget of their own share one', () => {
  const clock = createFakeClock();
  expect(sharedBudget(10, clock)).toBe(sharedBudget(20, clock));
  expect(sharedBudget(10, createFakeClock())).not.toBe(sharedBudget(10, clock));
});
