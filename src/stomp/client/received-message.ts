import type { Frame, Headers } from '../protocol/frame.ts';
import type { Acknowledgements, Claim } from './acknowledgements.ts';
import type { ClientSession } from './client-session.ts';
import { headersOf, type SendHeaders } from './outgoing.ts';

/** A MESSAGE as its subscriber gets it. */
export class ReceivedMessage {
  /** As the server sent them, unescaped: a `Map`, so `headers.get('from')`. */
  readonly headers: Headers;
  readonly #frame: Frame;
  readonly #session: ClientSession;
  readonly #acknowledgements: Acknowledgements | undefined;
  readonly #place: number;
  #claim: Claim | undefined;

  constructor(frame: Frame, session: ClientSession, acknowledgements?: Acknowledgements) {
    this.headers = frame.headers;
    this.#frame = frame;
    this.#session = session;
    this.#acknowledgements = acknowledgements;
    this.#place = acknowledgements?.next() ?? 0;
  }

  /** The body as it came: a view of a larger buffer, so copy what you keep for long. */
  get bytes(): Uint8Array {
    return this.#frame.body;
  }

  /** Where it was sent to; '' if the server did not say. */
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
   * Acknowledge it ([STOMP-54]). False, and nothing is sent: it was answered before, or covered by a later one in mode
   * `client`, its subscription has ended, or the connection it came by is gone, so that the server delivers it again.
   * Throws an `Error` if its subscription acknowledges by itself (`ack: 'auto'`), a `TypeError` on a header that is none.
   */
  ack(headers?: SendHeaders): boolean {
    return this.#answer('ACK', headers);
  }

  /** Refuse it ([STOMP-55]); the server decides what becomes of it. As {@link ack}; throws on STOMP 1.0, which has none. */
  nack(headers?: SendHeaders): boolean {
    return this.#answer('NACK', headers);
  }

  #answer(command: 'ACK' | 'NACK', given: SendHeaders = []): boolean {
    const { headers } = this;
    const { version } = this.#session;
    const acknowledgements = this.#acknowledgements;
    const id = headers.get('ack') ?? '';
    if (version === '1.2' ? !id : acknowledgements?.mode === 'auto' || (version === '1.0' && command === 'NACK')) {
      throw new Error(`${command} needs a subscription with { ack: 'client' }; STOMP 1.0 has no NACK`);
    }
    const more = headersOf(given);
    // [STOMP-117] The server would end the connection.
    if (!this.#session.connected || (this.#claim && !this.#claim.undone)) return false;
    if (acknowledgements?.covers(this.#place)) return false;
    const subscription = headers.get('subscription');
    const old = { 'message-id': headers.get('message-id') ?? '', ...(subscription && { subscription }) };
    const own = Object.entries(version === '1.2' ? { id } : old);
    const sent = this.#session.send(command, [
      ...own,
      ...more.filter(([name]) => !own.some(([known]) => known === name)),
    ]);
    const transaction = new Map(more).get('transaction');
    this.#claim = acknowledgements?.claim(this.#place, transaction) ?? { undone: false, done: true };
    return sent;
  }
}
