import { ProtocolError } from '../../core/fault.ts';

/** What is kept of a message: counted while it waits, with its headers, which may be larger than its body. */
export interface Storable {
  /** The octets of the body. */
  readonly body: Uint8Array;
  /** Its MIME type. */
  readonly contentType: string | undefined;
  /** Its headers. */
  readonly headers: ReadonlyMap<string, string> | undefined;
}

/** What things cost in memory beside the bytes that they carry, as measured ([STOMP-91]). */
export const costs = {
  /** A message that is kept: objects, an array buffer, an entry of a list. */
  message: 500,
  /** A header of a message. */
  header: 50,
  /** An open subscription. */
  subscription: 1_000,
  /** A segment of its destination: a node of the bus's tree of patterns. */
  segment: 250,
  /** A delivery that waits for its ACK. */
  delivery: 250,
} as const;

/** Bytes that a message occupies while it is kept. Text is taken for ASCII, which headers nearly always are. */
export function storedSize({ body, contentType = '', headers }: Storable): number {
  const own = costs.message + body.length + contentType.length;
  return headers ? own + textLength(headers) + costs.header * headers.size : own;
}

/** Names and values together. */
export function textLength(headers: ReadonlyMap<string, string>): number {
  let length = 0;
  for (const [name, value] of headers) length += name.length + value.length;
  return length;
}

/** So many messages and so many bytes may be kept, here and in the allowance that this one is a part of. */
export class Quota {
  readonly #full: string;
  readonly #maxMessages: number;
  readonly #maxBytes: number;
  readonly #whole: Quota | undefined;
  #messages = 0;
  #bytes = 0;

  /** `full` begins what is said when there is no room: "/queue/a is full: it keeps". */
  constructor(full: string, maxMessages: number, maxBytes: number, whole?: Quota) {
    this.#full = full;
    this.#maxMessages = maxMessages;
    this.#maxBytes = maxBytes;
    this.#whole = whole;
  }

  /** Messages that are kept. */
  get messages(): number {
    return this.#messages;
  }

  /** Bytes that they occupy. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Throws a {@link ProtocolError} `tooMany` unless there is room for so many more. */
  check(messages: number, bytes: number): void {
    const over =
      this.#messages + messages > this.#maxMessages
        ? `${this.#maxMessages} messages`
        : this.#bytes + bytes > this.#maxBytes
          ? `${this.#maxBytes} bytes`
          : undefined;
    if (over !== undefined) throw new ProtocolError('tooMany', `${this.#full} ${over} until they are consumed`);
    this.#whole?.check(messages, bytes);
  }

  /** One more message is kept. */
  take(bytes: number): void {
    this.#messages++;
    this.#bytes += bytes;
    this.#whole?.take(bytes);
  }

  /** One less. */
  give(bytes: number): void {
    this.#messages--;
    this.#bytes -= bytes;
    this.#whole?.give(bytes);
  }
}
