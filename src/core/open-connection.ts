import type { Fault } from './fault.ts';
import type { Handshake, Principal } from './subprotocol.ts';

/** What ended a connection. */
export interface ConnectionEnd {
  /** The close code; 1006 where the transport broke (RFC 6455 7.1.5). */
  readonly code: number;
  /** The close reason, at most 123 bytes; '' where there was none. */
  readonly reason: string;
  /** Why we ended it; undefined when the peer, or we ourselves, closed it normally. */
  readonly fault?: Fault | undefined;
}

/** What the application sees of a connection. It is the same object from `onConnect` to `onDisconnect`. */
export interface OpenConnection {
  /** A number that no other connection of this process has. */
  readonly id: number;
  /** The negotiated token; '' where there was none. */
  readonly subprotocol: string;
  /** Whom `authenticate` named; undefined for nobody. */
  readonly principal: Principal | undefined;
  /** `authenticate` has let the client in. */
  readonly admitted: boolean;
  /** The request that opened the connection. */
  readonly handshake: Handshake;
  /** When it was opened, in ms since 1970 UTC. */
  readonly openedAt: number;
  /** Bytes that wait to be sent, or that the operating system has not taken. */
  readonly buffered: number;
  /** It is ending: nothing that comes is processed any more. */
  readonly closing: boolean;
}
