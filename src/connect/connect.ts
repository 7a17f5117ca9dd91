import { clock as hostClock, onWake, webSocket } from '#socket';
import { type BackoffOptions, checkRetry } from '../core/backoff.ts';
import { type ClientLimitOptions, resolveClientLimits } from '../core/client-limits.ts';
import type { Timers } from '../core/clock.ts';
import {
  type Address,
  type Connector,
  type ConnectorEnd,
  type ConnectorOptions,
  type ConnectorState,
  createDial,
} from '../core/dial.ts';
import { createListeners } from '../core/listeners.ts';
import { offeredTokens, selectOffered } from '../core/negotiate.ts';
import { assertOption, numberOptions } from '../core/options.ts';
import type { Transport } from '../core/socket.ts';
import type { ClientProtocol } from '../core/subprotocol.ts';

export interface ConnectOptions {
  /** What is offered, by preference; the one that the server chooses is spoken. */
  readonly protocols: readonly ClientProtocol[];
  /** How to reach the server. Default: a WebSocket. */
  readonly connect?: Transport | undefined;
  /** A `WebSocket` class. Default: the browser's; in Node that of the installed `ws`. */
  readonly webSocketImpl?: unknown;
  readonly limits?: ClientLimitOptions | undefined;
  readonly backoff?: BackoffOptions | undefined;
  /** How long an attempt may take until the socket is open, in ms. Default 10,000. */
  readonly openTimeout?: number | undefined;
  /** Come back after this end? See {@link Connector}. Default: always. */
  readonly retry?: ((end: ConnectorEnd, attempt: number) => boolean | number) | undefined;
  readonly changed?: ((state: ConnectorState, end?: ConnectorEnd) => void) | undefined;
  /** Errors of hooks and listeners. Default: `console.error`. */
  readonly onError?: ((error: unknown) => void) | undefined;
  /** Where time comes from, such as `workerTimers()` for hidden tabs. Default: the timers of the page. */
  readonly clock?: Timers | undefined;
}

/**
 * A client connection that offers several subprotocols, speaks the one that the server chose, and comes back with
 * full-jitter back-off. It dials when `start()` is called. An attempt fails if the server chose no subprotocol, or one
 * that was not offered (RFC 6455 4.1).
 *
 * Throws a `TypeError` that names the option when one is wrong.
 */
export function connect(url: Address, options: ConnectOptions): Connector {
  const {
    protocols,
    retry = () => true,
    changed = () => {},
    connect: transport = webSocket(options.webSocketImpl),
  } = options;
  const { onError = (error: unknown) => console.error('subwire:', error) } = options;
  const { report } = createListeners(onError);
  const { openTimeout } = numberOptions(options, { openTimeout: 10_000 }, 1);
  assertOption(Array.isArray(protocols) && protocols.length > 0, 'protocols', 'a list of what is offered', protocols);
  return dialServer({
    ...options,
    url,
    transport,
    openTimeout,
    changed,
    report,
    offered: offeredTokens(protocols),
    choose: (name) => selectOffered(name, protocols),
    retry: (end, attempt) => checkRetry(retry(end, attempt)),
  });
}

export interface DialServerOptions extends Omit<ConnectorOptions, 'clock' | 'limits' | 'onWake'> {
  readonly clock?: Timers | undefined;
  readonly limits?: ClientLimitOptions | undefined;
}

/** The same for clients, which know their protocols. */
export function dialServer(options: DialServerOptions): Connector {
  const { url, clock = hostClock } = options;
  const [first] = [url].flat();
  assertOption(
    first && (typeof first === 'string' || typeof first === 'function'),
    'url',
    'a URL, some, or a function',
    url,
  );
  return createDial({ ...options, clock, limits: resolveClientLimits(options.limits), onWake });
}
