import { assertOption } from './options.ts';

/**
 * What happens to what a subscriber should get while it reads too slowly: its connection is cut (1013, the client comes
 * back), or the oldest that waits is dropped, or only the latest is kept.
 */
export type SlowSubscriber = 'disconnect' | 'dropOldest' | 'latest';

const policies: readonly unknown[] = ['disconnect', 'dropOldest', 'latest'] satisfies SlowSubscriber[];

/** Absent: `disconnect`. Throws a `TypeError` if it is none. */
export function slowSubscriberOf(given: SlowSubscriber = 'disconnect'): SlowSubscriber {
  assertOption(policies.includes(given), 'slowSubscriber', "'disconnect', 'dropOldest' or 'latest'", given);
  return given;
}
