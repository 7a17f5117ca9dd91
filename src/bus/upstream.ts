import type { Clock, Timed } from '../core/clock.ts';
import type { Backbone } from './backbone.ts';
import type { History } from './history.ts';
import { isPrivate } from './pattern.ts';

/** So many names are heard on after their last reader left; the oldest go first. */
const maxLingering = 10_000;

/**
 * The names that a bus hears of its backbone. One that nobody reads any more is heard on for `maxAge` while there is
 * a history, or that of the topic would have a hole when its readers come back ([BUS-36]).
 */
export class Upstream implements Timed {
  /** When the next name goes. */
  deadline: number = Number.POSITIVE_INFINITY;
  readonly #backbone: Backbone;
  readonly #clock: Clock;
  readonly #history: History | undefined;
  readonly #maxAge: number;
  readonly #report: (error: unknown) => void;
  /** Names that nobody reads, by when they go, and what their subscribe resolved with; the first goes first. */
  readonly #lingering = new Map<string, number>();
  readonly #active = new Map<string, Promise<void>>();

  constructor(
    backbone: Backbone,
    clock: Clock,
    history: History | undefined,
    maxAge: number,
    report: (error: unknown) => void,
  ) {
    this.#backbone = backbone;
    this.#clock = clock;
    this.#history = history;
    this.#maxAge = maxAge;
    this.#report = report;
  }

  /** Somebody reads a name. Resolves when it is live. */
  subscribe(name: string): Promise<void> {
    const known = this.#lingering.delete(name) ? this.#active.get(name) : undefined;
    if (known) return known;
    const active = this.#subscribe(name);
    this.#active.set(name, active);
    active.catch(this.#report);
    return active;
  }

  async #subscribe(name: string): Promise<void> {
    const place = await this.#backbone.subscribe(name);
    if (this.#active.has(name)) this.#history?.live(name, place);
  }

  /** Nobody reads it any more. */
  unsubscribe(name: string): void {
    if (!this.#history?.wanted || isPrivate(name)) return this.#drop(name);
    this.#lingering.set(name, this.#clock.now() + this.#maxAge);
    if (this.#lingering.size > maxLingering) this.#dropFirst();
    if (this.#lingering.size === 1) this.#watch();
  }

  #dropFirst(): void {
    for (const [name] of this.#lingering) {
      this.#lingering.delete(name);
      return this.#drop(name);
    }
  }

  #drop(name: string): void {
    this.#active.delete(name);
    this.#history?.gone(name);
    called(() => this.#backbone.unsubscribe(name)).catch(this.#report);
  }

  #watch(): void {
    const [first = Number.POSITIVE_INFINITY] = this.#lingering.values();
    this.deadline = first;
    if (first < Number.POSITIVE_INFINITY) this.#clock.watch(this);
  }

  /** Let go of what has lingered for long enough. */
  tick(now: number): void {
    for (const [name, until] of this.#lingering) {
      if (until > now) break;
      this.#lingering.delete(name);
      this.#drop(name);
    }
    this.#watch();
  }

  /** The bus is closed. */
  stop(): void {
    this.#lingering.clear();
    this.deadline = Number.POSITIVE_INFINITY;
    this.#clock.forget(this);
  }
}

/** A method of a backbone may throw instead of rejecting: both are a rejection. */
export async function called(call: () => Promise<unknown>): Promise<void> {
  await call();
}
