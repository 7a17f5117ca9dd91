import type { ListenHandle } from '../../bus/fan-out.ts';
import type { Encoding, Message } from '../../bus/message.ts';
import { ProtocolError } from '../../core/fault.ts';
import type { SlowSubscriber } from '../../core/slow-subscriber.ts';
import type { Connection } from '../../core/subprotocol.ts';
import { detached } from '../../core/wire.ts';
import { encodeFrameHead } from '../protocol/encoder.ts';
import type { AckMode } from '../protocol/frame-fields.ts';
import type { Version } from '../protocol/versions.ts';
import type { MessageForms, SharedTail } from '../server/message-forms.ts';
import type { BrokerLimits } from './limits.ts';
import type { Consumer, Queue, QueueItem } from './queue.ts';
import { storedSize } from './quota.ts';

/** The connection that subscriptions belong to. */
export interface Subscriber {
  readonly connection: Connection;
  readonly version: Version;
  readonly limits: BrokerLimits;
  /** Deliveries that wait for an ACK or NACK, over all subscriptions. */
  unacknowledged: number;
  /** The server is leaving: nothing more is taken from queues. */
  readonly leaving: boolean;
}

export interface SubscriptionOptions {
  readonly subscriber: Subscriber;
  /** The client's own id; undefined: a 1.0 client gave none ([STOMP-42]). */
  readonly id: string | undefined;
  /** Distinguishes the subscriptions of a connection in `ack` headers. */
  readonly serial: number;
  readonly destination: string;
  readonly mode: AckMode;
  readonly prefetch: number | undefined;
  readonly slowSubscriber: SlowSubscriber;
  readonly forms: MessageForms;
}

/** A message that was sent to a client which has not acknowledged it yet. */
export interface Delivery {
  readonly subscription: BrokerSubscription;
  readonly messageId: string;
  /** Its place: later ones have more. */
  readonly order: number;
  /** Its place in the queue it came from; topics have none, and redeliver nothing. */
  readonly item: QueueItem | undefined;
}

/** One SUBSCRIBE of one connection: what it gets, in which form, and what it has not acknowledged. */
export class BrokerSubscription implements Consumer {
  readonly id: string | undefined;
  readonly serial: number;
  readonly destination: string;
  readonly mode: AckMode;
  readonly #subscriber: Subscriber;
  readonly #forms: MessageForms;
  readonly #form: Encoding<SharedTail>;
  readonly #head: string;
  readonly #slowSubscriber: SlowSubscriber;
  // Absent: as the limit says, which need not be a whole number and would then take memory of its own.
  readonly #prefetch: number | undefined;
  // Where it comes from: a queue, or a topic.
  #queue: Queue | undefined;
  #listening: ListenHandle | undefined;
  #stopped = false;
  // In order of delivery, by message-id. Absent while nothing waits.
  #unacknowledged: Map<string, Delivery> | undefined;
  #claimed = 0;
  // Messages of topics that wait; by topic where only the latest counts.
  #backlog: Map<unknown, Message> | undefined;
  #backlogBytes = 0;
  #deliveries = 0;
  #waitsForStart = false;

  constructor({ subscriber, id, serial, destination, mode, prefetch, slowSubscriber, forms }: SubscriptionOptions) {
    const { version } = subscriber;
    this.id = id;
    this.serial = serial;
    this.destination = destination;
    this.mode = mode;
    this.#subscriber = subscriber;
    this.#forms = forms;
    this.#form = version === '1.0' && mode !== 'auto' ? forms.tailWithoutId : forms.tail[version];
    this.#head = detached(encodeFrameHead(version, 'MESSAGE', id === undefined ? {} : { subscription: id }));
    this.#slowSubscriber = slowSubscriber;
    this.#prefetch = prefetch;
  }

  // ── from topics ────────────────────────────────────────────────────────────────────────────────────────────────

  attachTopic(listening: ListenHandle): void {
    this.#listening = listening;
  }

  /** Live messages wait until `start`, so that a first message from the application comes before them. */
  waitForStart(): void {
    this.#waitsForStart = true;
  }

  get stopped(): boolean {
    return this.#stopped;
  }

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

  get #mustWait(): boolean {
    return (
      this.#waitsForStart ||
      (this.mode !== 'auto' && !this.#mayDeliver) ||
      (this.#slowSubscriber !== 'disconnect' && this.#subscriber.connection.saturated)
    );
  }

  #keep(message: Message): void {
    this.#backlog ??= new Map();
    const backlog = this.#backlog;
    const key = this.#slowSubscriber === 'latest' ? message.topic : message;
    this.#drop(backlog, key);
    backlog.set(key, message);
    this.#backlogBytes += storedSize(message);
    const { maxBacklog, maxBacklogBytes } = this.#subscriber.limits;
    // The latest message stays, however large it is.
    while (backlog.size > maxBacklog || (this.#backlogBytes > maxBacklogBytes && backlog.size > 1)) {
      if (this.#slowSubscriber === 'disconnect') {
        const bound = backlog.size > maxBacklog ? `${maxBacklog} messages` : `${maxBacklogBytes} bytes`;
        return this.#subscriber.connection.close('tooSlow', `more than ${bound} wait for ${this.destination}`);
      }
      const [oldest] = backlog.keys();
      this.#drop(backlog, oldest);
    }
  }

  #drop(backlog: Map<unknown, Message>, key: unknown): void {
    const message = backlog.get(key);
    if (message && backlog.delete(key)) this.#backlogBytes -= storedSize(message);
  }

  // ── from queues ────────────────────────────────────────────────────────────────────────────────────────────────

  attachQueue(queue: Queue): void {
    // Its end came while the application was asked.
    if (this.#stopped) return queue.release();
    this.#queue = queue;
    queue.add(this);
  }

  get ready(): boolean {
    const { connection, leaving } = this.#subscriber;
    return !leaving && !connection.closing && !connection.saturated && (this.mode === 'auto' || this.#mayDeliver);
  }

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
    const { tail, binary } = message.encodedAs(this.#form);
    let head = this.#head;
    if (this.mode !== 'auto') {
      const messageId = message.encodedAs(this.#forms.id);
      const { version } = this.#subscriber;
      if (version === '1.2') head += `ack:${this.serial}-${messageId}\n`;
      else if (version === '1.0') head += `message-id:${this.serial}-${messageId}\n`;
      this.#unacknowledged ??= new Map();
      this.#unacknowledged.set(messageId, { subscription: this, messageId, order: ++this.#deliveries, item });
      this.#subscriber.unacknowledged++;
    }
    if (item !== undefined && item.deliveries > 1) head += 'redelivered:true\n';
    this.#subscriber.connection.send({ head, tail, binary });
  }

  /** There may be room again: go on. */
  pump(): void {
    this.#queue?.dispatch();
    const backlog = this.#backlog;
    if (backlog === undefined) return;
    for (const [key, message] of backlog) {
      if (this.#mustWait || this.#subscriber.connection.closing) return;
      this.#drop(backlog, key);
      this.#deliver(message, undefined);
    }
    this.#backlog = undefined;
  }

  // ── acknowledgements ───────────────────────────────────────────────────────────────────────────────────────────

  /**
   * The deliveries that an ACK or NACK of this message is about, oldest first: this one, or in mode `client` also all
   * that were sent to this subscription before it ([STOMP-51] [STOMP-52]). They are the caller's now. Throws a
   * {@link ProtocolError} if the message does not wait for an acknowledgement.
   */
  claim(messageId: string): Delivery[] {
    const waiting = this.#unacknowledged;
    const delivery = waiting?.get(messageId);
    if (!waiting || !delivery) throw new ProtocolError('malformed', 'a message that does not wait for an ACK or NACK');
    const claimed: Delivery[] = [];
    if (this.mode === 'client-individual') claimed.push(delivery);
    else {
      for (const each of waiting.values()) {
        claimed.push(each);
        if (each === delivery) break;
      }
    }
    for (const each of claimed) waiting.delete(each.messageId);
    this.#claimed += claimed.length;
    return claimed;
  }

  /** What was claimed is decided: consumed, or back to the queue it came from. */
  settle(deliveries: readonly Delivery[], consumed: boolean): void {
    this.#claimed -= deliveries.length;
    this.#subscriber.unacknowledged -= deliveries.length;
    const items = itemsOf(deliveries);
    if (consumed) for (const item of items) this.#queue?.consumed(item);
    else this.#queue?.putBack(items, true);
    if (!this.#stopped) this.pump();
  }

  /** The transaction that claimed these was aborted: they wait again, in their old order. */
  restore(deliveries: readonly Delivery[]): void {
    this.#claimed -= deliveries.length;
    const waiting = this.#unacknowledged;
    if (waiting) {
      const all = [...deliveries, ...waiting.values()].sort((one, other) => one.order - other.order);
      waiting.clear();
      for (const each of all) waiting.set(each.messageId, each);
      return;
    }
    // The subscription has ended meanwhile.
    this.#subscriber.unacknowledged -= deliveries.length;
    this.#queue?.putBack(itemsOf(deliveries), false);
  }

  /** The end: nothing more is delivered, and what was not acknowledged goes back ([STOMP-50] [STOMP-53]). */
  stop(failed: boolean): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#listening?.stop();
    this.#backlog = undefined;
    const waiting = [...(this.#unacknowledged?.values() ?? [])];
    this.#unacknowledged = undefined;
    this.#subscriber.unacknowledged -= waiting.length;
    this.#queue?.remove(this, itemsOf(waiting), failed);
  }
}

function itemsOf(deliveries: readonly Delivery[]): QueueItem[] {
  const items: QueueItem[] = [];
  for (const { item } of deliveries) if (item) items.push(item);
  return items;
}
