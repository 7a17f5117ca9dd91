import { encodeUtf8, type Wire, wireLength } from '../core/wire.ts';

/**
 * A frame in pieces, for servers that take only small WebSocket messages (Spring: 64 KiB) and join what belongs
 * together ([STOMP-14]). Text is cut between characters and stays text; anything else is cut between octets.
 *
 * @example
 * for (const piece of split(encodeFrame('1.2', 'SEND', headers, body), 16_384)) connection.send(piece);
 */
export function split(wire: Wire, maxBytes: number): readonly Wire[] {
  if (wireLength(wire) <= maxBytes) return [wire];
  const { head, tail, binary } = wire;
  const pieces: Wire[] = [];
  if (typeof head === 'string' && tail === undefined && !binary) {
    const encoder = new TextEncoder();
    // No character has more than 4 bytes.
    const room = new Uint8Array(Math.max(4, maxBytes));
    for (let at = 0; at < head.length; ) {
      // A unit has at least one byte: what lies behind so many does not fit.
      const end = at + encoder.encodeInto(head.slice(at, at + room.length), room).read;
      pieces.push({ head: head.slice(at, end), binary });
      at = end;
    }
    return pieces;
  }
  for (const part of [typeof head === 'string' ? encodeUtf8(head) : head, tail]) {
    for (let at = 0; part !== undefined && at < part.length; at += maxBytes) {
      pieces.push({ head: part.subarray(at, at + maxBytes), binary: true });
    }
  }
  return pieces;
}
