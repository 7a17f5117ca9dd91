import { type Clock, createClock, systemClock } from '../core/clock.ts';

/** The timers of subwire over a time that only a test moves. For the option `clock` of endpoints and clients. */
export interface TestClock extends Clock {
  /** Let so many ms pass: timers run in order, each at its time, and each is followed by the end of its turn. */
  advance(ms: number): void;
  /** The process slept for so many ms: every timer that fell due meanwhile runs late, after the turn that woke it. */
  sleep(ms: number): void;
  /** Set the wall clock back or forth, in ms; `now()` does not move. */
  shiftWall(ms: number): void;
  /** End the turn: runs what `afterTurn` queued, and what that queued in turn. */
  flushTurn(): void;
  /** Run what `afterTurn` has queued so far, once: one turn of an event loop. */
  turn(): void;
  /** Let promises settle and end the turns that follow, until nothing is queued any more. */
  settle(): Promise<void>;
  /** Host timers that are armed: 0 means that an idle process would sleep. */
  readonly armed: number;
  /** Is a timer armed that keeps the process alive? */
  readonly keepsAlive: boolean;
}

interface FakeTimer {
  readonly at: number;
  readonly run: () => void;
  readonly keepsAlive: boolean;
}

const maxTurns = 100_000;

/**
 * A clock that stands at `start` ms until a test moves it.
 *
 * @example
 * const clock = createTestClock();
 * clock.watch(session);
 * clock.advance(30_000); // takes no time at all
 */
export function createTestClock(start = 0): TestClock {
  const timers = new Set<FakeTimer>();
  let queued: (() => void)[] = [];
  let now = start;
  let wall = 1_800_000_000_000 - start;

  const clock = createClock({
    now: () => now,
    wall: () => wall + now,
    setTimer(run, ms, keepsAlive) {
      const timer = { at: now + ms, run, keepsAlive };
      timers.add(timer);
      return timer;
    },
    clearTimer: (timer) => timers.delete(timer as FakeTimer),
    endOfTurn: (run) => queued.push(run),
    failed(error) {
      throw error;
    },
  });

  function turn(): void {
    const batch = queued;
    queued = [];
    for (const run of batch) run();
  }

  function flushTurn(): void {
    for (let turns = 0; queued.length > 0; turns++) {
      if (turns === maxTurns) throw new Error(`The turn did not end: something queues itself again, ${maxTurns} times`);
      turn();
    }
  }

  function nextTimer(until: number): FakeTimer | undefined {
    let next: FakeTimer | undefined;
    for (const timer of timers) if (timer.at <= until && (!next || timer.at < next.at)) next = timer;
    return next;
  }

  function runUntil(until: number): void {
    flushTurn();
    for (let timer = nextTimer(until); timer; timer = nextTimer(until)) {
      now = Math.max(now, timer.at);
      timers.delete(timer);
      timer.run();
      flushTurn();
    }
  }

  return {
    ...clock,
    advance(ms) {
      const until = now + ms;
      runUntil(until);
      now = until;
    },
    sleep(ms) {
      flushTurn();
      now += ms;
      runUntil(now);
    },
    shiftWall(ms) {
      wall += ms;
    },
    flushTurn,
    turn,
    async settle() {
      do {
        flushTurn();
        await new Promise<void>((resolve) => systemClock.afterTurn(resolve));
      } while (queued.length > 0);
    },
    get armed() {
      return timers.size;
    },
    get keepsAlive() {
      return [...timers].some((timer) => timer.keepsAlive);
    },
  };
}
