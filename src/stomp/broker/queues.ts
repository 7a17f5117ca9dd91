import type { Message } from '../../bus/message.ts';
import { type Clock, never, type Timed } from '../../core/clock.ts';
import { ProtocolError } from '../../core/fault.ts';
import { malformed } from '../protocol/frame.ts';
import { brokerHeader } from '../protocol/headers.ts';
import { literalTopic, type Route } from '../server/destinations.ts';
import type { BrokerLimits } from './limits.ts';
import { type PutOptions, Queue, type QueueItem } from './queue.ts';
import { Quota, type Storable, storedSize } from './quota.ts';
import { type Share, Shares, weightOf } from './shares.ts';

/** One queue. */
export interface QueueStats {
  /** Messages that wait in it for a consumer. */
  readonly waiting: number;
  /** Messages that were delivered and are not acknowledged. */
  readonly delivered: number;
  /** Subscriptions that take from it. */
  readonly consumers: number;
}

/** What the queues of a broker hold, and what became of messages. */
export interface QueueTotals {
  /** Queues that somebody consumes or that hold messages. */
  readonly queues: number;
  /** Messages in all queues, those that are delivered and not acknowledged included. */
  readonly queued: number;
  /** Bytes that they occupy. */
  readonly queuedBytes: number;
  /** Messages that went to the dead-letter queue. */
  readonly deadLettered: number;
  /** Messages that found the dead-letter queue full, or that gave way to those of others. */
  readonly dropped: number;
  /** Messages whose time was over, and those of queues that nobody consumed. */
  readonly expired: number;
}

/** Makes a message that is about to be kept. */
export type CreateMessage = (
  topic: string,
  body: Uint8Array,
  contentType: string | undefined,
  headers: ReadonlyMap<string, string> | undefined,
) => Message;

interface KnownQueue {
  readonly queue: Queue;
  /** The owner that made it come to life; undefined: the application. */
  readonly creator: string | undefined;
  /** When it was last used, in ms of the clock. */
  usedAt: number;
}

/** All queues of a broker, by name, within what they may keep together. */
export class Queues implements Timed {
  /** When to look for what has expired; see {@link Timed}. */
  deadline = never;
  /** The clock's alone; see {@link Timed}. */
  slot: number | undefined;
  readonly #limits: BrokerLimits;
  readonly #deadLetter: string;
  readonly #message: CreateMessage;
  readonly #clock: Clock;
  readonly #known = new Map<string, KnownQueue>();
  readonly #stored: Quota;
  readonly #shares: Shares;
  #deadLettered = 0;
  #dropped = 0;
  #expired = 0;

  constructor(limits: BrokerLimits, deadLetter: string, message: CreateMessage, clock: Clock) {
    this.#limits = limits;
    this.#deadLetter = deadLetter;
    this.#message = message;
    this.#clock = clock;
    const { maxStoredMessages, maxStoredBytes } = limits;
    this.#stored = new Quota('All queues together keep at most', maxStoredMessages, maxStoredBytes);
    this.#shares = new Shares(limits);
  }

  /**
   * The queue of this name; it comes to life with its first use, as a part of the share of its `owner`, or of nobody's
   * where the application uses it. Throws a {@link ProtocolError} `tooMany` if there are too many.
   */
  of(name: string, owner: string | undefined): Queue {
    const known = this.#known.get(name);
    if (known) {
      known.usedAt = this.#clock.now();
      return known.queue;
    }
    const share = owner === undefined ? undefined : this.#shares.of(owner);
    this.#makeRoom(1, 0, 0, share);
    const { maxQueueMessages, maxQueueBytes, maxDeliveries } = this.#limits;
    const queue: Queue = new Queue({
      topic: literalTopic(name),
      allowance: new Quota(`${name} is full: it keeps`, maxQueueMessages, maxQueueBytes, this.#stored),
      // What is dead stays dead, however often somebody looks at it.
      maxDeliveries: name === this.#deadLetter ? Number.POSITIVE_INFINITY : maxDeliveries,
      clock: this.#clock,
      isOver: (time) => time <= this.#clock.wall(),
      expired: (messages) => {
        this.#expired += messages;
      },
      dead: (item) => this.#putToDeadLetters(name, item),
      unused: () => this.#forget(name, queue),
    });
    this.#known.set(name, { queue, creator: owner, usedAt: this.#clock.now() });
    if (share) share.queues++;
    this.#watch();
    return queue;
  }

  /** Put a message into a queue. Throws a {@link ProtocolError} `tooMany` if there is no room for it. */
  put(name: string, body: Uint8Array, message: Omit<Storable, 'body'>, owner: string | undefined): void {
    const { contentType, headers } = message;
    const options = this.#optionsOf(headers, owner);
    const bytes = storedSize({ body, contentType, headers });
    options.share?.quota.check(1, bytes);
    this.#makeRoom(0, 1, bytes, options.share);
    const queue = this.of(name, owner);
    queue.put(this.#message(queue.topic, body, contentType, headers), options);
    if (owner !== undefined) this.#shares.release(owner);
  }

  /** What the headers of a message ask for ([STOMP-95]). */
  #optionsOf(headers: ReadonlyMap<string, string> | undefined, owner: string | undefined): PutOptions {
    const expires = headers?.get('expires');
    const priority = headers?.get('priority');
    if (expires !== undefined && !/^\d{1,15}$/.test(expires)) {
      throw malformed('expires must be a number of ms since 1970, or 0 for never');
    }
    if (priority !== undefined && !/^\d$/.test(priority)) throw malformed('priority must be a number from 0 to 9');
    return {
      share: owner === undefined ? undefined : this.#shares.of(owner),
      expiresAt: expires === undefined || expires === '0' ? undefined : Number(expires),
      priority: priority === undefined ? undefined : Number(priority),
    };
  }

  /**
   * Throws a {@link ProtocolError} unless there is room for all of these, so that a COMMIT fails before it begins. Queues
   * that are not there yet are counted, not made.
   */
  checkRoom(messages: readonly (Storable & { readonly route: Route })[], owner: string | undefined): void {
    const wanted = new Map<string, { messages: number; bytes: number }>();
    const all = { messages: 0, bytes: 0 };
    for (const message of messages) {
      if (message.route.kind !== 'queue') continue;
      const { name } = message.route;
      const own = wanted.get(name) ?? { messages: 0, bytes: 0 };
      wanted.set(name, own);
      const bytes = storedSize(message);
      for (const sum of [own, all]) {
        sum.messages++;
        sum.bytes += bytes;
      }
    }
    if (all.messages === 0) return;
    const { share } = this.#optionsOf(undefined, owner);
    share?.quota.check(all.messages, all.bytes);
    const unknown = [...wanted.keys()].filter((name) => !this.#known.has(name));
    this.#makeRoom(unknown.length, all.messages, all.bytes, share);
    const { maxQueueMessages, maxQueueBytes } = this.#limits;
    for (const [name, { messages: count, bytes }] of wanted) {
      const known = this.#known.get(name);
      if (known) known.queue.checkRoom(count, bytes);
      else new Quota(`${name} is full: it keeps`, maxQueueMessages, maxQueueBytes).check(count, bytes);
    }
    if (owner !== undefined) this.#shares.release(owner);
  }

  /** What they hold now. */
  stats(): QueueTotals {
    return {
      queues: this.#known.size,
      queued: this.#stored.messages,
      queuedBytes: this.#stored.bytes,
      deadLettered: this.#deadLettered,
      dropped: this.#dropped,
      expired: this.#expired,
    };
  }

  /** Each queue by its destination, counted when it is asked for. */
  each(): ReadonlyMap<string, QueueStats> {
    const all = new Map<string, QueueStats>();
    for (const [name, { queue }] of this.#known) {
      const { waiting, size, consumers } = queue;
      all.set(name, { waiting, delivered: size - waiting, consumers });
    }
    return all;
  }

  // ── room ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Throws unless so many more queues, messages and bytes fit. Where all queues together are full, whoever holds more
   * than this share gives way: messages of the largest share, in queues that nobody consumes ([STOMP-93]).
   */
  #makeRoom(queues: number, messages: number, bytes: number, share: Share | undefined): void {
    const { maxQueues, maxUserQueues } = this.#limits;
    if (share && share.queues + queues > maxUserQueues) {
      throw new ProtocolError('tooMany', `more than ${maxUserQueues} queues of one user`);
    }
    for (;;) {
      try {
        if (this.#known.size + queues > maxQueues) throw new ProtocolError('tooMany', `more than ${maxQueues} queues`);
        this.#stored.check(messages, bytes);
        return;
      } catch (error) {
        if (!this.#relieve(share)) throw error;
      }
    }
  }

  /** False: nobody holds more, or all that they hold is being consumed. */
  #relieve(share: Share | undefined): boolean {
    const largest = this.#shares.largest();
    if (!largest || largest === share || weightOf(largest) <= (share ? weightOf(share) : 0)) return false;
    for (const { queue } of this.#known.values()) {
      const dropped = queue.abandoned ? queue.drop((item) => item.share === largest) : 0;
      this.#dropped += dropped;
      if (dropped > 0) return true;
    }
    return false;
  }

  #forget(name: string, queue: Queue): void {
    const known = this.#known.get(name);
    if (known?.queue !== queue) return;
    this.#known.delete(name);
    if (this.#known.size === 0) {
      this.deadline = never;
      this.#clock.forget(this);
    }
    if (known.creator === undefined) return;
    this.#shares.of(known.creator).queues--;
    this.#shares.release(known.creator);
  }

  // ── time ───────────────────────────────────────────────────────────────────────────────────────────────────────

  #watch(): void {
    if (this.deadline !== never) return;
    this.deadline = this.#clock.now() + Math.min(this.#limits.queueExpires, 60_000);
    this.#clock.watch(this);
  }

  /** What is over, and what nobody consumes for too long, is dropped ([STOMP-94]). */
  tick(now: number): void {
    this.deadline = never;
    const wall = this.#clock.wall();
    for (const known of [...this.#known.values()]) {
      const { queue } = known;
      if (!queue.abandoned) known.usedAt = now;
      const isOld = now - known.usedAt >= this.#limits.queueExpires;
      this.#expired += queue.drop(({ expiresAt }) => isOld || (expiresAt !== undefined && expiresAt <= wall));
    }
    this.#shares.sweep();
    if (this.#known.size > 0) this.#watch();
  }

  #putToDeadLetters(name: string, { message, deliveries }: QueueItem): void {
    const headers = new Map(message.headers);
    headers.set(brokerHeader.originalDestination, name);
    headers.set(brokerHeader.deliveryCount, String(deliveries));
    headers.delete('expires');
    try {
      this.put(this.#deadLetter, message.body, { contentType: message.contentType, headers }, undefined);
      this.#deadLettered++;
    } catch {
      // There is nowhere to put it: the count tells.
      this.#dropped++;
    }
  }
}
