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
  readonly #returned: QueueItem[] = [];
  #waiting: QueueItem[] = [];
  #first = 0;
  readonly #consumers: Consumer[] = [];
  #turn = 0;
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
    this.#consumers.push(consumer);
    this.dispatch();
  }

  /** The consumer leaves; what it did not consume goes back. `failed`: it is gone, so that this counts as a delivery. */
  remove(consumer: Consumer, unconsumed: readonly QueueItem[], failed: boolean): void {
    const index = this.#consumers.indexOf(consumer);
    if (index >= 0) {
      this.#consumers.splice(index, 1);
      if (index < this.#turn) this.#turn--;
    }
    this.putBack(unconsumed, failed);
  }

  /** Put messages back to the head, in their old order; those that failed too often are dead. */
  putBack(items: readonly QueueItem[], failed: boolean): void {
    const { maxDeliveries, dead } = this.#options;
    for (const item of items) {
      if (failed && item.deliveries >= maxDeliveries) {
        this.#forget(item);
        dead(item);
      } else this.#insert(item);
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
      while (this.#returned.length > 0 || this.#first < this.#waiting.length) {
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

  #nextReady(): Consumer | undefined {
    for (let tried = 0; tried < this.#consumers.length; tried++) {
      if (this.#turn >= this.#consumers.length) this.#turn = 0;
      const consumer = this.#consumers[this.#turn++] as Consumer;
      if (consumer.ready) return consumer;
    }
    return undefined;
  }

  #shift(): QueueItem {
    const returned = this.#returned.shift();
    if (returned) return returned;
    const item = this.#waiting[this.#first] as QueueItem;
    // Shifting a long array costs its length each time: half of it is dropped now and then.
    if (++this.#first > 32 && this.#first * 2 > this.#waiting.length) {
      this.#waiting = this.#waiting.slice(this.#first);
      this.#first = 0;
    }
    return item;
  }

  #insert(item: QueueItem): void {
    let index = this.#returned.length;
    while (index > 0 && (this.#returned[index - 1] as QueueItem).order > item.order) index--;
    this.#returned.splice(index, 0, item);
  }

  #forget({ bytes }: QueueItem): void {
    this.#options.allowance.give(bytes);
  }

  /** Forget the queue if nothing needs it. */
  release(): void {
    if (this.size === 0 && this.#consumers.length === 0) this.#options.unused();
  }
}
