import type { Attempt, SocketReceiver, Transport } from '../../src/core/socket.ts';
import { FakeSocket } from './fake-socket.ts';

/** One attempt of a client to connect, which the test lets succeed or fail. */
export class FakeDial {
  readonly url: string;
  readonly protocols: readonly string[];
  /** The client gave the attempt up before it was open. */
  abandoned = false;
  readonly #attempt: Attempt;

  constructor(url: string, protocols: readonly string[], attempt: Attempt) {
    this.url = url;
    this.protocols = protocols;
    this.#attempt = attempt;
  }

  /** The server accepts, and chooses a subprotocol: the first that was offered, unless said otherwise. */
  open(protocol = this.protocols[0] ?? '', answersClose = true): FakeSocket {
    const socket = new FakeSocket({ protocol, batches: false, answersClose });
    // Browsers have no WebSocket ping.
    Object.assign(socket, { ping: undefined });
    // A client that does not want this socket closes it before anybody listens; the end is still told.
    let early: [code: number, reason: string] | undefined;
    socket.receiver = { closed: (...end: [number, string]) => (early = end) } as unknown as SocketReceiver;
    socket.receiver = this.#attempt.opened(socket);
    if (early) socket.receiver.closed(...early);
    return socket;
  }

  refuse(error: unknown = new Error('connect ECONNREFUSED'), code = 1006): void {
    this.#attempt.failed(code, error instanceof Error ? error.message : String(error), error);
  }
}

/** A way to servers that exist in the test only. `transport` goes into the client's `connect` option. */
export class FakeTransport {
  readonly dials: FakeDial[] = [];

  readonly transport: Transport = (url, protocols, attempt) => {
    const dial = new FakeDial(url, protocols, attempt);
    this.dials.push(dial);
    return () => {
      dial.abandoned = true;
    };
  };

  /** The attempt that was begun last. */
  get last(): FakeDial {
    const dial = this.dials.at(-1);
    if (!dial) throw new Error('Nobody has dialled yet');
    return dial;
  }
}
