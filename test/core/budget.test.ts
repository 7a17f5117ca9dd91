import { expect, test } from 'vitest';
import { MemoryBudget, sharedBudget } from '../../src/core/budget.ts';
import { createFakeClock } from '../support/fake-clock.ts';

function scene(limit: number, sizes: readonly number[]) {
  const clock = createFakeClock();
  const budget = new MemoryBudget(limit, clock);
  const cut: number[] = [];
  const holders = sizes.map((bytes) => ({
    heldBytes: bytes,
    takes: 0,
    cutForMemory() {
      if (this.takes > 0) clock.sleep(this.takes);
      cut.push(this.heldBytes);
      budget.charge(-this.heldBytes);
      this.heldBytes = 0;
    },
  }));
  budget.holders.add(holders);
  return { clock, budget, cut, holders };
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

test('[CONN-54] others have a turn after 5 ms of cuts, of which there are eight in any case; nobody is cut twice or for nothing', () => {
  const sizes = Array.from({ length: 40 }, () => 10);
  const { clock, budget, cut, holders } = scene(5, sizes);
  for (const holder of holders.slice(0, 12)) holder.takes = 1;
  budget.charge(400);
  clock.turn();
  expect(cut).toHaveLength(8);
  clock.turn();
  expect(cut.length).toBeGreaterThan(8 + 8);
  clock.flushTurn();
  expect(cut).toHaveLength(40);
  budget.charge(10);
  clock.flushTurn();
  expect(cut).toHaveLength(40);
});

test('[CONN-54] whose turn to be cut has not come takes no more meanwhile, if it is one of the largest', () => {
  const sizes = [10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 3, 2];
  const { clock, budget, cut, holders } = scene(100, sizes);
  for (const holder of holders) holder.takes = 1;
  budget.charge(195);
  expect(budget.isOver).toBe(true);
  clock.turn();
  expect([cut.length, budget.cutFrom]).toEqual([8, 10]);
  for (const holder of holders) holder.takes = 0;
  budget.cut(holders[8] as (typeof holders)[0]);
  budget.cut(holders[9] as (typeof holders)[0]);
  expect([budget.isOver, budget.cutFrom, budget.stats().cut]).toEqual([false, Number.POSITIVE_INFINITY, 10]);
});

test('[CONN-54] endpoints without a budget of their own share one', () => {
  const clock = createFakeClock();
  expect(sharedBudget(10, clock)).toBe(sharedBudget(20, clock));
  expect(sharedBudget(10, createFakeClock())).not.toBe(sharedBudget(10, clock));
});
