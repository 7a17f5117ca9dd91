import type { Timers } from '../core/clock.ts';

/** One cause is told once in so many ms, so that a stranger cannot fill the log. */
const quiet = 60_000;

/** What a stranger sent is quoted up to so many characters. */
const longest = 100;

/** Tells the application why strangers are refused: the first time of each cause at once, then a line per minute. */
export class Complaints {
  readonly #report: (error: unknown) => void;
  readonly #clock: Timers;
  readonly #told = new Map<string, { at: number; more: number }>();

  constructor(report: (error: unknown) => void, clock: Timers) {
    this.#report = report;
    this.#clock = clock;
  }

  /**
   * Tell of a refusal, unless its cause was told of in the last minute; then it is counted for the next line. There are
   * few causes: a cause must not hold what a stranger chose.
   */
  tell(cause: string, text: () => string): void {
    const now = this.#clock.now();
    const last = this.#told.get(cause);
    if (last && now - last.at < quiet) {
      last.more++;
      return;
    }
    const more = last?.more ?? 0;
    this.#told.set(cause, { at: now, more: 0 });
    this.#report(new RefusedHandshake(more > 0 ? `${text()} (and ${more} more since the last line)` : text()));
  }
}

/** What `onError` is told of a stranger that was refused; by its name it can be told from what is broken. */
class RefusedHandshake extends Error {
  override readonly name = 'RefusedHandshake';

  constructor(message: string) {
    super(message);
    // Where in this package it was noticed helps nobody: it is one line in the log.
    this.stack = `${this.name}: ${message}`;
  }
}

/** What a stranger sent, fit for a line of a log. */
export const quoted = (text: string): string => {
  const json = JSON.stringify(text.slice(0, longest));
  return text.length > longest ? `${json}…` : json;
};
