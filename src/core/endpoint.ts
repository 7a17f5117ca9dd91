import { isPrivate, networkOf } from './address.ts';
import { retryHint } from './backoff.ts';
import { MemoryBudget, sharedBudget } from './budget.ts';
import { CallerCounter } from './caller-limits.ts';
import { type Clock, systemClock } from './clock.ts';
import { Drain } from './drain.ts';
import {
  checkDrainOptions,
  checkOptions,
  type DrainOptions,
  type EndpointOptions,
  type EndpointStats,
} from './endpoint-options.ts';
import { type Fault, ProtocolError } from './fault.ts';
import { type ConnectionLimits, connectionLimits, resolveLimits } from './limits.ts';
import { type Choice, choose } from './negotiate.ts';
import type { OpenConnection } from './open-connection.ts';
import { isPromise } from './promise-or.ts';
import { dismissalOf, type Refusal, type RefuseOptions } from './refuse.ts';
import { createReports } from './reports.ts';
import { ServerConnection } from './server-connection.ts';
import type { ServerConnectionOptions } from './server-connection-options.ts';
import type { Socket } from './socket.ts';
import type { Handshake, Subprotocol } from './subprotocol.ts';

/** Which connections are meant: those of a principal, or those for which a function says `true`. */
export type ConnectionMatch = { readonly principal: string } | ((connection: OpenConnection) => boolean);

/** All connections of a server. Transports hand their sockets in; nothing here knows what a transport is. */
export interface Endpoint {
  /** The limits of each connection, defaults filled in. */
  readonly limits: ConnectionLimits;
  /** What is counted, as it stands now. */
  readonly stats: () => EndpointStats;
  /** The connections that are open now, those that are closing included. */
  readonly connections: () => Iterable<OpenConnection>;
  /**
   * End the connections of this endpoint that match, at once, also those that wait for a hook. Returns how many they
   * were. Without words the fault is `expired`, so that clients come back and say anew who they are. For the connections
   * of a principal on all servers there is `bus.disconnect()`.
   *
   * Throws a `TypeError` if `match` is none, or if the words cannot be put into a close frame.
   *
   * @example
   * endpoint.disconnect({ principal: 'ada' }, { code: 4403, reason: 'Your account was closed' });
   * endpoint.disconnect(({ openedAt }) => openedAt < lastDeployment);
   */
  readonly disconnect: (match: ConnectionMatch, words?: Refusal | RefuseOptions) => number;
  /**
   * Leave gently: refuse new connections (503), let running operations end, close a tenth of the connections per
   * second, then whatever is left at the deadline. Resolves when the last connection is gone. Rejects with a
   * `TypeError` that names the option when one is wrong.
   *
   * @example
   * process.once('SIGTERM', () => endpoint.drain({ deadline: 30_000 }));
   */
  readonly drain: (options?: DrainOptions) => Promise<void>;
  /**
   * Leave now: refuse new connections (503) and close all others with 1001. Resolves when the last one is gone, which
   * takes `closeTimeout` at most. A drain that is under way is cut short.
   *
   * @example
   * await endpoint.close();
   */
  readonly close: () => Promise<void>;
}

/** Whether an address may connect now. */
export type AddressAdmission = { readonly admitted: true } | { readonly admitted: false; readonly retryAfter: number };

/** The side of an endpoint that transports see. */
export interface AcceptingEndpoint extends Endpoint {
  /** What knows the time. */
  readonly clock: Clock;
  /** Why no new connection is taken now, for a 503; undefined: it is. */
  unavailable(): string | undefined;
  /**
   * May this address connect now, by `perAddress`? If not, after how many seconds it may try again (429 with
   * Retry-After). `trusted` says that a private address is the client's own, since a proxy of ours told it.
   */
  admits(address: string, trusted?: boolean): AddressAdmission;
  /** What is spoken with a client that offers these tokens. */
  choose(offered: readonly string[]): Choice;
  /** Take a socket: its connection is open and hears what happens on it. */
  accept(socket: Socket, handshake: Handshake, subprotocol: Subprotocol): ServerConnection;
  /** Count a refused handshake. */
  refused(): void;
  /** Tell the application of an error. Never throws. */
  report(error: unknown): void;
  /** Called when the endpoint has left. */
  onDrained(listener: () => void): void;
}

/**
 * A server that takes 1,000 handshakes a second has room for one client in 1.5 ms, and some to spare: were the clients
 * to come as fast as it can, each unlucky 100 ms would turn some away.
 */
const comeBackMs = 1.5;

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
    onConnect,
    onDisconnect,
    maxConnections = Number.POSITIVE_INFINITY,
    memory,
    bus,
    onError = (error, count) => console.error('subwire:', error, ...(count > 1 ? [`(${count} times)`] : [])),
    clock = systemClock,
  } = options;
  checkOptions(options);
  const limits = resolveLimits(connectionLimits, options.limits);
  const addresses = new CallerCounter(options.perAddress, 'perAddress', clock);
  const principals = new CallerCounter(options.perPrincipal, 'perPrincipal', clock);
  const counted = new Map<OpenConnection, string>();
  const connections = new Set<ServerConnection>();
  const budget = memory === undefined ? sharedBudget(memoryOfProcess, clock) : new MemoryBudget(memory, clock);
  budget.holders.add(connections);
  const optionsOf = new Map<Subprotocol, ServerConnectionOptions>();
  const faults: Partial<Record<Fault, number>> = {};
  const report = createReports(onError, clock);
  let accepted = 0;
  let refused = 0;
  let drain: Drain | undefined;
  let draining: Promise<void> | undefined;
  const drainedListeners: (() => void)[] = [];

  /** Call something of the application's: what it throws or rejects with is reported. */
  function attempt(run: () => unknown): void {
    try {
      const outcome = run();
      if (isPromise(outcome)) Promise.resolve(outcome).catch(report);
    } catch (error) {
      report(error);
    }
  }

  /** Undefined: this address is not counted. */
  function networkCounted(address: string, trusted: boolean | undefined): string | undefined {
    return addresses.off || address === '' || (!trusted && isPrivate(address)) ? undefined : networkOf(address);
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
      admitted(connection) {
        const name = connection.principal?.name;
        if (name !== undefined && !principals.off) {
          if (principals.waitOf(name) > 0) throw new ProtocolError('tooMany', 'Too many connections of this principal');
          principals.opened(name);
          counted.set(connection, name);
        }
        if (onConnect) attempt(() => onConnect(connection));
      },
      ended(connection, end) {
        (connections as Set<OpenConnection>).delete(connection);
        const { remoteAddress, trusted } = connection.handshake;
        const network = networkCounted(remoteAddress, trusted);
        if (network !== undefined) addresses.closed(network);
        const name = counted.get(connection);
        if (name !== undefined) principals.closed(name);
        counted.delete(connection);
        const { fault } = end;
        if (fault) faults[fault] = (faults[fault] ?? 0) + 1;
        if (onDisconnect && connection.admitted) attempt(() => onDisconnect(connection, end));
        if (connections.size === 0) drain?.emptied();
      },
    };
    optionsOf.set(subprotocol, shared);
    return shared;
  }

  async function leave({ deadline = 30_000, restart = false, retryWithin }: DrainOptions): Promise<void> {
    const hint = retryHint(retryWithin ?? Math.max(1_000, connections.size * comeBackMs));
    drain = new Drain(connections, clock, { deadline, restart, hint });
    await drain.over;
    budget.holders.delete(connections);
    stopHearing?.();
    for (const subprotocol of protocols) attempt(() => subprotocol.dispose?.());
    for (const listener of drainedListeners) attempt(listener);
  }

  function matches(match: ConnectionMatch): (connection: ServerConnection) => boolean {
    if (typeof match === 'function') {
      // [CONN-52] Only `true` is meant: a promise, say, is always truthy.
      return (connection) => (match(connection) as unknown) === true;
    }
    const principal: unknown = match?.principal;
    if (typeof principal === 'string') return (connection) => connection.principal?.name === principal;
    throw new TypeError("disconnect() needs a function, or { principal: 'name' }, to know whom");
  }

  function disconnect(match: ConnectionMatch, words?: Refusal | RefuseOptions): number {
    const isMeant = matches(match);
    const refusal = dismissalOf(words);
    let count = 0;
    for (const connection of [...connections]) {
      if (connection.closing || !isMeant(connection)) continue;
      connection.dismiss(refusal ?? { closeCode: undefined, reason: 'Disconnected by the server' });
      count++;
    }
    return count;
  }

  // [CLUSTER-1] Until the last connection is gone, those of a drain included.
  const stopHearing = bus?.on('disconnect', ({ principal, words, openedBefore }) => {
    disconnect((connection) => connection.principal?.name === principal && connection.openedAt <= openedBefore, words);
  });

  return {
    clock,
    limits,
    report,
    choose: (offered) => choose(offered, protocols),
    unavailable() {
      if (draining) return 'The server is going away';
      return connections.size >= maxConnections ? 'Too many connections' : undefined;
    },
    admits(address, trusted) {
      const network = networkCounted(address, trusted);
      const retryAfter = network === undefined ? 0 : addresses.waitOf(network);
      return retryAfter === 0 ? { admitted: true } : { admitted: false, retryAfter };
    },
    refused() {
      refused++;
    },
    accept(socket, handshake, subprotocol) {
      accepted++;
      const network = networkCounted(handshake.remoteAddress, handshake.trusted);
      if (network !== undefined) addresses.opened(network);
      const connection = new ServerConnection(socket, handshake, sharedOptions(subprotocol));
      connections.add(connection);
      connection.start((opened) => subprotocol.open(opened, socket.protocol));
      return connection;
    },
    connections: () => connections.values(),
    disconnect,
    stats() {
      const subprotocols: Record<string, number> = {};
      for (const { name } of connections) subprotocols[name] = (subprotocols[name] ?? 0) + 1;
      return {
        open: connections.size,
        subprotocols,
        accepted,
        refused,
        faults: { ...faults },
        protocols: Object.fromEntries(
          protocols.flatMap((each) => (each.stats ? [[each.names[0] ?? '', each.stats()]] : [])),
        ),
        draining: Boolean(draining),
        budgets: { memory: budget.stats() },
      };
    },
    async drain(drainOptions = {}) {
      checkDrainOptions(drainOptions);
      draining ??= leave(drainOptions);
      return draining;
    },
    async close() {
      if (draining) drain?.hurry();
      else draining = leave({ deadline: 0 });
      return draining;
    },
    onDrained(listener) {
      drainedListeners.push(listener);
    },
  };
}
