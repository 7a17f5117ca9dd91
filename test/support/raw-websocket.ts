import { randomBytes } from 'node:crypto';
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

/** Opcodes of RFC 6455 5.2. */
export const Opcode = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

export interface RawOptions {
  readonly port: number;
  readonly host?: string | undefined;
  /** Default: /ws */
  readonly path?: string | undefined;
  /** Tokens of Sec-WebSocket-Protocol. */
  readonly protocols?: readonly string[] | undefined;
  /** Added to the handshake, or in place of its own headers; undefined leaves one out. Names in lower case. */
  readonly headers?: Readonly<Record<string, string | undefined>> | undefined;
  readonly method?: string | undefined;
  /** Over TLS, whoever the server says it is. */
  readonly tls?: boolean | undefined;
  /** One that connects already, in place of one of its own. */
  readonly socket?: Socket | undefined;
}

export interface RawFrame {
  readonly opcode: number;
  readonly fin: boolean;
  readonly rsv: number;
  readonly payload: Buffer;
  readonly text: string;
}

export interface FrameToSend {
  readonly opcode: number;
  readonly payload?: string | Uint8Array | undefined;
  readonly fin?: boolean | undefined;
  /** Three bits: 4 is RSV1. */
  readonly rsv?: number | undefined;
  readonly masked?: boolean | undefined;
  /** What the length field says, if not the truth. */
  readonly length?: number | undefined;
}

const patience = 10_000;

/** The octets of a frame, as wrong as you like (RFC 6455 5.2). */
export function frameBytes(frame: FrameToSend): Buffer {
  const { opcode, fin = true, rsv = 0, masked = true } = frame;
  const payload = Buffer.from(frame.payload ?? '');
  const length = frame.length ?? payload.length;
  const head = Buffer.alloc(length < 126 ? 2 : length < 65_536 ? 4 : 10);
  head[0] = (fin ? 0x80 : 0) | (rsv << 4) | opcode;
  head[1] = (masked ? 0x80 : 0) | (length < 126 ? length : length < 65_536 ? 126 : 127);
  if (head.length === 4) head.writeUInt16BE(length, 2);
  if (head.length === 10) head.writeBigUInt64BE(BigInt(length), 2);
  if (!masked) return Buffer.concat([head, payload]);
  const mask = randomBytes(4);
  return Buffer.concat([head, mask, payload.map((byte, index) => byte ^ (mask[index % 4] as number))]);
}

/** The payload of a close frame. */
export function closePayload(code: number, reason = ''): Buffer {
  const payload = Buffer.alloc(2);
  payload.writeUInt16BE(code);
  return Buffer.concat([payload, Buffer.from(reason)]);
}

/** A WebSocket client that obeys no rule by itself: it answers no ping, checks nothing, and sends what it is told. */
export class RawWebSocket {
  readonly socket: Socket;
  status = 0;
  headers: Readonly<Record<string, string>> = {};
  #bytes = Buffer.alloc(0);
  #ended = false;
  #woken: () => void = () => {};

  constructor(socket: Socket) {
    this.socket = socket;
    const wake = (): void => this.#woken();
    socket.on('data', (chunk: Buffer) => {
      this.#bytes = Buffer.concat([this.#bytes, chunk]);
      wake();
    });
    // A reset is an end as well; what had come before it is still read.
    socket.on('error', () => {});
    socket.on('close', () => {
      this.#ended = true;
      wake();
    });
    socket.on('end', wake);
  }

  get protocol(): string {
    return this.headers['sec-websocket-protocol'] ?? '';
  }

  /** Wait until `found` returns something; it looks at the bytes that have come so far. */
  async #until<T>(what: string, found: () => T | undefined): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`No ${what} came within ${patience} ms`)), patience);
    });
    try {
      for (;;) {
        const value = found();
        if (value !== undefined) return value;
        if (this.#ended) throw new Error(`The connection ended before ${what} came`);
        await Promise.race([late, new Promise<void>((resolve) => (this.#woken = resolve))]);
      }
    } finally {
      clearTimeout(timer);
    }
  }

  async handshake(request: string): Promise<void> {
    this.socket.write(request);
    const end = await this.#until('answer to the handshake', () => {
      const index = this.#bytes.indexOf('\r\n\r\n');
      return index < 0 ? undefined : index;
    });
    const [statusLine = '', ...lines] = this.#bytes.subarray(0, end).toString().split('\r\n');
    this.#bytes = this.#bytes.subarray(end + 4);
    this.status = Number(statusLine.split(' ')[1]);
    this.headers = Object.fromEntries(
      lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
    );
  }

  /** Octets as they are: parts of frames, or what is none. */
  sendBytes(bytes: Uint8Array): void {
    this.socket.write(bytes);
  }

  sendFrame(frame: FrameToSend): void {
    this.socket.write(frameBytes(frame));
  }

  /** One message: a string as text, bytes as binary. */
  send(message: string | Uint8Array): void {
    this.sendFrame({ opcode: typeof message === 'string' ? Opcode.text : Opcode.binary, payload: message });
  }

  close(code = 1000, reason = ''): void {
    this.sendFrame({ opcode: Opcode.close, payload: closePayload(code, reason) });
  }

  /** The next frame of the server, of whatever kind. */
  frame(): Promise<RawFrame> {
    return this.#until('frame', () => this.#takeFrame());
  }

  /** The payload of the next data message as text; pings and pongs are passed over, a close is an error. */
  async message(): Promise<string> {
    const parts: Buffer[] = [];
    for (;;) {
      const { opcode, fin, payload } = await this.frame();
      if (opcode === Opcode.close) throw new Error(`A close came instead of a message: ${payload.subarray(2)}`);
      if (opcode >= 8) continue;
      parts.push(payload);
      if (fin) return Buffer.concat(parts).toString();
    }
  }

  /** The close frame of the server; whatever comes before it is passed over. 1005: it carried no code. */
  async closed(): Promise<{ code: number; reason: string }> {
    for (;;) {
      const { opcode, payload } = await this.frame();
      if (opcode !== Opcode.close) continue;
      return payload.length < 2
        ? { code: 1005, reason: '' }
        : { code: payload.readUInt16BE(), reason: payload.subarray(2).toString() };
    }
  }

  /** Resolves when the server has ended the connection, with what it sent after the last frame that was read. */
  async ended(): Promise<string> {
    await this.#until('end of the connection', () => (this.#ended || this.socket.readableEnded ? true : undefined));
    return this.#bytes.toString();
  }

  destroy(): void {
    this.socket.destroy();
  }

  #takeFrame(): RawFrame | undefined {
    const bytes = this.#bytes;
    if (bytes.length < 2) return undefined;
    const short = (bytes[1] as number) & 0x7f;
    const start = short < 126 ? 2 : short === 126 ? 4 : 10;
    if (bytes.length < start) return undefined;
    const length = short < 126 ? short : short === 126 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
    if (bytes.length < start + length) return undefined;
    this.#bytes = bytes.subarray(start + length);
    const payload = bytes.subarray(start, start + length);
    const first = bytes[0] as number;
    return { opcode: first & 15, fin: first >= 0x80, rsv: (first >> 4) & 7, payload, text: payload.toString() };
  }
}

/**
 * Connect and shake hands. A refusal is no error: look at `status`, and at `ended()` for the body.
 *
 * @example
 * const raw = await openRaw({ port, protocols: ['v12.stomp'] });
 * raw.send('CONNECT\naccept-version:1.2\nhost:x\n\n\0');
 */
export async function openRaw(options: RawOptions): Promise<RawWebSocket> {
  const { port, host = '127.0.0.1', path = '/ws', method = 'GET', protocols = [] } = options;
  const own = () => (options.tls ? connectTls({ port, host, rejectUnauthorized: false }) : connectTcp({ port, host }));
  const socket = options.socket ?? own();
  await new Promise<void>((resolve, reject) => {
    socket.once(options.tls ? 'secureConnect' : 'connect', resolve);
    socket.once('error', reject);
  });
  const headers: Record<string, string | undefined> = {
    host: `${host}:${port}`,
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-key': randomBytes(16).toString('base64'),
    'sec-websocket-version': '13',
    'sec-websocket-protocol': protocols.length > 0 ? protocols.join(', ') : undefined,
    ...options.headers,
  };
  const lines = Object.entries(headers).flatMap(([name, value]) => (value === undefined ? [] : `${name}: ${value}`));
  const raw = new RawWebSocket(socket);
  await raw.handshake(`${method} ${path} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`);
  return raw;
}
