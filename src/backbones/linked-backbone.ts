import {
  type Backbone,
  type BackboneAbilities,
  BackboneError,
  type BackboneQueues,
  type BackboneSink,
  type BackboneState,
  type MessageOptions,
} from '../bus/backbone.ts';
import { createMessage, type Message, type Position } from '../bus/message.ts';
import { isPattern } from '../bus/pattern.ts';
import type { Clock, Timed } from '../core/clock.ts';
import { messageOf } from '../core/fault.ts';
import { openEnvelope, sealEnvelope } from './envelope.ts';
import type { LinkedLog, LiveEntry, LogEntry } from './linked-log.ts';
import { LinkedReader } from './linked-reader.ts';
import { matcher, Names } from './names.ts';
import { Outbox } from './outbox.ts';
import { isPosition, noSink, openedSink } from './sink.ts';
import { Wishes } from './wishes.ts';

/** What the subscribing connection to a broker tells. */
export interface LiveEvents {
  /** A live message. */
  message(entry: LiveEntry): void;
  /** Something on a channel of ours is no message. */
  unreadable(topic: string, why: string): void;
  /** The beacon of this server came back: all that was stored up to this position has come before it. */
  beacon(position: Position): void;
  /** It is connected. */
  up(): void;
  /** It is not connected. */
  down(error: Error): void;
}

/** A connection to a broker that subscribes, and connects again by itself. */
export interface LiveConnection {
  /** Live messages of these names, from when it resolves. Names that are subscribed to already may be among them. */
  subscribe(names: readonly string[]): Promise<void>;
  /** No more of them. */
  unsubscribe(names: readonly string[]): Promise<void>;
  /** Let go of the connection for good. */
  close(): void;
}

/** A broker that keeps a log whose messages are linked. */
export interface LinkedBroker {
  /** One word. */
  readonly name: string;
  /** What the backbone promises. */
  readonly abilities: BackboneAbilities;
  /** The log. */
  readonly log: LinkedLog;
  /** Make a connection for what comes live. */
  connect(events: LiveEvents): LiveConnection;
  /** Publish the beacon of this server. Rejects when it could not. */
  beacon(): Promise<void>;
  /** Which topics have a past. */
  history(topic: string): boolean;
  /** Work queues, if it has some. */
  readonly queues?: ((unreadable: (error: Error) => void) => BackboneQueues & { close(): void }) | undefined;
  /** Throws a `BackboneError` where the broker could not take this message. */
  check(topic: string, envelope: Uint8Array): void;
}

/** How often a server asks itself, by way of the broker, whether it still hears, in ms. */
const beaconEvery = 5_000;
/** It does not when it heard nothing of itself for so long: then its subscribing connection is made again. */
const deafAfter = 12_500;
/** Pauses between attempts to read what was missed, in ms. */
const shortestPause = 50;
const longestPause = 1_000;

/** A backbone over a log of a broker: publishes in batches, live messages checked by their links, gaps read or said. */
export class LinkedBackbone implements Backbone, Timed {
  /** As the broker is called. */
  readonly name: string;
  /** What the broker can do. */
  readonly abilities: BackboneAbilities;
  /** Where it is in its life. */
  state: BackboneState = 'connecting';
  /** When the next beacon is due. */
  deadline: number;
  /** Work queues, if the broker has some. */
  readonly queues: (BackboneQueues & { close(): void }) | undefined;
  readonly #broker: LinkedBroker;
  readonly #clock: Clock;
  readonly #log: LinkedLog;
  readonly #outbox: Outbox;
  readonly #wishes: Wishes;
  readonly #reader: LinkedReader;
  readonly #wanted = new Names<true>();
  #sink: BackboneSink = noSink;
  #live: LiveConnection;
  /** Which connection is the current one; those before it are not listened to. */
  #current = 0;
  /** Counts the times that the connection came or went: what was begun before is void. */
  #connection = 0;
  #connected = false;
  #heardAt: number;
  #asking = false;
  #said: string | undefined;
  /** Names to be subscribed to, and those to be let go. */
  readonly #added = new Set<string>();
  readonly #removed = new Set<string>();
  #changing = false;

  constructor(broker: LinkedBroker, clock: Clock) {
    const { name, abilities, log } = broker;
    this.name = name;
    this.abilities = abilities;
    this.queues = broker.queues?.((error) => this.#sink.unreadable(error));
    this.#broker = broker;
    this.#clock = clock;
    this.#log = log;
    this.#outbox = new Outbox({ name, timers: clock, send: (batch) => log.publish(batch, this.#reader.epoch ?? '') });
    this.#wishes = new Wishes(name, clock);
    this.#reader = new LinkedReader(log, {
      isWanted: (topic) => this.#isWanted(topic),
      placeOf: (topic) => this.#placeOf(topic),
      deliver: (entry, epoch) => this.#deliver(entry, epoch),
      gap: (topic, from) => this.#sink.gap(topic, from),
      failed: (error) => {
        this.#enter(this.state, this.#error(error));
        return this.#pause(200);
      },
      hasHistory: (topic) => broker.history(topic),
    });
    this.#heardAt = clock.now();
    this.deadline = clock.now() + beaconEvery;
    clock.watch(this);
    this.#live = this.#connect();
  }

  /** Up to here everything was delivered. */
  get position(): Position | undefined {
    return this.#reader.mark;
  }

  /** Who hears it. */
  open(sink: BackboneSink): void {
    this.#sink = openedSink(this.#sink, sink);
  }

  /** Resolves when the broker has the message. */
  async publish(topic: string, body: Uint8Array, options: MessageOptions): Promise<Position | undefined> {
    const { maxBody } = this.abilities;
    if (body.length > maxBody) {
      const words = `${this.name}: a body of ${body.length} bytes for "${topic}"; at most ${maxBody}`;
      throw new BackboneError('tooLarge', words);
    }
    const { id, timeout } = options;
    const envelope = sealEnvelope(body, { ...options, id: undefined });
    this.#broker.check(topic, envelope);
    return this.#outbox.publish(topic, envelope, id, timeout);
  }

  /** A topic or pattern is wanted here. */
  subscribe(name: string): Promise<Position | undefined> {
    if (this.state === 'closed')
      return Promise.reject(new BackboneError('closed', `${this.name}: the backbone is closed`));
    if (!this.#wishes.has(name)) {
      this.#wanted.add(name, true);
      this.#removed.delete(name);
      this.#added.add(name);
      this.#change();
    }
    return this.#wishes.want(name);
  }

  /** It is not wanted any more. */
  async unsubscribe(name: string): Promise<void> {
    if (!this.#wishes.drop(name)) return;
    this.#wanted.delete(name, true);
    this.#added.delete(name);
    if (!isPattern(name)) this.#reader.forget(name);
    this.#removed.add(name);
    this.#change();
  }

  /** What came after a position. */
  async since(name: string, after: Position, limit: number): Promise<readonly Message[] | undefined> {
    if (!isPosition(after) || this.state === 'closed') return undefined;
    if (!isPattern(name)) return this.#past(name, after, limit);
    const changes = await this.#log.changes(after.offset).catch(() => undefined);
    if (!changes) return undefined;
    const { epoch, last, topics } = changes;
    if (epoch !== after.epoch || after.offset > last || !topics) return undefined;
    const matches = matcher(name);
    const pasts = await Promise.all(topics.filter(matches).map((topic) => this.#past(topic, after, limit)));
    const found: Message[] = [];
    for (const past of pasts) {
      if (!past) return undefined;
      found.push(...past);
    }
    if (found.length > limit) return undefined;
    return found.sort((one, other) => one.position.offset - other.position.offset);
  }

  /** Let go of everything but the clients that were given. */
  async close(): Promise<void> {
    if (this.state === 'closed') return;
    this.#connection++;
    this.#connected = false;
    this.#clock.forget(this);
    this.#enter('closed');
    this.#outbox.close();
    this.#wishes.close();
    this.#reader.stop();
    this.#live.close();
    this.queues?.close();
  }

  /** Time for a beacon. */
  tick(now: number): void {
    this.deadline = now + beaconEvery;
    if (this.#connected && now - this.#heardAt > deafAfter) {
      // The connection is there, and nothing comes: half of it is dead.
      this.#live.close();
      this.#lost(this.#error('the subscribing connection hears nothing'));
      this.#live = this.#connect();
    }
    if (this.#asking) return;
    this.#asking = true;
    this.#broker.beacon().then(
      () => {
        this.#asking = false;
      },
      () => {
        this.#asking = false;
      },
    );
  }

  #connect(): LiveConnection {
    const own = ++this.#current;
    const current = (run: () => void): void => {
      if (this.#current === own && this.state !== 'closed') run();
    };
    return this.#broker.connect({
      message: (entry) =>
        current(() => {
          if (this.#isWanted(entry.topic)) this.#reader.live(entry);
        }),
      unreadable: (topic, why) =>
        current(() => {
          if (this.#isWanted(topic)) this.#unreadable(topic, why);
        }),
      beacon: (position) =>
        current(() => {
          this.#heardAt = this.#clock.now();
          this.#reader.marked(position);
        }),
      up: () => current(() => void this.#arrived()),
      down: (error) => current(() => this.#lost(error)),
    });
  }

  #lost(error: Error): void {
    this.#connection++;
    this.#connected = false;
    this.#outbox.up = false;
    this.#wishes.lost();
    this.#reader.hold();
    this.#enter(this.state === 'connecting' ? 'connecting' : 'down', error);
  }

  #enter(state: BackboneState, error?: unknown): void {
    // A client that dials again and again fails in the same words each time.
    const words = error === undefined ? undefined : messageOf(error);
    if (state === this.state && (words === undefined || words === this.#said)) return;
    this.state = state;
    this.#said = words;
    this.#sink.state(state, error);
  }

  /** The subscribing connection is there. Everything is subscribed to, and what was missed is read, before it is up. */
  async #arrived(): Promise<void> {
    const own = ++this.#connection;
    this.#reader.hold();
    for (let attempt = 0; own === this.#connection; attempt++) {
      try {
        await this.#log.place();
        const known = this.#wishes.names().filter((name) => this.#wishes.wasLive(name));
        await this.#live.subscribe(known);
        if (own !== this.#connection) return;
        await this.#reader.catchUp(() => own === this.#connection);
        if (own !== this.#connection) return;
        for (const name of known) this.#wishes.becameLive(name, this.position);
        break;
      } catch (error) {
        if (own !== this.#connection) return;
        this.#enter(this.state === 'connecting' ? 'connecting' : 'down', this.#error(error));
        await this.#pause(Math.min(shortestPause * 2 ** attempt, longestPause));
      }
    }
    if (own !== this.#connection) return;
    this.#connected = true;
    this.#heardAt = this.#clock.now();
    this.#enter('up');
    this.#outbox.up = true;
    for (const name of this.#wishes.names()) if (!this.#wishes.isLive(name)) this.#added.add(name);
    this.#change();
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#clock.watch({ deadline: this.#clock.now() + ms, tick: () => resolve(), keepsAlive: true });
    });
  }

  /** What was asked for in one turn is done together, and one after the other: clients mix them up otherwise. */
  #change(): void {
    if (this.#changing || !this.#connected || this.#added.size + this.#removed.size === 0) return;
    this.#changing = true;
    const own = this.#connection;
    queueMicrotask(async () => {
      const [removed, added] = [[...this.#removed], [...this.#added]];
      this.#removed.clear();
      this.#added.clear();
      try {
        if (removed.length > 0) await this.#live.unsubscribe(removed);
        if (added.length > 0) await this.#begin(added, own);
      } catch (error) {
        // Either the connection was lost, and its return asks again; or the broker refuses.
        const refused = new BackboneError('unavailable', this.#error(error).message);
        if (own === this.#connection) for (const name of added) this.#wishes.refuse(name, refused);
      }
      this.#changing = false;
      this.#change();
    });
  }

  async #begin(names: readonly string[], connection: number): Promise<void> {
    const place = await this.#log.place();
    for (const name of names) if (!isPattern(name) && this.#wishes.has(name)) this.#reader.begin(name, place);
    await this.#live.subscribe(names);
    if (connection !== this.#connection) return;
    await this.#reader.readNew(names, place);
    if (connection !== this.#connection) return;
    for (const name of names) this.#wishes.becameLive(name, place);
  }

  #isWanted(topic: string): boolean {
    for (const _ of this.#wanted.match(topic)) return true;
    return false;
  }

  /** From where on a topic is heard that matches patterns alone. */
  #placeOf(topic: string): number {
    let place = Infinity;
    for (const name of this.#wishes.names()) {
      const live = isPattern(name) ? this.#wishes.placeOf(name) : undefined;
      if (live && matcher(name)(topic)) place = Math.min(place, live.offset);
    }
    return place;
  }

  #deliver(entry: LogEntry, epoch: string): void {
    const message = this.#opened(entry, epoch);
    if (message) this.#sink.message(message);
  }

  #opened({ topic, offset, envelope }: LogEntry, epoch: string): Message | undefined {
    try {
      const { contentType, headers, body } = openEnvelope(envelope);
      return createMessage({ topic, body, contentType, headers, position: { epoch, offset } });
    } catch (error) {
      this.#unreadable(topic, messageOf(error));
      return undefined;
    }
  }

  /** Errors of clients may hold what they sent: their words do not. */
  #error(error: unknown): Error {
    const words = messageOf(error);
    return new Error(words.startsWith(`${this.name}: `) ? words : `${this.name}: ${words}`);
  }

  #unreadable(topic: string, why: string): void {
    this.#sink.unreadable(new Error(`${this.name}: a message of "${topic}" cannot be read: ${why}`));
  }

  async #past(topic: string, after: Position, limit: number): Promise<Message[] | undefined> {
    if (!this.#broker.history(topic)) return undefined;
    // What cannot be read now is not known now.
    const past = await this.#log.read(topic, after.offset, limit).catch(() => undefined);
    if (!past?.complete || past.epoch !== after.epoch) return undefined;
    const { epoch, entries } = past;
    return entries.flatMap((entry) => this.#opened(entry, epoch) ?? []);
  }
}
