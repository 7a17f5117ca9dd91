import { type Clock, never, type Timed } from '../core/clock.ts';
import type { Disconnection } from '../core/disconnection.ts';
import { randomId } from '../core/random.ts';
import { dismissalOf, Refusal, type RefuseOptions } from '../core/refuse.ts';
import { decodeUtf8, encodeUtf8 } from '../core/wire.ts';
import type { ListenHandle, MessageReceiver } from './fan-out.ts';
import { kindOf } from './names.ts';
import { RecentIds } from './recent-ids.ts';

/** Where servers tell each other whom the application sends away. No client reaches it ([BUS-2]). */
export const disconnectTopic = '$bus/disconnect';

/** What was said within so many ms is told again to a server that has missed it. */
const window = 300_000;
/** So many of them are remembered; the oldest are forgotten first. */
const most = 1_000;
/** Servers that ask within so many ms get one answer. */
const answerAfter = 250;
/** The clocks of two servers may differ by so many ms. */
const skew = 5_000;

/** One call of `bus.disconnect()`, as it travels. */
interface Told {
  readonly id: string;
  readonly principal: string;
  readonly code?: number | undefined;
  readonly reason?: string | undefined;
  /** When it was said, in ms since 1970 UTC. */
  readonly at: number;
  /** Said again for servers that have missed it. */
  readonly late?: boolean | undefined;
}

/** What the disconnections of a bus need of it. */
export interface DisconnectsHost {
  /** Time. */
  readonly clock: Clock;
  /** There are no other servers. */
  readonly alone: boolean;
  /** Hear the topic. */
  listen(receiver: MessageReceiver): ListenHandle;
  /** Send to the topic. Rejects with a `BackboneError`. */
  publish(body: Uint8Array): Promise<unknown>;
  /** Tell the endpoints of this process. */
  tell(disconnection: Disconnection): void;
  /** Something went wrong that nobody waits for. */
  report(error: unknown): void;
}

/**
 * Sends principals away on every server ([CLUSTER-1]). This server does it at once, whether or not the backbone is there.
 * A server that starts, or that may have missed something, asks the others for what they have said lately ([CLUSTER-2]).
 */
export class Disconnects implements Timed, MessageReceiver {
  /** When the answer to servers that asked is due, in ms. */
  deadline: number = never;
  readonly #host: DisconnectsHost;
  readonly #heard = new RecentIds<true>(window, 10 * most);
  readonly #own: Told[] = [];
  #listening: ListenHandle | undefined;

  constructor(host: DisconnectsHost) {
    this.#host = host;
  }

  /** Hear what other servers say from now on. May be called again. */
  start(): void {
    if (this.#listening) return;
    this.#listening = this.#host.listen(this);
    // Why it is not live is reported by the bus, whose listener this is.
    this.#listening.active.then(
      () => this.#ask(),
      () => {},
    );
  }

  /**
   * Send the connections of a principal away, on all servers. Rejects with a `TypeError` if it is not said whom, or if the
   * words cannot be put into a close frame.
   */
  async disconnect(match: unknown, words: Refusal | RefuseOptions | undefined): Promise<void> {
    const principal: unknown = (match as { readonly principal?: unknown } | null | undefined)?.principal;
    if (typeof principal !== 'string') {
      throw new TypeError(
        `bus.disconnect() needs { principal: 'name' } to know whom; got ${kindOf(match)}. ` +
          'A function cannot travel to other servers: endpoint.disconnect() takes one',
      );
    }
    const refusal = dismissalOf(words);
    const { clock } = this.#host;
    this.start();
    const told: Told = {
      ...{ id: randomId(), principal, at: clock.wall() },
      ...(refusal && { code: refusal.code, reason: refusal.reason }),
    };
    this.#heard.set(told.id, true, clock.now());
    this.#own.push(told);
    this.#forgetOld();
    this.#host.tell({ principal, words: refusal, openedBefore: never });
    await this.#host.publish(encodeUtf8(JSON.stringify(told)));
  }

  /** See {@link MessageReceiver.receive}. */
  receive({ body }: { readonly body: Uint8Array }): void {
    const said: unknown = JSON.parse(decodeUtf8(body));
    if ((said as { readonly ask?: unknown } | null)?.ask === true) return this.#answerSoon();
    const { id, principal, code, reason, at, late } = toldOf(said);
    const now = this.#host.clock.now();
    if (this.#heard.get(id, now)) return;
    this.#heard.set(id, true, now);
    const words = reason === undefined ? undefined : new Refusal(code, reason);
    this.#host.tell({ principal, words, openedBefore: late ? at + skew : never });
  }

  /** See {@link MessageReceiver.gap}. */
  gap(): void {
    this.#ask();
  }

  /** See {@link Timed.tick}: say again what was said lately. */
  tick(): void {
    this.deadline = never;
    this.#forgetOld();
    for (const told of this.#own) {
      this.#host.publish(encodeUtf8(JSON.stringify({ ...told, late: true }))).catch(this.#host.report);
    }
  }

  /** The bus is closed. */
  stop(): void {
    this.deadline = never;
    this.#host.clock.forget(this);
    this.#listening?.stop();
  }

  #ask(): void {
    if (this.#host.alone) return;
    this.#host.publish(encodeUtf8('{"ask":true}')).catch(this.#host.report);
  }

  #answerSoon(): void {
    if (this.deadline !== never || this.#own.length === 0) return;
    this.deadline = this.#host.clock.now() + answerAfter;
    this.#host.clock.watch(this);
  }

  #forgetOld(): void {
    const oldest = this.#host.clock.wall() - window;
    while (this.#own.length > most || (this.#own[0] !== undefined && this.#own[0].at < oldest)) this.#own.shift();
  }
}

/** Throws an `Error` if it is none: whoever can write to the broker can write anything. */
function toldOf(given: unknown): Told {
  const { id, principal, code, reason, at, late } = (given ?? {}) as Partial<Record<keyof Told, unknown>>;
  const words = code === undefined ? reason === undefined || typeof reason === 'string' : typeof reason === 'string';
  if (typeof id !== 'string' || typeof principal !== 'string' || typeof at !== 'number' || !words) {
    throw new Error(`a message of "${disconnectTopic}" that no bus has sent`);
  }
  if (code !== undefined && (typeof code !== 'number' || new Refusal(code, '').closeCode === undefined)) {
    throw new Error(`a message of "${disconnectTopic}" with the close code ${String(code)}`);
  }
  return { id, principal, code, reason: reason as string | undefined, at, late: late === true };
}
