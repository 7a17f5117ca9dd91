import type { MemoryBudget } from './budget.ts';
import { ownedBytes, sharedBytes } from './slab.ts';
import type { Wire } from './wire.ts';

/** What a message that waits costs beside its bytes: the wire and its place in the list. */
const entryBytes = 100;

/** Messages that a socket does not take yet, in order. Their tails are references: many backlogs may share one. */
export class Backlog {
  /** Bytes of all messages, as if nothing were shared. */
  bytes = 0;
  /** The largest message since the backlog began, in bytes. */
  largest = 0;
  /** When the socket last took some of it, in ms of the clock; 0: it has not yet. */
  movedAt = 0;
  readonly #budget: MemoryBudget | undefined;
  #wires: Wire[] = [];
  #next = 0;

  constructor(budget: MemoryBudget | undefined) {
    this.#budget = budget;
  }

  /** Nothing waits. */
  get empty(): boolean {
    return this.#next === this.#wires.length;
  }

  /** One more message, of so many bytes. */
  add(wire: Wire, bytes: number): void {
    const { head, tail } = kept(wire);
    this.#wires.push(tail === wire.tail && head === wire.head ? wire : { ...wire, head, tail });
    this.bytes += bytes;
    if (bytes > this.largest) this.largest = bytes;
    this.#budget?.charge(head.length + entryBytes);
    if (tail !== undefined) this.#budget?.share(tail);
  }

  /** The oldest messages, until they have at least so many bytes. */
  take(atLeast: number): Wire[] {
    const wires = this.#wires;
    let end = this.#next;
    for (let bytes = 0; bytes < atLeast && end < wires.length; end++) {
      const wire = wires[end] as Wire;
      const size = sizeOf(wire);
      bytes += size;
      this.#leave(wire, size);
    }
    const taken = wires.slice(this.#next, end);
    this.#next = end;
    // What was taken is let go of in lumps: moving the rest up each time would cost the square of its length.
    if (this.#next * 2 > wires.length) {
      this.#wires = wires.slice(this.#next);
      this.#next = 0;
    }
    return taken;
  }

  /** Let go of everything. */
  clear(): void {
    for (let index = this.#next; index < this.#wires.length; index++) {
      const wire = this.#wires[index] as Wire;
      this.#leave(wire, sizeOf(wire));
    }
    this.#wires = [];
    this.#next = 0;
  }

  #leave({ head, tail }: Wire, size: number): void {
    this.bytes -= size;
    this.#budget?.charge(-head.length - entryBytes);
    if (tail !== undefined) this.#budget?.unshare(tail);
  }
}

/**
 * What keeps no larger buffer alive: messages are cut from slabs, in which those of others stand as well, and for who waits
 * longest all of a slab would stay ([CONN-95]).
 */
const kept = ({ head, tail }: Wire): Pick<Wire, 'head' | 'tail'> => ({
  head: typeof head === 'string' ? head : ownedBytes(head),
  tail: tail && sharedBytes(tail),
});

/** Bytes of a message; a text that is not ASCII has more, which does not matter here. */
export const sizeOf = ({ head, tail }: Wire): number => head.length + (tail === undefined ? 0 : tail.length);
