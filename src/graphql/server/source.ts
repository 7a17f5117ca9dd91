import type { Position } from '../../bus/message.ts';
import { push, type Subscription } from '../../bus/subscription.ts';
import type { Connection } from '../../core/subprotocol.ts';

/** What a source tells the operation that reads it. */
export interface Reader {
  /** The connection that its results leave by. */
  readonly connection: Connection;
  /**
   * Handle a value, which stands at this position. False: it takes its time; {@link Source.goOn} is called when it is
   * through.
   */
  handle(value: unknown, position?: Position): boolean;
  /** Nothing more comes. */
  finished(): void;
  /** The source broke. */
  failed(error: unknown): void;
  /** May one more value be pulled in this turn? If not, `goOn` is called when it may. */
  mayPull(): boolean;
  /** May one be sent now? If not, `goOn` is called when it may. */
  takes(): boolean;
}

/** Where the values of a streaming operation come from. */
export interface Source {
  /** Begin to read. */
  start(): void;
  /** The last value is through, or the connection takes more. */
  goOn(): void;
  /** Up to here everything was handled; undefined or absent: that is not known, or something waits. */
  mark?(): Position | undefined;
  /** Let go of what is behind, exactly once, and not at all if it ended by itself. */
  stop(): PromiseLike<unknown> | undefined;
}

/** Does this iterable push? */
export const isPushed = (source: AsyncIterable<unknown>): source is Subscription<unknown> => push in source;

/** Give a source back. One that is no iterator itself holds nothing before its iterator was made. Rejects if it throws. */
export async function returnSource(source: AsyncIterable<unknown> | AsyncIterator<unknown>): Promise<unknown> {
  return 'return' in source ? source.return?.() : undefined;
}
