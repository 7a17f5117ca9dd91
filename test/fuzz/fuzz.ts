import { performance } from 'node:perf_hooks';
import { createRandom, type Random } from './random.ts';

/** One kind of input that is made up over and over again. */
export interface Fuzz {
  readonly name: string;
  /** What is counted, for the report: `splits`, `dialogues`. */
  readonly unit: string;
  /** How many `npm test` runs: a second or two of them. */
  readonly short: number;
  /** How many `npm run fuzz` runs. */
  readonly long: number;
  /** Make one input and look at what becomes of it; throws when that is wrong. Returns how many units it was; default 1. */
  once(random: Random): number | undefined | Promise<number | undefined>;
  /** Called before the first and after the last, where something has to be started and stopped. */
  start?(): Promise<void>;
  stop?(): Promise<void>;
}

/** What a run came to. */
export interface FuzzOutcome {
  readonly name: string;
  readonly unit: string;
  readonly count: number;
  readonly seconds: number;
}

/** Where a run begins: what `SEED` says, or a number of the day. The same seed makes the same inputs. */
export function firstSeed(): number {
  const given = process.env['SEED'];
  if (given === undefined) return Math.floor(Math.random() * 4_294_967_296);
  const seed = Number(given);
  if (!Number.isInteger(seed) || seed < 0) throw new TypeError(`SEED must be a whole number from 0 up; got ${given}`);
  return seed;
}

/**
 * Run until so many units are through. Each input has a seed of its own, the one before plus 1, so that the one that
 * fails can be made again alone: the error names it.
 */
export async function runFuzz(fuzz: Fuzz, count: number, seed: number): Promise<FuzzOutcome> {
  const began = performance.now();
  let done = 0;
  // Nearly every input is an error on purpose: where it arose costs more than all the rest.
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 3;
  await fuzz.start?.();
  try {
    for (let own = seed; done < count; own++) {
      try {
        const units = fuzz.once(createRandom(own));
        done += (units instanceof Promise ? await units : units) ?? 1;
      } catch (error) {
        const advice = `SEED=${own} COUNT=1 FUZZ='${fuzz.name}' npm run fuzz`;
        throw new Error(`${fuzz.name}, after ${done} ${fuzz.unit}; to see it again: ${advice}\n${messageOf(error)}`);
      }
    }
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
    await fuzz.stop?.();
  }
  return { name: fuzz.name, unit: fuzz.unit, count: done, seconds: (performance.now() - began) / 1_000 };
}

const messageOf = (error: unknown): string => (error instanceof Error ? (error.stack ?? error.message) : String(error));
