import { type Clock, createClock } from '../../src/core/clock.ts';

/** A clock whose time runs ten times as fast, for what takes long by the clock and not by the work that it is. */
export const hastyClock: Clock = createClock({
  now: () => Math.floor(performance.now() * 10),
  wall: () => Date.now(),
  setTimer: (run, ms) => setTimeout(run, ms / 10),
  clearTimer: (timer) => clearTimeout(timer as NodeJS.Timeout),
  endOfTurn: (run) => void setImmediate(run),
  failed: (error) =>
    queueMicrotask(() => {
      throw error;
    }),
});
