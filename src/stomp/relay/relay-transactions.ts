import { ProtocolError } from '../../core/fault.ts';
import { malformed } from '../protocol/frame.ts';
import type { RelayLimits } from './limits.ts';
import type { RelayDelivery, RelaySubscription } from './relay-subscriptions.ts';

/** What an ACK or NACK took from a subscription, and an ABORT gives back. */
export interface Claim {
  /** Whose deliveries they are. */
  readonly subscription: RelaySubscription;
  /** What was claimed. */
  readonly deliveries: readonly RelayDelivery[];
}

interface RelayTransaction {
  frames: number;
  readonly claims: Claim[];
}

/** The open transactions of one client. The broker keeps their frames; here they are checked and counted ([STOMP-57] [STOMP-60]). */
export class RelayTransactions {
  readonly #limits: RelayLimits;
  #open: Map<string, RelayTransaction> | undefined;

  constructor(limits: RelayLimits) {
    this.#limits = limits;
  }

  /** How many are open. */
  get size(): number {
    return this.#open?.size ?? 0;
  }

  /** Open a transaction. Throws a {@link ProtocolError} if it is open, or if there are too many. */
  begin(id: string): void {
    const { maxTransactions } = this.#limits;
    this.#open ??= new Map();
    if (this.#open.has(id)) throw new ProtocolError('duplicate', 'BEGIN of a transaction that is open already');
    if (this.#open.size >= maxTransactions) {
      throw new ProtocolError('tooMany', `more than ${maxTransactions} open transactions`);
    }
    this.#open.set(id, { frames: 0, claims: [] });
  }

  /** A frame becomes part of this transaction. Throws if it is not open, or too long. */
  step(id: string): void {
    const { maxTransactionFrames } = this.#limits;
    if (++this.#find(id).frames > maxTransactionFrames) {
      throw new ProtocolError('tooMany', `more than ${maxTransactionFrames} frames in a transaction`);
    }
  }

  /** It acknowledged these. */
  claim(id: string, claim: Claim): void {
    this.#find(id).claims.push(claim);
  }

  /** Close a transaction; what it claimed is the caller's. */
  end(id: string): readonly Claim[] {
    const { claims } = this.#find(id);
    this.#open?.delete(id);
    return claims;
  }

  #find(id: string): RelayTransaction {
    const transaction = this.#open?.get(id);
    if (!transaction) throw malformed('a transaction that is not open');
    return transaction;
  }
}
