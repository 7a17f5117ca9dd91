import { type Clock, never } from './clock.ts';
import type { Principal } from './subprotocol.ts';

/** Throws a `TypeError` if `expiresAt` is no number: it would never come, so that a mistake made credentials endless. */
export function checkPrincipal({ expiresAt }: Principal): void {
  if (expiresAt === undefined || (typeof expiresAt === 'number' && !Number.isNaN(expiresAt))) return;
  throw new TypeError(`authenticate: expiresAt must be a number of ms since 1970; got ${String(expiresAt)}`);
}

/** When it expires, in ms of {@link Clock.now}; Infinity: never. */
export function expiryOf(principal: Principal | undefined, clock: Clock): number {
  const expiresAt = principal?.expiresAt;
  return expiresAt === undefined ? never : clock.now() + (expiresAt - clock.wall());
}
