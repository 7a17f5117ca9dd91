import type { MemoryBudget } from './budget.ts';
import { ProtocolError } from './fault.ts';

/**
 * What a connection keeps for its session after so many bytes more, or fewer, in bytes; the budget of the process is
 * charged as well. It is a function, because an object for each connection would cost more than the number that it holds.
 *
 * Throws a {@link ProtocolError} `tooLarge` when it would be more than `most`; then nothing was counted.
 */
export function charged(kept: number, bytes: number, most: number, budget: MemoryBudget | undefined): number {
  const sum = Math.max(0, kept + bytes);
  if (bytes > 0 && sum > most) {
    if (budget) budget.refused++;
    throw new ProtocolError('tooLarge', `more than ${most} bytes would be kept for this connection`);
  }
  budget?.charge(sum - kept);
  return sum;
}
