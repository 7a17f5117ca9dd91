/** What a command is made of. */
export type RedisArgument = string | Uint8Array;

/**
 * What an ioredis or iovalkey client is known by. Whatever else it takes is left open, since its own declarations name types
 * of Node that these do without.
 */
export interface IoredisClient {
  /** Options that change what commands mean. */
  readonly options?: { readonly keyPrefix?: string | undefined };
  /** Send a command; texts of the answer are buffers. */
  callBuffer(command: string, ...args: never[]): Promise<unknown>;
  /** Another connection with the same options. */
  duplicate(): object;
}

/** As much of it as is used. */
interface UsedIoredis {
  callBuffer(command: string, ...args: RedisArgument[]): Promise<unknown>;
  duplicate(): IoredisSubscriber;
}

/** The connection of an ioredis client that subscribes. */
interface IoredisSubscriber {
  /** Hear its events. */
  on(event: string, listener: (...details: never[]) => void): unknown;
  /** Live messages of channels. */
  subscribe(...channels: string[]): Promise<unknown>;
  /** No more of them. */
  unsubscribe(...channels: string[]): Promise<unknown>;
  /** Live messages of patterns of channels. */
  psubscribe(...patterns: string[]): Promise<unknown>;
  /** No more of them. */
  punsubscribe(...patterns: string[]): Promise<unknown>;
  /** Is it there? */
  ping(): Promise<unknown>;
  /** Drop the connection; `true`: and make it again. */
  disconnect(reconnect?: boolean): void;
}

/** Clients hand out what is a Buffer; the declarations of this package know none. */
const textOf = (bytes: Uint8Array): string => (bytes as Buffer).toString();

type PubSubListener = (message: Uint8Array, channel: Uint8Array) => void;

/** What a client of the package redis is known by; see {@link IoredisClient}. */
export interface NodeRedisClient {
  /** A view with other types of answers. */
  withTypeMapping(mapping: never): object;
  /** Another connection with the same options. */
  duplicate(): object;
}

/** As much of it as is used. */
interface UsedNodeRedis {
  /** A view whose texts are buffers: 36 is `$`. */
  withTypeMapping(mapping: { readonly 36: unknown }): { sendCommand(args: RedisArgument[]): Promise<unknown> };
  duplicate(): NodeRedisSubscriber;
}

/** The connection of a client of the package redis that subscribes. */
interface NodeRedisSubscriber {
  /** Hear its events. */
  on(event: string, listener: (...details: never[]) => void): unknown;
  /** Connect. */
  connect(): Promise<unknown>;
  /** Live messages of channels. */
  subscribe(channels: string[], listener: PubSubListener, bufferMode: true): Promise<unknown>;
  /** No more of them. */
  unsubscribe(channels: string[], listener: PubSubListener, bufferMode: true): Promise<unknown>;
  /** Live messages of patterns of channels. */
  pSubscribe(patterns: string[], listener: PubSubListener, bufferMode: true): Promise<unknown>;
  /** No more of them. */
  pUnsubscribe(patterns: string[], listener: PubSubListener, bufferMode: true): Promise<unknown>;
  /** Is it there? */
  ping(): Promise<unknown>;
  /** Drop the connection for good. */
  destroy(): void;
}

/** A client of the packages redis, ioredis or iovalkey. */
export type RedisClient = IoredisClient | NodeRedisClient;

/** What the subscribing connection tells. */
export interface SubscriberEvents {
  /** A live message. */
  message(channel: string, message: Uint8Array): void;
  /** It is connected, and what was subscribed to is subscribed to again. */
  up(): void;
  /** It is not connected. */
  down(error: Error): void;
}

/** A connection that subscribes, whichever client made it. It connects again by itself. */
export interface Subscriber {
  /** Live messages of these channels and patterns, from when it resolves. */
  subscribe(channels: string[], patterns: string[]): Promise<void>;
  /** No more of them. */
  unsubscribe(channels: string[], patterns: string[]): Promise<void>;
  /** Let go of the connection for good. */
  close(): void;
}

/** The few calls that a backbone needs, whichever client it is. */
export interface RedisCalls {
  /** Send a command; texts of the answer are buffers. */
  call(args: RedisArgument[]): Promise<unknown>;
  /** Make the connection that subscribes. */
  subscriber(events: SubscriberEvents): Subscriber;
}

/** An error of a client may hold the command, with passwords and bodies: its message does not. */
const wordsOf = (error: unknown): Error =>
  new Error(`redis: ${error instanceof Error ? error.message : String(error)}`);

/** Throws a `TypeError` if it is no client that can be used. */
export function redisCallsOf(client: RedisClient): RedisCalls {
  const given = client as Partial<IoredisClient & NodeRedisClient> | undefined | null;
  if (typeof given?.duplicate === 'function' && typeof given.callBuffer === 'function') {
    if (given.options?.keyPrefix) {
      throw new TypeError(
        'redisBackbone(): the client has a keyPrefix, which changes keys and not channels; use the option prefix instead',
      );
    }
    return ioredisCalls(client as unknown as UsedIoredis);
  }
  if (typeof given?.duplicate === 'function' && typeof given.withTypeMapping === 'function') {
    return nodeRedisCalls(client as unknown as UsedNodeRedis);
  }
  throw new TypeError(
    'redisBackbone(): client must be a client of the package redis (5 or later), of ioredis or of iovalkey, such as createClient({ url }) or new Redis(url)',
  );
}

function ioredisCalls(client: UsedIoredis): RedisCalls {
  return {
    call: ([command, ...args]) => client.callBuffer(String(command), ...args),
    subscriber(events) {
      const connection = client.duplicate();
      let failure = new Error('redis: the connection was closed');
      connection.on('error', (error: unknown) => {
        failure = wordsOf(error);
      });
      connection.on('messageBuffer', (channel: Buffer, message: Buffer) => events.message(channel.toString(), message));
      connection.on('pmessageBuffer', (_pattern: Buffer, channel: Buffer, message: Buffer) =>
        events.message(channel.toString(), message),
      );
      connection.on('close', () => events.down(failure));
      // It has sent what subscribes again by now: the answer to a ping comes after that. One that fails belongs to a
      // connection whose end is an event of its own.
      connection.on('ready', () => void connection.ping().then(events.up, () => {}));
      return {
        async subscribe(channels, patterns) {
          await Promise.all([
            channels.length > 0 && connection.subscribe(...channels),
            patterns.length > 0 && connection.psubscribe(...patterns),
          ]);
        },
        async unsubscribe(channels, patterns) {
          await Promise.all([
            channels.length > 0 && connection.unsubscribe(...channels),
            patterns.length > 0 && connection.punsubscribe(...patterns),
          ]);
        },
        close: () => connection.disconnect(),
      };
    },
  };
}

function nodeRedisCalls(client: UsedNodeRedis): RedisCalls {
  const typed = client.withTypeMapping({ 36: Buffer });
  return {
    call: (args) => typed.sendCommand(args),
    subscriber(events) {
      const connection = client.duplicate();
      const listener: PubSubListener = (message, channel) => events.message(textOf(channel), message);
      let failure = new Error('redis: the connection was closed');
      // Without this listener an error of the second connection would end the process.
      connection.on('error', (error: unknown) => {
        failure = wordsOf(error);
        events.down(failure);
      });
      connection.on('reconnecting', () => events.down(failure));
      connection.on('ready', () => void connection.ping().then(events.up, () => {}));
      connection.connect().catch((error: unknown) => events.down(wordsOf(error)));
      return {
        async subscribe(channels, patterns) {
          await Promise.all([
            channels.length > 0 && connection.subscribe(channels, listener, true),
            patterns.length > 0 && connection.pSubscribe(patterns, listener, true),
          ]);
        },
        async unsubscribe(channels, patterns) {
          await Promise.all([
            channels.length > 0 && connection.unsubscribe(channels, listener, true),
            patterns.length > 0 && connection.pUnsubscribe(patterns, listener, true),
          ]);
        },
        close() {
          try {
            connection.destroy();
          } catch {
            // It was never open.
          }
        },
      };
    },
  };
}
