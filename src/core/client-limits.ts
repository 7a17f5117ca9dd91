import type { ClientLimits } from './limits.ts';
import { must } from './options.ts';

/** The limits of a client; each may be left out, `Infinity` switches one off. */
export type ClientLimitOptions = { readonly [Name in keyof ClientLimits]?: number | undefined };

/** The numbers of a server; only that a server is trusted with more memory than a stranger: results may be large. */
const defaults: ClientLimits = {
  maxPayload: 16_777_216,
  highWaterMark: 1_048_576,
  pongTimeout: 10_000,
  closeTimeout: 10_000,
};

/** Fill in the defaults. Throws a `TypeError` that names the limit which is none, or is not above 0. */
export function resolveClientLimits(options: ClientLimitOptions = {}): ClientLimits {
  const limits: { -readonly [Name in keyof ClientLimits]: number } = { ...defaults };
  for (const name in options) {
    const limit = name as keyof ClientLimits;
    const value = options[limit] ?? defaults[limit];
    const right = Object.hasOwn(defaults, name) && typeof value === 'number' && value > 0;
    must(right, `limits.${name}`, `above 0, and one of ${Object.keys(defaults)}`, value);
    limits[limit] = value;
  }
  return limits;
}
