import { SmallMap } from '../../core/small-map.ts';

/** What runs for one owner. */
interface Running {
  /** How many of its promises have not settled. */
  left: number;
  /** It has ended before them. */
  ended: boolean;
}

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
  readonly #running = new SmallMap<Owner, Running>();
  /** How many have ended while their work runs. */
  outliving = 0;

  /** Nothing runs for anybody. */
  get empty(): boolean {
    return this.#running.size === 0;
  }

  /** One more promise of this owner runs. */
  begin(owner: Owner): void {
    const running = this.#running.get(owner);
    if (running) running.left++;
    else this.#running.set(owner, { left: 1, ended: false });
  }

  /** One of them has settled. True: it was the last one, and its owner has ended before. */
  settled(owner: Owner): boolean {
    const running = this.#running.get(owner);
    if (!running || --running.left > 0) return false;
    this.#running.delete(owner);
    if (running.ended) this.outliving--;
    return running.ended;
  }

  /** The owner ends. True: something of it still runs, and `settled` tells when it does no more. */
  outlives(owner: Owner): boolean {
    const running = this.#running.get(owner);
    if (!running) return false;
    if (!running.ended) this.outliving++;
    running.ended = true;
    return true;
  }
}
