import { encodeUtf8 } from './wire.ts';

const encoder = /* @__PURE__ */ new TextEncoder();
const nothing = /* @__PURE__ */ new Uint8Array(0);

/**
 * Asking for a small buffer costs more than filling it, so that small ones are cut from a larger one, of `size` bytes.
 * Whoever keeps a small one keeps the larger one alive: more than a quarter of it is never cut.
 *
 * @example
 * const slab: Slab = { size: 65_536, used: 0 };
 * const bytes = takeUtf8(slab, 'hello');
 */
export interface Slab {
  /** Length of the larger buffer, in bytes. */
  readonly size: number;
  /** How many bytes of it are in use. */
  used: number;
  /** Absent until it is needed; another one once it is used up. */
  buffer?: Uint8Array<ArrayBuffer>;
}

/**
 * So many zeroed bytes that nobody else writes to; in a buffer of their own if they are many. Throws a `TypeError` if
 * `length` is no whole number from 0 up: the slab is shared, and NaN in it would spoil it for everybody.
 */
export function takeBytes(slab: Slab, length: number): Uint8Array<ArrayBuffer> {
  if (!(Number.isInteger(length) && length >= 0)) throw new TypeError(`a length must be a whole number; got ${length}`);
  if (length > slab.size / 4) return new Uint8Array(length);
  if (!slab.buffer || slab.used + length > slab.size) renew(slab);
  return cut(slab, length);
}

/** The UTF-8 bytes of a text, between a few others. */
export function takeUtf8(slab: Slab, text: string, before = nothing, after = nothing): Uint8Array<ArrayBuffer> {
  if (text.length <= slab.size / 4) {
    const piece = encodeIn(slab, text, before, after);
    if (piece) return piece;
    renew(slab);
    // At three bytes for each unit, it fits now.
    return encodeIn(slab, text, before, after) as typeof nothing;
  }
  const bytes = encodeUtf8(text);
  const own = new Uint8Array(before.length + bytes.length + after.length);
  own.set(before);
  own.set(bytes, before.length);
  own.set(after, before.length + bytes.length);
  return own;
}

function renew(slab: Slab): void {
  slab.buffer = new Uint8Array(slab.size);
  slab.used = 0;
}

function cut(slab: Slab, length: number): typeof nothing {
  const start = slab.used;
  slab.used += length;
  return (slab.buffer as typeof nothing).subarray(start, slab.used);
}

/** Undefined if there is no room for it: how many bytes a text has, only encoding tells. */
function encodeIn(slab: Slab, text: string, before: Uint8Array, after: Uint8Array): typeof nothing | undefined {
  const { buffer = nothing, used } = slab;
  const start = used + before.length;
  if (buffer.length < start + text.length + after.length) return undefined;
  const { read, written } = encoder.encodeInto(text, buffer.subarray(start));
  const end = start + written;
  if (read < text.length || buffer.length < end + after.length) return undefined;
  buffer.set(before, used);
  buffer.set(after, end);
  return cut(slab, end + after.length - used);
}

/** These bytes, or a copy where they are a small piece of a large buffer. Not `slice`: Node's own bytes copy nothing there. */
export const ownedBytes = (bytes: Uint8Array): Uint8Array =>
  bytes.buffer.byteLength > 2 * bytes.length + 1_024 ? new Uint8Array(bytes) : bytes;

const copies = /* @__PURE__ */ new WeakMap<Uint8Array, Uint8Array>();

/** The same for bytes that many may keep: one copy for all of them. */
export function sharedBytes(bytes: Uint8Array): Uint8Array {
  const known = copies.get(bytes);
  if (known) return known;
  const own = ownedBytes(bytes);
  if (own !== bytes) copies.set(bytes, own);
  return own;
}
