import { BackboneError } from '../bus/backbone.ts';
import type { Position } from '../bus/message.ts';
import { idKey } from '../bus/recent-ids.ts';
import type { Clock } from '../core/clock.ts';
import { randomId } from '../core/random.ts';
import { askJetStream, type JetStreamFailure, noStream, otherStream, patience } from './jetstream.ts';
import type { Changes, LinkedLog, LogEntry, Past } from './linked-log.ts';
import type { NatsConnection, NatsHeaders, NatsMessage } from './nats-client.ts';
import type { Batch } from './outbox.ts';
import { subjectOf, topicOf } from './subjects.ts';

/** How the stream is kept. */
export interface NatsLogOptions {
  /** Before all subjects, and the name of the stream. */
  readonly prefix: string;
  /** How many messages of a topic are kept. */
  readonly maxMessages: number;
  /** How long a message is kept, in ms. */
  readonly maxAge: number;
  /** On how many servers of a cluster. */
  readonly replicas: number;
}

/** Ids are remembered for so long, in ms, and not longer than messages: JetStream refuses that. */
const longestIds = 300_000;
/** Topics that changed are sought among so many messages at the most. */
const mostMessages = 50_000;

interface StreamInfo {
  readonly created: string;
  readonly config: { readonly republish?: unknown; readonly max_msgs_per_subject: number };
  readonly state: { readonly first_seq: number; readonly last_seq: number };
}

/** The log of messages in a stream of JetStream. It speaks JetStream's own messages, so that one connection is all. */
export class NatsLog implements LinkedLog {
  /** The epoch, as the stream last said. */
  epoch = '';
  readonly #connection: NatsConnection;
  readonly #headers: () => NatsHeaders;
  readonly #options: NatsLogOptions;
  readonly #clock: Clock;
  readonly #stream: string;
  #tried: { readonly id: string; readonly epoch: string } | undefined;

  constructor(connection: NatsConnection, headers: () => NatsHeaders, options: NatsLogOptions, clock: Clock) {
    this.#connection = connection;
    this.#headers = headers;
    this.#options = options;
    this.#clock = clock;
    this.#stream = `${options.prefix}-log`;
  }

  /** Store one message; resolves with its place. */
  async store(topic: string, envelope: Uint8Array, id: string): Promise<number> {
    const headers = this.#headers();
    headers.set('Nats-Msg-Id', encodeURIComponent(id));
    const subject = `${this.#options.prefix}.in.${subjectOf(topic, '>')}`;
    const answer = await this.#connection.request(subject, envelope, { timeout: patience, headers: headers as never });
    const { seq, error } = JSON.parse(Buffer.from(answer.data).toString()) as { seq: number } & JetStreamFailure;
    if (error) throw new Error(`nats: ${error.description ?? 'a message was not stored'}`);
    return seq;
  }

  /** Store a batch: each message has an id, so that it is one message however often it is sent. */
  async publish(batch: Batch, epoch: string): Promise<readonly Position[]> {
    if (this.#tried?.id === batch.id) {
      const { epoch: now } = await this.place();
      if (now !== this.#tried.epoch) {
        const lost = 'nats: the answer was lost, and the stream is another one now, which does not know the message';
        throw new BackboneError('unavailable', lost, 'unknown');
      }
    } else this.#tried = { id: batch.id, epoch };
    const stored = await Promise.all(
      batch.messages.map(({ topic, id, envelope }, index) =>
        this.store(topic, envelope, id === undefined ? `${batch.id}-${index}` : `a${idKey(topic, id)}`),
      ),
    );
    return stored.map((offset) => ({ epoch, offset }));
  }

  /** The end of the log. The stream is made where there is none. */
  async place(): Promise<Position> {
    const { state } = await this.#info();
    return { epoch: this.epoch, offset: state.last_seq };
  }

  /** What one topic had after an offset. */
  async read(topic: string, after: number, limit: number): Promise<Past> {
    const { state, config } = await this.#info();
    const subject = `${this.#options.prefix}.in.${subjectOf(topic, '>')}`;
    const entries = after < state.last_seq ? await this.#collect(subject, after, limit + 1, false) : [];
    const known = after >= state.first_seq - 1 && after <= state.last_seq;
    const trimmed = config.max_msgs_per_subject > 0 && entries.length >= config.max_msgs_per_subject;
    return { epoch: this.epoch, entries, complete: known && !trimmed && entries.length <= limit };
  }

  /** Which topics had messages after an offset. */
  async changes(after: number): Promise<Changes> {
    const { state } = await this.#info();
    const { epoch } = this;
    const last = state.last_seq;
    if (after < state.first_seq - 1 || after > last) return { epoch, last, topics: undefined };
    const all = `${this.#options.prefix}.in.>`;
    const entries = after < last ? await this.#collect(all, after, mostMessages + 1, true) : [];
    if (entries.length > mostMessages) return { epoch, last, topics: undefined };
    return { epoch, last, topics: [...new Set(entries.map(({ topic }) => topic))] };
  }

  async #info(): Promise<StreamInfo> {
    const info = await this.#ask<StreamInfo>(`STREAM.INFO.${this.#stream}`, undefined, noStream);
    const { created, ...rest } = info ?? (await this.#create());
    if (!rest.config.republish) {
      throw new Error(`nats: the stream ${this.#stream} does not republish: remove it, and it is made anew`);
    }
    this.epoch = Date.parse(created).toString(36);
    return { created, ...rest };
  }

  async #create(): Promise<StreamInfo> {
    const { prefix, maxMessages, maxAge, replicas } = this.#options;
    const config = {
      name: this.#stream,
      subjects: [`${prefix}.in.>`],
      // In memory it would be many times dearer to republish.
      storage: 'file',
      retention: 'limits',
      discard: 'old',
      num_replicas: replicas,
      max_msgs_per_subject: maxMessages,
      max_age: maxAge * 1e6,
      duplicate_window: Math.min(maxAge, longestIds) * 1e6,
      republish: { src: `${prefix}.in.>`, dest: `${prefix}.out.>` },
    };
    const made = await this.#ask<StreamInfo>(`STREAM.CREATE.${this.#stream}`, config, otherStream);
    // Another server was first.
    return made ?? ((await this.#ask<StreamInfo>(`STREAM.INFO.${this.#stream}`, undefined)) as StreamInfo);
  }

  #ask<T>(subject: string, question: object | undefined, expected?: number): Promise<T | undefined> {
    return askJetStream<T>(this.#connection, subject, question, expected);
  }

  /** Messages after an offset, by a consumer that is there for that alone. */
  async #collect(filter: string, after: number, most: number, headersOnly: boolean): Promise<LogEntry[]> {
    const stream = this.#stream;
    const config = {
      deliver_policy: 'by_start_sequence',
      opt_start_seq: after + 1,
      filter_subject: filter,
      ack_policy: 'none',
      replay_policy: 'instant',
      inactive_threshold: 5e9,
      mem_storage: true,
      headers_only: headersOnly,
    };
    const made = await this.#ask<{ name: string; num_pending: number }>(`CONSUMER.CREATE.${stream}`, {
      stream_name: stream,
      config,
    });
    const { name, num_pending: pending } = made as { name: string; num_pending: number };
    try {
      return pending === 0 ? [] : await this.#pull(name, Math.min(pending, most));
    } finally {
      if (!this.#connection.isClosed()) this.#connection.publish(`$JS.API.CONSUMER.DELETE.${stream}.${name}`);
    }
  }

  #pull(consumer: string, count: number): Promise<LogEntry[]> {
    const inbox = `_INBOX.${randomId()}`;
    const entries: LogEntry[] = [];
    return new Promise((resolve, reject) => {
      const waiting = {
        deadline: this.#clock.now() + patience,
        tick: () => finish(new Error('nats: JetStream did not answer in time')),
      };
      const subscription = this.#connection.subscribe(inbox, {
        callback: (error, message) => {
          if (error) return finish(error);
          // Something that has a status is the end, or the reason why there is none.
          if (message.headers?.code) return finish();
          entries.push(this.#entryOf(message));
          if (entries.length === count) finish();
        },
      });
      const finish = (error?: Error): void => {
        this.#clock.forget(waiting);
        subscription.unsubscribe();
        if (error) reject(error);
        else resolve(entries);
      };
      this.#clock.watch(waiting);
      const question = Buffer.from(JSON.stringify({ batch: count, no_wait: true }));
      this.#connection.publish(`$JS.API.CONSUMER.MSG.NEXT.${this.#stream}.${consumer}`, question, { reply: inbox });
    });
  }

  /** The place stands in the subject for acknowledgements, `$JS.ACK.….<place>.<count>.<time>.<pending>`. */
  #entryOf({ subject, data, reply = '' }: NatsMessage): LogEntry {
    const parts = reply.split('.');
    // Newer servers have domain and account before, and a random token behind.
    const offset = Number(parts.length > 9 ? parts[7] : parts[5]);
    return { topic: topicOf(subject.slice(`${this.#options.prefix}.in.`.length)), offset, envelope: data as Buffer };
  }
}
