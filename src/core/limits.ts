import type { Fault } from './fault.ts';

/** One limit: its default, what it counts, and the fault that going over it raises. */
export interface Limit {
  readonly default: number;
  readonly unit: 'bytes' | 'ms' | 'count' | 'per second';
  readonly fault: Fault;
}

export type LimitTable = Readonly<Record<string, Limit>>;
/** The numbers of a table; each may be left out, `Infinity` switches a limit off. */
export type LimitOptions<Table extends LimitTable> = { readonly [Name in keyof Table]?: number | undefined };
export type LimitValues<Table extends LimitTable> = { readonly [Name in keyof Table]: number };

/** Limits of every connection, whatever it speaks. Protocols add tables of their own. */
export const connectionLimits = {
  // One WebSocket message: byte streams have none, and their protocol counts for itself. The 100 MiB of `ws` would be a gift to an attacker.
  maxPayload: { default: 1_048_576, unit: 'bytes', fault: 'tooLarge' },
  // The mark from which a reader counts as slow. Sources that can wait are paused at half of it, and from there on it
  // has to make progress.
  highWaterMark: { default: 1_048_576, unit: 'bytes', fault: 'tooSlow' },
  // A burst alone cuts nobody who reads; what is shared with others is counted once by the budget of the process.
  maxUnread: { default: 67_108_864, unit: 'bytes', fault: 'tooSlow' },
  // Long enough for a phone in a tunnel.
  stallTimeout: { default: 30_000, unit: 'ms', fault: 'tooSlow' },
  // Below the 30 to 60 s after which load balancers drop a silent connection.
  pingInterval: { default: 25_000, unit: 'ms', fault: 'heartbeat' },
  pongTimeout: { default: 10_000, unit: 'ms', fault: 'heartbeat' },
  // A message that drips in keeps memory and a connection.
  messageTimeout: { default: 60_000, unit: 'ms', fault: 'malformed' },
  // How long a peer may take to answer a close frame before its socket is destroyed.
  closeTimeout: { default: 10_000, unit: 'ms', fault: 'goingAway' },
  // Off: what is fair depends on the application. Over it the socket is not read; over it for 10 s, it is cut.
  messageRate: { default: Number.POSITIVE_INFINITY, unit: 'per second', fault: 'tooMany' },
  // What a peer makes its session keep, at what it costs: operations, subscriptions, transactions, backlogs.
  maxKept: { default: 16_777_216, unit: 'bytes', fault: 'tooLarge' },
  // Within GraphQL's own patience of clients, and long enough for a slow database.
  hookTimeout: { default: 10_000, unit: 'ms', fault: 'unavailable' },
} as const satisfies LimitTable;

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
  if (typeof options !== 'object' || options === null) {
    throw new TypeError(`limits must be an object such as { maxPayload: 65_536 }; got ${String(options)}`);
  }
  const values: Record<string, number> = {};
  for (const name in table) values[name] = (table[name] as Limit).default;
  for (const name in options) {
    const value = options[name];
    if (!Object.hasOwn(table, name))
      throw new TypeError(`limits.${name} is not a limit. There are: ${Object.keys(table).join(', ')}`);
    if (value === undefined) continue;
    if (typeof value !== 'number' || !(value > 0)) {
      throw new TypeError(
        `limits.${name} must be a number above 0 (${(table[name] as Limit).unit}), or Infinity for none; got ${String(value)}`,
      );
    }
    values[name] = value;
  }
  return values as LimitValues<Table>;
}
