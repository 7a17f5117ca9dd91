import type { BudgetStats } from './budget.ts';
import type { CallerLimits } from './caller-limits.ts';
import type { Clock } from './clock.ts';
import type { DisconnectionSource } from './disconnection.ts';
import type { Fault } from './fault.ts';
import type { connectionLimits, LimitOptions } from './limits.ts';
import type { ConnectionEnd, OpenConnection } from './open-connection.ts';
import { inWords, isRecord, mustBeFunctions } from './options.ts';
import type { OnError } from './reports.ts';
import type { Authenticate, Subprotocol } from './subprotocol.ts';

/** Options of every endpoint, whatever its transport. */
export interface EndpointOptions {
  /** What is spoken here; a client's own order of preference decides between them. */
  readonly protocols: readonly Subprotocol[];
  /**
   * Called when a connection shows its credentials, and when it refreshes them.
   *
   * @defaultValue everybody is let in, as nobody
   */
  readonly authenticate?: Authenticate | undefined;
  /**
   * A client was let in: called once for each connection, whatever it speaks, right after `authenticate` and before the
   * client is told. Connections that are refused, or never say who they are, are not told of. What it throws, or
   * rejects with, is reported and ends nothing.
   */
  readonly onConnect?: ((connection: OpenConnection) => unknown) | undefined;
  /** The end of each connection that `onConnect` was called for, once, however it came. Errors are treated as there. */
  readonly onDisconnect?: ((connection: OpenConnection, end: ConnectionEnd) => unknown) | undefined;
  /**
   * The bus whose `disconnect()` reaches the connections of this endpoint, from whichever server it is called.
   *
   * @defaultValue none: `endpoint.disconnect()` alone ends connections
   */
  readonly bus?: DisconnectionSource | undefined;
  /** Limits of each connection: see spec-notes/limits.md. */
  readonly limits?: LimitOptions<typeof connectionLimits> | undefined;
  /**
   * Over it new connections are refused with 503.
   *
   * @defaultValue Infinity
   */
  readonly maxConnections?: number | undefined;
  /**
   * What one address may do; over it 429, and streams are dropped. IPv6 is counted by networks of 64 bits. Loopback and
   * private addresses are counted only where the transport knows that they are the client's own.
   *
   * @defaultValue nothing is limited
   */
  readonly perAddress?: CallerLimits | undefined;
  /**
   * What all connections of one principal, by its `name`, may do; over it the fault is `tooMany`.
   *
   * @defaultValue nothing is limited
   */
  readonly perPrincipal?: CallerLimits | undefined;
  /**
   * Bytes that all connections together may make this process keep; over it the connections that hold most are cut
   * (fault `tooMany`).
   *
   * @defaultValue one budget for all endpoints of the process: a quarter of the heap limit or of the memory of the
   * container, whichever is smaller
   */
  readonly memory?: number | undefined;
  /**
   * Errors that are no peer's fault: a hook that threw, a body that did not decode. One cause is told at once and then
   * at most once in a minute, with its count.
   *
   * @defaultValue `console.error`
   */
  readonly onError?: OnError | undefined;
  /** @internal */
  readonly clock?: Clock | undefined;
}

/** What an endpoint counts. */
export interface EndpointStats {
  /** Open connections, those that are closing included. */
  readonly open: number;
  /** Open connections per subprotocol token; '' where there is none. */
  readonly subprotocols: Readonly<Record<string, number>>;
  /** Connections that were taken since the start. */
  readonly accepted: number;
  /** Handshakes that were refused since the start. */
  readonly refused: number;
  /** Connections that were ended by a fault, per fault. */
  readonly faults: Readonly<Partial<Record<Fault, number>>>;
  /**
   * What each protocol of the endpoint counts, under its first token: operations of `graphql-transport-ws`, queues of
   * `v12.stomp`. Every leaf is a number; what is counted by destination, queue or user stands in Maps.
   */
  readonly protocols: Readonly<Record<string, object>>;
  /** The endpoint is leaving, or has left. */
  readonly draining: boolean;
  /** Memory that is kept for connections, in bytes; shared with the endpoints of the process that have no `memory`. */
  readonly budgets: { readonly memory: BudgetStats };
}

/** How an endpoint leaves. */
export interface DrainOptions {
  /**
   * After so many ms whatever still runs is closed.
   *
   * @defaultValue 30_000
   */
  readonly deadline?: number | undefined;
  /**
   * A new server takes over: close with 1012 instead of 1001.
   *
   * @defaultValue false
   */
  readonly restart?: boolean | undefined;
  /**
   * Tell clients to come back spread over so many ms.
   *
   * @defaultValue 1.5 ms per open connection, at least 1_000
   */
  readonly retryWithin?: number | undefined;
}

/** Every option of an endpoint; transports add their own. */
export const endpointOptionNames = Object.freeze({
  protocols: true,
  authenticate: true,
  onConnect: true,
  onDisconnect: true,
  bus: true,
  limits: true,
  maxConnections: true,
  perAddress: true,
  perPrincipal: true,
  memory: true,
  onError: true,
  clock: true,
} as const satisfies Record<keyof EndpointOptions, true>);

/** Throws a `TypeError` that names the option when one is wrong. */
export function checkOptions(options: EndpointOptions): void {
  const { protocols, authenticate, onConnect, onDisconnect, maxConnections, memory, onError, bus } = options;
  if (!Array.isArray(protocols) || protocols.length === 0) {
    throw new TypeError(
      'protocols must list at least one subprotocol, such as graphqlServer({ schema }) or stompBroker({ bus })',
    );
  }
  const seen = new Set<string>();
  for (const each of protocols as readonly Partial<Subprotocol>[]) {
    if (!Array.isArray(each?.names) || typeof each.open !== 'function') {
      throw new TypeError(
        'protocols must hold subprotocols, such as graphqlServer({ schema }) or stompBroker({ bus })',
      );
    }
    for (const name of each.names) {
      if (seen.has(name)) throw new TypeError(`protocols: two of them speak ${name}; mount one`);
      seen.add(name);
    }
  }
  mustBeFunctions({ authenticate, onConnect, onDisconnect, onError });
  if (bus !== undefined && typeof (bus as Partial<DisconnectionSource> | null)?.on !== 'function') {
    throw new TypeError(`bus must be a bus such as createBus(); got ${inWords(bus)}`);
  }
  if (maxConnections !== undefined && !(typeof maxConnections === 'number' && maxConnections > 0)) {
    throw new TypeError(`maxConnections must be a number above 0; got ${inWords(maxConnections)}`);
  }
  if (memory !== undefined && !(typeof memory === 'number' && memory > 0)) {
    throw new TypeError(`memory must be a number of bytes above 0, or Infinity for none; got ${inWords(memory)}`);
  }
}

/** Throws a `TypeError` that names the option when one is wrong. */
export function checkDrainOptions(options: DrainOptions): void {
  if (!isRecord(options)) {
    throw new TypeError(`drain() needs options such as { deadline: 30_000 }, or none; got ${inWords(options)}`);
  }
  const { deadline, retryWithin }: DrainOptions = options;
  for (const [name, ms] of Object.entries({ deadline, retryWithin })) {
    if (ms !== undefined && !(typeof ms === 'number' && ms >= 0)) {
      throw new TypeError(`drain: ${name} must be a number of ms from 0 up; got ${inWords(ms)}`);
    }
  }
}
