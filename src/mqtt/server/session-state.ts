import type { Readers } from '../../bus/fan-out.ts';
import type { Message } from '../../bus/message.ts';
import { never, type Timers } from '../../core/clock.ts';
import { SmallMap } from '../../core/small-map.ts';
import type { Connection } from '../../core/subprotocol.ts';
import { encodeAck, encodePublish, publishLength, type SharedPublish } from '../protocol/encoder.ts';
import type { ProtocolLevel, QoS, Will } from '../protocol/packets.ts';
import type { MqttLimits } from './limits.ts';
import { expiryOf, isRetained, publisherOf, publishForms, qosOf, withExpiry } from './message-headers.ts';
import { entryCost, type Outgoing, outgoingOf, released, usualOutgoing } from './outgoing.ts';
import type { MqttSubscription } from './subscription.ts';

/** The connection that a session has, and what its client takes. */
export interface Link {
  /** Where to send. */
  readonly connection: Connection;
  /** The version that is spoken. */
  readonly level: ProtocolLevel;
  /** QoS 1 and 2 messages that may be under way. */
  readonly window: number;
  /** The largest packet that the client takes, in bytes; undefined: any. */
  readonly maxPacket: number | undefined;
  /** Count what the session costs; ends the connection if it is too much. */
  charge(bytes: number): void;
}

/** Who keeps sessions. */
export interface Keeper {
  /** What a session may keep. */
  readonly limits: MqttLimits;
  /** The source of time. */
  readonly clock: Pick<Timers, 'now'>;
  /** What a session without a connection costs has changed, by so many bytes. */
  charge(state: SessionState, bytes: number): void;
  /** It may keep no more. */
  forget(state: SessionState): void;
}

/** Topics of which something was kept, to be sent one by one. */
interface Kept {
  readonly topics: readonly string[];
  readonly send: (topic: string) => void;
  next: number;
}

/** What a topic in such a list costs, in bytes. */
const topicCost = 8;

/** Where ids of packets end. */
const lastId = 65_535;

/** What outlives a connection: subscriptions, what waits, and what was not acknowledged (section 4.1) ([MQTT-61]). */
export class SessionState {
  /** The name of the principal that it belongs to. */
  readonly owner: string | undefined;
  /** What its client calls it. */
  readonly clientId: string;
  /** By topic filter. */
  readonly subscriptions: SmallMap<string, MqttSubscription> = new SmallMap();
  /** Packet identifiers of QoS 2 messages of the client that wait for PUBREL. */
  received: Set<number> | undefined;
  /** When it is forgotten, in ms of the clock, while it has no connection. */
  expiresAt: number | undefined;
  /** What is published once `willAt` has come, unless the client comes back. */
  will: Will | undefined;
  /** When the will is due, in ms of the clock. */
  willAt: number | undefined;
  /** What it costs, in bytes. */
  bytes = 0;
  readonly #keeper: Keeper;
  #link: Link | undefined;
  #inflight: Map<number, Outgoing | typeof released> | undefined;
  #tag: string | undefined;
  #queue: Outgoing[] | undefined;
  #kept: Kept[] | undefined;
  #queuedBytes = 0;
  #next = 0;
  // Of those in flight, the packet identifiers that this connection has not been sent yet.
  #again: number[] | undefined;
  // What this connection was sent and has not acknowledged.
  #sent = 0;
  #lastId = 0;
  #stopped = false;

  constructor(keeper: Keeper, owner: string | undefined, clientId: string) {
    this.#keeper = keeper;
    this.owner = owner;
    this.clientId = clientId;
  }

  /** Names it to itself in messages, without telling anybody the client identifier. */
  get tag(): string {
    this.#tag ??= crypto.randomUUID();
    return this.#tag;
  }

  /** The connection that it has; undefined: none. */
  get link(): Link | undefined {
    return this.#link;
  }

  /** It has ended. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /** Messages that wait, or that the client has not acknowledged. */
  get unfinished(): number {
    return (this.#inflight?.size ?? 0) + this.#waiting;
  }

  get #waiting(): number {
    return this.#queue === undefined ? 0 : this.#queue.length - this.#next;
  }

  /** It has a connection from now on: what was not acknowledged is sent again, then what waits ([MQTT-62]). */
  attach(link: Link): void {
    this.#link = link;
    this.#sent = 0;
    this.#again = this.#inflight?.size ? [...this.#inflight.keys()] : undefined;
    if (this.bytes > 0) link.charge(this.bytes);
    this.pump();
  }

  /** Its connection is gone. */
  detach(): void {
    this.#link = undefined;
  }

  /** The end: it hears nothing more, and keeps nothing. */
  stop(): void {
    this.#stopped = true;
    for (const subscription of this.subscriptions.values()) subscription.stop();
    this.subscriptions.clear();
    this.#inflight = this.#again = undefined;
    this.#queue = this.#kept = undefined;
    this.#next = 0;
    this.charge(-this.bytes);
  }

  /** Count what it costs, in bytes. */
  charge(bytes: number): void {
    this.bytes += bytes;
    if (this.#link) this.#link.charge(bytes);
    else if (!this.#stopped) this.#keeper.charge(this, bytes);
  }

  // ── to the client ──────────────────────────────────────────────────────────────────────────────────────────────

  /** A message for one of its subscriptions. Called for every message of every subscriber. */
  receive(message: Message, subscription: MqttSubscription): void {
    const sent = qosOf(message);
    const qos = sent < subscription.qos ? sent : subscription.qos;
    const { special } = subscription;
    if (special?.noLocal && publisherOf(message) === this.tag) return;
    const retain = special?.retainAsPublished === true && isRetained(message);
    this.deliver(message, qos, retain, special?.subscriptionId);
  }

  /** Count its client, if it is connected. */
  count(readers: Readers): void {
    if (!this.#link) return;
    readers.all++;
    if (this.#link.connection.lags) readers.lagging++;
  }

  /** Send a message, or keep it until it can be sent. */
  deliver(message: Message, qos: QoS, retain: boolean, subscriptionId: number | undefined): void {
    const isUsual = !retain && subscriptionId === undefined;
    if (qos > 0) {
      const how = qos as 1 | 2;
      return this.#enqueue(isUsual ? usualOutgoing(message, how) : outgoingOf(message, how, retain, subscriptionId));
    }
    const link = this.#link;
    if (!link || link.connection.closing) return;
    const shared = message.encodedAs(publishForms[link.level]);
    // [MQTT-64] What is too large for its client is not sent.
    if (publishLength(shared) > (link.maxPacket ?? never)) return;
    link.connection.send(
      isUsual ? shared.plain : encodePublish(shared, { qos, packetId: 0, dup: false, retain, subscriptionId }),
    );
  }

  /** Send what was kept of these topics, as fast as the client takes it ([MQTT-72]). */
  sendKept(topics: readonly string[], send: (topic: string) => void): void {
    this.#kept ??= [];
    this.#kept.push({ topics, send, next: 0 });
    this.charge(topics.length * topicCost);
    this.pump();
  }

  /** Send the next one that was kept. False: there is none. */
  #sendKept(): boolean {
    const [first] = this.#kept ?? [];
    if (!first) return false;
    const topic = first.topics[first.next++];
    if (topic !== undefined) first.send(topic);
    else {
      this.charge(-first.topics.length * topicCost);
      this.#kept?.shift();
      if (this.#kept?.length === 0) this.#kept = undefined;
    }
    return true;
  }

  get #mayWait(): boolean {
    const link = this.#link;
    return !link || this.#sent >= link.window || this.#waiting > 0 || this.#again !== undefined;
  }

  #enqueue(out: Outgoing): void {
    if (this.#stopped) return;
    const link = this.#link;
    if (!link || this.#mayWait || link.connection.mustWait()) return this.#keep(out);
    this.charge(out.cost);
    this.#send(link, out);
  }

  #keep(out: Outgoing): void {
    const { maxQueued, maxQueuedBytes } = this.#keeper.limits;
    if (this.#waiting >= maxQueued || this.#queuedBytes + out.cost > maxQueuedBytes) {
      if (!this.#link) return this.#keeper.forget(this);
      return this.#link.connection.close(
        'tooSlow',
        `more than ${maxQueued} messages, or ${maxQueuedBytes} bytes, wait`,
      );
    }
    const ages = expiryOf(out.message) !== undefined;
    this.#queue ??= [];
    this.#queue.push(ages ? { ...out, keptAt: this.#keeper.clock.now() } : out);
    this.#queuedBytes += out.cost;
    this.charge(out.cost);
  }

  #send(link: Link, out: Outgoing, aging?: SharedPublish): void {
    const { message, qos, retain, subscriptionId } = out;
    this.#inflight ??= new Map();
    const inflight = this.#inflight;
    let packetId = this.#lastId;
    do packetId = packetId === lastId ? 1 : packetId + 1;
    while (inflight.has(packetId));
    this.#lastId = packetId;
    const shared = aging ?? message.encodedAs(publishForms[link.level]);
    if (publishLength(shared) > (link.maxPacket ?? never)) return this.charge(-out.cost);
    inflight.set(packetId, out);
    this.#sent++;
    link.connection.send(encodePublish(shared, { qos, packetId, dup: false, retain, subscriptionId }));
  }

  /** Send what may be sent now. */
  pump(): void {
    const link = this.#link;
    if (!link) return;
    const { connection } = link;
    while (this.#sent < link.window && !connection.closing && !connection.mustWait()) {
      const packetId = this.#again?.shift();
      if (packetId !== undefined) {
        this.#sendAgain(link, packetId);
        continue;
      }
      this.#again = undefined;
      const out = this.#take();
      if (out) this.#sendAged(link, out);
      else if (!this.#sendKept()) return;
    }
  }

  #sendAgain(link: Link, packetId: number): void {
    const out = this.#inflight?.get(packetId);
    if (out === undefined) return;
    this.#sent++;
    if (out === released) return link.connection.send(encodeAck(link.level, 'pubrel', packetId));
    const { message, qos, retain, subscriptionId } = out;
    const shared = message.encodedAs(publishForms[link.level]);
    link.connection.send(encodePublish(shared, { qos, packetId, dup: true, retain, subscriptionId }));
  }

  /** [MQTT-65] A message that has waited says how long it is still worth sending; one that is not is dropped. */
  #sendAged(link: Link, out: Outgoing): void {
    const { message, keptAt } = out;
    const expiry = expiryOf(message);
    if (expiry === undefined || keptAt === undefined) return this.#send(link, out);
    const waited = Math.floor((this.#keeper.clock.now() - keptAt) / 1_000);
    if (waited >= expiry) return this.charge(-out.cost);
    this.#send(
      link,
      out,
      waited > 0 ? withExpiry(message, expiry - waited).encodedAs(publishForms[link.level]) : undefined,
    );
  }

  #take(): Outgoing | undefined {
    const queue = this.#queue;
    if (queue === undefined || this.#waiting === 0) return undefined;
    const out = queue[this.#next++] as Outgoing;
    this.#queuedBytes -= out.cost;
    // What was taken is let go of in lumps: moving the rest up each time would cost the square of its length.
    if (this.#next * 2 > queue.length) {
      this.#queue = this.#next === queue.length ? undefined : queue.slice(this.#next);
      this.#next = 0;
    }
    return out;
  }

  // ── acknowledgements of the client ─────────────────────────────────────────────────────────────────────────────

  /** PUBACK, PUBCOMP, or a PUBREC that refuses: this packet identifier is free. False: it was not in use. */
  acknowledged(packetId: number): boolean {
    const out = this.#inflight?.get(packetId);
    if (out === undefined) return false;
    this.#inflight?.delete(packetId);
    this.#settle();
    this.charge(out === released ? -entryCost : -out.cost);
    if (this.#waiting > 0 || this.#again !== undefined || this.#kept !== undefined) this.pump();
    return true;
  }

  /** PUBREC: the client has the message, which is not kept any longer ([MQTT-56]). False: it was not in use. */
  arrived(packetId: number): boolean {
    const out = this.#inflight?.get(packetId);
    if (out === undefined) return false;
    if (out === released) return true;
    this.#inflight?.set(packetId, released);
    this.charge(entryCost - out.cost);
    return true;
  }

  #settle(): void {
    if (this.#sent > 0) this.#sent--;
  }
}
