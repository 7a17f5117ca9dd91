import { CloseCode, type Fault, messageOf } from './fault.ts';

/** What is known of an end besides its code and its reason. */
export interface ConnectionLostOptions {
  /** What went wrong underneath, such as the 404 of the handshake or what a hook threw. */
  readonly cause?: unknown;
  /** What this side closed for; absent: the peer or the network ended it. */
  readonly fault?: Fault | undefined;
  /** The protocol had been ready. */
  readonly wasConnected?: boolean | undefined;
}

/**
 * How a connection of a client ended, or why there was none: what `closed` listeners, `retry` and the promises and
 * sinks of what was under way get. It has what a `CloseEvent` has, and is an `Error`, so that it prints as a sentence.
 *
 * @example
 * client.on('closed', ({ code, reason, cause }) => console.log(code, reason, cause)); // 4403 Forbidden undefined
 */
export class ConnectionLost extends Error {
  override readonly name: string = 'ConnectionLost';
  /** As of a `CloseEvent`. */
  readonly type = 'close';
  /** RFC 6455 7.4, or of the protocol; 1006 when there was no close frame, or no connection at all. */
  readonly code: number;
  /** The close reason, '' where there was none. */
  readonly reason: string;
  /** The peer took part in the close. */
  readonly wasClean: boolean;
  /** What this side closed for; undefined: the peer or the network ended it. */
  readonly fault: Fault | undefined;
  /** The protocol had been ready. */
  readonly wasConnected: boolean;

  constructor(code: number, reason: string, options: ConnectionLostOptions = {}) {
    const { cause, fault, wasConnected = false } = options;
    // Deno says 0 of a socket that never opened.
    const known = code || CloseCode.abnormal;
    const why = cause === undefined ? '' : messageOf(cause);
    const words = why && !reason.includes(why) ? `${reason} (${why})`.trimStart() : reason;
    super(`The connection ended: ${known} ${words}`.trimEnd(), cause === undefined ? undefined : { cause });
    this.code = known;
    this.reason = reason;
    this.wasClean = known !== CloseCode.abnormal && known !== CloseCode.terminated;
    this.fault = fault;
    this.wasConnected = wasConnected;
  }
}
