import { clock, webSocket } from '#socket';
import { never } from '../core/clock.ts';
import { ConnectionLost } from '../core/connection-lost.ts';
import { ignoringReceiver } from '../core/dial.ts';
import { CloseCode } from '../core/fault.ts';
import { assertOption, checkNames, isRecord, numberOptions } from '../core/options.ts';
import type { Attempt, Socket, SocketReceiver, Transport } from '../core/socket.ts';

/** Options of {@link negotiate}. */
export interface NegotiateOptions {
  /**
   * How to reach the server.
   * @defaultValue a WebSocket
   */
  readonly transport?: Transport | undefined;
  /**
   * How long it may take until the socket is open, in ms.
   * @defaultValue 10,000
   */
  readonly openTimeout?: number | undefined;
}

/** From the token of a subprotocol to what makes a client of it. */
export type ClientFactories = Readonly<Record<string, (transport: Transport) => unknown>>;

/**
 * Offer several subprotocols in one connection attempt, by preference, and make the client of the one that the server
 * chose. The client takes over the open socket; when it reconnects later, it offers its own tokens.
 *
 * Rejects with a {@link ConnectionLost} if the server cannot be reached in time (1006), or chose none of what was offered
 * (4406); what a factory throws rejects as well. Throws a `TypeError` that names the argument when one is wrong.
 *
 * @example
 * const client = await negotiate(url, {
 *   'graphql-transport-ws': (transport) => createClient({ url, transport }),
 *   'v12.stomp': (transport) => createStompClient({ url, transport }),
 * });
 */
export function negotiate<Clients extends ClientFactories>(
  url: string,
  clients: Clients,
  options: NegotiateOptions = {},
): Promise<ReturnType<Clients[keyof Clients]>> {
  checkNames(options, { transport: true, openTimeout: true }, 'negotiate()');
  const { transport = webSocket() } = options;
  const { openTimeout } = numberOptions(options, { openTimeout: 10_000 }, 1);
  assertOption(url && typeof url === 'string', 'url', 'an address such as "wss://host/ws"', url);
  const offered = isRecord(clients) ? Object.keys(clients) : [];
  assertOption(
    offered.length > 0 && offered.every((token) => typeof clients[token] === 'function'),
    'clients',
    "an object from tokens to functions that make clients, such as { 'v12.stomp': (transport) => … }",
    isRecord(clients) ? (offered.length > 0 ? 'one that is no function' : 'an empty object') : clients,
  );

  return new Promise((resolve, reject) => {
    let abandon = (): void => {};
    const timeout = {
      keepsAlive: true,
      deadline: clock.now() + openTimeout,
      tick() {
        abandon();
        fail(CloseCode.abnormal, `the socket did not open within ${openTimeout} ms`);
      },
    };
    function settle(): void {
      timeout.deadline = never;
      clock.forget(timeout);
    }
    function fail(code: number, problem: string, cause?: unknown): void {
      settle();
      reject(new ConnectionLost(code, `No connection to ${url}: ${problem}`, { cause }));
    }
    clock.watch(timeout);
    const attempt: Attempt = {
      failed: fail,
      opened(socket) {
        settle();
        const { protocol } = socket;
        const create = Object.hasOwn(clients, protocol) ? clients[protocol] : undefined;
        if (!create) {
          socket.close(CloseCode.subprotocolNotAcceptable, 'Subprotocol not acceptable');
          fail(
            CloseCode.subprotocolNotAcceptable,
            `the server chose ${protocol ? `"${protocol}"` : 'none'} of ${offered.join(', ')}`,
          );
          return ignoringReceiver;
        }
        const { transport: taken, receiver } = handOver(socket, transport);
        try {
          resolve(create(taken) as ReturnType<Clients[keyof Clients]>);
        } catch (error) {
          socket.terminate();
          reject(error);
        }
        return receiver;
      },
    };
    try {
      abandon = transport(url, offered, attempt);
    } catch (error) {
      settle();
      reject(error);
    }
  });
}

/** A transport that gives an open socket to whoever asks first, and connects for all others. */
function handOver(
  socket: Socket,
  connect: Transport,
): { readonly transport: Transport; readonly receiver: SocketReceiver } {
  let free = true;
  let taker: SocketReceiver | undefined;
  let end: readonly [code: number, reason: string] | undefined;
  return {
    transport(url, protocols, attempt) {
      if (!free || !protocols.includes(socket.protocol)) return connect(url, protocols, attempt);
      free = false;
      taker = attempt.opened(socket);
      // The taker may have dropped it at once.
      if (end) taker.closed(...end);
      return () => {};
    },
    receiver: {
      // A server of these protocols does not speak first: before the socket was taken there is nothing to be lost.
      received: (data) => taker?.received(data),
      drained: () => taker?.drained(),
      closed(code, reason) {
        free = false;
        end = [code, reason];
        taker?.closed(code, reason);
      },
    },
  };
}
