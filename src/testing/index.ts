/**
 * Servers and clients in one process, without sockets and ports: for tests of resolvers, handlers, hooks and rules.
 *
 * @module
 */
import { asyncDispose } from '../bus/subscription.ts';
import type { Clock } from '../core/clock.ts';
import { createEndpoint, type Endpoint } from '../core/endpoint.ts';
import { type EndpointOptions, endpointOptionNames } from '../core/endpoint-options.ts';
import { CloseCode } from '../core/fault.ts';
import { checkNames } from '../core/options.ts';
import type { Transport } from '../core/socket.ts';
import type { Handshake } from '../core/subprotocol.ts';
import { connectInMemory, type MemoryConnection } from './memory-connection.ts';

export type { Clock } from '../core/clock.ts';
export { createTestClock, type TestClock } from './test-clock.ts';

/** An endpoint that clients of the same process reach by a transport in memory. */
export interface TestEndpoint extends Endpoint, AsyncDisposable {
  /** For the option `transport` of a client; its `url` may be any `ws:` or `wss:` address. */
  readonly transport: Transport;
  /**
   * A transport of clients that come with other headers, from another address, or with what a path or a hook of
   * `attach()` would have found.
   *
   * @example
   * const transport = endpoint.transportFrom({ headers: { cookie: 'session=ada' } });
   */
  readonly transportFrom: (handshake: Partial<Handshake>) => Transport;
  /** Every connection is lost for both ends (1006), as when the network goes. Clients come back. Returns how many. */
  readonly cut: () => number;
  /**
   * From now on attempts to connect fail with these words, as when the server is down; without words they succeed
   * again. What is connected stays.
   */
  readonly refuse: (reason?: string) => void;
}

/** The options of {@link createTestEndpoint}: those of `attach()` behind the upgrade, and where time comes from. */
export interface TestEndpointOptions extends EndpointOptions {
  /**
   * Where time comes from, such as {@link createTestClock}.
   *
   * @defaultValue the clock of the process
   */
  readonly clock?: Clock | undefined;
}

/**
 * An endpoint for tests: what `attach()` puts on a server, without one. Rules of the upgrade (`origin`, `hosts`,
 * `upgrade`, `path`) belong to `attach()` and are not here; all else is the same code as in production. `clock` may be one
 * of {@link createTestClock}, for the clients too.
 *
 * Throws a `TypeError` that names the option when one is wrong.
 *
 * @example
 * const endpoint = createTestEndpoint({ protocols: [graphqlServer({ schema })] });
 * const client = createClient({ url: 'ws://test', transport: endpoint.transport });
 * for await (const { data } of client.iterate({ query: '{ hello }' })) console.log(data);
 * await endpoint.close(); // or: await using endpoint = createTestEndpoint(…)
 */
export function createTestEndpoint(options: TestEndpointOptions): TestEndpoint {
  if (typeof options !== 'object' || options === null) {
    throw new TypeError('createTestEndpoint() needs options: { protocols: […] }');
  }
  checkNames(options, endpointOptionNames, 'createTestEndpoint()');
  const endpoint = createEndpoint(options);
  const connections = new Set<MemoryConnection>();
  let down: string | undefined;

  const transportFrom =
    (shown: Partial<Handshake>): Transport =>
    (address, protocols, attempt) => {
      const handshake = handshakeOf(address, shown);
      let wanted = true;
      endpoint.clock.afterTurn(() => {
        if (!wanted) return;
        const problem = down ?? endpoint.unavailable();
        if (problem === undefined) {
          connections.add(connectInMemory(endpoint, handshake, protocols, attempt, (gone) => connections.delete(gone)));
          return;
        }
        endpoint.refused();
        attempt.failed(CloseCode.abnormal, 'The connection was refused', new Error(problem));
      });
      return () => {
        wanted = false;
      };
    };

  return {
    ...endpoint,
    transport: transportFrom({}),
    transportFrom,
    cut() {
      const { size } = connections;
      for (const connection of connections) connection.cut();
      connections.clear();
      return size;
    },
    refuse(reason) {
      down = reason;
    },
    [asyncDispose]: endpoint.close,
  };
}

/** Throws a `TypeError` if the address is none. */
function handshakeOf(address: string, shown: Partial<Handshake>): Handshake {
  const { host, pathname, search, protocol } = new URL(address);
  if (!/^(ws|http)s?:$/.test(protocol)) throw new TypeError(`url must be a ws: or wss: address; got ${address}`);
  return {
    url: pathname + search,
    remoteAddress: '127.0.0.1',
    secure: protocol === 'wss:' || protocol === 'https:',
    ...shown,
    headers: { host, ...shown.headers },
  };
}
