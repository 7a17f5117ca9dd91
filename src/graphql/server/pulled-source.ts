import type { SlowSubscriber } from '../../core/slow-subscriber.ts';
import { isObject } from '../protocol/messages.ts';
import { Backlog } from './backlog.ts';
import { type Reader, returnSource, type Source } from './source.ts';

/** Generators make a value when they are asked for it. Others may collect what nobody asks for, as a PubSub does. */
const isPausable = (iterator: AsyncIterator<unknown>): boolean =>
  Object.prototype.toString.call(iterator) === '[object AsyncGenerator]';

/**
 * Any async iterable: one value is asked for at a time. While the connection is saturated a generator is not asked for
 * more ([GQL-35]). Other iterators are: what they collect meanwhile would be where memory goes, without a bound and out
 * of sight. Their values wait here, as those of pushed sources do, and `slowSubscriber` decides ([GQL-55]).
 */
export class PulledSource implements Source {
  readonly #reader: Reader;
  readonly #iterable: AsyncIterable<unknown>;
  readonly #policy: SlowSubscriber;
  readonly #maxBacklog: number;
  #iterator: AsyncIterator<unknown> | undefined;
  /** A value was asked for. */
  #pulling = false;
  /** A value is being executed. */
  #handling = false;
  /** The iterator has ended; what waits comes before its end is told. */
  #exhausted = false;
  #over = false;
  #backlog: Backlog | undefined;

  constructor(reader: Reader, iterable: AsyncIterable<unknown>, policy: SlowSubscriber, maxBacklog: number) {
    this.#reader = reader;
    this.#iterable = iterable;
    this.#policy = policy;
    this.#maxBacklog = maxBacklog;
  }

  start(): void {
    this.#proceed();
  }

  goOn(): void {
    this.#handling = false;
    this.#proceed();
  }

  #proceed(): void {
    while (!this.#over && !this.#handling && this.#waits && this.#reader.takes()) {
      this.#handling = true;
      if (!this.#reader.handle(this.#backlog?.take())) return;
      this.#handling = false;
    }
    if (this.#over || this.#handling || this.#pulling) return;
    if (this.#exhausted) return this.#waits ? undefined : this.#end();
    this.#pull();
  }

  get #waits(): boolean {
    return this.#backlog !== undefined && !this.#backlog.empty;
  }

  #pull(): void {
    let next: Promise<IteratorResult<unknown>>;
    try {
      this.#iterator ??= this.#iterable[Symbol.asyncIterator]();
      if (isPausable(this.#iterator) && !this.#reader.takes()) return;
      if (!this.#reader.mayPull()) return;
      this.#pulling = true;
      next = Promise.resolve(this.#iterator.next());
    } catch (error) {
      return this.#failed(error);
    }
    this.#reader.connection.resume(next, this.#received, this.#failed);
  }

  readonly #received = (result: IteratorResult<unknown>): void => {
    this.#pulling = false;
    if (this.#over) return;
    if (!isObject(result)) return this.#failed(new TypeError('next() of an async iterator must give an object'));
    if (result.done) {
      this.#exhausted = true;
    } else if (this.#handling || this.#waits || !this.#reader.takes()) {
      this.#backlog ??= new Backlog(this.#policy, this.#maxBacklog, this.#reader.connection);
      if (!this.#backlog.add(result.value, this.#reader.connection.mustWait())) {
        return this.#reader.connection.close('tooSlow');
      }
    } else {
      this.#handling = true;
      if (!this.#reader.handle(result.value)) return;
      this.#handling = false;
    }
    this.#proceed();
  };

  readonly #failed = (error: unknown): void => {
    if (this.#over) return;
    this.#over = true;
    this.#reader.failed(error);
  };

  #end(): void {
    this.#over = true;
    this.#reader.finished();
  }

  stop(): PromiseLike<unknown> | undefined {
    this.#backlog?.clear();
    if (this.#over) return undefined;
    this.#over = true;
    if (this.#exhausted) return undefined;
    return returnSource(this.#iterator ?? this.#iterable);
  }
}
