/** Where a message stands in the log of its backbone, which says nothing about other backbones. */
export interface Position {
  /** Changes when the log was lost; offsets of different epochs cannot be compared. */
  readonly epoch: string;
  /** Grows from message to message, over all topics. */
  readonly offset: number;
}

/** What travels with a body: names and values as the publisher gave them. */
export type MessageHeaders = ReadonlyMap<string, string>;

/** A way to express a message: as a decoded value, as the frame of a protocol. Forms are compared by identity. */
export interface Encoding<T> {
  /** Express a message. Called once per message, whoever asks for it. */
  encode(message: Message): T;
}

/**
 * One published message. It is shared by all its receivers, so that nobody may change it.
 */
export interface Message {
  /** The name under which it was published. */
  readonly topic: string;
  /** The bytes that were published. */
  readonly body: Uint8Array;
  /** MIME type of the body; undefined: bytes of unknown kind. */
  readonly contentType: string | undefined;
  /** What travels with the body. */
  readonly headers: MessageHeaders;
  /** Where it stands in the log of its backbone. */
  readonly position: Position;
  /**
   * The message in this form, expressed once, however many receivers there are. A form that throws throws the same error
   * for each of them.
   */
  encodedAs<T>(form: Encoding<T>): T;
}

const noHeaders: MessageHeaders = new Map();

/**
 * Make a message, as a backbone does for each one that arrives. Its parts must not be changed afterwards.
 *
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
