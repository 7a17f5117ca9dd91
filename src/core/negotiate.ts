import { CloseCode, type FaultTable } from './fault.ts';
import type { Session, Subprotocol } from './subprotocol.ts';

/** What a server does with the subprotocols that a client offers. */
export type Choice =
  | { readonly kind: 'speak'; readonly subprotocol: Subprotocol; readonly name: string }
  /** Complete the handshake, then close: so that the client, a browser too, can read why ([CONN-3]). */
  | { readonly kind: 'close'; readonly code: number; readonly reason: string };

/**
 * Choose a subprotocol: the first offered one that is mounted, since the client lists them by preference (RFC 6455
 * 4.1). No offer at all is spoken to by the subprotocol that accepts it, under the name ''.
 *
 * @example
 * choose(['v13.stomp', 'v12.stomp'], [stomp]); // { kind: 'speak', subprotocol: stomp, name: 'v12.stomp' }
 */
export function choose(offered: readonly string[], mounted: readonly Subprotocol[]): Choice {
  for (const name of offered) {
    for (const subprotocol of mounted) {
      // Our own copy of the name: that of the request is one more per connection.
      const known = subprotocol.names.find((each) => each === name);
      if (known !== undefined) return { kind: 'speak', subprotocol, name: known };
    }
  }
  const unnamed = mounted.find(({ acceptsUnnamed }) => acceptsUnnamed);
  if (offered.length === 0 && unnamed) return { kind: 'speak', subprotocol: unnamed, name: '' };
  for (const name of offered) {
    const advice = mounted.find((each) => each.advice && Object.hasOwn(each.advice, name))?.advice?.[name];
    if (advice !== undefined) return { kind: 'close', code: CloseCode.subprotocolNotAcceptable, reason: advice };
  }
  const spoken = mounted.flatMap(({ names }) => names).join(', ');
  return {
    kind: 'close',
    code: CloseCode.subprotocolNotAcceptable,
    reason: `Subprotocol not acceptable. Spoken here: ${spoken}`,
  };
}

const unspokenFault = {
  code: CloseCode.subprotocolNotAcceptable,
  reason: (detail = 'Subprotocol not acceptable') => detail,
};

/** A session that ignores everything, for connections that are accepted only to be closed. */
export const silentSession: Session = Object.freeze({
  deadline: Number.POSITIVE_INFINITY,
  idle: true,
  receive() {},
  released() {},
  tick() {},
  drained() {},
  drain() {},
  fail() {},
  end() {},
});

/** What is spoken where nothing was agreed: nothing. Such a connection is only there to be closed (fault `unacceptable`). */
export const noProtocol: Subprotocol = Object.freeze({
  names: [],
  // No other fault can happen where nothing is read.
  faults: { unacceptable: unspokenFault, goingAway: unspokenFault } as Partial<FaultTable> as FaultTable,
  open: () => silentSession,
});

interface Named {
  /** Tokens of `Sec-WebSocket-Protocol`, the preferred first. */
  readonly names: readonly string[];
}

/**
 * The subprotocol that a server chose, on the client. Undefined if it chose none, or one that was not offered: then
 * the connection must fail (RFC 6455 4.1). Byte streams have no names: a subprotocol that offers none is meant for them.
 */
export const selectOffered = <Offered extends Named>(name: string, offered: readonly Offered[]): Offered | undefined =>
  offered.find(({ names }) => (names.length === 0 ? name === '' : names.includes(name)));

/** Every token that a client offers, by preference. */
export const offeredTokens = (subprotocols: readonly Named[]): string[] => [
  ...new Set(subprotocols.flatMap(({ names }) => names)),
];
