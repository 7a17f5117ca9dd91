import { createSubscription, push, type Sink } from '../bus/subscription.ts';
import type { StompSubscription } from './client-api.ts';
import { ask, type PerConnection } from './client-options.ts';
import type { ClientSession } from './client-session.ts';
import type { Frame, HeaderInput, Headers } from './codec.ts';
import { entriesOf } from './headers.ts';
import { ReceivedMessage } from './received.ts';

interface Subscriber {
  readonly id: string;
  readonly destination: string;
  readonly headers: PerConnection<HeaderInput>;
  readonly sink: Sink<ReceivedMessage>;
  /** The session that knows it. */
  session: ClientSession | undefined;
  /** More headers of UNSUBSCRIBE. */
  farewell?: HeaderInput | undefined;
}

/** The longest that a timer waits, in ms. */
const longest = 0x7fffffff;

/** What the subscriptions of a client want of it. */
export interface SubscriptionsHost {
  /** How long the headers of a subscription may be awaited, in ms. */
  readonly timeout: number;
  /** Every subscription is known to the server now: what was published may leave. */
  restored(): void;
  /** A message of no subscription. */
  unhandled(message: ReceivedMessage): void;
  /** The headers of a subscription could not be had, or not be sent. */
  failed(error: unknown): void;
  /** A callback threw. */
  report(error: unknown): void;
}

/** The subscriptions of a client. They outlive its connections: {@link ClientSubscriptions.restore} brings them back. */
export class ClientSubscriptions {
  readonly #host: SubscriptionsHost;
  readonly #subscribers = new Map<string, Subscriber>();
  #session: ClientSession | undefined;
  // SUBSCRIBEs whose headers are awaited.
  #pending = new Set<Subscriber>();
  #count = 0;

  constructor(host: SubscriptionsHost) {
    this.#host = host;
  }

  /** Is every subscription known to the server? */
  get restored(): boolean {
    return this.#pending.size === 0;
  }

  /** Throws a `TypeError` if the destination is none, or if the id in `headers` is in use. */
  open(
    destination: string,
    callback: ((message: ReceivedMessage) => void) | undefined,
    headers: PerConnection<HeaderInput> = [],
  ): StompSubscription {
    checkDestination(destination);
    const given = typeof headers === 'function' ? undefined : new Map(entriesOf(headers)).get('id');
    const id = given ?? `subscription-${this.#count++}`;
    if (this.#subscribers.has(id)) throw new TypeError(`a subscription with the id "${id}" is there already`);
    const subscription = createSubscription<ReceivedMessage>((sink) => {
      const subscriber: Subscriber = { id, destination, headers, sink, session: undefined };
      this.#subscribers.set(id, subscriber);
      return () => this.#close(subscriber);
    });
    const subscriber = this.#subscribers.get(id) as Subscriber;
    if (callback) subscription[push]({ next: callback, error() {}, complete() {} });
    if (this.#session?.connected) this.#announce(subscriber, this.#session);
    return Object.assign(subscription, {
      id,
      unsubscribe(farewell?: HeaderInput) {
        subscriber.farewell = farewell;
        void subscription.return();
      },
    });
  }

  #close(subscriber: Subscriber): void {
    const { id, destination, session, farewell = [] } = subscriber;
    this.#subscribers.delete(id);
    this.#settled(this.#pending, subscriber);
    if (!session?.connected) return;
    // [STOMP-49] Some 1.0 servers know a subscription by its destination only.
    const names = Object.entries(session.version === '1.0' ? { id, destination } : { id });
    try {
      session.send('UNSUBSCRIBE', [...names, ...entriesOf(farewell)]);
    } catch (error) {
      // A header that cannot be carried: then it goes without.
      this.#host.failed(error);
      session.send('UNSUBSCRIBE', names);
    }
  }

  /** A new connection is there: subscribe again to all. */
  restore(session: ClientSession): void {
    this.#session = session;
    this.#pending = new Set();
    for (const subscriber of this.#subscribers.values()) this.#announce(subscriber, session);
  }

  #announce(subscriber: Subscriber, session: ClientSession): void {
    const { id, destination, headers, sink } = subscriber;
    const tell = (more: HeaderInput): void => {
      if (this.#subscribers.get(id) !== subscriber || !session.connected) return;
      const others = [...entriesOf(more)].filter(([name]) => name !== 'id');
      session.send('SUBSCRIBE', [['id', id], ['destination', destination], ...others]);
      subscriber.session = session;
    };
    const failed = (error: unknown): void => {
      // The next connection asks anew.
      if (!session.connected) return;
      this.#host.failed(error);
      sink.error(error);
    };
    if (typeof headers !== 'function') {
      try {
        tell(headers);
      } catch (error) {
        failed(error);
      }
      return;
    }
    const pending = this.#pending.add(subscriber);
    const limit = AbortSignal.timeout(Math.ceil(Math.min(this.#host.timeout, longest)));
    Promise.race([
      ask(headers),
      new Promise<never>((_, reject) => limit.addEventListener('abort', () => reject(limit.reason))),
    ])
      .then(tell)
      .catch(failed)
      .then(() => this.#settled(pending, subscriber));
  }

  #settled(pending: Set<Subscriber>, subscriber: Subscriber): void {
    if (pending.delete(subscriber) && pending === this.#pending && this.restored) this.#host.restored();
  }

  /** A MESSAGE came. */
  deliver(frame: Frame, session: ClientSession): void {
    const message = new ReceivedMessage(frame, session);
    const subscriber = this.#find(frame.headers);
    if (!subscriber) return this.#host.unhandled(message);
    try {
      subscriber.sink.next(message);
    } catch (error) {
      this.#host.report(error);
    }
  }

  #find(headers: Headers): Subscriber | undefined {
    const id = headers.get('subscription');
    if (id !== undefined) return this.#subscribers.get(id);
    // [STOMP-42] Only 1.0 may leave it out.
    return [...this.#subscribers.values()].find(({ destination }) => destination === headers.get('destination'));
  }

  /** They all end: with an error if there is one, else normally. */
  end(failure?: { readonly error: unknown }): void {
    for (const { sink } of [...this.#subscribers.values()]) {
      if (failure) sink.error(failure.error);
      else sink.complete();
    }
  }
}

/** Throws a `TypeError` if it is no destination. */
export function checkDestination(destination: unknown): void {
  if (typeof destination === 'string' && destination !== '') return;
  throw new TypeError(`destination must be a string such as "/topic/prices"; got ${String(destination)}`);
}
