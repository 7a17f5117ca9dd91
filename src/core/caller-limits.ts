import { type Clock, never, type Timed } from './clock.ts';
import { assertOption, checkNames, mustBeRecord } from './options.ts';

/** What one address, or one principal, may do at an endpoint. */
export interface CallerLimits {
  /**
   * Connections at a time.
   *
   * @defaultValue Infinity
   */
  readonly connections?: number | undefined;
  /**
   * New connections per second; a second's worth may come at once.
   *
   * @defaultValue Infinity
   */
  readonly connectsPerSecond?: number | undefined;
}

interface Caller {
  open: number;
  tokens: number;
  filledAt: number;
}

/** How often callers that have left are forgotten, in ms. */
const sweepEvery = 10_000;

/** Counts the connections of each caller, whoever that is: an address, or a principal's name. */
export class CallerCounter {
  readonly #most: number;
  readonly #perSecond: number;
  readonly #clock: Clock;
  readonly #callers = new Map<string, Caller>();
  readonly #sweep: Timed & { deadline: number };

  /** Throws a `TypeError` that names the option if a limit is no number above 0; `owner` is the option they belong to. */
  constructor(limits: CallerLimits | undefined, owner: string, clock: Clock) {
    mustBeRecord(limits, owner, 'an object such as { connections: 100 }');
    checkNames(limits ?? {}, { connections: true, connectsPerSecond: true }, owner);
    const { connections = never, connectsPerSecond = never } = limits ?? {};
    for (const [name, value] of Object.entries({ connections, connectsPerSecond })) {
      assertOption(typeof value === 'number' && value > 0, `${owner}.${name}`, 'a number above 0', value);
    }
    this.#most = connections;
    this.#perSecond = connectsPerSecond;
    this.#clock = clock;
    this.#sweep = { deadline: never, tick: (now) => this.#forget(now) };
  }

  /** Nothing is limited: nobody needs to be counted. */
  get off(): boolean {
    return this.#most === never && this.#perSecond === never;
  }

  /** May this caller open one more connection? If not, in how many seconds it may ask again; 0: it may. */
  waitOf(key: string): number {
    const caller = this.#callers.get(key);
    if (!caller) return 0;
    const now = this.#clock.now();
    if (caller.open >= this.#most) return 5;
    if (this.#perSecond === never) return 0;
    this.#fill(caller, now);
    return caller.tokens >= 1 ? 0 : Math.max(1, Math.ceil((1 - caller.tokens) / this.#perSecond));
  }

  /** A connection of this caller was opened. */
  opened(key: string): void {
    const now = this.#clock.now();
    let caller = this.#callers.get(key);
    if (!caller) {
      caller = { open: 0, tokens: this.#size, filledAt: now };
      this.#callers.set(key, caller);
    }
    this.#fill(caller, now);
    caller.open++;
    caller.tokens = Math.max(0, caller.tokens - 1);
    if (this.#sweep.deadline !== never) return;
    this.#sweep.deadline = now + sweepEvery;
    this.#clock.watch(this.#sweep);
  }

  /** A connection of this caller has ended. */
  closed(key: string): void {
    const caller = this.#callers.get(key);
    if (!caller) return;
    caller.open--;
    if (caller.open === 0 && this.#perSecond === never) this.#callers.delete(key);
  }

  /** A bucket that holds less than one would never let anybody in. */
  get #size(): number {
    return Math.max(1, this.#perSecond);
  }

  #fill(caller: Caller, now: number): void {
    if (this.#perSecond === never) return;
    caller.tokens = Math.min(this.#size, caller.tokens + ((now - caller.filledAt) / 1_000) * this.#perSecond);
    caller.filledAt = now;
  }

  #forget(now: number): void {
    for (const [key, caller] of this.#callers) {
      this.#fill(caller, now);
      if (caller.open === 0 && (this.#perSecond === never || caller.tokens >= this.#size)) this.#callers.delete(key);
    }
    this.#sweep.deadline = this.#callers.size > 0 ? now + sweepEvery : never;
  }
}
