import { tcp } from '#tcp';
import { retryHint } from '../../core/backoff.ts';
import { type Clock, systemClock } from '../../core/clock.ts';
import { connectionLimits, type LimitOptions, resolveLimits } from '../../core/limits.ts';
import { createListeners } from '../../core/listeners.ts';
import { assertOption, checkNames, inWords, mustBeFunctions } from '../../core/options.ts';
import type { Transport } from '../../core/socket.ts';
import type { Subprotocol } from '../../core/subprotocol.ts';
import { type HeartBeatOptions, heartBeatOf } from '../protocol/heart-beat.ts';
import { connectionsByUser, subscriptionsByDestination } from '../server/client-counts.ts';
import type { DestinationHandler, HandlesDestinations } from '../server/destination-handler.ts';
import { relayedRoute } from '../server/destinations.ts';
import type { AuthorizeRequest, BrokerHooks } from '../server/hooks.ts';
import { createStompServer } from '../server/stomp-server.ts';
import { Availability, type AvailabilityListener, type BrokerAddresses } from './availability.ts';
import { type ConnectHeaders, type ConnectRequest, connectHeadersOf } from './connect-headers.ts';
import { type RelayLimits, relayLimits } from './limits.ts';
import { RelayClient, type RelayClientOptions } from './relay-client.ts';
import { SystemConnection, type SystemLogin } from './system-connection.ts';
import { Upstream } from './upstream.ts';

/** Clients that lose their broker come back spread over so many ms, or 1 ms for each of them. */
const retryWithin = 5_000;

/** Where a broker is: `stomp://rabbit:61613`, `stomps://…` over TLS, or a transport such as `tcp({ host, port, tls })`. */
export type BrokerAddress = string | Transport;

/** What `stompRelay` takes. */
export interface StompRelayOptions
  extends Pick<BrokerHooks, 'rewrite' | 'onConnect' | 'onDisconnect' | 'onSubscribed' | 'onUnsubscribed' | 'onFrame'> {
  /** The broker, or several addresses of it that are tried in turn; clients begin with the one that answered last. */
  readonly broker: BrokerAddress | readonly BrokerAddress[];
  /**
   * Log every client in at the broker as this; what clients show is then for `authenticate` alone and never goes on.
   * Absent: the broker gets the client's own login and passcode, and decides.
   */
  readonly login?: string | undefined;
  readonly passcode?: string | undefined;
  /**
   * Who this server is at the broker when the application sends by itself, by `send()` of a broker that has this relay or
   * as an answer of `onSend`; `{}` shows no login.
   *
   * @defaultValue `login` and `passcode`, where they are given; else nothing can be sent
   */
  readonly system?: SystemLogin | undefined;
  /**
   * The virtual host, whatever clients name.
   *
   * @defaultValue `/`, which is RabbitMQ's own
   */
  readonly host?: string | undefined;
  /**
   * May this client do that? Asked for each SEND and SUBSCRIBE; anything but `true` refuses. Absent: all is allowed.
   * Destinations come percent-decoded, as RabbitMQ reads them, and as the client wrote them in `rawDestination`.
   * Brokers read more into them than a prefix: wildcards, and with ActiveMQ options behind `?` and several joined by
   * commas; and a header may name another queue (`x-queue-name` of RabbitMQ). Allow whole names that you know, rather
   * than forbid some.
   */
  readonly authorize?: ((request: AuthorizeRequest) => boolean | Promise<boolean>) | undefined;
  /**
   * Headers of CONNECT that go on to the broker beside login and passcode, such as `client-id` of ActiveMQ, by which
   * durable subscriptions are known: a list of names, or a function that chooses what the broker hears, whatever the
   * client said. What it throws ends the connection as a bug of the application.
   *
   * @defaultValue none
   * @example
   * connectHeaders: ({ principal }) => ({ 'client-id': principal?.name })
   */
  readonly connectHeaders?: readonly string[] | ((request: ConnectRequest) => ConnectHeaders) | undefined;
  /**
   * What this side can send to clients and wants to receive from them, in ms; 0: nothing.
   *
   * @defaultValue `{ outgoing: 10_000, incoming: 10_000 }`
   */
  readonly heartbeat?: HeartBeatOptions | undefined;
  /**
   * The same towards the broker.
   *
   * @defaultValue `{ outgoing: 10_000, incoming: 10_000 }`
   */
  readonly brokerHeartbeat?: HeartBeatOptions | undefined;
  /** Limits of each client. */
  readonly limits?: LimitOptions<typeof relayLimits> | undefined;
  /** Limits of each connection to the broker: `maxPayload` is the largest body that it may send, by default 16 MiB. */
  readonly brokerLimits?: LimitOptions<typeof connectionLimits> | undefined;
  /**
   * How long one address may take to open, and then to say CONNECTED, in ms.
   *
   * @defaultValue 5_000
   */
  readonly connectTimeout?: number | undefined;
  /**
   * Errors that are no client's fault, such as a broker that refuses `login`.
   *
   * @defaultValue `console.error`
   */
  readonly onError?: ((error: unknown) => void) | undefined;
  /** End the connection of every SEND that `authorize` refuses, also of one that asked for no receipt. @defaultValue `false` */
  readonly strict?: boolean | undefined;
  /** Pass over UNSUBSCRIBE of an id that is not open, ACK or NACK of what does not wait, and beats of who answers pings. @defaultValue `false` */
  readonly spring?: boolean | undefined;
  /** @internal */
  readonly clock?: Clock | undefined;
}

/** How a relay stands: numbers of now, and since it was made. */
export interface RelayStats {
  /** Clients that are connected, each with a connection to the broker. */
  readonly clients: number;
  /** Clients that were let in since the start. */
  readonly accepted: number;
  /** SENDs that were refused and dropped. */
  readonly refused: number;
  /** Subscriptions by destination, as clients wrote it. This and the one that follows are counted when they are read. */
  readonly byDestination: ReadonlyMap<string, number>;
  /** Connections by the name of their principal. */
  readonly byUser: ReadonlyMap<string, number>;
}

/** A relay to a STOMP broker, as a subprotocol, or as a part of an embedded broker by its option `relay`. */
export interface StompRelay extends Subprotocol, HandlesDestinations {
  /** Limits of its clients as they hold, defaults filled in: see spec-notes/limits.md. */
  readonly limits: RelayLimits;
  /** Did the broker answer when it was last tried? Undefined: it was not tried yet. */
  readonly available: boolean | undefined;
  /** How the relay stands. */
  stats(): RelayStats;
  /**
   * Hear when the broker goes away and when it is back. A relay without listeners and clients does not look; the first
   * listener makes it. Returns how to stop.
   */
  on(event: 'availability', listener: AvailabilityListener): () => void;
}

/**
 * STOMP clients of this endpoint, on to a broker such as RabbitMQ or ActiveMQ: one connection to the broker for each,
 * opened once `authenticate` let the client in, and closed with it. Frames are checked on the way, so that clients see
 * the rules of STOMP kept where the broker bends them.
 *
 * Clients get an ERROR and 1013 with a hint when to come back while the broker is away; an ERROR of the broker goes on
 * to them and ends the connection: 1008 if it denies access, 1013 if the broker goes down, else 1002.
 *
 * Throws a `TypeError` that names the option when one is wrong.
 *
 * @example
 * const relay = stompRelay({ broker: 'stomp://rabbit:61613', login: 'web', passcode: secret });
 * relay.on('availability', (available) => console.log('broker', available ? 'up' : 'down'));
 * const endpoint = attach(http, { authenticate, protocols: [relay] });
 */
export function stompRelay(options: StompRelayOptions): StompRelay {
  checkOptions(options);
  const { login, passcode, host = '/', authorize, clock = systemClock, connectTimeout = 5_000 } = options;
  const { rewrite, onConnect, onDisconnect, onSubscribed, onUnsubscribed, onFrame } = options;
  const { report } = createListeners(options.onError ?? ((error) => console.error('subwire:', error)));
  const addresses: BrokerAddresses = {
    names: [options.broker].flat().map((each, place) => (typeof each === 'string' ? each : `broker[${place}]`)),
    transports: [options.broker]
      .flat()
      .map((each) => (typeof each === 'string' ? transportOf(each) : each)) as Transport[],
    clock,
    limits: resolveLimits(connectionLimits, { maxPayload: 16_777_216, ...options.brokerLimits }),
    connectTimeout,
    report,
  };
  const availability = new Availability(addresses);
  const clients = new Set<RelayClient>();
  let accepted = 0;
  const upstream = {
    ...addresses,
    availability,
    heartbeat: heartBeatOf('brokerHeartbeat', options.brokerHeartbeat),
    host,
    login,
    passcode,
    connectHeaders: connectHeadersOf(options.connectHeaders),
    unavailable: () => `The broker is not available${retryHint(Math.max(retryWithin, clients.size))}`,
  };
  const own = new SystemConnection({
    ...upstream,
    system: options.system ?? (login === undefined ? undefined : { login, passcode }),
  });
  const clientOptions: RelayClientOptions = {
    limits: resolveLimits(relayLimits, options.limits),
    dial(client, headers) {
      // Nobody waits for a broker that is known to be away: it is looked at already.
      if (availability.available === false) {
        client.brokerLost(upstream.unavailable());
        return undefined;
      }
      const link = new Upstream(client, headers, upstream);
      link.start();
      return link;
    },
    ended: (client) => void clients.delete(client),
  };
  const handler: DestinationHandler = {
    open(client, headers) {
      const relayed = new RelayClient(client, clientOptions);
      clients.add(relayed);
      accepted++;
      relayed.start(headers);
      return relayed;
    },
    publish: (message) => own.publish(message),
    dispose() {
      availability.dispose();
      own.dispose();
    },
  };
  const stomp = createStompServer({
    limits: clientOptions.limits,
    heartbeat: heartBeatOf('heartbeat', options.heartbeat),
    hooks: { authorize, rewrite, onConnect, onDisconnect, onSubscribed, onUnsubscribed, onFrame },
    strict: options.strict === true,
    tolerant: options.spring === true,
    handlers: [handler],
    relayed: [],
    route: (_command, destination) => relayedRoute(0, destination),
    // Without the application's word the broker decides.
    permitted: () => (authorize === undefined ? undefined : ''),
    server: undefined,
    knowsHost: () => true,
  });

  return {
    ...stomp,
    limits: clientOptions.limits,
    handler,
    get available() {
      return availability.available;
    },
    stats: () => ({
      clients: clients.size,
      accepted,
      refused: stomp.refusedSends(),
      get byDestination() {
        return subscriptionsByDestination(clients);
      },
      get byUser() {
        return connectionsByUser(clients);
      },
    }),
    on(event, listener) {
      if (event !== 'availability')
        throw new TypeError(`on(): there is no event "${String(event)}"; there is availability`);
      return availability.on(listener);
    },
  };
}

function transportOf(address: string): Transport {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  const plain = url?.protocol === 'stomp:';
  if (!url || (!plain && url.protocol !== 'stomps:') || url.hostname === '' || !['', '/'].includes(url.pathname)) {
    throw new TypeError(
      `broker must be an address such as stomp://rabbit:61613 or stomps://rabbit:61614; got "${address}"`,
    );
  }
  if (url.username !== '' || url.password !== '') {
    throw new TypeError('broker must not carry credentials; give them as login and passcode');
  }
  // Brackets belong to the address of a URL, not to that of a socket.
  const host = url.hostname.replace(/^\[|\]$/g, '');
  return tcp({ host, port: Number(url.port || (plain ? 61_613 : 61_614)), tls: !plain });
}

const optionNames = {
  broker: true,
  login: true,
  passcode: true,
  system: true,
  host: true,
  authorize: true,
  connectHeaders: true,
  rewrite: true,
  onConnect: true,
  onDisconnect: true,
  onSubscribed: true,
  onUnsubscribed: true,
  onFrame: true,
  strict: true,
  spring: true,
  heartbeat: true,
  brokerHeartbeat: true,
  limits: true,
  brokerLimits: true,
  connectTimeout: true,
  onError: true,
  clock: true,
} satisfies Record<keyof StompRelayOptions, true>;

function checkOptions(options: StompRelayOptions): void {
  checkNames(options ?? {}, optionNames, 'stompRelay()');
  const { broker, login, passcode, system = {}, host, authorize, onError, connectTimeout = 1 } = options ?? {};
  const all = [broker].flat();
  if (all.length === 0 || !all.every((each) => typeof each === 'string' || typeof each === 'function')) {
    throw new TypeError('broker must be an address such as "stomp://rabbit:61613", a transport, or a list of them');
  }
  assertOption(typeof system === 'object' && system !== null, 'system', '{ login, passcode }', system);
  checkNames(system, { login: true, passcode: true }, 'system');
  const systemTexts = { 'system.login': system.login, 'system.passcode': system.passcode };
  for (const [name, text] of Object.entries({ login, passcode, host, ...systemTexts })) {
    // CONNECT knows no escapes ([STOMP-18]).
    if (text !== undefined && (typeof text !== 'string' || /[\r\n\0]/.test(text))) {
      throw new TypeError(`${name} must be text without CR, LF and NUL`);
    }
  }
  if (passcode !== undefined && login === undefined) throw new TypeError('passcode needs a login beside it');
  mustBeFunctions({ authorize, onError });
  const { rewrite, onConnect, onDisconnect, onSubscribed, onUnsubscribed, onFrame } = options;
  mustBeFunctions({ rewrite, onConnect, onDisconnect, onSubscribed, onUnsubscribed, onFrame });
  if (!(typeof connectTimeout === 'number' && connectTimeout > 0)) {
    throw new TypeError(`connectTimeout must be a number of ms above 0; got ${inWords(connectTimeout)}`);
  }
}
