/** Everything that can end a connection early, in one word. How it looks on the wire stands in a {@link FaultTable}. */
export type Fault =
  | 'malformed'
  | 'unacceptable'
  | 'unauthorized'
  | 'forbidden'
  | 'expired'
  | 'initTimeout'
  | 'heartbeat'
  | 'duplicate'
  | 'tooLarge'
  | 'tooMany'
  | 'tooSlow'
  | 'unavailable'
  | 'goingAway'
  | 'internal';

/**
 * Close code (RFC 6455 7.4) and close reason of each fault, for one protocol. Forget one and it does not compile.
 * `reason` may return text of any length: the connection cuts it to 123 bytes.
 */
export type FaultTable = Readonly<
  Record<Fault, { readonly code: number; readonly reason: (detail?: string) => string }>
>;

/** Close codes of the faults that a client may raise; the reason is the detail. */
export type FaultCodes = Readonly<Partial<Record<Fault, number>>>;

/**
 * A peer broke a rule. The only thing that a session may throw; the connection turns it into the protocol's last
 * words and a close code, by the fault table.
 *
 * @example
 * throw new ProtocolError('malformed', 'a frame without a command');
 */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError';
  /** Which rule was broken. */
  readonly fault: Fault;
  /** What goes into the close reason; undefined: the table's own words. */
  readonly detail: string | undefined;
  /** Words of the application, which go into the close frame as they are; undefined: those of the table. */
  readonly words: CloseWords | undefined;

  constructor(fault: Fault, detail?: string, options?: ErrorOptions & { readonly words?: CloseWords | undefined }) {
    super(detail ?? fault, options);
    this.fault = fault;
    this.detail = detail;
    this.words = options?.words;
  }
}

/** What the application wants to be in a close frame. */
export interface CloseWords {
  /** A close code that may be sent (RFC 6455 7.4); undefined: the one that the protocol has for the fault. */
  readonly closeCode: number | undefined;
  /** Close reason, of which 123 bytes are sent. */
  readonly reason: string;
}

/** What an error says, whatever was thrown: not everything has a text. Never throws. */
export function messageOf(error: unknown): string {
  try {
    return String(error instanceof Error ? error.message : error);
  } catch {
    return '';
  }
}

/** What the table of a protocol says. A hole in it is a bug, but no reason to leave a connection open. */
export function closeOf(
  { fault, detail, words }: ProtocolError,
  table: FaultTable,
  report: (bug: unknown) => void,
): [code: number, reason: string] {
  try {
    const { code, reason } = table[fault];
    return words ? [words.closeCode ?? code, words.reason] : [code, reason(detail)];
  } catch (bug) {
    report(bug);
    return [CloseCode.internalError, ''];
  }
}

/** The most that a close reason may have, in bytes: 125 of a control frame less 2 of the code (RFC 6455 5.5). */
export const maxReasonBytes = 123;

/**
 * A close reason of at most 123 bytes, cut on a UTF-8 boundary. Never throws.
 *
 * @example
 * closeReason('漢'.repeat(60)).length; // 41: 123 bytes
 */
export const closeReason = (text: string): string =>
  // Only whole characters are written, and `read` tells how much of the text they are.
  text.slice(0, new TextEncoder().encodeInto(text, new Uint8Array(maxReasonBytes)).read);

/** May this code be put into a close frame (RFC 6455 7.4.1, 7.4.2)? 1005, 1006 and 1015 may not. */
export const isSendableCode = (code: number): boolean =>
  Number.isInteger(code) &&
  ((code >= 1000 && code <= 1014 && code !== 1004 && code !== 1005 && code !== 1006) || isPrivateCode(code));

/** Is this a code of a library, a protocol or an application (RFC 6455 7.4.2)? Scripts in a browser may send these, and 1000. */
export const isPrivateCode = (code: number): boolean => code >= 3000 && code <= 4999;

/** Is this a code that applications and protocols choose without a registry (RFC 6455 7.4.2)? */
export const isApplicationCode = (code: number): boolean => code >= 4000 && code <= 4999;

/** Is this a code of RFC 6455, or of its registry at IANA? */
export const isStandardCode = (code: number): boolean => code >= 1000 && code <= 1999;

/** Close codes that subwire sends or understands, by name. Where each is used: `spec-notes/close-codes.md`. */
export const CloseCode = {
  /** It is over, and all is well (RFC 6455 7.4.1). */
  normal: 1000,
  /** The server leaves, or the page is left. */
  goingAway: 1001,
  /** A rule of the protocol was broken. */
  protocolError: 1002,
  /** There was no code; never sent. */
  noStatus: 1005,
  /** There was no close frame; never sent. */
  abnormal: 1006,
  /** Refused, and coming back will not help. */
  policyViolation: 1008,
  /** A message was larger than is taken. */
  tooLarge: 1009,
  /** The server is at fault. */
  internalError: 1011,
  /** A new server takes over: come back. */
  serviceRestart: 1012,
  /** Too much for now: come back later. */
  tryAgainLater: 1013,
  /** A proxy could not reach the server. */
  badGateway: 1014,
  /** The peer was silent for too long; ours. */
  heartbeatTimeout: 4000,
  /** graphql-transport-ws, of a client: the server sent what is no message. */
  badResponse: 4004,
  /** graphql-transport-ws, of a client: something of its own failed. */
  clientError: 4005,
  /** graphql-transport-ws: what came is no message. */
  badRequest: 4400,
  /** graphql-transport-ws: subscribed before the acknowledgement, or refused. */
  unauthorized: 4401,
  /** graphql-transport-ws: not let in, or not any more; saying anew who it is may help. */
  forbidden: 4403,
  /** graphql-transport-ws: no subprotocol that was offered is spoken. */
  subprotocolNotAcceptable: 4406,
  /** graphql-transport-ws: the client did not say in time who it is. */
  initTimeout: 4408,
  /** graphql-transport-ws: an operation with this id runs already. */
  duplicate: 4409,
  /** graphql-transport-ws: a second `connection_init`. */
  tooManyInits: 4429,
  /** graphql-ws, of a client: `terminate()` was called. */
  terminated: 4499,
  /** graphql-transport-ws: the server is at fault. */
  internal: 4500,
  /** graphql-ws, of a client: the server did not acknowledge in time. */
  ackTimeout: 4504,
} as const;
