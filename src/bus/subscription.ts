/** What a source pushes into. After `error` or `complete` nothing comes any more. */
export interface Sink<T> {
  next(value: T): void;
  error(error: unknown): void;
  complete(): void;
}

/** Sources with this method can be pushed to a sink, without an iterator and a promise per value. */
export const push: unique symbol = Symbol.for('subwire.push');

/**
 * The values of a topic, from when it was made. Iterate it, or let it be pushed, once; `return()` or leaving a
 * `for await` loop ends it.
 */
export interface Subscription<T> extends AsyncIterableIterator<T, undefined>, AsyncDisposable {
  /** Resolves when nothing is missed any more, rejects if that cannot be; absent: at once. */
  readonly active?: Promise<void>;
  [Symbol.asyncIterator](): Subscription<T>;
  return(): Promise<IteratorReturnResult<undefined>>;
  [push](sink: Sink<T>): () => void;
  [Symbol.asyncDispose](): Promise<void>;
}

/** The values that wait for a reader of an iterator are this many at the most, unless said otherwise. */
export const defaultBuffer = 1_000;

/** Browsers of 2023 do not have the symbol yet. */
export const asyncDispose: typeof Symbol.asyncDispose = Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose');

interface Reader<T> {
  resolve(result: IteratorResult<T, undefined>): void;
  reject(error: unknown): void;
}

/** What came and was not taken yet, and who waits for more. There are thousands of these: what is rare is made late. */
class Feed<T> implements Sink<T> {
  sink: Sink<T> | undefined;
  waiting: T[] | undefined;
  readers: Reader<T>[] | undefined;
  ended = false;
  failure: { readonly error: unknown } | undefined;
  stop: (() => void) | undefined;
  readonly #buffer: number;

  constructor(buffer: number) {
    this.#buffer = buffer;
  }

  next(value: T): void {
    if (this.ended) return;
    if (this.sink) return this.sink.next(value);
    const reader = this.readers?.shift();
    if (reader) return reader.resolve({ done: false, value });
    this.waiting ??= [];
    if (this.waiting.length < this.#buffer) return void this.waiting.push(value);
    this.waiting = undefined;
    this.error(new Error(`A subscription was not read: more than ${this.#buffer} values were waiting`));
  }

  error(error: unknown): void {
    if (this.ended) return;
    this.end({ error });
    this.sink?.error(error);
  }

  complete(): void {
    if (this.ended) return;
    this.end();
    this.sink?.complete();
  }

  end(failure?: { readonly error: unknown }): void {
    if (this.ended) return;
    const { readers } = this;
    this.ended = true;
    this.readers = undefined;
    this.stop?.();
    // Told to whoever waits, else kept for the next who asks.
    if (!readers?.length) this.failure = failure;
    for (const reader of readers ?? []) {
      if (failure) reader.reject(failure.error);
      else reader.resolve({ done: true, value: undefined });
    }
  }
}

class FeedSubscription<T> implements Subscription<T> {
  readonly #feed: Feed<T>;

  constructor(feed: Feed<T>) {
    this.#feed = feed;
  }

  async next(): Promise<IteratorResult<T, undefined>> {
    const feed = this.#feed;
    if (feed.waiting?.length) return { done: false, value: feed.waiting.shift() as T };
    if (feed.failure) {
      const { error } = feed.failure;
      feed.failure = undefined;
      throw error;
    }
    if (feed.ended) return { done: true, value: undefined };
    return new Promise((resolve, reject) => {
      feed.readers ??= [];
      feed.readers.push({ resolve, reject });
    });
  }

  async return(): Promise<IteratorReturnResult<undefined>> {
    this.#feed.waiting = undefined;
    this.#feed.complete();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  [push](to: Sink<T>): () => void {
    const feed = this.#feed;
    // What comes while these are handed over waits behind them.
    while (feed.waiting?.length) to.next(feed.waiting.shift() as T);
    feed.sink = to;
    if (feed.failure) to.error(feed.failure.error);
    else if (feed.ended) to.complete();
    return () => feed.end();
  }

  async [asyncDispose](): Promise<void> {
    this.#feed.end();
  }
}

/**
 * A subscription over a source that is told to start and to stop. `start` is called at once and gets the sink;
 * what it returns stops it. Values that come before anybody reads wait, up to `buffer`; one more ends the
 * subscription with an error, so that an abandoned one costs a bounded amount of memory.
 */
export function createSubscription<T>(
  start: (sink: Sink<T>) => () => void,
  buffer: number = defaultBuffer,
): Subscription<T> {
  const feed = new Feed<T>(buffer);
  const stop = start(feed);
  feed.stop = stop;
  // The source ended while it started: there was nothing to stop yet.
  if (feed.ended) stop();
  return new FeedSubscription(feed);
}
