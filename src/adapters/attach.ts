import { type Clock, systemClock, type Timed } from '../core/clock.ts';
import { type AcceptingEndpoint, createEndpoint, type Endpoint } from '../core/endpoint.ts';
import { type EndpointOptions, endpointOptionNames } from '../core/endpoint-options.ts';
import { checkNames, mustBeFunctions } from '../core/options.ts';
import { createAcceptor } from './acceptor.ts';
import { Complaints } from './complaints.ts';
import { createGate } from './gate.ts';
import { hostCheck, type OriginRule, originCheck } from './origin.ts';
import { readPath } from './path.ts';
import { processMemory } from './process-memory.ts';
import { proxyView } from './proxies.ts';
import type { DeflateOptions, HttpServer, TrustProxy, UpgradeHook } from './server-types.ts';
import { mount } from './upgrades.ts';

/** The options of {@link attach}. */
export interface AttachOptions extends EndpointOptions {
  /**
   * The path of this endpoint, without a query. `:name` stands for one segment, which hooks find in
   * `handshake.params`; a slash at the end makes no difference. A path without parameters goes before one with them.
   *
   * @defaultValue `/ws`
   */
  readonly path?: string | undefined;
  /**
   * Which web pages may connect (RFC 6455 10.2); others get 403, and the first of them is told to `onError`. Programs
   * send no Origin and are let in.
   *
   * @defaultValue `same`: the pages of this host
   */
  readonly origin?: OriginRule | undefined;
  /**
   * Which hosts may be asked for, such as `['app.example', '*.app.example', 'localhost:4000']`; others get 403. With the
   * origin rule `same` this closes DNS rebinding.
   *
   * @defaultValue all
   */
  readonly hosts?: readonly string[] | undefined;
  /**
   * The proxies before this server, whose X-Forwarded-For, -Proto and -Host are believed: how many there are, their
   * networks, or both questions answered by {@link TrustedProxies}. It decides what `handshake.remoteAddress`,
   * `handshake.secure` and the origin rule `same` see.
   *
   * @defaultValue none: these headers are not looked at
   */
  readonly trustProxy?: TrustProxy | undefined;
  /**
   * Called before each upgrade with the request itself, so that sessions, passport and rate limiters work. It may take
   * `hookTimeout` (503 after that). `true` and nothing go on, `false` is 401, `refuse({ code, reason })` is that status
   * with these words, and an object is kept as `handshake.extra`. Anything else, and an error, is reported and is 500.
   *
   * @example
   * upgrade: (request) => limiter.take(request.socket.remoteAddress) || refuse({ code: 429, reason: 'Slow down' })
   */
  readonly upgrade?: UpgradeHook | undefined;
  /**
   * permessage-deflate (RFC 7692): `true`, or the options of `ws`. It costs up to a few hundred KiB of memory for each
   * connection.
   *
   * @defaultValue false
   */
  readonly deflate?: boolean | DeflateOptions | undefined;
  /**
   * Drain by itself when the server was closed: `server.close()` and the shutdown of frameworks wait for connections
   * that nobody else ends. The server is looked at twice a second.
   *
   * @defaultValue true
   */
  readonly drainOnClose?: boolean | undefined;
}

const optionNames = {
  ...endpointOptionNames,
  path: true,
  origin: true,
  hosts: true,
  trustProxy: true,
  upgrade: true,
  deflate: true,
  drainOnClose: true,
} satisfies Record<keyof AttachOptions, true>;

/** How often it is looked whether the server still listens, in ms. */
const lookEvery = 500;

/**
 * Put an endpoint on an http, https or http2 server; over HTTP/2 a WebSocket is a stream (RFC 8441). Several endpoints and other
 * people's upgrade listeners live together on one server: a path that is none of ours is left alone where others
 * listen, and gets 404 where nobody does. A plain GET on the path gets 426 where the server has no handler of requests.
 *
 * Throws a `TypeError` that names the option when one is wrong, when the path is taken, or when the package `ws` is not
 * installed.
 *
 * @example
 * const endpoint = attach(http, { path: '/ws', protocols: [graphqlServer({ schema }), stompBroker({ bus })] });
 * process.once('SIGTERM', () => endpoint.drain({ deadline: 30_000 }));
 */
export function attach(server: HttpServer, options: AttachOptions): Endpoint {
  if (typeof server?.on !== 'function')
    throw new TypeError('attach() needs an http or https server as its first argument');
  if (typeof options !== 'object' || options === null)
    throw new TypeError('attach() needs options: { protocols: […] }');
  checkNames(options, optionNames, 'attach()');
  const { path = '/ws', origin = 'same', hosts, trustProxy, upgrade, deflate = false, drainOnClose = true } = options;
  const { clock = systemClock } = options;
  const pattern = readPath(path);
  if (typeof deflate !== 'boolean' && (typeof deflate !== 'object' || deflate === null)) {
    throw new TypeError(`deflate must be true, false, or the perMessageDeflate options of ws; got ${String(deflate)}`);
  }
  if (typeof drainOnClose !== 'boolean')
    throw new TypeError(`drainOnClose must be true or false; got ${String(drainOnClose)}`);
  mustBeFunctions({ upgrade });
  const rules = {
    allows: originCheck(origin),
    origin,
    serves: hostCheck(hosts),
    look: proxyView(trustProxy),
    hook: upgrade,
  };
  const endpoint = createEndpoint(options, processMemory());
  const complaints = new Complaints(endpoint.report, clock);
  const gate = createGate(endpoint, rules, createAcceptor(endpoint, deflate, complaints), complaints, clock);
  const mounted = { path: pattern, drained: false, upgrade: gate, report: endpoint.report, complaints };
  mount(server, mounted);
  endpoint.onDrained(() => {
    mounted.drained = true;
  });
  warnOfSlowHeaders(server, endpoint);
  if (drainOnClose) drainWhenClosed(server, endpoint, clock);
  return endpoint;
}

const warned = new WeakSet<HttpServer>();

/** Until the upgrade only Node's `headersTimeout` ends a peer that sends its request a byte at a time. */
function warnOfSlowHeaders(
  server: HttpServer & { readonly headersTimeout?: unknown },
  { report }: AcceptingEndpoint,
): void {
  if (server.headersTimeout !== 0 || warned.has(server)) return;
  warned.add(server);
  report(
    new Error('headersTimeout of the server is 0: a peer may take for ever to send its request. Node sets 60,000 (ms)'),
  );
}

/** A server that listened and listens no more is being closed, and its `close` waits for our connections ([CONN-79]). */
function drainWhenClosed(server: HttpServer, endpoint: AcceptingEndpoint, clock: Clock): void {
  let listened = false;
  const look: Timed & { deadline: number } = {
    deadline: clock.now() + lookEvery,
    tick(now) {
      look.deadline = now + lookEvery;
      if (server.listening) listened = true;
      else if (listened) {
        clock.forget(look);
        endpoint.drain().catch(endpoint.report);
      }
    },
  };
  clock.watch(look);
  endpoint.onDrained(() => clock.forget(look));
}
