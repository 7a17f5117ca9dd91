import type { Attack } from './attack.ts';
import { memoryAttacks } from './memory-attacks.ts';
import { readerAttacks } from './reader-attacks.ts';
import { timeAttacks } from './time-attacks.ts';

/** Every attack that is tried. */
export const allAttacks: readonly Attack[] = [...memoryAttacks, ...timeAttacks, ...readerAttacks];
