import { ProtocolError } from '../../core/fault.ts';
import { SmallMap } from '../../core/small-map.ts';
import { detached } from '../../core/wire.ts';
import { type Frame, type Headers, malformed } from '../protocol/frame.ts';
import { required } from '../protocol/frame-fields.ts';
import type { HandlerClient, SubscriptionPlan } from '../server/destination-handler.ts';
import { segmentsOf } from '../server/destinations.ts';
import type { Broker } from './broker.ts';
import type { BrokerLimits } from './limits.ts';
import { costs } from './quota.ts';
import { Returned } from './returned.ts';
import { BrokerSubscription, type QueueDelivery, type Subscriber } from './subscription.ts';

/** The id. Without one, which only 1.0 allows, the destination, told apart from ids by a NUL. */
const keyOf = ({ id, destination }: Pick<SubscriptionPlan, 'id' | 'destination'>): string => id ?? `\0${destination}`;

/** What a subscription costs for as long as it is open, with the nodes that a pattern becomes. */
export const costOfSubscription = ({ id = '', destination }: SubscriptionPlan): number =>
  costs.subscription + 2 * (id.length + destination.length) + costs.segment * segmentsOf(destination);

/** What an ACK or NACK decides. */
export interface Settlement {
  /** Whose deliveries they are. */
  readonly subscription: BrokerSubscription;
  /** What was claimed. */
  readonly deliveries: readonly QueueDelivery[];
  /** ACK; else NACK, which gives them back. */
  readonly consumed: boolean;
}

/** The subscriptions of one connection, by what the client calls them. */
export class Subscriptions implements Subscriber {
  /** Deliveries that wait for an ACK or NACK, over all of them. */
  unacknowledged = 0;
  /** The client that they belong to. */
  readonly client: HandlerClient;
  /** What all clients share. */
  readonly broker: Broker;
  readonly #known = new SmallMap<string, BrokerSubscription>();
  // Reply queues that came to life by a SEND, not by a SUBSCRIBE.
  #implicit: Set<string> | undefined;
  #serials = 0;

  constructor(client: HandlerClient, broker: Broker) {
    this.client = client;
    this.broker = broker;
  }

  /** What it may keep. */
  get limits(): BrokerLimits {
    return this.broker.limits;
  }

  /** How many are open. */
  get size(): number {
    return this.#known.size;
  }

  /** No queue has anything left for a consumer of this connection, which owes no ACK for any. */
  get idle(): boolean {
    for (const subscription of this.#known.values()) if (!subscription.idle) return false;
    return true;
  }

  /** So many deliveries wait for their ACK that no subscription of this connection gets more. */
  get full(): boolean {
    return this.unacknowledged >= this.limits.maxUnacknowledged;
  }

  /** Where they subscribe, once for each. */
  *destinations(): Iterable<string> {
    for (const { destination } of this.#known.values()) yield destination;
  }

  /** Is this id in use by a subscription that the client asked for? */
  has(id: string): boolean {
    return this.#known.has(id) && this.#implicit?.has(id) !== true;
  }

  /** Throws a {@link ProtocolError} if the id is in use ([STOMP-46]) or if there are too many. */
  add(plan: SubscriptionPlan): BrokerSubscription {
    // The client's own subscription takes the place of a reply queue that came to life by itself.
    if (this.#implicit?.has(plan.destination)) this.#remove(plan.destination);
    const key = keyOf(plan);
    if (this.#known.has(key)) throw new ProtocolError('duplicate', 'SUBSCRIBE with an id that is in use');
    const { maxSubscriptions } = this.limits;
    if (this.#known.size >= maxSubscriptions) {
      throw new ProtocolError('tooMany', `more than ${maxSubscriptions} subscriptions`);
    }
    this.client.connection.charge(costOfSubscription(plan));
    const subscription = new BrokerSubscription(this, plan, ++this.#serials);
    this.#known.set(key, subscription);
    return subscription;
  }

  /** A reply queue: it has its destination for an id. Undefined: somebody reads that destination already. */
  addImplicit(named: string): BrokerSubscription | undefined {
    if (this.#keyOf(named) !== undefined) return undefined;
    const destination = detached(named);
    const subscription = this.add({ id: destination, destination, mode: 'auto' });
    this.#implicit ??= new Set();
    this.#implicit.add(destination);
    return subscription;
  }

  /** A subscription of this destination. */
  reading(destination: string): BrokerSubscription | undefined {
    for (const each of this.#known.values()) if (each.destination === destination) return each;
    return undefined;
  }

  /** [STOMP-49] [STOMP-50] False: there is no such subscription. */
  unsubscribe(headers: Headers): boolean {
    const destination = this.client.version === '1.0' ? headers.get('destination') : undefined;
    const key = headers.get('id') ?? this.#keyOf(destination);
    if (key === undefined || !this.#known.has(key)) return false;
    this.#remove(key);
    return true;
  }

  /**
   * Count what this connection makes the broker keep ([STOMP-91]). Where it would be too much the connection ends, at the
   * end of the turn: whoever delivers is in the middle of it. False: nothing was counted.
   */
  charge(bytes: number): boolean {
    const { connection } = this.client;
    try {
      connection.charge(bytes);
      return true;
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      connection.close(error.fault, error.detail);
      return false;
    }
  }

  /** Does a delivery wait for this ACK or NACK? */
  awaits(frame: Frame): boolean {
    const [subscription, key] = this.#named(frame);
    return subscription?.awaits(key) === true;
  }

  /** Whose message an ACK or NACK is about: 1.2 gives its `ack`, 1.1 subscription and message-id, 1.0 the message-id ([STOMP-54]). */
  acknowledged(frame: Frame): { readonly subscription: BrokerSubscription; readonly key: string } {
    const [subscription, key] = this.#named(frame);
    if (!subscription) throw malformed(`${frame.command} of a message that does not wait for one`);
    return { subscription, key };
  }

  #named(frame: Frame): [subscription: BrokerSubscription | undefined, key: string] {
    const { version } = this.client;
    if (version === '1.1') {
      return [this.#known.get(required(frame, 'subscription')), required(frame, 'message-id')];
    }
    const id = required(frame, version === '1.2' ? 'id' : 'message-id');
    const dash = id.indexOf('-');
    for (const subscription of this.#known.values()) {
      if (String(subscription.serial) === id.slice(0, dash)) return [subscription, id.slice(dash + 1)];
    }
    return [undefined, ''];
  }

  /**
   * What was claimed is decided: consumed, or back to the queues it came from, all of a queue at once, so that its order
   * stays ([STOMP-85]). `full`: nobody got anything before, so that all may go on now.
   */
  settle(settlements: readonly Settlement[], full: boolean): void {
    const returned = new Returned();
    for (const { subscription, deliveries, consumed } of settlements) {
      subscription.settle(deliveries, consumed, returned);
    }
    returned.putBack();
    if (full) this.pump();
    else for (const { subscription } of settlements) subscription.pump();
  }

  /** A transaction was aborted: what it acknowledged waits again, or goes back where its subscription has ended. */
  restore(settlements: readonly Settlement[]): void {
    const returned = new Returned();
    for (const { subscription, deliveries } of settlements) subscription.restore(deliveries, returned);
    returned.putBack();
  }

  /** There may be room for more: go on. */
  pump(): void {
    for (const subscription of this.#known.values()) subscription.pump();
  }

  /**
   * `failed`: the connection is gone, so that what it had counts as delivered. `aborted`: what open transactions had
   * acknowledged.
   */
  stopAll(failed: boolean, aborted: readonly Settlement[]): void {
    const returned = new Returned();
    for (const { subscription, deliveries } of aborted) subscription.restore(deliveries, returned);
    const ended = [...this.#known.values()];
    this.#known.clear();
    for (const subscription of ended) subscription.stop(returned, failed);
    returned.putBack();
    for (const subscription of ended) this.#ended(subscription);
  }

  #keyOf(destination: string | undefined): string | undefined {
    for (const subscription of this.#known.values()) {
      if (subscription.destination === destination) return keyOf(subscription);
    }
    return undefined;
  }

  #remove(key: string): void {
    const { full } = this;
    const returned = new Returned();
    const subscription = this.#known.get(key);
    if (subscription) this.charge(-costOfSubscription(subscription));
    subscription?.stop(returned, false);
    this.#known.delete(key);
    this.#implicit?.delete(key);
    returned.putBack();
    // Its unacknowledged messages may have kept all others waiting.
    if (full) this.pump();
    if (subscription) this.#ended(subscription);
  }

  #ended(subscription: BrokerSubscription): void {
    if (subscription.isTold) this.client.unsubscribed(subscription.destination);
    subscription.isTold = false;
  }
}
