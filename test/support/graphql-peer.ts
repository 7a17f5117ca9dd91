import { createEndpoint } from '../../src/core/endpoint.ts';
import type { EndpointOptions } from '../../src/core/endpoint-options.ts';
import { ProtocolError } from '../../src/core/fault.ts';
import type { Subprotocol } from '../../src/core/subprotocol.ts';
import { type ConnectionParams, type GraphqlOptions, graphqlServer } from '../../src/graphql/index.ts';
import { createFakeClock, type FakeClock } from './fake-clock.ts';
import { FakeSocket } from './fake-socket.ts';

export type ServerMessage = { readonly id?: string; readonly type: string; readonly payload?: unknown };

/** A GraphQL server with a clock that stands still, and any number of clients that speak to it in plain messages. */
export interface GraphqlServerUnderTest {
  readonly clock: FakeClock;
  /** What was reported, but for messages that were refused: those are in `refused`. */
  readonly errors: unknown[];
  readonly refused: ProtocolError[];
  readonly endpoint: ReturnType<typeof createEndpoint>;
  /** A client; with `acknowledged: false` it has said nothing yet. */
  connect(options?: { readonly acknowledged?: boolean }): GraphqlPeer;
}

export class GraphqlPeer {
  readonly socket = new FakeSocket({ protocol: 'graphql-transport-ws' });
  readonly #clock: FakeClock;

  constructor(clock: FakeClock) {
    this.#clock = clock;
  }

  send(message: unknown): void {
    this.socket.receiver?.received(JSON.stringify(message));
  }

  subscribe(id: string, query: string, more: Record<string, unknown> = {}): void {
    this.send({ type: 'subscribe', id, payload: { query, ...more } });
  }

  complete(id: string): void {
    this.send({ type: 'complete', id });
  }

  /** What came since the last time, once everything has settled. */
  async take(): Promise<ServerMessage[]> {
    await this.#clock.settle();
    return this.socket.take().map((text) => JSON.parse(String(text)) as ServerMessage);
  }

  /** The payloads of `next` for an id since the last time. */
  async results(id: string): Promise<unknown[]> {
    return (await this.take()).filter((each) => each.id === id && each.type === 'next').map(({ payload }) => payload);
  }
}

/** @example const { connect } = serveGraphql({ schema }); const peer = connect(); peer.subscribe('1', '{ hello }'); */
export function serveGraphql<Params = ConnectionParams, Extra = Record<string, unknown>>(
  options: GraphqlOptions<Params, Extra>,
  more: Omit<EndpointOptions, 'protocols'> = {},
  subprotocol: Subprotocol = graphqlServer(options),
): GraphqlServerUnderTest {
  const clock = createFakeClock();
  const errors: unknown[] = [];
  const refused: ProtocolError[] = [];
  const endpoint = createEndpoint({
    protocols: [subprotocol],
    clock,
    onError: (error) => (error instanceof ProtocolError ? refused : errors).push(error as never),
    ...more,
  });
  return {
    clock,
    errors,
    refused,
    endpoint,
    connect({ acknowledged = true } = {}) {
      const peer = new GraphqlPeer(clock);
      const handshake = { url: '/ws', headers: { cookie: 'c' }, remoteAddress: '127.0.0.1', secure: false };
      peer.socket.receiver = endpoint.accept(peer.socket, handshake, subprotocol);
      if (acknowledged) {
        peer.send({ type: 'connection_init' });
        clock.flushTurn();
        peer.socket.take();
      }
      return peer;
    },
  };
}
