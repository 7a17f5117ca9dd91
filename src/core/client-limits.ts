import type { ClientLimits } from './limits.ts';
import { must, numbers } from './options.ts';

/** The limits of a client; each may be left out, `Infinity` switches one off. */
export type ClientLimitOptions = { readonly [Name in keyof ClientLimits]?: number | undefined };

/** A client protects itself from its server with the numbers that a server has for its clients. */
const defaults: ClientLimits = {
  maxPayload: 1_048_576,
  highWaterMark: 1_048_576,
  pongTimeout: 10_000,
  closeTimeout: 10_000,
};

/** Fill in the defaults. Throws a `TypeError` that names the limit which is none, or is less than 1. */
export function resolveClientLimits(options: ClientLimitOptions = {}): ClientLimits {
  const unknown = Object.keys(options).find((name) => !Object.hasOwn(defaults, name));
  must(!unknown, 'limits', `some of ${Object.keys(defaults)}`, unknown);
  return numbers(options, defaults, 1, 'limits.');
}
