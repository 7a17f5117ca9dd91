/**
 * Attacks that still do harm, with what was measured on a machine that others used as well. Nothing may stay here: the
 * runners say each aloud.
 */
export const pending: Readonly<Record<string, string>> = {
  '1,000 readers that never read, on the topic of the others':
    'memory is bounded (+704 MiB); the honest client waits 6.7 s, since each of 500 GraphQL readers is executed for (T12)',
};
