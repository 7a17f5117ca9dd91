import { expect, test } from 'vitest';
import { createReports } from '../../src/core/reports.ts';
import { createFakeClock } from '../support/fake-clock.ts';

function scene() {
  const clock = createFakeClock();
  const lines: [string, number][] = [];
  const report = createReports((error, count) => lines.push([String(error), count]), clock);
  return { clock, lines, report };
}

test('[CONN-59] a cause is told at once, then once in a minute with its count', () => {
  const { clock, lines, report } = scene();
  const bug = (topic: number): Error => new Error(`no topic ${topic}`);
  for (let topic = 0; topic < 1_000; topic++) report(bug(topic));
  report(new Error('another'));
  expect(lines).toEqual([
    ['Error: no topic 0', 1],
    ['Error: another', 1],
  ]);
  clock.advance(60_010);
  expect(lines.slice(2)).toEqual([['Error: no topic 999', 999]]);
  clock.advance(120_000);
  expect([lines.length, clock.armed]).toEqual([3, 0]);
  report(bug(5));
  expect(lines.at(-1)).toEqual(['Error: no topic 5', 1]);
});

test('[CONN-59] what is no Error is told apart by its text, and many causes by their number', () => {
  const { clock, lines, report } = scene();
  for (let cause = 0; cause < 500; cause++) report(`cause ${cause}`);
  expect(lines).toHaveLength(101);
  clock.advance(60_010);
  expect(lines.slice(101)).toEqual([['cause 499', 399]]);
});

test('[CONN-25] a logger that throws or rejects ends nothing, whatever is reported', () => {
  const clock = createFakeClock();
  const throwing = createReports(() => {
    throw new Error('logger');
  }, clock);
  throwing(Object.create(null));
  throwing(new Error('x'));
  createReports(async () => {
    throw new Error('logger');
  }, clock)('x');
});
