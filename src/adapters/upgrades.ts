import type { IncomingMessage, ServerResponse } from 'node:http';
import type { IncomingHttpHeaders, ServerHttp2Stream, Settings } from 'node:http2';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Timed, Timers } from '../core/clock.ts';
import { answer, ignore } from './answer.ts';
import { type Complaints, quoted } from './complaints.ts';
import { asksForWebSocket, upgradeOver } from './http2.ts';
import { type PathParams, type PathPattern, pathOf } from './path.ts';
import type { HttpServer } from './server-types.ts';

/** An endpoint at a path of a server. */
export interface Mounted {
  /** Where it is. */
  readonly path: PathPattern;
  /** True once it was drained: then another endpoint may take its path. */
  drained: boolean;
  /** Take an upgrade on this path. */
  upgrade(request: IncomingMessage, socket: Duplex, params: PathParams): void;
  /** Tell the application of an error. */
  report(error: unknown): void;
  /** Who hears why strangers are refused. */
  readonly complaints: Complaints;
  /** What knows the time. */
  readonly clock: Timers;
}

/** An upgrade that is none of ours and that none of the other listeners answers within so many ms gets 404. */
const unansweredAfter = 30_000;

/** As much of a server of Node as is used here. */
interface NodeServer extends HttpServer {
  emit(event: string, ...details: unknown[]): boolean;
  listeners(event: string): unknown[];
  /** A server of HTTP/2 has it. */
  updateSettings?(settings: Settings): void;
  off(event: string, listener: (...details: never[]) => void): unknown;
}

/** The endpoints of a server: one listener for each server, however many endpoints there are. */
const registries = new WeakMap<HttpServer, Mounted[]>();

/** Sockets that stand in for ones that are taken. */
const standIns = new WeakSet<Duplex>();

/**
 * Put an endpoint on a server, at each of its paths. An upgrade of its path is its own: `ws` with `{ server, path }` would answer 400 on
 * whatever path is not its own. Other listeners are told of it with a socket that has ended already, on which they can
 * do no harm ([CONN-70]). All other upgrades go to the other listeners as before, and get 404 where there are none
 * ([CONN-7]).
 *
 * Throws a `TypeError` when a path is taken; then nothing is put there.
 *
 * @example
 * mount(server, [mounted]);
 */
export function mount(server: HttpServer, all: readonly Mounted[]): void {
  const registry = registries.get(server) ?? [];
  const placeOf = ({ shape }: PathPattern): number => registry.findIndex(({ path }) => path.shape === shape);
  for (const { path } of all) {
    if (registry[placeOf(path)]?.drained === false) {
      throw new TypeError(`path "${path.text}" is taken by another endpoint on this server`);
    }
  }
  for (const mounted of all) {
    const place = placeOf(mounted.path);
    registry.splice(place < 0 ? registry.length : place, 1, mounted);
  }
  if (registries.has(server)) return;
  registries.set(server, registry);
  listen(server as NodeServer, registry);
}

function listen(server: NodeServer, registry: readonly Mounted[]): void {
  function take(request: IncomingMessage, socket: Duplex, head: Buffer): boolean {
    const found = find(registry, request);
    if (!found) return false;
    // What came behind the request waits in its socket, as what follows it does.
    if (head.length > 0) socket.unshift(head);
    found.mounted.upgrade(request, socket, found.params);
    return true;
  }

  // What is first to hear an event cannot keep it from the others, so that events are taken before they are told.
  const { emit } = server;
  server.emit = function (this: NodeServer, event, ...details) {
    if (event === 'stream' && asksForWebSocket(details[1] as IncomingHttpHeaders)) {
      const [stream, headers] = details as [ServerHttp2Stream, IncomingHttpHeaders];
      if (!takeStream(stream, headers)) leaveStream(() => Reflect.apply(emit, this, [event, ...details]));
      return true;
    }
    const [request, socket, head] = details as [IncomingMessage, Duplex, Buffer];
    if (event !== 'upgrade' || !take(request, socket, head)) return Reflect.apply(emit, this, [event, ...details]);
    if (server.listenerCount('upgrade') > 1)
      tellOthers(() => Reflect.apply(emit, this, [event, request, ended(), none]));
    return true;
  };

  /** A CONNECT of ours, or of nobody ([CONN-90]). */
  function takeStream(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): boolean {
    const isOurs = find(registry, { url: headers[':path'] }) !== undefined;
    // One listener is Node's own, which makes requests of streams.
    const hasOthers = server.listenerCount('stream') > 1 || server.listenerCount('connect') > 0;
    if (!isOurs && hasOthers) return false;
    const { request, socket } = upgradeOver(stream, headers);
    if (!take(request, socket, none)) refuseUnknown(request, socket);
    // A browser keeps its session for minutes, and `close()` of the server waits for it.
    const { session } = stream;
    stream.once('close', () => {
      if (!server.listening) session?.close();
    });
    return true;
  }

  /** Because we listen to requests, Node would answer 405 to a CONNECT that nobody awaits as a request. */
  function leaveStream(tell: () => void): void {
    server.on('connect', ignore);
    try {
      tell();
    } finally {
      server.off('connect', ignore);
    }
  }

  function refuseUnknown(request: IncomingMessage, socket: Duplex): void {
    const paths = registry.map(({ path }) => path.text).join(', ');
    registry[0]?.complaints.tell(
      'path',
      () => `There is no endpoint at ${quoted(pathOf(request.url ?? ''))}, but at ${paths}`,
    );
    answer(socket, 404, 'No WebSocket endpoint here');
  }

  /** Whoever of the others takes it writes something: what nobody takes must not hang for ever ([CONN-92]). */
  function refuseUnanswered(request: IncomingMessage, socket: Duplex & Partial<Pick<Socket, 'bytesWritten'>>): void {
    const clock = registry[0]?.clock;
    const written = socket.bytesWritten;
    const timer: Timed = {
      deadline: (clock?.now() ?? 0) + unansweredAfter,
      tick() {
        forget();
        if (socket.writable && socket.bytesWritten === written) refuseUnknown(request, socket);
      },
    };
    function forget(): void {
      clock?.forget(timer);
      socket.off('close', forget);
    }
    socket.on('close', forget);
    clock?.watch(timer);
  }

  function tellOthers(tell: () => void): void {
    try {
      tell();
    } catch (error) {
      registry[0]?.report(error);
    }
  }

  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    // The first is told by us; the second comes in a runtime that tells its listeners without `emit`.
    if (standIns.has(socket) || take(request, socket, head)) return;
    if (server.listenerCount('upgrade') === 1) refuseUnknown(request, socket);
    else refuseUnanswered(request, socket);
  });
  server.updateSettings?.({ enableConnectProtocol: true });
  const alone = (request: IncomingMessage, response: ServerResponse): void => {
    const listeners = server.listeners('request');
    if (listeners.length === 1 && listeners[0] === alone) answerPlainly(request, response, registry);
  };
  server.on('request', alone);
}

const none = Buffer.alloc(0);

function ended(): Duplex {
  const socket = new Socket();
  standIns.add(socket);
  return socket.destroy();
}

function find(
  registry: readonly Mounted[],
  { url = '' }: { readonly url?: string | undefined },
): { readonly mounted: Mounted; readonly params: PathParams } | undefined {
  const path = pathOf(url);
  let found: { readonly mounted: Mounted; readonly params: PathParams } | undefined;
  for (const mounted of registry) {
    const params = mounted.path.match(path);
    if (params === undefined) continue;
    if (mounted.path.literal) return { mounted, params };
    found ??= { mounted, params };
  }
  return found;
}

/** A server without a handler would let whoever opens it in a browser wait for ever. */
function answerPlainly(request: IncomingMessage, response: ServerResponse, registry: readonly Mounted[]): void {
  const here = find(registry, request) !== undefined;
  response.statusCode = here ? 426 : 404;
  response.setHeader('Content-Type', 'text/plain; charset=utf-8');
  // HTTP/2 has neither header (RFC 9113 8.2.2).
  if (here && request.httpVersionMajor < 2) {
    response.setHeader('Upgrade', 'websocket');
    response.setHeader('Connection', 'Upgrade');
  }
  response.end(
    here
      ? 'This is a WebSocket endpoint: connect with a WebSocket client.\n'
      : 'There is nothing here but WebSockets.\n',
  );
}
