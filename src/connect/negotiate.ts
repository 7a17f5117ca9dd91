import { clock, webSocket } from '#socket';
import { never } from '../core/clock.ts';
import { ignoringReceiver } from '../core/dial.ts';
import { assertOption, numberOptions } from '../core/options.ts';
import type { Attempt, Socket, SocketReceiver, Transport } from '../core/socket.ts';

export interface NegotiateOptions {
  /** How to reach the server. Default: a WebSocket. */
  readonly connect?: Transport | undefined;
  /** How long it may take until the socket is open, in ms. Default 10,000. */
  readonly openTimeout?: number | undefined;
}

/** From the token of a subprotocol to what makes a client of it. */
export type ClientFactories = Readonly<Record<string, (connect: Transport) => unknown>>;

/**
 * Offer several subprotocols in one connection attempt, by preference, and make the client of the one that the server
 * chose. The client takes over the open socket; when it reconnects later, it offers its own tokens.
 *
 * Rejects with an `Error` if the server cannot be reached in time, or chose none of what was offered; what a factory
 * throws rejects as well. Throws a `TypeError` that names the argument when one is wrong.
 *
 * @example
 * const client = await negotiate(url, {
 *   'graphql-transport-ws': (connect) => createClient({ url, connect }),
 *   'v12.stomp': (connect) => createStompClient({ brokerURL: url, connect }),
 * });
 */
export function negotiate<Clients extends ClientFactories>(
  url: string,
  clients: Clients,
  options: NegotiateOptions = {},
): Promise<ReturnType<Clients[keyof Clients]>> {
  const { connect = webSocket() } = options;
  const { openTimeout } = numberOptions(options, { openTimeout: 10_000 }, 1);
  const offered = Object.keys(clients);
  assertOption(offered.length > 0, 'clients', 'an object from tokens to functions that make clients', clients);

  return new Promise((resolve, reject) => {
    let abandon = (): void => {};
    const timeout = {
      keepsAlive: true,
      deadline: clock.now() + openTimeout,
      tick() {
        abandon();
        fail(`nothing came within ${openTimeout} ms`);
      },
    };
    function settle(): void {
      timeout.deadline = never;
      clock.forget(timeout);
    }
    function fail(problem: string, cause?: unknown): void {
      settle();
      reject(new Error(`No connection to ${url}: ${problem}`, { cause }));
    }
    clock.watch(timeout);
    const attempt: Attempt = {
      failed: (_code, reason, error) => fail(reason, error),
      opened(socket) {
        settle();
        const { protocol } = socket;
        const create = Object.hasOwn(clients, protocol) ? clients[protocol] : undefined;
        if (!create) {
          socket.close(4406, 'Subprotocol not acceptable');
          fail(`the server chose ${protocol ? `"${protocol}"` : 'none'} of ${offered.join(', ')}`);
          return ignoringReceiver;
        }
        const { transport, receiver } = handOver(socket, connect);
        try {
          resolve(create(transport) as ReturnType<Clients[keyof Clients]>);
        } catch (error) {
          socket.terminate();
          reject(error);
        }
        return receiver;
      },
    };
    try {
      abandon = connect(url, offered, attempt);
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
