import type { Slab } from '../../core/slab.ts';

/** What small frames are cut from: whoever keeps one of them keeps no more than this alive. */
export const slab: Slab = { size: 8_192, used: 0 };
