import type { BrokerLimits } from './limits.ts';
import { Quota } from './quota.ts';

/** What one user, or one connection without a user, keeps in queues. */
export interface Share {
  /** Messages and bytes. */
  readonly quota: Quota;
  /** Queues that came to life by it. */
  queues: number;
}

/** What a share weighs against others: whoever holds most gives way first. */
export const weightOf = ({ quota, queues }: Share): number => quota.bytes + 1_000 * queues;

/** The shares of all who keep something in queues; whoever keeps nothing has none ([STOMP-93]). */
export class Shares {
  readonly #limits: BrokerLimits;
  readonly #known = new Map<string, Share>();

  constructor(limits: BrokerLimits) {
    this.#limits = limits;
  }

  /** The share of this owner; it comes to life with its first use. */
  of(owner: string): Share {
    const known = this.#known.get(owner);
    if (known) return known;
    const { maxUserMessages, maxUserBytes } = this.#limits;
    const share = { quota: new Quota('One user keeps in queues at most', maxUserMessages, maxUserBytes), queues: 0 };
    this.#known.set(owner, share);
    return share;
  }

  /** Forget this owner's share if nothing is in it. */
  release(owner: string): void {
    const share = this.#known.get(owner);
    if (share && share.queues === 0 && share.quota.messages === 0) this.#known.delete(owner);
  }

  /** Forget all shares that have nothing in them. */
  sweep(): void {
    for (const owner of this.#known.keys()) this.release(owner);
  }

  /** Who keeps most; undefined: nobody keeps anything. */
  largest(): Share | undefined {
    let largest: Share | undefined;
    for (const share of this.#known.values()) if (!largest || weightOf(share) > weightOf(largest)) largest = share;
    return largest;
  }
}
