import type { LimitTable, LimitValues } from '../../core/limits.ts';

/** Limits of a GraphQL server, beside those of every connection. */
export const graphqlLimits = {
  // From the open socket to connection_init. How long the server's own hooks take does not count.
  initTimeout: { default: 3_000, unit: 'ms', fault: 'initTimeout' },
  // Whoever has not been let in yet gets little of our memory: this is the size of any message before the ack.
  maxInitPayload: { default: 65_536, unit: 'bytes', fault: 'tooLarge' },
  // Of one connection at a time; one more is answered by an `error` message.
  maxOperations: { default: 100, unit: 'count', fault: 'tooMany' },
  // Of one document; more is a syntax error. Parsing and validating cost the more, the longer it is.
  maxTokens: { default: 10_000, unit: 'count', fault: 'tooMany' },
  // Events of one pushed source that wait for the one being executed, or for a slow reader.
  maxBacklog: { default: 1_000, unit: 'count', fault: 'tooSlow' },
  // So long a client may read too little for the sources and results that wait for it.
  stallTimeout: { default: 30_000, unit: 'ms', fault: 'tooSlow' },
  // Memory of the documents that are kept parsed and validated: 512 bytes for a token, some 60,000 tokens by default. That
  // is 300 KB of text as people indent it, 60 KB of what is written to fill it. Of refused documents nothing is kept.
  documentCache: { default: 33_554_432, unit: 'bytes', fault: 'internal' },
} as const satisfies LimitTable;

export type GraphqlLimits = LimitValues<typeof graphqlLimits>;
