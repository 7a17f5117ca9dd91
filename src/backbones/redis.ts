import type { Backbone } from '../bus/backbone.ts';
import { isPattern } from '../bus/pattern.ts';
import { type Clock, systemClock } from '../core/clock.ts';
import { assertOption, checkNames, mustBeFunctions, numberOptions } from '../core/options.ts';
import { randomId } from '../core/random.ts';
import { LinkedBackbone, type LinkedBroker, type LiveConnection, type LiveEvents } from './linked-backbone.ts';
import { globOf, readLive } from './redis-channels.ts';
import { type RedisCalls, type RedisClient, redisCallsOf } from './redis-client.ts';
import { RedisLog } from './redis-log.ts';

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
  /**
   * A publish resolves when so many replicas have the message as well (`WAIT`), so that it outlives a failover to one of
   * them. Without so many it is repeated until its deadline. `WAIT` holds the connection of `client` for up to 1 s: give the
   * backbone one of its own.
   *
   * @defaultValue 0
   */
  readonly replicas?: number | undefined;
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
  replicas: true,
  clock: true,
} satisfies Record<keyof RedisBackboneOptions, true>;

/** The largest body, in bytes: Redis cuts subscribers off for whom 32 MB wait. */
const maxBody = 16_777_216;

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
  const { replicas } = numberOptions(options, { replicas: 0 }, 0, owner);
  assertOption(Number.isInteger(replicas), `${owner}replicas`, 'a whole number', replicas);
  const tag = /^[^{}#:@]+$/;
  assertOption(
    typeof prefix === 'string' && tag.test(prefix),
    `${owner}prefix`,
    'text without {, }, #, : and @',
    prefix,
  );
  assertOption(typeof durable === 'boolean', `${owner}durable`, 'true or false', durable);
  const root = `{${prefix}:0}`;
  return new LinkedBackbone(redisBroker(redisCallsOf(client), { root, ...bounds, durable, replicas, history }), clock);
}

interface LogOptions {
  readonly root: string;
  readonly maxMessages: number;
  readonly maxAge: number;
  readonly durable: boolean;
  readonly replicas: number;
  readonly history: (topic: string) => boolean;
}

function redisBroker(calls: RedisCalls, options: LogOptions): LinkedBroker {
  const { root, history } = options;
  const log = new RedisLog(calls, options);
  const server = randomId();
  const beaconChannel = `${root}@${server}`;
  const prefix = `${root}#`;
  const escapedPrefix = prefix.replace(/[{}]/g, '\\$&');

  function channelsOf(names: readonly string[]): [channels: string[], patterns: string[]] {
    return [
      names.filter((name) => !isPattern(name)).map((name) => prefix + name),
      names.filter(isPattern).map((name) => escapedPrefix + globOf(name)),
    ];
  }

  function connect(events: LiveEvents): LiveConnection {
    const subscriber = calls.subscriber({
      up: events.up,
      down: events.down,
      message(channel, bytes) {
        const message = bytes as Buffer;
        if (channel === beaconChannel) {
          const [epoch = '', last] = message.toString().split(' ');
          return events.beacon({ epoch, offset: Number(last) });
        }
        const topic = channel.slice(prefix.length);
        const entry = readLive(topic, message);
        if (entry) events.message(entry);
        else events.unreadable(topic, 'it was not written by subwire');
      },
    });
    return {
      async subscribe(names) {
        const [channels, patterns] = channelsOf(names);
        await subscriber.subscribe([...channels, beaconChannel], patterns);
      },
      unsubscribe: (names) => subscriber.unsubscribe(...channelsOf(names)),
      close: subscriber.close,
    };
  }

  return {
    name: 'redis',
    abilities: { ids: true, positions: true, patterns: 'broker', queues: false, history: true, maxBody },
    log,
    connect,
    async beacon() {
      await log.place(server);
    },
    history,
    check() {},
  };
}
