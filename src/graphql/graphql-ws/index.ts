/**
 * The names of the `graphql-ws` package, for moving to subwire by changing an import.
 *
 * @module
 */
import { createClient as createOwnClient } from '../client/client.ts';
import type { Client, ClientEvents, ClientOptions as OwnClientOptions } from '../client/client-types.ts';
import { ConnectionClosed } from '../client/connection-closed.ts';
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
export type { Context } from '../server/options.ts';
export {
  handleProtocols,
  makeServer,
  type Server,
  type ServerOptions,
  useServer,
  type WebSocket,
  type WsExtra as Extra,
} from './make-server.ts';

export type Event = keyof ClientEvents;

/** A listener of a client, for code that makes of events what it knows them to be: `(event as CloseEvent).code`. */
export type EventListener<Name extends Event> = (...details: LooseDetails<Parameters<ClientEvents[Name]>>) => void;
/** Over a type parameter, so that a tuple stays one. */
type LooseDetails<Details extends readonly unknown[]> = { [Index in keyof Details]: Loose<Details[Index]> };
type Loose<Detail> = Detail extends ConnectionClosed | { readonly readyState: number } ? unknown : Detail;

export type ClientOptions<Params extends Record<string, unknown> | undefined = Record<string, unknown> | undefined> =
  Omit<OwnClientOptions, 'on' | 'connectionParams'> & {
    readonly connectionParams?: Params | (() => Promise<Params> | Params) | undefined;
    readonly on?: { readonly [Name in Event]?: EventListener<Name> | undefined } | undefined;
  };

/** The client of `subwire/graphql/client`. */
export const createClient: <Params extends Record<string, unknown> | undefined = Record<string, unknown> | undefined>(
  options: ClientOptions<Params>,
) => Client = createOwnClient;

/** What `closed` listeners get after `terminate()`, to be told from others by `instanceof`. */
export class TerminatedCloseEvent extends ConnectionClosed {
  static override [Symbol.hasInstance](value: unknown): boolean {
    return value instanceof ConnectionClosed && value.code === 4499;
  }

  constructor() {
    super(4499, 'Terminated');
  }
}

/** The legacy subprotocol, which is refused. */
export const DEPRECATED_GRAPHQL_WS_PROTOCOL = 'graphql-ws';

/** Close codes of the protocol. */
export const CloseCode = {
  InternalServerError: 4500,
  InternalClientError: 4005,
  BadRequest: 4400,
  BadResponse: 4004,
  Unauthorized: 4401,
  Forbidden: 4403,
  SubprotocolNotAcceptable: 4406,
  ConnectionInitialisationTimeout: 4408,
  ConnectionAcknowledgementTimeout: 4504,
  SubscriberAlreadyExists: 4409,
  TooManyInitialisationRequests: 4429,
} as const;
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
