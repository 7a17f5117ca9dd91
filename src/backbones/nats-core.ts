import { type Backbone, BackboneError } from '../bus/backbone.ts';
import { type Clock, never, systemClock, type Timed } from '../core/clock.ts';
import { assertOption, checkNames } from '../core/options.ts';
import type { NatsConnection, NatsMessage } from './nats-client.ts';
import { PlainBackbone, type PlainBroker, type PlainConnection, type PlainEvents } from './plain-backbone.ts';
import { subjectOf } from './subjects.ts';

/** How a bus uses NATS without JetStream. */
export interface NatsCoreBackboneOptions {
  /** A connection of `@nats-io/transport-node`. It stays open when the backbone is closed. */
  readonly connection: NatsConnection;
  /**
   * Applications with different prefixes on one NATS do not see each other. The subjects are `<prefix>.core.>`.
   * @defaultValue `'subwire'`
   */
  readonly prefix?: string | undefined;
  /** What keeps time. @defaultValue the clock of this process */
  readonly clock?: Clock | undefined;
}

const optionNames = {
  ...{ connection: true, prefix: true, clock: true },
} as const satisfies Record<keyof NatsCoreBackboneOptions, true>;

/** How often the server is asked whether it is there, and how long it may take to answer, in ms. */
const askEvery = 4_000;
const answerWithin = 8_000;
/** A client that has not begun to connect again within so many ms does not do it by itself. */
const stuckAfter = 1_000;
/** So many bytes of a message of NATS are kept for what goes with a body. */
const headroom = 65_536;
/** What a server takes if it does not say. */
const usualPayload = 1_048_576;
/** A subject that is longer than this many characters could cost the connection. */
const longestSubject = 3_000;

/**
 * A bus over plain subjects of NATS, without JetStream: nothing is kept, so that a reconnect is a gap, and there are
 * no queues. It costs NATS a fifth of what the stream of `natsBackbone()` does.
 *
 * A publish resolves when the server that this process is connected to has taken the message.
 *
 * Throws a `TypeError` that names an option that is wrong.
 *
 * @example
 * import { connect } from '@nats-io/transport-node';
 * const connection = await connect({ servers: '127.0.0.1:4222', maxReconnectAttempts: -1 });
 * const bus = createBus({ backbone: natsCoreBackbone({ connection }) });
 */
export function natsCoreBackbone(options: NatsCoreBackboneOptions): Backbone {
  const owner = 'natsCoreBackbone(): ';
  const isGiven = typeof options === 'object' && options !== null;
  assertOption(isGiven, `${owner}options`, 'an object with a connection', options);
  checkNames(options, optionNames, 'natsCoreBackbone()');
  const { connection, prefix = 'subwire', clock = systemClock } = options;
  const given = connection as Partial<NatsConnection> | undefined | null;
  assertOption(
    typeof given?.flush === 'function' && typeof given.status === 'function',
    `${owner}connection`,
    'what connect() of @nats-io/transport-node resolves with',
    typeof given?.flush === 'function' ? 'something without status()' : connection,
  );
  const isPrefix = typeof prefix === 'string' && /^[A-Za-z0-9_-]+$/.test(prefix);
  assertOption(isPrefix, `${owner}prefix`, 'made of letters, digits, _ and -', prefix);
  return new PlainBackbone(natsSubjects(connection, `${prefix}.core.`, clock), clock);
}

/** What NATS is for a backbone that needs no past. */
function natsSubjects(connection: NatsConnection, root: string, clock: Clock): PlainBroker {
  const maxBody = (connection.info?.max_payload ?? usualPayload) - headroom;
  return {
    name: 'nats',
    abilities: { ids: true, positions: false, patterns: 'broker', queues: false, history: false, maxBody },
    connect: (events) => new NatsSubjects(connection, root, clock, events),
    check(topic, envelope) {
      if (envelope.length > maxBody + headroom / 2) {
        const words = `nats: a message of ${envelope.length} bytes for "${topic}" with its headers`;
        throw new BackboneError('tooLarge', words);
      }
      if (subjectOf(topic, '>').length <= longestSubject) return;
      throw new BackboneError('tooLarge', `nats: a name of a topic of ${topic.length} characters`);
    },
  };
}

class NatsSubjects implements PlainConnection, Timed {
  deadline: number;
  readonly #connection: NatsConnection;
  readonly #root: string;
  readonly #clock: Clock;
  readonly #events: PlainEvents;
  readonly #subscriptions = new Set<{ unsubscribe(): void }>();
  /** Those who wait for the server: told when the connection is lost. The client waits for its own time. */
  readonly #waiting = new Set<(error: Error) => void>();
  #isUp = false;
  #closed = false;
  /** When the server was asked what it has not answered yet. */
  #askedAt: number | undefined;

  constructor(connection: NatsConnection, root: string, clock: Clock, events: PlainEvents) {
    this.#connection = connection;
    this.#root = root;
    this.#clock = clock;
    this.#events = events;
    this.deadline = clock.now() + askEvery;
    clock.watch(this);
    void this.#follow();
    // Not before the backbone has what it connects with.
    queueMicrotask(() => this.#arrived());
  }

  async #follow(): Promise<void> {
    for await (const { type } of this.#connection.status()) {
      if (this.#closed) return;
      if (type === 'disconnect' || type === 'close') this.#lost(new Error('the connection was lost'));
      // It goes on by itself.
      if (type === 'reconnecting') this.#askAgainAt(never);
      if (type === 'reconnect') this.#arrived();
    }
  }

  #askAgainAt(deadline: number): void {
    this.deadline = deadline;
    if (deadline < never) this.#clock.watch(this);
  }

  #arrived(): void {
    if (this.#closed) return;
    this.#isUp = true;
    this.#askedAt = undefined;
    this.#askAgainAt(this.#clock.now() + askEvery);
    this.#events.connected();
  }

  #lost(error: Error): void {
    this.#isUp = false;
    this.#askAgainAt(this.#clock.now() + stuckAfter);
    this.#events.lost(error);
    for (const tell of [...this.#waiting]) tell(error);
  }

  /** A connection of which one half is dead says nothing by itself; a client that was reset in its greeting may rest. */
  tick(now: number): void {
    this.#askAgainAt(now + askEvery);
    if (!this.#isUp) {
      this.#connection.reconnect?.().catch(() => {});
      return;
    }
    if (this.#askedAt === undefined) {
      this.#askedAt = now;
      const answered = (): void => {
        this.#askedAt = undefined;
      };
      this.fence().then(answered, () => {});
    } else if (now - this.#askedAt >= answerWithin) {
      this.#lost(new Error('the server does not answer'));
      this.#connection.reconnect?.().catch(() => {});
    }
  }

  subscribe(name: string): { unsubscribe(): void } {
    const { length } = this.#root;
    const subscription = this.#connection.subscribe(this.#root + subjectOf(name, '>'), {
      callback: (error: Error | null, { subject, data }: NatsMessage) => {
        if (!error && !this.#closed) this.#events.message(subject.slice(length), data);
      },
    });
    this.#subscriptions.add(subscription);
    return {
      unsubscribe: () => {
        this.#subscriptions.delete(subscription);
        subscription.unsubscribe();
      },
    };
  }

  /** The answer to a ping stands behind everything that was sent before it. */
  fence(): Promise<void> {
    return new Promise((resolve, reject) => {
      const lost = (error: unknown): void => {
        this.#waiting.delete(lost);
        reject(error);
      };
      this.#waiting.add(lost);
      this.#connection.flush().then(() => {
        this.#waiting.delete(lost);
        resolve();
      }, lost);
    });
  }

  async send(messages: readonly { readonly topic: string; readonly envelope: Uint8Array }[]): Promise<void> {
    for (const { topic, envelope } of messages) {
      this.#connection.publish(this.#root + subjectOf(topic, '>'), envelope);
    }
    await this.fence();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#clock.forget(this);
    for (const tell of [...this.#waiting]) tell(new Error('it is closed'));
    if (this.#connection.isClosed()) return;
    for (const subscription of this.#subscriptions) subscription.unsubscribe();
    this.#subscriptions.clear();
  }
}
