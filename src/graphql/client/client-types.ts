import type { Sink, Subscription } from '../../bus/subscription.ts';
import type { BackoffOptions } from '../../core/backoff.ts';
import type { ClientLimitOptions } from '../../core/client-limits.ts';
import type { Timers } from '../../core/clock.ts';
import type { Address, ConnectorState } from '../../core/dial.ts';
import type { Transport } from '../../core/socket.ts';
import type { FormattedExecutionResult, SubscribePayload } from '../protocol/messages.ts';
import type { ClientSessionEvents, ClientSessionOptions } from './client-session.ts';
import type { ConnectionClosed } from './connection-closed.ts';

export type { ClientSocket } from './client-session.ts';

/** What listeners of {@link Client.on} are called with. */
export interface ClientEvents extends ClientSessionEvents {
  /** An attempt begins. */
  connecting: (isRetry: boolean) => void;
  /** A connection, or an attempt, ended. */
  closed: (event: ConnectionClosed) => void;
}

/** How things stand, for an indicator on a page. */
export interface ClientState {
  /** `waiting`: lost, the next attempt comes after a back-off. */
  readonly status: ConnectorState;
  /** Attempts that failed since the connection was last acknowledged. */
  readonly attempt: number;
  readonly subprotocol: string | undefined;
  /** Round trip of the last ping, in ms. */
  readonly latency: number | undefined;
}

/** A store in the shape that React's `useSyncExternalStore` takes: the snapshot is the same object until it changes. */
export interface ClientStore {
  getSnapshot(): ClientState;
  subscribe(listener: () => void): () => void;
}

/** Where the results of one operation go. A sink that throws harms nobody else: what it threw goes to `onError`. */
export interface OperationSink<Result> extends Sink<Result> {
  /**
   * The server confirms that the subscription is live: nothing that happens from now on is missed. Asks for it by
   * `extensions.subwire.confirm`; a server that is not subwire's never calls.
   */
  onLive?: (() => void) | undefined;
}

/** A query text that knows its types, as typed document strings of code generators do. */
export type TypedQuery<Data, Variables> = string & {
  readonly __apiType?: ((variables: Variables) => Data) | undefined;
};
/**
 * The type of a printed `TypedDocumentNode`.
 *
 * @example
 * client.iterate({ query: print(document) as QueryOf<typeof document>, variables });
 */
export type QueryOf<Document> = Document extends {
  readonly __apiType?: ((variables: infer Variables) => infer Data) | undefined;
}
  ? TypedQuery<Data, Variables>
  : string;

/** An operation whose result is typed by its query. */
export type Operation<Data> = SubscribePayload & {
  readonly query: string & { readonly __apiType?: ((variables: never) => Data) | undefined };
};

export interface ClientOptions extends ClientSessionOptions {
  /** Where the server is, such as `wss://host/graphql`; a function is asked before each attempt. */
  readonly url: Address;
  /** Connect with the first operation and close after the last one. Default true; false: connect now, and stay. */
  readonly lazy?: boolean | undefined;
  /** Hears why a client that is not lazy gave up. Default `console.error`. */
  readonly onNonLazyError?: ((error: unknown) => void) | undefined;
  /** How long a lazy connection stays after its last operation, in ms. Default 0. */
  readonly lazyCloseTimeout?: number | undefined;
  /** How many attempts in a row may fail. Default Infinity. */
  readonly retryAttempts?: number | undefined;
  /** Wait before an attempt, counted from 0. Default: see `backoff`. */
  readonly retryWait?: ((retries: number) => Promise<void>) | undefined;
  /** Try again after this? Not asked after final close codes. Default: after every closed connection. */
  readonly shouldRetry?: ((errorOrClosed: unknown) => boolean) | undefined;
  /** Listeners that are called before all others. */
  readonly on?: { readonly [Event in keyof ClientEvents]?: ClientEvents[Event] | undefined } | undefined;
  /** A `WebSocket` class. Default: the browser's; in Node that of the installed `ws`. */
  readonly webSocketImpl?: unknown;
  /** Names an operation; no two that run may have the same. Default: 72 random bits. */
  readonly generateID?: ((payload: SubscribePayload) => string) | undefined;
  /** Full-jitter back-off, in ms. Default: base 4,000, cap 30,000; after 1001, 1012 and 1013 the server's own hint. */
  readonly backoff?: BackoffOptions | undefined;
  readonly limits?: ClientLimitOptions | undefined;
  /** Errors that sinks and listeners throw. Default `console.error`. */
  readonly onError?: ((error: unknown) => void) | undefined;
  /** Another way to reach the server than a WebSocket. */
  readonly connect?: Transport | undefined;
  /** Where time comes from, such as `workerTimers()` for hidden tabs. Default: the timers of the page. */
  readonly clock?: Timers | undefined;
}

export interface IterateOptions {
  /** Ends the operation; the iterator throws the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Results that may wait for the reader. One more ends the operation with an error. Default 1,000. */
  readonly buffer?: number | undefined;
}

export interface Client extends AsyncDisposable {
  /** How the connection stands, to show it. */
  readonly state: ClientStore;
  /** Listen; returns how to stop. A listener that throws harms nobody: what it threw goes to `onError`. */
  on<Event extends keyof ClientEvents>(event: Event, listener: ClientEvents[Event]): () => void;
  /** For listeners that were typed for graphql-ws, and libraries that ask for its `Client`. */
  on<Event extends keyof ClientEvents>(event: Event, listener: (...details: never[]) => void): () => void;
  /**
   * Run an operation; the result ends it. It goes on over a reconnect: what has not ended is sent again, queries,
   * mutations and subscriptions alike, as graphql-ws does it. A mutation can so run twice when its answer is lost.
   *
   * `sink.error` gets the errors of the server's `error` message, a {@link ConnectionClosed}, or what a hook threw.
   *
   * @example
   * const stop = client.subscribe({ query: 'subscription { price }' }, { next: show, error: console.error, complete() {} });
   */
  subscribe<Data = Record<string, unknown>, Extensions = unknown>(
    payload: Operation<Data>,
    sink: OperationSink<FormattedExecutionResult<Data, Extensions>>,
  ): () => void;
  /**
   * Run an operation and read its results.
   *
   * @example
   * for await (const { data } of client.iterate({ query: 'subscription { price }' }, { signal })) show(data);
   */
  iterate<Data = Record<string, unknown>, Extensions = unknown>(
    payload: Operation<Data>,
    options?: IterateOptions,
  ): Subscription<FormattedExecutionResult<Data, Extensions>>;
  /**
   * Show new credentials on the live connection (subwire servers), as `connectionParams` would. False: there is no
   * connection; the next one asks `connectionParams`.
   */
  refresh(credentials: Readonly<Record<string, unknown>>): boolean;
  /** Complete every operation and close, for good. Never waits. */
  dispose(): void;
  /** Drop a connection that is stuck, at once (4499), and reconnect; while waiting for an attempt: begin it. */
  terminate(): void;
}
