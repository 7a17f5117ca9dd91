import { encodeUtf8 } from '../core/wire.ts';

/**
 * Tails are many, and all of a turn wait for its end. As texts they would be moved by each garbage collection until then,
 * in as many pieces as a compiled serialiser made of them; as arrays of their own they would be dear to make.
 */
const slabBytes = 65_536;

/** A longer one would keep a whole slab alive for as long as a socket takes to send it. */
const longest = slabBytes / 4;

const encoder = /* @__PURE__ */ new TextEncoder();
let slab: Uint8Array = /* @__PURE__ */ new Uint8Array(0);
let used = 0;

const beginning = '"type":"next","payload":';
const end = '}';
const beginningBytes = /* @__PURE__ */ encodeUtf8(beginning);

/**
 * The part of a `next` message that all receivers of a result share, as bytes: what follows the id, with this JSON as
 * its payload.
 *
 * @example
 * encodeTail('{"data":{}}'); // the bytes of '"type":"next","payload":{"data":{}}}'
 */
export function encodeTail(payload: string): Uint8Array {
  if (payload.length > longest) return encodeUtf8(`${beginning}${payload}${end}`);
  const tail = encodeInSlab(payload);
  if (tail) return tail;
  // A fresh one: who still holds a tail of the old one may keep it.
  slab = new Uint8Array(slabBytes);
  used = 0;
  return encodeInSlab(payload) as Uint8Array;
}

/** Undefined if there is no room for it. */
function encodeInSlab(payload: string): Uint8Array | undefined {
  const start = used;
  const payloadStart = start + beginningBytes.length;
  // A unit of text is one byte at least: how many there are in all, only encoding tells.
  if (slab.length - payloadStart <= payload.length) return undefined;
  const { read, written } = encoder.encodeInto(payload, slab.subarray(payloadStart));
  const payloadEnd = payloadStart + written;
  if (read < payload.length || payloadEnd === slab.length) return undefined;
  slab.set(beginningBytes, start);
  slab[payloadEnd] = end.charCodeAt(0);
  used = payloadEnd + 1;
  return slab.subarray(start, used);
}
