import type { Clock } from '../core/clock.ts';

/** One direction of a connection in memory: what is put in comes out in order, in a later turn of the event loop. */
export class Pipe {
  /** Bytes that were put in and have not come out. */
  bytes = 0;
  readonly #clock: Clock;
  readonly #drained: () => void;
  #waiting: { readonly bytes: number; readonly run: () => void }[] = [];
  #paused = false;
  #due = false;

  /** `drained` is called each time that nothing is left of what was put in. */
  constructor(clock: Clock, drained: () => void) {
    this.#clock = clock;
    this.#drained = drained;
  }

  /** Run this after all that was put in before. */
  put(run: () => void, bytes = 0): void {
    this.bytes += bytes;
    this.#waiting.push({ bytes, run });
    this.#flow();
  }

  /** Nothing comes out until `resume`. */
  pause(): void {
    this.#paused = true;
  }

  /** Go on. */
  resume(): void {
    this.#paused = false;
    if (this.#waiting.length > 0) this.#flow();
  }

  /** Let go of what has not come out. */
  clear(): void {
    this.#waiting = [];
    this.bytes = 0;
  }

  #flow(): void {
    if (this.#due) return;
    this.#due = true;
    this.#clock.afterTurn(() => {
      this.#due = false;
      const had = this.bytes;
      while (!this.#paused) {
        const next = this.#waiting.shift();
        if (!next) break;
        this.bytes -= next.bytes;
        next.run();
      }
      if (had > 0 && this.bytes === 0) this.#drained();
    });
  }
}
