import type { PromiseOr } from '../core/promise-or.ts';
import type { Readers } from './fan-out.ts';
import type { Resumed } from './history.ts';
import type { Position } from './message.ts';

/** What a source pushes into. After `error` or `complete` nothing comes any more. */
export interface Sink<T> {
  /** The next value; `position` says where it stands, if it stands anywhere. */
  next(value: T, position?: Position): void;
  /** The source ended with an error. */
  error(error: unknown): void;
  /** The source ended. */
  complete(): void;
  /**
   * Take over what came and has not been looked at: the reader calls `worker.work(item)` when it suits, in this order, and
   * is given the value by `next` then. Without this method a source does its work on the publisher's time.
   */
  later?(item: unknown, worker: Worker): void;
  /** Something may be missing before the next value. True: the reader knows what to do, and the source goes on. */
  gap?(): boolean;
  /** Count the client that reads, if it is one; see {@link MessageReceiver}. */
  count?(readers: Readers): void;
  /** The same for what has waited for the first reader, which may be much: what a reader that was away has missed. */
  laterAll?(items: readonly unknown[], worker: Worker): void;
}

/** Makes values of what came: decodes, asks filters. */
export interface Worker {
  /** The work asks a function of the application, such as a filter. */
  readonly asks: boolean;
  /** Work off one item: its value, if it passes, goes to the sink, now or later. */
  work(item: unknown): void;
}

/** Messages of a topic may have been lost, such as while the backbone was away: what depends on each of them begins anew. */
export class MessagesLost extends Error {
  /** The topic, or the pattern that matches it. */
  readonly topic: string;

  constructor(topic: string) {
    super(`Messages of "${topic}" may have been lost: read the state again and subscribe anew, or take onGap`);
    this.name = 'MessagesLost';
    this.topic = topic;
  }
}

/** A subscription that nobody reads has more waiting than it may. */
export class NotRead extends Error {
  constructor(buffer: number) {
    super(`A subscription is not read: more than ${buffer} values wait`);
    this.name = 'NotRead';
  }
}

/**
 * Sources with this method can be read from where a reader once was. It is called before anything else is read, at most
 * once; what was missed comes first then.
 */
export const resume: unique symbol = Symbol.for('subwire.resume');

/**
 * Sources with this method know up to where their reader has had everything, so that one whose filter lets nothing pass,
 * or whose topic is quiet, does not fall behind what is kept ([GQL-115]).
 */
export const mark: unique symbol = Symbol.for('subwire.mark');

/** Sources with this method can be pushed to a sink, without an iterator and a promise per value. */
export const push: unique symbol = Symbol.for('subwire.push');

/**
 * The values of a topic, from when it was made. Iterate it, or let it be pushed, once; `return()` or leaving a
 * `for await` loop ends it.
 */
export interface Subscription<T> extends AsyncIterableIterator<T, undefined>, AsyncDisposable {
  /** Resolves when nothing is missed any more, rejects if that cannot be; absent: at once. */
  readonly active?: Promise<void>;
  /** The subscription itself. */
  [Symbol.asyncIterator](): Subscription<T>;
  /** End it. What waits is dropped. */
  return(): Promise<IteratorReturnResult<undefined>>;
  /**
   * Read from here on, where the values have positions: undefined means from now. What was missed comes first, if all of
   * it is known ({@link Resumed}). Absent, or without a position in its answer: this source has no past.
   */
  [resume]?(after: Position | undefined): PromiseOr<Resumed>;
  /** Up to here its reader has had everything; undefined: that is not known, or something is still on its way. */
  [mark]?(): Position | undefined;
  /** Let the values be pushed instead, from what waits on. Returns how to end it. */
  [push](sink: Sink<T>): () => void;
  /** End it, as `await using` does. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** How many values may wait for the reader of an iterator, unless said otherwise. */
export const defaultBuffer = 1_000;

/** `Symbol.asyncDispose`, which browsers of 2023 do not have yet. */
export const asyncDispose: typeof Symbol.asyncDispose = Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose');

interface Failure {
  readonly error: unknown;
}

/** The last result of an iteration. */
async function ending(failure?: Failure): Promise<IteratorReturnResult<undefined>> {
  if (failure) throw failure.error;
  return { done: true, value: undefined };
}

/** A source that was started. */
export interface Stoppable {
  /** Somebody reads: what was held back until then comes now. Called once. */
  begin?(): void;
  /** See {@link Subscription}; absent: there is no past. */
  resume?(after: Position | undefined): PromiseOr<Resumed>;
  /** See {@link Subscription}; absent: it has no positions. */
  mark?(): Position | undefined;
  /** End it. May be called again. */
  stop(): void;
}

/** What a source of {@link createSubscription} pushes into. */
export interface SourceSink<T> extends Omit<Sink<T>, 'later' | 'laterAll' | 'gap' | 'count'> {
  /** Something may be missing. False: the reader must not go on as if nothing were. */
  gap(): boolean;
  /** Count the client that reads, if it is one. */
  count(readers: Readers): void;
  /** Forget what waits for a reader: it comes again. */
  drop(): void;
  /** The same for many items at once. */
  laterAll(items: readonly unknown[], worker: Worker): boolean;
  /** Leave the work on an item to the reader, if it takes that over. False: the source does it, now. */
  later(item: unknown, worker: Worker): boolean;
}

/** What came and was not taken yet, and who waits for more. There are thousands of these: what is rare is made late. */
class Feed<T> implements SourceSink<T> {
  #source: Stoppable | undefined;
  #sink: Sink<T> | undefined;
  #waiting: T[] | undefined;
  #readers: ((result: IteratorResult<T, undefined> | Promise<IteratorResult<T, undefined>>) => void)[] | undefined;
  #begun = false;
  #ended = false;
  #failure: Failure | undefined;
  readonly #buffer: number;

  constructor(buffer: number) {
    this.#buffer = buffer;
  }

  next(value: T, position?: Position): void {
    if (this.#ended) return;
    if (this.#sink) return this.#sink.next(value, position);
    const reader = this.#readers?.shift();
    if (reader) return reader({ done: false, value });
    this.#waiting ??= [];
    if (this.#waiting.push(value) <= this.#buffer) return;
    this.#waiting = undefined;
    this.error(new NotRead(this.#buffer));
  }

  /** Hand over what came to a sink that works it off when it suits. False: this one does not. */
  later(item: unknown, worker: Worker): boolean {
    const sink = this.#sink;
    if (!sink?.later || this.#ended) return false;
    sink.later(item, worker);
    return true;
  }

  drop(): void {
    this.#waiting = undefined;
  }

  gap(): boolean {
    return this.#sink?.gap?.() ?? false;
  }

  count(readers: Readers): void {
    this.#sink?.count?.(readers);
  }

  laterAll(items: readonly unknown[], worker: Worker): boolean {
    const sink = this.#sink;
    if (!sink?.laterAll || this.#ended) return false;
    sink.laterAll(items, worker);
    return true;
  }

  error(error: unknown): void {
    if (this.end({ error })) this.#sink?.error(error);
  }

  complete(): void {
    if (this.end()) this.#sink?.complete();
  }

  /** False: it had ended already. */
  end(failure?: Failure): boolean {
    if (this.#ended) return false;
    this.#ended = true;
    this.#source?.stop();
    // Told to whoever waits, else kept for the next who asks.
    if (!this.#readers?.length) this.#failure = failure;
    for (const reader of this.#readers ?? []) reader(ending(failure));
    this.#readers = undefined;
    return true;
  }

  #begin(): void {
    if (this.#begun) return;
    this.#begun = true;
    this.#source?.begin?.();
  }

  async take(): Promise<IteratorResult<T, undefined>> {
    this.#begin();
    if (this.#waiting?.length) return { done: false, value: this.#waiting.shift() as T };
    if (!this.#ended) {
      return new Promise((resolve) => {
        this.#readers ??= [];
        this.#readers.push(resolve);
      });
    }
    const failure = this.#failure;
    this.#failure = undefined;
    return ending(failure);
  }

  leave(): Promise<IteratorReturnResult<undefined>> {
    this.#waiting = undefined;
    this.complete();
    return ending();
  }

  pushTo(sink: Sink<T>): () => void {
    // What comes while these are handed over waits behind them.
    while (this.#waiting?.length) sink.next(this.#waiting.shift() as T);
    this.#sink = sink;
    this.#begin();
    if (this.#failure) sink.error(this.#failure.error);
    else if (this.#ended) sink.complete();
    return () => this.end();
  }

  /** See {@link Subscription}. */
  resume(after: Position | undefined): PromiseOr<Resumed> {
    return this.#source?.resume?.(after) ?? { position: undefined, recovered: false };
  }

  /** See {@link Subscription}. */
  mark(): Position | undefined {
    return this.#waiting?.length || this.#ended ? undefined : this.#source?.mark?.();
  }

  /** What was started is stopped at the end, which may have come already. */
  started(source: Stoppable | (() => void)): void {
    this.#source = typeof source === 'function' ? { stop: source } : source;
    if (this.#ended) this.#source.stop();
  }
}

class FeedSubscription<T> implements Subscription<T> {
  readonly #feed: Feed<T>;

  constructor(feed: Feed<T>) {
    this.#feed = feed;
  }

  next(): Promise<IteratorResult<T, undefined>> {
    return this.#feed.take();
  }

  return(): Promise<IteratorReturnResult<undefined>> {
    return this.#feed.leave();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  [resume](after: Position | undefined): PromiseOr<Resumed> {
    return this.#feed.resume(after);
  }

  [mark](): Position | undefined {
    return this.#feed.mark();
  }

  [push](sink: Sink<T>): () => void {
    return this.#feed.pushTo(sink);
  }

  async [asyncDispose](): Promise<void> {
    this.#feed.end();
  }
}

/**
 * A subscription over a source that is told to start and to stop. `start` is called at once and gets the sink; what it
 * returns, or its `stop`, stops it. Values that come before anybody reads wait, up to `buffer`; one more ends the
 * subscription with an error, so that an abandoned one costs a bounded amount of memory.
 */
export function createSubscription<T>(
  start: (sink: SourceSink<T>) => Stoppable | (() => void),
  buffer: number = defaultBuffer,
): Subscription<T> {
  const feed = new Feed<T>(buffer);
  feed.started(start(feed));
  return new FeedSubscription(feed);
}
