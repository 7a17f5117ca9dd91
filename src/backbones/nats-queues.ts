import { createHash } from 'node:crypto';
import {
  BackboneError,
  type BackboneQueues,
  defaultPatience,
  type MessageOptions,
  type QueueConsumer,
  type QueueDelivery,
} from '../bus/backbone.ts';
import { idKey } from '../bus/recent-ids.ts';
import { type Clock, never, type Timed } from '../core/clock.ts';
import { messageOf } from '../core/fault.ts';
import { randomId } from '../core/random.ts';
import { openEnvelope, sealEnvelope } from './envelope.ts';
import { askJetStream, type JetStreamFailure, noStream, otherStream, patience } from './jetstream.ts';
import type { NatsConnection, NatsHeaders, NatsMessage, NatsSubscription } from './nats-client.ts';
import { subjectOf } from './subjects.ts';

/** What the queues need. */
export interface NatsQueuesHost {
  /** The connection. */
  readonly connection: NatsConnection;
  /** Makes headers. */
  readonly headers: () => NatsHeaders;
  /** Before all subjects, and the name of the stream. */
  readonly prefix: string;
  /** On how many servers of a cluster the stream is kept. */
  readonly replicas: number;
  /** A server that is gone without a word is taken for dead after so many ms, and what it had is handed out again. */
  readonly ackWait: number;
  /** Time. */
  readonly clock: Clock;
  /** Something came that is no message of ours. */
  unreadable(error: Error): void;
  /** Throws a `BackboneError` where the server could not take so much. */
  readonly check: (queue: string, envelope: Uint8Array) => void;
}

/** A request for messages waits for so long at the server, in ms. */
const longestPull = 30_000;
/** Between attempts, in ms. */
const pause = 100;
/** JetStream ends a request for messages with this when its time is up; with others when the consumer is gone, say. */
const timeIsUp = 408;

/**
 * Work queues in one stream of JetStream, on disk: a message is gone from it when it was acknowledged. A queue is a subject,
 * with one durable consumer that all servers pull from.
 */
export class NatsQueues implements BackboneQueues {
  readonly #host: NatsQueuesHost;
  readonly #consumers = new Set<NatsQueueConsumer>();
  readonly #pauses = new Set<{ end(): void }>();
  // What a put that waits for its answer is told when the connection is lost: the client waits for its own time.
  readonly #lost = new Set<(error: Error) => void>();
  #made: Promise<void> | undefined;
  #closed = false;

  constructor(host: NatsQueuesHost) {
    this.#host = host;
    void this.#watch();
  }

  /** See {@link BackboneQueues.put}. It is tried again with the same id, which JetStream knows for 2 min. */
  async put(queue: string, body: Uint8Array, options: MessageOptions): Promise<void> {
    const { connection, clock, prefix } = this.#host;
    const envelope = sealEnvelope(body, options);
    this.#host.check(queue, envelope);
    const { id, timeout = defaultPatience } = options;
    const headers = this.#host.headers();
    headers.set('Nats-Msg-Id', encodeURIComponent(id === undefined ? randomId() : `a${idKey(queue, id)}`));
    const deadline = clock.now() + timeout;
    let sent = false;
    for (let why: unknown; ; ) {
      if (this.#closed) throw new BackboneError('closed', 'nats: the backbone is closed', sent ? 'unknown' : 'no');
      if (clock.now() >= deadline) {
        const words = `nats: a message for "${queue}" was not confirmed in time (${messageOf(why)})`;
        throw new BackboneError(sent ? 'timeout' : 'unavailable', words, sent ? 'unknown' : 'no');
      }
      try {
        await this.#stream();
        sent = true;
        const wait = Math.max(1, Math.min(patience, deadline - clock.now()));
        const subject = `${prefix}.queue.${subjectOf(queue, '>')}`;
        const { data } = await this.#orLost(
          connection.request(subject, envelope, { timeout: wait, headers: headers as never }),
        );
        const { error } = JSON.parse(Buffer.from(data).toString()) as JetStreamFailure;
        if (!error) return;
        throw new Error(error.description ?? 'it was not stored');
      } catch (error) {
        why = error;
        this.#made = undefined;
        await this.#sleep(Math.min(pause, Math.max(1, deadline - clock.now())));
      }
    }
  }

  /** See {@link BackboneQueues.consume}. */
  consume(queue: string, credit: number, take: (delivery: QueueDelivery) => void): QueueConsumer {
    const consumer: NatsQueueConsumer = new NatsQueueConsumer(this.#host, credit, take, {
      ended: () => this.#consumers.delete(consumer),
      made: () => this.#consumerOf(queue),
      sleep: () => this.#sleep(pause),
    });
    this.#consumers.add(consumer);
    return consumer;
  }

  /** What waits is rejected, and what consumers have goes back. */
  close(): void {
    this.#closed = true;
    for (const consumer of [...this.#consumers]) consumer.stop();
    for (const each of this.#pauses) each.end();
  }

  /** The answer, or a rejection as soon as the connection is lost. */
  async #orLost<T>(answer: Promise<T>): Promise<T> {
    let tell: (error: Error) => void = () => {};
    const lost = new Promise<never>((_, reject) => {
      tell = reject;
    });
    this.#lost.add(tell);
    // Whoever comes second has nobody to tell.
    for (const each of [answer, lost]) each.catch(() => {});
    try {
      return await Promise.race([answer, lost]);
    } finally {
      this.#lost.delete(tell);
    }
  }

  #stream(): Promise<void> {
    this.#made ??= this.#makeStream();
    return this.#made;
  }

  async #makeStream(): Promise<void> {
    const { connection, prefix, replicas } = this.#host;
    const name = `${prefix}-queues`;
    if (await askJetStream(connection, `STREAM.INFO.${name}`, undefined, noStream)) return;
    const config = {
      ...{ name, subjects: [`${prefix}.queue.>`], storage: 'file', retention: 'workqueue' },
      ...{ num_replicas: replicas, duplicate_window: 120e9 },
    };
    await askJetStream(connection, `STREAM.CREATE.${name}`, config, otherStream);
  }

  /** The durable consumer of a queue, made where there is none; resolves with where to ask it for messages. */
  async #consumerOf(queue: string): Promise<string> {
    const { connection, prefix, ackWait } = this.#host;
    await this.#stream();
    const stream = `${prefix}-queues`;
    const name = createHash('sha256').update(queue).digest('base64url').slice(0, 32);
    const config = {
      ...{ durable_name: name, ack_policy: 'explicit', deliver_policy: 'all', ack_wait: ackWait * 1e6 },
      ...{ filter_subject: `${prefix}.queue.${subjectOf(queue, '>')}`, max_ack_pending: 1_000_000 },
    };
    try {
      await askJetStream(connection, `CONSUMER.DURABLE.CREATE.${stream}.${name}`, { stream_name: stream, config });
    } catch (error) {
      // Somebody may have removed the stream.
      this.#made = undefined;
      throw error;
    }
    return `$JS.API.CONSUMER.MSG.NEXT.${stream}.${name}`;
  }

  /** What was asked for on a connection is not answered on the next one. */
  async #watch(): Promise<void> {
    for await (const { type } of this.#host.connection.status()) {
      if (this.#closed) return;
      if (type === 'disconnect') for (const tell of this.#lost) tell(new Error('the connection was lost'));
      if (type !== 'reconnect') continue;
      this.#made = undefined;
      for (const consumer of this.#consumers) consumer.askAnew();
    }
  }

  #sleep(ms: number): Promise<void> {
    const { clock } = this.#host;
    return new Promise((resolve) => {
      const end = (): void => {
        clock.forget(timed);
        this.#pauses.delete(timed);
        resolve();
      };
      const timed: Timed & { end(): void } = { deadline: clock.now() + ms, tick: end, end };
      this.#pauses.add(timed);
      clock.watch(timed);
    });
  }
}

interface ConsumerHost {
  ended(): void;
  made(): Promise<string>;
  sleep(): Promise<void>;
}

class NatsQueueConsumer implements QueueConsumer, Timed {
  deadline: number = never;
  readonly active: Promise<void>;
  readonly #queues: NatsQueuesHost;
  readonly #host: ConsumerHost;
  readonly #credit: number;
  readonly #take: (delivery: QueueDelivery) => void;
  readonly #unsettled = new Set<NatsQueueDelivery>();
  #inbox: NatsSubscription | undefined;
  // Where to ask.
  #subject = '';
  // How many were asked for and have not come.
  #asked = 0;
  #stopped = false;
  #resolve: () => void = () => {};

  constructor(queues: NatsQueuesHost, credit: number, take: (delivery: QueueDelivery) => void, host: ConsumerHost) {
    this.#queues = queues;
    this.#host = host;
    this.#credit = credit;
    this.#take = take;
    const { clock } = queues;
    this.active = new Promise((resolve, reject) => {
      const late = {
        deadline: clock.now() + defaultPatience,
        tick: () => reject(new BackboneError('timeout', `nats: a queue was not there within ${defaultPatience} ms`)),
      };
      clock.watch(late);
      this.#resolve = () => {
        clock.forget(late);
        resolve();
      };
    });
    this.active.catch(() => {});
    void this.#begin();
  }

  async #begin(): Promise<void> {
    while (!this.#stopped) {
      try {
        this.#subject = await this.#host.made();
        break;
      } catch {
        await this.#host.sleep();
      }
    }
    if (this.#stopped) return;
    this.#ask();
    this.#resolve();
  }

  /** The connection is a new one. */
  askAnew(): void {
    if (this.#subject === '' || this.#stopped) return;
    this.#inbox?.unsubscribe();
    this.#asked = 0;
    // The stream may be another one.
    void this.#begin();
  }

  /** One question at a time, for as many as there is room for. */
  #ask(): void {
    const free = this.#credit - this.#unsettled.size;
    if (this.#stopped || this.#asked > 0 || free <= 0) return;
    const { connection, clock } = this.#queues;
    this.#inbox?.unsubscribe();
    const inbox = `_INBOX.${randomId()}`;
    this.#inbox = connection.subscribe(inbox, { callback: (error, message) => this.#heard(error, message) });
    this.#asked = free;
    const question = { batch: free, expires: longestPull * 1e6 };
    connection.publish(this.#subject, Buffer.from(JSON.stringify(question)), { reply: inbox });
    this.#watch(clock.now() + longestPull + 2 * patience);
  }

  #heard(error: Error | null, message: NatsMessage): void {
    if (error || this.#stopped) return;
    if (message.headers?.code) {
      // It is over: the time was up, or the server leaves. At once, it would be asked again and again.
      this.#asked = 0;
      const { code } = message.headers;
      // Nobody answers there, or it is gone: the consumer, and perhaps the stream, is made anew.
      if (code !== timeIsUp) this.#subject = '';
      this.#watch(this.#queues.clock.now() + (code === timeIsUp ? 0 : pause));
      return;
    }
    this.#asked = Math.max(0, this.#asked - 1);
    const delivery = this.#opened(message);
    if (delivery) {
      this.#unsettled.add(delivery);
      this.#watch(this.#queues.clock.now() + this.#queues.ackWait / 3);
      this.#take(delivery);
    }
    if (this.#asked === 0) this.#ask();
  }

  #opened(message: NatsMessage): NatsQueueDelivery | undefined {
    try {
      const { contentType, headers, body } = openEnvelope(message.data);
      return new NatsQueueDelivery(this, { body, contentType, headers, message });
    } catch (error) {
      // Nobody could read it: it must not come again and again.
      this.#answer(message, '+TERM');
      this.#queues.unreadable(new Error(`nats: a message of a queue cannot be read: ${messageOf(error)}`));
      return undefined;
    }
  }

  #watch(deadline: number): void {
    this.deadline = Math.min(this.deadline, deadline);
    this.#queues.clock.watch(this);
  }

  /** Say that work goes on, and ask again where an answer was lost. */
  tick(now: number): void {
    this.deadline = never;
    if (this.#stopped) return;
    for (const { message } of this.#unsettled) this.#answer(message, '+WPI');
    if (this.#unsettled.size > 0) this.#watch(now + this.#queues.ackWait / 3);
    if (this.#subject === '') return void this.#begin();
    this.#ask();
    if (this.#asked > 0) this.#watch(now + longestPull + 2 * patience);
  }

  settle(delivery: NatsQueueDelivery, outcome: 'consumed' | 'failed' | 'returned'): void {
    if (!this.#unsettled.delete(delivery)) return;
    this.#answer(delivery.message, outcome === 'consumed' ? '+ACK' : '-NAK');
    if (this.#asked === 0) this.#ask();
  }

  #answer({ reply }: NatsMessage, words: string): void {
    const { connection } = this.#queues;
    if (reply !== undefined && !connection.isClosed()) connection.publish(reply, Buffer.from(words));
  }

  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#resolve();
    this.#host.ended();
    this.#queues.clock.forget(this);
    this.#inbox?.unsubscribe();
    for (const { message } of this.#unsettled) this.#answer(message, '-NAK');
    this.#unsettled.clear();
  }
}

class NatsQueueDelivery implements QueueDelivery {
  readonly body: Uint8Array;
  readonly contentType: string | undefined;
  readonly headers: QueueDelivery['headers'];
  /** An acknowledgement counts on the next connection as well. */
  readonly lost = false;
  readonly message: NatsMessage;
  readonly #consumer: NatsQueueConsumer;

  constructor(
    consumer: NatsQueueConsumer,
    { body, contentType, headers, message }: Pick<NatsQueueDelivery, 'body' | 'contentType' | 'headers' | 'message'>,
  ) {
    this.body = body;
    this.contentType = contentType;
    this.headers = headers;
    this.message = message;
    this.#consumer = consumer;
  }

  /** The count stands in the subject for acknowledgements, `$JS.ACK.….<count>.<place>.…`. */
  get deliveries(): number {
    const parts = (this.message.reply ?? '').split('.');
    return Number(parts.length > 9 ? parts[6] : parts[4]) || 1;
  }

  settle(outcome: 'consumed' | 'failed' | 'returned'): void {
    this.#consumer.settle(this, outcome);
  }
}
