import { connect, type Socket } from 'node:net';

/** Data frames of one socket, as they come: the payload is `bytes` from `start` to `end`, and only during the call. */
export type FrameListener = (bytes: Buffer, start: number, end: number) => void;

export interface LeanAddress {
  readonly port: number;
  readonly path: string;
  readonly protocol?: string | undefined;
}

/** One buffer for what all sockets read: it is looked at before the next one reads. */
const readBuffer = Buffer.allocUnsafeSlow(262_144);

/**
 * The smallest WebSocket client that can put a server under load: it finds the frames, checks nothing, answers pings,
 * and masks with zeros, so that its own work hides none of the server's.
 */
export class LeanSocket {
  onFrame: FrameListener = () => {};
  readonly #socket: Socket;
  #rest: Buffer | undefined;
  #upgraded = false;
  #closed = false;

  constructor(address: LeanAddress, opened: (error?: Error) => void) {
    const { port, path, protocol } = address;
    this.#socket = connect({
      port,
      host: '127.0.0.1',
      noDelay: true,
      onread: {
        buffer: readBuffer,
        callback: (bytes: number) => {
          this.#read(readBuffer.subarray(0, bytes), opened);
          return true;
        },
      },
    });
    this.#socket.on('error', opened);
    this.#socket.on('close', () => {
      if (this.#closed) return;
      opened(new Error('The server closed a connection'));
    });
    this.#socket.write(
      `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
        'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n' +
        `${protocol === undefined ? '' : `Sec-WebSocket-Protocol: ${protocol}\r\n`}\r\n`,
    );
  }

  send(text: string): void {
    this.#socket.write(maskedFrame(0x81, Buffer.from(text)));
  }

  close(): void {
    this.#closed = true;
    this.#socket.destroy();
  }

  #read(chunk: Buffer, opened: (error?: Error) => void): void {
    const bytes = this.#rest ? Buffer.concat([this.#rest, chunk]) : chunk;
    let at = 0;
    if (!this.#upgraded) {
      const end = bytes.indexOf('\r\n\r\n');
      if (end === -1) {
        this.#rest = Buffer.from(bytes);
        return;
      }
      const status = bytes.toString('latin1', 0, bytes.indexOf('\r\n'));
      if (!status.includes(' 101 ')) return opened(new Error(`The handshake failed: ${status}`));
      this.#upgraded = true;
      at = end + 4;
      opened();
    }
    at = this.#frames(bytes, at);
    this.#rest = at < bytes.length ? Buffer.from(bytes.subarray(at)) : undefined;
  }

  #frames(bytes: Buffer, from: number): number {
    let at = from;
    while (at + 2 <= bytes.length) {
      let size = (bytes[at + 1] as number) & 0x7f;
      let start = at + 2;
      if (size === 126) {
        start += 2;
        if (start > bytes.length) break;
        size = bytes.readUInt16BE(at + 2);
      } else if (size === 127) {
        start += 8;
        if (start > bytes.length) break;
        size = bytes.readUInt32BE(at + 2) * 2 ** 32 + bytes.readUInt32BE(at + 6);
      }
      const end = start + size;
      if (end > bytes.length) break;
      const opcode = (bytes[at] as number) & 0x0f;
      if (opcode <= 2) this.onFrame(bytes, start, end);
      else if (opcode === 9) this.#socket.write(maskedFrame(0x8a, bytes.subarray(start, end)));
      else if (opcode === 8) {
        throw new Error(`The server closed: ${bytes.readUInt16BE(start)} ${bytes.toString('utf8', start + 2, end)}`);
      }
      at = end;
    }
    return at;
  }
}

/** A frame of a client (RFC 6455 5.3) whose mask is four zeros: the payload stays as it is. */
function maskedFrame(first: number, payload: Uint8Array): Buffer {
  const { length } = payload;
  const header = length < 126 ? 2 : length < 65_536 ? 4 : 10;
  const frame = Buffer.alloc(header + 4 + length);
  frame[0] = first;
  frame[1] = 0x80 | (length < 126 ? length : header === 4 ? 126 : 127);
  if (header === 4) frame.writeUInt16BE(length, 2);
  if (header === 10) frame.writeBigUInt64BE(BigInt(length), 2);
  frame.set(payload, header + 4);
  return frame;
}
