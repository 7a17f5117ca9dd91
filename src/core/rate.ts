import { never } from './clock.ts';

/** For so long a peer may stay above its rate before it is cut, in ms. */
const patience = 10_000;

/**
 * A token bucket: a second's worth of messages may come at once, then as many as flow in again. Who empties it waits;
 * who keeps it empty for 10 s has run out of patience.
 *
 * @example
 * const rate = new Rate(100, now);
 * if (!rate.take(now)) pauseUntil(rate.nextAt(now));
 */
export class Rate {
  readonly #perSecond: number;
  readonly #size: number;
  #tokens: number;
  #filledAt: number;
  #emptySince = never;

  constructor(perSecond: number, now: number) {
    this.#perSecond = perSecond;
    // Of less than two, one is always more than half: nobody could fall quiet again.
    this.#tokens = this.#size = Math.max(2, perSecond);
    this.#filledAt = now;
  }

  /** May one more message pass at this time, in ms? */
  take(now: number): boolean {
    this.#tokens = Math.min(this.#size, this.#tokens + ((now - this.#filledAt) / 1_000) * this.#perSecond);
    this.#filledAt = now;
    if (this.#tokens < 1) {
      this.#emptySince = Math.min(this.#emptySince, now);
      return false;
    }
    this.#tokens--;
    if (this.#tokens >= this.#size / 2) this.#emptySince = never;
    return true;
  }

  /** When to ask again. */
  nextAt(now: number): number {
    return now + Math.ceil(((1 - this.#tokens) / this.#perSecond) * 1_000);
  }

  /** Has the bucket been empty for longer than patience goes? */
  exhausted(now: number): boolean {
    return now - this.#emptySince > patience;
  }
}
