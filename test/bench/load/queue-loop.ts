import { type Dialect, openSockets } from './dialect.ts';
import { Latencies } from './latencies.ts';
import type { LeanSocket } from './lean-socket.ts';
import type { Loading, Stretch } from './load.ts';

export interface QueuePlan {
  /** Subscribes with ack mode client-individual. */
  readonly consumer: Dialect;
  readonly producer: Dialect;
  readonly consumers: number;
  readonly producers: number;
  /** Messages that were sent and are not acknowledged yet, at any time. */
  readonly inFlight: number;
  readonly destination: string;
  /** In bytes; begins with the time when the message was sent. */
  readonly bodyBytes: number;
}

/** SEND, MESSAGE, ACK: each acknowledged message is followed by the next one. */
export class QueueLoop implements Loading {
  readonly #plan: QueuePlan;
  readonly #producers: readonly LeanSocket[];
  readonly #latencies = new Latencies();
  #acknowledged = 0;
  #underWay = 0;
  #next = 0;
  #until = 0;
  #idle: () => void = () => {};

  private constructor(plan: QueuePlan, producers: readonly LeanSocket[], consumers: readonly LeanSocket[]) {
    this.#plan = plan;
    this.#producers = producers;
    for (const consumer of consumers) {
      consumer.onFrame = (bytes, start, end) => this.#received(consumer, bytes.toString('latin1', start, end));
    }
  }

  static async open(plan: QueuePlan): Promise<QueueLoop> {
    const consumers = await openSockets(plan.consumer, plan.consumers);
    return new QueueLoop(plan, await openSockets(plan.producer, plan.producers), consumers);
  }

  async run(ms: number): Promise<Stretch> {
    this.#latencies.take();
    this.#acknowledged = 0;
    const began = performance.now();
    this.#until = began + ms;
    const idle = new Promise<void>((resolve) => {
      this.#idle = resolve;
    });
    for (let left = this.#plan.inFlight; left > 0; left--) this.#produce();
    await idle;
    return { messages: this.#acknowledged, elapsed: performance.now() - began, ...this.#latencies.take() };
  }

  #produce(): void {
    const { destination, bodyBytes } = this.#plan;
    const body = String(performance.now()).padEnd(bodyBytes, ' ');
    this.#underWay++;
    const producer = this.#producers[this.#next++ % this.#producers.length] as LeanSocket;
    producer.send(`SEND\ndestination:${destination}\ncontent-length:${bodyBytes}\n\n${body}\0`);
  }

  #received(consumer: LeanSocket, frame: string): void {
    if (!frame.startsWith('MESSAGE')) throw new Error(`Not a MESSAGE: ${frame}`);
    const from = frame.indexOf('\nack:') + 5;
    consumer.send(`ACK\nid:${frame.slice(from, frame.indexOf('\n', from))}\n\n\0`);
    const now = performance.now();
    this.#latencies.add(now - Number.parseFloat(frame.slice(frame.indexOf('\n\n') + 2)));
    this.#acknowledged++;
    this.#underWay--;
    if (now < this.#until) this.#produce();
    else if (this.#underWay === 0) this.#idle();
  }
}
