interface Named {
  /** Tokens of `Sec-WebSocket-Protocol`, the preferred first. */
  readonly names: readonly string[];
}

/**
 * The subprotocol that a server chose, on the client. Undefined if it chose none, or one that was not offered: then
 * the connection must fail (RFC 6455 4.1). Byte streams have no names: a subprotocol that offers none is meant for them.
 */
export const chosen = <Offered extends Named>(name: string, offered: readonly Offered[]): Offered | undefined =>
  offered.find(({ names }) => (names.length === 0 ? name === '' : names.includes(name)));

/** Every token that a client offers, by preference. */
export const offer = (subprotocols: readonly Named[]): string[] => [
  ...new Set(subprotocols.flatMap(({ names }) => names)),
];
