import { ProtocolError } from '../../core/fault.ts';
import type { Headers } from '../protocol/frame.ts';
import type { AckMode } from '../protocol/frame-fields.ts';
import { type Delivery, Unacknowledged } from '../server/unacknowledged.ts';

/** A message of the broker that waits for an ACK or NACK of the client. */
export interface RelayDelivery extends Delivery {
  /** The `message-id` that the broker gave. */
  readonly messageId: string;
  /** What the broker wants to hear, if it speaks 1.2. */
  readonly ack: string | undefined;
}

/** One subscription of a client, and what it has not acknowledged. */
export class RelaySubscription {
  /** As the client named it; undefined: not at all, which 1.0 allows. */
  readonly id: string | undefined;
  /** As the broker knows it. */
  readonly brokerId: string;
  /** As the client wrote it. */
  readonly destination: string;
  /** Who acknowledges what ([STOMP-47]). */
  readonly mode: AckMode;
  #waiting: Unacknowledged<RelayDelivery> | undefined;

  constructor(id: string | undefined, brokerId: string, destination: string, mode: AckMode) {
    this.id = id;
    this.brokerId = brokerId;
    this.destination = destination;
    this.mode = mode;
  }

  /** Deliveries that wait for an ACK or NACK. */
  get size(): number {
    return this.#waiting?.size ?? 0;
  }

  /** Does a delivery of this key wait? */
  awaits(key: string): boolean {
    return this.#waiting?.has(key) === true;
  }

  /** A message went to the client, which has to acknowledge it. */
  deliver(delivery: RelayDelivery): void {
    this.#waiting ??= new Unacknowledged();
    this.#waiting.add(delivery);
  }

  /** Take out the deliveries that an ACK or NACK of this key is about: see {@link Unacknowledged.claim}. */
  claim(key: string): readonly RelayDelivery[] {
    this.#waiting ??= new Unacknowledged();
    return this.#waiting.claim(key, this.mode === 'client');
  }

  /** The transaction that claimed these was aborted: they wait again, in their old order. */
  restore(deliveries: readonly RelayDelivery[]): void {
    this.#waiting ??= new Unacknowledged();
    this.#waiting.restore(deliveries);
  }
}

/** The subscriptions of one client, by the id that the broker knows. */
export class RelaySubscriptions {
  readonly #limit: number;
  readonly #all = new Map<string, RelaySubscription>();
  #serials = 0;
  #deliveries = 0;
  #unacknowledged = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Deliveries that wait for an ACK or NACK, over all subscriptions. */
  get unacknowledged(): number {
    return this.#unacknowledged;
  }

  /** How many are open. */
  get size(): number {
    return this.#all.size;
  }

  /** A name for the broker. Throws a {@link ProtocolError} if the id is in use or if there are too many. */
  name(id: string | undefined): string {
    const brokerId = id === undefined ? `%-${++this.#serials}` : brokerIdOf(id);
    if (this.#all.has(brokerId)) throw new ProtocolError('duplicate', 'SUBSCRIBE with an id that is in use');
    if (this.#all.size >= this.#limit) throw new ProtocolError('tooMany', `more than ${this.#limit} subscriptions`);
    return brokerId;
  }

  /** It is open from now on. */
  add(subscription: RelaySubscription): void {
    this.#all.set(subscription.brokerId, subscription);
  }

  /** It has ended, and owes nothing. */
  remove(subscription: RelaySubscription): void {
    this.#all.delete(subscription.brokerId);
    this.#unacknowledged -= subscription.size;
  }

  /** All that are open. */
  all(): Iterable<RelaySubscription> {
    return this.#all.values();
  }

  /** All have ended. */
  clear(): void {
    this.#all.clear();
    this.#unacknowledged = 0;
  }

  /** By the id that the broker knows. */
  ofBroker(brokerId: string): RelaySubscription | undefined {
    return this.#all.get(brokerId);
  }

  /** By the id that the client gave. */
  ofClient(id: string): RelaySubscription | undefined {
    return this.#all.get(brokerIdOf(id));
  }

  /** One that has no id, as 1.0 allows. */
  nameless(destination: string): RelaySubscription | undefined {
    for (const each of this.#all.values()) if (each.id === undefined && each.destination === destination) return each;
    return undefined;
  }

  /** The one that waits for an ACK of this key. */
  waitingFor(key: string): RelaySubscription | undefined {
    for (const each of this.#all.values()) if (each.awaits(key)) return each;
    return undefined;
  }

  /** Remember a MESSAGE until it is acknowledged. `numbered`: its key is a number of ours instead of its message-id. */
  deliver(subscription: RelaySubscription, headers: Headers, numbered: boolean): string {
    const messageId = headers.get('message-id') ?? '';
    const order = ++this.#deliveries;
    const key = numbered ? String(order) : messageId;
    const before = subscription.size;
    subscription.deliver({ key, messageId, ack: headers.get('ack'), order });
    this.#unacknowledged += subscription.size - before;
    return key;
  }

  /** Take out what an ACK or NACK is about. Throws a `ProtocolError` if nothing waits under this key. */
  claim(subscription: RelaySubscription, key: string): readonly RelayDelivery[] {
    const deliveries = subscription.claim(key);
    this.#unacknowledged -= deliveries.length;
    return deliveries;
  }

  /** A transaction was aborted: what it claimed waits again. */
  restore(subscription: RelaySubscription, deliveries: readonly RelayDelivery[]): void {
    if (this.#all.get(subscription.brokerId) !== subscription) return;
    const before = subscription.size;
    subscription.restore(deliveries);
    this.#unacknowledged += subscription.size - before;
  }
}

/**
 * A subscription id as a broker can have it. RabbitMQ repeats it in every message-id, unescaped: what would have to be
 * escaped there is percent-encoded, so that equal ids stay equal and different ones different. Others stay as they are,
 * since durable subscriptions are known by them. None looks like those that are made up for subscriptions without one.
 */
const brokerIdOf = (id: string): string => (/[\\\n\r%]/.test(id) ? encodeURIComponent(id) : id);
