/** Numbers that look random and are the same for the same seed. */
export interface Random {
  /** From 0 up to, but not including, this. */
  below(bound: number): number;
  /** One of these. */
  pick<T>(values: readonly T[]): T;
  /** True so often, from 0 to 1. */
  chance(probability: number): boolean;
}

/**
 * A generator of 32 bits (mulberry32): fast, and good enough to choose what to break next.
 *
 * @example
 * const random = createRandom(7);
 * random.pick(['SEND', 'ACK']);
 */
export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
  const below = (bound: number): number => next() % bound;
  return {
    below,
    pick: (values) => {
      if (values.length === 0) throw new RangeError('there is nothing to pick from');
      return values[below(values.length)] as (typeof values)[number];
    },
    chance: (probability) => next() < probability * 4_294_967_296,
  };
}
