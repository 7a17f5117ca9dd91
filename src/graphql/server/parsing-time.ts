/** From so many ms on a document, or what came right behind another, is costly. */
const costlyMs = 5;
/** So many ms without a document, and the turn of the event loop has gone to others. */
const pauseMs = 1;
/** Who sent a costly document that was refused has unknown ones refused unseen for so many times its cost. */
const penalty = 20;

/**
 * How much time of a server goes into documents that nobody knew. Parsing and validating one cannot be cut in two; but after
 * a costly one the turn belongs to others, and after one that was refused as much time as it took ([GQL-108]).
 *
 * @example
 * if (now < parsing.freeAt) wait();
 * const wait = parsing.spent(now, now - began, 0);
 */
export class ParsingTime {
  /** When the next unknown document may be parsed, in ms of the clock. */
  freeAt = 0;
  #sum = 0;
  #last = 0;

  /**
   * Up to now, `took` ms went into one. `refused`: what all of it took, if it was refused; else 0. Returns for how many ms
   * its sender has to wait.
   */
  spent(now: number, took: number, refused: number): number {
    if (now - took - this.#last > pauseMs) this.#sum = 0;
    this.#last = now;
    this.#sum += took;
    if (this.#sum < costlyMs && refused < costlyMs) return 0;
    this.freeAt = now + (refused > 0 ? Math.max(this.#sum, refused) : pauseMs);
    this.#sum = 0;
    return refused < costlyMs ? 0 : penalty * refused;
  }
}
