import type { Readers } from '../../bus/fan-out.ts';
import { createMessage, type Encoding, type Message } from '../../bus/message.ts';
import { ownedBytes } from '../../core/slab.ts';
import type { Connection } from '../../core/subprotocol.ts';
import { detached } from '../../core/wire.ts';
import { encodeFrameHead } from '../protocol/encoder.ts';
import type { AckMode } from '../protocol/frame-fields.ts';
import { brokerHeader } from '../protocol/headers.ts';
import type { HandlerClient, SubscriptionPlan } from '../server/destination-handler.ts';
import type { SharedTail } from '../server/message-forms.ts';
import { type Delivery, Unacknowledged } from '../server/unacknowledged.ts';
import type { Broker, TopicSource } from './broker.ts';
import type { BrokerLimits } from './limits.ts';
import type { Consumer, QueueItem, WorkQueue } from './queue.ts';
import { costs, storedSize } from './quota.ts';
import type { Returned } from './returned.ts';

/** The subscriptions of a connection, as each of them sees the others. */
export interface Subscriber {
  /** The client that they belong to. */
  readonly client: HandlerClient;
  /** What all clients share. */
  readonly broker: Broker;
  /** What it may keep. */
  readonly limits: BrokerLimits;
  /** Deliveries that wait for an ACK or NACK, over all subscriptions. */
  unacknowledged: number;
  /** Count what the connection makes the broker keep, in bytes; false: it was too much, and the connection ends. */
  charge(bytes: number): boolean;
}

/** A message that was sent to a client which has not acknowledged it yet. */
export interface QueueDelivery extends Delivery {
  /** Its place in the queue it came from; topics have none, and redeliver nothing. */
  readonly item: QueueItem | undefined;
}

/** One SUBSCRIBE of one connection: what it gets, in which form, and what it has not acknowledged. */
export class BrokerSubscription implements Consumer {
  /** The client's own id; undefined: it gave none ([STOMP-42]). */
  readonly id: string | undefined;
  /** Distinguishes the subscriptions of a connection in `ack` headers. */
  readonly serial: number;
  /** As the client wrote it. */
  readonly destination: string;
  /** Who acknowledges what ([STOMP-47]). */
  readonly mode: AckMode;
  /** Hooks have heard that it is active. */
  isTold = false;
  readonly #subscriber: Subscriber;
  readonly #connection: Connection;
  readonly #form: Encoding<SharedTail>;
  readonly #head: string;
  // Absent: as the limit says, which need not be a whole number and would then take memory of its own.
  readonly #prefetch: number | undefined;
  // Where it comes from: a queue, or a topic.
  #queue: WorkQueue | undefined;
  #listening: TopicSource | undefined;
  #stopped = false;
  // By message-id. undefined until the first delivery that wants an ACK, and after stop().
  #unacknowledged: Unacknowledged<QueueDelivery> | undefined;
  #claimed = 0;
  // Messages of topics that wait; by topic where only the latest counts.
  #backlog: Map<unknown, Message> | undefined;
  #backlogBytes = 0;
  #deliveries = 0;
  #waitsForStart = false;
  // Messages of its topic may have been lost, and its client has not heard of it yet.
  #missed = false;

  constructor(subscriber: Subscriber, plan: SubscriptionPlan, serial: number) {
    const { id, destination, mode, prefetch } = plan;
    const { version } = subscriber.client;
    const { forms } = subscriber.broker;
    this.id = id;
    this.serial = serial;
    this.destination = destination;
    this.mode = mode;
    this.#subscriber = subscriber;
    this.#connection = subscriber.client.connection;
    this.#form = version === '1.0' && mode !== 'auto' ? forms.tailWithoutId : forms.tail[version];
    this.#head = detached(encodeFrameHead(version, 'MESSAGE', id === undefined ? {} : { subscription: id }));
    this.#prefetch = prefetch;
  }

  // ── from topics ────────────────────────────────────────────────────────────────────────────────────────────────

  /** It listens to a topic of the bus. */
  attachTopic(listening: TopicSource): void {
    this.#listening = listening;
  }

  /** Live messages wait until `start`, so that a first message from the application comes before them. */
  waitForStart(): void {
    this.#waitsForStart = true;
  }

  /** How many deliveries it asked for at a time; undefined: as the limit says. */
  get prefetch(): number | undefined {
    return this.#prefetch;
  }

  /** It has ended. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /** Its queue has nothing left for it, and it owes no ACK for a message of the queue. */
  get idle(): boolean {
    if (!this.#queue) return true;
    return this.#queue.waiting === 0 && this.#claimed + (this.#unacknowledged?.size ?? 0) === 0;
  }

  /** The application has answered: its first message leaves, then what came meanwhile. */
  start(first: Message | undefined): void {
    if (this.#stopped) return;
    this.#waitsForStart = false;
    if (first) this.#deliver(first, undefined);
    this.pump();
  }

  /** A message of the topic. Called for every message of every subscriber: nothing is allocated but what is sent. */
  receive(message: Message): void {
    if (this.#stopped) return;
    if (this.#backlog === undefined && !this.#mustWait) this.#deliver(message, undefined);
    else this.#keep(message);
  }

  /** A client reads it. */
  count(readers: Readers): void {
    if (this.#stopped) return;
    readers.all++;
    if (this.#connection.lags) readers.lagging++;
  }

  /** Messages of its topic may have been lost: the next one says so ([STOMP-122]). */
  gap(topic: string): void {
    if (this.#stopped) return;
    this.#missed = true;
    this.#subscriber.broker.missed(topic, this.#connection);
  }

  /** Its client could not be told in any other way that it may have missed messages: the next one says so. */
  tellLoss(): void {
    this.#missed = true;
  }

  get #mustWait(): boolean {
    return (
      this.#waitsForStart ||
      (this.mode !== 'auto' && !this.#mayDeliver) ||
      (this.#subscriber.broker.slowSubscriber !== 'disconnect' && this.#connection.mustWait())
    );
  }

  #keep(live: Message): void {
    // What others were sent of this message is cut from slabs: a copy without it is kept ([STOMP-92]).
    const message = live.encodedAs(keptMessage);
    this.#backlog ??= new Map();
    const backlog = this.#backlog;
    const key = this.#subscriber.broker.slowSubscriber === 'latest' ? message.topic : message;
    this.#drop(backlog, key);
    const bytes = storedSize(message);
    if (!this.#subscriber.charge(bytes)) return;
    backlog.set(key, message);
    this.#backlogBytes += bytes;
    const { maxBacklog, maxBacklogBytes } = this.#subscriber.limits;
    // The latest message stays, however large it is.
    while (backlog.size > maxBacklog || (this.#backlogBytes > maxBacklogBytes && backlog.size > 1)) {
      if (this.#subscriber.broker.slowSubscriber === 'disconnect') {
        const bound = backlog.size > maxBacklog ? `${maxBacklog} messages` : `${maxBacklogBytes} bytes`;
        return this.#connection.close('tooSlow', `more than ${bound} wait for ${this.destination}`);
      }
      const [oldest] = backlog.keys();
      this.#drop(backlog, oldest);
    }
  }

  #drop(backlog: Map<unknown, Message>, key: unknown): void {
    const message = backlog.get(key);
    if (!message || !backlog.delete(key)) return;
    const bytes = storedSize(message);
    this.#backlogBytes -= bytes;
    this.#subscriber.charge(-bytes);
  }

  // ── from queues ────────────────────────────────────────────────────────────────────────────────────────────────

  /** It takes messages from a queue. */
  attachQueue(queue: WorkQueue): void {
    // Its end came while the application was asked.
    if (this.#stopped) return queue.release();
    this.#queue = queue;
    queue.add(this);
  }

  /** Its client reads, and has room for one more delivery. */
  get ready(): boolean {
    const connection = this.#connection;
    if (this.#subscriber.client.leaving || connection.closing || connection.mustWait()) return false;
    return this.mode === 'auto' || this.#mayDeliver;
  }

  /** See {@link Consumer.charge}; what was missed of a topic, and waits for its reader, counts here as well. */
  charge(bytes: number): void {
    this.#subscriber.charge(bytes);
  }

  /** Deliver a message of the queue. */
  take(item: QueueItem): void {
    this.#deliver(item.message, item);
    if (this.mode === 'auto') this.#queue?.consumed(item);
  }

  // ── out ────────────────────────────────────────────────────────────────────────────────────────────────────────

  get #mayDeliver(): boolean {
    const { unacknowledged, limits } = this.#subscriber;
    const own = this.#claimed + (this.#unacknowledged?.size ?? 0);
    return own < (this.#prefetch ?? limits.prefetch) && unacknowledged < limits.maxUnacknowledged;
  }

  #deliver(message: Message, item: QueueItem | undefined): void {
    const shared = message.encodedAs(this.#form);
    const { tail, binary } = shared;
    let head = this.#head;
    if (this.mode !== 'auto') {
      const messageId = message.encodedAs(this.#subscriber.broker.forms.id);
      const { version } = this.#subscriber.client;
      if (version === '1.2') head += `ack:${this.serial}-${messageId}\n`;
      else if (version === '1.0') head += `message-id:${this.serial}-${messageId}\n`;
      if (!this.#subscriber.charge(costs.delivery)) return;
      // The message stays until it is acknowledged, its tail with it: not the slab that the tail is cut from ([STOMP-92]).
      if (item !== undefined) shared.tail = ownedBytes(tail);
      this.#unacknowledged ??= new Unacknowledged();
      this.#unacknowledged.add({ key: messageId, order: ++this.#deliveries, item });
      this.#subscriber.unacknowledged++;
    }
    if (this.#missed) {
      this.#missed = false;
      head += `${brokerHeader.messagesLost}:true\n`;
    }
    if (item !== undefined && item.deliveries > 1) head += 'redelivered:true\n';
    this.#connection.send({ head, tail, binary });
  }

  /** There may be room again: go on. */
  pump(): void {
    if (this.#stopped) return;
    this.#queue?.wake(this);
    const backlog = this.#backlog;
    if (backlog !== undefined) {
      for (const [key, message] of backlog) {
        if (this.#mustWait || this.#connection.closing) return;
        this.#drop(backlog, key);
        this.#deliver(message, undefined);
      }
      this.#backlog = undefined;
    }
    this.#listening?.pump?.();
  }

  // ── acknowledgements ───────────────────────────────────────────────────────────────────────────────────────────

  /** Does a delivery of this key wait for its ACK or NACK? */
  awaits(key: string): boolean {
    return this.#unacknowledged?.has(key) === true;
  }

  /** Take out the deliveries that an ACK or NACK of this key is about: see {@link Unacknowledged.claim}. */
  claim(key: string): QueueDelivery[] {
    const claimed = (this.#unacknowledged ?? nothing).claim(key, this.mode === 'client');
    this.#claimed += claimed.length;
    return claimed;
  }

  /** What was claimed is decided: consumed, or back to the queue it came from. */
  settle(deliveries: readonly QueueDelivery[], consumed: boolean, returned: Returned): void {
    this.#claimed -= deliveries.length;
    this.#noLongerWaiting(deliveries.length);
    if (!consumed) return this.#giveBack(deliveries, returned, true);
    for (const { item } of deliveries) if (item) this.#queue?.consumed(item);
  }

  /** The transaction that claimed these was aborted: they wait again, or go back if the subscription has ended. */
  restore(deliveries: readonly QueueDelivery[], returned: Returned): void {
    this.#claimed -= deliveries.length;
    if (this.#unacknowledged) return this.#unacknowledged.restore(deliveries);
    this.#noLongerWaiting(deliveries.length);
    this.#giveBack(deliveries, returned, false);
  }

  /** The end: nothing more is delivered, and what was not acknowledged goes back ([STOMP-50] [STOMP-53]). `failed`: counted. */
  stop(returned: Returned, failed: boolean): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#listening?.stop();
    this.#backlog = undefined;
    this.#subscriber.charge(-this.#backlogBytes);
    const waiting = this.#unacknowledged?.takeAll() ?? [];
    this.#unacknowledged = undefined;
    this.#noLongerWaiting(waiting.length);
    if (!this.#queue) return;
    this.#queue.remove(this);
    returned.touch(this.#queue);
    this.#giveBack(waiting, returned, failed);
  }

  #noLongerWaiting(deliveries: number): void {
    this.#subscriber.unacknowledged -= deliveries;
    this.#subscriber.charge(-deliveries * costs.delivery);
  }

  #giveBack(deliveries: readonly QueueDelivery[], returned: Returned, failed: boolean): void {
    const queue = this.#queue;
    if (queue) for (const { item } of deliveries) if (item) returned.add(queue, item, failed);
  }
}

/** A message as it is kept for slow subscribers: one copy for all of them, without what was encoded for others. */
const keptMessage: Encoding<Message> = {
  encode: ({ topic, body, contentType, headers, position }) =>
    createMessage({ topic, body: ownedBytes(body), contentType, headers, position }),
};

/** Where nothing waits. */
const nothing = new Unacknowledged<QueueDelivery>();
