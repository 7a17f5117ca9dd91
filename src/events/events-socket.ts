import type { Exchange } from '../adapters/exchange.ts';
import { CloseCode } from '../core/fault.ts';
import type { ServerReceiver, Socket } from '../core/socket.ts';
import { decodeUtf8Lossy, type Wire } from '../core/wire.ts';

/** A comment, which every reader of events passes over: the sign of life. */
const beat = ':\n\n';

/** How long readers wait before they come back, in ms: at least this, and as much again at most, so that not all come at once. */
const retryLeast = 1_000;

/** An answer that goes on, as the socket of a connection: what is sent are events, and the client says nothing ([EVENTS-1]). */
export class EventsSocket implements Socket {
  readonly protocol = 'event-stream';
  readonly batches = true;
  readonly #exchange: Exchange;
  #receiver: ServerReceiver | undefined;
  #begun = false;
  #end: readonly [code: number, reason: string] = [CloseCode.noStatus, ''];
  #closed = false;

  constructor(exchange: Exchange) {
    this.#exchange = exchange;
    exchange.onDrain = () => this.#receiver?.drained();
    exchange.onClose = () => this.#finished();
  }

  /** Who hears of it. It may have ended before. */
  start(receiver: ServerReceiver): void {
    this.#receiver = receiver;
  }

  get bufferedAmount(): number {
    return this.#exchange.bufferedAmount;
  }

  write(wires: readonly Wire[]): void {
    if (!this.#begun) {
      this.#begun = true;
      this.#exchange.open(200, { 'Content-Type': 'text/event-stream; charset=utf-8' });
      const retry = retryLeast + Math.floor(Math.random() * retryLeast);
      this.#exchange.write(`retry: ${retry}\n\n`);
    }
    for (const { head, tail } of wires) {
      if (head.length > 0) this.#exchange.write(typeof head === 'string' ? head : decodeUtf8Lossy(head));
      if (tail) this.#exchange.write(tail);
    }
  }

  /** The client is asked nothing, since it could not answer: that it still takes bytes shows in what is buffered. */
  ping(): void {
    if (this.#begun) this.#exchange.write(beat);
    queueMicrotask(() => this.#receiver?.ponged());
  }

  close(code: number, reason: string): void {
    this.#end = [code, reason];
    if (this.#begun) this.#exchange.end();
    else this.#exchange.answer(statusOf(code), `${reason}\n`);
  }

  terminate(): void {
    this.#exchange.destroy();
    this.#finished();
  }

  #finished(): void {
    if (this.#closed) return;
    this.#closed = true;
    // The connection may be the one that ends it, or not be there yet.
    queueMicrotask(() => this.#receiver?.closed(...this.#end));
  }
}

/** What a browser does not come back from is 4xx: who it is will be the same again. */
function statusOf(code: number): number {
  if (code >= 4_400 && code <= 4_499) return code - 4_000;
  return code === CloseCode.internalError ? 500 : 503;
}
