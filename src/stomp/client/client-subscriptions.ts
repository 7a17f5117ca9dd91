import { createSubscription, type Sink } from '../../bus/subscription.ts';
import type { Listeners } from '../../core/listeners.ts';
import { assertOption } from '../../core/options.ts';
import type { Frame, Headers } from '../protocol/frame.ts';
import { fromNow, joined } from '../protocol/headers.ts';
import { Acknowledgements, type Claim } from './acknowledgements.ts';
import type { ClientSession } from './client-session.ts';
import type { PerConnection, RecoveryHeaders, StompClientEvents, StompSubscription } from './client-types.ts';
import { StompError } from './errors.ts';
import { ask } from './options.ts';
import { checkDestination, headersOf, type SendHeaders } from './outgoing.ts';
import { ReceivedMessage } from './received-message.ts';

/**
 * Brokers such as RabbitMQ do not say which frame their ERROR is about. A subscription that was the first unanswered frame
 * so often in a row is what they refuse ([STOMP-116]).
 */
const maxBlames = 2;

type Callback = (message: ReceivedMessage) => unknown;

interface Subscriber {
  readonly destination: string;
  readonly callback: Callback | undefined;
  readonly sink: Sink<ReceivedMessage>;
  /** What was acknowledged on this connection. */
  acknowledgements: Acknowledgements | undefined;
  next(message: ReceivedMessage): unknown;
  /** A message with these headers came. Absent: nobody wants to come back to it. */
  readonly came: ((headers: Headers) => void) | undefined;
  /** Send SUBSCRIBE, if it is pending. */
  announce(to: ClientSession): Promise<void>;
}

/** The subscriptions of a client. They outlive its connections. */
export interface ClientSubscriptions {
  /** Is every subscription known to the server? */
  readonly restored: boolean;
  /** How many there are. */
  readonly count: number;
  /** Throws a `TypeError` if an argument is wrong, or if the id in `headers` is in use. */
  open(
    destination: string,
    callback?: Callback | undefined,
    headers?: PerConnection<SendHeaders> | RecoveryHeaders,
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
  /** Transactions that are open, by id. */
  readonly transactions: ReadonlyMap<string, Claim>;
  /** A listener of `connected` is being called, after a connection was lost. */
  readonly reconnecting: boolean;
  /** What was published may leave, if every subscription is known to the server. */
  flush(): void;
  /** There is something to connect for. False: that cannot be. */
  want(): boolean;
  /** Do this as soon as there is a connection. */
  whenConnected(write: (to: ClientSession) => void): void;
  /** An error that has no other way to be heard. */
  tell(error: unknown): void;
  /** Tell the developer. */
  warn(text: string): void;
}

/** Nobody has to await an outcome: what went wrong is told by an event as well. */
function deferred(): { readonly promise: Promise<void>; resolve(): void; reject(error: unknown): void } {
  let resolve!: () => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<void>((...both) => {
    [resolve, reject] = both;
  });
  promise.catch(() => {});
  return { promise, resolve, reject };
}

/** None yet. */
export function createClientSubscriptions(
  { emit, guard, report, watch }: Listeners<StompClientEvents>,
  client: SubscriptionSender,
): ClientSubscriptions {
  const subscribers = new Map<string, Subscriber>();
  let session: ClientSession | undefined;
  // Whose SUBSCRIBE was not sent on this connection yet: nothing that is published leaves before the last of them.
  const pending = new Set<Subscriber>();
  // Whose UNSUBSCRIBE was not answered yet: what comes for them was under way.
  const leaving = new Set<string>();
  let named = 0;
  let warned = false;

  /** Rejects if they do not come in time: nobody who publishes has to wait for ever. */
  const inTime = (headers: Promise<SendHeaders>, on: ClientSession): Promise<SendHeaders> =>
    new Promise((resolve, reject) => {
      on.expect({}, 'headers', client.timeout, reject);
      headers.then(resolve, reject);
    });

  /** [STOMP-115] Subscriptions come back by themselves; examples of stompjs subscribe at each connection. */
  function warnOfHabit(destination: string, callback: Callback | undefined): void {
    if (warned || !callback || !client.reconnecting) return;
    const again = [...subscribers.values()].some(
      (each) => each.destination === destination && String(each.callback) === String(callback),
    );
    if (!again) return;
    warned = true;
    client.warn(
      `subwire: "${destination}" is subscribed to again in a listener of "connected", so that each message comes twice. ` +
        'Subscriptions come back by themselves: subscribe once, outside of it',
    );
  }

  function open(
    destination: string,
    callback?: Callback,
    given: PerConnection<SendHeaders> | RecoveryHeaders = [],
  ): StompSubscription {
    checkDestination(destination);
    const callable = callback === undefined || typeof callback === 'function';
    assertOption(callable, 'callback', 'a function, or absent', callback);
    const { onRecovery } = (given ?? []) as Partial<RecoveryHeaders>;
    assertOption(typeof (onRecovery ?? open) === 'function', 'onRecovery', 'a function', onRecovery);
    const headers = (onRecovery ? { ...given, onRecovery: undefined } : given) as PerConnection<SendHeaders>;
    const fixed = typeof headers === 'function' ? undefined : headersOf(headers);
    const known = new Map(fixed);
    const id = known.get('id') ?? `subscription-${named++}`;
    assertOption(!subscribers.has(id), 'id', 'unused', `"${id}"`);
    warnOfHabit(destination, callback);
    const own = { id, destination };
    const active = deferred();
    // More headers of UNSUBSCRIBE; undefined: none is sent.
    let farewell: SendHeaders | undefined = [];
    let blames = 0;
    let ended = false;
    // The last message that came, or where it began before there was one.
    let last = known.get('since');
    // It was there before: what is told next is whether it has missed something.
    let cameBack = last !== undefined;

    function close(): void {
      ended = true;
      subscribers.delete(id);
      if (subscriber.acknowledgements) subscriber.acknowledgements.ended = true;
      active.reject(new Error(`The subscription to "${destination}" has ended`));
      // One that is not pending is known to the server, if we are connected.
      if (pending.delete(subscriber)) return client.flush();
      if (!session?.connected || !farewell) return;
      // [STOMP-49] Some 1.0 servers know a subscription by its destination only.
      const names = session.version === '1.0' ? own : { id };
      const left = (): void => void leaving.delete(id);
      leaving.add(id);
      try {
        session.send('UNSUBSCRIBE', joined(names, headersOf(farewell)), undefined, left, true);
      } catch (error) {
        // A header that cannot be carried: then it goes without.
        client.tell(error);
        session.send('UNSUBSCRIBE', names, undefined, left, true);
      }
    }

    let sink!: Sink<ReceivedMessage>;
    const subscription = createSubscription<ReceivedMessage>((made) => {
      sink = made;
      return close;
    });

    function refuse(error: unknown): void {
      farewell = undefined;
      active.reject(error);
      sink.error(error);
    }

    const recovered = (all: boolean): void => {
      if (!ended) guard(() => onRecovery?.(all));
    };

    /** It is there, as far as the server says. */
    function comesBack(receipt?: Headers): void {
      if (cameBack) recovered(receipt?.get('recovered') === 'true');
      cameBack = true;
    }

    /** The server said something to SUBSCRIBE, or it will not say anything any more. `from`: where it was to begin. */
    function answered(error: unknown, blamed: boolean, receipt: Headers | undefined, from: string | undefined): void {
      if (error === undefined) {
        blames = 0;
        active.resolve();
        if (last === from) last = receipt?.get('position') ?? from;
        comesBack(receipt);
      } else if (!(error instanceof StompError)) {
        // The connection is lost, and the next one asks anew; or this server gives no receipts.
        if (!session?.connected) return;
        active.reject(error);
        comesBack();
      } else if (error.headers.has('receipt-id') || (blamed && ++blames >= maxBlames)) refuse(error);
    }

    const subscriber: Subscriber = {
      destination,
      callback,
      sink,
      acknowledgements: undefined,
      next: callback ?? ((message) => sink.next(message)),
      came:
        onRecovery &&
        ((received) => {
          last = received.get('message-id');
          if (received.has('messages-lost')) recovered(false);
        }),

      /** At once, unless there is a function to be asked for headers. */
      async announce(to) {
        try {
          const more = fixed ?? headersOf(await inTime(ask(headers), to));
          const others = more.filter(([name]) => name !== 'id' && !(onRecovery && name === 'since'));
          // It may have ended meanwhile.
          if (pending.has(subscriber)) {
            leaving.delete(id);
            subscriber.acknowledgements = new Acknowledgements(
              new Map(others).get('ack') ?? 'auto',
              client.transactions,
            );
            const from = last;
            to.send(
              'SUBSCRIBE',
              // [STOMP-133]
              joined(own, onRecovery ? { since: from ?? fromNow } : [], others),
              undefined,
              (error, blamed = false, receipt) => answered(error, blamed, receipt, from),
              true,
            );
          }
        } catch (error) {
          // The next connection asks anew.
          if (to.connected) {
            client.tell(error);
            refuse(error);
          }
        }
        if (to === session) pending.delete(subscriber);
        client.flush();
      },
    };

    subscribers.set(id, subscriber);
    if (session?.connected) {
      pending.add(subscriber);
      void subscriber.announce(session);
    }
    if (!client.want()) sink.complete();
    return Object.assign(subscription, {
      id,
      active: active.promise,
      unsubscribe(more?: SendHeaders) {
        const last = headersOf(more ?? []);
        if (!ended) {
          farewell = last;
          void subscription.return();
          // [STOMP-114] ActiveMQ ends a durable subscription by a second UNSUBSCRIBE, once it is no longer in use.
        } else if (more) client.whenConnected((to) => void to.send('UNSUBSCRIBE', joined({ id }, last)));
      },
    });
  }

  return {
    get restored() {
      return pending.size === 0;
    },
    get count() {
      return subscribers.size;
    },
    open,

    restore(to) {
      session = to;
      leaving.clear();
      const all = [...subscribers.values()];
      for (const subscriber of all) pending.add(subscriber);
      for (const { announce } of all) void announce(to);
      client.flush();
    },

    deliver(frame) {
      const id = frame.headers.get('subscription');
      const destination = frame.headers.get('destination');
      const subscriber =
        id === undefined
          ? // [STOMP-42] Only 1.0 may leave it out.
            [...subscribers.values()].find((each) => each.destination === destination)
          : subscribers.get(id);
      // [STOMP-113] It was under way when its subscription ended.
      if (!subscriber && id !== undefined && leaving.has(id)) return;
      const message = new ReceivedMessage(frame, session as ClientSession, subscriber?.acknowledgements);
      subscriber?.came?.(frame.headers);
      try {
        if (subscriber) watch(subscriber.next(message));
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
