/** What is sent: an event of about 100 bytes, or one of about 2 KB with 66 fields. */
export type EventKind = 'tick' | 'book';

export interface FanOutOptions {
  readonly kind: EventKind;
  /** Events that are made in one turn of the event loop. */
  readonly burst: number;
}

export const queries: Readonly<Record<EventKind, string>> = {
  tick: 'subscription { tick { seq symbol price at } }',
  book: 'subscription { book { seq rows { id venue bid ask size } } }',
};

/** The one query of the request workload. */
export const echoQuery = 'query Echo($text: String!) { echo(text: $text) }';

/** Every payload contains this. */
export const marker = 'ACME-CORPORATION';

let seq = 0;

export function createEvent(kind: EventKind): Record<string, unknown> {
  seq++;
  if (kind === 'tick') return { seq, symbol: marker, price: 101.25, at: 1_764_000_000_000 };
  const rows = Array.from({ length: 13 }, (_, row) => ({
    id: `order-${100_000_000_000 + row}-${100_000_000_000 + seq}`,
    venue: `${marker}-FRANKFURT-0${row}`,
    bid: 101.25 + row,
    ask: 101.5 + row,
    size: 1_234_500 + row,
  }));
  return { seq, rows };
}

/** The text that a server without GraphQL sends in place of a `next` message. */
export const nextMessage = (kind: EventKind): string =>
  `{"id":"01234567-89ab-cdef-0123-456789abcdef","type":"next","payload":{"data":{"${kind}":${JSON.stringify(createEvent(kind))}}}}`;

/** Call `publish` as often as there are events in a burst. */
export const bursts =
  ({ burst }: FanOutOptions, publish: () => void): (() => void) =>
  () => {
    for (let left = burst; left > 0; left--) publish();
  };
