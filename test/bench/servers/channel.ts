/** Events for any number of readers, each by an async iterator of its own: what a resolver returns without a library. */
export class Channel {
  readonly #readers = new Set<Reader>();

  publish(event: unknown): void {
    for (const reader of this.#readers) reader.give(event);
  }

  subscribe(): AsyncIterableIterator<unknown> {
    const reader: Reader = new Reader(() => this.#readers.delete(reader));
    this.#readers.add(reader);
    return reader;
  }
}

class Reader implements AsyncIterableIterator<unknown> {
  readonly #stop: () => void;
  readonly #waiting: unknown[] = [];
  #resolve: ((result: IteratorResult<unknown>) => void) | undefined;

  constructor(stop: () => void) {
    this.#stop = stop;
  }

  give(value: unknown): void {
    const resolve = this.#resolve;
    this.#resolve = undefined;
    if (resolve) resolve({ done: false, value });
    else this.#waiting.push(value);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<unknown>> {
    if (this.#waiting.length > 0) return Promise.resolve({ done: false, value: this.#waiting.shift() });
    return new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  return(): Promise<IteratorResult<unknown>> {
    this.#stop();
    this.#resolve?.({ done: true, value: undefined });
    return Promise.resolve({ done: true, value: undefined });
  }
}
