import type { Connection } from '../../core/subprotocol.ts';
import type { ProtocolLevel } from '../protocol/packets.ts';

/** What the parts of a session need of it. */
export interface SessionHost {
  /** What it speaks over. */
  readonly connection: Connection;
  /** The version that is spoken. */
  readonly level: ProtocolLevel;
  /** Keep input back, until `release` was called as often. */
  hold(): void;
  /** Let input in again. */
  release(): void;
  /** Go on with an outcome; the packets that follow wait for it. A rejection ends the connection. */
  settle<T>(outcome: T | Promise<T>, then: (value: T) => void): void;
  /** Count what the session costs, in bytes; ends the connection if it is too much. */
  charge(bytes: number): void;
}
