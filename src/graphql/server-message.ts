import { ProtocolError } from '../core/fault.ts';
import { decodeUtf8 } from '../core/wire.ts';
import type { JSONMessageReviver, Message } from './codec.ts';

/** What a server may say. */
export type ServerMessage = Exclude<Message, { readonly type: 'subscribe' | 'connection_init' }>;

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function isServerMessage(value: unknown): value is ServerMessage {
  if (!isObject(value)) return false;
  const { type, id, payload } = value;
  if (type === 'connection_ack' || type === 'ping' || type === 'pong') return payload == null || isObject(payload);
  if (typeof id !== 'string' || !id) return false;
  if (type === 'error') {
    return Array.isArray(payload) && payload.length > 0 && payload.every((each) => isObject(each) && 'message' in each);
  }
  return type === 'next' ? isObject(payload) : type === 'complete';
}

/**
 * Read what came from a server: the rules of `parseMessage`, in the few bytes that a browser has for them.
 *
 * Throws a {@link ProtocolError} (fault `malformed`) if it is not JSON, or no message that a server may send.
 */
export function readServerMessage(data: string | Uint8Array, reviver?: JSONMessageReviver): ServerMessage {
  let message: unknown;
  try {
    message = JSON.parse(typeof data === 'string' ? data : decodeUtf8(data), reviver);
  } catch (cause) {
    throw new ProtocolError('malformed', 'A message must be JSON', { cause });
  }
  if (isServerMessage(message)) return message;
  throw new ProtocolError('malformed', `Unexpected message: ${JSON.stringify(message)}`);
}
