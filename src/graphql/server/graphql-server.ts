import type { FaultTable } from '../../core/fault.ts';
import type { Connection, Principal, Session, Subprotocol } from '../../core/subprotocol.ts';
import { GRAPHQL_TRANSPORT_WS_PROTOCOL, isObject } from '../protocol/messages.ts';
import { checkOptionNames } from './check-options.ts';
import { ConnectionHost } from './connection-host.ts';
import { createEngine, isProduction } from './engine.ts';
import { graphqlFaults, tellingFaults } from './faults.ts';
import type { GraphqlLimits } from './limits.ts';
import type { ConnectionParams, GraphqlOptions } from './options.ts';
import type { GraphqlStats } from './stats.ts';

/** A GraphQL server, to be mounted on an endpoint. */
export interface GraphqlServer extends Subprotocol {
  /** Its limits as they hold, defaults filled in: see spec-notes/limits.md. */
  readonly limits: GraphqlLimits;
  /** How many operations there are and were, and what became of them. */
  stats(): GraphqlStats;
}

/**
 * GraphQL over WebSocket (graphql-transport-ws) on a server, to be mounted on an endpoint.
 *
 * Throws a `TypeError` that names the option when one is wrong.
 *
 * @example
 * attach(http, { path: '/ws', protocols: [graphqlServer({ schema })] });
 */
export function graphqlServer<
  Params = ConnectionParams,
  Extra = Record<string, unknown>,
  User extends Principal = Principal,
  Value = unknown,
>(options: GraphqlOptions<Params, Extra, User, Value>): GraphqlServer {
  // Not of those that come by way of `subwire/graphql-ws`: that package passes over what it does not know.
  if (isObject(options)) checkOptionNames(options);
  const engine = createEngine(options);
  const made = subprotocol(
    (connection) => new ConnectionHost(connection, engine).session,
    isProduction(options) ? graphqlFaults : tellingFaults,
  );
  return { ...made, limits: engine.limits, stats: () => ({ ...engine.counts }) };
}

/** The subprotocol with another way to open its sessions. */
export const subprotocol = (
  open: (connection: Connection) => Session,
  faults: FaultTable = graphqlFaults,
): Subprotocol => ({
  names: [GRAPHQL_TRANSPORT_WS_PROTOCOL],
  advice: { 'graphql-ws': 'Subprotocol graphql-ws is the legacy protocol; use graphql-transport-ws' },
  faults,
  open,
});
