import {
  type Backbone,
  type BackboneAbilities,
  BackboneError,
  type BackboneQueues,
  type BackboneSink,
  type BackboneState,
  idWindow,
  type MessageOptions,
} from '../bus/backbone.ts';
import { createMessage, type Position } from '../bus/message.ts';
import { idKey, RecentIds } from '../bus/recent-ids.ts';
import type { Clock } from '../core/clock.ts';
import { messageOf } from '../core/fault.ts';
import { randomId } from '../core/random.ts';
import { openEnvelope, sealEnvelope } from './envelope.ts';
import { Names } from './names.ts';
import { Outbox, type Outgoing } from './outbox.ts';
import { noSink, openedSink } from './sink.ts';
import { topicOf } from './subjects.ts';
import { Wishes } from './wishes.ts';

/** What a connection to a broker without a past tells. */
export interface PlainEvents {
  /** It is connected, and what was subscribed to is asked for again. */
  connected(): void;
  /** It is not connected. */
  lost(error: unknown): void;
  /** Something went wrong that does not end the connection. */
  failed(error: unknown): void;
  /** A message came, to a subject as `subjectOf` makes them. Its bytes are used again. */
  message(subject: string, bytes: Uint8Array): void;
}

/** A connection to a broker without a past. It connects again by itself. */
export interface PlainConnection {
  /** Hear a topic or a pattern, on this connection and on those that come after it. */
  subscribe(name: string): { unsubscribe(): void };
  /** Resolves when the broker has seen all that was sent before. Rejects when the connection is lost. */
  fence(): Promise<void>;
  /** Resolves when the broker has taken all of them. Rejects when that is not known. */
  send(messages: readonly Outgoing[]): Promise<unknown>;
  /** Let go of it. */
  close(): Promise<void>;
}

/** A broker that routes messages and keeps none. */
export interface PlainBroker {
  /** One word. */
  readonly name: string;
  /** What the backbone promises. */
  readonly abilities: BackboneAbilities;
  /** Throws a `BackboneError` where the broker could not take a message of this topic. */
  check(topic: string, envelope: Uint8Array): void;
  /** Connect. */
  connect(events: PlainEvents): PlainConnection;
  /** Work queues, if it has some. */
  readonly queues?: ((host: PlainQueuesHost) => BackboneQueues & { close(): void }) | undefined;
}

/** What queues are told of their backbone. */
export interface PlainQueuesHost {
  /** Counts the times that the connection came or went. */
  count(): number;
  /** It is connected. */
  up(): boolean;
  /** Something came that is no message of ours. */
  unreadable(error: Error): void;
}

/** So many ids are kept to drop doubles. Own ids are of use for a minute at the most, and leave as others come. */
const maxIds = 100_000;

/**
 * A backbone over a broker that keeps no past and tells no places: this process numbers what it receives, each reconnect is
 * a gap, and each message carries an id, of which the second within 5 min is dropped: a publish that was repeated after
 * a lost answer, or two subscriptions of this server that match one message.
 */
export class PlainBackbone implements Backbone {
  /** As the broker is called. */
  readonly name: string;
  /** What the broker can do. */
  readonly abilities: BackboneAbilities;
  /** It has none. */
  readonly position = undefined;
  /** Work queues, if the broker has some. */
  readonly queues: (BackboneQueues & { close(): void }) | undefined;
  /** Where it is in its life. */
  state: BackboneState = 'connecting';
  readonly #broker: PlainBroker;
  readonly #clock: Clock;
  readonly #live: PlainConnection;
  readonly #outbox: Outbox;
  readonly #wishes: Wishes;
  readonly #wanted = new Names<true>();
  readonly #subscriptions = new Map<string, { unsubscribe(): void }>();
  readonly #seen = new RecentIds<true>(idWindow, maxIds);
  readonly #epoch = randomId().slice(0, 12);
  #sink: BackboneSink = noSink;
  #offset = 0;
  #connection = 0;
  #added = new Set<string>();
  #adding = false;
  #said: string | undefined;

  constructor(broker: PlainBroker, clock: Clock) {
    const { name, abilities } = broker;
    this.name = name;
    this.abilities = abilities;
    this.#broker = broker;
    this.#clock = clock;
    this.#outbox = new Outbox({
      name,
      timers: clock,
      send: ({ messages }) => this.#live.send(messages).then(() => []),
    });
    this.#wishes = new Wishes(name, clock);
    this.#live = broker.connect({
      connected: () => void this.#arrived(),
      lost: (error) => this.#lost(error),
      failed: (error) => this.#say(this.state, error),
      message: (subject, bytes) => this.#received(subject, bytes),
    });
    this.queues = broker.queues?.({
      count: () => this.#connection,
      up: () => this.state === 'up',
      unreadable: (error) => this.#sink.unreadable(error),
    });
  }

  /** Who hears it. */
  open(sink: BackboneSink): void {
    this.#sink = openedSink(this.#sink, sink);
  }

  /** Resolves when the broker has taken the message. */
  async publish(topic: string, body: Uint8Array, options: MessageOptions): Promise<Position | undefined> {
    const { name, abilities } = this;
    if (body.length > abilities.maxBody) {
      const words = `${name}: a body of ${body.length} bytes for "${topic}"; at most ${abilities.maxBody}`;
      throw new BackboneError('tooLarge', words);
    }
    const { id = `=${randomId()}`, timeout } = options;
    const envelope = sealEnvelope(body, { ...options, id });
    this.#broker.check(topic, envelope);
    await this.#outbox.publish(topic, envelope, undefined, timeout);
    return undefined;
  }

  /** A topic or pattern is wanted here. */
  subscribe(name: string): Promise<Position | undefined> {
    if (this.state === 'closed')
      return Promise.reject(new BackboneError('closed', `${this.name}: the backbone is closed`));
    if (!this.#wishes.has(name)) {
      this.#wanted.add(name, true);
      this.#subscriptions.set(name, this.#live.subscribe(name));
      this.#added.add(name);
      this.#add();
    }
    return this.#wishes.want(name);
  }

  /** It is not wanted any more. */
  async unsubscribe(name: string): Promise<void> {
    if (!this.#wishes.drop(name)) return;
    this.#wanted.delete(name, true);
    this.#added.delete(name);
    this.#subscriptions.get(name)?.unsubscribe();
    this.#subscriptions.delete(name);
  }

  /** Let go of everything. */
  async close(): Promise<void> {
    if (this.state === 'closed') return;
    this.#connection++;
    this.#say('closed');
    this.#outbox.close();
    this.#wishes.close();
    this.queues?.close();
    await this.#live.close();
  }

  #lost(error: unknown): void {
    this.#connection++;
    this.#outbox.up = false;
    this.#wishes.lost();
    this.#say(this.state === 'connecting' ? 'connecting' : 'down', error);
  }

  /** Connected: subscriptions are back when the broker has seen something that was sent behind them. */
  async #arrived(): Promise<void> {
    const own = ++this.#connection;
    const names = this.#wishes.names();
    const known = names.filter((name) => this.#wishes.wasLive(name));
    this.#added.clear();
    try {
      await this.#live.fence();
    } catch {
      // The connection is gone again, and the next one does it.
      return;
    }
    if (own !== this.#connection) return;
    if (known.length > 0) this.#sink.gap(undefined, { epoch: this.#epoch, offset: this.#offset });
    this.#fenced(names);
    this.#say('up');
    this.#outbox.up = true;
    this.#add();
  }

  /** What was subscribed to in one turn is live when the next fence is passed. */
  #add(): void {
    if (this.#adding || this.state !== 'up' || this.#added.size === 0) return;
    this.#adding = true;
    queueMicrotask(async () => {
      const own = this.#connection;
      const names = [...this.#added];
      this.#added.clear();
      await this.#live.fence().catch(() => {});
      // Otherwise the next connection takes care of them.
      if (own === this.#connection) this.#fenced(names);
      this.#adding = false;
      this.#add();
    });
  }

  /** The broker has seen these. What was subscribed to meanwhile stands behind the fence: it waits for the next one. */
  #fenced(names: readonly string[]): void {
    for (const name of names) {
      if (!this.#added.has(name)) this.#wishes.becameLive(name, undefined);
    }
  }

  #received(subject: string, bytes: Uint8Array): void {
    let topic: string;
    try {
      topic = topicOf(subject);
    } catch (error) {
      return this.#sink.unreadable(new Error(`${this.name}: a message to "${subject}": ${messageOf(error)}`));
    }
    if (!this.#isWanted(topic)) return;
    try {
      const { contentType, headers, id, body } = openEnvelope(bytes);
      const now = this.#clock.now();
      const key = id === undefined ? undefined : idKey(topic, id);
      if (key !== undefined && this.#seen.get(key, now)) return;
      if (key !== undefined) this.#seen.set(key, true, now);
      const position = { epoch: this.#epoch, offset: ++this.#offset };
      const own = Uint8Array.from(body);
      this.#sink.message(createMessage({ topic, body: own, contentType, headers, position }));
    } catch (error) {
      this.#sink.unreadable(new Error(`${this.name}: a message of "${topic}" cannot be read: ${messageOf(error)}`));
    }
  }

  #isWanted(topic: string): boolean {
    for (const _ of this.#wanted.match(topic)) return true;
    return false;
  }

  #say(state: BackboneState, error?: unknown): void {
    const words = error === undefined ? undefined : `${this.name}: ${messageOf(error)}`;
    if (this.state === 'closed' || (state === this.state && (words === undefined || words === this.#said))) return;
    this.state = state;
    this.#said = words;
    this.#sink.state(state, words === undefined ? undefined : new Error(words));
  }
}
