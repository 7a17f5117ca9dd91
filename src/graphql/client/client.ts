import type { Client, ClientOptions } from './client-types.ts';
import { makeClient } from './make-client.ts';

export { ConnectionLost } from '../../core/connection-lost.ts';
export type {
  FormattedError,
  FormattedExecutionResult,
  ProtocolMessage,
  SubscribePayload,
} from '../protocol/messages.ts';
export type * from './client-types.ts';

/**
 * A client of graphql-transport-ws, in the shape of graphql-ws's: Apollo's `GraphQLWsLink`, urql and Relay take it.
 * It reconnects with full-jitter back-off until a close code is final, and sends again what runs.
 *
 * Throws a `TypeError` that names the option when one is wrong, or is none.
 *
 * @example
 * const client = createClient({ url: 'wss://host/graphql', connectionParams: async () => ({ token: await token() }) });
 */
export const createClient = (options: ClientOptions): Client => makeClient(options);
