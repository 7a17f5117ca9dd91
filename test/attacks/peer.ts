import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { performance } from 'node:perf_hooks';

/** How a connection ended, as its client saw it; 1006: without a close frame, 503 and the like: it was never opened. */
export interface Ending {
  readonly code: number;
  readonly reason: string;
  /** When, by `performance.now()`. */
  readonly at: number;
}

export interface PeerOptions {
  readonly port: number;
  readonly protocol: 'v12.stomp' | 'graphql-transport-ws';
  /** Answers a close frame. Default: true. */
  readonly answersClose?: boolean;
}

/** A masked frame. The mask is zero, which is one like any other: floods are built once and written often. */
export function frame(payload: string | Uint8Array, opcode = typeof payload === 'string' ? 1 : 2): Buffer {
  const bytes = Buffer.from(payload);
  const { length } = bytes;
  const head = Buffer.alloc(length < 126 ? 6 : length < 65_536 ? 8 : 14);
  head[0] = 0x80 | opcode;
  head[1] = 0x80 | (length < 126 ? length : length < 65_536 ? 126 : 127);
  if (head.length === 8) head.writeUInt16BE(length, 2);
  if (head.length === 14) head.writeBigUInt64BE(BigInt(length), 2);
  return Buffer.concat([head, bytes]);
}

/**
 * A client as attackers write them: it sends what it is told as fast as it is taken, keeps nothing of what it gets, and
 * notes when and how it was cut.
 *
 * @example
 * const peer = await openPeer({ port, protocol: 'v12.stomp' });
 * await peer.send(frame('CONNECT\naccept-version:1.2\nhost:a\n\n\0'));
 */
export class Peer {
  readonly socket: Socket;
  readonly ended: Promise<Ending>;
  ending: Ending | undefined;
  sent = 0;
  /** Payload bytes of messages, and how many messages there were. */
  received = 0;
  messages = 0;
  /** Called with the text of each message of at most 64 KiB. */
  onMessage: ((text: string) => void) | undefined;
  // Of the frame that is being read: what is left of its payload, and the payload while it is wanted.
  #rest: Buffer = Buffer.alloc(0);
  #left = 0;
  #opcode = 0;
  #kept: Buffer[] | undefined;
  #end: (ending: Ending) => void = () => {};

  constructor(socket: Socket, answersClose: boolean) {
    this.socket = socket;
    this.ended = new Promise((resolve) => {
      this.#end = (ending) => {
        this.ending ??= ending;
        resolve(this.ending);
      };
    });
    socket.on('error', () => {});
    socket.on('data', (bytes: Buffer) => this.#read(bytes, answersClose));
    socket.on('close', () => this.#end({ code: 1006, reason: '', at: performance.now() }));
  }

  /** Octets as they are. Resolves when the kernel took them, or the connection ended. */
  async send(bytes: Uint8Array): Promise<void> {
    // A loop that sends until the end must let the end come.
    if (this.ending || this.socket.destroyed) return new Promise((resolve) => void setImmediate(resolve));
    this.sent += bytes.length;
    if (!this.socket.write(bytes)) await Promise.race([once(this.socket, 'drain').catch(() => {}), this.ended]);
  }

  /** The next message that contains this. */
  wait(part: string): Promise<string> {
    return new Promise((resolve, reject) => {
      this.onMessage = (text) => {
        if (text.includes(part)) resolve(text);
      };
      void this.ended.then(({ code, reason }) =>
        reject(new Error(`closed with ${code} ${reason} before ${part} came`)),
      );
    });
  }

  destroy(): void {
    this.socket.destroy();
  }

  #read(bytes: Buffer, answersClose: boolean): void {
    let at = 0;
    while (at < bytes.length) {
      if (this.#left > 0) {
        const part = bytes.subarray(at, at + this.#left);
        this.#kept?.push(part);
        this.#left -= part.length;
        at += part.length;
      } else {
        const head = Buffer.concat([this.#rest, bytes.subarray(at, at + 10 - this.#rest.length)]);
        const short = (head[1] ?? 0) & 0x7f;
        const size = head.length < 2 ? 10 : short < 126 ? 2 : short === 126 ? 4 : 10;
        if (head.length < size) {
          this.#rest = head;
          return;
        }
        at += size - this.#rest.length;
        this.#rest = Buffer.alloc(0);
        this.#opcode = (head[0] as number) & 15;
        this.#left = short < 126 ? short : short === 126 ? head.readUInt16BE(2) : Number(head.readBigUInt64BE(2));
        this.#kept = this.#opcode === 8 || (this.onMessage && this.#left <= 65_536) ? [] : undefined;
        if (this.#opcode < 8) {
          this.received += this.#left;
          this.messages++;
        }
      }
      if (this.#left === 0) this.#whole(answersClose);
    }
  }

  #whole(answersClose: boolean): void {
    const payload = this.#kept && Buffer.concat(this.#kept);
    this.#kept = undefined;
    if (this.#opcode === 8 && payload) {
      const code = payload.length < 2 ? 1005 : payload.readUInt16BE(0);
      this.#end({ code, reason: payload.subarray(2).toString(), at: performance.now() });
      if (answersClose) this.socket.end(frame(payload.subarray(0, 2), 8));
    } else if (this.#opcode < 8 && payload) this.onMessage?.(payload.toString());
  }
}

/** Connect and shake hands. A refusal is an ending with the status for a code. */
export async function openPeer({ port, protocol, answersClose = true }: PeerOptions): Promise<Peer> {
  const socket = connect({ port, host: '127.0.0.1' });
  const failed = new Promise<void>((resolve) => socket.once('error', () => resolve()));
  await Promise.race([once(socket, 'connect').catch(() => {}), failed]);
  socket.write(
    `GET /ws HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\nconnection: Upgrade\r\nupgrade: websocket\r\n` +
      `sec-websocket-version: 13\r\nsec-websocket-key: ${randomBytes(16).toString('base64')}\r\n` +
      `sec-websocket-protocol: ${protocol}\r\n\r\n`,
  );
  const head = await new Promise<Buffer>((resolve) => {
    let bytes = Buffer.alloc(0);
    const take = (more: Buffer): void => {
      bytes = Buffer.concat([bytes, more]);
      if (!bytes.includes('\r\n\r\n')) return;
      socket.off('data', take);
      socket.pause();
      resolve(bytes);
    };
    socket.on('data', take);
    socket.once('close', () => resolve(bytes));
  });
  const end = head.indexOf('\r\n\r\n') + 4;
  const peer = new Peer(socket, answersClose);
  const status = Number(head.toString('latin1').split(' ')[1] ?? 0);
  if (status !== 101) {
    peer.ending = { code: status, reason: 'refused', at: performance.now() };
    socket.destroy();
    return peer;
  }
  if (head.length > end) socket.emit('data', head.subarray(end));
  socket.resume();
  return peer;
}

/** A STOMP client that has its CONNECTED. */
export async function openStomp(port: number, answersClose = true): Promise<Peer> {
  const peer = await openPeer({ port, protocol: 'v12.stomp', answersClose });
  if (peer.ending) return peer;
  const connected = peer.wait('CONNECTED').catch(() => '');
  await peer.send(frame('CONNECT\naccept-version:1.2\nhost:localhost\n\n\0'));
  await connected;
  peer.onMessage = undefined;
  return peer;
}

/** A GraphQL client that has its acknowledgement. */
export async function openGraphql(port: number, payload: unknown = undefined): Promise<Peer> {
  const peer = await openPeer({ port, protocol: 'graphql-transport-ws' });
  if (peer.ending) return peer;
  const acknowledged = peer.wait('connection_ack').catch(() => '');
  await peer.send(frame(JSON.stringify({ type: 'connection_init', payload })));
  await acknowledged;
  peer.onMessage = undefined;
  return peer;
}

export const stomp = (command: string, headers: Readonly<Record<string, string | number>>, body = ''): string =>
  `${command}\n${Object.entries(headers)
    .map(([name, value]) => `${name}:${value}\n`)
    .join('')}\n${body}\0`;

export const subscribeMessage = (id: string, query: string, more: Record<string, unknown> = {}): string =>
  JSON.stringify({ id, type: 'subscribe', payload: { query, ...more } });
