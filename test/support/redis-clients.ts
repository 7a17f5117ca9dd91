import type { RedisClient } from '../../src/backbones/redis.ts';

/** A client that a test can close, and the rest that it needs of one. */
export type ClosableRedis = RedisClient & {
  /** Send a command. */
  send(...args: (string | Buffer)[]): Promise<unknown>;
  /** Is it connected? */
  isUp(): boolean;
  end(): void;
};

interface NodeRedis {
  on(event: 'error', listener: () => void): unknown;
  connect(): Promise<unknown>;
  sendCommand(args: (string | Buffer)[]): Promise<unknown>;
  destroy(): void;
  readonly isReady: boolean;
}

interface Ioredis {
  on(event: 'error', listener: () => void): unknown;
  call(command: string, ...args: (string | Buffer)[]): Promise<unknown>;
  disconnect(): void;
  readonly status: string;
}

interface Address {
  readonly port: number;
  /** Default: 127.0.0.1. */
  readonly host?: string | undefined;
  readonly password?: string | undefined;
}

// Loaded by names that the compiler does not follow: the types that count are those of the backbone.
const packageNames = { redis: 'redis', ioredis: 'ioredis' };

/** A client of the package redis; it connects again every 50 ms. */
export async function nodeRedisClient({ port, host = '127.0.0.1', password }: Address): Promise<() => ClosableRedis> {
  const { createClient } = (await import(packageNames.redis)) as { createClient(options: object): NodeRedis };
  return () => {
    const client = createClient({
      url: `redis://${host}:${port}`,
      socket: { reconnectStrategy: () => 50 },
      ...(password === undefined ? {} : { password }),
    });
    client.on('error', () => {});
    client.connect().catch(() => {});
    return Object.assign(client as unknown as RedisClient, {
      send: (...args: (string | Buffer)[]) => client.sendCommand(args),
      isUp: () => client.isReady,
      end: () => client.destroy(),
    });
  };
}

/** A client of ioredis; it connects again every 50 ms. */
export async function ioredisClient({ port, host = '127.0.0.1', password }: Address): Promise<() => ClosableRedis> {
  const { Redis } = (await import(packageNames.ioredis)) as { Redis: new (options: object) => Ioredis };
  return () => {
    const client = new Redis({
      port,
      host,
      retryStrategy: () => 50,
      maxRetriesPerRequest: null,
      ...(password === undefined ? {} : { password }),
    });
    client.on('error', () => {});
    return Object.assign(client as unknown as RedisClient, {
      send: (command: string | Buffer, ...args: (string | Buffer)[]) => client.call(String(command), ...args),
      isUp: () => client.status === 'ready',
      end: () => client.disconnect(),
    });
  };
}
