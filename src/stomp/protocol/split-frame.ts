import { never } from '../../core/clock.ts';
import { type Wire, wireLength } from '../../core/wire.ts';

/**
 * A frame in pieces, for servers that take only small WebSocket messages (Spring: 64 KiB) and join what belongs
 * together ([STOMP-14]). Text is cut between characters, bytes anywhere.
 *
 * @example
 * for (const piece of split(encodeFrame('1.2', 'SEND', headers, body), 16_384)) connection.send(piece);
 */
export function splitFrame(wire: Wire, maxBytes: number): readonly Wire[] {
  if (maxBytes === never || wireLength(wire) <= maxBytes) return [wire];
  const { head, tail = '', binary } = wire;
  const pieces: Wire[] = [];
  // No character has more than 4 octets.
  const piece = new Uint8Array(Math.max(4, maxBytes));
  for (const part of [head, tail]) {
    for (let at = 0, end = 0; at < part.length; at = end) {
      // Only whole characters are written, and `read` tells how much of the text they are.
      end = at + (typeof part === 'string' ? new TextEncoder().encodeInto(part.slice(at), piece).read : piece.length);
      pieces.push({ head: part.slice(at, end), binary });
    }
  }
  return pieces;
}
