import type { BackboneQueues, QueueConsumer, QueueDelivery } from '../../bus/backbone.ts';
import type { Message } from '../../bus/message.ts';
import type { Consumer, QueueItem, WorkQueue } from './queue.ts';
import { storedSize } from './quota.ts';

/** What a queue of the backbone is made of. */
export interface RemoteQueueOptions {
  /** The queues of all servers. */
  readonly queues: BackboneQueues;
  /** The name of this one. */
  readonly name: string;
  /** How many deliveries its consumer may have at a time. */
  readonly credit: number;
  /** How often a message is handed out before it is dead. */
  readonly maxDeliveries: number;
  /** Make the message that consumers get. */
  readonly message: (delivery: QueueDelivery) => Message;
  /** Is this time over, in ms since 1970? */
  readonly isOver: (time: number) => boolean;
  /** A message expired. */
  readonly expired: () => void;
  /** A message was handed out too often: put it where dead ones go. Rejects where that failed. */
  readonly dead: (delivery: QueueDelivery) => Promise<void>;
  /** It has no consumer any more. */
  readonly ended: () => void;
}

/**
 * A queue of the backbone, which all servers share, for one subscription of this one. The broker decides who gets what;
 * here wait at most as many messages as the subscription may have at a time ([CLUSTER-5]).
 */
export class RemoteQueue implements WorkQueue {
  /** What this server holds for others is nothing: it goes back when the consumer leaves. */
  readonly waiting = 0;
  readonly #options: RemoteQueueOptions;
  readonly #deliveries = new Map<QueueItem, QueueDelivery>();
  #held: QueueItem[] = [];
  #consumer: Consumer | undefined;
  #upstream: QueueConsumer | undefined;
  #orders = 0;
  #removed = false;

  constructor(options: RemoteQueueOptions) {
    this.#options = options;
  }

  /** See {@link WorkQueue.active}. */
  get active(): Promise<void> | undefined {
    return this.#upstream?.active;
  }

  /** Messages that wait here for their consumer to read. */
  get held(): number {
    return this.#held.length;
  }

  /** Messages that the consumer has and did not acknowledge. */
  get delivered(): number {
    return this.#deliveries.size - this.#held.length;
  }

  /** See {@link WorkQueue.add}. */
  add(consumer: Consumer): void {
    const { queues, name, credit } = this.#options;
    this.#consumer = consumer;
    this.#upstream = queues.consume(name, credit, (delivery) => this.#arrived(delivery));
  }

  /** See {@link WorkQueue.remove}. */
  remove(): void {
    this.#removed = true;
    this.#endIfDone();
  }

  /** See {@link WorkQueue.wake}. */
  wake(consumer: Consumer): void {
    while (this.#held.length > 0 && consumer.ready && !this.#removed) {
      const item = this.#held.shift() as QueueItem;
      const delivery = this.#deliveries.get(item);
      // Somebody else may have it by now.
      if (delivery?.lost) this.#forget(item);
      else consumer.take(item);
    }
  }

  /** See {@link WorkQueue.consumed}. */
  consumed(item: QueueItem): void {
    this.#settle(item, 'consumed');
  }

  /** See {@link WorkQueue.putBack}. */
  putBack(items: readonly QueueItem[], failed: readonly QueueItem[]): void {
    for (const item of failed) {
      if (item.deliveries >= this.#options.maxDeliveries) this.#bury(item);
      else this.#settle(item, 'failed');
    }
    for (const item of items) this.#settle(item, 'returned');
    this.#endIfDone();
  }

  /** See {@link WorkQueue.release}. */
  release(): void {
    this.#options.ended();
  }

  #arrived(delivery: QueueDelivery): void {
    const { message, isOver, expired, maxDeliveries } = this.#options;
    const expires = Number(delivery.headers.get('expires') ?? 0);
    if (expires > 0 && isOver(expires)) {
      expired();
      return delivery.settle('consumed');
    }
    const made = message(delivery);
    const { deliveries } = delivery;
    const bytes = storedSize(made);
    const item: QueueItem = {
      ...{ message: made, order: ++this.#orders, bytes, deliveries, share: undefined, expiresAt: undefined },
    };
    this.#deliveries.set(item, delivery);
    this.#consumer?.charge?.(bytes);
    // Servers were killed with it, again and again.
    if (deliveries > maxDeliveries) return this.#bury(item);
    this.#held.push(item);
    if (this.#consumer) this.wake(this.#consumer);
  }

  #bury(item: QueueItem): void {
    const delivery = this.#deliveries.get(item);
    if (!delivery) return;
    this.#options.dead(delivery).then(
      () => this.#settle(item, 'consumed'),
      () => this.#settle(item, 'failed'),
    );
  }

  #settle(item: QueueItem, outcome: 'consumed' | 'failed' | 'returned'): void {
    const delivery = this.#deliveries.get(item);
    this.#forget(item);
    delivery?.settle(outcome);
    this.#endIfDone();
  }

  #forget(item: QueueItem): void {
    if (this.#deliveries.delete(item)) this.#consumer?.charge?.(-item.bytes);
  }

  /** Open transactions may still acknowledge what the consumer had: it is let go of when nothing is left. */
  #endIfDone(): void {
    if (!this.#removed || this.delivered > 0 || !this.#upstream) return;
    const upstream = this.#upstream;
    this.#upstream = undefined;
    for (const item of this.#held) this.#forget(item);
    this.#held = [];
    // What is held here goes back by that.
    upstream.stop();
    this.#options.ended();
  }
}
