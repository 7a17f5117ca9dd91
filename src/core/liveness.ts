import { never } from './clock.ts';
import { ProtocolError } from './fault.ts';
import type { ConnectionLimits } from './limits.ts';
import type { Outbox } from './outbox.ts';
import type { Socket } from './socket.ts';

/**
 * A ping stands behind what was written before it: a steady reader gets a second more to answer for each of these, in
 * bytes that it has not proved to have read, and at most a minute.
 */
const readPerSecond = 65_536;
const mostExtra = 60_000;

/** What a {@link Liveness} needs of its connection. */
export interface LivenessHost {
  /** The transport that pings. */
  readonly socket: Pick<Socket, 'bytesReceived' | 'ping'>;
  /** Knows what stands before a ping. */
  readonly outbox: Pick<Outbox, 'handedBytes'>;
  /** The limits of the connection. */
  readonly limits: ConnectionLimits;
}

/** Whether the peer of a connection is still there, as WebSocket pings tell, and whether what it sends gets whole. */
export class Liveness {
  /** When data last came, in ms of the clock. A part of a message counts, a pong does not. */
  receivedAt: number;
  readonly #host: LivenessHost;
  #pingAt: number;
  // undefined instead of Infinity: V8 would allocate a HeapNumber for the Infinity of each connection.
  #pongBy: number | undefined;
  #wholeBy: number | undefined;
  #bytesSeen: number;
  // What had been handed to the socket when the peer was last heard, in bytes.
  #handedThen = 0;

  constructor(host: LivenessHost, now: number) {
    const { limits, socket } = host;
    this.#host = host;
    this.receivedAt = now;
    this.#bytesSeen = socket.bytesReceived ?? 0;
    this.#pingAt = socket.ping ? now + limits.pingInterval : never;
  }

  /** When to look again, in ms of the clock. */
  get deadline(): number {
    return Math.min(this.#pingAt, this.#pongBy ?? never, this.#wholeBy ?? never);
  }

  /** Something came of the peer: it lives. */
  heard(): void {
    this.#pongBy = undefined;
    this.#handedThen = this.#host.outbox.handedBytes;
    this.#bytesSeen = this.#host.socket.bytesReceived ?? 0;
  }

  /** A whole message came. */
  received(now: number): void {
    this.heard();
    this.#wholeBy = undefined;
    this.receivedAt = now;
  }

  /** A message has begun and is not whole. True: that is news, and there is a deadline now. */
  partly(now: number): boolean {
    if (this.#wholeBy !== undefined) return false;
    this.#wholeBy = now + this.#host.limits.messageTimeout;
    return true;
  }

  /** The transport is read again: until now silence was our own doing, and nothing could get whole. */
  resumed(now: number): void {
    this.heard();
    this.receivedAt = now;
    if (this.#wholeBy !== undefined) this.#wholeBy = now + this.#host.limits.messageTimeout;
  }

  /** Ping a peer that may be gone. Returns why it has to be let go of; undefined: it has not. */
  tick(now: number): ProtocolError | undefined {
    const { bytesReceived } = this.#host.socket;
    if (bytesReceived !== undefined && bytesReceived !== this.#bytesSeen) {
      // A part of a long message came: the peer lives, though the transport has nothing whole to tell yet.
      this.heard();
      this.receivedAt = now;
    }
    const { messageTimeout, pingInterval, pongTimeout } = this.#host.limits;
    if (now >= (this.#wholeBy ?? never)) {
      return new ProtocolError('malformed', `a message that was not whole within ${messageTimeout} ms`);
    }
    if (now >= (this.#pongBy ?? never)) return new ProtocolError('heartbeat');
    if (now < this.#pingAt) return undefined;
    this.#pingAt = now + pingInterval;
    const unproved = ((this.#host.outbox.handedBytes - this.#handedThen) / readPerSecond) * 1_000;
    // The first unanswered ping counts: an interval shorter than the patience must not prolong it.
    this.#pongBy ??= Math.ceil(now + pongTimeout + Math.min(mostExtra, unproved));
    this.#host.socket.ping?.();
    return undefined;
  }
}
