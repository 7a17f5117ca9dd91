import type { Readers } from '../../bus/fan-out.ts';
import type { Position } from '../../bus/message.ts';
import { mark, push, type Sink, type Subscription, type Worker } from '../../bus/subscription.ts';
import type { SlowSubscriber } from '../../core/slow-subscriber.ts';
import { Backlog } from './backlog.ts';
import type { Places } from './resume.ts';
import type { Shares, Work } from './shares.ts';
import type { Reader, Source } from './source.ts';

/** What a pushed source tells the operation that reads it. */
export interface PushedReader extends Reader {
  /** Where it waits for its share of time. */
  readonly shares: Shares;
  /** Where the client is, if it wants to know that. */
  readonly places: Places | undefined;
  /** Call `workNow` in the async context of the operation. `asks`: it asks a function of the application in any case. */
  work(source: { workNow(): void }, asks: boolean): void;
}

/** A value that waits, for a client that wants to know where it stands. */
class Placed {
  readonly value: unknown;
  readonly position: Position;

  constructor(value: unknown, position: Position) {
    this.value = value;
    this.position = position;
  }
}

/**
 * A subscription that pushes, such as one of a bus topic: no iterator and no promise per value.
 *
 * What comes is taken at once and worked off later ([GQL-54]), in two steps: what came is decoded and asked of the filter
 * when the operation has its share of time; the values that pass are executed, or wait in the backlog.
 *
 *   publisher ──later()──▶ items ──workOff()──▶ worker ──next()──▶ backlog, or reader.handle()
 */
export class PushedSource implements Source, Sink<unknown>, Work, Worker {
  readonly #reader: PushedReader;
  readonly #subscription: Subscription<unknown>;
  readonly #policy: SlowSubscriber;
  readonly #maxBacklog: number;
  // The item that came first; those behind it, if there are any: for most there is one at a time.
  #item: unknown;
  #items: unknown[] | undefined;
  #worker: Worker | undefined;
  /** There is an item, and it waits for its share. */
  #queued = false;
  #working = false;
  #backlog: Backlog | undefined;
  #handling = false;
  /** It ended by itself, with an error or without. */
  #completed: { readonly error?: unknown } | undefined;
  #over = false;

  constructor(reader: PushedReader, subscription: Subscription<unknown>, policy: SlowSubscriber, maxBacklog: number) {
    this.#reader = reader;
    this.#subscription = subscription;
    this.#policy = policy;
    this.#maxBacklog = maxBacklog;
  }

  start(): void {
    this.#subscription[push](this);
  }

  // ── what came ──────────────────────────────────────────────────────────────────────────────────────────────────

  later(item: unknown, worker: Worker): void {
    if (this.#over) return;
    this.#worker = worker;
    if (!this.#queued) {
      this.#queued = true;
      this.#item = item;
      this.#reader.shares.add(this, this.#reader.connection);
    } else if (!this.#items) this.#items = [item];
    else {
      // More than this in one turn are worked off at once: the publisher pays, and nobody is cut for our own delay.
      if (this.#items.length >= this.#maxBacklog) {
        if (!this.#working) this.#workOne();
        else if (this.#policy === 'disconnect') return this.#overflow();
        else this.#items.shift();
      }
      if (!this.#over) this.#items?.push(item);
    }
  }

  /** What the reader missed: more than may wait of what comes while it is there. */
  laterAll(items: readonly unknown[], worker: Worker): void {
    if (this.#over || items.length === 0) return;
    const [first, ...rest] = items;
    this.later(first, worker);
    if (rest.length === 0) return;
    this.#items ??= [];
    for (const item of rest) this.#items.push(item);
  }

  count(readers: Readers): void {
    readers.all++;
    if (this.#reader.connection.lags) readers.lagging++;
  }

  gap(): boolean {
    this.#reader.places?.gap();
    return this.#reader.places !== undefined;
  }

  workOff(): boolean {
    for (let more = this.#queued; more; ) {
      // Of the last one: what comes while it is worked off waits anew.
      more = this.#items !== undefined;
      this.#workOne();
      if (this.#over) return false;
      if (more && !this.#reader.shares.timeLeft()) return true;
    }
    this.#end();
    return false;
  }

  #workOne(): void {
    this.#working = true;
    this.#reader.work(this, this.#worker?.asks === true);
    this.#working = false;
  }

  /** Work off the oldest item, here and now. */
  workNow(): void {
    const item = this.#item;
    const items = this.#items;
    this.#item = items?.shift();
    if (!items) this.#queued = false;
    else if (items.length === 0) this.#items = undefined;
    this.#worker?.work(item);
  }

  /** A source that does its work itself hands over values: nothing is asked to make them. */
  get asks(): boolean {
    return false;
  }

  work(item: unknown): void {
    if (item instanceof Placed) this.#accept(item.value, item.position);
    else this.#accept(item, undefined);
  }

  // ── values ─────────────────────────────────────────────────────────────────────────────────────────────────────

  next(value: unknown, position?: Position): void {
    // Out of a worker, now or after an asynchronous filter. Without one it comes on the publisher's stack.
    if (this.#worker && this.#worker !== this) this.#accept(value, position);
    else this.later(this.#placed(value, position), this);
  }

  #accept(value: unknown, position: Position | undefined): void {
    if (this.#over) return;
    if (this.#handling || this.#waits || this.#mustWait()) return this.#keep(this.#placed(value, position));
    // Before it is handled: a resolver may push into the very source that it answers.
    this.#handling = true;
    if (this.#reader.handle(value, position)) this.goOn();
  }

  #placed(value: unknown, position: Position | undefined): unknown {
    return position && this.#reader.places ? new Placed(value, position) : value;
  }

  get #waits(): boolean {
    return this.#backlog !== undefined && !this.#backlog.empty;
  }

  #mustWait(): boolean {
    return this.#policy !== 'disconnect' && !this.#reader.takes();
  }

  #keep(value: unknown): void {
    this.#backlog ??= new Backlog(this.#policy, this.#maxBacklog);
    if (!this.#backlog.add(value, this.#reader.connection.mustWait())) this.#overflow();
  }

  #overflow(): void {
    this.#reader.failed(new Error(`More than ${this.#maxBacklog} events were waiting to be executed`));
  }

  goOn(): void {
    this.#handling = false;
    while (this.#waits && !this.#over) {
      if (this.#mustWait()) return;
      this.#handling = true;
      const kept = this.#backlog?.take();
      const isPlaced = kept instanceof Placed;
      if (!this.#reader.handle(isPlaced ? kept.value : kept, isPlaced ? kept.position : undefined)) return;
      this.#handling = false;
    }
    this.#end();
  }

  /** What is queued, executed or kept has not been sent. */
  mark(): Position | undefined {
    const waits = this.#queued || this.#working || this.#handling || this.#waits;
    return waits || this.#over || this.#completed ? undefined : this.#subscription[mark]?.();
  }

  // ── the end ────────────────────────────────────────────────────────────────────────────────────────────────────

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
    if (!this.#completed || this.#over || this.#handling || this.#waits || this.#queued || this.#working) return;
    this.#over = true;
    if ('error' in this.#completed) this.#reader.failed(this.#completed.error);
    else this.#reader.finished();
  }

  stop(): PromiseLike<unknown> | undefined {
    this.#queued = false;
    this.#item = this.#items = undefined;
    this.#backlog?.clear();
    if (this.#over) return undefined;
    this.#over = true;
    return this.#subscription.return();
  }
}
