import type { Handshake, Principal } from '../../core/subprotocol.ts';
import type { Headers } from '../protocol/frame.ts';
import { ownHeaders } from '../protocol/headers.ts';
import { checkedHeaders, type HeaderValue } from '../server/checked-message.ts';
import type { HandlerClient } from '../server/destination-handler.ts';

/** A client that is let in, for who chooses what the broker hears of it. */
export interface ConnectRequest {
  /** A copy of the headers of its CONNECT. */
  readonly headers: Headers;
  /** Whom `authenticate` named; undefined where nobody asked. */
  readonly principal: Principal | undefined;
  /** The HTTP request that opened the connection. */
  readonly handshake: Handshake;
}

/** Headers for the CONNECT to the broker. Numbers and booleans are sent as text; `undefined` leaves a header out. */
export type ConnectHeaders = Readonly<Record<string, HeaderValue>>;

/** What of a client's CONNECT goes on to the broker, beside what is the protocol's own. */
export type ChooseConnectHeaders = (client: HandlerClient, headers: Headers) => ReadonlyMap<string, string>;

/**
 * The option `connectHeaders`. Only what it names goes on: a header that some broker gives a meaning would else be acted
 * on under the login of the relay ([RELAY-23]).
 *
 * Throws a `TypeError` if the option is no list of names and no function, or names a header of the protocol.
 */
export function connectHeadersOf(given: unknown): ChooseConnectHeaders {
  if (typeof given === 'function') {
    return ({ connection }, headers) => {
      const { principal, handshake } = connection;
      const chosen = checkedHeaders(where, given({ headers: new Map(headers), principal, handshake }));
      for (const name of chosen.keys()) assertForeign(name);
      return chosen;
    };
  }
  const names: unknown = given ?? [];
  if (!Array.isArray(names) || !names.every((name) => typeof name === 'string' && name !== '')) {
    throw new TypeError(`${where} must be a list of names such as ['client-id'], or a function`);
  }
  for (const name of names) assertForeign(name);
  return (_client, headers) =>
    new Map(
      names.flatMap((name): [string, string][] => {
        const value = headers.get(name);
        return value === undefined ? [] : [[name, value]];
      }),
    );
}

const where = 'connectHeaders';

function assertForeign(name: string): void {
  if (ownHeaders.connect.has(name)) throw new TypeError(`${where}: header "${name}" belongs to the protocol`);
}
