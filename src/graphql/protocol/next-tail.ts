import { type Slab, takeUtf8 } from '../../core/slab.ts';
import { encodeUtf8 } from '../../core/wire.ts';

/**
 * Tails are many, and all of a turn wait for its end. As texts they would be moved by each garbage collection until then,
 * in as many pieces as a compiled serialiser made of them; as arrays of their own they would be dear to make.
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
