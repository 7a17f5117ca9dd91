import { ProtocolError } from '../../core/fault.ts';
import type { SlowSubscriber } from '../../core/slow-subscriber.ts';
import { SmallMap } from '../../core/small-map.ts';
import { detached } from '../../core/wire.ts';
import { type Frame, type Headers, malformed } from '../protocol/frame.ts';
import { type AckMode, required } from '../protocol/frame-fields.ts';
import type { MessageForms } from '../server/message-forms.ts';
import { BrokerSubscription, type Subscriber } from './subscription.ts';

/** What a SUBSCRIBE says of itself. */
export interface SubscriptionPlan {
  readonly id: string | undefined;
  readonly destination: string;
  readonly mode: AckMode;
  readonly prefetch?: number | undefined;
}

/** The id. Without one, which only 1.0 allows, the destination, told apart from ids by a NUL. */
const keyOf = ({ id, destination }: Pick<SubscriptionPlan, 'id' | 'destination'>): string => id ?? `\0${destination}`;

/** The subscriptions of one connection, by what the client calls them. */
export class Subscriptions {
  readonly #subscriber: Subscriber;
  readonly #slowSubscriber: SlowSubscriber;
  readonly #forms: MessageForms;
  readonly #known = new SmallMap<string, BrokerSubscription>();
  // Reply queues that came to life by a SEND, not by a SUBSCRIBE.
  #implicit: Set<string> | undefined;
  #serials = 0;

  constructor(subscriber: Subscriber, slowSubscriber: SlowSubscriber, forms: MessageForms) {
    this.#subscriber = subscriber;
    this.#slowSubscriber = slowSubscriber;
    this.#forms = forms;
  }

  /** Throws a {@link ProtocolError} if the id is in use ([STOMP-46]) or if there are too many. */
  add({ id, destination, mode, prefetch }: SubscriptionPlan): BrokerSubscription {
    // The client's own subscription takes the place of a reply queue that came to life by itself.
    if (this.#implicit?.has(destination)) this.#remove(destination);
    const key = keyOf({ id, destination });
    if (this.#known.has(key)) throw new ProtocolError('duplicate', 'SUBSCRIBE with an id that is in use');
    const { limits } = this.#subscriber;
    if (this.#known.size >= limits.maxSubscriptions) {
      throw new ProtocolError('tooMany', `more than ${limits.maxSubscriptions} subscriptions`);
    }
    const subscription = new BrokerSubscription({
      subscriber: this.#subscriber,
      serial: ++this.#serials,
      id,
      destination,
      mode,
      prefetch,
      slowSubscriber: this.#slowSubscriber,
      forms: this.#forms,
    });
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

  /** [STOMP-49] [STOMP-50] */
  unsubscribe(headers: Headers): void {
    const destination = this.#subscriber.version === '1.0' ? headers.get('destination') : undefined;
    const key = headers.get('id') ?? this.#keyOf(destination);
    if (key === undefined || !this.#known.has(key))
      throw malformed('UNSUBSCRIBE of a subscription that does not exist');
    this.#remove(key);
  }

  /** Whose message an ACK or NACK is about: 1.2 gives its `ack`, 1.1 subscription and message-id, 1.0 the message-id ([STOMP-54]). */
  acknowledged(frame: Frame): { readonly subscription: BrokerSubscription; readonly messageId: string } {
    const { version } = this.#subscriber;
    if (version === '1.1') {
      const subscription = this.#known.get(required(frame, 'subscription'));
      if (!subscription) throw malformed(`${frame.command} for a subscription that does not exist`);
      return { subscription, messageId: required(frame, 'message-id') };
    }
    const id = required(frame, version === '1.2' ? 'id' : 'message-id');
    const dash = id.indexOf('-');
    for (const subscription of this.#known.values()) {
      if (String(subscription.serial) === id.slice(0, dash)) return { subscription, messageId: id.slice(dash + 1) };
    }
    throw malformed(`${frame.command} of a message that does not wait for one`);
  }

  /** There may be room for more: go on. */
  pump(): void {
    for (const subscription of this.#known.values()) subscription.pump();
  }

  /** `failed`: the connection is gone, so that what it had counts as delivered. */
  stopAll(failed: boolean): void {
    for (const subscription of this.#known.values()) subscription.stop(failed);
    this.#known.clear();
  }

  #keyOf(destination: string | undefined): string | undefined {
    for (const subscription of this.#known.values()) {
      if (subscription.destination === destination) return keyOf(subscription);
    }
    return undefined;
  }

  #remove(key: string): void {
    this.#known.get(key)?.stop(false);
    this.#known.delete(key);
    this.#implicit?.delete(key);
    this.pump();
  }
}
