import { createSubscription, type Sink } from '../bus/subscription.ts';
import { never, type Timers } from '../core/clock.ts';
import type { Listeners } from '../core/listeners.ts';
import { must } from '../core/options.ts';
import type { StompClientEvents, StompSubscription } from './client-api.ts';
import { ask, type PerConnection } from './client-options.ts';
import type { ClientSession } from './client-session.ts';
import type { Frame, HeaderInput } from './codec.ts';
import { entriesOf } from './headers.ts';
import { ReceivedMessage } from './received.ts';

interface Subscriber {
  readonly destination: string;
  /** Send SUBSCRIBE. */
  announce(to: ClientSession): Promise<void>;
  next(message: ReceivedMessage): void;
  end(error?: unknown): void;
}

/** The subscriptions of a client. They outlive its connections. */
export interface ClientSubscriptions {
  /** Is every subscription known to the server? */
  readonly restored: boolean;
  /** Throws a `TypeError` if the destination is none, or if the id in `headers` is in use. */
  open(
    destination: string,
    callback?: ((message: ReceivedMessage) => void) | undefined,
    headers?: PerConnection<HeaderInput>,
  ): StompSubscription;
  /** A new connection is there: subscribe again to all. */
  restore(to: ClientSession): void;
  /** A MESSAGE came. */
  deliver(frame: Frame): void;
  /** They all end: with an error if there is one, else normally. */
  end(error?: unknown): void;
}

/** What the subscriptions of a client need of it. */
export interface SubscriptionsHost {
  readonly clock: Timers;
  /** How long the headers of a subscription may be awaited, in ms. */
  readonly timeout: number;
  /** Every subscription is known to the server: what was published may leave. */
  restored(): void;
  /** There is something to connect for. False: that cannot be. */
  want(): boolean;
}

export function createClientSubscriptions(
  { emit, report }: Listeners<StompClientEvents>,
  { clock, timeout, restored, want }: SubscriptionsHost,
): ClientSubscriptions {
  const subscribers = new Map<string, Subscriber>();
  let session: ClientSession | undefined;
  // Whose SUBSCRIBE was not sent on this connection yet.
  let pending = new Set<object>();
  let count = 0;

  function announced(which: object, among: Set<object>): void {
    if (among.delete(which) && among === pending && pending.size === 0) restored();
  }

  /** Rejects if they do not come in time: nobody who publishes has to wait for ever. */
  function within(headers: Promise<HeaderInput> | HeaderInput): Promise<HeaderInput> {
    return new Promise((resolve, reject) => {
      const limit = {
        deadline: clock.now() + timeout,
        tick() {
          limit.deadline = never;
          reject(new Error(`No headers came within ${timeout} ms`));
        },
      };
      clock.watch(limit);
      Promise.resolve(headers)
        .then(resolve, reject)
        .then(() => clock.forget(limit));
    });
  }

  return {
    get restored() {
      return pending.size === 0;
    },

    open(destination, callback, headers = []) {
      checkDestination(destination);
      // A function has no entries.
      const given = new Map(entriesOf(headers as HeaderInput)).get('id');
      const id = given ?? `subscription-${count++}`;
      must(!subscribers.has(id), 'id', 'unused', `"${id}"`);
      const own = [['id', id] as const, ['destination', destination] as const];
      let knownTo: ClientSession | undefined;
      // More headers of UNSUBSCRIBE.
      let farewell: HeaderInput = [];

      function close(): void {
        subscribers.delete(id);
        announced(subscriber, pending);
        // [STOMP-49] Some 1.0 servers know a subscription by its destination only.
        const names = knownTo?.version === '1.0' ? own : own.slice(0, 1);
        try {
          knownTo?.send('UNSUBSCRIBE', [...names, ...entriesOf(farewell)]);
        } catch (error) {
          // A header that cannot be carried: then it goes without.
          emit('error', error);
          knownTo?.send('UNSUBSCRIBE', names);
        }
      }

      let sink!: Sink<ReceivedMessage>;
      const subscription = createSubscription<ReceivedMessage>((made) => {
        sink = made;
        return close;
      });
      const subscriber: Subscriber = {
        destination,
        next: callback ?? ((message) => sink.next(message)),
        end: (error) => (error === undefined ? sink.complete() : sink.error(error)),
        announce,
      };

      /** At once, unless there is a function to be asked for headers. */
      async function announce(to: ClientSession): Promise<void> {
        const among = pending.add(subscriber);
        try {
          const more = typeof headers === 'function' ? await within(ask(headers)) : headers;
          const others = [...entriesOf(more)].filter(([name]) => name !== 'id');
          const wanted = subscribers.get(id) === subscriber;
          if (wanted && to.send('SUBSCRIBE', [...own, ...others])) knownTo = to;
        } catch (error) {
          // The next connection asks anew.
          if (to.connected) {
            emit('error', error);
            sink.error(error);
          }
        }
        announced(subscriber, among);
      }

      subscribers.set(id, subscriber);
      if (session?.connected) void announce(session);
      if (!want()) sink.complete();
      return Object.assign(subscription, {
        id,
        unsubscribe(more: HeaderInput = []) {
          farewell = more;
          void subscription.return();
        },
      });
    },

    restore(to) {
      session = to;
      // Nothing leaves before the last of them.
      pending = new Set([to]);
      for (const { announce } of [...subscribers.values()]) void announce(to);
      announced(to, pending);
    },

    deliver(frame) {
      const message = new ReceivedMessage(frame, session as ClientSession);
      const id = frame.headers.get('subscription');
      const subscriber =
        id === undefined
          ? // [STOMP-42] Only 1.0 may leave it out.
            [...subscribers.values()].find(({ destination }) => destination === message.destination)
          : subscribers.get(id);
      try {
        if (subscriber) subscriber.next(message);
        else emit('unhandled', message);
      } catch (error) {
        report(error);
      }
    },

    end(error) {
      for (const subscriber of [...subscribers.values()]) subscriber.end(error);
    },
  };
}

/** Throws a `TypeError` if it is no destination. */
export function checkDestination(destination: unknown): void {
  must(destination && typeof destination === 'string', 'destination', 'a string such as "/topic/prices"', destination);
}
