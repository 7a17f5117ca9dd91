import { encodeUtf8 } from '../core/wire.ts';

/** Asking for a small buffer costs more than filling it, so that small ones are cut from a larger one. */
const slabBytes = 8_192;
const largest = slabBytes / 4;
const encoder = /* @__PURE__ */ new TextEncoder();
let slab = /* @__PURE__ */ new Uint8Array(0);
let used = 0;

/** A zeroed buffer of its own range; whoever keeps a small one keeps up to 8 KiB alive. */
export function takeBytes(length: number): Uint8Array<ArrayBuffer> {
  if (length > largest) return new Uint8Array(length);
  if (slab.length - used < length) {
    slab = new Uint8Array(slabBytes);
    used = 0;
  }
  const start = used;
  used += length;
  return slab.subarray(start, used);
}

/** UTF-8 bytes of a string, as `encodeUtf8`, cut from the slab when it is short. */
export function takeUtf8(text: string): Uint8Array<ArrayBuffer> {
  // The most that UTF-8 needs is 3 bytes for each unit of UTF-16.
  const most = 3 * text.length;
  if (most > largest) return encodeUtf8(text);
  const room = takeBytes(most);
  const { written } = encoder.encodeInto(text, room);
  used -= most - written;
  return room.subarray(0, written);
}
