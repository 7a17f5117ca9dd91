import { never } from '../../core/clock.ts';

/** A hook of the application did not answer in time. */
export class HookTimeout extends Error {
  override readonly name = 'HookTimeout';

  constructor(ms: number) {
    super(`A hook has not answered within ${ms} ms (limits.hookTimeout of attach())`);
  }
}

interface Waiting {
  readonly by: number;
  readonly giveUp: (error: HookTimeout) => void;
}

/**
 * How long hooks of one connection may take ([GQL-47]). All of them have the same time, so that those which began first
 * are the first to run out of it: one deadline serves for all.
 *
 * @example
 * const patience = new Patience(10_000);
 * const answer = await patience.bound(hook(), connection.now);
 */
export class Patience {
  readonly #ms: number;
  readonly #waiting = new Set<Waiting>();

  /** `ms` for each hook; Infinity: they may take as long as they please. */
  constructor(ms: number) {
    this.#ms = ms;
  }

  /** How many hooks have not answered yet. */
  get size(): number {
    return this.#waiting.size;
  }

  /** When `tick` is wanted next, in ms of the clock; Infinity: never. */
  get deadline(): number {
    for (const { by } of this.#waiting) return by;
    return never;
  }

  /** The outcome, or a rejection with {@link HookTimeout}. What comes later is dropped. */
  bound<T>(outcome: PromiseLike<T>, now: number): Promise<T> {
    return new Promise((resolve, reject) => {
      const waiting: Waiting = { by: now + this.#ms, giveUp: reject };
      this.#waiting.add(waiting);
      outcome.then(
        (value) => {
          this.#waiting.delete(waiting);
          resolve(value);
        },
        (error: unknown) => {
          this.#waiting.delete(waiting);
          reject(error);
        },
      );
    });
  }

  /** Give up on those whose time is over. */
  tick(now: number): void {
    for (const waiting of this.#waiting) {
      if (waiting.by > now) return;
      this.#waiting.delete(waiting);
      waiting.giveUp(new HookTimeout(this.#ms));
    }
  }
}
