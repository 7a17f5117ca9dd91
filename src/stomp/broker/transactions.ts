import { ProtocolError } from '../../core/fault.ts';
import type { Connection } from '../../core/subprotocol.ts';
import { malformed } from '../protocol/frame.ts';
import type { Outgoing } from '../server/outgoing.ts';
import type { Broker } from './broker.ts';
import { costs, storedSize } from './quota.ts';
import type { Settlement, Subscriptions } from './subscriptions.ts';

/** What a frame of a transaction is going to do at COMMIT. */
export type Step = { readonly kind: 'send'; readonly message: Outgoing } | ({ readonly kind: 'settle' } & Settlement);

/** Who carries out what a transaction sends. */
export interface Sender {
  /** Undefined: it is done; a promise: it is done when this resolves. */
  send(message: Outgoing): Promise<unknown> | undefined;
}

interface OpenTransaction {
  readonly steps: Step[];
  /** What its messages occupy. */
  bytes: number;
}

/** The open transactions of one connection: frames wait here until COMMIT, or for nothing ([STOMP-57] to [STOMP-60]). */
export class Transactions {
  readonly #connection: Connection;
  readonly #sender: Sender;
  readonly #broker: Broker;
  readonly #subscriptions: Subscriptions;
  readonly #open = new Map<string, OpenTransaction>();
  // Of all of them.
  #bytes = 0;
  // What is committed as soon as that which leaves the broker has left: one at a time, since the next frames wait.
  #committing: readonly Step[] | undefined;

  constructor(sender: Sender, broker: Broker, subscriptions: Subscriptions) {
    this.#connection = subscriptions.client.connection;
    this.#sender = sender;
    this.#broker = broker;
    this.#subscriptions = subscriptions;
  }

  /** Open a transaction. Throws a {@link ProtocolError} if it is open, or if there are too many. */
  begin(id: string): void {
    if (this.#open.has(id)) throw new ProtocolError('duplicate', 'BEGIN of a transaction that is open already');
    const { maxTransactions } = this.#broker.limits;
    if (this.#open.size >= maxTransactions) {
      throw new ProtocolError('tooMany', `more than ${maxTransactions} open transactions`);
    }
    const bytes = costs.message + 2 * id.length;
    this.#connection.charge(bytes);
    this.#bytes += bytes;
    this.#open.set(id, { steps: [], bytes });
  }

  /** Throws unless this transaction is open and has room for one more frame, which may send this message; it is counted. */
  check(id: string, message?: Outgoing): void {
    const transaction = this.#find(id);
    const bytes = bytesOfStep(message);
    const { maxTransactionFrames, maxTransactionBytes } = this.#broker.limits;
    if (transaction.steps.length >= maxTransactionFrames) {
      throw new ProtocolError('tooMany', `more than ${maxTransactionFrames} frames in a transaction`);
    }
    if (this.#bytes + bytes > maxTransactionBytes) {
      throw new ProtocolError('tooLarge', `more than ${maxTransactionBytes} bytes in open transactions`);
    }
    this.#connection.charge(bytes);
  }

  /** Does this transaction send to queues? Throws unless it is open. */
  fillsQueues(id: string): boolean {
    return this.#find(id).steps.some((step) => step.kind === 'send' && step.message.route.kind === 'queue');
  }

  /** Add to a transaction that was checked: a step that holds deliveries must not get lost on the way. */
  add(id: string, step: Step): void {
    const transaction = this.#find(id);
    const bytes = bytesOfStep(step.kind === 'send' ? step.message : undefined);
    transaction.bytes += bytes;
    this.#bytes += bytes;
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
    this.#broker.check(sends, this.#subscriptions.client.user);
    this.#close(id);
    const leaving = sends.filter((message) => this.#leaves(message));
    if (leaving.length > 0) return this.#commitBehind(leaving, steps);
    this.#carryOut(steps);
    return undefined;
  }

  async #commitBehind(leaving: readonly Outgoing[], steps: readonly Step[]): Promise<void> {
    const kept = steps.filter((step) => step.kind === 'settle' || !this.#leaves(step.message));
    this.#committing = steps;
    try {
      for (const message of leaving) {
        await this.#sender.send(message);
        // The client was told that it failed, by ERROR: nothing more of it happens ([STOMP-64]).
        if (this.#committing !== steps) return;
      }
      // Others may have filled the queues meanwhile.
      this.#broker.check(
        kept.flatMap((step) => (step.kind === 'send' ? step.message : [])),
        this.#subscriptions.client.user,
      );
    } catch (error) {
      this.#subscriptions.restore(this.#abandoned());
      throw error;
    }
    this.#committing = undefined;
    this.#carryOut(kept);
  }

  /** To the bus, to a queue of all servers, or to the application. */
  #leaves({ route }: Outgoing): boolean {
    return route.kind !== 'queue' || this.#broker.leaves(route);
  }

  /** A NACK may fill the dead-letter queue: messages, whose room was looked at, come before it. */
  #carryOut(steps: readonly Step[]): void {
    for (const step of steps) if (step.kind === 'send') this.#sender.send(step.message);
    this.#subscriptions.settle(settlementsOf(steps), false);
  }

  /** Close it, and do nothing of it. Throws if it is not open. */
  abort(id: string): void {
    this.#subscriptions.restore(settlementsOf(this.#close(id).steps));
  }

  /**
   * The end of the connection: also of what is being committed, whenever the application or the bus answers. What was
   * acknowledged in all of them belongs to the caller.
   */
  abortAll(): Settlement[] {
    const settlements = this.#abandoned();
    for (const id of [...this.#open.keys()]) settlements.push(...settlementsOf(this.#close(id).steps));
    return settlements;
  }

  #abandoned(): Settlement[] {
    const steps = this.#committing ?? [];
    this.#committing = undefined;
    return settlementsOf(steps);
  }

  #close(id: string): OpenTransaction {
    const transaction = this.#find(id);
    this.#open.delete(id);
    this.#bytes -= transaction.bytes;
    this.#connection.charge(-transaction.bytes);
    return transaction;
  }

  #find(id: string): OpenTransaction {
    const transaction = this.#open.get(id);
    if (!transaction) throw malformed('a transaction that is not open');
    return transaction;
  }
}

/** A message may go anywhere: unlike in a queue, its destination is kept with it. */
const bytesOfStep = (message: Outgoing | undefined): number =>
  message ? storedSize(message) + message.destination.length : costs.delivery;

/** What the steps acknowledge. */
const settlementsOf = (steps: readonly Step[]): Settlement[] => steps.filter((step) => step.kind === 'settle');
