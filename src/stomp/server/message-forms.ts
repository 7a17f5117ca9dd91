import type { Encoding } from '../../bus/message.ts';
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
  /** The `message-id`: the same for every version. */
  readonly id: Encoding<string>;
  /** The shared tail of each version. */
  readonly tail: Readonly<Record<Version, Encoding<SharedTail>>>;
  /** 1.0 acknowledges by message-id alone, so that the head has one per subscription: this tail has none. */
  readonly tailWithoutId: Encoding<SharedTail>;
}

/** `shown`: the destination of a topic. `epoch` makes message ids unique over restarts and servers. */
export function createMessageForms(shown: (topic: string) => string, epoch: string): MessageForms {
  let count = 0;
  const id: Encoding<string> = { encode: () => `${epoch}-${++count}` };

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
