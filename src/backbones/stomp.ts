import {
  type Backbone,
  BackboneError,
  type BackboneSink,
  type BackboneState,
  idWindow,
  type MessageOptions,
} from '../bus/backbone.ts';
import { createMessage, type Position } from '../bus/message.ts';
import { idKey, RecentIds } from '../bus/recent-ids.ts';
import { type Clock, systemClock } from '../core/clock.ts';
import { messageOf } from '../core/fault.ts';
import { assertOption, checkNames } from '../core/options.ts';
import { randomId } from '../core/random.ts';
import {
  createStompClient,
  type ReceivedMessage,
  type StompClient,
  type StompClientOptions,
  type StompSubscription,
} from '../stomp/client/client.ts';
import { openEnvelope, sealEnvelope } from './envelope.ts';
import { Names } from './names.ts';
import { type Batch, Outbox } from './outbox.ts';
import { noSink, openedSink } from './sink.ts';
import { StompQueues } from './stomp-queues.ts';
import { subjectOf, topicOf } from './subjects.ts';
import { Wishes } from './wishes.ts';

/** How a bus uses a broker that speaks STOMP. */
export interface StompBackboneOptions {
  /** Which broker it is: wildcards and limits differ. */
  readonly broker: 'rabbitmq' | 'activemq';
  /** How to reach it: options of `createStompClient()`, such as `{ transport: tcp({ host, port }), connectHeaders }`. */
  readonly client: StompClientOptions;
  /** Applications with different prefixes on one broker do not see each other. @defaultValue `'subwire'` */
  readonly prefix?: string | undefined;
  /** What keeps time. @defaultValue the clock of this process */
  readonly clock?: Clock | undefined;
}

const optionNames = { broker: true, client: true, prefix: true, clock: true } satisfies Record<
  keyof StompBackboneOptions,
  true
>;

/** The largest body, in bytes: the limits of both brokers are higher, and of our client as well. */
const maxBody = 8_388_608;
/** So many ids are kept to drop doubles. Own ids are of use for a minute at the most, and leave as others come. */
const maxIds = 100_000;
/** A routing key of RabbitMQ has so many bytes at the most; of ActiveMQ we take no longer ones than this. */
const longestSubject = { rabbitmq: 255, activemq: 2_000 };
const restOf = { rabbitmq: '#', activemq: '>' } as const;

/**
 * A bus over the topics of RabbitMQ or ActiveMQ, by our own STOMP client. The broker keeps no past: when the connection
 * was lost, a gap is said. Each message carries an id, and a server drops the second of two with one id, so that a
 * publish that is repeated after a lost answer is one message.
 *
 * A publish resolves with the broker's RECEIPT: the broker has taken it and routes it. Topics are not kept on disk: a
 * broker that is killed takes along what its subscribers have not read.
 *
 * Throws a `TypeError` that names an option that is wrong.
 *
 * @example
 * const client = { transport: tcp({ port: 61613 }), connectHeaders: { login, passcode } };
 * const bus = createBus({ backbone: stompBackbone({ broker: 'rabbitmq', client }) });
 */
export function stompBackbone(options: StompBackboneOptions): Backbone {
  const owner = 'stompBackbone(): ';
  assertOption(typeof options === 'object' && options !== null, `${owner}options`, 'an object', options);
  checkNames(options, optionNames, 'stompBackbone()');
  const { broker, client, prefix = 'subwire', clock = systemClock } = options;
  assertOption(broker === 'rabbitmq' || broker === 'activemq', `${owner}broker`, "'rabbitmq' or 'activemq'", broker);
  assertOption(
    typeof client === 'object' && client !== null,
    `${owner}client`,
    'options of createStompClient()',
    client,
  );
  assertOption(
    typeof prefix === 'string' && /^[A-Za-z0-9_-]+$/.test(prefix),
    `${owner}prefix`,
    'made of letters, digits, _ and -',
    prefix,
  );
  return new StompBackbone(broker, client, prefix, clock);
}

class StompBackbone implements Backbone {
  readonly name = 'stomp';
  readonly abilities = {
    ids: true,
    positions: false,
    patterns: 'broker',
    queues: true,
    history: false,
    maxBody,
  } as const;
  readonly position = undefined;
  readonly queues: StompQueues;
  state: BackboneState = 'connecting';
  readonly #broker: 'rabbitmq' | 'activemq';
  readonly #root: string;
  readonly #clock: Clock;
  readonly #client: StompClient;
  readonly #outbox: Outbox;
  readonly #wishes: Wishes;
  readonly #wanted = new Names<true>();
  readonly #subscriptions = new Map<string, StompSubscription>();
  readonly #seen = new RecentIds<true>(idWindow, maxIds);
  readonly #epoch = randomId().slice(0, 12);
  #sink: BackboneSink = noSink;
  #offset = 0;
  #connection = 0;
  #added = new Set<string>();
  #adding = false;

  constructor(broker: 'rabbitmq' | 'activemq', options: StompClientOptions, prefix: string, clock: Clock) {
    this.#broker = broker;
    this.#root = `/topic/${prefix}.`;
    this.#clock = clock;
    this.#outbox = new Outbox({ name: this.name, timers: clock, send: (batch) => this.#send(batch) });
    this.#wishes = new Wishes(this.name, clock);
    // Two beats of 5 s are missed within 15 s.
    this.#client = createStompClient({
      heartbeatIncoming: 5_000,
      heartbeatOutgoing: 5_000,
      backoff: { base: 200, cap: 2_000 },
      maxQueued: 100_000,
      warn: false,
      ...options,
      onError: (error) => this.#say(this.state, error),
    });
    this.#client.on('connected', () => void this.#arrived());
    this.#client.on('closed', ({ message, cause }) => {
      this.#connection++;
      this.#outbox.up = false;
      this.#wishes.lost();
      this.#say(this.state === 'connecting' ? 'connecting' : 'down', cause ?? message);
    });
    this.queues = new StompQueues({
      ...{ broker, prefix, client: this.#client, clock, maxBody, longest: longestSubject[broker] },
      connection: () => this.#connection,
      up: () => this.state === 'up',
      unreadable: (error) => this.#sink.unreadable(error),
    });
    // A connection that nobody has asked for yet: it is there when it is wanted. What goes wrong is said by the events.
    this.#client.connect().catch(() => {});
  }

  open(sink: BackboneSink): void {
    this.#sink = openedSink(this.#sink, sink);
  }

  async publish(topic: string, body: Uint8Array, options: MessageOptions): Promise<Position | undefined> {
    if (body.length > maxBody) {
      throw new BackboneError('tooLarge', `stomp: a body of ${body.length} bytes for "${topic}"; at most ${maxBody}`);
    }
    const longest = longestSubject[this.#broker];
    if (this.#root.length + subjectOf(topic, '#').length > longest) {
      throw new BackboneError('tooLarge', `stomp: the topic "${topic}" makes a key of more than ${longest} bytes`);
    }
    const { id = `=${randomId()}`, timeout } = options;
    await this.#outbox.publish(topic, sealEnvelope(body, { ...options, id }), undefined, timeout);
    return undefined;
  }

  subscribe(name: string): Promise<Position | undefined> {
    if (this.state === 'closed') return Promise.reject(new BackboneError('closed', 'stomp: the backbone is closed'));
    if (!this.#wishes.has(name)) {
      this.#wanted.add(name, true);
      const destination = this.#root + subjectOf(name, restOf[this.#broker]);
      // The client asks for it again after each reconnect.
      const subscription = this.#client.subscribe(destination, (message) => this.#received(message));
      this.#subscriptions.set(name, subscription);
      this.#added.add(name);
      this.#add();
    }
    return this.#wishes.want(name);
  }

  async unsubscribe(name: string): Promise<void> {
    if (!this.#wishes.drop(name)) return;
    this.#wanted.delete(name, true);
    this.#added.delete(name);
    this.#subscriptions.get(name)?.unsubscribe();
    this.#subscriptions.delete(name);
  }

  async close(): Promise<void> {
    if (this.state === 'closed') return;
    this.#connection++;
    this.#say('closed');
    this.#outbox.close();
    this.#wishes.close();
    this.queues.close();
    await this.#client.dispose();
  }

  /** Connected: subscriptions are back when the broker has seen something that was sent behind them. */
  async #arrived(): Promise<void> {
    const own = ++this.#connection;
    const known = this.#wishes.names().filter((name) => this.#wishes.wasLive(name));
    try {
      await this.#fence();
    } catch {
      // The connection is gone again, and the next one does it.
      return;
    }
    if (own !== this.#connection) return;
    if (known.length > 0) this.#sink.gap(undefined, { epoch: this.#epoch, offset: this.#offset });
    for (const name of this.#wishes.names()) this.#wishes.becameLive(name, undefined);
    this.#added.clear();
    this.#say('up');
    this.#outbox.up = true;
    this.#add();
  }

  /** Brokers work off the frames of a connection in their order. */
  #fence(): Promise<void> {
    return this.#client.publish({ destination: `${this.#root}-fence`, receipt: true });
  }

  /** What was subscribed to in one turn is live when the next fence is passed. */
  #add(): void {
    if (this.#adding || this.state !== 'up' || this.#added.size === 0) return;
    this.#adding = true;
    queueMicrotask(async () => {
      const own = this.#connection;
      const names = [...this.#added];
      this.#added.clear();
      await this.#fence().catch(() => {});
      // Otherwise the next connection takes care of them.
      if (own === this.#connection) for (const name of names) this.#wishes.becameLive(name, undefined);
      this.#adding = false;
      this.#add();
    });
  }

  async #send({ messages }: Batch): Promise<readonly undefined[]> {
    await Promise.all(
      messages.map(({ topic, envelope }) =>
        this.#client.publish({
          destination: this.#root + subjectOf(topic, '#'),
          body: envelope,
          headers: { 'content-type': 'application/octet-stream' },
          receipt: true,
        }),
      ),
    );
    return [];
  }

  #received(message: ReceivedMessage): void {
    const { destination, bytes } = message;
    let topic: string;
    try {
      topic = topicOf(destination.slice(this.#root.length));
    } catch (error) {
      return this.#sink.unreadable(new Error(`stomp: a message to "${destination}": ${messageOf(error)}`));
    }
    if (!this.#isWanted(topic)) return;
    try {
      const { contentType, headers, id, body } = openEnvelope(bytes);
      const now = this.#clock.now();
      // The second of two: a repeated publish, or two subscriptions of this server that match it.
      const key = id === undefined ? undefined : idKey(topic, id);
      if (key !== undefined && this.#seen.get(key, now)) return;
      if (key !== undefined) this.#seen.set(key, true, now);
      const position = { epoch: this.#epoch, offset: ++this.#offset };
      // The client's buffer is used again.
      const own = Uint8Array.from(body);
      this.#sink.message(createMessage({ topic, body: own, contentType, headers, position }));
    } catch (error) {
      this.#sink.unreadable(new Error(`stomp: a message of "${topic}" cannot be read: ${messageOf(error)}`));
    }
  }

  #isWanted(topic: string): boolean {
    for (const _ of this.#wanted.match(topic)) return true;
    return false;
  }

  #said: string | undefined;

  #say(state: BackboneState, error?: unknown): void {
    const words = error === undefined ? undefined : `stomp: ${messageOf(error)}`;
    if (this.state === 'closed' || (state === this.state && (words === undefined || words === this.#said))) return;
    this.state = state;
    this.#said = words;
    this.#sink.state(state, words === undefined ? undefined : new Error(words));
  }
}
