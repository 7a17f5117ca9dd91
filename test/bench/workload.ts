import { isInstalled } from './peers.ts';
import type { Table } from './table.ts';

/** How much of everything is done. */
export interface Scale {
  /** Interleaved rounds. */
  readonly rounds: number;
  /** How long each contender is measured in a round, in ms. */
  readonly stretch: number;
  /** Fewer sockets and hardly any time: is the bench itself all right? */
  readonly quick: boolean;
  /** Only these take part; undefined: all. */
  readonly only: readonly string[] | undefined;
  /** Say where the processor time of subwire goes, in one more round. */
  readonly profile: boolean;
}

/** One table of the bench. */
export interface Workload {
  readonly name: string;
  run(scale: Scale): Promise<Table>;
}

/** Who takes part, if what it needs is there. */
export interface Contender {
  readonly label: string;
  /** Packages and programs without which it is left out. */
  readonly needs: readonly string[];
}

/** Those that can take part, and a sentence about each one that cannot. */
export function present<Each extends Contender>(
  contenders: readonly Each[],
  scale: Scale,
): { readonly present: Each[]; readonly notes: string[] } {
  const notes: string[] = [];
  const found = contenders.filter(({ label, needs }) => {
    if (scale.only && !scale.only.includes(label)) return false;
    const missing = needs.filter((name) => !isInstalled(name));
    if (missing.length > 0) notes.push(`Left out: ${label} (not installed: ${missing.join(', ')}).`);
    return missing.length === 0;
  });
  for (const note of notes) console.log(note);
  return { present: found, notes };
}
