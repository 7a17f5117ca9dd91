import { expect, test } from 'vitest';
import { checkPrincipal, expiryOf } from '../../src/core/principal.ts';
import { createFakeClock } from '../support/fake-clock.ts';

test.each([Number.NaN, '2030-01-01', null])('[CONN-22] an expiresAt of %s is none', (expiresAt) => {
  expect(() => checkPrincipal({ expiresAt } as never)).toThrow('expiresAt must be a number of ms since 1970');
});

test('[CONN-22] a principal expires at a date, or never', () => {
  const clock = createFakeClock();
  expect(expiryOf({ expiresAt: clock.wall() + 5_000 }, clock)).toBe(clock.now() + 5_000);
  expect([expiryOf({}, clock), expiryOf(undefined, clock)]).toEqual([Infinity, Infinity]);
});
