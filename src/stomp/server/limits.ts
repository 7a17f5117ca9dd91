import type { LimitTable, LimitValues } from '../../core/limits.ts';

/** Limits of one STOMP connection of a server, beside those of every connection ([STOMP-23]). */
export const stompLimits = {
  /** A frame of an ordinary application has ten headers; a MESSAGE that passed several brokers has thirty. */
  maxHeaders: { default: 64, unit: 'count', fault: 'tooLarge' },
  /** One header line, as HTTP servers have it. */
  maxHeaderLine: { default: 8_192, unit: 'bytes', fault: 'tooLarge' },
  /** The command and all header lines: what a peer can make us keep before it has said who it is. */
  maxHeaderBytes: { default: 65_536, unit: 'bytes', fault: 'tooLarge' },
  /** The body of one frame. */
  maxBody: { default: 1_048_576, unit: 'bytes', fault: 'tooLarge' },
  /** From the open socket to the CONNECT frame. */
  connectTimeout: { default: 3_000, unit: 'ms', fault: 'initTimeout' },
  /** From the first octet of a frame to its NUL: a frame that never ends would keep its buffer for ever. */
  frameTimeout: { default: 30_000, unit: 'ms', fault: 'malformed' },
  /** While it asks the application, a connection is not read: a hook that never answers would keep it for ever. */
  hookTimeout: { default: 10_000, unit: 'ms', fault: 'unavailable' },
  /** Subscriptions of one connection at a time. */
  maxSubscriptions: { default: 100, unit: 'count', fault: 'tooMany' },
  /** Deliveries that wait for an ACK or NACK, over all subscriptions of the connection. */
  maxUnacknowledged: { default: 1_000, unit: 'count', fault: 'tooMany' },
  /** Open transactions of one connection. */
  maxTransactions: { default: 100, unit: 'count', fault: 'tooMany' },
  /** Frames that wait for the COMMIT of one transaction. */
  maxTransactionFrames: { default: 1_000, unit: 'count', fault: 'tooMany' },
  /** Frames whose outcome the bus, the application or the broker behind a relay owes; over it the client is not read. */
  maxPending: { default: 1_000, unit: 'count', fault: 'tooMany' },
} as const satisfies LimitTable;

/** The numbers of {@link stompLimits}. */
export type StompLimits = LimitValues<typeof stompLimits>;
