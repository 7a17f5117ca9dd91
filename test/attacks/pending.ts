/**
 * Attacks that still do harm, with what was measured on a machine that others used as well. Nothing may stay here: the
 * runners say each aloud.
 */
export const pending: Readonly<Record<string, string>> = {
  '1 MB of variables for each of 100 idle subscriptions, over 4 connections': 'in full the process ends (T1)',
  '1 MB of extensions, deeply nested, for each of 100 idle subscriptions':
    'a stall of 123 ms, 94 MiB kept of 9 MB (T1)',
  '63 KB of connection_init in each of 1,000 connections': 'at 0.3 of its size 389 MiB are kept (T1)',
  'tiny SENDs in transactions that never end, 20 connections': 'at 0.3 of its size 283 MiB are kept of 30 MB (T10)',
  '10,000 queues by name, then the client leaves: others have theirs': 'others get 1013: more than 10000 queues (T4)',
  '258 MB of bodies in queues, then the client leaves: others have theirs': 'others get 1013 (T4)',
  'operation ids of 1 MB, which every event repeats': '20 MB come back for 20 events (T11)',
  '500 branching patterns, and SENDs to names of 4 KB that match many': 'turns of 1.7 s (T2)',
  '500 branching patterns of at most 32 segments, and SENDs that match many': 'a delay of 12.9 s (T2)',
  'one message of 30,000 SENDs to a topic with 100 subscriptions': 'at 0.1 of its size a turn of 433 ms (T5)',
  'SENDs as fast as they are taken to a topic with 300 subscribers': 'at 0.3 of its size a delay of 37.7 s (T5)',
  '100,000 tiny SENDs to 100 subscriptions that owe ACKs': 'at 0.3 of its size a delay of 305 ms (T5)',
  '200 pairs of UNSUBSCRIBE and SUBSCRIBE beside 5,000 consumers that owe ACKs': 'at 0.2 a turn of 267 ms (T5)',
  'refused documents of 25 KB, each another': 'turns of 166 ms, one after the other (T5)',
  'one refused document of 25 KB, again and again': 'turns of 185 ms, one after the other (T5)',
  'one small query as fast as it is taken': 'a turn of 325 ms (T5)',
  'bodies that do not decode: a log that is itself the flood': '5,000 bodies are 5,000 calls of onError (9)',
  'a GraphQL message that drips, a byte a second': 'never cut (T8)',
  'a STOMP frame that drips in one message, a byte a second': 'never cut (T8)',
};
