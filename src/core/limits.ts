import type { Fault } from './fault.ts';
import { inWords, isRecord } from './options.ts';

/** One limit: its default, what it counts, and the fault that going over it raises. */
export interface Limit {
  /** What counts where nothing is said; Infinity: no limit. */
  readonly default: number;
  /** What the number counts. */
  readonly unit: 'bytes' | 'ms' | 'count' | 'per second';
  /** What going over it is. */
  readonly fault: Fault;
}

/** Limits by name. */
export type LimitTable = Readonly<Record<string, Limit>>;
/** The numbers of a table; each may be left out, `Infinity` switches a limit off. */
export type LimitOptions<Table extends LimitTable> = { readonly [Name in keyof Table]?: number | undefined };
/** The numbers of a table, defaults filled in. */
export type LimitValues<Table extends LimitTable> = { readonly [Name in keyof Table]: number };

/** Limits of every connection, whatever it speaks. Protocols add tables of their own. */
export const connectionLimits = {
  /**
   * Bytes of one WebSocket message, put together and inflated. Byte streams have no messages: their protocol counts for
   * itself. It is four times what GraphQL takes as one message, so that one that is too long is the error of its operation
   * and ends nothing else. The 100 MiB of `ws` would be a gift to an attacker.
   */
  maxPayload: { default: 4_194_304, unit: 'bytes', fault: 'tooLarge' },
  /**
   * Unread bytes from which a reader counts as slow. From half of it on, sources that can wait are paused and the reader
   * has to make progress.
   */
  highWaterMark: { default: 1_048_576, unit: 'bytes', fault: 'tooSlow' },
  /**
   * Bytes that may wait for a reader that makes progress. They are many, because a burst alone must not cut anybody and
   * because the budget of the process counts what readers share once.
   */
  maxUnread: { default: 67_108_864, unit: 'bytes', fault: 'tooSlow' },
  /** A reader that is behind has to take 64 KiB within so many ms: long enough for a phone in a tunnel. */
  stallTimeout: { default: 30_000, unit: 'ms', fault: 'tooSlow' },
  /** Ms between two pings of the server: below the 30 to 60 s after which load balancers drop a silent connection. */
  pingInterval: { default: 25_000, unit: 'ms', fault: 'heartbeat' },
  /** Ms from a ping to any octet of the peer. */
  pongTimeout: { default: 10_000, unit: 'ms', fault: 'heartbeat' },
  /** Ms for one WebSocket message to be whole: one that drips in keeps memory and a connection. */
  messageTimeout: { default: 60_000, unit: 'ms', fault: 'malformed' },
  /** How many ms a peer may take to answer a close frame before its socket is destroyed. */
  closeTimeout: { default: 10_000, unit: 'ms', fault: 'goingAway' },
  /**
   * Messages and frames per second. It is off, because what is fair depends on the application. Over it the socket is not
   * read; a peer that stays over it for 10 s is cut.
   */
  messageRate: { default: Number.POSITIVE_INFINITY, unit: 'per second', fault: 'tooMany' },
  /**
   * Bytes that a peer makes its session keep, at what they cost in memory: operations, subscriptions, transactions,
   * backlogs.
   */
  maxKept: { default: 16_777_216, unit: 'bytes', fault: 'tooLarge' },
  /** Ms for one call of `authenticate`: long enough for a slow database. */
  hookTimeout: { default: 10_000, unit: 'ms', fault: 'unavailable' },
} as const satisfies LimitTable;

/** The limits of a connection of a server, defaults filled in. */
export type ConnectionLimits = LimitValues<typeof connectionLimits>;

/** The limits that a client has as well. */
export type ClientLimits = Pick<ConnectionLimits, 'maxPayload' | 'highWaterMark' | 'pongTimeout' | 'closeTimeout'>;

/**
 * Fill in the defaults of a limit table. Throws a `TypeError` that names the option if a number is not above 0 or if
 * a name is unknown.
 *
 * @example
 * const limits = resolveLimits(connectionLimits, { maxPayload: 65_536 });
 */
export function resolveLimits<Table extends LimitTable>(
  table: Table,
  options: LimitOptions<Table> = {},
): LimitValues<Table> {
  if (!isRecord(options)) {
    throw new TypeError(`limits must be an object such as { maxPayload: 65_536 }; got ${inWords(options)}`);
  }
  const values: Record<string, number> = {};
  for (const name in table) values[name] = (table[name] as Limit).default;
  for (const name in options) {
    if (!Object.hasOwn(table, name))
      throw new TypeError(`limits.${name} is not a limit. There are: ${Object.keys(table).join(', ')}`);
    const value: unknown = options[name];
    if (value === undefined) continue;
    if (typeof value !== 'number' || !(value > 0)) {
      throw new TypeError(
        `limits.${name} must be a number above 0 (${(table[name] as Limit).unit}), or Infinity for none; got ${inWords(value)}`,
      );
    }
    values[name] = value;
  }
  return values as LimitValues<Table>;
}
