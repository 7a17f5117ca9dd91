import { decodeUtf8, encodeUtf8, type Wire, wireLength } from '../core/wire.ts';

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
  for (const part of [typeof head === 'string' ? encodeUtf8(head) : head, tail ?? new Uint8Array()]) {
    for (let at = 0, end = 0; at < part.length; at = end) {
      // No character has more than 4 octets.
      end = at + Math.max(4, maxBytes);
      // An octet like this goes on with a character.
      while (!binary && ((part[end] as number) & 0xc0) === 0x80) end--;
      const piece = part.subarray(at, end);
      pieces.push({ head: binary ? piece : decodeUtf8(piece), binary });
    }
  }
  return pieces;
}
