import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { type Dialect, openSocket, openSockets } from './dialect.ts';
import { Latencies } from './latencies.ts';
import type { LeanSocket } from './lean-socket.ts';
import type { Loading, Stretch } from './load.ts';

export interface FanOutPlan {
  readonly dialect: Dialect;
  readonly sockets: number;
  /** Messages that one event brings to all sockets together. */
  readonly messagesPerEvent: number;
  /** What every message has to contain. */
  readonly contains: string;
  /** Events are made by a byte to this port of the server, or by a client's own message. */
  readonly trigger: { readonly controlPort: number } | { readonly publisher: Dialect; readonly message: string };
}

/** How long to wait for subscriptions that are still being made, in ms, and how often. */
const patience = 5_000;
const attempts = 6;
/** Nothing more comes of an event when nothing came for so long, in ms. */
const silence = 300;

/** One event after the other: the next one comes when the last one has reached everybody. */
export class FanOut implements Loading {
  readonly #messagesPerEvent: number;
  readonly #trigger: () => void;
  readonly #latencies = new Latencies();
  #began = 0;
  #arrived = 0;
  #complete: () => void = () => {};

  private constructor(plan: FanOutPlan, sockets: readonly LeanSocket[], trigger: () => void) {
    this.#messagesPerEvent = plan.messagesPerEvent;
    this.#trigger = trigger;
    for (const socket of sockets) socket.onFrame = this.#received;
  }

  static async open(plan: FanOutPlan): Promise<FanOut> {
    const sockets = await openSockets(plan.dialect, plan.sockets);
    const trigger = await openTrigger(plan);
    const fanOut = new FanOut(plan, sockets, trigger);
    await fanOut.#prime(plan, sockets[0] as LeanSocket);
    return fanOut;
  }

  readonly #received = (): void => {
    this.#latencies.add(performance.now() - this.#began);
    if (++this.#arrived === this.#messagesPerEvent) this.#complete();
  };

  #event(): Promise<void> {
    return new Promise((resolve) => {
      this.#complete = resolve;
      this.#arrived = 0;
      this.#began = performance.now();
      this.#trigger();
    });
  }

  /** Nobody tells when all subscriptions are live: an event that reaches everybody does. */
  async #prime({ contains }: FanOutPlan, first: LeanSocket): Promise<void> {
    let seen = '';
    first.onFrame = (bytes, start, end) => {
      seen = bytes.toString('utf8', start, end);
      this.#received();
    };
    for (let attempt = 0; ; attempt++) {
      let timer: NodeJS.Timeout | undefined;
      const whole = await Promise.race([
        this.#event().then(() => true),
        new Promise<false>((resolve) => {
          timer = setTimeout(resolve, patience, false);
        }),
      ]);
      clearTimeout(timer);
      if (whole) break;
      // What is late must not be counted to the next event.
      for (let before = -1; before !== this.#arrived; ) {
        before = this.#arrived;
        await new Promise((resolve) => setTimeout(resolve, silence));
      }
      if (attempt === attempts) {
        throw new Error(`An event brought ${this.#arrived} of ${this.#messagesPerEvent} messages; the last: ${seen}`);
      }
    }
    if (!seen.includes(contains)) throw new Error(`Not what was expected: ${seen}`);
    first.onFrame = this.#received;
  }

  async run(ms: number): Promise<Stretch> {
    this.#latencies.take();
    const began = performance.now();
    let events = 0;
    do {
      await this.#event();
      events++;
    } while (performance.now() - began < ms);
    const elapsed = performance.now() - began;
    return { messages: events * this.#messagesPerEvent, elapsed, ...this.#latencies.take() };
  }
}

async function openTrigger({ trigger }: FanOutPlan): Promise<() => void> {
  if ('controlPort' in trigger) {
    const control: Socket = connect({ port: trigger.controlPort, host: '127.0.0.1', noDelay: true });
    await once(control, 'connect');
    return () => void control.write('!');
  }
  const publisher = await openSocket(trigger.publisher);
  return () => publisher.send(trigger.message);
}
