import { BackboneError, defaultPatience } from '../bus/backbone.ts';
import type { Position } from '../bus/message.ts';
import { never, type Timed, type Timers } from '../core/clock.ts';

interface Wish {
  /** Those who wait until it is live, each with a deadline of its own. */
  waiting: { readonly deadline: number; resolve(position: Position | undefined): void; reject(error: Error): void }[];
  /** Where it became live; absent: it is not. */
  live: { readonly position: Position | undefined } | undefined;
  /** It was live once, lastly from here on. */
  known: { readonly position: Position | undefined } | undefined;
}

/**
 * The names that a backbone is to hear, live or not. A name stays wanted while the broker is away; who asked for it
 * waits 10 s at the most.
 */
export class Wishes implements Timed {
  /** The earliest deadline of all that wait. */
  deadline: number = never;
  readonly #names = new Map<string, Wish>();
  readonly #timers: Timers;
  readonly #owner: string;

  constructor(owner: string, timers: Timers) {
    this.#owner = owner;
    this.#timers = timers;
  }

  /** How many names are wanted. */
  get size(): number {
    return this.#names.size;
  }

  /** All names that are wanted. */
  names(): string[] {
    return [...this.#names.keys()];
  }

  /** Is this name wanted? */
  has(name: string): boolean {
    return this.#names.has(name);
  }

  /** Is it live? */
  isLive(name: string): boolean {
    return this.#names.get(name)?.live !== undefined;
  }

  /** Where it became live, if it ever was. */
  placeOf(name: string): Position | undefined {
    return this.#names.get(name)?.known?.position;
  }

  /** Was it live at any time since it is wanted? */
  wasLive(name: string): boolean {
    return this.#names.get(name)?.known !== undefined;
  }

  /** Resolves when it is live: at once where it is already. */
  want(name: string): Promise<Position | undefined> {
    let wish = this.#names.get(name);
    if (!wish) {
      wish = { waiting: [], live: undefined, known: undefined };
      this.#names.set(name, wish);
    }
    if (wish.live) return Promise.resolve(wish.live.position);
    const { waiting } = wish;
    return new Promise((resolve, reject) => {
      const deadline = this.#timers.now() + defaultPatience;
      waiting.push({ deadline, resolve, reject });
      if (deadline < this.deadline) {
        this.deadline = deadline;
        this.#timers.watch(this);
      }
    });
  }

  /** Nobody wants it any more. False: nobody did. */
  drop(name: string): boolean {
    const wish = this.#names.get(name);
    if (!wish) return false;
    this.#names.delete(name);
    for (const { resolve } of wish.waiting) resolve(undefined);
    return true;
  }

  /** It is live from this position on. */
  becameLive(name: string, position: Position | undefined): void {
    const wish = this.#names.get(name);
    if (!wish) return;
    wish.live = { position };
    wish.known = wish.live;
    for (const { resolve } of wish.waiting) resolve(position);
    wish.waiting = [];
  }

  /** The connection is gone: nothing is live any more. */
  lost(): void {
    for (const wish of this.#names.values()) wish.live = undefined;
  }

  /** This name will not become live, as the broker says. */
  refuse(name: string, error: Error): void {
    const wish = this.#names.get(name);
    for (const { reject } of wish?.waiting ?? []) reject(error);
    if (wish) wish.waiting = [];
  }

  /** Reject those who wait, and forget everything. */
  close(): void {
    this.#timers.forget(this);
    const error = new BackboneError('closed', `${this.#owner}: the backbone is closed`);
    for (const name of this.names()) this.refuse(name, error);
    this.#names.clear();
  }

  /** Somebody has waited long enough. */
  tick(now: number): void {
    this.deadline = never;
    for (const [name, wish] of this.#names) {
      wish.waiting = wish.waiting.filter(({ deadline, reject }) => {
        if (deadline > now) {
          this.deadline = Math.min(this.deadline, deadline);
          return true;
        }
        reject(
          new BackboneError(
            'timeout',
            `${this.#owner}: "${name}" was not live within ${defaultPatience} ms; it stays wanted`,
          ),
        );
        return false;
      });
    }
  }
}
