import { type Clock, systemClock, type Timed } from '../../src/core/clock.ts';

/** The clock of this process, which knows who still waits for it. */
export interface CountingClock extends Clock {
  /** What has a deadline and was not forgotten. */
  readonly watched: readonly Timed[];
}

/** @example const clock = createCountingClock(); */
export function createCountingClock(): CountingClock {
  const known = new Set<Timed>();
  return {
    ...systemClock,
    watch(timed) {
      known.add(timed);
      systemClock.watch(timed);
    },
    forget(timed) {
      known.delete(timed);
      systemClock.forget(timed);
    },
    get watched() {
      return [...known].filter(({ slot }) => slot !== undefined);
    },
  };
}
