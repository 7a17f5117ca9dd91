import type { Connection, Handshake, Principal } from '../../core/subprotocol.ts';
import type { ConnectionParams, GraphqlContext } from './options.ts';

/** What the context of a connection looks at. */
interface Seen {
  readonly connection: Connection;
  readonly session: {
    operations(): Iterable<{ readonly id: string; readonly stream: AsyncIterable<unknown> | null }>;
  };
}

/** What hooks see of a connection. */
export class ConnectionContext implements GraphqlContext<ConnectionParams, unknown> {
  connectionInitReceived = false;
  acknowledged = false;
  connectionParams: ConnectionParams | undefined;
  #extra: unknown;
  readonly #host: Seen;

  constructor(host: Seen, extra: unknown) {
    this.#host = host;
    this.#extra = extra;
  }

  /** Made when it is first asked for: hardly anybody does, and there are thousands. */
  get extra(): unknown {
    this.#extra ??= {};
    return this.#extra;
  }

  set extra(extra: unknown) {
    this.#extra = extra;
  }

  get principal(): Principal | undefined {
    return this.#host.connection.principal;
  }

  get handshake(): Handshake {
    return this.#host.connection.handshake;
  }

  get subscriptions(): Record<string, AsyncIterable<unknown> | null> {
    const subscriptions: Record<string, AsyncIterable<unknown> | null> = Object.create(null);
    for (const { id, stream } of this.#host.session.operations()) subscriptions[id] = stream;
    return subscriptions;
  }
}
