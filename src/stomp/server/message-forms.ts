import { positionOf } from '../../bus/history.ts';
import type { Encoding, Position } from '../../bus/message.ts';
import { encodeFrameTail } from '../protocol/encoder.ts';
import { expressibleHeaders } from '../protocol/forward-frame.ts';
import { deadLetterHeaders, ownHeaders } from '../protocol/headers.ts';
import { type Version, versions } from '../protocol/versions.ts';

/** The part of a MESSAGE that all its receivers share. */
export interface SharedTail {
  /** May be replaced by a copy of the same bytes: whoever keeps the message must not keep a slab. */
  tail: Uint8Array;
  /** The body is not UTF-8: it cannot leave in a text message of a WebSocket. */
  readonly binary: boolean;
}

/** How a message looks to STOMP clients: encoded once per version, whoever receives it. */
export interface MessageForms {
  /** The `message-id`, where the message stands: the same for every version. */
  readonly id: Encoding<string>;
  /** The shared tail of each version. */
  readonly tail: Readonly<Record<Version, Encoding<SharedTail>>>;
  /** 1.0 acknowledges by message-id alone, so that the head has one per subscription: this tail has none. */
  readonly tailWithoutId: Encoding<SharedTail>;
}

/** The epoch that was written last, which nearly always is the next one too. */
const lastEpoch = { epoch: '', text: '' };

/**
 * A place in a log as a `message-id` ([STOMP-129]). The epoch may be any text: what is left of it needs no escape in any
 * version.
 *
 * @example
 * messageIdOf({ epoch: 'k3f9a2b1', offset: 184467 }); // 'k3f9a2b1-184467'
 */
export function messageIdOf({ epoch, offset }: Position): string {
  if (lastEpoch.epoch !== epoch) Object.assign(lastEpoch, { epoch, text: encodeURIComponent(epoch) });
  return `${lastEpoch.text}-${offset}`;
}

/** Begins the epoch of a message that the application sent to one subscription alone, before all that came after a place. */
export const firstAt = 'first@';

/** The place that a `message-id` says; of what is none of ours, one that nobody was at ([BUS-35]). */
export function placeOfMessageId(id: string): Position {
  const dash = id.lastIndexOf('-');
  try {
    const epoch = decodeURIComponent(id.slice(0, Math.max(dash, 0)));
    return positionOf(`${epoch.startsWith(firstAt) ? epoch.slice(firstAt.length) : epoch}:${id.slice(dash + 1)}`);
  } catch {
    return positionOf(undefined);
  }
}

/** `shown`: the destination of a topic. */
export function createMessageForms(shown: (topic: string) => string): MessageForms {
  const id: Encoding<string> = { encode: ({ position }) => messageIdOf(position) };

  const form = (version: Version, withId: boolean): Encoding<SharedTail> => ({
    encode(message) {
      const headers: [string, string][] = withId ? [['message-id', message.encodedAs(id)]] : [];
      headers.push(['destination', shown(message.topic)]);
      if (message.contentType !== undefined) headers.push(['content-type', message.contentType]);
      for (const [name, value] of message.headers) if (!ownHeaders.send.has(name)) headers.push([name, value]);
      return encodeFrameTail(version, expressibleHeaders(version, headers), message.body);
    },
  });

  const tail = Object.fromEntries(versions.map((version) => [version, form(version, true)]));
  return { id, tail: tail as Record<Version, Encoding<SharedTail>>, tailWithoutId: form('1.0', false) };
}

/** What is left of the headers of a SEND for its receivers; undefined: nothing. */
export function userHeaders(headers: ReadonlyMap<string, string>): Map<string, string> | undefined {
  let kept: Map<string, string> | undefined;
  for (const [name, value] of headers) {
    if (ownHeaders.send.has(name) || deadLetterHeaders.has(name)) continue;
    kept ??= new Map();
    kept.set(name, value);
  }
  return kept;
}
