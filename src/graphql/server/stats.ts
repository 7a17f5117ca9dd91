/** Numbers of a GraphQL server: of now, and since it was made. */
export interface GraphqlStats {
  /** Operations that run now. */
  readonly operations: number;
  /** Of those, subscriptions whose source is open. */
  readonly subscriptions: number;
  /** Operations that clients began. */
  readonly started: number;
  /** Operations that were answered by `error` before they were executed: a document that is none, too much that is kept. */
  readonly refused: number;
  /** Operations that ended in `error` after that. */
  readonly failed: number;
  /** Results that left: one for each query and mutation, one for each event of each subscription. */
  readonly results: number;
}

/** The same, while it is being counted. */
export type GraphqlCounts = { -readonly [Name in keyof GraphqlStats]: number };

/** Nothing was counted yet. */
export const noCounts = (): GraphqlCounts => ({
  operations: 0,
  subscriptions: 0,
  started: 0,
  refused: 0,
  failed: 0,
  results: 0,
});
