import type { SlowSubscriber } from '../../core/slow-subscriber.ts';
import type { Connection } from '../../core/subprotocol.ts';
import { jsonCost } from '../protocol/json-cost.ts';

/** Of one value that is no text and no bytes, no more is counted: what the application hands out may hold half of it. */
const mostOfOne = 65_536;

/** What a value of the application keeps, in bytes, roughly. Never throws, whatever it is. */
function weightOf(value: unknown): number {
  if (typeof value === 'string') return value.length;
  if (ArrayBuffer.isView(value)) return value.byteLength;
  try {
    return jsonCost(value, mostOfOne);
  } catch {
    return mostOfOne;
  }
}

/**
 * Values that wait for an operation: it still executes the last one, or its client reads slowly. How many they may be,
 * and which of them are kept, is `maxBacklog` and `slowSubscriber` ([GQL-36]). With an `account` they are charged to it as
 * long as they wait, and what does not fit there is one too many ([GQL-55]).
 */
export class Backlog {
  readonly #policy: SlowSubscriber;
  readonly #max: number;
  readonly #account: Pick<Connection, 'charge'> | undefined;
  #values: unknown[] | undefined;
  #weights: number[] | undefined;

  constructor(policy: SlowSubscriber, max: number, account?: Pick<Connection, 'charge'>) {
    this.#policy = policy;
    this.#max = max;
    this.#account = account;
  }

  /** Nothing waits. */
  get empty(): boolean {
    return this.#values === undefined;
  }

  /** Keep one more. `conflates`: the client reads slowly. False: there is no room, and nothing that may be dropped. */
  add(value: unknown, conflates: boolean): boolean {
    if (conflates && this.#policy === 'latest') this.clear();
    while ((this.#values?.length ?? 0) >= this.#max || !this.#charge(value)) {
      if (this.#policy === 'disconnect') return false;
      // There is no room for it alone: it is the one that is dropped.
      if (!this.#values) return true;
      this.take();
    }
    if (this.#values) this.#values.push(value);
    else this.#values = [value];
    return true;
  }

  #charge(value: unknown): boolean {
    if (!this.#account) return true;
    const bytes = weightOf(value);
    try {
      this.#account.charge(bytes);
    } catch {
      return false;
    }
    this.#weights ??= [];
    this.#weights.push(bytes);
    return true;
  }

  /** The oldest. Only if it is not empty. */
  take(): unknown {
    const values = this.#values as unknown[];
    const value = values.shift();
    if (values.length === 0) this.#values = undefined;
    this.#account?.charge(-(this.#weights?.shift() ?? 0));
    return value;
  }

  /** Nobody wants them any more. */
  clear(): void {
    for (const bytes of this.#weights ?? []) this.#account?.charge(-bytes);
    this.#values = this.#weights = undefined;
  }
}
