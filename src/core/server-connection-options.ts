import type { MemoryBudget } from './budget.ts';
import type { Clock } from './clock.ts';
import type { FaultTable } from './fault.ts';
import type { ConnectionLimits } from './limits.ts';
import type { ConnectionEnd, OpenConnection } from './open-connection.ts';
import type { Authenticate } from './subprotocol.ts';

/** What all connections of a subprotocol at one endpoint have in common. */
export interface ServerConnectionOptions {
  /** Where time comes from. */
  readonly clock: Clock;
  /** The limits of each connection. */
  readonly limits: ConnectionLimits;
  /** How each fault looks in a close frame. */
  readonly faultTable: FaultTable;
  /** Absent: everybody is let in, as nobody. */
  readonly authenticate?: Authenticate | undefined;
  /**
   * A server cuts a reader that is too slow (fault `tooSlow`). False for the relay's connections to its broker, which
   * wait for the network instead.
   */
  readonly cutsSlowReader: boolean;
  /** What all connections together may make the process keep. Absent: it is not counted. */
  readonly budget?: MemoryBudget | undefined;
  /** Errors that are not the peer's fault. */
  readonly report: (error: unknown) => void;
  /** Called once, when the client was let in and before it is told. Throws a `ProtocolError` to refuse it. */
  admitted?(connection: OpenConnection): void;
  /** Called exactly once, after the session was told. */
  ended?(connection: OpenConnection, end: ConnectionEnd): void;
}
