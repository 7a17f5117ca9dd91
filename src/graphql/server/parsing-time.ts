/** From so many ms on a document, or what came right behind another, is costly. */
const costlyMs = 5;
/** So many ms without a document, and the turn of the event loop has gone to others. */
const pauseMs = 1;
/** So many ms of refused documents are forgiven each client: everybody mistypes a query now and then. */
const forgivenMs = 250;
/** What is over it is paid by so many times as long without an unknown document. */
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
   * Up to now, `took` ms went into one. `refused`: what all of it took, if it was refused; else 0. Returns how many of
   * these ms its sender has to answer for: see {@link RefusedTime}.
   */
  spent(now: number, took: number, refused: number): number {
    if (now - took - this.#last > pauseMs) this.#sum = 0;
    this.#last = now;
    this.#sum += took;
    if (this.#sum < costlyMs && refused < costlyMs) return 0;
    this.freeAt = now + (refused > 0 ? Math.max(this.#sum, refused) : pauseMs);
    this.#sum = 0;
    return refused < costlyMs ? 0 : refused;
  }
}

/** What the refused documents of one client took, which it pays off as time goes by ([GQL-108]). */
export class RefusedTime {
  #owed = 0;
  #since = 0;

  /** So many ms more. Returns until when unknown documents of the client are refused unseen, in ms of the clock. */
  add(now: number, ms: number): number {
    this.#owed = Math.max(0, this.#owed - (now - this.#since) / penalty) + ms;
    this.#since = now;
    return now + penalty * Math.max(0, this.#owed - forgivenMs);
  }
}
