import { connect as connectPlain, createServer, isIP, type Socket as RawSocket } from 'node:net';
import {
  type ConnectionOptions,
  connect as connectSecure,
  createServer as createSecureServer,
  type TlsOptions as SecureServerOptions,
} from 'node:tls';
import { systemClock } from '../core/clock.ts';
import { createEndpoint, type Endpoint } from '../core/endpoint.ts';
import { type EndpointOptions, endpointOptionNames } from '../core/endpoint-options.ts';
import { CloseCode } from '../core/fault.ts';
import { checkNames, inWords } from '../core/options.ts';
import type { Socket, SocketReceiver, Transport } from '../core/socket.ts';
import type { Subprotocol } from '../core/subprotocol.ts';
import type { Wire } from '../core/wire.ts';
import { Complaints } from './complaints.ts';
import { processMemory } from './process-memory.ts';
import { awaitProxyHeader } from './proxy-protocol.ts';
import type { TcpServer, TlsConnectOptions, TlsServerOptions } from './server-types.ts';

/** Where {@link tcp} connects to. */
export interface TcpOptions {
  /**
   * A name or an address.
   *
   * @defaultValue `127.0.0.1`
   */
  readonly host?: string | undefined;
  /** From 1 to 65535. */
  readonly port: number;
  /**
   * Over TLS: `true`, or the options of `tls.connect`.
   *
   * @defaultValue false
   */
  readonly tls?: boolean | TlsConnectOptions | undefined;
}

/**
 * A client transport over plain TCP, or TLS, for protocols that frame a byte stream themselves.
 *
 * Throws a `TypeError` if `port` is none.
 *
 * @example
 * const stomp = createStompClient({ transport: tcp({ host: 'rabbit', port: 61613 }) });
 */
export function tcp({ host = '127.0.0.1', port, tls = false }: TcpOptions): Transport {
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new TypeError(`tcp(): port must be a number from 1 to 65535; got ${inWords(port)}`);
  }
  return (_url, _protocols, attempt) => {
    let abandoned = false;
    let receiver: SocketReceiver | undefined;
    const socket = tls
      ? // An address is no server name (RFC 6066 3).
        connectSecure({
          servername: isIP(host) ? '' : host,
          ...(tls === true ? {} : (tls as ConnectionOptions)),
          ...halfOpen,
          host,
          port,
        })
      : connectPlain({ ...halfOpen, host, port });
    const failed = (error: Error): void => {
      if (!abandoned && !receiver) attempt.failed(CloseCode.abnormal, error.message, error);
      abandoned = true;
    };
    socket.once('error', failed);
    socket.once('close', () => failed(new Error('The connection was closed before it was open')));
    socket.once(tls ? 'secureConnect' : 'connect', () => {
      if (abandoned) return;
      receiver = bindStream(socket, (adapted) => attempt.opened(adapted), true);
    });
    return () => {
      abandoned = true;
      socket.destroy();
    };
  };
}

/** The options of {@link listenTcp}. */
export interface ListenTcpOptions extends EndpointOptions {
  /** From 0 to 65535; 0: the system chooses one, which {@link TcpEndpoint.port} tells. */
  readonly port: number;
  /**
   * The address to listen on. The default opens nothing to the network by accident.
   *
   * @defaultValue `127.0.0.1`
   */
  readonly host?: string | undefined;
  /**
   * Over TLS: at least `key` and `cert`.
   *
   * @defaultValue plain TCP
   */
  readonly tls?: TlsServerOptions | undefined;
  /**
   * Every connection begins with a header of the PROXY protocol (version 1 or 2), from which `handshake.remoteAddress`
   * is taken; one that has none, or none within 5 s, is dropped. Only for a port that nobody but the proxy can reach.
   *
   * @defaultValue false: such a header is not understood
   */
  readonly proxyProtocol?: boolean | undefined;
}

const optionNames = { ...endpointOptionNames, port: true, host: true, tls: true, proxyProtocol: true } satisfies Record<
  keyof ListenTcpOptions,
  true
>;

/** An {@link Endpoint} with the port that it listens on. */
export interface TcpEndpoint extends Endpoint {
  /** The server that listens. */
  readonly server: TcpServer;
  /** The port that is listened on; known when {@link listenTcp} has resolved. */
  readonly port: number;
}

/**
 * An endpoint on a TCP port of its own. Byte streams negotiate nothing: the first subprotocol that speaks to unnamed
 * connections is spoken. `drain()` also closes the port.
 *
 * Rejects with a `TypeError` that names the option that is wrong, or if the port cannot be listened on.
 *
 * @example
 * const endpoint = await listenTcp({ port: 61613, protocols: [stompBroker({ bus })] });
 */
export async function listenTcp(options: ListenTcpOptions): Promise<TcpEndpoint> {
  checkNames(options, optionNames, 'listenTcp()');
  const { port, host = '127.0.0.1', tls, proxyProtocol = false, clock = systemClock } = options;
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new TypeError(`port must be a number from 0 to 65535; got ${inWords(port)}`);
  }
  if (typeof proxyProtocol !== 'boolean')
    throw new TypeError(`proxyProtocol must be true or false; got ${inWords(proxyProtocol)}`);
  const endpoint = createEndpoint(options, processMemory());
  const choice = endpoint.choose([]);
  if (choice.kind !== 'speak') {
    throw new TypeError('protocols must hold one that speaks over a byte stream, such as stompBroker({ bus })');
  }
  const complaints = new Complaints(endpoint.report, clock);
  // Of connections whose proxy said it, by address and port of the proxy.
  const clients = new Map<string, string>();
  const accept = (socket: RawSocket): void => serve(socket, choice.subprotocol);
  const secure = tls && createSecureServer({ ...(tls as SecureServerOptions), ...halfOpen }, accept);
  const server = proxyProtocol ? createServer(halfOpen, afterHeader) : (secure ?? createServer(halfOpen, accept));

  function drop(socket: RawSocket): void {
    endpoint.refused();
    socket.destroy();
  }

  function serve(socket: RawSocket, subprotocol: Subprotocol): void {
    if (endpoint.unavailable() !== undefined) return drop(socket);
    const told = clients.get(peerOf(socket));
    const handshake = {
      url: '',
      headers: {},
      remoteAddress: told ?? socket.remoteAddress ?? '',
      secure: Boolean(tls),
      trusted: told !== undefined,
    };
    if (!endpoint.admits(handshake.remoteAddress, handshake.trusted).admitted) return drop(socket);
    bindStream(socket, (adapted) => endpoint.accept(adapted, handshake, subprotocol));
  }

  /** The header comes before TLS, in the clear ([CONN-77]). */
  function afterHeader(socket: RawSocket): void {
    socket.on('error', () => {});
    if (endpoint.unavailable() !== undefined) return drop(socket);
    awaitProxyHeader(
      socket,
      clock,
      ({ address }) => {
        const peer = peerOf(socket);
        if (address !== undefined) {
          clients.set(peer, address);
          socket.once('close', () => clients.delete(peer));
        }
        // TLS reads what was put back by itself.
        if (secure) return void secure.emit('connection', socket);
        accept(socket);
        socket.resume();
      },
      ({ message }) => {
        complaints.tell('proxyProtocol', () => `A connection was dropped: ${message}`);
        drop(socket);
      },
    );
  }

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
  server.on('error', endpoint.report);
  endpoint.onDrained(() => server.close());
  const address = server.address();
  return Object.assign(endpoint, { server, port: typeof address === 'object' && address ? address.port : port });
}

/** Connections to one port differ in these. */
const peerOf = ({ remoteAddress, remotePort }: RawSocket): string => `${remoteAddress} ${remotePort}`;

/** Else Node ends our side by itself, before the answers of this turn have left: TLS reads data and end at once. */
const halfOpen = { allowHalfOpen: true };

/** The system asks a peer that was silent for so many ms whether it is there, and drops one that does not answer. */
const probeAfter = 30_000;

/** Make a stream socket look like a {@link Socket}. */
function bindStream(
  raw: RawSocket,
  accept: (socket: Socket) => SocketReceiver,
  // A client's connection sends each message at once; here those of one turn are put together.
  gathers = false,
): SocketReceiver {
  let code: number = CloseCode.abnormal;
  let text = '';
  let paused = false;
  let ended = false;
  raw.setNoDelay(true);
  // [CONN-19] A stream has no pings, and its protocol need not have agreed on any.
  raw.setKeepAlive(true, probeAfter);
  const receiver = accept({
    protocol: '',
    batches: true,
    get bufferedAmount() {
      return raw.writableLength;
    },
    write(wires) {
      if (!raw.writable) return;
      if (gathers && raw.writableCorked === 0) {
        raw.cork();
        process.nextTick(() => raw.uncork());
      }
      writeAll(raw, wires);
    },
    pause() {
      paused = true;
      raw.pause();
    },
    resume() {
      paused = false;
      raw.resume();
      if (ended) finish();
    },
    // A stream has no close frame: what the peer has to know is in the protocol's last words.
    close(closeCode, reason) {
      code = closeCode;
      text = reason;
      raw.end();
    },
    terminate: () => void raw.destroy(),
  });
  raw.on('data', (data: Buffer) => receiver.received(data));
  raw.on('drain', () => receiver.drained());
  /** The peer said everything. What it asked in this turn is answered first, and whatever the protocol still owes it. */
  function finish(): void {
    systemClock.afterTurn(() => {
      if (code === CloseCode.abnormal) code = CloseCode.normal;
      if (receiver.ended) return receiver.ended();
      receiver.flush?.();
      raw.end();
    });
  }
  raw.on('end', () => {
    // Node tells the end to those that paused as well; what they hold back is answered first.
    ended = true;
    if (!paused) finish();
  });
  raw.on('error', () => {});
  raw.on('close', () => receiver.closed(code, text));
  return receiver;
}

function writeAll(raw: RawSocket, wires: readonly Wire[]): void {
  raw.cork();
  for (const { head, tail } of wires) {
    if (head.length > 0) raw.write(head);
    if (tail !== undefined && tail.length > 0) raw.write(tail);
  }
  raw.uncork();
}
