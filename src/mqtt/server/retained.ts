import { createMessage, type Message, type MessageHeaders } from '../../bus/message.ts';
import { ownedBytes } from '../../core/slab.ts';
import type { QoS } from '../protocol/packets.ts';
import { filterMatches, hasWildcard } from '../protocol/topic-names.ts';
import type { MqttLimits } from './limits.ts';
import { expiryOf } from './message-headers.ts';
import { messageCost } from './outgoing.ts';

/** A message that is kept. */
export interface RetainedMessage {
  /** The message, in memory of its own. */
  readonly message: Message;
  /** The QoS that it was published with. */
  readonly qos: QoS;
  /** When it is not worth sending any more, in ms of the clock; Infinity: never. */
  readonly expiresAt: number;
  /** The name of the principal who published it. */
  readonly owner: string | undefined;
  /** What it costs, in bytes. */
  readonly cost: number;
}

const position = { epoch: 'retained', offset: 0 };

/**
 * The last message of each topic that was published to be kept ([MQTT-70]). They live in this process, and are bounded
 * in number, in bytes and by who published them.
 */
export class Retained {
  /** Messages that were not kept since there were too many. */
  dropped = 0;
  /** What all of them cost, in bytes. */
  bytes = 0;
  readonly #limits: MqttLimits;
  readonly #byTopic = new Map<string, RetainedMessage>();
  readonly #byOwner = new Map<string | undefined, number>();

  constructor(limits: MqttLimits) {
    this.#limits = limits;
  }

  /** How many there are. */
  get size(): number {
    return this.#byTopic.size;
  }

  /** Keep a message instead of the one before it; an empty one only takes that away. */
  keep(
    topic: string,
    payload: Uint8Array,
    contentType: string | undefined,
    headers: MessageHeaders,
    qos: QoS,
    owner: string | undefined,
    now: number,
  ): void {
    this.#forget(topic);
    if (payload.length === 0) return;
    const message = createMessage({ topic, body: ownedBytes(payload), contentType, headers, position });
    const cost = messageCost(message);
    const { maxRetained, maxRetainedBytes, maxUserRetained } = this.#limits;
    const owned = this.#byOwner.get(owner) ?? 0;
    if (this.#byTopic.size >= maxRetained || this.bytes + cost > maxRetainedBytes || owned >= maxUserRetained) {
      this.dropped++;
      return;
    }
    const expiry = expiryOf(message);
    const expiresAt = expiry === undefined ? Number.POSITIVE_INFINITY : now + expiry * 1_000;
    this.#byTopic.set(topic, { message, qos, expiresAt, owner, cost });
    this.#byOwner.set(owner, owned + 1);
    this.bytes += cost;
  }

  /** What is kept of a topic and is worth sending; undefined: nothing. */
  get(topic: string, now: number): RetainedMessage | undefined {
    const known = this.#byTopic.get(topic);
    if (known === undefined || known.expiresAt > now) return known;
    this.#forget(topic);
    return undefined;
  }

  /** Topics that a filter matches and of which something is kept. */
  matching(filter: string): string[] {
    if (!hasWildcard(filter)) return this.#byTopic.has(filter) ? [filter] : [];
    const found: string[] = [];
    for (const topic of this.#byTopic.keys()) if (filterMatches(filter, topic)) found.push(topic);
    return found;
  }

  /** Forget all of them. */
  clear(): void {
    this.#byTopic.clear();
    this.#byOwner.clear();
    this.bytes = 0;
  }

  #forget(topic: string): void {
    const known = this.#byTopic.get(topic);
    if (!known) return;
    this.#byTopic.delete(topic);
    this.bytes -= known.cost;
    const left = (this.#byOwner.get(known.owner) ?? 1) - 1;
    if (left > 0) this.#byOwner.set(known.owner, left);
    else this.#byOwner.delete(known.owner);
  }
}
