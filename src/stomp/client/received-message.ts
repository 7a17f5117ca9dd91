import type { Frame, Headers } from '../protocol/frame.ts';
import type { ClientSession } from './client-session.ts';

/** More headers of an ACK or NACK, such as `transaction` or `receipt`. */
export type AckHeaders = Readonly<Record<string, string>>;

/** A MESSAGE as its subscriber gets it. */
export class ReceivedMessage {
  /** As the server sent them, unescaped. */
  readonly headers: Headers;
  readonly #frame: Frame;
  readonly #session: ClientSession;

  constructor(frame: Frame, session: ClientSession) {
    this.headers = frame.headers;
    this.#frame = frame;
    this.#session = session;
  }

  /** The body as it came: a view of a larger buffer, so copy what you keep for long. */
  get bytes(): Uint8Array {
    return this.#frame.body;
  }

  get destination(): string {
    return this.headers.get('destination') ?? '';
  }

  /** The body as text, a BOM kept; octets that are not UTF-8 become U+FFFD. Decoded at each call. */
  get body(): string {
    return this.#frame.text;
  }

  /** The body as JSON. Throws a `SyntaxError` if it is none. */
  json<T = unknown>(): T {
    return JSON.parse(this.body) as T;
  }

  /**
   * Acknowledge it ([STOMP-54]). False: the connection it came by is gone, the server delivers it again. Throws an
   * `Error` if its subscription acknowledges by itself (`ack: 'auto'`).
   */
  ack(headers?: AckHeaders): boolean {
    return this.#answer('ACK', headers);
  }

  /** Refuse it ([STOMP-55]); the server decides what becomes of it. As {@link ack}; throws on STOMP 1.0, which has none. */
  nack(headers?: AckHeaders): boolean {
    return this.#answer('NACK', headers);
  }

  #answer(command: 'ACK' | 'NACK', more?: AckHeaders): boolean {
    const { headers } = this;
    const { version } = this.#session;
    const id = headers.get('ack') ?? '';
    if (version === '1.2' ? !id : version === '1.0' && command === 'NACK') {
      throw new Error(`${command} needs a subscription with { ack: 'client' }; STOMP 1.0 has no NACK`);
    }
    const subscription = headers.get('subscription');
    const old = { 'message-id': headers.get('message-id') ?? '', ...(subscription && { subscription }) };
    return this.#session.send(command, { ...(version === '1.2' ? { id } : old), ...more });
  }
}
