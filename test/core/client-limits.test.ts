import { expect, test } from 'vitest';
import { resolveClientLimits } from '../../src/core/client-limits.ts';
import { connectionLimits, resolveLimits } from '../../src/core/limits.ts';

test('[CONN-10] a client has the numbers of a server but for large messages, unless it is given others', () => {
  const limits = resolveClientLimits();
  expect({ ...resolveLimits(connectionLimits), maxPayload: 16_777_216 }).toMatchObject(limits);
  expect(
    resolveClientLimits({ maxPayload: 5, pongTimeout: Number.POSITIVE_INFINITY, closeTimeout: undefined }),
  ).toEqual({ ...limits, maxPayload: 5, pongTimeout: Number.POSITIVE_INFINITY });
});

test.each<Record<string, unknown>>([{ pongTimeout: 0 }, { pongTimeout: '5' }, { pongTimeout: Number.NaN }])(
  '[CONN-10] %j is a TypeError that names the limit',
  (limits) => {
    expect(() => resolveClientLimits(limits)).toThrow(
      new TypeError(`limits.pongTimeout must be a number from 1 up; got ${limits['pongTimeout']}`),
    );
  },
);

test.each<Record<string, unknown>>([{ pingInterval: 5 }, { constructor: 5 }])(
  '[CONN-10] %j is a TypeError that names the limits that there are',
  (limits) => {
    expect(() => resolveClientLimits(limits)).toThrow(
      new TypeError(
        `limits must be some of maxPayload,highWaterMark,pongTimeout,closeTimeout; got ${Object.keys(limits)[0]}`,
      ),
    );
  },
);
