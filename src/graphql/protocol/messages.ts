import { ProtocolError } from '../../core/fault.ts';
import { decodeUtf8, decodeUtf8Lossy } from '../../core/wire.ts';

/** The token of `Sec-WebSocket-Protocol` that this folder speaks. */
export const GRAPHQL_TRANSPORT_WS_PROTOCOL = 'graphql-transport-ws';

/** The types of messages, by the names that graphql-ws gives them. */
export const MessageType = {
  ConnectionInit: 'connection_init',
  ConnectionAck: 'connection_ack',
  Ping: 'ping',
  Pong: 'pong',
  Subscribe: 'subscribe',
  Next: 'next',
  Error: 'error',
  Complete: 'complete',
} as const;
export type MessageType = (typeof MessageType)[keyof typeof MessageType];

type Properties = Readonly<Record<string, unknown>>;

/** A GraphQL error as it goes over the wire. */
export interface FormattedError {
  readonly message: string;
  readonly locations?: readonly { readonly line: number; readonly column: number }[];
  readonly path?: readonly (string | number)[];
  readonly extensions?: Properties;
}

/** A GraphQL result as it goes over the wire; `hasNext` and `incremental` come with `@defer` and `@stream`. */
export interface FormattedExecutionResult<Data = Record<string, unknown>, Extensions = Record<string, unknown>> {
  readonly data?: Data | null;
  readonly errors?: readonly FormattedError[];
  readonly extensions?: Extensions;
  readonly hasNext?: boolean;
}

/** What a client wants to be executed. */
export interface SubscribePayload {
  readonly query: string;
  readonly operationName?: string | null | undefined;
  readonly variables?: Properties | null | undefined;
  readonly extensions?: Properties | null | undefined;
}

interface ControlMessage<Type extends MessageType> {
  readonly type: Type;
  readonly payload?: Properties | null | undefined;
}
export type ConnectionInitMessage = ControlMessage<'connection_init'>;
export type ConnectionAckMessage = ControlMessage<'connection_ack'>;
export type PingMessage = ControlMessage<'ping'>;
export type PongMessage = ControlMessage<'pong'>;
export interface SubscribeMessage {
  readonly type: 'subscribe';
  readonly id: string;
  readonly payload: SubscribePayload;
}
export interface NextMessage {
  readonly type: 'next';
  readonly id: string;
  readonly payload: FormattedExecutionResult;
}
export interface ErrorMessage {
  readonly type: 'error';
  readonly id: string;
  readonly payload: readonly FormattedError[];
}
export interface CompleteMessage {
  readonly type: 'complete';
  readonly id: string;
}
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

/** `connection_init`, `connection_ack`, `ping` or `pong`. */
export const encodeControl = (
  type: 'connection_init' | 'connection_ack' | 'ping' | 'pong',
  payload?: Properties | null,
  replacer?: JSONMessageReplacer,
): string =>
  payload == null ? `{"type":"${type}"}` : `{"type":"${type}","payload":${encodePayload(payload, replacer)}}`;

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
