import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock, Timed } from '../core/clock.ts';
import type { Handshake } from '../core/subprotocol.ts';
import { ignore } from './answer.ts';

/** Clients that are refused because there is no room are asked to come back after so many seconds. */
export const retryAfterDefault = 5;

/** A request that cannot be served, with the status and the words that say why. */
export class HttpProblem extends Error {
  /** The HTTP status. */
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.name = 'HttpProblem';
    this.status = status;
  }
}

/** What the bodies that are being read take together, so that many of them cannot take more than one may. */
export interface BodyBudget {
  /** Bytes that have come, of bodies that are not whole. */
  bytes: number;
  /** How many they may be. */
  readonly most: number;
}

/** One HTTP request that was let in, and its answer, which may be a stream that never ends. */
export class Exchange {
  /** What is kept of the request. */
  readonly handshake: Handshake;
  /** Called when the connection behind it is gone, or the answer was sent whole. */
  onClose: () => void = ignore;
  /** Called when more can be written. */
  onDrain: () => void = ignore;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #clock: Clock;

  constructor(request: IncomingMessage, response: ServerResponse, handshake: Handshake, clock: Clock) {
    this.#request = request;
    this.#response = response;
    this.#clock = clock;
    this.handshake = handshake;
    request.on('error', ignore);
    response.on('error', ignore);
    response.on('close', () => this.onClose());
    response.on('drain', () => this.onDrain());
  }

  /** `GET`, `POST` and so on. */
  get method(): string {
    return this.#request.method ?? '';
  }

  /** What follows the path. */
  get query(): URLSearchParams {
    const { url = '' } = this.#request;
    const at = url.indexOf('?');
    return new URLSearchParams(at < 0 ? '' : url.slice(at));
  }

  /** A header of the request, by its name in lower case; '' where there is none. */
  header(name: string): string {
    return this.#request.headers[name]?.toString() ?? '';
  }

  /** Bytes that were written and that the operating system has not taken. */
  get bufferedAmount(): number {
    return this.#response.writableLength;
  }

  /**
   * The body as text. Rejects with an {@link HttpProblem} when it is longer than `most` bytes (413), has not come within
   * so many ms (408), is no UTF-8 (400), or when all that are being read are too much (503).
   */
  async body(most: number, within: number, budget: BodyBudget): Promise<string> {
    const parsed = (this.#request as { readonly body?: unknown }).body;
    // A middleware before us has read it already.
    if (this.#request.readableEnded && parsed !== undefined) {
      return typeof parsed === 'string' ? parsed : JSON.stringify(parsed);
    }
    const bytes = await this.#bytes(most, within, budget);
    try {
      return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    } catch {
      throw new HttpProblem(400, 'The body is not UTF-8');
    }
  }

  #bytes(most: number, within: number, budget: BodyBudget): Promise<Uint8Array> {
    const request = this.#request;
    return new Promise((resolve, reject) => {
      const pieces: Buffer[] = [];
      let length = 0;
      const timer: Timed = {
        deadline: this.#clock.now() + within,
        tick: () => finish(new HttpProblem(408, `The body did not come within ${within} ms`)),
      };
      const finish = (problem?: HttpProblem): void => {
        this.#clock.forget(timer);
        request.off('data', piece).off('end', whole).off('close', cut);
        budget.bytes -= length;
        if (problem) reject(problem);
        else resolve(Buffer.concat(pieces, length));
      };
      const whole = (): void => finish();
      const cut = (): void => finish(new HttpProblem(400, 'The request was cut'));
      const piece = (data: Buffer): void => {
        length += data.length;
        budget.bytes += data.length;
        if (budget.bytes > budget.most) finish(new HttpProblem(503, 'Too many bodies are being read'));
        else if (length > most) finish(new HttpProblem(413, `The body has more than ${most} bytes`));
        else pieces.push(data);
      };
      this.#clock.watch(timer);
      request.on('data', piece).on('end', whole).on('close', cut);
    });
  }

  /** Let pages of this origin read the answer; `credentials`: also when they send cookies. */
  share(origin: string, credentials: boolean): void {
    this.#response.setHeader('Access-Control-Allow-Origin', origin);
    this.#response.setHeader('Vary', 'Origin');
    if (credentials) this.#response.setHeader('Access-Control-Allow-Credentials', 'true');
  }

  /** Answer with this and nothing else. 429 and 503 carry Retry-After (RFC 9110 10.2.3). */
  answer(status: number, text?: string, headers: Readonly<Record<string, string>> = {}): void {
    const response = this.#response;
    if (response.headersSent) return this.end();
    if (status === 429 || status === 503) response.setHeader('Retry-After', retryAfterDefault);
    // What is left of the request is not read: the connection is of no use any more.
    if (!this.#request.readableEnded && this.#request.httpVersionMajor < 2) response.setHeader('Connection', 'close');
    const type = text === undefined ? {} : { 'Content-Type': 'text/plain; charset=utf-8' };
    response.writeHead(status, { ...type, ...headers }).end(text);
  }

  /** Begin an answer that goes on: proxies neither keep nor change it, and pass it on at once. */
  open(status: number, headers: Readonly<Record<string, string>>): void {
    this.#response.writeHead(status, {
      'Cache-Control': 'no-store, no-transform',
      'X-Accel-Buffering': 'no',
      ...headers,
    });
    this.#response.flushHeaders();
  }

  /** Send more of it. */
  write(data: Uint8Array | string): void {
    this.#response.write(data);
  }

  /** That was all. */
  end(): void {
    this.#response.end();
  }

  /** Cut it off. */
  destroy(): void {
    this.#response.destroy();
  }
}
