/**
 * The names of the `graphql-ws` package, for moving to subwire by changing an import.
 *
 * @module
 */
import { ConnectionLost } from '../../core/connection-lost.ts';
import { CloseCode as Code, messageOf } from '../../core/fault.ts';
import type { Client, ClientEvents, ClientOptions as OwnClientOptions } from '../client/client-types.ts';
import { makeClient } from '../client/make-client.ts';
import { knownOptions } from '../client/options.ts';
import {
  type JSONMessageReplacer,
  type JSONMessageReviver,
  type ProtocolMessage,
  parseMessage as parseText,
  validateMessage,
} from '../protocol/messages.ts';

export type { Sink } from '../../bus/subscription.ts';
export type { Client } from '../client/client-types.ts';
export type { OperationResult } from '../execution/execute.ts';
export {
  type CompleteMessage,
  type ConnectionAckMessage,
  type ConnectionInitMessage,
  type ErrorMessage,
  type FormattedExecutionResult,
  GRAPHQL_TRANSPORT_WS_PROTOCOL,
  type JSONMessageReplacer,
  type JSONMessageReviver,
  MessageType,
  type NextMessage,
  type PingMessage,
  type PongMessage,
  type ProtocolMessage,
  type SubscribeMessage,
  type SubscribePayload,
  validateMessage,
} from '../protocol/messages.ts';
export type { GraphqlContext as Context } from '../server/options.ts';
export {
  handleProtocols,
  makeServer,
  type Server,
  type ServerOptions,
  useServer,
  type WebSocket,
  type WsExtra as Extra,
} from './make-server.ts';

/** The events of a client. */
export type Event = keyof ClientEvents;

/** A listener of a client, for code that makes of events what it knows them to be: `(event as CloseEvent).code`. */
export type EventListener<Name extends Event> = (...details: LooseDetails<Parameters<ClientEvents[Name]>>) => void;
/** Over a type parameter, so that a tuple stays one. */
type LooseDetails<Details extends readonly unknown[]> = { [Index in keyof Details]: Loose<Details[Index]> };
type Loose<Detail> = Detail extends ConnectionLost | { readonly readyState: number } ? unknown : Detail;

/** The options of {@link createClient}: those of graphql-ws, and our own beside them. */
export type ClientOptions<Params extends Record<string, unknown> | undefined = Record<string, unknown> | undefined> =
  Omit<OwnClientOptions, 'on' | 'connectionParams'> & {
    /** The payload of `connection_init`; a function is asked for each connection. */
    readonly connectionParams?: Params | (() => Promise<Params> | Params) | undefined;
    /** Listeners that are called before all others. */
    readonly on?: { readonly [Name in Event]?: EventListener<Name> | undefined } | undefined;
  };

/** Doubled from 1 s, and up to 3.3 s more, so that clients that were dropped together do not come back together. */
const waitBefore = (attempt: number): number => 1_000 * 2 ** attempt + 300 + Math.random() * 3_000;

/**
 * The client of `subwire/graphql/client` with the habits of graphql-ws: five attempts in a row and its waits between them,
 * no pings of its own (`keepAlive: 0`), 4401 is final, `connectionParams` are asked for once the socket is open, and a listener
 * of the socket's events that throws closes it, and ends what runs with what it threw.
 *
 * Throws a `TypeError` that names the option when one is wrong.
 *
 * @example
 * const client = createClient({ url: 'wss://host/graphql', shouldRetry: () => true });
 */
export function createClient<Params extends Record<string, unknown> | undefined = Record<string, unknown> | undefined>(
  options: ClientOptions<Params>,
): Client {
  const { shouldRetry = (problem: unknown) => problem instanceof ConnectionLost } = options;
  // 4401 is final there, and nobody is asked.
  const asks = (problem: unknown): boolean =>
    !(problem instanceof ConnectionLost && problem.code === Code.unauthorized) && shouldRetry(problem);
  const retry = (end: ConnectionLost, attempt: number): number | false =>
    asks(end.code === Code.clientError && end.cause !== undefined ? end.cause : end) && waitBefore(attempt);
  return makeClient(
    {
      keepAlive: 0,
      retryAttempts: 5,
      warn: false,
      // That package passes over what it does not know.
      ...knownOptions(options),
      shouldRetry: asks,
      retry: options.retry ?? (options.retryWait ? undefined : retry),
    } as OwnClientOptions,
    {
      closed: (end) => (end.code === Code.terminated ? new TerminatedCloseEvent() : end),
      problem: (problem) =>
        problem instanceof ConnectionLost && problem.code === Code.abnormal && problem.cause !== undefined
          ? new SocketError(problem)
          : problem,
    },
  );
}

/** What `closed` listeners get after `terminate()`, to be told from others by `instanceof`. */
export class TerminatedCloseEvent extends ConnectionLost {
  override readonly name = 'TerminatedCloseEvent';

  static override [Symbol.hasInstance](value: unknown): boolean {
    return value instanceof ConnectionLost && value.code === Code.terminated;
  }

  constructor() {
    super(Code.terminated, 'Terminated');
    this.message = '4499: Terminated';
  }
}

/** Why there was no connection: it has what an `ErrorEvent` of the socket has as well. */
class SocketError extends ConnectionLost {
  /** What went wrong, such as the refused connection of Node. */
  readonly error: unknown;

  constructor({ code, reason, cause, fault }: ConnectionLost) {
    super(code, reason, { cause, fault });
    this.error = cause;
    this.message = messageOf(cause);
  }
}

/** The legacy subprotocol, which is refused. */
export const DEPRECATED_GRAPHQL_WS_PROTOCOL = 'graphql-ws';

/** Close codes of the protocol. */
export const CloseCode = {
  /** A hook of the server threw. */
  InternalServerError: Code.internal,
  /** A hook of the client threw. */
  InternalClientError: Code.clientError,
  /** The client sent what is no message of the protocol. */
  BadRequest: Code.badRequest,
  /** The server sent what is no message of the protocol. */
  BadResponse: Code.badResponse,
  /** `subscribe` before the acknowledgement. */
  Unauthorized: Code.unauthorized,
  /** The server refuses the credentials. */
  Forbidden: Code.forbidden,
  /** There is no subprotocol that both speak. */
  SubprotocolNotAcceptable: Code.subprotocolNotAcceptable,
  /** No `connection_init` came in time. */
  ConnectionInitialisationTimeout: Code.initTimeout,
  /** No `connection_ack` came in time. */
  ConnectionAcknowledgementTimeout: Code.ackTimeout,
  /** An operation has the id of one that runs. */
  SubscriberAlreadyExists: Code.duplicate,
  /** A second `connection_init`. */
  TooManyInitialisationRequests: Code.tooManyInits,
} as const;
/** One of them. */
export type CloseCode = (typeof CloseCode)[keyof typeof CloseCode];

/**
 * A message out of text, or out of what `JSON.parse` made of it. Throws an `Error` that says what is wrong.
 *
 * @example
 * parseMessage('{"type":"ping"}'); // { type: 'ping' }
 */
export function parseMessage(data: unknown, reviver?: JSONMessageReviver): ProtocolMessage {
  return typeof data === 'string' ? parseText(data, reviver) : validateMessage(data);
}

/**
 * A message as text. Throws an `Error` if it is not one of the protocol.
 *
 * @example
 * stringifyMessage({ id: '1', type: 'complete' }); // '{"id":"1","type":"complete"}'
 */
export const stringifyMessage = (message: ProtocolMessage, replacer?: JSONMessageReplacer): string =>
  JSON.stringify(validateMessage(message), replacer);
