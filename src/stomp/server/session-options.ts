import type { HeartBeat } from '../protocol/heart-beat.ts';
import type { Application } from './application.ts';
import type { DestinationHandler, HandlerClient } from './destination-handler.ts';
import type { Route } from './destinations.ts';
import type { FrameLog } from './frame-log.ts';
import type { StompLimits } from './limits.ts';

/** What all sessions of a server have in common. */
export interface StompSessionOptions {
  /** Limits of each connection. */
  readonly limits: StompLimits;
  /** What this side offers to clients. */
  readonly heartbeat: HeartBeat;
  /** The application's hooks. */
  readonly application: Application;
  /** Where destinations live; the last one has all that no other has. */
  readonly handlers: readonly DestinationHandler[];
  /** What a destination means. Throws a `ProtocolError` where it is no good. */
  readonly route: (command: 'SEND' | 'SUBSCRIBE', destination: string, client: HandlerClient) => Route;
  /** The `server` header of CONNECTED; undefined: CONNECTED says what the broker behind this server says. */
  readonly server: string | undefined;
  /** Any refused SEND ends its connection. */
  readonly strict: boolean;
  /** UNSUBSCRIBE of an unknown id, and a second or late ACK, are passed over. */
  readonly tolerant: boolean;
  /** Sees each frame; undefined: nobody wants to. */
  readonly frameLog: FrameLog | undefined;
  /** Count a SEND that was refused and dropped. */
  readonly refused: () => void;
  /** Is a client that names this virtual host let in ([STOMP-29])? */
  readonly knowsHost: (host: string) => boolean | Promise<boolean>;
}
