import type { Clock } from './clock.ts';

/** Someone for whom memory is kept. */
export interface Holder {
  /** Bytes that are kept for it now; 0 once it has been cut. */
  readonly heldBytes: number;
  /** The budget is used up and this is the largest holder: it has to let go of what it holds. */
  cutForMemory(): void;
}

/** How a {@link MemoryBudget} stands. */
export interface BudgetStats {
  /** Bytes that count now. */
  readonly used: number;
  /** The most that ever counted, in bytes. */
  readonly peak: number;
  /** The most that may count, in bytes; Infinity: no budget was set. */
  readonly limit: number;
  /** Charges that were refused, because their connection would have gone over its own limit. */
  readonly refused: number;
  /** Connections that were cut because the budget was used up and they held most. */
  readonly cut: number;
}

/** So many holders are cut before others have a turn: each of them may have much to let go of. */
const cutsPerTurn = 8;

/**
 * What all connections together may make this process keep, in bytes. Each tells what it keeps; once the sum is over the
 * limit, the largest holders are cut at the end of the turn, one after the other, until the rest fits.
 *
 * @example
 * const budget = new MemoryBudget(512 * 1_048_576, systemClock);
 * budget.holders.add(connections);
 * budget.charge(1_024);
 */
export class MemoryBudget {
  /** The most that may count, in bytes. */
  readonly limit: number;
  /** Everyone who may hold something, as sets that others keep anyway: an entry for each holder here would cost memory. */
  readonly holders: Set<Iterable<Holder>> = new Set<Iterable<Holder>>();
  /** Charges that were refused by a connection's own limit; the connections count them. */
  refused = 0;
  readonly #clock: Clock;
  readonly #shared = new Map<Uint8Array, number>();
  #used = 0;
  #peak = 0;
  #cut = 0;
  #relieving = false;

  constructor(limit: number, clock: Clock) {
    this.limit = limit;
    this.#clock = clock;
  }

  /** Count so many bytes more, or fewer. Never throws: who has to let go is told at the end of the turn. */
  charge(bytes: number): void {
    this.#used += bytes;
    if (this.#used > this.#peak) this.#peak = this.#used;
    if (this.#used > this.limit && bytes > 0) this.#relieveLater();
  }

  /** One more holder keeps these bytes, which many may share: they count once. */
  share(bytes: Uint8Array): void {
    const holders = this.#shared.get(bytes) ?? 0;
    this.#shared.set(bytes, holders + 1);
    if (holders === 0) this.charge(bytes.length);
  }

  /** One holder fewer keeps these bytes. */
  unshare(bytes: Uint8Array): void {
    const holders = this.#shared.get(bytes);
    if (holders === undefined) return;
    if (holders > 1) {
      this.#shared.set(bytes, holders - 1);
      return;
    }
    this.#shared.delete(bytes);
    this.charge(-bytes.length);
  }

  /** How the budget stands now. */
  stats(): BudgetStats {
    return { used: this.#used, peak: this.#peak, limit: this.limit, refused: this.refused, cut: this.#cut };
  }

  #relieveLater(): void {
    if (this.#relieving) return;
    this.#relieving = true;
    // At the end of the turn: whoever charges may be in the middle of something that a cut would touch.
    this.#clock.afterTurn(() => {
      this.#relieving = false;
      this.#relieve();
    });
  }

  #relieve(): void {
    for (let cuts = 0; this.#used > this.limit; cuts++) {
      if (cuts === cutsPerTurn) return this.#relieveLater();
      const largest = this.#largest();
      if (!largest) return;
      this.#cut++;
      largest.cutForMemory();
    }
  }

  #largest(): Holder | undefined {
    let largest: Holder | undefined;
    let most = 0;
    for (const some of this.holders) {
      for (const holder of some) {
        const { heldBytes } = holder;
        if (heldBytes <= most) continue;
        most = heldBytes;
        largest = holder;
      }
    }
    return largest;
  }
}

const shared = /* @__PURE__ */ new WeakMap<Clock, MemoryBudget>();

/** The one budget of all endpoints of a process that have none of their own. The first limit counts, in bytes. */
export function sharedBudget(limit: number, clock: Clock): MemoryBudget {
  const known = shared.get(clock);
  if (known) return known;
  const budget = new MemoryBudget(limit, clock);
  shared.set(clock, budget);
  return budget;
}
