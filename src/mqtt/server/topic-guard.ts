import type { MessageReceiver, Readers } from '../../bus/fan-out.ts';
import type { Message } from '../../bus/message.ts';
import { isPromise } from '../../core/promise-or.ts';
import { type Broker, protocol, type Verdict } from './broker.ts';
import type { MqttRequest } from './hooks.ts';
import type { SessionState } from './session-state.ts';

/** Messages of a topic that wait until it is known whether the client may see it, or what is known. */
type Known = Verdict | Message[];

/**
 * Stands before a subscription with wildcards where the application has a word to say: it is asked about each topic once,
 * before the client sees a message of it ([MQTT-34]). What is remembered of topics, and what waits, has an end.
 */
export class TopicGuard implements MessageReceiver {
  readonly #broker: Broker;
  readonly #state: SessionState;
  readonly #receiver: MessageReceiver;
  readonly #request: MqttRequest;
  readonly #known = new Map<string, Known>();
  #waiting = 0;

  constructor(broker: Broker, state: SessionState, receiver: MessageReceiver, request: MqttRequest) {
    this.#broker = broker;
    this.#state = state;
    this.#receiver = receiver;
    this.#request = request;
  }

  /** A message of a topic that matches. */
  receive(message: Message): void {
    const { topic } = message;
    const known = this.#known.get(topic);
    if (known === undefined) this.#decide(message);
    else if (typeof known === 'string') this.#pass(message, known);
    else this.#wait(known, message);
  }

  /** A client that may read this topic, as far as it is known. */
  count(readers: Readers, topic: string): void {
    const verdict = this.#known.get(topic);
    if (typeof verdict === 'string' && this.#isOpen(topic, verdict)) this.#receiver.count?.(readers, topic);
  }

  /** May the client see what was kept of this topic? While it is not known, it may not. */
  permits(topic: string): boolean {
    const verdict = this.#ask(topic);
    if (!isPromise(verdict)) return this.#isOpen(topic, verdict);
    verdict.catch(this.#broker.parts.report);
    return false;
  }

  #isOpen(topic: string, verdict: Verdict): boolean {
    if (verdict !== 'byBus') return verdict === 'byApplication';
    return this.#broker.parts.bus.permits(topic, protocol, 'read');
  }

  #pass(message: Message, verdict: Verdict): void {
    if (this.#isOpen(message.topic, verdict)) this.#receiver.receive(message);
  }

  #ask(topic: string): Verdict | Promise<Verdict> {
    // As a filter: what the bus says may change, and is asked each time.
    return this.#broker.verdict({ ...this.#request, topic }, 'read', true);
  }

  #decide(message: Message): void {
    const { topic } = message;
    const verdict = this.#ask(topic);
    if (!isPromise(verdict)) {
      this.#remember(topic, verdict);
      return this.#pass(message, verdict);
    }
    const waiting: Message[] = [];
    this.#known.set(topic, waiting);
    this.#wait(waiting, message);
    const answered = (answer: Verdict): void => {
      this.#waiting -= waiting.length;
      this.#known.delete(topic);
      this.#remember(topic, answer);
      for (const each of waiting) this.#pass(each, answer);
    };
    verdict.then(answered).catch((error: unknown) => {
      this.#waiting -= waiting.length;
      this.#known.delete(topic);
      this.#broker.parts.report(error);
      this.#state.link?.connection.close('internal');
    });
  }

  #wait(waiting: Message[], message: Message): void {
    if (this.#waiting >= this.#broker.parts.limits.maxQueued) {
      this.#state.link?.connection.close('tooSlow', 'authorize has not decided on a topic');
      return;
    }
    this.#waiting++;
    waiting.push(message);
  }

  /** Publishers choose the names of topics: what is remembered of them has an end. */
  #remember(topic: string, verdict: Verdict): void {
    if (this.#known.size >= this.#broker.parts.limits.maxQueued) {
      for (const [each, known] of this.#known) if (typeof known === 'string') this.#known.delete(each);
    }
    this.#known.set(topic, verdict);
  }
}
