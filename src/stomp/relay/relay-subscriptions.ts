import { ProtocolError } from '../../core/fault.ts';
import { detached } from '../../core/wire.ts';
import type { Headers } from '../protocol/frame.ts';
import type { AckMode } from '../protocol/frame-fields.ts';
import { type Delivery, Unacknowledged } from '../server/unacknowledged.ts';

/** A message of the broker that waits for an ACK or NACK of the client. */
export interface RelayDelivery extends Delivery {
  /** The `message-id` that the broker gave. */
  readonly messageId: string;
  /** What the broker wants to hear, if it speaks 1.2. */
  readonly ack: string | undefined;
  /** What it costs here until it is acknowledged, in bytes ([RELAY-24]). */
  readonly cost: number;
}

/** An entry of a map and its object, as V8 makes them. */
const deliveryCost = 200;

const costOf = (deliveries: readonly RelayDelivery[]): number => deliveries.reduce((sum, { cost }) => sum + cost, 0);

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

  /** It has ended: what waits belongs to the caller. */
  takeAll(): readonly RelayDelivery[] {
    return this.#waiting?.takeAll() ?? [];
  }

  /** Take out the deliveries that an ACK or NACK of this key is about: see {@link Unacknowledged.claim}. */
  claim(key: string, cumulative: boolean): readonly RelayDelivery[] {
    this.#waiting ??= new Unacknowledged();
    return this.#waiting.claim(key, cumulative);
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
  readonly #charge: (bytes: number) => boolean;
  readonly #all = new Map<string, RelaySubscription>();
  #serials = 0;
  #deliveries = 0;
  #unacknowledged = 0;

  /** `charge` counts what is kept for the client, in bytes; false: it was too much, and its connection ends. */
  constructor(limit: number, charge: (bytes: number) => boolean) {
    this.#limit = limit;
    this.#charge = charge;
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
    this.release(subscription.takeAll());
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

  /**
   * Remember a MESSAGE until it is acknowledged, and charge its client for it ([RELAY-24]). `numbered`: its key is a number
   * of ours instead of its message-id. Undefined: the client may not keep us busy with so much, and its connection ends.
   */
  deliver(subscription: RelaySubscription, headers: Headers, numbered: boolean): string | undefined {
    // A text that is kept keeps the whole head that it was cut from.
    const messageId = detached(headers.get('message-id') ?? '');
    const given = headers.get('ack');
    const ack = given === undefined ? undefined : detached(given);
    const order = ++this.#deliveries;
    const key = numbered ? String(order) : messageId;
    const cost = deliveryCost + 2 * (messageId.length + (ack?.length ?? 0));
    if (!this.#charge(cost)) return undefined;
    // Of two deliveries of one message the later one counts.
    if (subscription.awaits(key)) this.release(this.#take(subscription, key, false));
    subscription.deliver({ key, messageId, ack, order, cost });
    this.#unacknowledged++;
    return key;
  }

  /**
   * Take out what an ACK or NACK is about; it is charged for until {@link release}. Throws a `ProtocolError` if nothing
   * waits under this key.
   */
  claim(subscription: RelaySubscription, key: string): readonly RelayDelivery[] {
    return this.#take(subscription, key, subscription.mode === 'client');
  }

  #take(subscription: RelaySubscription, key: string, cumulative: boolean): readonly RelayDelivery[] {
    const deliveries = subscription.claim(key, cumulative);
    this.#unacknowledged -= deliveries.length;
    return deliveries;
  }

  /** Nobody asks for these any more: they cost nothing. */
  release(deliveries: readonly RelayDelivery[]): void {
    if (deliveries.length > 0) this.#charge(-costOf(deliveries));
  }

  /** A transaction was aborted: what it claimed waits again. */
  restore(subscription: RelaySubscription, deliveries: readonly RelayDelivery[]): void {
    if (this.#all.get(subscription.brokerId) !== subscription) return this.release(deliveries);
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
export const brokerIdOf = (id: string): string => (/[\\\n\r%]/.test(id) ? encodeURIComponent(id) : id);
