import { never, type Timed, type Timers } from '../core/clock.ts';
import { backlogged } from '../core/outbox.ts';
import type { FanOut } from './fan-out.ts';

/** So often it is looked whether the readers of a topic have caught up, in ms. */
const lookEvery = 20;
/** The most that is waited after one message, in ms. */
const maxWait = 250;
/** The most that is waited in a `period`, whatever there is to wait for, in ms. */
const maxPerPeriod = 1_000;
const period = 10_000;

/** What the publishers of a topic wait for. */
interface Wait {
  readonly until: number;
  readonly over: Promise<void>;
  readonly end: () => void;
}

/**
 * Lets publishers wait a little for readers that are behind and read on ([BUS-38]), so that a burst is not more than they
 * can take. A message is handed over at once; it is its publisher who hears later that it was. What that may cost is
 * bounded for all publishers of the bus together: then the readers pay.
 */
export class SlowReaders implements Timed {
  deadline: number = never;
  readonly #fanOut: Pick<FanOut, 'readersOf'>;
  readonly #clock: Timers;
  /** By topic. */
  readonly #waits = new Map<string, Wait>();
  /** What was waited within the last period, oldest first: never more than `maxPerPeriod`, in steps of `lookEvery`. */
  #steps: { readonly at: number; readonly ms: number }[] = [];
  #lookedAt = 0;
  /** Topics whose readers were looked at a moment ago, and are not waited for. */
  readonly #prompt = new Set<string>();
  #promptSince = 0;

  constructor(fanOut: Pick<FanOut, 'readersOf'>, clock: Timers) {
    this.#fanOut = fanOut;
    this.#clock = clock;
  }

  /** A message of this topic was handed over: what its publisher waits for; undefined: nothing. */
  after(topic: string): Promise<void> | undefined {
    if (backlogged.connections === 0) return undefined;
    const wait = this.#waits.get(topic);
    if (wait) return wait.over;
    const now = this.#clock.now();
    if (now - this.#promptSince >= lookEvery) {
      this.#prompt.clear();
      this.#promptSince = now;
    }
    if (this.#prompt.has(topic)) return undefined;
    const { all, lagging } = this.#fanOut.readersOf(topic);
    if (!isWaitedFor(all, lagging) || !this.#mayWait(now)) {
      // Publishers choose names: only those that somebody reads are remembered.
      if (all > 0) this.#prompt.add(topic);
      return undefined;
    }
    let end = (): void => {};
    const over = new Promise<void>((resolve) => {
      end = resolve;
    });
    if (this.#waits.size === 0) this.#lookIn(now);
    this.#waits.set(topic, { until: now + maxWait, over, end });
    return over;
  }

  tick(now: number): void {
    this.#steps.push({ at: now, ms: now - this.#lookedAt });
    const goesOn = this.#mayWait(now);
    for (const [topic, { until, end }] of this.#waits) {
      if (goesOn && now + lookEvery <= until && this.#shouldWait(topic)) continue;
      this.#waits.delete(topic);
      end();
    }
    if (this.#waits.size > 0) this.#lookIn(now);
    else this.deadline = never;
  }

  /** The bus was closed: nobody waits any more. */
  stop(): void {
    for (const { end } of this.#waits.values()) end();
    this.#waits.clear();
    this.#clock.forget(this);
  }

  #lookIn(now: number): void {
    this.#lookedAt = now;
    this.deadline = now + lookEvery;
    this.#clock.watch(this);
  }

  /** Is there time left for another step? */
  #mayWait(now: number): boolean {
    this.#steps = this.#steps.filter(({ at }) => at > now - period);
    const waited = this.#steps.reduce((sum, { ms }) => sum + ms, 0);
    // The clock may be late by half a step.
    return waited + 2 * lookEvery <= maxPerPeriod;
  }

  #shouldWait(topic: string): boolean {
    const { all, lagging } = this.#fanOut.readersOf(topic);
    return isWaitedFor(all, lagging);
  }
}

/** Some readers are behind, and they are fewer than half. */
const isWaitedFor = (all: number, lagging: number): boolean => lagging > 0 && lagging * 2 < all;
