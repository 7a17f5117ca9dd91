import { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { Wire } from '../core/wire.ts';

/** All small writes of the process pass through one buffer; whoever still holds it gets to keep it. */
const scratchBytes = 16_384;
let scratch = Buffer.allocUnsafeSlow(scratchBytes);
/** The part of it that was written last: a message mostly has the same length for each of its receivers. */
let written = scratch;

/** Tails longer than this are written where they are instead of being copied. */
const copyLimit = 12_288;

/** Strings up to this length are packed faster here than by a call into the runtime. */
const shortHead = 32;

/** A frame header has at most so many bytes where the length is at most 63 bits and nothing is masked. */
const maxHeaderBytes = 10;

/**
 * Write whole, unmasked data messages (RFC 6455 5.2, 5.6) to the raw socket of an upgraded connection: one frame each,
 * all of them in one write where that is cheaper. Only while the WebSocket above is OPEN and no extension was agreed.
 */
export function writeFrames(socket: Socket, wires: readonly Wire[]): void {
  let bytes = 0;
  for (const { head, tail } of wires) {
    const tailBytes = tail === undefined ? 0 : tail.length;
    if (tailBytes > copyLimit || head.length > copyLimit) return writePieces(socket, wires);
    // A string of n units has at most 3n bytes; exactness is not needed to know that everything fits.
    bytes += maxHeaderBytes + (typeof head === 'string' ? head.length * 3 : head.length) + tailBytes;
  }
  if (bytes <= scratchBytes && socket.writableLength === 0 && takesAtOnce(socket)) {
    const packed = pack(wires, scratch);
    if (written.length !== packed) written = scratch.subarray(0, packed);
    socket.write(written);
    // The system took all of it, or Node still refers to it: then the next write needs another buffer.
    if (socket.writableLength !== 0) written = scratch = Buffer.allocUnsafeSlow(scratchBytes);
    return;
  }
  let exact = 0;
  for (const wire of wires) exact += frameBytes(wire);
  // What has to wait must not keep a pool of Node's alive.
  const buffer = socket.writableLength === 0 ? Buffer.allocUnsafe(exact) : Buffer.allocUnsafeSlow(exact);
  pack(wires, buffer);
  socket.write(buffer);
}

/** TLS, and a stream of HTTP/2, keep what they are given for a while. */
const takesAtOnce = (socket: Socket): boolean => socket instanceof Socket && !(socket instanceof TLSSocket);

function writePieces(socket: Socket, wires: readonly Wire[]): void {
  socket.cork();
  for (const { head, tail, binary } of wires) {
    const headBytes = typeof head === 'string' ? Buffer.byteLength(head) : head.length;
    const header = Buffer.allocUnsafe(maxHeaderBytes);
    const end = packHeader(header, 0, headBytes + (tail?.length ?? 0), binary);
    socket.write(header.subarray(0, end));
    if (headBytes > 0) socket.write(head);
    if (tail !== undefined && tail.length > 0) socket.write(tail);
  }
  socket.uncork();
}

function frameBytes({ head, tail }: Wire): number {
  const length = (typeof head === 'string' ? Buffer.byteLength(head) : head.length) + (tail?.length ?? 0);
  return length + headerBytes(length);
}

function pack(wires: readonly Wire[], into: Buffer): number {
  let at = 0;
  for (const { head, tail, binary } of wires) {
    const tailBytes = tail === undefined ? 0 : tail.length;
    const start = at;
    // Most heads are short ASCII: written where they will stand if so, which is known at their end.
    const body = start + headerBytes(head.length + tailBytes);
    if (typeof head === 'string' && head.length <= shortHead && packAscii(head, into, body)) {
      packHeader(into, start, head.length + tailBytes, binary);
      at = body + head.length;
    } else {
      const headBytes = typeof head === 'string' ? Buffer.byteLength(head) : head.length;
      at = packHeader(into, start, headBytes + tailBytes, binary);
      if (typeof head !== 'string') into.set(head, at);
      else into.write(head, at, headBytes, headBytes === head.length ? 'latin1' : 'utf8');
      at += headBytes;
    }
    if (tail !== undefined) {
      into.set(tail, at);
      at += tailBytes;
    }
  }
  return at;
}

/** False if it is not ASCII: then what was written is none of it. */
function packAscii(text: string, into: Buffer, at: number): boolean {
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    if (unit > 0x7f) return false;
    into[at + index] = unit;
  }
  return true;
}

const headerBytes = (length: number): number => (length < 126 ? 2 : length < 65_536 ? 4 : 10);

function packHeader(into: Buffer, at: number, length: number, binary: boolean): number {
  into[at] = binary ? 0x82 : 0x81;
  if (length < 126) {
    into[at + 1] = length;
    return at + 2;
  }
  if (length < 65_536) {
    into[at + 1] = 126;
    into[at + 2] = length >>> 8;
    into[at + 3] = length & 0xff;
    return at + 4;
  }
  into[at + 1] = 127;
  into.writeUInt32BE(Math.floor(length / 2 ** 32), at + 2);
  into.writeUInt32BE(length >>> 0, at + 6);
  return at + 10;
}
