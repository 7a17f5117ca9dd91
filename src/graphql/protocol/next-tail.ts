import { type Slab, takeUtf8 } from '../../core/slab.ts';
import { encodeUtf8 } from '../../core/wire.ts';

/**
 * Encoded results wait in the send queue until the turn ends. As strings every minor collection would copy them; one
 * Uint8Array each is slow to allocate. So they are cut from a shared buffer of 64 KiB.
 */
const slab: Slab = { size: 65_536, used: 0 };
const beginning = /* @__PURE__ */ encodeUtf8('"type":"next","payload":');
const end = /* @__PURE__ */ encodeUtf8('}');

/**
 * The part of a `next` message that all receivers of a result share, as bytes: what follows the id, with this JSON as
 * its payload.
 *
 * @example
 * encodeTail('{"data":{}}'); // the bytes of '"type":"next","payload":{"data":{}}}'
 */
export const encodeNextTail = (payload: string): Uint8Array => takeUtf8(slab, payload, beginning, end);

/** The same for those who asked where the result stands, as an offset in the epoch that they were told ([GQL-110]). */
export const encodePlacedTail = (payload: string, at: number): Uint8Array =>
  takeUtf8(slab, payload, beginning, encodeUtf8(`,"at":${at}}`));

/** The JSON that a tail was made of, as it lies in its bytes. */
export const payloadOfTail = (tail: Uint8Array): Uint8Array =>
  tail.subarray(beginning.length, tail.length - end.length);
