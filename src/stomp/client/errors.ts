import type { Frame, Headers } from '../protocol/frame.ts';

/** The server answered with an ERROR frame; `message` is its `message` header ([STOMP-63]). */
export class StompError extends Error {
  override readonly name = 'StompError';
  /** Its headers, such as `receipt-id`: the frame that it is about. */
  readonly headers: Headers;
  /** What the server has to say about it, as text. */
  readonly body: string;

  constructor({ headers, text }: Frame) {
    super(headers.get('message') ?? 'The server sent an ERROR');
    this.headers = headers;
    this.body = text;
  }
}
