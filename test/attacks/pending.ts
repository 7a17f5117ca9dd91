/**
 * Attacks that still do harm, with what was measured on a machine that others used as well. Nothing may stay here: the
 * runners say each aloud.
 */
export const pending: Readonly<Record<string, string>> = {
  '1 MB of variables for each of 100 idle subscriptions, over 4 connections':
    'memory is bounded (+73 MiB); turns of 490 ms, since JSON.parse of a message is one call (T1)',
  '1 MB of extensions, deeply nested, for each of 100 idle subscriptions':
    'memory is bounded (+21 MiB); turns of 141 ms, since JSON.parse of a message is one call (T1)',
  '1,000 readers that never read, on the topic of the others':
    '304 are cut by the budget of the process, but hold 408 MiB until closeTimeout; the honest client waits 5.4 s (T12)',
};
