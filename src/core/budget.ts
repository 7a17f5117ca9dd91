import { type Clock, never } from './clock.ts';

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

/**
 * So many ms are spent on cuts before others have a turn, and so many cuts are made in any case: where the turns are long, who
 * makes us keep more must not be faster than we are.
 */
const cutMs = 5;
const cutsPerTurn = 8;

/** What a buffer takes beside its bytes. */
const bufferBytes = 200;

/**
 * What all connections together may make this process keep, in bytes. Each tells what it keeps; once the sum is over the
 * limit, the largest holders are cut at the end of the turn, one after the other, until the rest fits; those whose turn does
 * not come are cut before they are sent more.
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
  /**
   * Who holds so many bytes is one of the largest, and is cut before it makes us keep more: turns may be long, and the largest
   * many. Infinity: the budget is not used up.
   */
  cutFrom: number = never;
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

  /** More is kept than may be. */
  get isOver(): boolean {
    return this.#used > this.limit;
  }

  /** Count so many bytes more, or fewer. Never throws: who has to let go is told at the end of the turn. */
  charge(bytes: number): void {
    this.#used += bytes;
    if (this.#used > this.#peak) this.#peak = this.#used;
    if (this.#used <= this.limit) this.cutFrom = never;
    else if (bytes > 0) this.#relieveLater();
  }

  /** One more holder keeps these bytes, which many may share: they count once. */
  share(bytes: Uint8Array): void {
    const holders = this.#shared.get(bytes) ?? 0;
    this.#shared.set(bytes, holders + 1);
    if (holders === 0) this.charge(bytes.length + bufferBytes);
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
    this.charge(-bytes.length - bufferBytes);
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
    if (this.#used <= this.limit) return;
    const end = this.#clock.now() + cutMs;
    const holders = this.#largestFirst();
    this.cutFrom = this.#leastToCut(holders);
    for (const [index, holder] of holders.entries()) {
      if (this.#used <= this.limit) return;
      if (index >= cutsPerTurn && this.#clock.now() >= end) return this.#relieveLater();
      this.cut(holder);
    }
  }

  /** What the smallest of those holds who have to go. */
  #leastToCut(largestFirst: readonly Holder[]): number {
    let bytes = this.#used - this.limit;
    for (const { heldBytes } of largestFirst) {
      bytes -= heldBytes;
      if (bytes <= 0) return heldBytes;
    }
    return 1;
  }

  /** The budget is used up, and this is one of the largest holders: it lets go of what it holds. */
  cut(holder: Holder): void {
    this.#cut++;
    holder.cutForMemory();
  }

  #largestFirst(): Holder[] {
    const found: { readonly holder: Holder; readonly bytes: number }[] = [];
    for (const some of this.holders) {
      for (const holder of some) {
        const bytes = holder.heldBytes;
        if (bytes > 0) found.push({ holder, bytes });
      }
    }
    return found.sort((one, other) => other.bytes - one.bytes).map(({ holder }) => holder);
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
