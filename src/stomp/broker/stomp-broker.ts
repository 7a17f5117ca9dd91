import type { Bus } from '../../bus/bus.ts';
import { isEmbedded } from '../../bus/memory-backbone.ts';
import { type Clock, systemClock } from '../../core/clock.ts';
import { ProtocolError } from '../../core/fault.ts';
import { resolveLimits } from '../../core/limits.ts';
import { assertOption, checkNames, inWords, mustBeClock, mustBeFunctions, mustBeRecord } from '../../core/options.ts';
import { type SlowSubscriber, slowSubscriberOf } from '../../core/slow-subscriber.ts';
import type { Subprotocol } from '../../core/subprotocol.ts';
import { shorten } from '../protocol/frame-fields.ts';
import { brokerHeader } from '../protocol/headers.ts';
import { type HeartBeatOptions, heartBeatOf } from '../protocol/heart-beat.ts';
import { checkedMessage, type HeaderValue, nameOf } from '../server/checked-message.ts';
import { connectionsByUser, subscriptionsByDestination } from '../server/client-counts.ts';
import type { HandlerClient, HandlesDestinations } from '../server/destination-handler.ts';
import {
  claimedPrefixes,
  createDestinations,
  defaultPrefixes,
  isUserTopic,
  type Prefixes,
} from '../server/destinations.ts';
import type { BrokerHooks } from '../server/hooks.ts';
import { createStompServer } from '../server/stomp-server.ts';
import { Broker } from './broker.ts';
import { brokerHandler } from './broker-client.ts';
import { permittedBy, protocol } from './default-permission.ts';
import { type BrokerLimitOptions, type BrokerLimits, brokerLimits } from './limits.ts';
import { type OpenQueues, QueueAccess } from './queue-access.ts';
import type { QueueStats, QueueTotals } from './queues.ts';

/** What `stompBroker` takes. */
export interface StompBrokerOptions extends BrokerHooks {
  /** Where `/topic/<name>` is the topic `<name>`. */
  readonly bus: Bus;
  /** Limits of each connection, and of what is kept for all: see spec-notes/limits.md. */
  readonly limits?: BrokerLimitOptions | undefined;
  /**
   * What this side can send and wants to receive, in ms; 0: nothing.
   *
   * @defaultValue `{ outgoing: 10_000, incoming: 10_000 }`
   */
  readonly heartbeat?: HeartBeatOptions | undefined;
  /** Where each kind of destination begins. */
  readonly prefixes?: { readonly [Name in keyof Prefixes]?: string | undefined } | undefined;
  /**
   * Virtual hosts that a client may name in CONNECT, or who decides: anything but `true` refuses.
   *
   * @defaultValue every name is one of ours
   */
  readonly hosts?: readonly string[] | ((host: string) => boolean | Promise<boolean>) | undefined;
  /**
   * What happens to messages of topics while a subscriber reads too slowly.
   *
   * @defaultValue `'disconnect'`
   */
  readonly slowSubscriber?: SlowSubscriber | undefined;
  /**
   * Where messages go that were put back too often.
   *
   * @defaultValue `'/queue/dead-letter'`
   */
  readonly deadLetter?: string | undefined;
  /**
   * The `server` header of CONNECTED.
   *
   * @defaultValue `'subwire'`
   */
  readonly server?: string | undefined;
  /**
   * Queues that clients may use without a word of `authorize`, by name or family: `{ '/queue/orders.*': 'write' }`, or
   * `true` for all of them. Own temporary queues are always open, the dead-letter queue never is. Topics are opened by
   * the bus.
   *
   * @defaultValue nothing: a queue is closed unless `authorize` answers `true`
   */
  readonly open?: OpenQueues | undefined;
  /**
   * `'local'`: queues live in this process, also where the bus reaches other servers, each of which then has queues of
   * its own: what is sent to one server is not seen by consumers of another. Without it `/queue/` is refused beside a
   * backbone that reaches other servers, unless the backbone has queues that all of them share.
   *
   * `'fanout'`: as Spring's simple broker has it, everybody who subscribed to a queue gets a copy, and nothing is kept for
   * those who are not there: a queue is a topic by another name, which goes as far as the bus does.
   *
   * @defaultValue `'fanout'` with `spring`; else queues have competing consumers, and are those of the backbone, or of this
   * process where the bus lives in it alone
   */
  readonly queues?: 'local' | 'fanout' | undefined;
  /**
   * Brokers behind this server, by what their destinations begin with: `{ '/queue': stompRelay({ broker }) }` leaves
   * `/queue` and all below it to that broker, and the rest here. A client is let in when all of them have let it in.
   */
  readonly relay?: Readonly<Record<string, HandlesDestinations>> | undefined;
  /**
   * End the connection of every SEND that is refused, as the specification asks for. Else one that asked for no receipt is
   * dropped, since nothing was promised: its connection lives, and its sender hears of it at the `reply-to`, or at
   * `/user/queue/errors`, if it listens there.
   *
   * @defaultValue `false`
   */
  readonly strict?: boolean | undefined;
  /**
   * As patient as Spring's broker, which stompjs is used to: UNSUBSCRIBE of an id that is not open and an ACK or NACK of
   * what does not wait for one are passed over, where the specification lets a server end the connection; and a peer that
   * answers WebSocket pings is there, though a hidden tab sends its heart-beats once a minute. Queues fan out (`queues`).
   *
   * @defaultValue `false`
   */
  readonly spring?: boolean | undefined;
  /** @internal */
  readonly clock?: Clock | undefined;
}

const optionNames = {
  bus: true,
  authorize: true,
  onSend: true,
  onSubscribe: true,
  rewrite: true,
  onConnect: true,
  onDisconnect: true,
  onSubscribed: true,
  onUnsubscribed: true,
  onFrame: true,
  strict: true,
  spring: true,
  limits: true,
  heartbeat: true,
  prefixes: true,
  hosts: true,
  slowSubscriber: true,
  deadLetter: true,
  server: true,
  open: true,
  queues: true,
  relay: true,
  clock: true,
} as const satisfies Record<keyof StompBrokerOptions, true>;

/** How a broker stands. */
export interface StompStats extends QueueTotals {
  /** SENDs that were refused and dropped. Those that ended their connection count among the endpoint's faults. */
  readonly refused: number;
  /** How often a subscription was told that messages of its topic may have been lost on the bus. */
  readonly gaps: number;
  /** Subscriptions by destination, as clients wrote it. This and the two that follow are counted when they are read. */
  readonly byDestination: ReadonlyMap<string, number>;
  /** Queues by destination. */
  readonly byQueue: ReadonlyMap<string, QueueStats>;
  /** Connections by the name of their principal. */
  readonly byUser: ReadonlyMap<string, number>;
}

/** A STOMP broker as a subprotocol: mount it on as many endpoints as you like, they share its queues. */
export interface StompBroker extends Subprotocol {
  /** Its limits as they hold, defaults filled in: see spec-notes/limits.md. */
  readonly limits: BrokerLimits;
  /**
   * Send as the application does, without asking `authorize`. Resolves when the bus or the queue has the message.
   * Rejects with a {@link ProtocolError} if the destination is no good or the queue is full.
   */
  send(destination: string, body: string | Uint8Array, options?: StompSendOptions): Promise<void>;
  /** What its queues hold, and what became of messages. */
  stats(): StompStats;
}

/** What `send` takes beside the body. */
export interface StompSendOptions {
  /** The MIME type of the body. @defaultValue `text/plain;charset=utf-8` for text */
  readonly contentType?: string | undefined;
  /** Numbers and booleans are sent as text; `undefined` leaves the header out. */
  readonly headers?: Readonly<Record<string, HeaderValue>> | undefined;
  /**
   * The only connection of a user that gets it, such as one of several tabs: the `session` that hooks see. For destinations
   * of users only; when that connection is gone nobody gets it.
   *
   * @example
   * await stomp.send('/user/ann/queue/replies', 'for this tab', { session });
   */
  readonly session?: string | undefined;
}

const sendOptionNames = { contentType: true, headers: true, session: true } satisfies Record<
  keyof StompSendOptions,
  true
>;

/**
 * STOMP 1.0, 1.1 and 1.2 for an endpoint: topics over the bus, queues with acknowledgements, temporary reply queues,
 * user destinations and transactions. Queues live in this process; topics go as far as the bus does.
 *
 * Acknowledgements of topic messages are checked and pace the delivery, but nothing of a topic is delivered twice.
 *
 * Throws a `TypeError` that names the option when one is wrong.
 *
 * @example
 * const endpoint = attach(http, { protocols: [stompBroker({ bus: createBus() })] });
 */
export function stompBroker(options: StompBrokerOptions): StompBroker {
  checkOptions(options);
  const { bus, hosts, server = 'subwire' } = options;
  const prefixes = prefixesOf(options.prefixes);
  const limits = resolveLimits(brokerLimits, options.limits);
  const queueKind = options.queues ?? (options.spring ? 'fanout' : undefined);
  const destinations = createDestinations(prefixes, queueKind === 'fanout');
  const { deadLetter = `${prefixes.queue}dead-letter` } = options;
  if (!deadLetter.startsWith(prefixes.queue) || deadLetter === prefixes.queue) {
    throw new TypeError(`deadLetter must be a queue such as "${prefixes.queue}dead-letter"; got "${deadLetter}"`);
  }
  const queueAccess = new QueueAccess(options.open, prefixes.queue, deadLetter);
  const shared = options.queues === 'local' ? undefined : bus.backbone.queues;
  const hasQueues = options.queues === 'local' || shared !== undefined || isEmbedded(bus.backbone);
  const broker = new Broker({
    bus,
    shared,
    destinations,
    limits,
    slowSubscriber: slowSubscriberOf(options.slowSubscriber),
    deadLetter,
    clock: options.clock ?? systemClock,
    epoch: crypto.randomUUID().slice(0, 8),
  });
  for (const prefix of claimedPrefixes) bus.claim(prefix, protocol);
  const relayed = Object.entries(options.relay ?? {}).sort(([one], [other]) => other.length - one.length);
  const stomp = createStompServer({
    limits,
    heartbeat: heartBeatOf('heartbeat', options.heartbeat),
    hooks: options,
    strict: options.strict === true,
    tolerant: options.spring === true,
    handlers: [...relayed.map(([, { handler }]) => handler), brokerHandler(broker)],
    relayed: relayed.map(([prefix]) => prefix),
    route(command, destination, client) {
      const route =
        command === 'SUBSCRIBE' && client
          ? destinations.toSubscribe(destination, client)
          : destinations.toSend(destination);
      if (route.kind === 'queue' && !hasQueues) refuseQueue(destination, client);
      return route;
    },
    permitted: permittedBy(bus, queueAccess, prefixes.queue),
    server,
    knowsHost: (host) => hosts === undefined || (typeof hosts === 'function' ? hosts(host) : hosts.includes(host)),
  });

  return {
    ...stomp,
    limits,
    async send(destination, body, sendOptions = {}) {
      const message = checkedSend(destination, body, sendOptions);
      const route = stomp.route('SEND', destination, undefined);
      const { session } = sendOptions;
      if (session === undefined) return void (await stomp.publish({ destination, route, ...message }));
      const isUsers = route.kind === 'topic' && isUserTopic(route.topic);
      assertOption(typeof session === 'string' && session !== '', 'session', 'the session of a client', session);
      assertOption(isUsers, 'session', `absent but for ${prefixes.user}<name>/…`, session);
      const headers = new Map([...(message.headers ?? []), [brokerHeader.forSession, session] as const]);
      await stomp.publish({ destination, route, ...message, headers });
    },
    stats: () => ({
      ...totalsOf(broker),
      refused: stomp.refusedSends(),
      gaps: broker.gaps,
      get byDestination() {
        return subscriptionsByDestination(broker.clients);
      },
      get byQueue() {
        return broker.remote?.each() ?? broker.queues.each();
      },
      get byUser() {
        return connectionsByUser(broker.clients);
      },
    }),
  };
}

/** What all queues hold; of those that all servers share, what this one did. */
function totalsOf({ queues, remote }: Broker): QueueTotals {
  const totals = queues.stats();
  return remote ? { ...totals, deadLettered: remote.deadLettered, expired: remote.expired } : totals;
}

/**
 * Behind a load balancer queues that each server has for itself would swallow messages without a word ([CLUSTER-3]). The
 * application hears of it, because it is its to mend.
 */
function refuseQueue(destination: string, client: HandlerClient | undefined): never {
  const words = 'the bus reaches other servers, and queues of this one would be its own';
  const advice =
    "stompBroker({ queues: 'local' }) has them all the same, relay: { '/queue': stompRelay(…) } shares them";
  client?.connection.report(new Error(`"${shorten(destination)}" was refused: ${words}: ${advice}`));
  throw new ProtocolError('forbidden', `no queues here: ${words}`);
}

/** What `send` was called with. Throws a `TypeError` that names the argument ([STOMP-81]). */
function checkedSend(destination: unknown, body: unknown, options: unknown) {
  if (typeof destination !== 'string' || destination === '') {
    throw new TypeError(`send() needs a destination such as "/topic/a"; got ${nameOf(destination)}`);
  }
  if (typeof options !== 'object' || options === null) {
    throw new TypeError(
      `send("${destination}"): options must be an object such as { headers }; got ${nameOf(options)}`,
    );
  }
  checkNames(options, sendOptionNames, `send("${destination}")`);
  return checkedMessage(`send("${destination}")`, { body, ...options });
}

function prefixesOf(options: StompBrokerOptions['prefixes'] = {}): Prefixes {
  mustBeRecord(options, 'prefixes', 'an object such as { topic: "/topic/" }');
  const prefixes: Record<string, string> = { ...defaultPrefixes };
  for (const [name, prefix] of Object.entries(options)) {
    if (!(name in defaultPrefixes)) {
      throw new TypeError(
        `prefixes.${name} is no kind of destination. There are: ${Object.keys(defaultPrefixes).join(', ')}`,
      );
    }
    if (prefix === undefined) continue;
    if (typeof prefix !== 'string' || prefix === '') {
      throw new TypeError(
        `prefixes.${name} must be the beginning of a destination, such as "/topic/"; got ${inWords(prefix)}`,
      );
    }
    prefixes[name] = prefix;
  }
  const all = Object.entries(prefixes);
  for (const [name, prefix] of all) {
    const other = all.find(([each, longer]) => each !== name && longer.startsWith(prefix));
    if (other) throw new TypeError(`prefixes.${name} "${prefix}" also begins prefixes.${other[0]} "${other[1]}"`);
  }
  return prefixes as unknown as Prefixes;
}

function checkOptions(options: StompBrokerOptions): void {
  if (typeof options?.bus?.listen !== 'function') {
    throw new TypeError('stompBroker() needs a bus, such as stompBroker({ bus: createBus() })');
  }
  checkNames(options, optionNames, 'stompBroker()');
  const { authorize, onSend, onSubscribe, rewrite, onConnect, onDisconnect, hosts, deadLetter, server } = options;
  mustBeFunctions({ authorize, onSend, onSubscribe, rewrite, onConnect, onDisconnect });
  mustBeFunctions({
    onSubscribed: options.onSubscribed,
    onUnsubscribed: options.onUnsubscribed,
    onFrame: options.onFrame,
  });
  for (const [name, value] of Object.entries({ strict: options.strict, spring: options.spring })) {
    assertOption(value === undefined || typeof value === 'boolean', name, 'true or false', value);
  }
  assertOption(
    [undefined, 'local', 'fanout'].includes(options.queues),
    'queues',
    "'local' or 'fanout'",
    options.queues,
  );
  mustBeClock(options.clock, 'stompBroker(): ');
  checkRelay(options.relay);
  if (hosts !== undefined && typeof hosts !== 'function' && !Array.isArray(hosts)) {
    throw new TypeError(`hosts must be a list of names or a function; got ${typeof hosts}`);
  }
  for (const [name, text] of Object.entries({ deadLetter, server })) {
    if (text !== undefined && (typeof text !== 'string' || !/^[\x21-\x7e]+$/.test(text))) {
      throw new TypeError(`${name} must be printable ASCII without spaces; got ${inWords(text)}`);
    }
  }
}

function checkRelay(relay: StompBrokerOptions['relay'] = {}): void {
  mustBeRecord(relay, 'relay', 'an object such as { "/queue": stompRelay({ broker }) }');
  for (const [prefix, given] of Object.entries(relay)) {
    if (prefix === '' || prefix.endsWith('/')) {
      throw new TypeError(`relay["${prefix}"]: a prefix such as "/queue", without a slash at its end`);
    }
    if (typeof (given as Partial<HandlesDestinations> | undefined)?.handler?.open !== 'function') {
      throw new TypeError(`relay["${prefix}"] must be a stompRelay({ broker }); got ${nameOf(given)}`);
    }
  }
}
