/** Numbers of a bus: those of now, and since it was made. */
export interface BusStats {
  /** How many listen, subscriptions included. */
  readonly listeners: number;
  /** Topics that somebody listens to by their names. */
  readonly topics: number;
  /** Patterns that somebody listens to. */
  readonly patterns: number;
  /** Names and families that are declared. */
  readonly declared: number;
  /** Messages that were handed to the backbone. */
  readonly published: number;
  /** Bodies that did not decode. */
  readonly undecodable: number;
  /** What came from the backbone and was no message of ours: of a foreign writer, or of a later version. */
  readonly unreadable: number;
  /** How often the backbone said that messages may have been lost. */
  readonly gaps: number;
  /** What is kept for readers who may come back, in bytes; 0 while there are none. */
  readonly historyBytes: number;
  /** How many topics have a past. */
  readonly historyTopics: number;
}
