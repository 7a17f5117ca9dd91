import { type Clock, type EndOfTurn, never, type Timed } from './clock.ts';

/** For so many ms of one turn of the event loop input is worked off, whoever sent it; then the loop has its turn. */
const turnMs = 5;

/** Messages of so many bytes may be costly to read: they wait for each other, and nobody waits for them ([CONN-94]). */
export const heavyBytes = 16_384;

/** A message that took so many ms was costly: as much time belongs to others before the next heavy one. */
const costlyMs = 10;

/** Someone whose input waits for a turn. */
export interface Worker {
  /** Work off one share; whoever has more left waits again. Never throws. */
  work(): void;
}

/**
 * Shares the time of the process out between connections that have more input than fits into one turn of the event
 * loop. Those that wait are served round by round, at the end of each turn, so that reads, timers and writes come in
 * between.
 *
 * @example
 * if (!turns.open(now)) turns.wait(connection);
 */
export class Turns implements EndOfTurn, Timed {
  /** When the next heavy message may be worked off, in ms of the clock ([CONN-94]). */
  heavyFrom = 0;
  /** When somebody with a heavy message is to be served, in ms of the clock; Infinity: nobody waits. */
  deadline: number = never;
  /** Another number in each turn; whoever remembers it knows whether its share is still that of this turn. */
  serial = 0;
  readonly #clock: Clock;
  #begun = false;
  #ends = 0;
  #waiting: Worker[] = [];
  #heavy: Worker[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Is there time left in this turn? The first to ask begins it. */
  open(now: number): boolean {
    if (!this.#begun) this.#begin(now);
    return now < this.#ends;
  }

  /** Call `worker` at the end of this turn, or of a later one. */
  wait(worker: Worker): void {
    this.#waiting.push(worker);
    if (!this.#begun) this.#begin(this.#clock.now());
  }

  /** Do something heavy, such as parsing a body, in its turn. Rejects with what it throws. */
  heavy<T>(run: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      const work = (): void => {
        const began = this.#clock.now();
        try {
          resolve(run());
        } catch (error) {
          reject(error);
        }
        this.worked(began, this.#clock.now());
      };
      if (this.#clock.now() >= this.heavyFrom) work();
      else this.waitHeavy({ work });
    });
  }

  /** Call `worker`, whose next message is heavy, when the costly one before it has been paid for. */
  waitHeavy(worker: Worker): void {
    this.#heavy.push(worker);
    this.#serveAt(this.heavyFrom);
  }

  /** A heavy message has been worked off, from `began` until `now`. */
  worked(began: number, now: number): void {
    const took = now - began;
    if (took >= costlyMs) this.heavyFrom = now + took;
  }

  tick(now: number): void {
    this.deadline = never;
    for (let time = now; time < now + turnMs && time >= this.heavyFrom; time = this.#clock.now()) {
      this.#heavy.shift()?.work();
      if (this.#heavy.length === 0) return;
    }
    this.#serveAt(this.heavyFrom);
  }

  #serveAt(at: number): void {
    this.deadline = Math.min(this.deadline, at);
    this.#clock.watch(this);
  }

  /** Serve those that wait, as far as the time of one turn goes. */
  turnEnded(): void {
    this.#begun = false;
    // Whole numbers of up to 30 bits are kept in a field without an object of their own.
    this.serial = (this.serial + 1) & 0x3fffffff;
    const round = this.#waiting;
    if (round.length === 0) return;
    this.#waiting = [];
    this.#begin(this.#clock.now());
    for (let index = 0; index < round.length; index++) {
      // The first always has its share: a clock that jumps must not keep everybody waiting.
      if (index > 0 && this.#clock.now() >= this.#ends) {
        this.#waiting = round.slice(index).concat(this.#waiting);
        return;
      }
      round[index]?.work();
    }
  }

  #begin(now: number): void {
    this.#begun = true;
    this.#ends = now + turnMs;
    this.#clock.afterTurn(this);
  }
}

const turnsByClock = /* @__PURE__ */ new WeakMap<Clock, Turns>();

/** The turns of a process: all connections with this clock share them. */
export function turnsOf(clock: Clock): Turns {
  let turns = turnsByClock.get(clock);
  if (!turns) {
    turns = new Turns(clock);
    turnsByClock.set(clock, turns);
  }
  return turns;
}
