import type { Encoding, Message } from './message.ts';
import type { Sink } from './subscription.ts';

/** The listener of a subscription: values that pass its filter go to its sink. */
export class ValueListener<T> {
  readonly #form: Encoding<T>;
  readonly #filter: ((value: T) => boolean) | undefined;
  readonly #sink: Sink<T>;
  readonly #undecoded: (error: unknown, message: Message) => void;

  constructor(
    form: Encoding<T>,
    filter: ((value: T) => boolean) | undefined,
    sink: Sink<T>,
    undecoded: (error: unknown, message: Message) => void,
  ) {
    this.#form = form;
    this.#filter = filter;
    this.#sink = sink;
    this.#undecoded = undecoded;
  }

  receive(message: Message): void {
    let value: T;
    try {
      value = message.encodedAs(this.#form);
    } catch (error) {
      return this.#undecoded(error, message);
    }
    const filter = this.#filter;
    try {
      if (filter && !filter(value)) return;
    } catch (error) {
      return this.#sink.error(error);
    }
    this.#sink.next(value);
  }
}
