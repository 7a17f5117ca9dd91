/**
 * Promises that have not settled, by whom they were begun for. Who ends before them outlives his end: what runs for a
 * client goes on costing memory and time when that client wants it no more ([GQL-107]).
 *
 * @example
 * works.begin(operation);
 * if (!works.outlives(operation)) giveBack(operation);
 * if (works.settled(operation)) giveBack(operation);
 */
export class Works<Owner> {
  readonly #running = new Map<Owner, number>();
  readonly #ended = new Set<Owner>();

  /** How many have ended while their work runs. */
  get size(): number {
    return this.#ended.size;
  }

  /** One more promise of this owner runs. */
  begin(owner: Owner): void {
    this.#running.set(owner, (this.#running.get(owner) ?? 0) + 1);
  }

  /** One of them has settled. True: it was the last one, and its owner has ended before. */
  settled(owner: Owner): boolean {
    const left = (this.#running.get(owner) ?? 0) - 1;
    if (left > 0) {
      this.#running.set(owner, left);
      return false;
    }
    this.#running.delete(owner);
    return this.#ended.delete(owner);
  }

  /** The owner ends. True: something of it still runs, and `settled` tells when it does no more. */
  outlives(owner: Owner): boolean {
    if (!this.#running.has(owner)) return false;
    this.#ended.add(owner);
    return true;
  }
}
