import type { IncomingMessage } from 'node:http';
import type { Socket as RawSocket } from 'node:net';
import type { Duplex } from 'node:stream';
import {
  type AcceptingEndpoint,
  createEndpoint,
  type Endpoint,
  type EndpointOptions,
  endpointOptionNames,
} from '../core/endpoint.ts';
import { noProtocol } from '../core/negotiate.ts';
import { checkNames } from '../core/options.ts';
import type { Handshake, Subprotocol } from '../core/subprotocol.ts';
import { KeptHandshake } from './handshake.ts';
import { loadWs } from './load-ws.ts';
import { type OriginRule, originCheck } from './origin.ts';
import { processMemory } from './process-memory.ts';
import type { DeflateOptions, HttpServer } from './server-types.ts';
import { serverWebSocketOver } from './server-websocket.ts';

export interface AttachOptions extends EndpointOptions {
  /** The path of this endpoint, without a query. Default `/ws`. */
  readonly path?: string | undefined;
  /**
   * Which web pages may connect (RFC 6455 10.2): `same` for those of this host (the default), `*` for all, a list of
   * origins such as `https://app.example`, or a function. Others get 403. Programs send no Origin and are let in.
   */
  readonly origin?: OriginRule | undefined;
  /**
   * permessage-deflate (RFC 7692). Default off: it costs up to a few hundred KiB of memory per connection. `true`, or
   * the options of `ws`.
   */
  readonly deflate?: boolean | DeflateOptions | undefined;
}

interface Attached {
  readonly path: string;
  /** Drained: its path may be taken by another endpoint. */
  drained: boolean;
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
}

const optionNames = { ...endpointOptionNames, path: true, origin: true, deflate: true } satisfies Record<
  keyof AttachOptions,
  true
>;

/** Who answers upgrades on a server: one listener of ours per server, however many endpoints there are. */
const registries = new WeakMap<HttpServer, Attached[]>();

/**
 * Put an endpoint on an http or https server. Several endpoints and other people's upgrade listeners live together on
 * one server: a path that is none of ours is left alone where others listen, and gets 404 where nobody does.
 *
 * Throws a `TypeError` that names the option when one is wrong, or when the path is taken.
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
  const { path = '/ws', origin = 'same', deflate = false } = options;
  if (typeof path !== 'string' || !path.startsWith('/') || path.includes('?')) {
    throw new TypeError(`path must begin with "/" and have no query, such as "/ws"; got ${String(path)}`);
  }
  if (typeof deflate !== 'boolean' && (typeof deflate !== 'object' || deflate === null)) {
    throw new TypeError(`deflate must be true, false, or the perMessageDeflate options of ws; got ${String(deflate)}`);
  }
  const allows = originCheck(origin);
  const endpoint = createEndpoint(options, processMemory());
  const acceptor = createAcceptor(endpoint, deflate);
  const registry = registries.get(server) ?? listen(server);
  const taken = registry.findIndex((each) => each.path === path);
  if (taken >= 0 && !registry[taken]?.drained)
    throw new TypeError(`path "${path}" is taken by another endpoint on this server`);
  const attached: Attached = {
    path,
    drained: false,
    upgrade(request, socket, head) {
      const busy = endpoint.unavailable();
      if (busy !== undefined) return refuse(endpoint, socket, 503, busy);
      // HTTP/1.1 at least (RFC 6455 4.2.1): `ws` does not look at it.
      if (request.httpVersion === '1.0') return refuse(endpoint, socket, 400, 'WebSocket needs HTTP/1.1');
      const handshake = new KeptHandshake(request);
      try {
        if (!allows(request.headers, handshake))
          return refuse(endpoint, socket, 403, `Origin ${request.headers.origin ?? 'missing'} is not allowed here`);
      } catch (error) {
        endpoint.report(error);
        return refuse(endpoint, socket, 500, 'The origin could not be checked');
      }
      acceptor(request, socket, head, handshake);
    },
  };
  registry.splice(taken >= 0 ? taken : registry.length, 1, attached);
  endpoint.onDrained(() => {
    attached.drained = true;
  });
  return endpoint;
}

function listen(server: HttpServer): Attached[] {
  const registry: Attached[] = [];
  registries.set(server, registry);
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const { url = '' } = request;
    const attached = registry.find(({ path }) => url === path || url.startsWith(`${path}?`));
    if (attached) attached.upgrade(request, socket, head);
    else if (server.listenerCount('upgrade') === 1) answer(socket, 404, 'No WebSocket endpoint here');
  });
  return registry;
}

/** Complete handshakes and hand the sockets to the endpoint. */
function createAcceptor(endpoint: AcceptingEndpoint, deflate: boolean | DeflateOptions) {
  // Of the handshake that is being completed.
  let chosen: string | false = false;
  const { WebSocket, WebSocketServer } = loadWs('attach()');
  const server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    autoPong: true,
    maxPayload: Number.isFinite(endpoint.limits.maxPayload) ? endpoint.limits.maxPayload : 0,
    // Many tiny fragments cost more memory than they hold bytes.
    maxFragments: 1_024,
    perMessageDeflate:
      deflate === true ? { threshold: 1_024, serverNoContextTakeover: true, clientNoContextTakeover: true } : deflate,
    WebSocket: serverWebSocketOver(WebSocket),
    handleProtocols: () => chosen,
  });
  return (request: IncomingMessage, raw: Duplex, head: Buffer, handshake: Handshake): void => {
    const choice = endpoint.choose(offeredBy(request));
    if (choice.kind === 'refuse') return refuse(endpoint, raw, 400, choice.reason);
    chosen = choice.kind === 'speak' && choice.name;
    server.handleUpgrade(request, raw, head, (socket) => {
      const subprotocol: Subprotocol = choice.kind === 'speak' ? choice.subprotocol : noProtocol;
      const receiver = socket.open(raw as RawSocket, (adapted) => endpoint.accept(adapted, handshake, subprotocol));
      if (choice.kind === 'close') receiver.close('unacceptable', choice.reason);
    });
  };
}

/** The tokens of the request, as `ws` is going to parse them; a malformed header is refused by `ws` itself. */
function offeredBy({ headers }: IncomingMessage): string[] {
  const offered: string[] = [];
  for (const part of (headers['sec-websocket-protocol'] ?? '').split(',')) {
    const token = part.trim();
    if (token !== '') offered.push(token);
  }
  return offered;
}

const ignore = (): void => {};

function refuse(endpoint: AcceptingEndpoint, socket: Duplex, status: number, text: string): void {
  endpoint.refused();
  answer(socket, status, text);
}

const statusTexts: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  403: 'Forbidden',
  404: 'Not Found',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
};

function answer(socket: Duplex, status: number, text: string): void {
  socket.once('error', ignore);
  socket.once('finish', () => socket.destroy());
  const body = `${text}\n`;
  socket.end(
    `HTTP/1.1 ${status} ${statusTexts[status]}\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n` +
      `${status === 503 ? 'Retry-After: 5\r\n' : ''}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}
