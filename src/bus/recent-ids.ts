/** The key of an id, which counts for its topic alone. */
export const idKey = (topic: string, id: string): string => `${topic.length}:${topic}${id}`;

interface Seen<T> {
  readonly at: number;
  readonly value: T;
}

/**
 * What belongs to an id that was seen lately. Bounded by age and by number; the oldest go first.
 *
 * @example
 * const offsets = new RecentIds<number>(300_000, 100_000);
 * offsets.set('order-7', 41, now);
 * offsets.get('order-7', now); // 41
 */
export class RecentIds<T> {
  // In the order of `set`, which is the order of age.
  readonly #seen = new Map<string, Seen<T>>();
  readonly #window: number;
  readonly #most: number;

  /** `window` in ms; `most`: how many ids are kept. */
  constructor(window: number, most: number) {
    this.#window = window;
    this.#most = most;
  }

  /** How many are kept, those included that are too old and were not looked at since. */
  get size(): number {
    return this.#seen.size;
  }

  /** What was set for this id within the window before `now`, in ms. */
  get(id: string, now: number): T | undefined {
    const seen = this.#seen.get(id);
    return seen && now - seen.at < this.#window ? seen.value : undefined;
  }

  /** Keep a value for an id from `now` on, in ms, which does not go backwards. */
  set(id: string, value: T, now: number): void {
    this.#seen.delete(id);
    this.#seen.set(id, { at: now, value });
    for (const [oldest, { at }] of this.#seen) {
      if (now - at < this.#window && this.#seen.size <= this.#most) break;
      this.#seen.delete(oldest);
    }
  }
}
