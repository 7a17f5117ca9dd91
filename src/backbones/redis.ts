import {
  type Backbone,
  BackboneError,
  type BackboneSink,
  type BackboneState,
  type PublishOptions,
} from '../bus/backbone.ts';
import { createMessage, type Message, type Position } from '../bus/message.ts';
import { isPattern } from '../bus/pattern.ts';
import { type Clock, systemClock, type Timed } from '../core/clock.ts';
import { messageOf } from '../core/fault.ts';
import { assertOption, checkNames, mustBeFunctions, numberOptions } from '../core/options.ts';
import { randomId } from '../core/random.ts';
import { openEnvelope, sealEnvelope } from './envelope.ts';
import { matcher, Names } from './names.ts';
import { Outbox } from './outbox.ts';
import { globOf, readLive } from './redis-channels.ts';
import { type RedisCalls, type RedisClient, redisCallsOf, type Subscriber } from './redis-client.ts';
import { type RedisEntry, RedisLog } from './redis-log.ts';
import { RedisReader } from './redis-reader.ts';
import { isPosition, noSink, openedSink } from './sink.ts';
import { Wishes } from './wishes.ts';

export type { IoredisClient, NodeRedisClient, RedisClient } from './redis-client.ts';

/** How a bus uses Redis. */
export interface RedisBackboneOptions {
  /**
   * A connected client of the package redis (5 or later), of ioredis or of iovalkey. It stays open when the backbone is
   * closed. A second connection is made of it, by `duplicate()`, for what is subscribed to.
   */
  readonly client: RedisClient;
  /** Applications with different prefixes on one Redis do not see each other. @defaultValue `'subwire'` */
  readonly prefix?: string | undefined;
  /** Which topics have a past in Redis. Others cost no stream, and readers who come back are told so. @defaultValue all */
  readonly history?: ((topic: string) => boolean) | undefined;
  /** How many messages of a topic are kept, about. @defaultValue 1_000 */
  readonly maxMessages?: number | undefined;
  /** How long the past of a topic is kept after its last message, in ms. @defaultValue 120_000 */
  readonly maxAge?: number | undefined;
  /**
   * This Redis never loses what it has confirmed: `appendfsync always` and no asynchronous replica takes over. Then a
   * restart is not said to be a loss. @defaultValue `false`
   */
  readonly durable?: boolean | undefined;
  /** What keeps time. @defaultValue the clock of this process */
  readonly clock?: Clock | undefined;
}

const optionNames = {
  client: true,
  prefix: true,
  history: true,
  maxMessages: true,
  maxAge: true,
  durable: true,
  clock: true,
} satisfies Record<keyof RedisBackboneOptions, true>;

/** The largest body, in bytes: Redis cuts subscribers off for whom 32 MB wait. */
const maxBody = 16_777_216;
/** How often a server asks itself, by way of Redis, whether it still hears, in ms. */
const beaconEvery = 5_000;
/** It does not when it heard nothing of itself for so long: then its subscribing connection is made again. */
const deafAfter = 12_500;

/**
 * A bus over Redis 6.2 or later, or Valkey. Each publish goes into a stream and onto a channel by one script, many
 * publishes at a time; each message names the one before it, so that a missing one is noticed and read from the stream.
 *
 * A publish resolves when Redis has the message. What that is worth is up to Redis: in memory alone, it is lost when
 * Redis is killed, and that is said (`gap`).
 *
 * Throws a `TypeError` that names an option that is wrong.
 *
 * @example
 * const client = await createClient({ url: 'redis://127.0.0.1:6379' }).connect();
 * const bus = createBus({ backbone: redisBackbone({ client }) });
 */
export function redisBackbone(options: RedisBackboneOptions): Backbone {
  const owner = 'redisBackbone(): ';
  assertOption(typeof options === 'object' && options !== null, `${owner}options`, 'an object with a client', options);
  checkNames(options, optionNames, 'redisBackbone()');
  const { client, prefix = 'subwire', history = () => true, durable = false, clock = systemClock } = options;
  const bounds = numberOptions(options, { maxMessages: 1_000, maxAge: 120_000 }, 1, owner);
  mustBeFunctions({ history }, owner);
  const tag = /^[^{}#:@]+$/;
  assertOption(
    typeof prefix === 'string' && tag.test(prefix),
    `${owner}prefix`,
    'text without {, }, #, : and @',
    prefix,
  );
  assertOption(typeof durable === 'boolean', `${owner}durable`, 'true or false', durable);
  const root = `{${prefix}:0}`;
  return new RedisBackbone(redisCallsOf(client), { root, ...bounds, durable, history }, clock);
}

interface LogOptions {
  readonly root: string;
  readonly maxMessages: number;
  readonly maxAge: number;
  readonly durable: boolean;
  readonly history: (topic: string) => boolean;
}

class RedisBackbone implements Backbone, Timed {
  readonly name = 'redis';
  readonly abilities = {
    ids: true,
    positions: true,
    patterns: 'broker',
    queues: false,
    history: true,
    maxBody,
  } as const;
  state: BackboneState = 'connecting';
  /** When the next beacon is due. */
  deadline: number;
  readonly #options: LogOptions;
  readonly #clock: Clock;
  readonly #calls: RedisCalls;
  readonly #log: RedisLog;
  readonly #outbox: Outbox;
  readonly #wishes: Wishes;
  readonly #reader: RedisReader;
  readonly #wanted = new Names<true>();
  readonly #server = randomId();
  readonly #channels: string;
  readonly #beacon: string;
  #sink: BackboneSink = noSink;
  #subscriber: Subscriber;
  /** Counts the times that the subscribing connection came or went: what was begun before is void. */
  #connection = 0;
  #connected = false;
  #heardAt: number;
  #asking = false;
  /** Names to be subscribed to, and those to be let go. */
  readonly #added = new Set<string>();
  readonly #removed = new Set<string>();
  #changing = false;

  constructor(calls: RedisCalls, options: LogOptions, clock: Clock) {
    this.#calls = calls;
    this.#options = options;
    this.#clock = clock;
    this.#channels = `${options.root}#`;
    this.#beacon = `${options.root}@${this.#server}`;
    this.#log = new RedisLog(calls, options);
    this.#outbox = new Outbox({
      name: this.name,
      timers: clock,
      send: (batch) => this.#log.publish(batch, this.#reader.epoch ?? ''),
    });
    this.#wishes = new Wishes(this.name, clock);
    this.#reader = new RedisReader(this.#log, {
      isWanted: (topic) => this.#isWanted(topic),
      placeOf: (topic) => this.#placeOf(topic),
      deliver: (entry, epoch) => this.#deliver(entry, epoch),
      gap: (topic, from) => this.#sink.gap(topic, from),
      failed: (error) => {
        this.#enter(this.state, new Error(`redis: ${messageOf(error)}`));
        return this.#pause(200);
      },
      hasHistory: options.history,
    });
    this.#heardAt = clock.now();
    this.deadline = clock.now() + beaconEvery;
    clock.watch(this);
    this.#subscriber = this.#connect();
  }

  get position(): Position | undefined {
    return this.#reader.mark;
  }

  open(sink: BackboneSink): void {
    this.#sink = openedSink(this.#sink, sink);
  }

  async publish(topic: string, body: Uint8Array, options: PublishOptions): Promise<Position | undefined> {
    if (body.length > maxBody) {
      throw new BackboneError('tooLarge', `redis: a body of ${body.length} bytes for "${topic}"; at most ${maxBody}`);
    }
    const { id, timeout } = options;
    return this.#outbox.publish(topic, sealEnvelope(body, { ...options, id: undefined }), id, timeout);
  }

  subscribe(name: string): Promise<Position | undefined> {
    if (this.state === 'closed') return Promise.reject(new BackboneError('closed', 'redis: the backbone is closed'));
    if (!this.#wishes.has(name)) {
      this.#wanted.add(name, true);
      this.#removed.delete(name);
      this.#added.add(name);
      this.#change();
    }
    return this.#wishes.want(name);
  }

  async unsubscribe(name: string): Promise<void> {
    if (!this.#wishes.drop(name)) return;
    this.#wanted.delete(name, true);
    this.#added.delete(name);
    if (!isPattern(name)) this.#reader.forget(name);
    this.#removed.add(name);
    this.#change();
  }

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

  async close(): Promise<void> {
    if (this.state === 'closed') return;
    this.#connection++;
    this.#connected = false;
    this.#clock.forget(this);
    this.#enter('closed');
    this.#outbox.close();
    this.#wishes.close();
    this.#reader.stop();
    this.#subscriber.close();
  }

  /** Time for a beacon. */
  tick(now: number): void {
    this.deadline = now + beaconEvery;
    if (this.#connected && now - this.#heardAt > deafAfter) {
      // The connection is there, and nothing comes: half of it is dead.
      this.#subscriber.close();
      this.#lost(new Error('redis: the subscribing connection hears nothing'));
      this.#subscriber = this.#connect();
    }
    if (this.#asking) return;
    this.#asking = true;
    this.#log.place(this.#server).then(
      () => {
        this.#asking = false;
      },
      () => {
        this.#asking = false;
      },
    );
  }

  #connect(): Subscriber {
    const own = ++this.#connection;
    const current = (run: () => void): void => {
      if (this.#generation === own && this.state !== 'closed') run();
    };
    this.#generation = own;
    return this.#calls.subscriber({
      message: (channel, message) => current(() => this.#received(channel, message)),
      up: () => current(() => void this.#arrived()),
      down: (error) => current(() => this.#lost(error)),
    });
  }

  #generation = 0;

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

  #said: string | undefined;

  /** The subscribing connection is there. Everything is subscribed to, and what was missed is read, before it is up. */
  async #arrived(): Promise<void> {
    const own = ++this.#connection;
    this.#reader.hold();
    for (let attempt = 0; own === this.#connection; attempt++) {
      try {
        await this.#log.place();
        const known = this.#wishes.names().filter((name) => this.#wishes.wasLive(name));
        await this.#subscriber.subscribe(...this.#channelsOf(known, [this.#beacon]));
        if (own !== this.#connection) return;
        await this.#reader.catchUp(() => own === this.#connection);
        if (own !== this.#connection) return;
        for (const name of known) this.#wishes.becameLive(name, this.position);
        break;
      } catch (error) {
        if (own !== this.#connection) return;
        this.#enter(this.state === 'connecting' ? 'connecting' : 'down', new Error(`redis: ${messageOf(error)}`));
        await this.#pause(Math.min(50 * 2 ** attempt, 1_000));
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

  #channelsOf(names: readonly string[], more: readonly string[] = []): [channels: string[], patterns: string[]] {
    const escaped = this.#channels.replace(/[{}]/g, '\\$&');
    return [
      [...names.filter((name) => !isPattern(name)).map((name) => this.#channels + name), ...more],
      names.filter(isPattern).map((name) => escaped + globOf(name)),
    ];
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
        if (removed.length > 0) await this.#subscriber.unsubscribe(...this.#channelsOf(removed));
        if (added.length > 0) await this.#begin(added, own);
      } catch (error) {
        // Either the connection was lost, and its return asks again; or Redis refuses.
        const refused = new BackboneError('unavailable', `redis: ${messageOf(error)}`);
        if (own === this.#connection) for (const name of added) this.#wishes.refuse(name, refused);
      }
      this.#changing = false;
      this.#change();
    });
  }

  async #begin(names: readonly string[], connection: number): Promise<void> {
    const place = await this.#log.place();
    for (const name of names) if (!isPattern(name) && this.#wishes.has(name)) this.#reader.begin(name, place);
    await this.#subscriber.subscribe(...this.#channelsOf(names));
    if (connection !== this.#connection) return;
    await this.#reader.readNew(names, place);
    if (connection !== this.#connection) return;
    for (const name of names) this.#wishes.becameLive(name, place);
  }

  #received(channel: string, message: Buffer): void {
    if (channel === this.#beacon) {
      this.#heardAt = this.#clock.now();
      const [epoch = '', last] = message.toString().split(' ');
      this.#reader.marked({ epoch, offset: Number(last) });
      return;
    }
    const topic = channel.slice(this.#channels.length);
    if (!this.#isWanted(topic)) return;
    const entry = readLive(topic, message);
    if (entry) this.#reader.live(entry);
    else this.#unreadable(topic, 'it was not written by subwire');
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

  #deliver(entry: RedisEntry, epoch: string): void {
    const message = this.#opened(entry, epoch);
    if (message) this.#sink.message(message);
  }

  #opened({ topic, offset, envelope }: RedisEntry, epoch: string): Message | undefined {
    try {
      const { contentType, headers, body } = openEnvelope(envelope);
      return createMessage({ topic, body, contentType, headers, position: { epoch, offset } });
    } catch (error) {
      this.#unreadable(topic, messageOf(error));
      return undefined;
    }
  }

  #unreadable(topic: string, why: string): void {
    this.#sink.unreadable(new Error(`redis: a message of "${topic}" cannot be read: ${why}`));
  }

  async #past(topic: string, after: Position, limit: number): Promise<Message[] | undefined> {
    if (!this.#options.history(topic)) return undefined;
    // What cannot be read now is not known now.
    const past = await this.#log.read(topic, after.offset, limit).catch(() => undefined);
    if (!past?.complete || past.epoch !== after.epoch) return undefined;
    const { epoch, entries } = past;
    return entries.flatMap((entry) => this.#opened(entry, epoch) ?? []);
  }
}
