import { never } from './clock.ts';
import { ProtocolError } from './fault.ts';
import type { Connection } from './subprotocol.ts';

/**
 * What the input of one connection waits for: hooks, publishes. Sessions hand on `tick`, `deadline`, which is
 * their `sendBy` too since it counts while input is held, and whether something is pending as `awaiting` and not `idle`.
 */
export interface InTurn {
  /** How many outcomes are awaited. */
  readonly pending: number;
  /** When the oldest has to be there, in ms of the clock: within `hookTimeout` of the connection. Infinity: none is awaited. */
  readonly deadline: number;
  /** Throws a {@link ProtocolError} `unavailable` if an outcome is late. */
  tick(now: number): void;
  /**
   * Hold later input back until the outcome is there and was worked off. What `then` and `otherwise` throw is treated as if
   * `receive` had thrown it; without `otherwise` a rejection is the fault `internal`.
   */
  wait<T>(
    outcome: PromiseLike<T> | T,
    then: (value: T, now: number) => void,
    otherwise?: (error: unknown, now: number) => void,
  ): void;
}

/**
 * Let the input of a connection wait for outcomes, in its order and in bounded time.
 *
 * @example
 * const turn = createInTurn(connection);
 * turn.wait(mayJoin(user, room), (may) => (may === true ? join(room) : refuse(room)));
 */
export function createInTurn(connection: Connection): InTurn {
  const due: number[] = [];

  function done(at: number): void {
    due.splice(due.indexOf(at), 1);
    connection.release();
  }

  return {
    get pending() {
      return due.length;
    },
    get deadline() {
      return due[0] ?? never;
    },
    tick(now) {
      if (now < (due[0] ?? never)) return;
      throw new ProtocolError('unavailable', `no answer within ${connection.limits.hookTimeout} ms`);
    },
    wait<T>(
      outcome: PromiseLike<T> | T,
      then: (value: T, now: number) => void,
      otherwise?: (error: unknown, now: number) => void,
    ) {
      const at = connection.now + connection.limits.hookTimeout;
      due.push(at);
      connection.hold();
      connection.touch();
      const worked =
        <Value>(work: (value: Value, now: number) => void) =>
        (value: Value, now: number): void => {
          // What is thrown ends the connection: nothing waits then.
          work(value, now);
          done(at);
        };
      connection.resume(Promise.resolve(outcome), worked(then), otherwise && worked(otherwise));
    },
  };
}
