import type { AcceptingEndpoint } from '../core/endpoint.ts';
import { CloseCode } from '../core/fault.ts';
import { noProtocol } from '../core/negotiate.ts';
import type { Attempt, ServerReceiver, Socket, SocketReceiver } from '../core/socket.ts';
import type { Handshake } from '../core/subprotocol.ts';
import { byteLength, decodeUtf8, encodeUtf8, type Wire, wireLength } from '../core/wire.ts';
import { Pipe } from './pipe.ts';

/** A connection without a network, as far as its owner cares. */
export interface MemoryConnection {
  /** It is lost at once for both ends (1006), as when a cable is pulled. */
  cut(): void;
}

/**
 * Connect a client to an endpoint by two pipes. As over a network, nothing that one end says is heard by the other in the
 * same turn, messages over `maxPayload` are refused, and each end hears once how it ended. `over` is called then.
 */
export function connectInMemory(
  endpoint: AcceptingEndpoint,
  handshake: Handshake,
  offered: readonly string[],
  attempt: Attempt,
  over: (connection: MemoryConnection) => void,
): MemoryConnection {
  const { clock, limits } = endpoint;
  const choice = endpoint.choose(offered);
  const protocol = choice.kind === 'speak' ? choice.name : (offered[0] ?? '');
  let server: ServerReceiver | undefined;
  let client: SocketReceiver | undefined;
  const toServer = new Pipe(clock, () => client?.drained());
  const toClient = new Pipe(clock, () => server?.drained());

  function tellServer(code: number, reason: string): void {
    const told = server;
    server = undefined;
    told?.closed(code, reason);
  }

  function tellClient(code: number, reason: string): void {
    const told = client;
    client = undefined;
    told?.closed(code, reason);
    if (told) over(connection);
  }

  /** One end closes: the other hears all that was said before, then the close, and answers it. */
  function closeByServer(code: number, reason: string): void {
    toServer.clear();
    toClient.put(() => {
      tellClient(code, reason);
      clock.afterTurn(() => tellServer(code, reason));
    });
  }

  function closeByClient(code: number, reason: string): void {
    toServer.resume();
    toServer.put(() => {
      server?.flush();
      toClient.put(() => tellClient(code, reason));
      tellServer(code, reason);
    });
  }

  function cut(): void {
    toServer.clear();
    toClient.clear();
    clock.afterTurn(() => {
      tellClient(CloseCode.abnormal, '');
      tellServer(CloseCode.abnormal, '');
    });
  }

  function receive(data: string | Uint8Array): void {
    if (!server) return;
    if (byteLength(data) <= limits.maxPayload) server.received(data);
    else closeByServer(CloseCode.tooLarge, server.refused(CloseCode.tooLarge));
  }

  const connection: MemoryConnection = { cut };
  const serverSocket: Socket = {
    protocol: choice.kind === 'speak' ? protocol : '',
    get bufferedAmount() {
      return toClient.bytes;
    },
    write(wires) {
      for (const wire of wires) toClient.put(() => client?.received(messageOf(wire)), wireLength(wire));
    },
    pause: () => toServer.pause(),
    resume: () => toServer.resume(),
    // A peer in memory is always there.
    ping: () => toClient.put(() => server?.ponged()),
    close: closeByServer,
    terminate: cut,
  };
  const clientSocket: Socket = {
    protocol,
    get bufferedAmount() {
      return toServer.bytes;
    },
    write(wires) {
      for (const wire of wires) toServer.put(() => receive(messageOf(wire)), wireLength(wire));
    },
    close: closeByClient,
    terminate: cut,
  };

  const accepted = endpoint.accept(serverSocket, handshake, choice.kind === 'speak' ? choice.subprotocol : noProtocol);
  server = accepted;
  client = attempt.opened(clientSocket);
  if (choice.kind === 'close') accepted.close('unacceptable', choice.reason);
  return connection;
}

/** As a WebSocket hands it over: bytes of a copy of their own, or text. */
function messageOf({ head, tail, binary }: Wire): string | Uint8Array {
  if (!binary) return (typeof head === 'string' ? head : decodeUtf8(head)) + (tail ? decodeUtf8(tail) : '');
  const start = typeof head === 'string' ? encodeUtf8(head) : head;
  const bytes = new Uint8Array(start.length + (tail?.length ?? 0));
  bytes.set(start);
  if (tail) bytes.set(tail, start.length);
  return bytes;
}
