import type { Message } from '../../bus/message.ts';
import { type Quota, storedSize } from './quota.ts';

/** A message in a queue. */
export interface QueueItem {
  readonly message: Message;
  /** Its place: lower ones came earlier. */
  readonly order: number;
  /** What it occupies, in bytes. */
  readonly bytes: number;
  /** How often it was handed out. */
  deliveries: number;
}

/** Whoever takes messages from a queue. */
export interface Consumer {
  /** Takes one more now. */
  readonly ready: boolean;
  take(item: QueueItem): void;
}

export interface QueueOptions {
  /** What all its messages have for a topic: one text, since a long name for each would count for nothing. */
  readonly topic: string;
  /** What it may keep. */
  readonly allowance: Quota;
  readonly maxDeliveries: number;
  /** A message was handed out too often; it is no longer in the queue. */
  readonly dead: (item: QueueItem) => void;
  /** Nothing is kept and nobody waits: the queue may be forgotten. */
  readonly unused: () => void;
}

/**
 * Competing consumers: each message goes to one of them, in turn, and stays here until it is consumed. What is put
 * back goes to the head, in its old order.
 */
export class Queue {
  readonly topic: string;
  readonly #options: QueueOptions;
  // What was put back is older than all that waits, and is kept in order.
  #returned: readonly QueueItem[] = [];
  #firstReturned = 0;
  #waiting: QueueItem[] = [];
  #first = 0;
  readonly #consumers = new Set<Consumer>();
  // Consumers that may be ready, whose turn it is first. One that is not ready leaves, until it calls `wake`.
  readonly #turns = new Set<Consumer>();
  // Who got the last message, and goes behind the others before the next one.
  #served: Consumer | undefined;
  #orders = 0;
  #dispatching = false;

  constructor(options: QueueOptions) {
    this.topic = options.topic;
    this.#options = options;
  }

  /** Messages that are kept: waiting, or handed out and not consumed. */
  get size(): number {
    return this.#options.allowance.messages;
  }

  /** Throws a {@link ProtocolError} `tooMany` unless there is room for so many more. */
  checkRoom(messages: number, bytes: number): void {
    try {
      this.#options.allowance.check(messages, bytes);
    } catch (error) {
      // It may have been made for these.
      this.release();
      throw error;
    }
  }

  /** Throws as `checkRoom`. */
  put(message: Message): void {
    const bytes = storedSize(message);
    this.checkRoom(1, bytes);
    this.#options.allowance.take(bytes);
    this.#waiting.push({ message, order: this.#orders++, bytes, deliveries: 0 });
    this.dispatch();
  }

  add(consumer: Consumer): void {
    this.#consumers.add(consumer);
    this.wake(consumer);
  }

  /** The consumer leaves. What it did not consume, `putBack` gets. */
  remove(consumer: Consumer): void {
    this.#consumers.delete(consumer);
    this.#turns.delete(consumer);
    if (this.#served === consumer) this.#served = undefined;
  }

  /** This consumer may be ready again: it takes its turn behind the others. */
  wake(consumer: Consumer): void {
    if (!this.#consumers.has(consumer)) return;
    this.#turns.add(consumer);
    this.dispatch();
  }

  /**
   * Put messages back to the head, in their old order. Of those that `failed` each delivery counts, and those that were
   * delivered too often are dead. All that goes back for one reason has to come in one call: what comes first is handed
   * out first ([STOMP-85]).
   */
  putBack(items: readonly QueueItem[], failed: readonly QueueItem[]): void {
    const { maxDeliveries, dead } = this.#options;
    const living = [...items];
    for (const item of failed.toSorted(byOrder)) {
      if (item.deliveries >= maxDeliveries) {
        this.#forget(item);
        dead(item);
      } else living.push(item);
    }
    if (living.length > 0) {
      this.#returned = this.#returned.slice(this.#firstReturned).concat(living).sort(byOrder);
      this.#firstReturned = 0;
    }
    this.dispatch();
    this.release();
  }

  /** The message was consumed. */
  consumed(item: QueueItem): void {
    this.#forget(item);
    this.release();
  }

  /** Hand out what consumers take. */
  dispatch(): void {
    // A consumer whose connection breaks while it is written to comes back here.
    if (this.#dispatching) return;
    this.#dispatching = true;
    try {
      while (this.#hasWaiting) {
        const consumer = this.#nextReady();
        if (!consumer) break;
        const item = this.#shift();
        item.deliveries++;
        consumer.take(item);
      }
    } finally {
      this.#dispatching = false;
    }
  }

  get #hasWaiting(): boolean {
    return this.#firstReturned < this.#returned.length || this.#first < this.#waiting.length;
  }

  /** Whoever is not ready is looked at once, however much comes: the work is the same for any number of consumers. */
  #nextReady(): Consumer | undefined {
    const turns = this.#turns;
    for (const consumer of turns) {
      if (!consumer.ready) {
        turns.delete(consumer);
        continue;
      }
      if (consumer === this.#served && turns.size > 1) {
        this.#served = undefined;
        turns.delete(consumer);
        turns.add(consumer);
        continue;
      }
      this.#served = consumer;
      return consumer;
    }
    return undefined;
  }

  #shift(): QueueItem {
    const returned = this.#returned[this.#firstReturned];
    if (returned) {
      if (++this.#firstReturned === this.#returned.length) {
        this.#returned = [];
        this.#firstReturned = 0;
      }
      return returned;
    }
    const item = this.#waiting[this.#first] as QueueItem;
    // Shifting a long array costs its length each time: half of it is dropped now and then.
    if (++this.#first > 32 && this.#first * 2 > this.#waiting.length) {
      this.#waiting = this.#waiting.slice(this.#first);
      this.#first = 0;
    }
    return item;
  }

  #forget({ bytes }: QueueItem): void {
    this.#options.allowance.give(bytes);
  }

  /** Forget the queue if nothing needs it. */
  release(): void {
    if (this.size === 0 && this.#consumers.size === 0) this.#options.unused();
  }
}

const byOrder = (one: QueueItem, other: QueueItem): number => one.order - other.order;
