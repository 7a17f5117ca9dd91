import type { Socket } from 'node:net';
import type { Clock } from '../core/clock.ts';

/** What a frame between a hub and its processes holds. */
export const FrameKind = {
  /** JSON: everything that is not a message. */
  control: 1,
  /** Messages to be stored. */
  batch: 2,
  /** Their offsets. */
  stored: 3,
  /** One message. */
  message: 4,
  /** The answer to a question about the past. */
  history: 5,
} as const;

/** Frames that are longer than this many bytes are refused, and so are bodies that would make them. */
export const maxFrame = 67_108_864;
/** The length (4 bytes, of kind and payload) and the kind. */
const headBytes = 5;

/** `length(4) kind(1) payload`, big-endian. */
export function frame(kind: number, payload: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(headBytes + payload.length);
  bytes.writeUInt32BE(1 + payload.length, 0);
  bytes[4] = kind;
  bytes.set(payload, headBytes);
  return bytes;
}

/** A control frame. */
export const controlFrame = (value: object): Buffer => frame(FrameKind.control, Buffer.from(JSON.stringify(value)));

/** A message as it is stored and sent: `offset(8) length(2) topic envelope`. */
export function messageFrame(offset: number, topic: string, envelope: Uint8Array): Buffer {
  const topicBytes = Buffer.byteLength(topic);
  const bytes = Buffer.allocUnsafe(headBytes + 10 + topicBytes + envelope.length);
  bytes.writeUInt32BE(bytes.length - 4, 0);
  bytes[4] = FrameKind.message;
  bytes.writeDoubleBE(offset, headBytes);
  bytes.writeUInt16BE(topicBytes, headBytes + 8);
  bytes.write(topic, headBytes + 10);
  bytes.set(envelope, headBytes + 10 + topicBytes);
  return bytes;
}

/** The parts of the payload of a {@link messageFrame}. */
export function readMessage(payload: Buffer): { offset: number; topic: string; envelope: Buffer } {
  const end = 10 + payload.readUInt16BE(8);
  return { offset: payload.readDoubleBE(0), topic: payload.toString('utf8', 10, end), envelope: payload.subarray(end) };
}

/** Cuts frames out of a stream. */
export class FrameReader {
  /** The longest frame that is read, in bytes. */
  limit: number = maxFrame;
  readonly #received: (kind: number, payload: Buffer) => void;
  #parts: Buffer[] = [];
  #have = 0;
  #need = headBytes;

  /** `received` gets views that are good as long as the caller wants. */
  constructor(received: (kind: number, payload: Buffer) => void) {
    this.#received = received;
  }

  /** Throws an `Error` when a frame is too long, and whatever `received` throws. */
  push(chunk: Buffer): void {
    this.#parts.push(chunk);
    this.#have += chunk.length;
    if (this.#have < this.#need) return;
    const all = this.#parts.length === 1 ? chunk : Buffer.concat(this.#parts);
    let at = 0;
    this.#need = headBytes;
    while (all.length - at >= headBytes) {
      const length = all.readUInt32BE(at);
      if (length > this.limit || length === 0) throw new Error(`a frame of ${length} bytes`);
      if (all.length - at < 4 + length) {
        this.#need = 4 + length;
        break;
      }
      this.#received(all[at + 4] as number, all.subarray(at + headBytes, at + 4 + length));
      at += 4 + length;
    }
    this.#parts = at < all.length ? [all.subarray(at)] : [];
    this.#have = all.length - at;
  }
}

/** Puts the frames of one turn together: a process writes to its socket once per turn. */
export class FrameWriter {
  readonly #socket: Socket;
  readonly #clock: Pick<Clock, 'afterTurn'>;
  #frames: Buffer[] = [];
  #bytes = 0;

  constructor(socket: Socket, clock: Pick<Clock, 'afterTurn'>) {
    this.#socket = socket;
    this.#clock = clock;
  }

  /** Bytes that have not left yet. */
  get waiting(): number {
    return this.#bytes + this.#socket.writableLength;
  }

  /** Send a frame at the end of this turn. */
  send(bytes: Buffer): void {
    this.#bytes += bytes.length;
    if (this.#frames.push(bytes) === 1) this.#clock.afterTurn(this);
  }

  /** The turn is over. */
  turnEnded(): void {
    const [first, ...more] = this.#frames;
    this.#frames = [];
    const bytes = this.#bytes;
    this.#bytes = 0;
    if (!first || !this.#socket.writable) return;
    this.#socket.write(more.length === 0 ? first : Buffer.concat([first, ...more], bytes));
  }
}
