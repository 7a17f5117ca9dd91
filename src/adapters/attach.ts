import { type Clock, systemClock, type Timed } from '../core/clock.ts';
import { type AcceptingEndpoint, createEndpoint, type Endpoint } from '../core/endpoint.ts';
import { type EndpointOptions, endpointOptionNames } from '../core/endpoint-options.ts';
import { checkNames, inWords, isRecord, mustBeClock } from '../core/options.ts';
import { createAcceptor } from './acceptor.ts';
import { answer } from './answer.ts';
import { Complaints } from './complaints.ts';
import { createGate, gateRules } from './gate.ts';
import { type GateOptions, gateOptionNames } from './gate-options.ts';
import { readPaths } from './path.ts';
import { processMemory } from './process-memory.ts';
import type { DeflateOptions, HttpServer } from './server-types.ts';
import { mount } from './upgrades.ts';

/** The options of {@link attach}. */
export interface AttachOptions extends EndpointOptions, GateOptions {
  /**
   * The path of this endpoint, without a query. `:name` stands for one segment, which hooks find in
   * `handshake.params`; a slash at the end makes no difference. A path without parameters goes before one with them.
   * A list puts the one endpoint at several paths, with one set of limits, counts and one drain for all of them.
   *
   * @defaultValue `/ws`
   */
  readonly path?: string | readonly string[] | undefined;
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
  ...gateOptionNames,
  path: true,
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
  checkServer(server);
  if (typeof options !== 'object' || options === null)
    throw new TypeError('attach() needs options: { protocols: […] }');
  checkNames(options, optionNames, 'attach()');
  const { path = '/ws', deflate = false, drainOnClose = true } = options;
  mustBeClock(options.clock);
  const { clock = systemClock } = options;
  const patterns = readPaths(path);
  if (typeof deflate !== 'boolean' && !isRecord(deflate)) {
    throw new TypeError(`deflate must be true, false, or the perMessageDeflate options of ws; got ${inWords(deflate)}`);
  }
  if (typeof drainOnClose !== 'boolean')
    throw new TypeError(`drainOnClose must be true or false; got ${inWords(drainOnClose)}`);
  const rules = gateRules(options);
  const endpoint = createEndpoint(options, processMemory());
  const complaints = new Complaints(endpoint.report, clock);
  const accept = createAcceptor(endpoint, deflate, complaints);
  const gate = createGate(endpoint, rules, { accept, answer }, complaints, clock);
  const { report } = endpoint;
  const mounted = patterns.map((each) => ({ path: each, drained: false, upgrade: gate, report, complaints, clock }));
  mount(server, mounted);
  endpoint.onDrained(() => {
    for (const each of mounted) each.drained = true;
  });
  warnOfSlowHeaders(server, endpoint);
  if (drainOnClose) drainWhenClosed(server, endpoint, clock);
  return endpoint;
}

/** Applications of frameworks are taken for servers: an upgrade would never come to them. */
function checkServer(server: Partial<HttpServer> & { readonly listen?: unknown }): void {
  if (typeof server?.on === 'function' && typeof server.listening === 'boolean') return;
  if (typeof server?.listen === 'function') {
    throw new TypeError(
      'attach() needs the http server, not the application: attach(app.listen(4000), …), or attach(app.server, …) with Fastify',
    );
  }
  throw new TypeError(`attach() needs an http or https server as its first argument; got ${inWords(server)}`);
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
  let listened = server.listening;
  // It may be closed before it is looked at for the first time.
  const begun = (): void => {
    listened = true;
  };
  server.on('listening', begun);
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
