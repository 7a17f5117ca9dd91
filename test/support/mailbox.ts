/**
 * What came, to be awaited one by one.
 *
 * @example
 * const mailbox = new Mailbox<string>();
 * client.subscribe('/topic/a', ({ body }) => mailbox.put(body));
 * expect(await mailbox.next()).toBe('first');
 */
export class Mailbox<T> {
  readonly #kept: T[] = [];
  readonly #waiting: ((value: T) => void)[] = [];

  /** How many nobody has taken yet. */
  get size(): number {
    return this.#kept.length;
  }

  put(value: T): void {
    const waiting = this.#waiting.shift();
    if (waiting) waiting(value);
    else this.#kept.push(value);
  }

  next(): Promise<T> {
    if (this.#kept.length > 0) return Promise.resolve(this.#kept.shift() as T);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}
