import type { ListenHandle, MessageReceiver, Readers } from '../../bus/fan-out.ts';
import type { Message } from '../../bus/message.ts';
import type { QoS } from '../protocol/packets.ts';

/** What most subscriptions do not ask for (section 3.8.3.1). */
export interface SpecialOptions {
  /** Not what this client publishes itself. */
  readonly noLocal: boolean;
  /** Messages keep the retain flag of their publisher. */
  readonly retainAsPublished: boolean;
  /** The number of the subscription. */
  readonly subscriptionId: number | undefined;
}

/** The session that a subscription belongs to. */
export interface Subscriber {
  /** A message for one of its subscriptions. */
  receive(message: Message, subscription: MqttSubscription): void;
  /** Count the client, if it is connected. */
  count(readers: Readers): void;
}

/** One topic filter of a session. */
export class MqttSubscription implements MessageReceiver {
  /** The most that is granted. */
  readonly qos: QoS;
  /** Undefined: nothing special was asked for. */
  readonly special: SpecialOptions | undefined;
  /** What it costs, in bytes. */
  readonly cost: number;
  readonly #state: Subscriber;
  #handle: ListenHandle | undefined;

  constructor(state: Subscriber, qos: QoS, special: SpecialOptions | undefined, cost: number) {
    this.#state = state;
    this.qos = qos;
    this.special = special;
    this.cost = cost;
  }

  /** A message that matches, and that the client may read. */
  receive(message: Message): void {
    if (this.#handle !== undefined) this.#state.receive(message, this);
  }

  /** A client reads it, unless it is away. */
  count(readers: Readers): void {
    this.#state.count(readers);
  }

  /** It listens. */
  listens(handle: ListenHandle): void {
    this.#handle = handle;
  }

  /** It hears nothing more. */
  stop(): void {
    this.#handle?.stop();
    this.#handle = undefined;
  }
}
