import type { Wire } from './wire.ts';

/** What a transport offers. The adapter behind it is the only code that knows `ws`, TCP or a browser's WebSocket. */
export interface Socket {
  /** The negotiated subprotocol token; '' where there is none. */
  readonly protocol: string;
  /** Bytes that were written and that the operating system has not taken yet. */
  readonly bufferedAmount: number;
  /** Bytes received so far, parts of unfinished messages included; absent where the transport does not tell. */
  readonly bytesReceived?: number | undefined;
  /** Should messages wait for the end of the turn, to leave together? Absent where writes are merged anyway. */
  readonly batches?: boolean | undefined;
  /** What the transport works on, such as a WebSocket; absent where it has nothing to hand out. */
  readonly raw?: unknown;
  /** Put messages out, in order, in as few writes as the transport can. Not called after `close`. */
  write(wires: readonly Wire[]): void;
  /** Stop and go on reading; absent where the transport cannot. */
  pause?(): void;
  /** Go on reading; absent where the transport cannot stop. */
  resume?(): void;
  /** A WebSocket ping (RFC 6455 5.5.2); absent where the transport has none. */
  ping?(): void;
  /** Begin the close handshake, once. `code` is sendable and `reason` has at most 123 bytes. */
  close(code: number, reason: string): void;
  /** Drop the connection at once. */
  terminate(): void;
}

/** What a transport tells: the connection implements it. `closed` is the last call and comes exactly once. */
export interface SocketReceiver {
  /** A whole message of a WebSocket, or any piece of a byte stream. The bytes are not changed after the call. */
  received(data: string | Uint8Array): void;
  /** The peer closes and is about to be answered: what waits for the end of the turn leaves now, or never. */
  flush?(): void;
  /** The transport takes more: what was buffered is gone. */
  drained(): void;
  /** The peer of a byte stream closed its half: it says no more, and still reads. Absent: then we close as well. */
  ended?(): void;
  /** The transport is gone, with this close code and reason (RFC 6455 7.1.5, 7.1.6). */
  closed(code: number, reason: string): void;
}

/** What a server's transport tells besides. */
export interface ServerReceiver extends SocketReceiver {
  /** The peer closes and is about to be answered: what waits for the end of the turn leaves now, or never. */
  flush(): void;
  /** A text message may be handed over as its UTF-8. */
  readonly takesBytes: boolean;
  /** A piece came, and a message has begun that is not whole yet. */
  partly(): void;
  /** A WebSocket ping came and was answered, or a pong came: the peer lives. */
  pinged(): void;
  /** A pong came: the peer lives. */
  ponged(): void;
  /**
   * The transport itself found bad framing, UTF-8 or size and is about to close with `code`. Last words leave now;
   * returns the close reason.
   */
  refused(code: number): string;
}

/** What a client's transport tells before there is a socket. Exactly one of the two is called, exactly once. */
export interface Attempt {
  /** The socket is open; the result hears everything after that. */
  opened(socket: Socket): SocketReceiver;
  /** There will be no socket. */
  failed(code: number, reason: string, error?: unknown): void;
}

/**
 * How a client reaches a server: open one socket to `url`, offering `protocols`. Returns how to give the attempt up
 * before it is open; `failed` is not called then. Throws a `TypeError` if the URL cannot be one of this transport.
 */
export type Transport = (url: string, protocols: readonly string[], attempt: Attempt) => () => void;
