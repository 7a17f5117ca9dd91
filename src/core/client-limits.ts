import type { ClientLimits } from './limits.ts';
import { must } from './options.ts';

/** The limits of a client; each may be left out, `Infinity` switches one off. */
export type ClientLimitOptions = { readonly [Name in keyof ClientLimits]?: number | undefined };

/** A client protects itself from its server with the numbers that a server has for its clients. */
const defaults: ClientLimits = {
  maxPayload: 1_048_576,
  highWaterMark: 1_048_576,
  pongTimeout: 10_000,
  closeTimeout: 10_000,
};

/** Fill in the defaults. Throws a `TypeError` that names the limit which is none, or is not above 0. */
export function resolveClientLimits(options: ClientLimitOptions = {}): ClientLimits {
  const limits: Record<string, unknown> = { ...defaults };
  for (const [name, value = limits[name]] of Object.entries(options)) {
    const right = Object.hasOwn(defaults, name) && typeof value === 'number' && value > 0;
    must(right, `limits.${name}`, `above 0, and one of ${Object.keys(defaults)}`, value);
    limits[name] = value;
  }
  return limits as unknown as ClientLimits;
}
