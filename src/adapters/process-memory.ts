import { getHeapStatistics } from 'node:v8';

/** What connections may make a process keep unless it says otherwise: this part of what there is. */
const share = 0.25;

/**
 * A quarter of the heap limit of V8 or of the memory of the container (cgroups), whichever is smaller, in bytes.
 *
 * @example
 * createEndpoint(options, processMemory());
 */
export function processMemory(): number {
  const heap = getHeapStatistics().heap_size_limit;
  // Not in every Node that is supported; 0, or more than any machine has, where there is no container.
  const container = process.constrainedMemory?.() ?? 0;
  return Math.floor(share * (container > 0 ? Math.min(heap, container) : heap));
}
