import { systemClock } from '../../core/clock.ts';
import { CloseCode } from '../../core/fault.ts';
import { connectionLimits, resolveLimits } from '../../core/limits.ts';
import type { PromiseOr } from '../../core/promise-or.ts';
import { ServerConnection } from '../../core/server-connection.ts';
import type { Socket } from '../../core/socket.ts';
import type { Handshake } from '../../core/subprotocol.ts';
import { decodeUtf8, type Wire, wireLength } from '../../core/wire.ts';
import { GRAPHQL_TRANSPORT_WS_PROTOCOL } from '../protocol/messages.ts';
import { ConnectionHost } from '../server/connection-host.ts';
import { createEngine, type ServerRuntime } from '../server/engine.ts';
import { graphqlFaults } from '../server/faults.ts';
import type { ConnectionParams, GraphqlOptions } from '../server/options.ts';

/** The options of {@link makeServer}: those of `graphqlServer()`; a missing schema is found out by the first operation. */
export type ServerOptions<Params = ConnectionParams, Extra = unknown> = GraphqlOptions<Params, Extra>;

/** A socket of whatever server, as {@link makeServer} wants it. */
export interface WebSocket {
  /** The subprotocol that was agreed on; '' for none. */
  readonly protocol: string;
  /** A promise that is kept when the message has left: sources wait for it. */
  send(data: string): PromiseOr<void>;
  /** Close with this code and reason. */
  close(code?: number, reason?: string): PromiseOr<void>;
  /** The callback never rejects: what goes wrong is reported and closes the socket. */
  onMessage(callback: (data: string) => Promise<void>): void;
  /** Answers pings instead of the automatic pong. */
  onPing?(payload: ConnectionParams | null | undefined): PromiseOr<void>;
  /** Hears pongs of the protocol. */
  onPong?(payload: ConnectionParams | null | undefined): PromiseOr<void>;
}

/** What a server of {@link makeServer} does with a socket. */
export interface Server<Extra = unknown> {
  /** A socket is open. Call what it returns when the socket is closed; that resolves when all is cleaned up. */
  opened(socket: WebSocket, extra: Extra): (code?: number, reason?: string) => Promise<void>;
}

/** More than a {@link WebSocket} can, where the transport has it. */
interface Transport extends WebSocket {
  readonly handshake?: Handshake | undefined;
  readonly pingInterval?: number | undefined;
  ping?(): void;
  onWebSocketPong?(callback: () => void): void;
  terminate?(): void;
}

const noHandshake: Handshake = { url: '', headers: {}, remoteAddress: '', secure: false };
const textOf = ({ head, tail }: Wire): string =>
  (typeof head === 'string' ? head : decodeUtf8(head)) + (tail ? decodeUtf8(tail) : '');
const report = (error: unknown): void => console.error('subwire:', error);

/** What a socket throws or rejects with is reported; nothing else would hear of it. */
function guard(run: () => PromiseOr<void>): void {
  try {
    run()?.then(undefined, report);
  } catch (error) {
    report(error);
  }
}

const missing = (): never => {
  throw new Error('The GraphQL schema is not provided');
};

/**
 * GraphQL over WebSocket for sockets of your own. With an http server, `attach()` is simpler and faster.
 *
 * Throws a `TypeError` that names the option when one is wrong.
 *
 * @example
 * const server = makeServer({ schema });
 * const closed = server.opened(socket, { request });
 * // later: await closed(code, reason);
 */
export function makeServer<Params = ConnectionParams, Extra = unknown>(
  options: ServerOptions<Params, Extra>,
): Server<Extra> {
  const engine = createEngine({ ...options, schema: options.schema ?? missing }, true);
  return { opened: (socket, extra) => accept(engine, socket, extra).closed };
}

interface Accepted {
  readonly connection: ServerConnection;
  readonly closed: (code?: number, reason?: string) => Promise<void>;
}

function accept(engine: ServerRuntime, socket: Transport, extra: unknown): Accepted {
  const interval = socket.pingInterval ?? Number.POSITIVE_INFINITY;
  let host: ConnectionHost | undefined;
  let bufferedAmount = 0;
  let broken = false;
  const sent = (bytes: number): void => {
    bufferedAmount -= bytes;
    if (bufferedAmount === 0) connection.drained();
  };
  const send = (wire: Wire): void => {
    if (broken) return;
    let outcome: PromiseOr<void>;
    try {
      outcome = socket.send(textOf(wire));
    } catch (error) {
      broken = true;
      report(error);
      return connection.close('internal');
    }
    if (!outcome) return;
    const bytes = wireLength(wire);
    bufferedAmount += bytes;
    // A send that failed is followed by the end of the socket.
    const done = (): void => sent(bytes);
    outcome.then(done, done);
  };
  const adapted: Socket = {
    protocol: socket.protocol,
    // Each message is a call of its own anyway, and a caller may look for it at once.
    batches: false,
    get bufferedAmount() {
      return bufferedAmount;
    },
    write: (wires) => wires.forEach(send),
    pause() {},
    resume() {},
    ...(socket.ping && { ping: () => socket.ping?.() }),
    close(code, reason) {
      // Who answers no ping is dropped there, and reads no reason.
      if (code !== CloseCode.heartbeatTimeout || !socket.terminate) guard(() => socket.close(code, reason));
    },
    terminate: () => guard(() => (socket.terminate ? socket.terminate() : socket.close())),
  };
  const connection: ServerConnection = new ServerConnection(adapted, socket.handshake ?? noHandshake, {
    clock: systemClock,
    limits: resolveLimits(connectionLimits, { pingInterval: interval, pongTimeout: interval }),
    faultTable: graphqlFaults,
    cutsSlowReader: true,
    report,
  });
  connection.start(() => {
    host = new ConnectionHost(connection, engine, {
      extra,
      onPing: socket.onPing?.bind(socket),
      onPong: socket.onPong?.bind(socket),
    });
    return host.session;
  });
  socket.onWebSocketPong?.(() => connection.ponged());
  socket.onMessage(async (data) => connection.received(data));
  if (socket.protocol !== GRAPHQL_TRANSPORT_WS_PROTOCOL) connection.close('unacceptable');
  return {
    connection,
    async closed(code = CloseCode.noStatus, reason = '') {
      connection.closed(code, reason);
      await host?.gone;
    },
  };
}

/** What {@link useServer} needs of a socket of `ws`. */
export interface WsSocket {
  /** The subprotocol that was agreed on; '' for none. */
  readonly protocol: string;
  /** The state as the WebSocket API has it: 1 is open. */
  readonly readyState: number;
  /** Send a message; `done` is called when it has left, or failed. */
  send(data: string, done?: (error?: Error) => void): void;
  /** Begin the close handshake. */
  close(code?: number, reason?: string): void;
  /** Drop the connection without one. */
  terminate(): void;
  /** Send a ping of the WebSocket protocol. */
  ping(): void;
  /** Hear messages, closes, pongs and errors. */
  on(event: 'message', listener: (data: { toString(): string }) => void): unknown;
  on(event: 'pong', listener: () => void): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
  on(event: 'close', listener: (code: number, reason: { toString(): string }) => void): unknown;
}

/** What {@link useServer} needs of an `http.IncomingMessage`. */
export interface WsRequest {
  /** Path and query. */
  readonly url?: string | undefined;
  /** The headers, by names in lower case. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  /** Where the request came from. */
  readonly socket: { readonly remoteAddress?: string | undefined };
}

/** What {@link useServer} needs of a `WebSocketServer` of `ws`, and what tells the types of its sockets and requests. */
export interface WsServer<Socket = WsSocket, Request = WsRequest> {
  /** The options that it was made with: `handleProtocols` is set unless there is one. */
  readonly options: { handleProtocols?: unknown };
  /** The sockets that are open. */
  readonly clients: Iterable<Socket>;
  /** Take an upgrade; named for its type alone. */
  handleUpgrade(request: Request, ...details: never[]): void;
  /** Hear of connections and errors. */
  on(event: 'connection', listener: (socket: WsSocket, request: WsRequest) => void): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
  /** Hear of them no more. */
  off(event: 'connection', listener: (socket: WsSocket, request: WsRequest) => void): unknown;
  off(event: 'error', listener: (error: Error) => void): unknown;
  /** Take no more connections. */
  close(done: (error?: Error) => void): void;
}

/** What hooks find in `context.extra`. */
export interface WsExtra<Socket = WsSocket, Request = WsRequest> {
  /** The socket of `ws`. */
  readonly socket: Socket;
  /** The request of the upgrade. */
  readonly request: Request;
}

/**
 * GraphQL over WebSocket on a `WebSocketServer` of `ws`. `keepAlive` is the time between pings, in ms, and how long a
 * pong may take. With an http server, `attach()` is simpler and faster.
 *
 * @example
 * const { dispose } = useServer({ schema }, new WebSocketServer({ port: 4000, path: '/graphql' }));
 */
export function useServer<
  Params = ConnectionParams,
  Extra = unknown,
  Socket extends WsSocket = WsSocket,
  Request extends WsRequest = WsRequest,
>(
  options: ServerOptions<Params, WsExtra<Socket, Request> & Partial<Extra>>,
  server: WsServer<Socket, Request>,
  keepAlive = 12_000,
): { dispose(): Promise<void> } {
  const engine = createEngine({ ...options, schema: options.schema ?? missing }, true);
  const connections = new Set<ServerConnection>();
  const pingInterval = keepAlive > 0 ? keepAlive : Number.POSITIVE_INFINITY;
  server.options.handleProtocols = handleProtocols;

  const connected = (socket: WsSocket, request: WsRequest): void => {
    const transport: Transport = {
      protocol: socket.protocol,
      handshake: handshakeOf(request),
      pingInterval,
      send: (data) => new Promise((resolve) => socket.send(data, () => resolve())),
      close: (code, reason) => socket.close(code, reason),
      terminate: () => socket.terminate(),
      ping: () => socket.ping(),
      onMessage: (callback) => void socket.on('message', (data) => void callback(data.toString())),
      onWebSocketPong: (callback) => void socket.on('pong', callback),
    };
    const { connection, closed } = accept(engine, transport, { socket, request });
    connections.add(connection);
    // Without a listener an error would end the process.
    socket.on('error', (error) => {
      // What `ws` finds wrong with a frame is the peer's doing, and closes with a code of its own: nobody fills our log.
      if (String(Reflect.get(error, 'code')).startsWith('WS_ERR_')) return;
      report(error);
      connection.close('internal', engine.reasonOf(error));
    });
    socket.on('close', (code, reason) => {
      connections.delete(connection);
      void closed(code, reason.toString());
    });
  };
  // A server that shares somebody's http server is told of its errors too; unheard, they would end the process.
  server.on('connection', connected);
  server.on('error', report);
  return {
    dispose() {
      for (const connection of connections) connection.close('goingAway');
      server.off('connection', connected);
      server.off('error', report);
      return new Promise((resolve, reject) => server.close((error) => (error ? reject(error) : resolve())));
    },
  };
}

function handshakeOf({ url = '', headers, socket }: WsRequest): Handshake {
  const kept: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) kept[name] = typeof value === 'string' ? value : value.join(', ');
  }
  return { url, headers: kept, remoteAddress: socket.remoteAddress ?? '', secure: 'encrypted' in socket };
}

/** Choose graphql-transport-ws out of what a client offers; `false`: it is not there, or it is no offer at all. */
export function handleProtocols(
  offered: ReadonlySet<string> | readonly string[] | string,
): typeof GRAPHQL_TRANSPORT_WS_PROTOCOL | false {
  const isList = Array.isArray(offered) || offered instanceof Set;
  const tokens = isList
    ? [...offered]
    : typeof offered === 'string'
      ? offered.split(',').map((each) => each.trim())
      : [];
  return tokens.includes(GRAPHQL_TRANSPORT_WS_PROTOCOL) && GRAPHQL_TRANSPORT_WS_PROTOCOL;
}
