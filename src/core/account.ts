import type { MemoryBudget } from './budget.ts';
import { ProtocolError } from './fault.ts';

/** What the session of one connection keeps, in bytes, within the connection's own limit and the budget of all. */
export class Account {
  /** Bytes that are kept now. */
  kept = 0;
  readonly #most: number;
  readonly #budget: MemoryBudget | undefined;

  constructor(most: number, budget: MemoryBudget | undefined) {
    this.#most = most;
    this.#budget = budget;
  }

  /** Count so many bytes more, or fewer. Throws a {@link ProtocolError} `tooLarge` and counts nothing over the limit. */
  charge(bytes: number): void {
    const kept = Math.max(0, this.kept + bytes);
    if (bytes > 0 && kept > this.#most) {
      if (this.#budget) this.#budget.refused++;
      throw new ProtocolError('tooLarge', `more than ${this.#most} bytes would be kept for this connection`);
    }
    this.#budget?.charge(kept - this.kept);
    this.kept = kept;
  }

  /** Let go of everything. */
  clear(): void {
    this.charge(-this.kept);
  }
}
