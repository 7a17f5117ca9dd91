import type { Subscription } from '../../bus/subscription.ts';
import type { ConnectorState } from '../../core/dial.ts';
import type { Headers } from '../protocol/frame.ts';
import type { HeaderInput } from '../protocol/headers.ts';
import type { Version } from '../protocol/versions.ts';
import type { ConnectionLost, StompError } from './errors.ts';
import type { PerConnection } from './options.ts';
import type { ReceivedMessage } from './received-message.ts';

/** What is to be sent by {@link StompClient.publish}. */
export interface PublishParameters {
  readonly destination: string;
  /** Text, or bytes. Default: none. */
  readonly body?: string | Uint8Array | undefined;
  readonly headers?: HeaderInput | undefined;
  /** Wait until the server has processed it, not only until it was written ([STOMP-61]). */
  readonly receipt?: boolean | undefined;
  /** Stop waiting; what has not been written is not sent. */
  readonly signal?: AbortSignal | undefined;
}

/** What listeners of {@link StompClient.on} are called with. */
export interface StompClientEvents {
  /** CONNECTED came, with these headers; subscriptions are back. */
  connected: (headers: Headers) => void;
  /** A connection, or an attempt, ended. `willRetry`: the next attempt comes after a back-off. */
  disconnected: (error: Error, willRetry: boolean) => void;
  /** The server sent an ERROR, or `connectHeaders` or a subscription's headers threw. */
  error: (error: unknown) => void;
  /** Nothing was heard of the server for too long; the connection is dropped. */
  heartbeatLost: () => void;
  /** A message of no subscription: RabbitMQ sends replies to `/temp-queue/…` so. */
  unhandled: (message: ReceivedMessage) => void;
  /** A publish that was not sent, or whose receipt never came. */
  dropped: (parameters: PublishParameters, error: unknown) => void;
  state: (state: StompClientState) => void;
}

/** How things stand, for an indicator on a page. */
export interface StompClientState {
  /** `waiting`: lost, the next attempt comes after a back-off. */
  readonly status: ConnectorState;
  /** Attempts that failed since the client was last connected. */
  readonly attempt: number;
  /** The token that the server chose; '' over a byte stream; undefined while not connected. */
  readonly subprotocol: string | undefined;
  /** The version that is spoken, while connected. */
  readonly version: Version | undefined;
  /** Round trip of the last receipt, in ms. */
  readonly latency: number | undefined;
}

/** A store in the shape that React's `useSyncExternalStore` takes: the snapshot is the same object until it changes. */
export interface StompClientStore {
  getSnapshot(): StompClientState;
  subscribe(listener: () => void): () => void;
}

/** A subscription: its callback is called, or it is iterated. It comes back by itself after a reconnect. */
export interface StompSubscription extends Subscription<ReceivedMessage> {
  readonly id: string;
  /** End it; iterators complete. `headers` go into UNSUBSCRIBE, such as those that end a durable subscription. */
  unsubscribe(headers?: HeaderInput): void;
}

/** SENDs, ACKs and NACKs that take effect together, at `commit()` ([STOMP-58]). It does not outlive its connection. */
export interface Transaction {
  readonly id: string;
  publish(parameters: PublishParameters): Promise<void>;
  ack(message: ReceivedMessage): boolean;
  nack(message: ReceivedMessage): boolean;
  /** Resolves when the server has done it. Rejects with a {@link StompError} or {@link ConnectionLost}. */
  commit(): Promise<void>;
  abort(): void;
}

export interface StompClient extends AsyncDisposable {
  readonly state: StompClientStore;
  /** Listen to an event; any number of listeners. Returns how to stop. */
  on<Event extends keyof StompClientEvents>(event: Event, listener: StompClientEvents[Event]): () => void;
  /**
   * Connect now; `publish` and `subscribe` do it by themselves. Resolves on CONNECTED. Rejects with a {@link StompError}
   * or a {@link ConnectionLost} once the client gives up.
   */
  connect(): Promise<void>;
  /**
   * Leave in good order: DISCONNECT, wait for its RECEIPT at most `timeout` ms (default 5,000), close. Subscriptions
   * complete, publishes that wait are dropped; the client can be used again. Never rejects.
   */
  disconnect(options?: { readonly timeout?: number | undefined }): Promise<void>;
  /** Drop a connection that is stuck, at once (4499), and reconnect; while waiting for an attempt: begin it. */
  terminate(): void;
  /** The same as `disconnect()`. */
  dispose(): Promise<void>;
  /**
   * Send a message. Resolves when it was written, with `receipt` when the server has processed it; until then it waits
   * for a connection. Rejects with a {@link StompError}, a {@link ConnectionLost}, the signal's reason, or a `TypeError`
   * that names a header that the version cannot carry. A rejection that nobody awaits is no unhandled one: see `dropped`.
   *
   * @example
   * await client.publish({ destination: '/topic/prices', body: '{"ask":1}', receipt: true });
   */
  publish(parameters: PublishParameters): Promise<void>;
  /**
   * Receive what is sent to a destination. With a callback it is called at once, in order; what it throws goes to
   * `onError`. Without one, iterate: up to 1,000 messages wait for the reader, one more ends the subscription.
   *
   * @example
   * for await (const message of client.subscribe('/topic/prices')) show(message.json());
   */
  subscribe(
    destination: string,
    callback?: ((message: ReceivedMessage) => void) | undefined,
    headers?: PerConnection<HeaderInput>,
  ): StompSubscription;
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
