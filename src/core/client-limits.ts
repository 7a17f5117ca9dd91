import type { ClientLimits } from './limits.ts';
import { assertOption, mustBeRecord, numberOptions } from './options.ts';

/** The limits of a client; each may be left out, `Infinity` switches one off. STOMP has no pings: `pongTimeout` is none of it. */
export type ClientLimitOptions = { readonly [Name in keyof ClientLimits]?: number | undefined };

/** The numbers of a server; only that a server is trusted with more memory than a stranger: results may be large. */
const defaults: ClientLimits = {
  maxPayload: 16_777_216,
  highWaterMark: 1_048_576,
  pongTimeout: 10_000,
  closeTimeout: 10_000,
};

/** Fill in the defaults. Throws a `TypeError` that names the limit which is none, or is less than 1. */
export function resolveClientLimits(options: ClientLimitOptions = {}): ClientLimits {
  mustBeRecord(options, 'limits', 'an object');
  const unknown = Object.keys(options).find((name) => !Object.hasOwn(defaults, name));
  assertOption(!unknown, 'limits', `some of ${Object.keys(defaults)}`, unknown);
  return numberOptions(options, defaults, 1, 'limits.');
}
