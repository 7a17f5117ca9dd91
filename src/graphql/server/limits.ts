import type { LimitTable, LimitValues } from '../../core/limits.ts';

/** Limits of a GraphQL server, beside those of every connection. */
export const graphqlLimits = {
  /** From the open socket to connection_init. How long the server's own hooks take does not count. */
  initTimeout: { default: 3_000, unit: 'ms', fault: 'initTimeout' },
  /** Whoever has not been let in yet gets little of our memory: this is the size of any message before the ack. */
  maxInitPayload: { default: 65_536, unit: 'bytes', fault: 'tooLarge' },
  /** Of one connection at a time; one more is answered by an `error` message. */
  maxOperations: { default: 100, unit: 'count', fault: 'tooMany' },
  /** It is kept for as long as the operation runs, and repeated in each of its messages. */
  maxId: { default: 256, unit: 'bytes', fault: 'tooLarge' },
  /** One message of an operation; a longer one is an `error` of that operation, and is not parsed as a whole. */
  maxMessage: { default: 1_048_576, unit: 'bytes', fault: 'tooLarge' },
  /** Objects, lists and names in one message; one with more is treated alike. Parsing takes its time for these. */
  maxNodes: { default: 32_768, unit: 'count', fault: 'tooLarge' },
  /** One document; a longer one is not parsed. Parsing and validating cannot be cut in two: their input is bounded. */
  maxDocument: { default: 32_768, unit: 'bytes', fault: 'tooLarge' },
  /** Of one document; more is a syntax error. The largest of real applications have some 1,500. */
  maxTokens: { default: 2_500, unit: 'count', fault: 'tooMany' },
  /** Documents that are refused, each of which costs a validation; above it they are refused unseen for a while. */
  refusedDocuments: { default: 10, unit: 'per second', fault: 'tooMany' },
  /** Events of one pushed source that wait for the one being executed, or for a slow reader. */
  maxBacklog: { default: 1_000, unit: 'count', fault: 'tooSlow' },
  /** So long a client may read too little for the sources and results that wait for it. */
  stallTimeout: { default: 30_000, unit: 'ms', fault: 'tooSlow' },
  /**
   * Memory of the documents that are kept parsed and validated: 512 bytes for a token, some 60,000 tokens by default. That
   * is 300 KB of text as people indent it, 60 KB of what is written to fill it. Of refused documents nothing is kept.
   */
  documentCache: { default: 33_554_432, unit: 'bytes', fault: 'internal' },
} as const satisfies LimitTable;

/** The numbers of {@link graphqlLimits}. */
export type GraphqlLimits = LimitValues<typeof graphqlLimits>;
