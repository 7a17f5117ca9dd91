/** Where a message stands in its topic: readers keep it, and ask for what came after. */
export interface Position {
  /** Changes when the topic's history was lost; offsets of different epochs cannot be compared. */
  readonly epoch: string;
  /** Grows from message to message of a topic. */
  readonly offset: number;
}

/** What travels with a body: names and values as the publisher gave them. */
export type MessageHeaders = ReadonlyMap<string, string>;

/** A way to express a message: as a decoded value, as the frame of a protocol. Compared by identity. */
export interface Encoding<T> {
  encode(message: Message): T;
}

/**
 * One published message. `as(form)` expresses it once per form, however many receivers there are; a form that throws
 * throws the same error for each of them.
 */
export interface Message {
  readonly topic: string;
  readonly body: Uint8Array;
  /** MIME type of the body; undefined: bytes of unknown kind. */
  readonly contentType: string | undefined;
  readonly headers: MessageHeaders;
  readonly position: Position;
  encodedAs<T>(form: Encoding<T>): T;
}

const noHeaders: MessageHeaders = new Map();

/**
 * @example
 * const message = createMessage({ topic: 'prices', body: encodeUtf8('{}'), position: { epoch: 'e', offset: 1 } });
 */
export function createMessage(parts: {
  readonly topic: string;
  readonly body: Uint8Array;
  readonly contentType?: string | undefined;
  readonly headers?: MessageHeaders | undefined;
  readonly position: Position;
}): Message {
  return new PublishedMessage(parts.topic, parts.body, parts.contentType, parts.headers ?? noHeaders, parts.position);
}

class PublishedMessage implements Message {
  readonly topic: string;
  readonly body: Uint8Array;
  readonly contentType: string | undefined;
  readonly headers: MessageHeaders;
  readonly position: Position;
  // A message has two or three forms, never many: a list is smaller and faster than a map.
  readonly #forms: Expressed[] = [];

  constructor(
    topic: string,
    body: Uint8Array,
    contentType: string | undefined,
    headers: MessageHeaders,
    position: Position,
  ) {
    this.topic = topic;
    this.body = body;
    this.contentType = contentType;
    this.headers = headers;
    this.position = position;
  }

  encodedAs<T>(form: Encoding<T>): T {
    // A loop, not `find`: this runs for every receiver.
    for (const known of this.#forms) if (known.form === form) return valueOf<T>(known);
    let made: Expressed;
    try {
      made = { form, value: form.encode(this) };
    } catch (error) {
      made = { form, error };
    }
    this.#forms.push(made);
    return valueOf<T>(made);
  }
}

interface Expressed {
  readonly form: Encoding<unknown>;
  readonly value?: unknown;
  readonly error?: unknown;
}

function valueOf<T>(expressed: Expressed): T {
  if ('error' in expressed) throw expressed.error;
  return expressed.value as T;
}
