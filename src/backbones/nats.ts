import { type Backbone, BackboneError } from '../bus/backbone.ts';
import { type Clock, never, systemClock } from '../core/clock.ts';
import { assertOption, checkNames, mustBeFunctions, numberOptions } from '../core/options.ts';
import { randomId } from '../core/random.ts';
import { sealEnvelope } from './envelope.ts';
import { LinkedBackbone, type LinkedBroker, type LiveConnection, type LiveEvents } from './linked-backbone.ts';
import type { NatsConnection, NatsHeaders, NatsMessage, NatsSubscription } from './nats-client.ts';
import { NatsLog } from './nats-log.ts';
import { NatsQueues, type NatsQueuesHost } from './nats-queues.ts';
import { subjectOf, topicOf } from './subjects.ts';

export type { NatsConnection, NatsHeaders, NatsMessage, NatsSubscription } from './nats-client.ts';
export { type NatsCoreBackboneOptions, natsCoreBackbone } from './nats-core.ts';

/** How a bus uses NATS. */
export interface NatsBackboneOptions {
  /** A connection of `@nats-io/transport-node`. It stays open when the backbone is closed. */
  readonly connection: NatsConnection;
  /** The function `headers` of the same package. */
  readonly headers: () => NatsHeaders;
  /**
   * Applications with different prefixes on one NATS do not see each other. The stream is `<prefix>-log`, the subjects
   * are `<prefix>.in.>` and `<prefix>.out.>`. @defaultValue `'subwire'`
   */
  readonly prefix?: string | undefined;
  /** How many messages of a topic are kept. @defaultValue 1_000 */
  readonly maxMessages?: number | undefined;
  /** How long a message is kept, in ms; ids of publishers are not remembered for longer. @defaultValue 300_000 */
  readonly maxAge?: number | undefined;
  /** On how many servers of a cluster the stream is kept. @defaultValue 1 */
  readonly replicas?: number | undefined;
  /**
   * A server that ends without a word has its messages of queues taken away after so many ms: others get them.
   *
   * @defaultValue 10_000
   */
  readonly ackWait?: number | undefined;
  /** What keeps time. @defaultValue the clock of this process */
  readonly clock?: Clock | undefined;
}

const optionNames = {
  connection: true,
  headers: true,
  prefix: true,
  maxMessages: true,
  maxAge: true,
  replicas: true,
  ackWait: true,
  clock: true,
} satisfies Record<keyof NatsBackboneOptions, true>;

/** A client that has not begun to connect again within so many ms does not do it by itself. */
const stuckAfter = 1_000;
/** So many bytes of a message of NATS are kept for what goes with a body. */
const headroom = 65_536;
/** What a server takes if it does not say. */
const usualPayload = 1_048_576;
/** A subject that is longer than this many characters could cost the connection. */
const longestSubject = 3_000;

/**
 * A bus over NATS 2.9 or later with JetStream: messages are stored in one stream on disk and republished from there, each
 * with the place of the one before it. The stream is made where there is none.
 *
 * A publish resolves when the stream has the message. One server has it on disk at the latest two minutes later (`sync`
 * of JetStream): it outlives the end of the process, not that of the machine; `replicas: 3` outlives that too.
 *
 * Throws a `TypeError` that names an option that is wrong.
 *
 * @example
 * import { connect, headers } from '@nats-io/transport-node';
 * const connection = await connect({ servers: '127.0.0.1:4222', maxReconnectAttempts: -1 });
 * const bus = createBus({ backbone: natsBackbone({ connection, headers }) });
 */
export function natsBackbone(options: NatsBackboneOptions): Backbone {
  const owner = 'natsBackbone(): ';
  assertOption(
    typeof options === 'object' && options !== null,
    `${owner}options`,
    'an object with a connection',
    options,
  );
  checkNames(options, optionNames, 'natsBackbone()');
  const { connection, headers, prefix = 'subwire', clock = systemClock } = options;
  const given = connection as Partial<NatsConnection> | undefined | null;
  assertOption(
    typeof given?.request === 'function' && typeof given.status === 'function',
    `${owner}connection`,
    'what connect() of @nats-io/transport-node resolves with',
    typeof given?.request === 'function' ? 'something without status()' : connection,
  );
  mustBeFunctions({ headers: headers ?? null }, owner);
  assertOption(
    typeof prefix === 'string' && /^[A-Za-z0-9_-]+$/.test(prefix),
    `${owner}prefix`,
    'made of letters, digits, _ and -',
    prefix,
  );
  const bounds = numberOptions(
    options,
    { maxMessages: 1_000, maxAge: 300_000, replicas: 1, ackWait: 10_000 },
    1,
    owner,
  );
  return new LinkedBackbone(natsBroker(connection, headers, { prefix, ...bounds }, clock), clock);
}

function natsBroker(
  connection: NatsConnection,
  headers: () => NatsHeaders,
  options: ConstructorParameters<typeof NatsLog>[2] & Pick<NatsQueuesHost, 'ackWait'>,
  clock: Clock,
): LinkedBroker {
  const log = new NatsLog(connection, headers, options, clock);
  const { prefix } = options;
  const live = `${prefix}.out.`;
  const maxBody = (connection.info?.max_payload ?? usualPayload) - headroom;
  const beacon = `$beacon/${randomId()}`;
  const beaconSubject = live + subjectOf(beacon, '>');

  function connect(events: LiveEvents): LiveConnection {
    const subscriptions = new Map<string, NatsSubscription>();
    let closed = false;
    let arrivals = 0;
    // A client whose connection is reset while it greets the server may rest there (3.3.1): it is told to go on.
    const stuck = {
      deadline: 0,
      tick(): void {
        this.deadline = never;
        connection.reconnect?.().catch(() => {});
      },
    };

    function received(error: Error | null, message: NatsMessage): void {
      if (error) return;
      const offset = Number(message.headers?.last('Nats-Sequence') || NaN);
      const link = Number(message.headers?.last('Nats-Last-Sequence') || 0);
      if (message.subject === beaconSubject) return events.beacon({ epoch: log.epoch, offset });
      let topic: string;
      try {
        topic = topicOf(message.subject.slice(live.length));
      } catch (wrong) {
        return events.unreadable(message.subject, (wrong as Error).message);
      }
      if (!Number.isSafeInteger(offset)) return events.unreadable(topic, 'it was not written by subwire');
      events.message({ topic, offset, link, epoch: log.epoch, envelope: message.data as Buffer });
    }

    function begin(subject: string): void {
      if (!subscriptions.has(subject))
        subscriptions.set(subject, connection.subscribe(subject, { callback: received }));
    }

    /**
     * The server has seen what was subscribed to when it answers a ping. One that fails says nothing: it may belong to
     * the connection before, and the end of this one is an event of its own.
     */
    function arrived(): void {
      const own = ++arrivals;
      connection.flush().then(
        () => {
          if (!closed && own === arrivals) events.up();
        },
        () => {},
      );
    }

    async function watch(): Promise<void> {
      for await (const { type } of connection.status()) {
        if (closed) return;
        if (type === 'disconnect' || type === 'close') {
          arrivals++;
          stuck.deadline = clock.now() + stuckAfter;
          clock.watch(stuck);
          events.down(new Error('nats: the connection was lost'));
        }
        if (type === 'reconnecting' || type === 'reconnect') clock.forget(stuck);
        if (type === 'reconnect') arrived();
      }
    }

    begin(beaconSubject);
    void watch();
    arrived();
    return {
      async subscribe(names) {
        for (const name of names) begin(live + subjectOf(name, '>'));
        await connection.flush();
      },
      async unsubscribe(names) {
        for (const name of names) {
          const subject = live + subjectOf(name, '>');
          subscriptions.get(subject)?.unsubscribe();
          subscriptions.delete(subject);
        }
      },
      close() {
        closed = true;
        clock.forget(stuck);
        for (const subscription of subscriptions.values()) subscription.unsubscribe();
        subscriptions.clear();
      },
    };
  }

  function check(topic: string, envelope: Uint8Array): void {
    if (envelope.length > maxBody + headroom / 2) {
      throw new BackboneError(
        'tooLarge',
        `nats: a message of ${envelope.length} bytes for "${topic}" with its headers`,
      );
    }
    if (subjectOf(topic, '>').length > longestSubject) {
      throw new BackboneError('tooLarge', `nats: a name of a topic of ${topic.length} characters`);
    }
  }

  return {
    name: 'nats',
    abilities: { ids: true, positions: true, patterns: 'broker', queues: true, history: true, maxBody },
    log,
    connect,
    async beacon() {
      await log.place();
      await log.store(beacon, sealEnvelope(new Uint8Array(), {}), randomId());
    },
    history: () => true,
    check,
    queues: (unreadable) => new NatsQueues({ ...options, connection, headers, clock, check, unreadable }),
  };
}
