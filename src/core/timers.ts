import { never, type Timed, type Timers } from './clock.ts';

/**
 * If a timer fires so many ms late the tab was suspended: wait one more turn, so that input which arrived meanwhile is
 * read before anything times out.
 */
const stall = 1_000;
/** The longest wait of a host timer, in ms; a longer one is made of several. */
const longest = 0x7fffffff;

/**
 * Time for clients, where few things wait: a host timer for each of them. One that fires early is set again.
 *
 * @example
 * const timers = createTimers((run, ms) => setTimeout(run, ms), clearTimeout);
 */
export function createTimers<Timer>(
  setTimer: (run: () => void, ms: number) => Timer,
  clearTimer: (timer: Timer) => void,
): Timers {
  const waiting = new Map<Timed, { readonly at: number; readonly timer: Timer }>();

  function arm(timed: Timed, at: number): void {
    timers.forget(timed);
    const fire = (): void => {
      waiting.delete(timed);
      const now = timers.now();
      if (timed.deadline <= now) {
        if (now > at + stall) return arm(timed, now);
        timed.tick(now);
      }
      timers.watch(timed);
    };
    waiting.set(timed, { at, timer: setTimer(fire, Math.min(at - timers.now(), longest)) });
  }

  const timers: Timers = {
    now: () => performance.now(),
    wall: () => Date.now(),
    watch(timed) {
      if (timed.deadline < (waiting.get(timed)?.at ?? never)) arm(timed, timed.deadline);
    },
    forget(timed) {
      const wait = waiting.get(timed);
      if (wait) clearTimer(wait.timer);
      waiting.delete(timed);
    },
  };
  return timers;
}

/** Time in browsers. */
export const timers: Timers = /* @__PURE__ */ createTimers(
  (run, ms) => setTimeout(run, ms),
  (timer) => clearTimeout(timer),
);
