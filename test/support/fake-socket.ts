import type { Socket, SocketReceiver } from '../../src/core/socket.ts';
import { encodeUtf8, type Wire, wireLength } from '../../src/core/wire.ts';

export interface FakeSocketOptions {
  /** The negotiated subprotocol token. Default: ''. */
  readonly protocol?: string | undefined;
  /** Do messages wait for the end of the turn? Default: true, as on a server. */
  readonly batches?: boolean | undefined;
  /** Does the peer answer a close frame at once? Default: true. */
  readonly answersClose?: boolean | undefined;
  /** Does what is written stay in the socket until `peerReads`? Default: false, the system takes everything. */
  readonly fills?: boolean | undefined;
}

/** What was sent to the peer as one message: text, or bytes where the wire said so. */
export type SentMessage = string | Uint8Array;

/**
 * A transport that writes everything down. Give it the connection as `receiver`, then play the peer:
 * `socket.receiver.received('…')`, `socket.hangUp()`.
 *
 * @example
 * const socket = new FakeSocket({ protocol: 'v12.stomp' });
 * const connection = new ServerConnection({ socket, … });
 * socket.receiver = connection;
 */
export class FakeSocket implements Socket {
  readonly protocol: string;
  readonly batches: boolean;
  readonly answersClose: boolean;
  readonly fills: boolean;
  receiver: SocketReceiver | undefined;
  /** Set it to play a peer that does not read. */
  bufferedAmount = 0;
  /** Set it to play a peer that sends a long message in parts. */
  bytesReceived = 0;
  paused = false;
  pings = 0;
  /** One entry per write; each holds the wires that left together. */
  readonly writes: (readonly Wire[])[] = [];
  /** The close that was begun from this side. */
  closing: { readonly code: number; readonly reason: string } | undefined;
  terminated = false;
  #taken = 0;
  #told = false;

  constructor({ protocol = '', batches = true, answersClose = true, fills = false }: FakeSocketOptions = {}) {
    this.protocol = protocol;
    this.batches = batches;
    this.answersClose = answersClose;
    this.fills = fills;
  }

  /** Every message so far, in order. */
  get sent(): SentMessage[] {
    return this.writes.flat().map(contentOf);
  }

  /** The messages since the last `take()`. */
  take(): SentMessage[] {
    const sent = this.sent;
    const fresh = sent.slice(this.#taken);
    this.#taken = sent.length;
    return fresh;
  }

  write(wires: readonly Wire[]): void {
    if (this.closing || this.terminated) throw new Error('write() after close() or terminate()');
    this.writes.push([...wires]);
    if (this.fills) for (const wire of wires) this.bufferedAmount += wireLength(wire);
  }

  /** The system takes so many bytes; told once nothing is left, as Node does. */
  peerReads(bytes: number): void {
    this.bufferedAmount = Math.max(0, this.bufferedAmount - bytes);
    if (this.bufferedAmount === 0) this.receiver?.drained();
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }

  ping(): void {
    this.pings++;
  }

  close(code: number, reason: string): void {
    if (this.closing) throw new Error('close() was called twice');
    if (encodeUtf8(reason).length > 123) throw new Error(`A close reason of more than 123 bytes: ${reason}`);
    this.closing = { code, reason };
    if (this.answersClose) this.hangUp(code, reason);
  }

  terminate(): void {
    this.terminated = true;
    this.hangUp(1006, '');
  }

  /** The transport ends with this code: the peer's, or 1006 for a connection that just broke. */
  hangUp(code = 1006, reason = ''): void {
    if (this.#told) return;
    this.#told = true;
    this.receiver?.closed(code, reason);
  }
}

/** A wire as its receiver sees it. */
export function contentOf({ head, tail, binary }: Wire): SentMessage {
  const bytes = Buffer.concat([typeof head === 'string' ? Buffer.from(head) : head, tail ?? Buffer.alloc(0)]);
  return binary ? new Uint8Array(bytes) : bytes.toString('utf8');
}
