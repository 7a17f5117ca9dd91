import type { Sink, Subscription } from '../../bus/subscription.ts';
import type { BackoffOptions } from '../../core/backoff.ts';
import type { ClientLimitOptions } from '../../core/client-limits.ts';
import type { Timers } from '../../core/clock.ts';
import type { ConnectionLost } from '../../core/connection-lost.ts';
import type { Address, ConnectorState } from '../../core/dial.ts';
import type { Transport } from '../../core/socket.ts';
import type { FormattedExecutionResult, SubscribePayload } from '../protocol/messages.ts';
import type { ClientSessionEvents, ClientSessionOptions } from './client-session.ts';

export type { ClientSocket } from './client-session.ts';

/** What listeners of {@link Client.on} are called with. */
export interface ClientEvents extends ClientSessionEvents {
  /** An attempt begins. `isRetry`: a connection was lost, or could not be made, before. */
  connecting: (isRetry: boolean) => void;
  /** A connection, or an attempt, ended. `willRetry`: the next attempt comes after a back-off. */
  closed: (event: ConnectionLost, willRetry: boolean) => void;
  /**
   * The connection is back after it was lost with `event` while operations ran: they run again, and what happened
   * meanwhile has not reached them. Whoever must not miss anything asks for it anew.
   */
  gap: (event: ConnectionLost) => void;
  /** How things stand has changed. */
  state: (state: ClientState) => void;
}

/** How things stand, for an indicator on a page. */
export interface ClientState {
  /** `waiting`: lost, the next attempt comes after a back-off. */
  readonly status: ConnectorState;
  /** How often the connection was lost, or could not be made, since it was last in good order; 0 while connected. */
  readonly attempt: number;
  /** The token of the protocol, while connected. */
  readonly subprotocol: string | undefined;
  /** Round trip of the last ping, in ms; undefined before the first one of a connection. */
  readonly latency: number | undefined;
  /** How the last attempt or connection ended: code, reason, and cause such as a 404 of the handshake. */
  readonly error: ConnectionLost | undefined;
  /** When the next attempt begins, in ms since 1970, while `waiting`; undefined where `retryWait` decides. */
  readonly retryAt: number | undefined;
}

/** A store in the shape that React's `useSyncExternalStore` takes: the snapshot is the same object until it changes. */
export interface ClientStore {
  /** How things stand. */
  getSnapshot(): ClientState;
  /** Hear that it changed; returns how to stop. */
  subscribe(listener: () => void): () => void;
}

/** Where the results of one operation go. A sink that throws harms nobody else: what it threw goes to `onError`. */
export interface OperationSink<Result> extends Sink<Result> {
  /**
   * The server confirms that the subscription is live: nothing that happens from now on is missed. Asks for it by
   * `extensions.subwire.confirm`; a server that is not subwire's never calls.
   */
  onLive?: (() => void) | undefined;
  /**
   * Come back to where it was after each loss of the connection, and say how it went: `true`, what was missed comes next,
   * each result once; `false`, something may be missing, such as after a long absence or a restart of the server, so read
   * the state again. The subscription goes on in either case. Asks for it by `extensions.subwire.resume`.
   */
  onRecovery?: ((recovered: boolean) => void) | undefined;
  /**
   * With `onRecovery`: begin behind this position, which an earlier query or page has been told
   * (`extensions.subwire.at` of its result).
   */
  since?: string | undefined;
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

/** An operation whose variables and result are typed by its query. */
export type Operation<Data, Variables = Record<string, unknown>> = Omit<SubscribePayload, 'query' | 'variables'> & {
  /** The text of the document; `print(document)` makes one of a document object. */
  readonly query: string & { readonly __apiType?: ((variables: Variables) => Data) | undefined };
} & VariablesOf<NoInfer<Variables>>;

/** A document with a variable that it cannot do without does not compile without it; all others may leave them out. */
export type VariablesOf<Variables> = [Variables] extends [never]
  ? {
      /** Values of its variables. */
      readonly variables?: Record<string, unknown> | null | undefined;
    }
  : Record<never, never> extends Variables
    ? {
        /** Values of its variables. */
        readonly variables?: Variables | null | undefined;
      }
    : {
        /** Values of its variables. */
        readonly variables: Variables;
      };

/** Options of `createClient()`. */
export interface ClientOptions extends ClientSessionOptions {
  /** Where the server is, such as `wss://host/graphql`; a function is asked before each attempt. */
  readonly url: Address;
  /**
   * Another way to reach the server than a WebSocket.
   * @defaultValue a WebSocket
   */
  readonly transport?: Transport | undefined;
  /**
   * A `WebSocket` class.
   * @defaultValue the browser's; in Node that of the installed `ws`
   */
  readonly webSocketImpl?: unknown;
  /**
   * How long `connectionParams` may take, and then the socket until it is open, in ms; then the attempt is lost (1006).
   * @defaultValue 10,000
   */
  readonly openTimeout?: number | undefined;
  /**
   * Connect with the first operation and close after the last one; false: connect now, and stay.
   * @defaultValue true
   */
  readonly lazy?: boolean | undefined;
  /**
   * Hears why a client that is not lazy gave up.
   * @defaultValue `console.error`
   */
  readonly onNonLazyError?: ((error: unknown) => void) | undefined;
  /**
   * How long a lazy connection stays after its last operation, in ms.
   * @defaultValue 0
   */
  readonly lazyCloseTimeout?: number | undefined;
  /**
   * Come back after this end? `attempt` counts the failures since a connection was last in good order, from 0. A number
   * waits so many ms instead of the back-off; `false` gives up. It is asked after 4401 too, and not after other codes
   * that are final. Stands in for `shouldRetry` and `retryWait`.
   * @defaultValue always
   */
  readonly retry?: ((end: ConnectionLost, attempt: number) => boolean | number) | undefined;
  /**
   * How many attempts in a row may fail; 0: none is made after a loss.
   * @defaultValue Infinity
   */
  readonly retryAttempts?: number | undefined;
  /**
   * Wait before an attempt, counted from 0. A rejection gives up with it.
   * @defaultValue the back-off
   */
  readonly retryWait?: ((retries: number) => Promise<void>) | undefined;
  /**
   * Try again after this? Asked after 4401 too, and not after other codes that are final.
   * @defaultValue after every end; after what `connectionParams` or `url` threw, once there has been a connection
   */
  readonly shouldRetry?: ((errorOrClosed: unknown) => boolean) | undefined;
  /** Listeners that are called before all others. */
  readonly on?: { readonly [Event in keyof ClientEvents]?: ClientEvents[Event] | undefined } | undefined;
  /**
   * Names an operation; no two that run may have the same.
   * @defaultValue 72 random bits
   */
  readonly generateID?: ((payload: SubscribePayload) => string) | undefined;
  /** Full-jitter back-off, in ms: base 1,000, cap 30,000; after 1001, 1012 and 1013 the server's own hint. */
  readonly backoff?: BackoffOptions | undefined;
  /** Limits of the connection; see {@link ClientLimitOptions}. */
  readonly limits?: ClientLimitOptions | undefined;
  /** Ends the client as `dispose()` does. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Hears what sinks and listeners throw or reject with.
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

/** Options of {@link Client.iterate}. */
export interface IterateOptions {
  /** Ends the operation; the iterator throws the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Results that may wait for the reader. One more ends the operation with an error.
   * @defaultValue 1,000
   */
  readonly buffer?: number | undefined;
  /** See {@link OperationSink.onRecovery}. */
  readonly onRecovery?: ((recovered: boolean) => void) | undefined;
  /** See {@link OperationSink.since}. */
  readonly since?: string | undefined;
}

/** A client of graphql-transport-ws; see `createClient()`. */
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
   * `sink.error` gets the errors of the server's `error` message, a {@link ConnectionLost}, or what a hook threw.
   *
   * @example
   * const stop = client.subscribe({ query: 'subscription { price }' }, { next: show, error: console.error, complete() {} });
   */
  subscribe<Data = Record<string, unknown>, Extensions = unknown>(
    payload: Operation<Data, never>,
    sink: OperationSink<FormattedExecutionResult<Data, Extensions>>,
  ): () => void;
  /**
   * Run an operation and read its results.
   *
   * @example
   * for await (const { data } of client.iterate({ query: 'subscription { price }' }, { signal })) show(data);
   */
  iterate<Data = Record<string, unknown>, Extensions = unknown, Variables = Record<string, unknown>>(
    payload: Operation<Data, Variables>,
    options?: IterateOptions,
  ): Subscription<FormattedExecutionResult<Data, Extensions>>;
  /**
   * Show new credentials on the live connection (subwire servers), as `connectionParams` would. True: the server took
   * them. False: there is no connection, the server does not know how to, or nothing came within 30 s; the next
   * connection asks `connectionParams`. A server that refuses them closes the connection (4403).
   */
  refresh(credentials: Readonly<Record<string, unknown>>): Promise<boolean>;
  /** Complete every operation and close, for good. Resolves when the connection is closed; again: the same promise. */
  dispose(): Promise<void>;
  /** Drop a connection that is stuck (4499), or a wait, and connect at once: it counts as no failure. */
  terminate(): void;
}
