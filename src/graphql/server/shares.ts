import { noScope } from '#scope';

/** Something that waits for its share of time. */
export interface Work {
  /** Do what waits, while there is {@link Shares.timeLeft}. True: more waits, and comes after what others wait for. Never throws. */
  workOff(): boolean;
}

/** What {@link Shares} needs of a connection. */
export interface Turn {
  /** Milliseconds from an arbitrary start. */
  readonly now: number;
  /** Call this at the end of this turn of the event loop. */
  afterTurn(run: () => void): void;
}

/** So many ms of one turn are for what waits here; then others have theirs, such as sockets that have to be read. */
const shareMs = 10;
/** How often the time is looked at: a look costs as much as a small piece of work. */
const piecesPerLook = 8;

/**
 * The events of a server that wait to be worked off: in later turns than the one in which they came, so that publishing
 * costs the publisher the same however many subscribe, and in shares, so that a large fan-out holds up nobody else
 * ([GQL-54]). Of each that waits, all that waits: what it sends leaves in one write.
 */
export class Shares {
  #queue: (Work | undefined)[] = [];
  #next = 0;
  #idle: (() => void)[] = [];
  #turn: Turn | undefined;
  #until = 0;
  #pieces = 0;
  #spent = false;

  /** This has something to do. It must not wait here already. */
  add(work: Work, turn: Turn): void {
    this.#schedule(turn);
    this.#queue.push(work);
  }

  /** Call this once nothing waits any more, at the end of this turn at the earliest. */
  whenIdle(run: () => void, turn: Turn): void {
    this.#schedule(turn);
    this.#idle.push(run);
  }

  /** Asked after each piece of work: is there time in this turn for one more? */
  timeLeft(): boolean {
    if (++this.#pieces % piecesPerLook === 0 && this.#turn && this.#turn.now >= this.#until) this.#spent = true;
    return !this.#spent;
  }

  #schedule(turn: Turn): void {
    if (this.#turn) return;
    this.#turn = turn;
    // Not in the context of who published: that one is nobody here.
    noScope.runInAsyncScope(turn.afterTurn, turn, this.#run);
  }

  readonly #run = (): void => {
    const turn = this.#turn as Turn;
    const queue = this.#queue;
    this.#until = turn.now + shareMs;
    this.#pieces = 0;
    this.#spent = false;
    while (this.#next < queue.length) {
      const work = queue[this.#next] as Work;
      queue[this.#next++] = undefined;
      if (work.workOff()) queue.push(work);
      if (!this.timeLeft()) break;
    }
    if (this.#next < queue.length) {
      // What was worked off would stay in memory for as long as there is always something to do.
      queue.splice(0, this.#next);
      this.#next = 0;
      turn.afterTurn(this.#run);
      return;
    }
    this.#queue = [];
    this.#next = 0;
    this.#turn = undefined;
    const idle = this.#idle;
    this.#idle = [];
    for (const run of idle) run();
  };
}
