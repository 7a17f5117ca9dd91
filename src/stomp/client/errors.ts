import type { Frame, Headers } from '../protocol/frame.ts';

/** The server answered with an ERROR frame; `message` is its `message` header ([STOMP-63]). */
export class StompError extends Error {
  override readonly name = 'StompError';
  readonly headers: Headers;
  /** What the server has to say about it, as text. */
  readonly body: string;

  constructor({ headers, text }: Frame) {
    super(headers.get('message') ?? 'The server sent an ERROR');
    this.headers = headers;
    this.body = text;
  }
}

/** The connection ended; what was under way may or may not have happened. */
export class ConnectionLost extends Error {
  override readonly name = 'ConnectionLost';
  /** The close code, 1006 if there was none. */
  readonly code: number;
  /** The close reason. */
  readonly reason: string;

  constructor(code: number, reason: string, options?: ErrorOptions) {
    super(`The connection ended: ${code} ${reason}`.trim(), options);
    this.code = code;
    this.reason = reason;
  }
}
