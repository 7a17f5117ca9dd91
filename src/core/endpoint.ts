import { retryHint } from './backoff.ts';
import { type BudgetStats, MemoryBudget, sharedBudget } from './budget.ts';
import { type Clock, systemClock, type Timed } from './clock.ts';
import type { Fault } from './fault.ts';
import { type ConnectionLimits, connectionLimits, type LimitOptions, resolveLimits } from './limits.ts';
import { type Choice, choose } from './negotiate.ts';
import { mustBeFunctions } from './options.ts';
import { ServerConnection, type ServerConnectionOptions } from './server-connection.ts';
import type { Socket } from './socket.ts';
import type { Authenticate, Handshake, Subprotocol } from './subprotocol.ts';

export interface EndpointOptions {
  /** What is spoken here; a client's own order of preference decides between them. */
  readonly protocols: readonly Subprotocol[];
  /** Called when a connection shows its credentials, and when it refreshes them. Absent: everybody is let in. */
  readonly authenticate?: Authenticate | undefined;
  readonly limits?: LimitOptions<typeof connectionLimits> | undefined;
  /** Over it new connections are refused with 503. Default: Infinity. */
  readonly maxConnections?: number | undefined;
  /**
   * Bytes that all connections together may make this process keep; over it the connections that hold most are cut
   * (fault `tooMany`).
   *
   * @defaultValue one budget for all endpoints of the process: a quarter of the heap limit or of the memory of the
   * container, whichever is smaller
   */
  readonly memory?: number | undefined;
  /** Errors that are no peer's fault: a hook that threw, a body that did not decode. Default: `console.error`. */
  readonly onError?: ((error: unknown) => void) | undefined;
  /** @internal */
  readonly clock?: Clock | undefined;
}

export interface EndpointStats {
  /** Open connections, those that are closing included. */
  readonly open: number;
  /** Open connections per subprotocol token; '' where there is none. */
  readonly subprotocols: Readonly<Record<string, number>>;
  readonly accepted: number;
  readonly refused: number;
  /** Connections that were ended by a fault, per fault. */
  readonly faults: Readonly<Partial<Record<Fault, number>>>;
  readonly draining: boolean;
  /** What is kept for connections, in bytes; shared with the other endpoints of the process that have no `memory`. */
  readonly memory: BudgetStats;
}

export interface DrainOptions {
  /** After so many ms whatever still runs is closed. Default 30,000. */
  readonly deadline?: number | undefined;
  /** A new server takes over: close with 1012 instead of 1001. */
  readonly restart?: boolean | undefined;
  /** Tell clients to come back spread over so many ms. Default: 1.5 ms per open connection, at least 1,000. */
  readonly retryWithin?: number | undefined;
}

/** All connections of a server. Transports hand their sockets in; nothing here knows what a transport is. */
export interface Endpoint {
  readonly limits: ConnectionLimits;
  readonly stats: () => EndpointStats;
  /**
   * Leave gently: refuse new connections (503), let running operations end, close a tenth of the connections per
   * second, then whatever is left at the deadline. Resolves when the last connection is gone. Rejects with a
   * `TypeError` that names the option when one is wrong.
   */
  readonly drain: (options?: DrainOptions) => Promise<void>;
}

/** The side of an endpoint that transports see. */
export interface AcceptingEndpoint extends Endpoint {
  /** Why no new connection is taken now, for a 503; undefined: it is. */
  unavailable(): string | undefined;
  choose(offered: readonly string[]): Choice;
  accept(socket: Socket, handshake: Handshake, subprotocol: Subprotocol): ServerConnection;
  /** Count a refused handshake. */
  refused(): void;
  report(error: unknown): void;
  /** Called when a drain is through. */
  onDrained(listener: () => void): void;
}

/**
 * A server that takes 1,000 handshakes a second has room for one client in 1.5 ms, and some to spare: were the clients
 * to come as fast as it can, each unlucky 100 ms would turn some away.
 */
const comeBackMs = 1.5;

/** How many parts of all connections a drain closes per second, and how often it looks, in ms. */
const drainRate = 0.1;
const drainInterval = 100;

/** Every option of an endpoint; transports add their own. */
export const endpointOptionNames = {
  protocols: true,
  authenticate: true,
  limits: true,
  maxConnections: true,
  memory: true,
  onError: true,
  clock: true,
} as const satisfies Record<keyof EndpointOptions, true>;

/**
 * All connections of a server. `memoryOfProcess` is the budget of all endpoints without one of their own, in bytes.
 *
 * Throws a `TypeError` that names the option when one is wrong.
 */
export function createEndpoint(
  options: EndpointOptions,
  memoryOfProcess: number = Number.POSITIVE_INFINITY,
): AcceptingEndpoint {
  const {
    protocols,
    authenticate,
    maxConnections = Number.POSITIVE_INFINITY,
    memory,
    onError = (error) => console.error('subwire:', error),
    clock = systemClock,
  } = options;
  checkOptions(options);
  const limits = resolveLimits(connectionLimits, options.limits);
  const connections = new Set<ServerConnection>();
  const budget = memory === undefined ? sharedBudget(memoryOfProcess, clock) : new MemoryBudget(memory, clock);
  const optionsOf = new Map<Subprotocol, ServerConnectionOptions>();
  const faults: Partial<Record<Fault, number>> = {};
  let accepted = 0;
  let refused = 0;
  let draining: Promise<void> | undefined;
  let onEmpty: (() => void) | undefined;
  const drainedListeners: (() => void)[] = [];

  function report(error: unknown): void {
    try {
      onError(error);
    } catch {
      // A logger that throws must not end the process.
    }
  }

  function attempt(run: () => void): void {
    try {
      run();
    } catch (error) {
      report(error);
    }
  }

  /** One object for all connections of a subprotocol. */
  function sharedOptions(subprotocol: Subprotocol): ServerConnectionOptions {
    const known = optionsOf.get(subprotocol);
    if (known) return known;
    const shared: ServerConnectionOptions = {
      clock,
      limits,
      authenticate,
      report,
      faultTable: subprotocol.faults,
      cutsSlowReader: true,
      budget,
      ended(connection, { fault }) {
        connections.delete(connection);
        if (fault) faults[fault] = (faults[fault] ?? 0) + 1;
        if (connections.size === 0) onEmpty?.();
      },
    };
    optionsOf.set(subprotocol, shared);
    return shared;
  }

  async function leave({ deadline = 30_000, restart = false, retryWithin }: DrainOptions): Promise<void> {
    const total = connections.size;
    const end = clock.now() + deadline;
    const hint = retryHint(retryWithin ?? Math.max(1_000, total * comeBackMs));
    const perRound = Math.max(1, (total * drainRate * drainInterval) / 1_000);
    // What a round may close; fractions are kept for the next one.
    let credit = 0;
    for (const connection of connections) connection.drain();
    await new Promise<void>((resolve) => {
      const rounds: Timed & { deadline: number } = {
        keepsAlive: true,
        deadline: clock.now(),
        tick(now) {
          credit = now >= end ? Number.POSITIVE_INFINITY : (credit % 1) + perRound;
          for (const connection of connections) {
            if (credit < 1) break;
            if (connection.closing || (now < end && !connection.session.idle)) continue;
            connection.leave(hint, restart);
            credit--;
          }
          rounds.deadline = now + drainInterval;
        },
      };
      onEmpty = () => {
        clock.forget(rounds);
        resolve();
      };
      if (connections.size === 0) onEmpty();
      else clock.watch(rounds);
    });
    for (const subprotocol of protocols) attempt(() => subprotocol.dispose?.());
    for (const listener of drainedListeners) attempt(listener);
  }

  return {
    limits,
    report,
    choose: (offered) => choose(offered, protocols),
    unavailable() {
      if (draining) return 'The server is going away';
      return connections.size >= maxConnections ? 'Too many connections' : undefined;
    },
    refused() {
      refused++;
    },
    accept(socket, handshake, subprotocol) {
      accepted++;
      const connection = new ServerConnection(socket, handshake, sharedOptions(subprotocol));
      connections.add(connection);
      connection.start((opened) => subprotocol.open(opened, socket.protocol));
      return connection;
    },
    stats() {
      const subprotocols: Record<string, number> = {};
      for (const { name } of connections) subprotocols[name] = (subprotocols[name] ?? 0) + 1;
      return {
        open: connections.size,
        subprotocols,
        accepted,
        refused,
        faults: { ...faults },
        draining: Boolean(draining),
        memory: budget.stats(),
      };
    },
    async drain(drainOptions = {}) {
      checkDrainOptions(drainOptions);
      draining ??= leave(drainOptions);
      return draining;
    },
    onDrained(listener) {
      drainedListeners.push(listener);
    },
  };
}

function checkOptions({ protocols, authenticate, maxConnections, memory, onError }: EndpointOptions): void {
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
  mustBeFunctions({ authenticate, onError });
  if (maxConnections !== undefined && !(typeof maxConnections === 'number' && maxConnections > 0)) {
    throw new TypeError(`maxConnections must be a number above 0; got ${String(maxConnections)}`);
  }
  if (memory !== undefined && !(typeof memory === 'number' && memory > 0)) {
    throw new TypeError(`memory must be a number of bytes above 0, or Infinity for none; got ${String(memory)}`);
  }
}

function checkDrainOptions({ deadline, retryWithin }: DrainOptions): void {
  for (const [name, ms] of Object.entries({ deadline, retryWithin })) {
    if (ms !== undefined && !(typeof ms === 'number' && ms >= 0)) {
      throw new TypeError(`drain: ${name} must be a number of ms from 0 up; got ${String(ms)}`);
    }
  }
}
