import { type Clock, never, type Timed } from './clock.ts';
import type { ServerConnection } from './server-connection.ts';

/** How many parts of all connections a drain closes per second, and how often it looks, in ms. */
const drainRate = 0.1;
const drainInterval = 100;

/** How a {@link Drain} leaves. */
export interface DrainPlan {
  /** After so many ms whatever still runs is closed. */
  readonly deadline: number;
  /** A new server takes over: close with 1012 instead of 1001. */
  readonly restart: boolean;
  /** What close reasons end with, so that clients come back spread over time. */
  readonly hint: string;
}

/**
 * Closes all connections of an endpoint: a tenth of them per second, at least ten, the idle ones, and whatever is left
 * at the deadline. Nothing keeps the process alive as long.
 */
export class Drain implements Timed {
  /** A server that leaves stays until it has left. */
  readonly keepsAlive = true;
  /** When the next round is due, in ms of the clock. */
  deadline: number;
  /** Resolves when the last connection is gone. */
  readonly over: Promise<void>;
  readonly #clock: Clock;
  readonly #connections: ReadonlySet<ServerConnection>;
  readonly #plan: DrainPlan;
  readonly #perRound: number;
  #end: number;
  // What a round may close; fractions are kept for the next one.
  #credit = 0;
  #resolve: () => void = () => {};

  constructor(connections: ReadonlySet<ServerConnection>, clock: Clock, plan: DrainPlan) {
    this.#connections = connections;
    this.#clock = clock;
    this.#plan = plan;
    this.#perRound = Math.max(1, (connections.size * drainRate * drainInterval) / 1_000);
    this.deadline = clock.now();
    this.#end = this.deadline + plan.deadline;
    this.over = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    for (const connection of connections) connection.drain();
    if (connections.size === 0) this.emptied();
    else clock.watch(this);
  }

  /** The deadline is now: close everything at once. */
  hurry(): void {
    this.#end = this.#clock.now();
    this.tick(this.#end);
  }

  /** The last connection is gone. */
  emptied(): void {
    this.deadline = never;
    this.#clock.forget(this);
    this.#resolve();
  }

  /** Close what this round may close. */
  tick(now: number): void {
    const { hint, restart } = this.#plan;
    this.#credit = now >= this.#end ? Number.POSITIVE_INFINITY : (this.#credit % 1) + this.#perRound;
    for (const connection of this.#connections) {
      if (this.#credit < 1) break;
      if (connection.closing || (now < this.#end && !connection.session.idle)) continue;
      connection.leave(hint, restart);
      this.#credit--;
    }
    this.deadline = this.#connections.size > 0 ? now + drainInterval : never;
  }
}
