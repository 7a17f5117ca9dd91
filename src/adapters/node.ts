import type { IncomingMessage, Server } from 'node:http';
import type { Server as SecureServer } from 'node:https';
import type { Socket as RawSocket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type PerMessageDeflateOptions, WebSocket, WebSocketServer } from 'ws';
import {
  type AcceptingEndpoint,
  createEndpoint,
  type Endpoint,
  type EndpointOptions,
  endpointOptionNames,
} from '../core/endpoint.ts';
import { unspoken } from '../core/negotiate.ts';
import { checkNames } from '../core/options.ts';
import type { ServerReceiver, Socket } from '../core/socket.ts';
import type { Handshake, Subprotocol } from '../core/subprotocol.ts';
import type { Wire } from '../core/wire.ts';
import { writeFrames } from './frames.ts';
import { type OriginRule, originCheck } from './origin.ts';

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
  readonly deflate?: boolean | PerMessageDeflateOptions | undefined;
}

type HttpServer = Server | SecureServer;

interface Attached {
  readonly path: string;
  /** Drained: its path may be taken by another endpoint. */
  left: boolean;
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
 * const endpoint = attach(http, { path: '/ws', protocols: [graphql({ schema }), stompBroker({ bus })] });
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
  const endpoint = createEndpoint(options);
  const registry = registries.get(server) ?? listen(server);
  const taken = registry.findIndex((each) => each.path === path);
  if (taken >= 0 && !registry[taken]?.left)
    throw new TypeError(`path "${path}" is taken by another endpoint on this server`);
  const acceptor = createAcceptor(endpoint, deflate);
  const attached: Attached = {
    path,
    left: false,
    upgrade(request, socket, head) {
      const handshake = handshakeOf(request);
      const busy = endpoint.unavailable();
      if (busy !== undefined) return refuse(endpoint, socket, 503, busy);
      // HTTP/1.1 at least (RFC 6455 4.2.1): `ws` does not look at it.
      if (request.httpVersion === '1.0') return refuse(endpoint, socket, 400, 'WebSocket needs HTTP/1.1');
      try {
        if (!allows(handshake))
          return refuse(
            endpoint,
            socket,
            403,
            `Origin ${handshake.headers['origin'] ?? 'missing'} is not allowed here`,
          );
      } catch (error) {
        endpoint.report(error);
        return refuse(endpoint, socket, 500, 'The origin could not be checked');
      }
      acceptor(request, socket, head, handshake);
    },
  };
  registry.splice(taken >= 0 ? taken : registry.length, 1, attached);
  endpoint.onDrained(() => {
    attached.left = true;
  });
  return endpoint;
}

function listen(server: HttpServer): Attached[] {
  const registry: Attached[] = [];
  registries.set(server, registry);
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const path = (request.url ?? '').split('?', 1)[0];
    const attached = registry.find((each) => each.path === path);
    if (attached) attached.upgrade(request, socket, head);
    else if (server.listenerCount('upgrade') === 1) answer(socket, 404, 'No WebSocket endpoint here');
  });
  return registry;
}

/** Complete handshakes and hand the sockets to the endpoint. */
function createAcceptor(endpoint: AcceptingEndpoint, deflate: boolean | PerMessageDeflateOptions) {
  const server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    autoPong: true,
    maxPayload: Number.isFinite(endpoint.limits.maxPayload) ? endpoint.limits.maxPayload : 0,
    // Many tiny fragments cost more memory than they hold bytes.
    maxFragments: 1_024,
    perMessageDeflate:
      deflate === true ? { threshold: 1_024, serverNoContextTakeover: true, clientNoContextTakeover: true } : deflate,
    WebSocket: TellingWebSocket,
    handleProtocols: (offered) => {
      const choice = endpoint.choose([...offered]);
      return choice.kind === 'speak' && choice.name;
    },
  });
  return (request: IncomingMessage, raw: Duplex, head: Buffer, handshake: Handshake): void => {
    const choice = endpoint.choose(offeredBy(request));
    if (choice.kind === 'refuse') return refuse(endpoint, raw, 400, choice.reason);
    server.handleUpgrade(request, raw, head, (socket) => {
      const subprotocol: Subprotocol = choice.kind === 'speak' ? choice.subprotocol : unspoken;
      const receiver = bind(socket, raw as RawSocket, (adapted) => endpoint.accept(adapted, handshake, subprotocol));
      if (choice.kind === 'close') receiver.close('unacceptable', choice.reason);
    });
  };
}

/** The tokens of the request, as `ws` is going to parse them; a malformed header is refused by `ws` itself. */
const offeredBy = ({ headers }: IncomingMessage): string[] =>
  (headers['sec-websocket-protocol'] ?? '')
    .split(',')
    .map((token) => token.trim())
    .filter((token) => token !== '');

/**
 * `ws` closes by itself: when the peer does, and when the framing, the UTF-8 or the size of a message is bad. This one
 * asks first for what is queued, and for the last words of the protocol, since nothing can be sent after a close frame.
 */
class TellingWebSocket extends WebSocket {
  receiver: ServerReceiver | undefined;

  override close(code?: number, reason?: string | Buffer): void {
    let words = reason;
    if (this.readyState === WebSocket.OPEN) {
      // A code without a reason is a refusal by `ws`; a peer's close frame comes with both, or with none.
      if (code !== undefined && reason === undefined) words = this.receiver?.refused(code);
      else this.receiver?.flush();
    }
    super.close(code, words);
  }
}

/** Make a `ws` socket look like a {@link Socket}, and tell what happens on it. */
export function bind<Receiver extends ServerReceiver>(
  socket: TellingWebSocket,
  raw: RawSocket,
  accept: (socket: Socket) => Receiver,
): Receiver {
  const receiver = accept(new NodeSocket(socket, raw));
  socket.receiver = receiver;
  const events: ListenersOf<TellingWebSocket> = socket;
  events.on('message', onMessage);
  events.on('ping', onPing);
  events.on('pong', onPong);
  raw.on('drain', () => receiver.drained());
  // The close that follows tells what is needed; without a listener an error would end the process.
  events.on('error', ignore);
  events.on('close', onClose);
  return receiver;
}

/** An emitter whose listeners know what they hang on; the types of `ws` say only that it is some WebSocket. */
interface ListenersOf<Emitter> {
  on(event: string, listener: (this: Emitter, ...values: never[]) => void): unknown;
}

/** A class, and listeners that all sockets share: there are many thousands of these. */
class NodeSocket implements Socket {
  readonly batches = true;
  readonly #socket: TellingWebSocket;
  readonly #raw: RawSocket;
  // Under an extension the bytes of a message are not ours to write.
  readonly #plain: boolean;

  constructor(socket: TellingWebSocket, raw: RawSocket) {
    this.#socket = socket;
    this.#raw = raw;
    this.#plain = socket.extensions === '';
  }

  get protocol(): string {
    return this.#socket.protocol;
  }

  get bufferedAmount(): number {
    return this.#plain ? this.#raw.writableLength : this.#socket.bufferedAmount;
  }

  get bytesReceived(): number {
    return this.#raw.bytesRead;
  }

  write(wires: readonly Wire[]): void {
    if (this.#socket.readyState !== WebSocket.OPEN) return;
    if (this.#plain) writeFrames(this.#raw, wires);
    else for (const wire of wires) this.#socket.send(whole(wire), { binary: wire.binary }, ignore);
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  ping(): void {
    this.#socket.ping(undefined, undefined, ignore);
  }

  close(code: number, reason: string): void {
    this.#socket.close(code, reason);
  }

  terminate(): void {
    this.#socket.terminate();
  }
}

function onMessage(this: TellingWebSocket, data: Buffer, isBinary: boolean): void {
  const { receiver } = this;
  receiver?.received(isBinary || receiver.takesBytes ? data : data.toString());
}

function onPing(this: TellingWebSocket): void {
  this.receiver?.pinged();
}

function onPong(this: TellingWebSocket): void {
  this.receiver?.ponged();
}

function onClose(this: TellingWebSocket, code: number, reason: Buffer): void {
  this.receiver?.closed(code, reason.toString());
}

const ignore = (): void => {};

const whole = ({ head, tail }: Wire): Buffer =>
  Buffer.concat([typeof head === 'string' ? Buffer.from(head) : head, tail ?? new Uint8Array()]);

function handshakeOf({ headers, url = '', socket }: IncomingMessage): Handshake {
  const kept: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined || spent.has(name)) continue;
    kept[name] = Array.isArray(value) ? value.join(', ') : value;
  }
  return { url, headers: kept, remoteAddress: socket.remoteAddress ?? '', secure: 'encrypted' in socket };
}

/** Headers that nobody needs once the handshake is done. */
const spent = new Set([
  'connection',
  'upgrade',
  'sec-websocket-key',
  'sec-websocket-version',
  'sec-websocket-extensions',
]);

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
