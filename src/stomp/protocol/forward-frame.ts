import { takeBytes } from '../../core/slab.ts';
import type { Wire } from '../../core/wire.ts';
import { encodeFrameHead, isUtf8 } from './encoder.ts';
import type { Frame } from './frame.ts';
import { carries } from './headers.ts';
import { slab } from './slab.ts';
import type { Version } from './versions.ts';

const nothing = new Uint8Array(0);

/** Header entries, in order. */
export type Entries = Iterable<readonly [string, string]>;

/** The headers that a frame of this version {@link carries}: the others are left out ([STOMP-20] [STOMP-21]). */
export const expressibleHeaders = (version: Version | 'raw', headers: Entries): (readonly [string, string])[] =>
  [...headers].filter(([name, value]) => carries(version, name, value));

/**
 * The wire of a frame that goes on to another peer, re-encoded for that peer's version. It says how long its body is
 * only if it said so when it came: brokers take that for the difference between bytes and text. The body is copied,
 * to put a NUL behind it.
 */
export function forwardFrame(version: Version, headers: Entries, frame: Frame): Wire {
  const { command } = frame;
  // [STOMP-9] 1.0 lets other frames have one that nobody looks at.
  const body = command === 'SEND' || command === 'MESSAGE' ? frame.body : nothing;
  const head = encodeFrameHead(version, command, expressibleHeaders(version, headers));
  const length = frame.headers.has('content-length') ? `content-length:${body.length}\n` : '';
  if (body.length === 0) return { head: `${head}${length}\n\0`, binary: false };
  const tail = takeBytes(slab, body.length + 1);
  tail.set(body);
  return { head: `${head}${length}\n`, tail, binary: !isUtf8(body) };
}
