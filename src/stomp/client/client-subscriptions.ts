import { createSubscription, type Sink } from '../../bus/subscription.ts';
import type { Listeners } from '../../core/listeners.ts';
import { assertOption } from '../../core/options.ts';
import type { Frame } from '../protocol/frame.ts';
import type { HeaderInput } from '../protocol/headers.ts';
import { joined } from '../protocol/headers.ts';
import type { ClientSession } from './client-session.ts';
import type { PerConnection, StompClientEvents, StompSubscription } from './client-types.ts';
import { ask } from './options.ts';
import { ReceivedMessage } from './received-message.ts';

interface Subscriber {
  readonly destination: string;
  readonly sink: Sink<ReceivedMessage>;
  next(message: ReceivedMessage): void;
  /** Send SUBSCRIBE, if it is pending. */
  announce(to: ClientSession): Promise<void>;
}

/** The subscriptions of a client. They outlive its connections. */
export interface ClientSubscriptions {
  /** Is every subscription known to the server? */
  readonly restored: boolean;
  /** How many there are. */
  readonly count: number;
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
export interface SubscriptionSender {
  /** How long the headers of a subscription may be awaited, in ms. */
  readonly timeout: number;
  /** What was published may leave, if every subscription is known to the server. */
  flush(): void;
  /** There is something to connect for. False: that cannot be. */
  want(): boolean;
}

export function createClientSubscriptions(
  { emit, report }: Listeners<StompClientEvents>,
  { timeout, flush, want }: SubscriptionSender,
): ClientSubscriptions {
  const subscribers = new Map<string, Subscriber>();
  let session: ClientSession | undefined;
  // Whose SUBSCRIBE was not sent on this connection yet: nothing that is published leaves before the last of them.
  const pending = new Set<Subscriber>();
  let named = 0;

  /** Rejects if they do not come in time: nobody who publishes has to wait for ever. */
  const inTime = (headers: Promise<HeaderInput>, on: ClientSession): Promise<HeaderInput> =>
    new Promise((resolve, reject) => {
      on.expect({}, 'headers', timeout, reject);
      headers.then(resolve, reject);
    });

  return {
    get restored() {
      return pending.size === 0;
    },
    get count() {
      return subscribers.size;
    },

    open(destination, callback, headers = []) {
      checkDestination(destination);
      // A function has no entries.
      const given = new Map(joined(headers as HeaderInput)).get('id');
      const id = given ?? `subscription-${named++}`;
      assertOption(!subscribers.has(id), 'id', 'unused', `"${id}"`);
      const own = { id, destination };
      // More headers of UNSUBSCRIBE.
      let farewell: HeaderInput = [];

      function close(): void {
        subscribers.delete(id);
        // One that is not pending is known to the server, if we are connected.
        if (pending.delete(subscriber)) return flush();
        // [STOMP-49] Some 1.0 servers know a subscription by its destination only.
        const names = session?.version === '1.0' ? own : { id };
        try {
          session?.send('UNSUBSCRIBE', joined(names, farewell));
        } catch (error) {
          // A header that cannot be carried: then it goes without.
          emit('error', error);
          session?.send('UNSUBSCRIBE', names);
        }
      }

      let sink!: Sink<ReceivedMessage>;
      const subscription = createSubscription<ReceivedMessage>((made) => {
        sink = made;
        return close;
      });
      const subscriber: Subscriber = {
        destination,
        sink,
        next: callback ?? ((message) => sink.next(message)),
        announce,
      };

      /** At once, unless there is a function to be asked for headers. */
      async function announce(to: ClientSession): Promise<void> {
        try {
          const more = typeof headers === 'function' ? await inTime(ask(headers), to) : headers;
          const others = joined(more).filter(([name]) => name !== 'id');
          // It may have ended meanwhile.
          if (pending.has(subscriber)) to.send('SUBSCRIBE', joined(own, others));
        } catch (error) {
          // The next connection asks anew.
          if (to.connected) {
            emit('error', error);
            sink.error(error);
          }
        }
        if (to === session) pending.delete(subscriber);
        flush();
      }

      subscribers.set(id, subscriber);
      if (session?.connected) {
        pending.add(subscriber);
        void announce(session);
      }
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
      const all = [...subscribers.values()];
      for (const subscriber of all) pending.add(subscriber);
      for (const { announce } of all) void announce(to);
      flush();
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
      for (const { sink } of [...subscribers.values()]) {
        if (error === undefined) sink.complete();
        else sink.error(error);
      }
    },
  };
}

/** Throws a `TypeError` if it is no destination. */
export function checkDestination(destination: unknown): void {
  assertOption(
    destination && typeof destination === 'string',
    'destination',
    'a string such as "/topic/prices"',
    destination,
  );
}
