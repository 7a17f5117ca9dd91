import { isRecord } from '../../core/options.ts';
import { bytesOf, isBytes } from '../../core/wire.ts';
import type { Frame } from '../protocol/frame.ts';
import { ownHeaders } from '../protocol/headers.ts';

/** A message of the application that was checked. */
export interface CheckedMessage {
  /** The body in bytes. */
  readonly body: Uint8Array;
  /** Its MIME type; undefined: bytes of unknown kind. */
  readonly contentType: string | undefined;
  /** Its headers, as text. */
  readonly headers: Map<string, string>;
}

/** A header value of the application. Numbers and booleans are sent as text; `undefined` leaves the header out. */
export type HeaderValue = string | number | bigint | boolean | undefined;

/**
 * A message that the application hands over, in whatever form plain JavaScript lets it take. Text without a content type
 * is `text/plain`. `where` names the caller in errors, such as `send("/topic/a")`.
 *
 * Throws a `TypeError` that names the part which is wrong: nothing was stored, counted or written by then ([STOMP-81]).
 *
 * @example
 * checkedMessage('send("/topic/a")', { body: 'hello', headers: { attempts: 1 } });
 */
export function checkedMessage(where: string, given: unknown): CheckedMessage {
  if (typeof given !== 'object' || given === null || Array.isArray(given) || given instanceof Error) {
    throw new TypeError(`${where} must be an object such as { body: 'text' }; got ${nameOf(given)}`);
  }
  const { body, contentType, headers } = given as Record<string, unknown>;
  if (typeof body !== 'string' && !isBytes(body)) {
    throw new TypeError(`${where}: body must be text or a Uint8Array; got ${nameOf(body)}${adviceFor(body)}`);
  }
  if (contentType !== undefined && (typeof contentType !== 'string' || contentType.includes('\0'))) {
    throw new TypeError(`${where}: contentType must be text without NUL; got ${nameOf(contentType)}`);
  }
  return {
    body: bytesOf(body),
    contentType: contentType ?? (typeof body === 'string' ? 'text/plain;charset=utf-8' : undefined),
    headers: checkedHeaders(where, headers),
  };
}

/**
 * Headers of the application as a map of text. Throws a `TypeError` that names the header if a value is no text, number
 * or boolean, or if no version of STOMP can carry it ([STOMP-79] [STOMP-81]).
 */
export function checkedHeaders(where: string, given: unknown): Map<string, string> {
  const headers = new Map<string, string>();
  if (given === undefined) return headers;
  if (!(given instanceof Map) && !isRecord(given)) {
    throw new TypeError(`${where}: headers must be an object such as { priority: 'high' }; got ${nameOf(given)}`);
  }
  for (const [name, value] of given instanceof Map ? given : Object.entries(given)) {
    if (value === undefined) continue;
    const isValue = ['string', 'number', 'bigint', 'boolean'].includes(typeof value) && !Number.isNaN(value);
    if (!isValue) throw new TypeError(`${where}: header "${String(name)}" must be text; got ${nameOf(value)}`);
    if (typeof name !== 'string' || name === '' || name.includes('\0') || String(value).includes('\0')) {
      throw new TypeError(`${where}: header ${JSON.stringify(String(name))} needs a name and must not contain NUL`);
    }
    headers.set(name, String(value));
  }
  return headers;
}

/**
 * A SEND as the hook `rewrite` wants it ([STOMP-98]). Throws a `TypeError` that names what is wrong with the answer;
 * headers that belong to the protocol cannot be changed.
 */
export function rewrittenFrame(where: string, frame: Frame, given: unknown): Frame {
  if (typeof given !== 'object' || given === null || Array.isArray(given) || given instanceof Error) {
    throw new TypeError(`${where} must be an object such as { headers: { from: 'ann' } }; got ${nameOf(given)}`);
  }
  const { body = frame.body, contentType, headers: changes } = given as Record<string, unknown>;
  const all = new Map(frame.headers);
  const checked = checkedMessage(where, { body, contentType, headers: changes });
  for (const name of changes instanceof Map ? changes.keys() : Object.keys(changes ?? {})) {
    if (ownHeaders.send.has(name)) throw new TypeError(`${where}: header "${name}" belongs to the protocol`);
    const value = checked.headers.get(name);
    if (value === undefined) all.delete(name);
    else all.set(name, value);
  }
  if (contentType !== undefined) all.set('content-type', contentType as string);
  if (all.has('content-length')) all.set('content-length', String(checked.body.length));
  return { command: frame.command, headers: all, body: checked.body, text: '' };
}

/** What a value is, in words. */
export function nameOf(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (typeof value !== 'object') return Number.isNaN(value) ? 'NaN' : `a ${typeof value}`;
  if (Array.isArray(value)) return 'an array';
  const name = typeof value.constructor === 'function' ? value.constructor.name : '';
  return name === '' || name === 'Object' ? 'an object' : `a value of class ${name}`;
}

function adviceFor(body: unknown): string {
  if (body instanceof ArrayBuffer || ArrayBuffer.isView(body)) return ': wrap it, as in new Uint8Array(buffer)';
  return typeof body === 'object' && body !== null ? ': JSON.stringify it' : '';
}
