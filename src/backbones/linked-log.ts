import type { Position } from '../bus/message.ts';
import type { Batch } from './outbox.ts';

/** A message in the log of a broker. */
export interface LogEntry {
  /** The topic of it. */
  readonly topic: string;
  /** Its place. */
  readonly offset: number;
  /** The sealed body. */
  readonly envelope: Buffer;
}

/** A message as it comes live. */
export interface LiveEntry extends LogEntry {
  /** The place of the message before it on its topic; 0: not known. */
  readonly link: number;
  /** The epoch in which it was stored. */
  readonly epoch: string;
}

/** What was read of one topic. */
export interface Past {
  /** The epoch of the log now. */
  readonly epoch: string;
  /** Oldest first. */
  readonly entries: readonly LogEntry[];
  /** Nothing is missing between the offset that was asked for and the end. */
  readonly complete: boolean;
}

/** What changed after an offset. */
export interface Changes {
  /** The epoch of the log now. */
  readonly epoch: string;
  /** The last offset of the log. */
  readonly last: number;
  /** The topics that have messages after it; undefined: not all of them are known. */
  readonly topics: readonly string[] | undefined;
}

/** A log of messages that a broker keeps. Each call rejects when the broker cannot be asked. */
export interface LinkedLog {
  /** Store a batch, once however often it is asked for. `epoch` is the one that is believed to be there. */
  publish(batch: Batch, epoch: string): Promise<readonly Position[]>;
  /** The end of the log. */
  place(): Promise<Position>;
  /** What one topic had after an offset. */
  read(topic: string, after: number, limit: number): Promise<Past>;
  /** Which topics had messages after an offset. */
  changes(after: number): Promise<Changes>;
}
