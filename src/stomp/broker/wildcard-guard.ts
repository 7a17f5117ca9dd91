import type { Readers } from '../../bus/fan-out.ts';
import type { Message } from '../../bus/message.ts';
import { isPromise } from '../../core/promise-or.ts';
import { detached } from '../../core/wire.ts';
import type { Headers } from '../protocol/frame.ts';
import type { HandlerClient } from '../server/destination-handler.ts';
import { isPrivateTopic } from '../server/destinations.ts';
import type { Broker } from './broker.ts';
import { protocol } from './default-permission.ts';
import type { BrokerSubscription } from './subscription.ts';

/** What the application said of a topic; `bus`: it leaves it to the bus, which is asked for each message ([BUS-3]). */
type Verdict = boolean | 'bus';

/**
 * Stands between the bus and a wildcard subscription where `authorize` has a say: the subscription sees no topic that its
 * client could not have subscribed to by name ([STOMP-82]). What the application answers is remembered for each topic, up
 * to `maxBacklog` topics.
 */
export class WildcardGuard {
  readonly #client: HandlerClient;
  readonly #broker: Broker;
  readonly #subscription: BrokerSubscription;
  readonly #headers: Headers;
  // By topic: what the application said, or the messages that wait while it thinks.
  readonly #verdicts = new Map<string, Verdict | Message[]>();
  #undecided = 0;

  /** `headers`: of the SUBSCRIBE, for the hook. They are copied: the subscription must not keep its frame alive. */
  constructor(client: HandlerClient, broker: Broker, subscription: BrokerSubscription, headers: Headers) {
    this.#client = client;
    this.#broker = broker;
    this.#subscription = subscription;
    this.#headers = new Map(Array.from(headers, ([name, value]) => [detached(name), detached(value)]));
  }

  /** A message of a topic that matches. */
  receive(message: Message): void {
    const { topic } = message;
    if (isPrivateTopic(topic)) return;
    const known = this.#verdicts.get(topic);
    if (known === undefined) this.#decide(message);
    else if (typeof known === 'object') this.#wait(known, message);
    else this.#pass(message, known);
  }

  /** The application thinks about messages that wait here. */
  get undecided(): boolean {
    return this.#undecided > 0;
  }

  /** A client that may read this topic. */
  count(readers: Readers, topic: string): void {
    const verdict = this.#verdicts.get(topic);
    if (verdict === true || verdict === 'bus') this.#subscription.count(readers);
  }

  /** Messages of topics that match may have been lost. */
  gap(topic: string): void {
    this.#subscription.gap(topic);
  }

  #pass(message: Message, verdict: Verdict): void {
    const permitted = verdict === 'bus' ? this.#broker.bus.permits(message.topic, protocol, 'read') : verdict;
    if (permitted) this.#subscription.receive(message);
  }

  #decide(message: Message): void {
    const { topic } = message;
    const verdict = this.#ask(topic);
    if (!isPromise(verdict)) {
      this.#remember(topic, verdict ?? 'bus');
      return this.#pass(message, verdict ?? 'bus');
    }
    const waiting: Message[] = [];
    this.#verdicts.set(topic, waiting);
    this.#wait(waiting, message);
    const { connection } = this.#client;
    connection.resume(
      verdict,
      (answer) => {
        this.#undecided -= waiting.length;
        this.#remember(topic, answer ?? 'bus');
        for (const each of waiting) this.#pass(each, answer ?? 'bus');
        // What its client missed waits for that.
        this.#subscription.pump();
      },
      (error) => {
        if (!this.#subscription.stopped) throw error;
        connection.report(error);
      },
    );
  }

  #ask(topic: string): boolean | undefined | Promise<boolean | undefined> {
    const destination = this.#broker.destinations.shown(topic);
    try {
      return this.#client.application.authorized(this.#client, 'SUBSCRIBE', destination, this.#headers);
    } catch (error) {
      // A hook that throws at once is treated as one that rejects: the publisher has nothing to do with it.
      return Promise.reject(error);
    }
  }

  #wait(waiting: Message[], message: Message): void {
    waiting.push(message);
    if (++this.#undecided > this.#broker.limits.maxBacklog) {
      this.#client.connection.close('tooSlow', `authorize has not decided on ${message.topic}`);
    }
  }

  /** Publishers choose the names of topics: what is remembered of them has an end ([STOMP-83]). */
  #remember(topic: string, verdict: Verdict): void {
    if (this.#verdicts.size >= this.#broker.limits.maxBacklog && !this.#verdicts.has(topic)) this.#forget();
    this.#verdicts.set(topic, verdict);
  }

  /** Forget what was decided. Topics that wait stay: their answer is on its way. */
  #forget(): void {
    for (const [topic, verdict] of this.#verdicts) if (typeof verdict !== 'object') this.#verdicts.delete(topic);
  }
}
