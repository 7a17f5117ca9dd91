import type { Message } from '../../bus/message.ts';
import { ProtocolError } from '../../core/fault.ts';
import { literalTopic, type Route } from '../server/destinations.ts';
import type { BrokerLimits } from './limits.ts';
import { Queue, type QueueItem } from './queue.ts';
import { Quota, type Storable, storedSize } from './quota.ts';

export interface BrokerStats {
  readonly queues: number;
  /** Messages in all queues, those that are delivered and not acknowledged included. */
  readonly queued: number;
  /** Messages that went to the dead-letter queue, and those that found it full. */
  readonly deadLettered: number;
  readonly dropped: number;
}

/** Makes a message that is about to be kept. */
export type CreateMessage = (
  topic: string,
  body: Uint8Array,
  contentType: string | undefined,
  headers: ReadonlyMap<string, string> | undefined,
) => Message;

/** All queues of a broker, by name, within what they may keep together. */
export class Queues {
  readonly #limits: BrokerLimits;
  readonly #deadLetter: string;
  readonly #message: CreateMessage;
  readonly #known = new Map<string, Queue>();
  readonly #stored: Quota;
  #deadLettered = 0;
  #dropped = 0;

  constructor(limits: BrokerLimits, deadLetter: string, message: CreateMessage) {
    this.#limits = limits;
    this.#deadLetter = deadLetter;
    this.#message = message;
    const { maxStoredMessages, maxStoredBytes } = limits;
    this.#stored = new Quota('All queues together keep at most', maxStoredMessages, maxStoredBytes);
  }

  /** The queue of this name; it comes to life with its first use. Throws a {@link ProtocolError} if there are too many. */
  of(name: string): Queue {
    const known = this.#known.get(name);
    if (known) return known;
    const { maxQueueMessages, maxQueueBytes, maxDeliveries } = this.#limits;
    this.#checkCount(1);
    const queue = new Queue({
      topic: literalTopic(name),
      allowance: new Quota(`${name} is full: it keeps`, maxQueueMessages, maxQueueBytes, this.#stored),
      // What is dead stays dead, however often somebody looks at it.
      maxDeliveries: name === this.#deadLetter ? Number.POSITIVE_INFINITY : maxDeliveries,
      dead: (item) => this.#putToDeadLetters(name, item),
      unused: () => this.#known.delete(name),
    });
    this.#known.set(name, queue);
    return queue;
  }

  /** Throws a {@link ProtocolError} unless there is room for all of these, so that a COMMIT fails before it begins. */
  checkRoom(messages: readonly (Storable & { readonly route: Route })[]): void {
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
    this.#stored.check(all.messages, all.bytes);
    const unknown = [...wanted.keys()].filter((name) => !this.#known.has(name));
    this.#checkCount(unknown.length);
    try {
      for (const [name, { messages: count, bytes }] of wanted) this.of(name).checkRoom(count, bytes);
    } finally {
      // Whether anything is put there depends on others as well.
      for (const name of unknown) this.#known.get(name)?.release();
    }
  }

  stats(): BrokerStats {
    return {
      queues: this.#known.size,
      queued: this.#stored.messages,
      deadLettered: this.#deadLettered,
      dropped: this.#dropped,
    };
  }

  #checkCount(more: number): void {
    const { maxQueues } = this.#limits;
    if (this.#known.size + more > maxQueues) throw new ProtocolError('tooMany', `more than ${maxQueues} queues`);
  }

  #putToDeadLetters(name: string, { message, deliveries }: QueueItem): void {
    const headers = new Map(message.headers);
    headers.set('original-destination', name);
    headers.set('delivery-count', String(deliveries));
    try {
      const deadLetters = this.of(this.#deadLetter);
      deadLetters.put(this.#message(deadLetters.topic, message.body, message.contentType, headers));
      this.#deadLettered++;
    } catch {
      // There is nowhere to put it: the count tells.
      this.#dropped++;
    }
  }
}
