import { ProtocolError } from '../../core/fault.ts';
import { malformed } from '../protocol/frame.ts';
import type { Broker, BrokerClient, Outgoing } from './broker.ts';
import { storedSize } from './quota.ts';
import type { BrokerSubscription, Delivery } from './subscription.ts';

/** What a frame of a transaction is going to do at COMMIT. */
export type Step =
  | { readonly kind: 'send'; readonly message: Outgoing }
  | {
      readonly kind: 'settle';
      readonly subscription: BrokerSubscription;
      readonly deliveries: readonly Delivery[];
      readonly consumed: boolean;
    };

interface OpenTransaction {
  readonly steps: Step[];
  /** What its messages occupy. */
  bytes: number;
}

/** The open transactions of one connection: frames wait here until COMMIT, or for nothing ([STOMP-57] to [STOMP-60]). */
export class Transactions {
  readonly #client: BrokerClient;
  readonly #broker: Broker;
  readonly #open = new Map<string, OpenTransaction>();
  // Of all of them.
  #bytes = 0;
  // What is committed as soon as that which leaves the broker has left: one at a time, since the next frames wait.
  #committing: readonly Step[] | undefined;

  constructor(client: BrokerClient, broker: Broker) {
    this.#client = client;
    this.#broker = broker;
  }

  begin(id: string): void {
    if (this.#open.has(id)) throw new ProtocolError('duplicate', 'BEGIN of a transaction that is open already');
    const { maxTransactions } = this.#broker.limits;
    if (this.#open.size >= maxTransactions) {
      throw new ProtocolError('tooMany', `more than ${maxTransactions} open transactions`);
    }
    this.#open.set(id, { steps: [], bytes: 0 });
  }

  /** Throws unless this transaction is open and has room for one more frame, which may send this message. */
  check(id: string, message?: Outgoing): void {
    const transaction = this.#find(id);
    const bytes = message ? bytesOfSend(message) : 0;
    const { maxTransactionFrames, maxTransactionBytes } = this.#broker.limits;
    if (transaction.steps.length >= maxTransactionFrames) {
      throw new ProtocolError('tooMany', `more than ${maxTransactionFrames} frames in a transaction`);
    }
    if (this.#bytes + bytes > maxTransactionBytes) {
      throw new ProtocolError('tooLarge', `more than ${maxTransactionBytes} bytes in open transactions`);
    }
  }

  /** Add to a transaction that was checked: a step that holds deliveries must not get lost on the way. */
  add(id: string, step: Step): void {
    const transaction = this.#find(id);
    if (step.kind === 'send') {
      const bytes = bytesOfSend(step.message);
      transaction.bytes += bytes;
      this.#bytes += bytes;
    }
    transaction.steps.push(step);
  }

  /**
   * Do all of it, or nothing ([STOMP-58]): what can fail here is looked at before anything is done. What leaves this
   * broker, to the bus or to the application, cannot be called back: it goes first and one by one, and where one fails,
   * nothing follows. Undefined: it is done; a promise: it is done when this resolves.
   */
  commit(id: string): Promise<void> | undefined {
    const { steps } = this.#find(id);
    const sends: Outgoing[] = [];
    for (const step of steps) if (step.kind === 'send') sends.push(step.message);
    this.#broker.check(sends);
    this.#close(id);
    const leaving = sends.filter(({ route }) => route.kind !== 'queue');
    if (leaving.length > 0) return this.#commitBehind(leaving, steps);
    this.#carryOut(steps);
    return undefined;
  }

  async #commitBehind(leaving: readonly Outgoing[], steps: readonly Step[]): Promise<void> {
    const kept = steps.filter((step) => step.kind === 'settle' || step.message.route.kind === 'queue');
    this.#committing = steps;
    try {
      for (const message of leaving) {
        await this.#broker.send(this.#client, message);
        // The client was told that it failed, by ERROR: nothing more of it happens ([STOMP-64]).
        if (this.#committing !== steps) return;
      }
      // Others may have filled the queues meanwhile.
      this.#broker.check(kept.flatMap((step) => (step.kind === 'send' ? step.message : [])));
    } catch (error) {
      this.#abandon();
      throw error;
    }
    this.#committing = undefined;
    this.#carryOut(kept);
  }

  /** A NACK may fill the dead-letter queue: messages, whose room was looked at, come before it. */
  #carryOut(steps: readonly Step[]): void {
    for (const step of steps) if (step.kind === 'send') this.#broker.send(this.#client, step.message);
    for (const step of steps) if (step.kind === 'settle') step.subscription.settle(step.deliveries, step.consumed);
  }

  abort(id: string): void {
    undo(this.#close(id).steps);
  }

  /** The end of the connection: also of what is being committed, whenever the application or the bus answers. */
  abortAll(): void {
    this.#abandon();
    for (const id of [...this.#open.keys()]) this.abort(id);
  }

  #abandon(): void {
    const steps = this.#committing ?? [];
    this.#committing = undefined;
    undo(steps);
  }

  #close(id: string): OpenTransaction {
    const transaction = this.#find(id);
    this.#open.delete(id);
    this.#bytes -= transaction.bytes;
    return transaction;
  }

  #find(id: string): OpenTransaction {
    const transaction = this.#open.get(id);
    if (!transaction) throw malformed('a transaction that is not open');
    return transaction;
  }
}

/** Each of them may go elsewhere: unlike in a queue, its destination is kept with it. */
const bytesOfSend = (message: Outgoing): number => storedSize(message) + message.destination.length;

/** Messages that the steps acknowledged wait again, the last claimed first, so that their order comes back. */
function undo(steps: readonly Step[]): void {
  for (const step of steps.toReversed()) if (step.kind === 'settle') step.subscription.restore(step.deliveries);
}
