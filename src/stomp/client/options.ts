import type { BackoffOptions } from '../../core/backoff.ts';
import type { ClientLimitOptions } from '../../core/client-limits.ts';
import { never, type Timers } from '../../core/clock.ts';
import type { Address, ConnectorEnd } from '../../core/dial.ts';
import { assertOption, numberOptions } from '../../core/options.ts';
import type { Transport } from '../../core/socket.ts';
import type { HeaderInput } from '../protocol/headers.ts';
import { versions as allVersions, type Version } from '../protocol/versions.ts';

type Awaitable<T> = T | Promise<T>;

/** A value, or a (perhaps async) function that is asked for it at each connection. */
export type PerConnection<T> = T | (() => Awaitable<T>);

export interface StompClientOptions {
  /** Such as `wss://host/ws`; several are tried in turn; a function is asked before each attempt. Not needed for TCP. */
  readonly brokerURL?: Address | undefined;
  /** Another way to reach the server than a WebSocket. Without a `brokerURL` it is a byte stream, such as `tcp({ host, port })`. */
  readonly connect?: Transport | undefined;
  /** Headers of CONNECT such as `login` and `passcode`. If the function throws, the attempt has failed. */
  readonly connectHeaders?: PerConnection<HeaderInput> | undefined;
  /** The virtual host. Default: the host name of the URL, over a byte stream `/`. */
  readonly host?: string | undefined;
  /** Versions to offer. Default: 1.2, 1.1 and 1.0. */
  readonly versions?: readonly Version[] | undefined;
  /** How often we can send, in ms; 0: not at all. Default 10,000. */
  readonly heartbeatOutgoing?: number | undefined;
  /** How often the server shall send, in ms; 0: no matter. The link counts as dead after 2.1 times that. Default 10,000. */
  readonly heartbeatIncoming?: number | undefined;
  /** Until the socket is open, again until CONNECTED, and for the headers of a subscription, in ms. Default 10,000. */
  readonly connectionTimeout?: number | undefined;
  /** Until the RECEIPT of a frame, in ms. Default 30,000. */
  readonly receiptTimeout?: number | undefined;
  /** Full jitter, in ms. Default: base 4,000, cap 30,000; from the start again after CONNECTED. */
  readonly backoff?: BackoffOptions | undefined;
  /**
   * Come back? Not asked after final ends: an ERROR in answer to CONNECT, close code 1008, versions or subprotocols that
   * do not match. A number waits so many ms instead of the back-off.
   */
  readonly retry?: ((end: ConnectorEnd, attempt: number) => boolean | number) | undefined;
  /** Publishes that may wait for a connection, or for the server to read. One more is dropped. Default 1,000. */
  readonly maxQueued?: number | undefined;
  /**
   * Give text its length (`content-length`)? Default true; ActiveMQ takes messages with a length for bytes, so say false
   * to send it text. Bytes, and text with a NUL in it, have their length always ([STOMP-12]).
   */
  readonly contentLength?: boolean | undefined;
  /**
   * Split larger frames into WebSocket messages of so many bytes (at least 4): text between characters, bytes anywhere.
   * Default: never.
   */
  readonly maxFrameBytes?: number | undefined;
  /** A `WebSocket` class. Default: the browser's; in Node that of the installed `ws`. */
  readonly webSocketImpl?: unknown;
  /** Ends the client as `disconnect()` does. */
  readonly signal?: AbortSignal | undefined;
  readonly limits?: ClientLimitOptions | undefined;
  /** Errors that callbacks and listeners throw. Default `console.error`. */
  readonly onError?: ((error: unknown) => void) | undefined;
  /** Where time comes from, such as `workerTimers()` for hidden tabs. Default: the timers of the page. */
  readonly clock?: Timers | undefined;
}

/** Ask for a value. A function that throws at once is like one that rejects. */
export const ask = async <T>(value: PerConnection<T>): Promise<T> =>
  typeof value === 'function' ? (value as () => Awaitable<T>)() : value;

type Numbers = 'connectionTimeout' | 'receiptTimeout' | 'maxQueued' | 'maxFrameBytes';
type Intervals = 'heartbeatOutgoing' | 'heartbeatIncoming';

/** Options with their defaults. */
export type ResolvedOptions = Omit<StompClientOptions, Numbers | Intervals | 'versions'> &
  Readonly<Record<Numbers | Intervals, number>> & { readonly versions: readonly Version[] };

/** Fill in the defaults. Throws a `TypeError` that names the option which is wrong. */
export function resolveOptions(options: StompClientOptions): ResolvedOptions {
  const { brokerURL, versions = allVersions, connect } = options;
  const spoken = versions.length > 0 && versions.every((version) => allVersions.includes(version));
  assertOption(spoken, 'versions', `some of ${allVersions}`, versions);
  for (const url of [brokerURL].flat()) {
    const reachable = url === undefined ? connect : typeof url === 'function' || /^[a-z+]+:\/\/./.test(url);
    assertOption(reachable, 'brokerURL', 'an address such as "wss://host/ws", or absent with `connect`', brokerURL);
  }
  const defaults = { connectionTimeout: 10_000, receiptTimeout: 30_000, maxQueued: 1_000, maxFrameBytes: never };
  const intervals = { heartbeatOutgoing: 10_000, heartbeatIncoming: 10_000 };
  return { ...options, versions, ...numberOptions(options, defaults, 1), ...numberOptions(options, intervals, 0) };
}
