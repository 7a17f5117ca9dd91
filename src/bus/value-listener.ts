import { isPromise, type PromiseOr } from '../core/promise-or.ts';
import type { ListenHandle, MessageReceiver, Readers } from './fan-out.ts';
import type { Resumed } from './history.ts';
import type { Message, Position } from './message.ts';
import { kindOf } from './names.ts';
import { MessagesLost, NotRead, type SourceSink, type Stoppable, type Worker } from './subscription.ts';
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
  /** The past of the topic, if it has one. */
  readonly past: PastOfTopic | undefined;
}

/** What a listener needs of the past of its topic. */
export interface PastOfTopic {
  /** Somebody who may come back reads from now on. */
  entered(): void;
  /** It has left. */
  left(): void;
  /** What came after a position; undefined: not known for certain. */
  since(name: string, after: Position): PromiseOr<readonly Message[] | undefined>;
  /** Where a reader is that begins now. */
  placeOf(name: string): Position | undefined;
}

/** Somebody reads already. */
const begun = 1;
/** It waits for what was missed. */
const waits = 2;
/** The past counts it as one who may come back. */
const mayComeBack = 4;

/** Stands in the line of values where messages may have been lost. */
class Gap {
  readonly topic: string;

  constructor(topic: string) {
    this.topic = topic;
  }
}

/** Stands behind the last message. */
const end: unique symbol = Symbol('end');

/** A value that waits for an asynchronous filter. */
interface Placed<T> {
  readonly value: T;
  readonly position: Position;
}

/**
 * The listener of a subscription: values that pass its filter go to its sink, in their order ([BUS-8]). While it is looked
 * up what its reader missed, messages wait as they came.
 */
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
  /** Behind what its reader missed: messages, gaps, the end. */
  #held: unknown[] | undefined;
  /** What it is in: there are thousands of these, and a flag for each would cost memory. */
  #flags = 0;
  /** Of the first message that came before anybody read. */
  #first: Position | undefined;
  /** Undefined: the topic has no past. */
  readonly #past: PastOfTopic | undefined;
  // What came while an asynchronous filter thinks; undefined while none does.
  #line: (Placed<T> | Gap)[] | undefined;

  constructor(topic: Topic<T>, options: ValueListenerOptions<T>, sink: SourceSink<T>, host: ValueListenerHost) {
    this.#topic = topic;
    this.#sink = sink;
    this.#host = host;
    this.#filter = options.filter;
    this.#onGap = options.onGap;
    this.#buffer = options.buffer;
    this.#past = options.past;
  }

  /** It listens: `stop` ends that. */
  started(listening: ListenHandle): void {
    this.#listening = listening;
  }

  /** End it. What waits for the filter is dropped. */
  stop(): void {
    this.#stopped = true;
    this.#line = undefined;
    this.#held = undefined;
    this.#listening?.stop();
    if (this.#flags & mayComeBack) this.#past?.left();
    this.#flags &= ~mayComeBack;
  }

  /** A filter is asked. */
  get asks(): boolean {
    return this.#filter !== undefined;
  }

  /** A message of the topic: the publisher does not pay for what it costs, where the reader takes that over ([BUS-15]). */
  receive(message: Message): void {
    if (!this.#first && !(this.#flags & begun)) this.#first = message.position;
    if (this.#held) return this.#hold(this.#held, message);
    if (!this.#sink.later(message, this)) this.work(message);
  }

  #hold(held: unknown[], item: unknown): void {
    if (held.push(item) > this.#buffer) this.#sink.error(new NotRead(this.#buffer));
  }

  /** See {@link Subscription}: what was missed comes before what has come since. */
  resume(after: Position | undefined): PromiseOr<Resumed> {
    const past = this.#past;
    if (!past || this.#stopped) return { position: undefined, recovered: false };
    if (!(this.#flags & mayComeBack)) past.entered();
    this.#flags |= mayComeBack;
    if (after === undefined || this.#flags & begun) return { position: this.#begins(past), recovered: false };
    const missed = past.since(this.#topic.name, after);
    this.#held = [];
    const finish = (found: readonly Message[] | undefined): Resumed => {
      this.#flags &= ~waits;
      const begins = this.#begins(past);
      if (found) this.#splice(after, found);
      // What is recovered waits for its reader, so that nothing of it is too much at once.
      if (!found || this.#flags & begun) this.#release();
      return found ? { position: after, recovered: true } : { position: begins, recovered: false };
    };
    if (!isPromise(missed)) return finish(missed);
    this.#flags |= waits;
    return missed.then(finish, () => finish(undefined));
  }

  /** See {@link Subscription}: messages that wait here have not been had. */
  mark(): Position | undefined {
    return this.#held || this.#line || this.#stopped ? undefined : this.#past?.placeOf(this.#topic.name);
  }

  /** Begin behind a position, or with a gap before the first value. */
  since(after: Position): void {
    const outcome = this.resume(after);
    const judge = ({ recovered }: Resumed): void => {
      if (!recovered && !this.#stopped) this.#lost(this.#topic.name);
    };
    if (isPromise(outcome)) outcome.then(judge);
    else judge(outcome);
  }

  /** Where it began: what it has had came later. */
  #begins(past: PastOfTopic): Position | undefined {
    const first = this.#first;
    return first ? { epoch: first.epoch, offset: first.offset - 1 } : past.placeOf(this.#topic.name);
  }

  /** What was missed holds all that has come so far as well, whatever the filter made of it. */
  #splice(after: Position, missed: readonly Message[]): void {
    const held = this.#held;
    if (!held) return;
    this.#sink.drop();
    this.#line = undefined;
    // A server may lag behind the one that the reader was at: then live messages are none that it has not had.
    const last = Math.max(after.offset, missed.at(-1)?.position.offset ?? 0);
    const isNew = (item: unknown): boolean => !isMessage(item) || item.position.offset > last;
    this.#held = [...missed, ...held.filter(isNew)];
  }

  /** Somebody reads. */
  begin(): void {
    this.#flags |= begun;
    this.#first = undefined;
    if (!(this.#flags & waits)) this.#release();
  }

  #release(): void {
    const held = this.#held;
    this.#held = undefined;
    if (!held || held.length === 0 || this.#sink.laterAll(held, this)) return;
    for (const item of held) this.work(item);
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
    if (line) return this.#wait(line, { value, position: message.position });
    try {
      this.#judge(value, message.position);
    } catch (error) {
      this.#sink.error(error);
    }
  }

  count(readers: Readers): void {
    if (!this.#stopped) this.#sink.count(readers);
  }

  /** Messages may have been lost: told after what came before. */
  gap(topic: string): void {
    const gap = new Gap(topic);
    if (this.#held) return this.#hold(this.#held, gap);
    if (!this.#sink.later(gap, this)) this.work(gap);
  }

  /** The bus was closed: what came before is still worked off. */
  closed(): void {
    if (this.#held) return this.#hold(this.#held, end);
    if (!this.#sink.later(end, this)) this.#sink.complete();
  }

  #lost(topic: string): void {
    const onGap = this.#onGap;
    const isTold = this.#sink.gap();
    if (!onGap && isTold) return;
    if (!onGap) return this.#sink.error(new MessagesLost(topic));
    const failed = (error: unknown): void => this.#host.report(error);
    try {
      const answer: unknown = onGap(topic);
      if (isPromise(answer)) Promise.resolve(answer).catch(failed);
    } catch (error) {
      failed(error);
    }
  }

  #wait(line: (Placed<T> | Gap)[], placed: Placed<T>): void {
    if (line.push(placed) <= this.#buffer) return;
    const { name } = this.#topic;
    this.#sink.error(new Error(`The filter of "${name}" is too slow: more than ${this.#buffer} values wait for it`));
  }

  #judge(value: T, position: Position): void {
    const filter = this.#filter;
    if (!filter) return this.#sink.next(value, position);
    const answer: unknown = filter(value);
    if (typeof answer === 'boolean' || !isPromise(answer)) return this.#decide(value, position, answer);
    const line: (Placed<T> | Gap)[] = [];
    this.#line = line;
    void this.#workOff(filter, { value, position }, answer, line);
  }

  /** One value after the other, so that their order stays; a rejection ends the subscription. */
  async #workOff(
    filter: (value: T) => PromiseOr<boolean>,
    first: Placed<T>,
    answer: PromiseLike<unknown>,
    line: (Placed<T> | Gap)[],
  ): Promise<void> {
    try {
      let next: Placed<T> | Gap | undefined = first;
      let verdict: unknown = await answer;
      while (next) {
        // What was missed has come meanwhile, with all of this in it.
        if (this.#line !== line) return;
        if (next instanceof Gap) this.#lost(next.topic);
        else this.#decide(next.value, next.position, verdict);
        next = line.shift();
        if (next && !(next instanceof Gap)) verdict = await filter(next.value);
      }
    } catch (error) {
      if (this.#line === line) this.#sink.error(error);
    }
    if (this.#line === line) this.#line = undefined;
  }

  #decide(value: T, position: Position, answer: unknown): void {
    if (this.#stopped) return;
    if (answer === true) return this.#sink.next(value, position);
    // What counts as true elsewhere is a mistake here, and lets nothing through ([BUS-8]).
    if (!answer || this.#warned) return;
    this.#warned = true;
    const { name } = this.#topic;
    this.#host.report(
      new TypeError(`The filter of "${name}" must answer true or false; got ${kindOf(answer)}, taken as false`),
    );
  }
}

/** Is this a message, and neither a gap nor the end? */
const isMessage = (item: unknown): item is Message => item !== end && !(item instanceof Gap);
