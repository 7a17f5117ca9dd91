import type { Bus } from '../../bus/bus.ts';
import { ProtocolError } from '../../core/fault.ts';
import { resolveLimits } from '../../core/limits.ts';
import { checkNames, mustBeFunctions } from '../../core/options.ts';
import { type SlowSubscriber, slowSubscriberOf } from '../../core/slow-subscriber.ts';
import type { Subprotocol } from '../../core/subprotocol.ts';
import { bytesOf } from '../../core/wire.ts';
import { type HeartBeatOptions, heartBeatOf } from '../protocol/heart-beat.ts';
import { createDestinations, defaultPrefixes, type Prefixes } from '../server/destinations.ts';
import { stompFaults } from '../server/faults.ts';
import type { BrokerHooks } from '../server/hooks.ts';
import { Broker, typeOf } from './broker.ts';
import { BrokerSession } from './broker-session.ts';
import { type BrokerLimitOptions, brokerLimits } from './limits.ts';
import type { BrokerStats } from './queues.ts';

export interface StompBrokerOptions extends BrokerHooks {
  /** Where `/topic/<name>` is the topic `<name>`. */
  readonly bus: Bus;
  readonly limits?: BrokerLimitOptions | undefined;
  /** What this side can send and wants to receive, in ms; 0: nothing. Default 10,000 both. */
  readonly heartbeat?: HeartBeatOptions | undefined;
  /** Where each kind of destination begins. */
  readonly prefixes?: { readonly [Name in keyof Prefixes]?: string | undefined } | undefined;
  /**
   * Virtual hosts that a client may name in CONNECT, or who decides: anything but `true` refuses. Default: every name
   * is one of ours.
   */
  readonly hosts?: readonly string[] | ((host: string) => boolean | Promise<boolean>) | undefined;
  /** What happens to messages of topics while a subscriber reads too slowly. Default `disconnect`. */
  readonly slowSubscriber?: SlowSubscriber | undefined;
  /** Where messages go that were put back too often. Default `/queue/dead-letter`. */
  readonly deadLetter?: string | undefined;
  /** The `server` header of CONNECTED. Default `subwire`. */
  readonly server?: string | undefined;
}

const optionNames = {
  bus: true,
  authorize: true,
  onSend: true,
  onSubscribe: true,
  limits: true,
  heartbeat: true,
  prefixes: true,
  hosts: true,
  slowSubscriber: true,
  deadLetter: true,
  server: true,
} as const satisfies Record<keyof StompBrokerOptions, true>;

/** A STOMP broker as a subprotocol: mount it on as many endpoints as you like, they share its queues. */
export interface StompBroker extends Subprotocol {
  /**
   * Send as the application does, without asking `authorize`. Resolves when the bus or the queue has the message.
   * Rejects with a {@link ProtocolError} if the destination is no good or the queue is full.
   */
  send(destination: string, body: string | Uint8Array, options?: StompSendOptions): Promise<void>;
  stats(): BrokerStats;
}

export interface StompSendOptions {
  readonly contentType?: string | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

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
  const { bus, authorize, onSend, onSubscribe, hosts, server = 'subwire' } = options;
  const prefixes = prefixesOf(options.prefixes);
  const destinations = createDestinations(prefixes);
  const { deadLetter = `${prefixes.queue}dead-letter` } = options;
  if (!deadLetter.startsWith(prefixes.queue) || deadLetter === prefixes.queue) {
    throw new TypeError(`deadLetter must be a queue such as "${prefixes.queue}dead-letter"; got "${deadLetter}"`);
  }
  const broker = new Broker({
    bus,
    authorize,
    onSend,
    onSubscribe,
    destinations,
    limits: resolveLimits(brokerLimits, options.limits),
    deadLetter,
    epoch: crypto.randomUUID().slice(0, 8),
  });
  const knowsHost = (host: string): boolean | Promise<boolean> =>
    hosts === undefined || (typeof hosts === 'function' ? hosts(host) : hosts.includes(host));
  const sessionOptions = {
    broker,
    server,
    heartbeat: heartBeatOf('heartbeat', options.heartbeat),
    slowSubscriber: slowSubscriberOf(options.slowSubscriber),
    knowsHost,
  };

  return {
    names: ['v12.stomp', 'v11.stomp', 'v10.stomp', 'stomp'],
    faults: stompFaults,
    acceptsUnnamed: true,
    open: (connection) => new BrokerSession(connection, crypto.randomUUID(), sessionOptions),
    async send(destination, body, { contentType, headers = {} } = {}) {
      await broker.route(destinations.toSend(destination), {
        destination,
        body: bytesOf(body),
        contentType: typeOf({ body, contentType }),
        headers: new Map(Object.entries(headers)),
      });
    },
    stats: () => broker.queues.stats(),
  };
}

function prefixesOf(options: StompBrokerOptions['prefixes'] = {}): Prefixes {
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
        `prefixes.${name} must be the beginning of a destination, such as "/topic/"; got ${String(prefix)}`,
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
  const { authorize, onSend, onSubscribe, hosts, deadLetter, server } = options;
  mustBeFunctions({ authorize, onSend, onSubscribe });
  if (hosts !== undefined && typeof hosts !== 'function' && !Array.isArray(hosts)) {
    throw new TypeError(`hosts must be a list of names or a function; got ${typeof hosts}`);
  }
  for (const [name, text] of Object.entries({ deadLetter, server })) {
    if (text !== undefined && (typeof text !== 'string' || !/^[\x21-\x7e]+$/.test(text))) {
      throw new TypeError(`${name} must be printable ASCII without spaces; got ${String(text)}`);
    }
  }
}
