import type { PromiseOr } from '../../core/promise-or.ts';
import type { Connection } from '../../core/subprotocol.ts';
import type { ServerRuntime } from './engine.ts';
import type { ConnectionParams, GraphqlContext } from './options.ts';
import type { GraphqlSession } from './session.ts';

/** For whom a hook is asked. */
export interface StepOwner {
  /** Nobody waits for the answer any more. */
  readonly ended: boolean;
  /** This was begun for it, and may run on after its end. */
  runs?(outcome: Promise<unknown>): void;
  /** The application's own code threw. */
  bug(error: unknown): void;
}

/** What operations need of their connection. */
export interface OperationContext {
  /** The connection of the operation. */
  readonly connection: Connection;
  /** What all connections of the server share. */
  readonly engine: ServerRuntime;
  /** The session that the operation belongs to. */
  readonly session: GraphqlSession;
  /** What hooks and resolvers get of the connection. */
  readonly context: GraphqlContext<ConnectionParams, unknown>;
  /**
   * Run something of the application's, then go on with what it gave: at once if that is no promise, so that nothing
   * waits for a promise where there is none. What it throws, and a promise that is not kept in time, goes to `broken`, or
   * to the owner's `bug`. Nothing follows once the owner or the connection has ended.
   */
  step<T>(run: () => PromiseOr<T>, then: (value: T) => void, owner: StepOwner, broken?: (error: unknown) => void): void;
  /** May one more document that nobody knows be parsed for this client? */
  mayParse(): boolean;
  /** Go on when there is time for one more document that nobody knows: at once, or in a later turn. */
  whenParseable(run: () => void): void;
  /** Such a document took so many ms just now; `refused`: so many in all, if it was refused, else 0. */
  spent(took: number, refused: number): void;
  /** A document of this client was refused. After too many of them its connection ends. */
  countRefusal(): void;
  /** The outcome, or a rejection once `hookTimeout` is over. */
  inTime<T>(outcome: PromiseLike<T>): Promise<T>;
  /** Let go of something, in its own time: a promise of that, if it takes any. What breaks is reported, unless `broken` takes it. */
  release(run: () => unknown, broken?: (error: unknown) => void): Promise<unknown> | undefined;
  /** End the connection: the application's own code threw. */
  bug(error: unknown): void;
}
