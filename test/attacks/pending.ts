/**
 * Attacks that still do harm, with what was measured on a machine that others used as well. Nothing may stay here: the
 * runners say each aloud.
 */
export const pending: Readonly<Record<string, string>> = {
  '1,000 readers that never read, on the topic of the others':
    '304 are cut by the budget of the process, but hold 408 MiB until closeTimeout; the honest client waits 5.4 s (T12)',
};
