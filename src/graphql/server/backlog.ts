import type { SlowSubscriber } from '../../core/slow-subscriber.ts';

/**
 * Values that wait for an operation: it still executes the last one, or its client reads slowly. How many they may be,
 * and which of them are kept, is `maxBacklog` and `slowSubscriber` ([GQL-36]).
 */
export class Backlog {
  readonly #policy: SlowSubscriber;
  readonly #max: number;
  #values: unknown[] | undefined;

  constructor(policy: SlowSubscriber, max: number) {
    this.#policy = policy;
    this.#max = max;
  }

  /** Nothing waits. */
  get empty(): boolean {
    return this.#values === undefined;
  }

  /** Keep one more. `conflates`: the client reads slowly. False: there is no room, and nothing that may be dropped. */
  add(value: unknown, conflates: boolean): boolean {
    const values = this.#values;
    if (!values || (conflates && this.#policy === 'latest')) this.#values = [value];
    else if (values.length < this.#max) values.push(value);
    else if (this.#policy === 'disconnect') return false;
    else {
      values.shift();
      values.push(value);
    }
    return true;
  }

  /** The oldest. Only if it is not empty. */
  take(): unknown {
    const values = this.#values as unknown[];
    const value = values.shift();
    if (values.length === 0) this.#values = undefined;
    return value;
  }

  /** Nobody wants them any more. */
  clear(): void {
    this.#values = undefined;
  }
}
