import type { Subscription } from '../../bus/subscription.ts';
import type { BackoffOptions } from '../../core/backoff.ts';
import type { ClientLimitOptions } from '../../core/client-limits.ts';
import type { Timers } from '../../core/clock.ts';
import type { ConnectionLost } from '../../core/connection-lost.ts';
import type { Address, ConnectorState } from '../../core/dial.ts';
import type { Transport } from '../../core/socket.ts';
import type { Headers } from '../protocol/frame.ts';
import type { Version } from '../protocol/versions.ts';
import type { SeenFrame } from './client-session.ts';
import type { StompError } from './errors.ts';
import type { SendBody, SendHeaders, SendHeaderValue } from './outgoing.ts';
import type { ReceivedMessage } from './received-message.ts';

type Awaitable<T> = T | Promise<T>;

export type { SeenFrame } from './client-session.ts';
export type { SendBody, SendHeaders, SendHeaderValue } from './outgoing.ts';

/** A value, or a (perhaps async) function that is asked for it at each connection. */
export type PerConnection<T> = T | (() => Awaitable<T>);

/**
 * Headers of a subscription that comes back to where it was, with what belongs to that beside them. Only servers that keep
 * a past can do it, such as `stompBroker()`; with others what is said is `false`.
 */
export interface RecoveryHeaders {
  /**
   * Told after each time that the subscription came back, before what comes then: `true`, nothing was missed; `false`, something may be,
   * so that whoever must not miss anything asks for it anew. Also told `false` where the server says so while connected.
   * What it throws goes to `onError`.
   */
  readonly onRecovery: (recovered: boolean) => void;
  /** Begin behind this message, by its `message-id`, such as that of the last one before a page was reloaded. */
  readonly since?: string | undefined;
  /** Headers of SUBSCRIBE. */
  readonly [header: string]: SendHeaderValue | ((recovered: boolean) => void);
}

/** Options of `createStompClient()`. */
export interface StompClientOptions {
  /** Such as `wss://host/ws`; several are tried in turn; a function is asked before each attempt. Not needed for TCP. */
  readonly url?: Address | undefined;
  /** The same as `url`, as stompjs calls it. */
  readonly brokerURL?: Address | undefined;
  /**
   * Another way to reach the server than a WebSocket. Without a `url` it is a byte stream, such as `tcp({ host, port })`.
   * @defaultValue a WebSocket
   */
  readonly transport?: Transport | undefined;
  /**
   * A `WebSocket` class.
   * @defaultValue the browser's; in Node that of the installed `ws`
   */
  readonly webSocketImpl?: unknown;
  /** Headers of CONNECT such as `login` and `passcode`. If the function throws, the attempt has failed. */
  readonly connectHeaders?: PerConnection<SendHeaders> | undefined;
  /**
   * The virtual host.
   * @defaultValue the host name of the URL, over a byte stream `/`
   */
  readonly host?: string | undefined;
  /**
   * Versions to offer.
   * @defaultValue 1.2, 1.1 and 1.0
   */
  readonly versions?: readonly Version[] | undefined;
  /**
   * How often we can send, in ms; 0: not at all.
   * @defaultValue 10,000
   */
  readonly heartbeatOutgoing?: number | undefined;
  /**
   * How often the server shall send, in ms; 0: no matter. The link counts as dead after 2.1 times that.
   * @defaultValue 10,000
   */
  readonly heartbeatIncoming?: number | undefined;
  /**
   * How long an attempt may take until the socket is open, in ms; then it counts as lost (1006).
   * @defaultValue 10,000
   */
  readonly openTimeout?: number | undefined;
  /**
   * How long CONNECTED may take once the socket is open (4408), and the headers of a subscription, in ms.
   * @defaultValue 10,000
   */
  readonly connectionTimeout?: number | undefined;
  /**
   * How long the RECEIPT of a frame may take, in ms.
   * @defaultValue 30,000
   */
  readonly receiptTimeout?: number | undefined;
  /** Full-jitter back-off, in ms: base 1,000, cap 30,000; it starts anew once a connection was ready for 10 s. */
  readonly backoff?: BackoffOptions | undefined;
  /**
   * Come back after this end? `attempt` counts the failures since a connection was last in good order, from 0. A number
   * waits so many ms instead of the back-off; `false` gives up. Not asked after final ends: an ERROR or 1008 in answer to
   * CONNECT, versions or subprotocols that do not match.
   * @defaultValue always
   */
  readonly retry?: ((end: ConnectionLost, attempt: number) => boolean | number) | undefined;
  /**
   * Publishes that may wait for a connection, or for the server to read. One more is dropped.
   * @defaultValue 1,000
   */
  readonly maxQueued?: number | undefined;
  /**
   * Give text its length (`content-length`)? ActiveMQ takes messages with a length for bytes, so say false to send it
   * text. Bytes, and text with a NUL in it, have their length always ([STOMP-12]).
   * @defaultValue true
   */
  readonly contentLength?: boolean | undefined;
  /**
   * Split larger frames into WebSocket messages of so many bytes (at least 4): text between characters, bytes anywhere.
   * @defaultValue Infinity
   */
  readonly maxFrameBytes?: number | undefined;
  /**
   * Send every frame as a binary WebSocket message, for a `WebSocket` that cuts text at its first NUL, as React Native's
   * does ([STOMP-119]); it needs `appendMissingNul` as well where the server answers in text.
   * @defaultValue false
   */
  readonly forceBinary?: boolean | undefined;
  /**
   * Give text messages back the NUL at their end that React Native's `WebSocket` cuts off ([STOMP-119]). The server must
   * send each frame in one message, and its texts must have no NUL.
   * @defaultValue false
   */
  readonly appendMissingNul?: boolean | undefined;
  /** Sees each frame that is sent or received, for a log; heart-beats are none. */
  readonly onFrame?: ((frame: SeenFrame) => void) | undefined;
  /** Listeners that are called before all others. */
  readonly on?: { readonly [Event in keyof StompClientEvents]?: StompClientEvents[Event] | undefined } | undefined;
  /** Ends the client as `dispose()` does. */
  readonly signal?: AbortSignal | undefined;
  /** Limits of the connection; see {@link ClientLimitOptions}. */
  readonly limits?: ClientLimitOptions | undefined;
  /**
   * Hears what callbacks and listeners throw or reject with, and errors that no listener of `error` hears.
   * @defaultValue `console.error`
   */
  readonly onError?: ((error: unknown) => void) | undefined;
  /**
   * Say once on the console, after three failures in a row, what is being tried and why it fails.
   * @defaultValue true
   */
  readonly warn?: boolean | undefined;
  /**
   * Where time comes from, such as `workerTimers()` for hidden tabs.
   * @defaultValue the timers of the page
   */
  readonly clock?: Timers | undefined;
}

/** What is to be sent by {@link StompClient.publish}. */
export interface PublishParameters {
  /** Where it goes, such as `/topic/prices`. */
  readonly destination: string;
  /**
   * Text, or bytes.
   * @defaultValue none
   */
  readonly body?: SendBody | undefined;
  /** More headers of SEND. */
  readonly headers?: SendHeaders | undefined;
  /**
   * Wait until the server has processed it, not only until it was written ([STOMP-61]).
   * @defaultValue false
   */
  readonly receipt?: boolean | undefined;
  /**
   * Give text its length, for this message; see {@link StompClientOptions.contentLength}.
   * @defaultValue that of the client
   */
  readonly contentLength?: boolean | undefined;
  /** Stop waiting; what has not been written is not sent. */
  readonly signal?: AbortSignal | undefined;
}

/** What listeners of {@link StompClient.on} are called with. */
export interface StompClientEvents {
  /** An attempt begins. `isRetry`: a connection was lost, or could not be made, before. */
  connecting: (isRetry: boolean) => void;
  /** CONNECTED came, with these headers; subscriptions come back by themselves. */
  connected: (headers: Headers) => void;
  /**
   * A connection, or an attempt, ended; its `cause` is the ERROR of the server, if there was one, or what went wrong
   * underneath. `willRetry`: the next attempt comes after a back-off.
   */
  closed: (event: ConnectionLost, willRetry: boolean) => void;
  /**
   * The server sent an ERROR, or `connectHeaders` or a subscription's headers threw. Where nobody listens it goes to
   * `onError`.
   */
  error: (error: unknown) => void;
  /**
   * The connection is back after it was lost with `event`: what was sent to its subscriptions meanwhile may be missing.
   * Whoever must not miss anything asks for it anew.
   */
  gap: (event: ConnectionLost) => void;
  /** Nothing was heard of the server for too long; the connection is dropped. */
  heartbeatLost: () => void;
  /** A message of no subscription: RabbitMQ sends replies to `/temp-queue/…` so. */
  unhandled: (message: ReceivedMessage) => void;
  /** A publish that was not sent, or whose receipt never came. */
  dropped: (parameters: PublishParameters, error: unknown) => void;
  /** How things stand has changed. */
  state: (state: StompClientState) => void;
}

/** How things stand, for an indicator on a page. */
export interface StompClientState {
  /** `waiting`: lost, the next attempt comes after a back-off. */
  readonly status: ConnectorState;
  /** How often the connection was lost, or could not be made, since it was last in good order; 0 while connected. */
  readonly attempt: number;
  /** The token that the server chose; '' over a byte stream; undefined while not connected. */
  readonly subprotocol: string | undefined;
  /** The version that is spoken, while connected. */
  readonly version: Version | undefined;
  /** What the server calls itself in CONNECTED, such as `RabbitMQ/3.13.0`, while connected. */
  readonly server: string | undefined;
  /** Round trip of the last receipt, in ms; undefined before the first one of a connection. */
  readonly latency: number | undefined;
  /** How the last attempt or connection ended: code, reason, and cause such as an ERROR, or a 404 of the handshake. */
  readonly error: ConnectionLost | undefined;
  /** When the next attempt begins, in ms since 1970, while `waiting`. */
  readonly retryAt: number | undefined;
}

/** A store in the shape that React's `useSyncExternalStore` takes: the snapshot is the same object until it changes. */
export interface StompClientStore {
  /** How things stand. */
  getSnapshot(): StompClientState;
  /** Hear that it changed; returns how to stop. */
  subscribe(listener: () => void): () => void;
}

/** A subscription: its callback is called, or it is iterated. It comes back by itself after a reconnect. */
export interface StompSubscription extends Subscription<ReceivedMessage> {
  /** The `id` header of its SUBSCRIBE. */
  readonly id: string;
  /**
   * Resolves when the server has confirmed it, by RECEIPT ([STOMP-110]): what is sent from then on is not missed. Rejects with the
   * {@link StompError} that refuses it, or when it ends before. Nobody has to await it.
   */
  readonly active: Promise<void>;
  /**
   * End it; iterators complete. `headers` go into UNSUBSCRIBE. Called again with headers it sends another UNSUBSCRIBE, as
   * soon as there is a connection: so ActiveMQ ends a durable subscription (`activemq.subscriptionName`). RabbitMQ wants
   * `durable` and its name in the first one.
   */
  unsubscribe(headers?: SendHeaders): void;
}

/** SENDs, ACKs and NACKs that take effect together, at `commit()` ([STOMP-58]). It does not outlive its connection. */
export interface Transaction {
  /** The `transaction` header of its frames. */
  readonly id: string;
  /** Send a message at `commit()`. Rejects as `publish` of the client does. */
  publish(parameters: PublishParameters): Promise<void>;
  /** Acknowledge at `commit()`; see {@link ReceivedMessage.ack}. */
  ack(message: ReceivedMessage): boolean;
  /** Refuse at `commit()`; see {@link ReceivedMessage.nack}. */
  nack(message: ReceivedMessage): boolean;
  /** Resolves when the server has done it. Rejects with a {@link StompError} or {@link ConnectionLost}. */
  commit(): Promise<void>;
  /** Nothing of it happens; what it acknowledged can be acknowledged again. */
  abort(): void;
}

/** A STOMP client; see `createStompClient()`. */
export interface StompClient extends AsyncDisposable {
  /** How the connection stands, to show it. */
  readonly state: StompClientStore;
  /** Listen to an event; any number of listeners. Returns how to stop. */
  on<Event extends keyof StompClientEvents>(event: Event, listener: StompClientEvents[Event]): () => void;
  /**
   * Connect now; `publish` and `subscribe` do it by themselves. Resolves on CONNECTED. Rejects with a {@link StompError}
   * or a {@link ConnectionLost} once the client gives up.
   */
  connect(): Promise<void>;
  /**
   * Leave in good order: DISCONNECT, wait for its RECEIPT at most `timeout` ms (5,000 unless it says otherwise), close.
   * Subscriptions complete, publishes that wait are dropped; the client can be used again. Never rejects.
   */
  disconnect(options?: { readonly timeout?: number | undefined }): Promise<void>;
  /** Drop a connection that is stuck (4499), or a wait, and connect at once: it counts as no failure. */
  terminate(): void;
  /**
   * Disconnect, for good: nothing is sent and nobody connects any more. Resolves as `disconnect()` does; again: the same
   * promise.
   */
  dispose(): Promise<void>;
  /**
   * Send a message. Resolves when it was written, with `receipt` when the server has processed it; until then it waits
   * for a connection. Rejects with a {@link StompError}, a {@link ConnectionLost}, the signal's reason, or a `TypeError`
   * that names what is wrong with the body, the destination or a header: nothing is sent then. A rejection that nobody
   * awaits is no unhandled one: see `dropped`.
   *
   * @example
   * await client.publish({ destination: '/topic/prices', body: '{"ask":1}', receipt: true });
   */
  publish(parameters: PublishParameters): Promise<void>;
  /**
   * Receive what is sent to a destination. It comes back by itself after a reconnect: do not subscribe in a listener of
   * `connected`. With a callback it is called at once, in order; what it throws or rejects with goes to `onError`. Without
   * one, iterate: up to 1,000 messages wait for the reader, one more ends the subscription. A server that refuses it ends it
   * alone: `active` and the iterator reject with the ERROR, and `error` is told. With `onRecovery` among the headers it
   * comes back to where it was, see {@link RecoveryHeaders} ([STOMP-133]).
   *
   * Throws a `TypeError` that names the argument when one is wrong.
   *
   * @example
   * for await (const message of client.subscribe('/topic/prices')) show(message.json());
   * client.subscribe('/topic/orders', add, { onRecovery: (recovered) => recovered || reload() });
   */
  subscribe(
    destination: string,
    callback?: ((message: ReceivedMessage) => void) | undefined,
    headers?: PerConnection<SendHeaders> | RecoveryHeaders,
  ): StompSubscription;
  /**
   * Show the headers of CONNECT again on the live connection, or these (subwire servers): a SEND to `/app/$credentials` ([STOMP-111]).
   * True: the server took them. False: there is no connection; the next one asks `connectHeaders`. A server that refuses
   * them answers with an ERROR, and the promise rejects with it.
   */
  refresh(headers?: SendHeaders): Promise<boolean>;
  /**
   * Begin a transaction. Throws an `Error` while not connected.
   *
   * @example
   * const transaction = client.begin();
   * transaction.publish({ destination: '/queue/a', body: 'one' });
   * await transaction.commit();
   */
  begin(): Transaction;
}
