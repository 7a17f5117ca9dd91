import { clock as hostClock, onWake, webSocket } from '#socket';
import { type BackoffOptions, checkRetry } from '../core/backoff.ts';
import { type ClientLimitOptions, resolveClientLimits } from '../core/client-limits.ts';
import type { Timers } from '../core/clock.ts';
import type { ConnectionLost } from '../core/connection-lost.ts';
import { type Address, type Connector, type ConnectorOptions, type ConnectorState, createDial } from '../core/dial.ts';
import { CloseCode } from '../core/fault.ts';
import { createListeners } from '../core/listeners.ts';
import { offeredTokens, selectOffered } from '../core/negotiate.ts';
import {
  assertOption,
  checkNames,
  mustBeClock,
  mustBeFunctions,
  mustBeRecord,
  numberOptions,
} from '../core/options.ts';
import type { Transport } from '../core/socket.ts';
import type { ClientProtocol } from '../core/subprotocol.ts';

/** Options of {@link connect}. */
export interface ConnectOptions {
  /** What is offered, by preference; the one that the server chooses is spoken. */
  readonly protocols: readonly ClientProtocol[];
  /**
   * How to reach the server, such as `tcp({ port })`.
   * @defaultValue a WebSocket
   */
  readonly transport?: Transport | undefined;
  /**
   * A `WebSocket` class.
   * @defaultValue the browser's; in Node that of the installed `ws`
   */
  readonly webSocketImpl?: unknown;
  /** Limits of the connection; see {@link ClientLimitOptions}. */
  readonly limits?: ClientLimitOptions | undefined;
  /** Waits between attempts; see {@link BackoffOptions}. */
  readonly backoff?: BackoffOptions | undefined;
  /**
   * How long an attempt may take until the socket is open, in ms; then it counts as lost (1006).
   * @defaultValue 10,000
   */
  readonly openTimeout?: number | undefined;
  /**
   * Come back after this end? `attempt` counts the failures since a connection was last in good order, from 0. A number
   * waits so many ms instead of the back-off; `false` gives up.
   * @defaultValue always, except where the server chose no subprotocol that was offered (4406)
   */
  readonly retry?: ((end: ConnectionLost, attempt: number) => boolean | number) | undefined;
  /** Hears of each state; `end` is there on the way to `waiting` and `idle`. */
  readonly changed?: ((state: ConnectorState, end?: ConnectionLost) => void) | undefined;
  /**
   * Hears the errors of hooks and listeners.
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

const optionNames: Readonly<Record<keyof ConnectOptions, true>> = {
  protocols: true,
  transport: true,
  webSocketImpl: true,
  limits: true,
  backoff: true,
  openTimeout: true,
  retry: true,
  changed: true,
  onError: true,
  warn: true,
  clock: true,
};

/**
 * A client connection that offers several subprotocols, speaks the one that the server chose, and comes back with
 * full-jitter back-off. It dials when `start()` is called. For authors of protocols; users take `createClient()` and
 * `createStompClient()`.
 *
 * Throws a `TypeError` that names the option when one is wrong, or is none.
 *
 * @example
 * const connector = connect('wss://host/ws', { protocols: [{ names: ['v1.chat'], faults: {}, open: openChat }] });
 * connector.start();
 */
export function connect(url: Address, options: ConnectOptions): Connector {
  checkNames(options, optionNames, 'connect()');
  const {
    protocols,
    retry = (end: ConnectionLost) => end.code !== CloseCode.subprotocolNotAcceptable,
    changed = () => {},
    transport = webSocket(options.webSocketImpl),
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

/**
 * Throws a `TypeError` for an address that no WebSocket reaches, before it is dialled for ever. Browsers take http for ws, and
 * addresses that are relative to the page.
 */
export function checkScheme(url: unknown, owner: string): void {
  for (const each of [url].flat()) {
    const scheme = typeof each === 'string' && /^([a-z][a-z0-9+.-]*):\/\//i.exec(each)?.[1];
    if (scheme && !/^(ws|http)s?$/i.test(scheme))
      throw new TypeError(
        `${owner}: url must begin with ws:// or wss://; got ${each}. For other ways there is transport`,
      );
  }
}

/** Hints for `checkNames` out of a table from the names that others use to ours. */
export const inOurWords = (foreign: Readonly<Record<string, string>>): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(foreign).map(([name, own]) => [name, `here it is: ${own}.`]));

/** What {@link dialServer} takes: what a {@link Connector} is made of, with defaults. */
export interface DialServerOptions extends Omit<ConnectorOptions, 'clock' | 'limits' | 'onWake' | 'warn'> {
  /** Where time comes from; default: that of the platform. */
  readonly clock?: Timers | undefined;
  /** Limits of its connections, with defaults for those that are missing. */
  readonly limits?: ClientLimitOptions | undefined;
  /** `false`: nothing is said on the console. */
  readonly warn?: boolean | undefined;
}

/**
 * A connector for a client that knows its protocols. Throws a `TypeError` that names the option when one is wrong.
 *
 * @example
 * const connector = dialServer({ url, offered, choose, transport, openTimeout, retry, changed, report });
 */
export function dialServer(options: DialServerOptions): Connector {
  const { url, clock = hostClock, warn = true, transport, retry } = options;
  mustBeClock(clock);
  mustBeRecord(options.backoff, 'backoff', 'an object such as { base: 500 }');
  mustBeFunctions({ transport, retry });
  const [first] = [url].flat();
  assertOption(
    first && (typeof first === 'string' || typeof first === 'function'),
    'url',
    'an address such as "wss://host/ws", a list of some, or a function',
    url,
  );
  return createDial({
    ...options,
    clock,
    limits: resolveClientLimits(options.limits),
    onWake,
    warn: warn ? (text) => console.warn(text) : undefined,
  });
}
