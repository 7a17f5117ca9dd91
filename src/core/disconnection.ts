import type { Refusal } from './refuse.ts';

/** Whom the application sends away on every server: see `bus.disconnect()`. */
export interface Disconnection {
  /** The name of the principal whose connections end. */
  readonly principal: string;
  /** What its clients are told. Undefined: the fault is `expired`, so that they come back and say anew who they are. */
  readonly words: Refusal | undefined;
  /**
   * Connections that were opened later than this are not meant, in ms since 1970 UTC. Infinity: all are. It has a time
   * where a server learns late of what it has missed.
   */
  readonly openedBefore: number;
}

/** Tells whom the application sends away: a bus does. */
export interface DisconnectionSource {
  /** Hear of each. Returns how to stop. */
  on(event: 'disconnect', listener: (disconnection: Disconnection) => void): () => void;
}
