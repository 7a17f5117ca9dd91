import { ProtocolError } from '../../core/fault.ts';
import { decodeUtf8, decodeUtf8Lossy } from '../../core/wire.ts';

/** The token of `Sec-WebSocket-Protocol` that this folder speaks. */
export const GRAPHQL_TRANSPORT_WS_PROTOCOL = 'graphql-transport-ws';

/** The types of messages, by the names that graphql-ws gives them. */
export const MessageType = {
  /** From the client: its first message. */
  ConnectionInit: 'connection_init',
  /** From the server: the client was let in. */
  ConnectionAck: 'connection_ack',
  /** From either side. */
  Ping: 'ping',
  /** The answer to a ping, or a sign of life. */
  Pong: 'pong',
  /** From the client: execute this. */
  Subscribe: 'subscribe',
  /** From the server: one result. */
  Next: 'next',
  /** From the server: the operation ended with errors. */
  Error: 'error',
  /** From either side: the operation is over. */
  Complete: 'complete',
} as const;
/** One of the types of messages. */
export type MessageType = (typeof MessageType)[keyof typeof MessageType];

type Properties = Readonly<Record<string, unknown>>;

/** A GraphQL error as it goes over the wire. */
export interface FormattedError {
  /** What went wrong, for people. */
  readonly message: string;
  /** Where in the document, from 1. */
  readonly locations?: readonly { readonly line: number; readonly column: number }[];
  /** Where in the result. */
  readonly path?: readonly (string | number)[];
  /** What goes beyond the specification, such as a code for programs. */
  readonly extensions?: Properties;
}

/** A GraphQL result as it goes over the wire; `hasNext` and `incremental` come with `@defer` and `@stream`. */
export interface FormattedExecutionResult<Data = Record<string, unknown>, Extensions = Record<string, unknown>> {
  /** `null`: an error took all of it. */
  readonly data?: Data | null;
  /** Absent: there are none. */
  readonly errors?: readonly FormattedError[];
  /** What goes beyond the specification. */
  readonly extensions?: Extensions;
  /** More parts of this result follow. */
  readonly hasNext?: boolean;
}

/** What a client wants to be executed. */
export interface SubscribePayload {
  /** The document, as text. */
  readonly query: string;
  /** Which operation of the document; not needed if it has one. */
  readonly operationName?: string | null | undefined;
  /** Values of the operation's variables. */
  readonly variables?: Properties | null | undefined;
  /** What goes beyond the specification, such as the hash of a persisted document. */
  readonly extensions?: Properties | null | undefined;
}

interface ControlMessage<Type extends MessageType> {
  readonly type: Type;
  readonly payload?: Properties | null | undefined;
}
/** The client shows who it is. */
export type ConnectionInitMessage = ControlMessage<'connection_init'>;
/** The server lets it in. */
export type ConnectionAckMessage = ControlMessage<'connection_ack'>;
/** Is the other side there? */
export type PingMessage = ControlMessage<'ping'>;
/** It is. */
export type PongMessage = ControlMessage<'pong'>;
/** The client wants something executed. */
export interface SubscribeMessage {
  /** Its type. */
  readonly type: 'subscribe';
  /** Chosen by the client; free again once the operation is over. */
  readonly id: string;
  /** What is to be executed. */
  readonly payload: SubscribePayload;
}
/** A result of an operation. */
export interface NextMessage {
  /** Its type. */
  readonly type: 'next';
  /** Of which operation. */
  readonly id: string;
  /** The result. */
  readonly payload: FormattedExecutionResult;
}
/** An operation ended with errors. */
export interface ErrorMessage {
  /** Its type. */
  readonly type: 'error';
  /** Which operation. */
  readonly id: string;
  /** At least one. */
  readonly payload: readonly FormattedError[];
}
/** An operation is over, or not wanted any more. */
export interface CompleteMessage {
  /** Its type. */
  readonly type: 'complete';
  /** Which operation. */
  readonly id: string;
}
/** Any message of the protocol. */
export type ProtocolMessage =
  | ConnectionInitMessage
  | ConnectionAckMessage
  | PingMessage
  | PongMessage
  | SubscribeMessage
  | NextMessage
  | ErrorMessage
  | CompleteMessage;

/** The second argument of `JSON.parse`. */
export type JSONMessageReviver = (this: unknown, key: string, value: unknown) => unknown;
/** The second argument of `JSON.stringify`. */
export type JSONMessageReplacer = (this: unknown, key: string, value: unknown) => unknown;

/** An object that is neither null nor an array. */
export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const kind = (value: unknown): string => (value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value);

/** What a property has to be, in words that follow "must be". */
const shapes = {
  'an object': isObject,
  'a string': (value: unknown) => typeof value === 'string',
  'a non-empty string': (value: unknown) => typeof value === 'string' && value !== '',
  'an object or null': (value: unknown) => value == null || isObject(value),
  'a string or null': (value: unknown) => value == null || typeof value === 'string',
  'a non-empty array of GraphQL errors': (value: unknown) =>
    Array.isArray(value) && value.length > 0 && value.every((error) => isObject(error) && 'message' in error),
} as const satisfies Record<string, (value: unknown) => boolean>;

function expect(holder: Properties, name: string, shape: keyof typeof shapes, where: string): void {
  const value = holder[name];
  if (!shapes[shape](value)) {
    throw new ProtocolError(
      'malformed',
      `${where}: ${name} must be ${shape}, got ${value === '' ? '""' : kind(value)}`,
    );
  }
}

/**
 * Check that a value is a message of the protocol, of either direction; unknown further properties are let through.
 *
 * Throws a {@link ProtocolError} (fault `malformed`) that says what is wrong.
 *
 * @example
 * validateMessage({ id: '1', type: 'complete' });
 */
export function validateMessage(value: unknown): ProtocolMessage {
  if (!isObject(value)) throw new ProtocolError('malformed', `A message must be an object, got ${kind(value)}`);
  const { type } = value;
  switch (type) {
    case 'connection_init':
    case 'connection_ack':
    case 'ping':
    case 'pong':
      expect(value, 'payload', 'an object or null', type);
      break;
    case 'subscribe':
      expect(value, 'id', 'a non-empty string', type);
      expect(value, 'payload', 'an object', type);
      expectOperation(value['payload'] as Properties);
      break;
    case 'next':
      expect(value, 'id', 'a non-empty string', type);
      expect(value, 'payload', 'an object', type);
      break;
    case 'error':
      expect(value, 'id', 'a non-empty string', type);
      expect(value, 'payload', 'a non-empty array of GraphQL errors', type);
      break;
    case 'complete':
      expect(value, 'id', 'a non-empty string', type);
      break;
    default:
      throw new ProtocolError(
        'malformed',
        typeof type === 'string'
          ? `There is no message type "${type}"`
          : `A message's type must be a string, got ${kind(type)}`,
      );
  }
  return value as unknown as ProtocolMessage;
}

function expectOperation(payload: Properties): void {
  const where = 'subscribe payload';
  expect(payload, 'query', 'a string', where);
  expect(payload, 'operationName', 'a string or null', where);
  expect(payload, 'variables', 'an object or null', where);
  expect(payload, 'extensions', 'an object or null', where);
}

/**
 * Read a message. Binary frames are read as the UTF-8 text that they hold.
 *
 * Throws a {@link ProtocolError} (fault `malformed`) if it is not JSON, or not a message of the protocol.
 *
 * @example
 * parseMessage('{"type":"ping"}'); // { type: 'ping' }
 */
export function parseMessage(data: string | Uint8Array, reviver?: JSONMessageReviver): ProtocolMessage {
  let value: unknown;
  try {
    value = JSON.parse(typeof data === 'string' ? data : decodeUtf8(data), reviver);
  } catch (cause) {
    throw new ProtocolError('malformed', 'A message must be JSON', { cause });
  }
  return validateMessage(value);
}

/** The beginning of a `subscribe` as clients write it, with its id before the payload. */
const subscribeHead =
  /^\s*\{\s*(?:"type"\s*:\s*"subscribe"\s*,\s*)?"id"\s*:\s*("(?:[^"\\]|\\.)*")\s*,\s*(?:"type"\s*:\s*"subscribe"\s*,\s*)?"payload"/;
const headLength = 2_048;

/**
 * The id of a `subscribe` message that is too long to be parsed. Undefined: it is none, or its id does not stand at its
 * beginning.
 *
 * @example
 * idOfSubscribe('{"id":"7","type":"subscribe","payload":{…'); // '7'
 */
export function idOfSubscribe(data: string | Uint8Array): string | undefined {
  const head = typeof data === 'string' ? data.slice(0, headLength) : decodeUtf8Lossy(data.subarray(0, headLength));
  const found = subscribeHead.exec(head);
  if (!found?.[1] || !found[0].includes('"subscribe"')) return undefined;
  try {
    return JSON.parse(found[1]) as string;
  } catch {
    return undefined;
  }
}

/** JSON of a payload; a replacer that makes it vanish leaves `null`. */
export const encodePayload = (payload: unknown, replacer?: JSONMessageReplacer): string =>
  JSON.stringify(payload, replacer) ?? 'null';

/** `connection_init`, `connection_ack`, `ping` or `pong`. A replacer sees all of it; one that makes it vanish leaves the type. */
export function encodeControl(
  type: 'connection_init' | 'connection_ack' | 'ping' | 'pong',
  payload?: Properties | null,
  replacer?: JSONMessageReplacer,
): string {
  const bare = `{"type":"${type}"}`;
  if (replacer) return JSON.stringify({ type, payload: payload ?? undefined }, replacer) ?? bare;
  return payload == null ? bare : `{"type":"${type}","payload":${encodePayload(payload)}}`;
}

/**
 * The beginning of a `subscribe` or `error` message; JSON of the payload and `}` follow.
 *
 * @example
 * encodeHead('7', 'error'); // '{"id":"7","type":"error","payload":'
 */
export const encodeMessageHead = (id: string, type: 'subscribe' | 'error'): string =>
  `{"id":${JSON.stringify(id)},"type":"${type}","payload":`;

/**
 * The part of a `next` message that belongs to one operation; the rest is a tail that others may share. As short as can
 * be, since it is kept and written per subscriber.
 *
 * @example
 * encodeNextHead('7'); // '{"id":"7",'
 */
export const encodeNextHead = (id: string): string => `{"id":${JSON.stringify(id)},`;

/** A `complete` message. */
export const encodeComplete = (id: string): string => `{"id":${JSON.stringify(id)},"type":"complete"}`;
