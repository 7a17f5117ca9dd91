import { push, type Sink, type Subscription } from '../../bus/subscription.ts';
import type { SlowSubscriber } from '../../core/slow-subscriber.ts';
import type { Connection } from '../../core/subprotocol.ts';
import { isObject } from '../protocol/messages.ts';

/** What a source tells the operation that reads it. */
export interface Reader {
  readonly ended: boolean;
  readonly connection: Connection;
  /** Handle a value. False: it takes its time; {@link Source.goOn} is called when it is through. */
  handle(value: unknown): boolean;
  /** Nothing more comes. */
  finished(): void;
  /** The source broke. */
  failed(error: unknown): void;
  /** May one more value be pulled now; may one be sent now? If not, `goOn` is called when it may. */
  mayPull(): boolean;
  takes(): boolean;
}

/** Where the values of a streaming operation come from. */
export interface Source {
  start(): void;
  /** The last value is through, or the connection takes more. */
  goOn(): void;
  /** Let go of what is behind, exactly once, and not at all if it ended by itself. */
  stop(): PromiseLike<unknown> | undefined;
}

/** Any async iterable: one value is asked for at a time, and none while the connection is saturated. */
export class PulledSource implements Source {
  readonly #reader: Reader;
  readonly #iterable: AsyncIterable<unknown>;
  #iterator: AsyncIterator<unknown> | undefined;
  #busy = false;
  #over = false;

  constructor(reader: Reader, iterable: AsyncIterable<unknown>) {
    this.#reader = reader;
    this.#iterable = iterable;
  }

  start(): void {
    this.goOn();
  }

  goOn(): void {
    if (this.#busy || this.#over || !this.#reader.mayPull()) return;
    this.#busy = true;
    let next: Promise<IteratorResult<unknown>>;
    try {
      this.#iterator ??= this.#iterable[Symbol.asyncIterator]();
      next = Promise.resolve(this.#iterator.next());
    } catch (error) {
      return this.#failed(error);
    }
    this.#reader.connection.resume(next, this.#received, this.#failed);
  }

  readonly #received = (result: IteratorResult<unknown>): void => {
    this.#busy = false;
    if (this.#over) return;
    if (!isObject(result)) return this.#failed(new TypeError('next() of an async iterator must give an object'));
    if (result.done) {
      this.#over = true;
      this.#reader.finished();
    } else if (this.#reader.handle(result.value)) this.goOn();
  };

  readonly #failed = (error: unknown): void => {
    if (this.#over) return;
    this.#over = true;
    this.#reader.failed(error);
  };

  stop(): PromiseLike<unknown> | undefined {
    if (this.#over) return undefined;
    this.#over = true;
    return returnSource(this.#iterator ?? this.#iterable);
  }
}

/** A subscription that pushes, such as one of a bus topic: no iterator and no promise per value. */
export class PushedSource implements Source, Sink<unknown> {
  readonly #reader: Reader;
  readonly #subscription: Subscription<unknown>;
  readonly #policy: SlowSubscriber;
  readonly #maxBacklog: number;
  #waiting: unknown[] | undefined;
  #busy = false;
  /** It ended by itself, with an error or without. */
  #completed: { readonly error?: unknown } | undefined;
  #over = false;

  constructor(reader: Reader, subscription: Subscription<unknown>, policy: SlowSubscriber, maxBacklog: number) {
    this.#reader = reader;
    this.#subscription = subscription;
    this.#policy = policy;
    this.#maxBacklog = maxBacklog;
  }

  start(): void {
    this.#subscription[push](this);
  }

  next(value: unknown): void {
    if (this.#over) return;
    if (this.#busy || this.#waiting || this.#mustWait()) return this.#keep(value);
    // Before it is handled: a resolver may push into the very source that it answers.
    this.#busy = true;
    if (this.#reader.handle(value)) this.goOn();
  }

  #mustWait(): boolean {
    return this.#policy !== 'disconnect' && !this.#reader.takes();
  }

  #keep(value: unknown): void {
    const conflates = this.#policy === 'latest' && this.#reader.connection.mustWait();
    if (!this.#waiting || conflates) this.#waiting = [value];
    else if (this.#waiting.length < this.#maxBacklog) this.#waiting.push(value);
    else if (this.#policy === 'disconnect') {
      this.#reader.failed(new Error(`More than ${this.#maxBacklog} events were waiting to be executed`));
    } else {
      this.#waiting.shift();
      this.#waiting.push(value);
    }
  }

  goOn(): void {
    this.#busy = false;
    while (this.#waiting && !this.#over) {
      if (this.#mustWait()) return;
      const value = this.#waiting.shift();
      if (this.#waiting.length === 0) this.#waiting = undefined;
      this.#busy = true;
      if (!this.#reader.handle(value)) return;
      this.#busy = false;
    }
    this.#end();
  }

  error(error: unknown): void {
    this.#completed ??= { error };
    this.#end();
  }

  complete(): void {
    this.#completed ??= {};
    this.#end();
  }

  /** What was pushed before the end comes before it. */
  #end(): void {
    if (!this.#completed || this.#over || this.#busy || this.#waiting) return;
    this.#over = true;
    if ('error' in this.#completed) this.#reader.failed(this.#completed.error);
    else this.#reader.finished();
  }

  stop(): PromiseLike<unknown> | undefined {
    if (this.#over) return undefined;
    this.#over = true;
    this.#waiting = undefined;
    return this.#subscription.return();
  }
}

/** Does this iterable push? */
export const isPushed = (source: AsyncIterable<unknown>): source is Subscription<unknown> => push in source;

/** Give a source back. One that is no iterator itself holds nothing before its iterator was made. Rejects if it throws. */
export async function returnSource(source: AsyncIterable<unknown> | AsyncIterator<unknown>): Promise<unknown> {
  return 'return' in source ? source.return?.() : undefined;
}
