import { ProtocolError } from '../../core/fault.ts';
import { decodeUtf8 } from '../../core/wire.ts';
import type { JSONMessageReviver, ProtocolMessage } from '../protocol/messages.ts';

/** What a server may say. */
export type ServerMessage = Exclude<ProtocolMessage, { readonly type: 'subscribe' | 'connection_init' }>;

// Of what JSON can hold.
const isObject = (value: unknown): boolean => Object(value) === value && !Array.isArray(value);
const isErrors = (value: unknown): boolean =>
  Array.isArray(value) && value.length > 0 && value.every((each) => each?.message !== undefined);

function isServerMessage(message: unknown): message is ServerMessage {
  const { type, id, payload } = Object(message) as Record<string, unknown>;
  if (type === 'connection_ack' || type === 'ping' || type === 'pong') return isObject(payload ?? {});
  if (typeof id !== 'string' || !id) return false;
  return type === 'next' ? isObject(payload) : type === 'error' ? isErrors(payload) : type === 'complete';
}

const unreadable = 'not UTF-8';

/**
 * Read what came from a server: the rules of `parseMessage`, in the few bytes that a browser has for them.
 *
 * Throws a {@link ProtocolError} (fault `malformed`) if it is not JSON, or no message that a server may send.
 */
export function readServerMessage(data: string | Uint8Array, reviver?: JSONMessageReviver): ServerMessage {
  let cause: unknown;
  let text = unreadable;
  try {
    text = typeof data === 'string' ? data : decodeUtf8(data);
    const message: unknown = JSON.parse(text, reviver);
    if (isServerMessage(message)) return message;
  } catch (error) {
    // What a reviver throws says more than we can.
    if (!(error instanceof SyntaxError) && text !== unreadable) cause = error;
  }
  throw new ProtocolError('malformed', `Unexpected message: ${text.slice(0, 100)}`, { cause });
}
