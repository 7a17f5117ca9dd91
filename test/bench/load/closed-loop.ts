import { type Dialect, nextId, openSockets } from './dialect.ts';
import { Latencies } from './latencies.ts';
import type { LeanSocket } from './lean-socket.ts';
import type { Loading, Stretch } from './load.ts';

export interface ClosedLoopPlan {
  readonly dialect: Dialect;
  readonly sockets: number;
  /** Requests of one socket that are under way at any time. */
  readonly inFlight: number;
  readonly request: string;
  /** The message that ends a request contains this. */
  readonly endsWith: string;
}

/** Requests and answers: each answer is followed by the next request. */
export class ClosedLoop implements Loading {
  readonly #plan: ClosedLoopPlan;
  readonly #sockets: readonly LeanSocket[];
  readonly #latencies = new Latencies();
  #answers = 0;
  #until = 0;
  #underWay = 0;
  #idle: () => void = () => {};

  private constructor(plan: ClosedLoopPlan, sockets: readonly LeanSocket[]) {
    this.#plan = plan;
    this.#sockets = sockets;
  }

  static async open(plan: ClosedLoopPlan): Promise<ClosedLoop> {
    return new ClosedLoop(plan, await openSockets(plan.dialect, plan.sockets));
  }

  async run(ms: number): Promise<Stretch> {
    this.#latencies.take();
    this.#answers = 0;
    const began = performance.now();
    this.#until = began + ms;
    const idle = new Promise<void>((resolve) => {
      this.#idle = resolve;
    });
    for (const socket of this.#sockets) this.#drive(socket);
    await idle;
    return { messages: this.#answers, elapsed: performance.now() - began, ...this.#latencies.take() };
  }

  #drive(socket: LeanSocket): void {
    const { request, endsWith, inFlight } = this.#plan;
    // Answers of one socket come in the order of its requests.
    const began: number[] = [];
    const ask = (): void => {
      began.push(performance.now());
      this.#underWay++;
      socket.send(request.replace('$id', nextId()));
    };
    socket.onFrame = (bytes, start, end) => {
      const found = bytes.indexOf(endsWith, start, 'latin1');
      if (found === -1 || found >= end) return;
      const now = performance.now();
      this.#latencies.add(now - (began.shift() as number));
      this.#answers++;
      this.#underWay--;
      if (now < this.#until) ask();
      else if (this.#underWay === 0) this.#idle();
    };
    for (let left = inFlight; left > 0; left--) ask();
  }
}
