import type { Message } from '../../bus/message.ts';
import type { Clock } from '../../core/clock.ts';
import { type Quota, storedSize } from './quota.ts';
import type { Share } from './shares.ts';

/** A message in a queue. */
export interface QueueItem {
  /** What is handed out. */
  readonly message: Message;
  /** Its place: lower ones came earlier. */
  readonly order: number;
  /** What it occupies, in bytes. */
  readonly bytes: number;
  /** How often it was handed out. */
  deliveries: number;
  /** Whose share it is a part of; undefined: the application's own. */
  readonly share: Share | undefined;
  /** When it is of no use any more, in ms since 1970; undefined: never. */
  readonly expiresAt: number | undefined;
}

/** What may be said of a message that is put into a queue. */
export interface PutOptions {
  /** Whose share it is a part of. */
  readonly share?: Share | undefined;
  /** When it is of no use any more, in ms since 1970. */
  readonly expiresAt?: number | undefined;
  /** From 0 to 9, the highest first. @defaultValue 4, as JMS has it */
  readonly priority?: number | undefined;
}

/** Whoever takes messages from a queue. */
export interface Consumer {
  /** Takes one more now. */
  readonly ready: boolean;
  /** Takes this item: `consumed` or `putBack` of the queue follow. */
  take(item: QueueItem): void;
  /** Count what is kept for this consumer alone, in bytes; with a negative number it is let go of. */
  charge?(bytes: number): void;
}

/** A queue as its consumers see it, wherever its messages are. */
export interface WorkQueue {
  /** Resolves when messages come; absent: at once. */
  readonly active?: Promise<void> | undefined;
  /** Messages that wait here for a consumer, so that it should not leave. */
  readonly waiting: number;
  /** Somebody takes messages from now on. */
  add(consumer: Consumer): void;
  /** The consumer leaves. What it did not consume, `putBack` gets. */
  remove(consumer: Consumer): void;
  /** This consumer may be ready again. */
  wake(consumer: Consumer): void;
  /** The message was consumed. */
  consumed(item: QueueItem): void;
  /** Put messages back; of those that `failed` each delivery counts. */
  putBack(items: readonly QueueItem[], failed: readonly QueueItem[]): void;
  /** Forget the queue if nothing needs it. */
  release(): void;
}

/** After so many ms of deliveries others have a turn, which is looked at every so many deliveries ([STOMP-88]). */
const shareMs = 5;
const lookEvery = 64;

/** What a queue is made of. */
export interface QueueOptions {
  /** What all its messages have for a topic: one text, since a long name for each would count for nothing. */
  readonly topic: string;
  /** What it may keep. */
  readonly allowance: Quota;
  /** How often a message is handed out before it is dead. */
  readonly maxDeliveries: number;
  /** Who made the queue come to life; undefined: the application. */
  readonly creator?: Share | undefined;
  /** How long a share of deliveries may take, and when the next one begins. */
  readonly clock: Pick<Clock, 'now' | 'afterTurn'>;
  /** Is this time over, in ms since 1970? */
  readonly isOver: (time: number) => boolean;
  /** So many messages expired. */
  readonly expired: (messages: number) => void;
  /** A message was handed out too often; it is no longer in the queue. */
  readonly dead: (item: QueueItem) => void;
  /** Nothing is kept and nobody waits: the queue may be forgotten. */
  readonly unused: () => void;
}

/**
 * Competing consumers: each message goes to one of them, in turn, and stays here until it is consumed. What is put
 * back goes to the head, in its old order.
 */
export class Queue implements WorkQueue {
  /** What its messages have for a topic. */
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
  /** The next share of deliveries comes at the end of the turn. */
  #goesOn = false;

  constructor(options: QueueOptions) {
    this.topic = options.topic;
    this.#options = options;
  }

  /** How many consumers it has. */
  get consumers(): number {
    return this.#consumers.size;
  }

  /** Messages that are kept: waiting, or handed out and not consumed. */
  get size(): number {
    return this.#options.allowance.messages;
  }

  /** Messages that no consumer has. */
  get waiting(): number {
    return this.#returned.length - this.#firstReturned + this.#waiting.length - this.#first;
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
  put(message: Message, { share, expiresAt, priority = usualPriority }: PutOptions = {}): void {
    const bytes = storedSize(message);
    this.checkRoom(1, bytes);
    this.#options.allowance.take(bytes);
    share?.quota.take(bytes);
    const order = this.#orders++ + (usualPriority - priority) * ordersOfPriority;
    this.#enqueue({ message, order, bytes, deliveries: 0, share, expiresAt });
    this.dispatch();
  }

  /** At the end, but for those of a lower priority. */
  #enqueue(item: QueueItem): void {
    const waiting = this.#waiting;
    if ((waiting.at(-1)?.order ?? 0) <= item.order || this.#first === waiting.length) return void waiting.push(item);
    let [from, to] = [this.#first, waiting.length];
    while (from < to) {
      const middle = (from + to) >> 1;
      if ((waiting[middle] as QueueItem).order > item.order) to = middle;
      else from = middle + 1;
    }
    waiting.splice(from, 0, item);
  }

  /** Nobody consumes it. */
  get abandoned(): boolean {
    return this.#consumers.size === 0;
  }

  /** Drop what waits and is so; how many messages that were. */
  drop(isDropped: (item: QueueItem) => boolean): number {
    const kept: QueueItem[] = [];
    let dropped = 0;
    for (const item of [...this.#returned.slice(this.#firstReturned), ...this.#waiting.slice(this.#first)]) {
      if (isDropped(item)) {
        this.#forget(item);
        dropped++;
      } else kept.push(item);
    }
    if (dropped > 0) {
      this.#returned = [];
      this.#firstReturned = this.#first = 0;
      this.#waiting = kept;
      this.release();
    }
    return dropped;
  }

  /** Somebody takes messages from now on. */
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

  /** Hand out what consumers take, in shares: others have their turns between. */
  dispatch(): void {
    // A consumer whose connection breaks while it is written to comes back here.
    if (this.#dispatching || this.#goesOn) return;
    this.#dispatching = true;
    const { clock } = this.#options;
    let ends: number | undefined;
    try {
      for (let handed = 1; this.waiting > 0; handed++) {
        if (handed % lookEvery === 0) {
          const now = clock.now();
          ends ??= now + shareMs;
          if (now >= ends) return this.#goOnLater();
        }
        const consumer = this.#nextReady();
        if (!consumer) break;
        const item = this.#shift();
        if (item.expiresAt !== undefined && this.#options.isOver(item.expiresAt)) {
          this.#forget(item);
          this.#options.expired(1);
          continue;
        }
        item.deliveries++;
        consumer.take(item);
      }
    } finally {
      this.#dispatching = false;
    }
  }

  #goOnLater(): void {
    this.#goesOn = true;
    this.#options.clock.afterTurn(() => {
      this.#goesOn = false;
      this.dispatch();
      // Who waited for this may have left meanwhile.
      this.release();
    });
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

  #forget({ bytes, share }: QueueItem): void {
    this.#options.allowance.give(bytes);
    share?.quota.give(bytes);
  }

  /** Forget the queue if nothing needs it. */
  release(): void {
    if (this.size === 0 && this.#consumers.size === 0) this.#options.unused();
  }
}

/** JMS knows priorities from 0 to 9, and 4 where none is given. */
const usualPriority = 4;
/** More messages than a queue of one priority will ever have had. */
const ordersOfPriority = 2 ** 44;

const byOrder = (one: QueueItem, other: QueueItem): number => one.order - other.order;
