import { assertOption, isRecord } from '../../core/options.ts';
import { isBytes } from '../../core/wire.ts';

/** A header value to send: numbers and booleans are written as text, `undefined` leaves the header out. */
export type SendHeaderValue = string | number | boolean | undefined;

/** Headers to send: a plain object, or entries such as those of a `Map`. */
export type SendHeaders = Iterable<readonly [string, SendHeaderValue]> | Readonly<Record<string, SendHeaderValue>>;

/** A body to send: text as it is, or bytes. */
export type SendBody = string | ArrayBufferView | ArrayBuffer;

/** What somebody handed over, in words for an error. */
function nameOf(value: unknown): string {
  if (Number.isNaN(value)) return 'NaN';
  if (Object(value) !== value) return typeof value === 'string' || value == null ? String(value) : `a ${typeof value}`;
  const { name } = (value as object).constructor ?? Object;
  return name === 'Object' ? 'an object' : `${/^[AEIO]/.test(name) ? 'an' : 'a'} ${name}`;
}

/**
 * Headers of the application as entries of text: numbers and booleans are written as text, `undefined` leaves a header
 * out. Throws a `TypeError` that names the header, whatever the version: nothing was stored or written by then
 * ([STOMP-118]).
 *
 * @example
 * headersOf({ 'prefetch-count': 1, durable: false, selector: undefined }); // [['prefetch-count', '1'], ['durable', 'false']]
 */
export function headersOf(given: SendHeaders): (readonly [string, string])[] {
  const isEntries = Object(given) === given && typeof given !== 'function' && Symbol.iterator in given;
  if (!isEntries && !isRecord(given)) {
    throw new TypeError(`headers must be an object such as { priority: 9 }; got ${nameOf(given)}`);
  }
  const entries = isEntries ? (given as Iterable<readonly [string, SendHeaderValue]>) : Object.entries(given);
  const headers: (readonly [string, string])[] = [];
  for (const [name, value] of entries) {
    if (value === undefined) continue;
    const text = typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
    if (!text || Number.isNaN(value))
      throw new TypeError(`header "${name}" must be text, a number or a boolean; got ${nameOf(value)}`);
    if (!name || `${name}${value}`.includes('\0')) throw new TypeError(`header "${name}" needs a name, and has no NUL`);
    headers.push([name, String(value)]);
  }
  return headers;
}

/**
 * A body of the application as text or bytes; other views of bytes and buffers are taken as their bytes. Throws a
 * `TypeError` that says what came and what to do ([STOMP-118]).
 */
export function bodyOf(given: SendBody | undefined): string | Uint8Array | undefined {
  if (given === undefined || typeof given === 'string') return given;
  // A copy: what waits for a connection must not change with the buffer that the caller goes on to use.
  if (isBytes(given)) return new Uint8Array(given);
  try {
    if (ArrayBuffer.isView(given) && !(given instanceof Uint8Array))
      return new Uint8Array(given.buffer, given.byteOffset, given.byteLength).slice();
    // Of another realm, such as that of a test or a frame, it is no instance of ours.
    if (/^\[object (Shared)?ArrayBuffer\]$/.test(Object.prototype.toString.call(given)))
      return new Uint8Array(given as ArrayBuffer).slice();
  } catch (cause) {
    throw new TypeError('body: its memory was transferred away: send a copy', { cause });
  }
  const isBlob = typeof Blob === 'function' && (given as unknown) instanceof Blob;
  let advice = Object(given) === given ? 'JSON.stringify it' : 'make it text';
  if (isBlob) advice = 'await its arrayBuffer()';
  else if (ArrayBuffer.isView(given)) advice = 'its memory can shrink or was transferred away; send a copy';
  throw new TypeError(`body must be text or bytes; got ${nameOf(given)}: ${advice}`);
}

/** Throws a `TypeError` if it is no destination. */
export function checkDestination(destination: unknown): void {
  const valid = destination && typeof destination === 'string';
  assertOption(valid, 'destination', 'a string such as "/topic/prices"', destination);
}
