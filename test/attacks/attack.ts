import type { Peer } from './peer.ts';
import type { AttackedOptions } from './server.script.ts';

/** What an attack has at hand, in a process of its own. */
export interface AttackTools {
  readonly port: number;
  /** 1 in `npm run attacks`; a part of it in `npm test`. */
  readonly scale: number;
  /** Note this connection: how it ends is told. */
  own(peer: Peer): Peer;
  /** From now on a limit is passed: within a second the attacker has to be cut. */
  passedLimit(): void;
  /** Something that must not be. */
  problem(what: string): void;
  /** Something worth telling. */
  note(what: string): void;
  /** Let the application of the server do something. */
  ask<T>(deed: 'publish' | 'misuse', argument?: unknown): Promise<T>;
}

/** One way to do harm, and what has to hold meanwhile. */
export interface Attack {
  /** What is sent. */
  readonly name: string;
  /** The finding it comes from. */
  readonly finding: string;
  /** Options of the server; default: none. */
  readonly server?: AttackedOptions;
  /** How large it is in `npm test`, from 0 to 1; absent: it takes too long there. */
  readonly short?: number;
  /** How those are cut that are cut. Absent: nobody is. */
  readonly codes?: readonly number[];
  /** Somebody has to be cut, and the first within a second of the limit. */
  readonly isCut?: boolean;
  /** By how much the server's memory may grow, in MiB. Default: 300, which is the budget of the process and some. */
  readonly memory?: number;
  /** How often the application's `onError` may be called. Default: 20. */
  readonly reports?: number;
  run(tools: AttackTools): Promise<void>;
}

/** What the attacker saw. */
export interface AttackResult {
  readonly sent: number;
  /** How many of its connections ended with which code and reason. */
  readonly codes: Readonly<Record<string, number>>;
  /** From the passed limit to the first end, in ms. */
  readonly cutAfter: number | undefined;
  readonly open: number;
  readonly problems: readonly string[];
  readonly notes: readonly string[];
}

/** Run this for each, so many at a time. */
export async function each<T>(count: number, atOnce: number, run: (index: number) => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  for (let begun = 0; begun < count; begun += atOnce) {
    const some = Array.from({ length: Math.min(atOnce, count - begun) }, (_, index) => run(begun + index));
    results.push(...(await Promise.all(some)));
  }
  return results;
}

/** So many, but at least so many, at this scale. */
export const scaled = (whole: number, scale: number, least = 1): number => Math.max(least, Math.round(whole * scale));

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
