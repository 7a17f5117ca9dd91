/** A client, as far as it is counted. */
export interface CountedClient {
  /** The name of its principal; undefined: it has none, and counts for no user. */
  readonly userName: string | undefined;
  /** Where it subscribes, once for each subscription. */
  destinations(): Iterable<string>;
}

/**
 * Subscriptions by destination, as clients wrote it. Counted when it is asked for: nothing is kept for it.
 *
 * @example
 * subscriptionsByDestination(clients).get('/topic/prices'); // 12
 */
export function subscriptionsByDestination(clients: Iterable<CountedClient>): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const client of clients) for (const each of client.destinations()) count(counts, each);
  return counts;
}

/** Connections by the name of their principal. Counted when it is asked for. */
export function connectionsByUser(clients: Iterable<CountedClient>): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { userName } of clients) if (userName !== undefined) count(counts, userName);
  return counts;
}

const count = (counts: Map<string, number>, key: string): void => void counts.set(key, (counts.get(key) ?? 0) + 1);
