import { isPromise, type PromiseOr } from '../core/promise-or.ts';
import type { ListenHandle, MessageReceiver } from './fan-out.ts';
import type { Message } from './message.ts';
import { kindOf } from './names.ts';
import { MessagesLost, type SourceSink, type Stoppable, type Worker } from './subscription.ts';
import type { Topic } from './topic.ts';

/** What subscriptions tell their bus. */
export interface ValueListenerHost {
  /** A body is none of this topic. */
  undecoded(error: unknown, message: Message): void;
  /** A function of the application has a bug that is to be told. */
  report(error: unknown): void;
}

/** What the application wants of a subscription. */
export interface ValueListenerOptions<T> {
  /** Only values for which the answer is `true` are passed on. */
  readonly filter: ((value: T) => PromiseOr<boolean>) | undefined;
  /** Told when messages may have been lost; without it the subscription ends with an error. */
  readonly onGap: ((topic: string) => void) | undefined;
  /** How many values may wait for an asynchronous filter. */
  readonly buffer: number;
}

/** Stands in the line of values where messages may have been lost. */
class Gap {
  readonly topic: string;

  constructor(topic: string) {
    this.topic = topic;
  }
}

/** Stands behind the last message. */
const end: unique symbol = Symbol('end');

/** The listener of a subscription: values that pass its filter go to its sink, in their order ([BUS-8]). */
export class ValueListener<T> implements MessageReceiver, Stoppable, Worker {
  readonly #topic: Topic<T>;
  readonly #sink: SourceSink<T>;
  readonly #host: ValueListenerHost;
  readonly #filter: ((value: T) => PromiseOr<boolean>) | undefined;
  readonly #onGap: ((topic: string) => void) | undefined;
  readonly #buffer: number;
  #listening: ListenHandle | undefined;
  #stopped = false;
  #warned = false;
  // What came while an asynchronous filter thinks; undefined while none does.
  #line: (T | Gap)[] | undefined;

  constructor(topic: Topic<T>, options: ValueListenerOptions<T>, sink: SourceSink<T>, host: ValueListenerHost) {
    this.#topic = topic;
    this.#sink = sink;
    this.#host = host;
    this.#filter = options.filter;
    this.#onGap = options.onGap;
    this.#buffer = options.buffer;
  }

  /** It listens: `stop` ends that. */
  started(listening: ListenHandle): void {
    this.#listening = listening;
  }

  /** End it. What waits for the filter is dropped. */
  stop(): void {
    this.#stopped = true;
    this.#line = undefined;
    this.#listening?.stop();
  }

  /** A filter is asked. */
  get asks(): boolean {
    return this.#filter !== undefined;
  }

  /** A message of the topic: the publisher does not pay for what it costs, where the reader takes that over ([BUS-15]). */
  receive(message: Message): void {
    if (!this.#sink.later(message, this)) this.work(message);
  }

  /** Decode a message and ask the filter. */
  work(item: unknown): void {
    if (this.#stopped) return;
    if (item === end) return this.#sink.complete();
    if (item instanceof Gap) {
      if (this.#line) this.#line.push(item);
      else this.#lost(item.topic);
      return;
    }
    const message = item as Message;
    let value: T;
    try {
      value = message.encodedAs(this.#topic.value);
    } catch (error) {
      return this.#host.undecoded(error, message);
    }
    const line = this.#line;
    if (line) return this.#wait(line, value);
    try {
      this.#judge(value);
    } catch (error) {
      this.#sink.error(error);
    }
  }

  /** Messages may have been lost: told after what came before. */
  gap(topic: string): void {
    const gap = new Gap(topic);
    if (!this.#sink.later(gap, this)) this.work(gap);
  }

  /** The bus was closed: what came before is still worked off. */
  closed(): void {
    if (!this.#sink.later(end, this)) this.#sink.complete();
  }

  #lost(topic: string): void {
    const onGap = this.#onGap;
    if (!onGap) return this.#sink.error(new MessagesLost(topic));
    const failed = (error: unknown): void => this.#host.report(error);
    try {
      const answer: unknown = onGap(topic);
      if (isPromise(answer)) Promise.resolve(answer).catch(failed);
    } catch (error) {
      failed(error);
    }
  }

  #wait(line: (T | Gap)[], value: T): void {
    if (line.push(value) <= this.#buffer) return;
    const { name } = this.#topic;
    this.#sink.error(new Error(`The filter of "${name}" is too slow: more than ${this.#buffer} values wait for it`));
  }

  #judge(value: T): void {
    const filter = this.#filter;
    if (!filter) return this.#sink.next(value);
    const answer: unknown = filter(value);
    if (typeof answer === 'boolean' || !isPromise(answer)) return this.#decide(value, answer);
    const line: (T | Gap)[] = [];
    this.#line = line;
    void this.#workOff(filter, value, answer, line);
  }

  /** One value after the other, so that their order stays; a rejection ends the subscription. */
  async #workOff(
    filter: (value: T) => PromiseOr<boolean>,
    first: T,
    answer: PromiseLike<unknown>,
    line: (T | Gap)[],
  ): Promise<void> {
    try {
      this.#decide(first, await answer);
      while (line.length > 0 && !this.#stopped) {
        const next = line.shift() as T | Gap;
        if (next instanceof Gap) this.#lost(next.topic);
        else this.#decide(next, await filter(next));
      }
    } catch (error) {
      this.#sink.error(error);
    }
    this.#line = undefined;
  }

  #decide(value: T, answer: unknown): void {
    if (this.#stopped) return;
    if (answer === true) return this.#sink.next(value);
    // What counts as true elsewhere is a mistake here, and lets nothing through ([BUS-8]).
    if (!answer || this.#warned) return;
    this.#warned = true;
    const { name } = this.#topic;
    this.#host.report(
      new TypeError(`The filter of "${name}" must answer true or false; got ${kindOf(answer)}, taken as false`),
    );
  }
}
