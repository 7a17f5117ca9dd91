import { type Backbone, BackboneError } from '../bus/backbone.ts';
import { type Clock, systemClock } from '../core/clock.ts';
import { assertOption, checkNames } from '../core/options.ts';
import { createStompClient, type StompClientOptions } from '../stomp/client/client.ts';
import { PlainBackbone, type PlainBroker, type PlainConnection, type PlainEvents } from './plain-backbone.ts';
import { StompQueues } from './stomp-queues.ts';
import { subjectOf } from './subjects.ts';

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
  return new PlainBackbone(stompRoutes(broker, client, prefix, clock), clock);
}

/** What a broker of STOMP is for a backbone. */
function stompRoutes(
  broker: 'rabbitmq' | 'activemq',
  options: StompClientOptions,
  prefix: string,
  clock: Clock,
): PlainBroker {
  const root = `/topic/${prefix}.`;
  const longest = longestSubject[broker];
  // Two beats of 5 s are missed within 15 s.
  const beats = { heartbeatIncoming: 5_000, heartbeatOutgoing: 5_000 };
  const patience = { backoff: { base: 200, cap: 2_000 }, maxQueued: 100_000, warn: false };
  let failed: (error: unknown) => void = () => {};
  const client = createStompClient({ ...beats, ...patience, ...options, onError: (error) => failed(error) });

  function connect(events: PlainEvents): PlainConnection {
    failed = (error) => events.failed(error);
    client.on('connected', () => events.connected());
    client.on('closed', ({ message, cause }) => events.lost(cause ?? message));
    // A connection that nobody has asked for yet: it is there when it is wanted. What goes wrong is said by the events.
    client.connect().catch(() => {});
    return {
      // The client asks for it again after each reconnect.
      subscribe: (name) =>
        client.subscribe(root + subjectOf(name, restOf[broker]), ({ destination, bytes }) =>
          events.message(destination.slice(root.length), bytes),
        ),
      // Brokers work off the frames of a connection in their order.
      fence: () => client.publish({ destination: `${root}-fence`, receipt: true }),
      send: (messages) =>
        Promise.all(
          messages.map(({ topic, envelope }) =>
            client.publish({
              destination: root + subjectOf(topic, '#'),
              body: envelope,
              headers: { 'content-type': 'application/octet-stream' },
              receipt: true,
            }),
          ),
        ),
      close: () => client.dispose(),
    };
  }

  return {
    name: 'stomp',
    abilities: { ids: true, positions: false, patterns: 'broker', queues: true, history: false, maxBody },
    connect,
    check(topic) {
      if (root.length + subjectOf(topic, '#').length <= longest) return;
      throw new BackboneError('tooLarge', `stomp: the topic "${topic}" makes a key of more than ${longest} bytes`);
    },
    queues: ({ count, up, unreadable }) =>
      new StompQueues({ broker, prefix, client, clock, maxBody, longest, connection: count, up, unreadable }),
  };
}
