import { assertOption } from './options.ts';

/** Waiting times between attempts, in ms. */
export interface BackoffOptions {
  /** Upper bound of the first wait: the clients of a server that crashed come back spread over it. @defaultValue 4,000 */
  readonly base?: number | undefined;
  /** Upper bound of any wait. @defaultValue 30,000 */
  readonly cap?: number | undefined;
  /** A number from 0 up to 1; @defaultValue `Math.random`. */
  readonly random?: (() => number) | undefined;
}

/**
 * Full jitter: a wait drawn evenly from 0 to min(cap, base * 2^attempt), so that clients that were dropped together do
 * not come back together. `attempt` counts from 0. With a hint of the server the wait is drawn from 0 to the hint.
 *
 * @example
 * backoff(0, { random: () => 0.5 }); // 2000
 */
export function backoff(attempt: number, options: BackoffOptions = {}, hint?: number): number {
  const { base = 4_000, cap = 30_000, random = Math.random } = options;
  return random() * (attempt === 0 && hint !== undefined ? hint : Math.min(cap, base * 2 ** attempt));
}

/** The answer of an application that was asked whether to come back. Throws a `TypeError` if it is none. */
export function checkRetry(answer: boolean | number): boolean | number {
  // As a number, `false` is 0 and `true` is 1.
  assertOption((answer as number) >= 0, 'retry()', 'a boolean, or a number of ms', answer);
  return answer;
}

/** What a server says at the end of a close reason so that its clients come back spread out: ` retry within 12000 ms`. */
export const retryHint = (ms: number): string => ` retry within ${Math.ceil(ms)} ms`;

/** The hint in a close reason, in ms; undefined: none. At most an hour, whatever it says. */
export function readRetryHint(reason: string): number | undefined {
  const found = /retry within (\d{1,9}) ms$/.exec(reason);
  return found ? Math.min(Number(found[1]), 3_600_000) : undefined;
}
