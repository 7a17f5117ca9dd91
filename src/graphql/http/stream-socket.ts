import type { Exchange } from '../../adapters/exchange.ts';
import { CloseCode } from '../../core/fault.ts';
import type { ServerReceiver, Socket } from '../../core/socket.ts';
import { decodeUtf8, encodeUtf8, type Wire } from '../../core/wire.ts';
import { GRAPHQL_TRANSPORT_WS_PROTOCOL } from '../protocol/messages.ts';
import type { Framing, Pieces } from './framing.ts';

/** The connection of a stream, as its socket needs it. */
export interface StreamConnection extends ServerReceiver {
  /** The work is done: close it. */
  finish(): void;
}

/** Who waits for what becomes of a stream. */
export interface StreamOwner {
  /** The client was let in. */
  acknowledged(): void;
  /** The first answer of an operation is about to be put out; `failed`: it did not come so far as to have results. */
  answering?(failed: boolean): void;
  /** It ended before anything was answered: an HTTP status and words. */
  refused(status: number, reason: string): void;
  /** Its messages go into an answer from now on. */
  fetched?(): void;
  /** It is over. */
  gone?(): void;
}

/**
 * A session of graphql-transport-ws whose messages leave as an HTTP answer, and whose client speaks by requests: the same
 * limits, hooks, sharing and drain, by the same code ([GQL-120]).
 */
export class StreamSocket implements Socket {
  readonly protocol = GRAPHQL_TRANSPORT_WS_PROTOCOL;
  readonly batches = true;
  /** Ids of the operations that run. */
  readonly running = new Set<string>();
  readonly #framing: Framing;
  readonly #owner: StreamOwner;
  #receiver: StreamConnection | undefined;
  #exchange: Exchange | undefined;
  /** What waits for an answer to go into. */
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #acknowledged = false;
  #end: readonly [code: number, reason: string] | undefined;
  #closed = false;

  constructor(framing: Framing, owner: StreamOwner) {
    this.#framing = framing;
    this.#owner = owner;
  }

  /** The session is there: the client introduces itself. */
  start(receiver: StreamConnection, params: object | undefined): void {
    this.#receiver = receiver;
    receiver.received(JSON.stringify({ type: 'connection_init', payload: params }));
  }

  /** The client wants something executed. */
  subscribe(id: string, payload: string): void {
    this.running.add(id);
    this.#receiver?.received(`{"id":${JSON.stringify(id)},"type":"subscribe","payload":${payload}}`);
  }

  /** The client does not want it any more. */
  complete(id: string): void {
    if (this.running.delete(id)) this.#receiver?.received(JSON.stringify({ id, type: 'complete' }));
  }

  /** Something is answered already. */
  get streams(): boolean {
    return this.#exchange !== undefined;
  }

  /** Messages go into this answer, those first that have waited for it. */
  streamTo(exchange: Exchange, status = 200): void {
    this.#exchange = exchange;
    this.#owner.fetched?.();
    exchange.onDrain = () => this.#receiver?.drained();
    exchange.onClose = () => this.#finished(...(this.#end ?? ([CloseCode.noStatus, ''] as const)));
    exchange.open(status, this.#framing.headers);
    this.#put([this.#framing.opening, ...this.#waiting]);
    this.#waiting = [];
    this.#waitingBytes = 0;
  }

  get bufferedAmount(): number {
    return this.#waitingBytes + (this.#exchange?.bufferedAmount ?? 0);
  }

  write(wires: readonly Wire[]): void {
    const pieces: (string | Uint8Array)[] = [];
    for (const { head, tail } of wires) {
      const text = typeof head === 'string' ? head : decodeUtf8(head);
      pieces.push(...(tail ? this.#next(text, tail) : this.#control(text)));
    }
    this.#put(pieces);
  }

  #next(head: string, tail: Uint8Array): Pieces {
    if (!this.#exchange) this.#owner.answering?.(false);
    return this.#framing.next(head, tail);
  }

  /** All messages but results: they are short, and few. */
  #control(text: string): Pieces {
    const message = JSON.parse(text) as { readonly type: string; readonly id?: string; readonly payload?: unknown };
    if (message.type === 'connection_ack') {
      this.#acknowledged = true;
      // The connection is writing, and is not to hear the client's answer inside that.
      queueMicrotask(() => this.#owner.acknowledged());
    }
    if (message.type !== 'complete' && message.type !== 'error') return [];
    const id = message.id as string;
    this.running.delete(id);
    if (!this.#exchange) this.#owner.answering?.(message.type === 'error');
    if (this.#framing.single) queueMicrotask(() => this.#receiver?.finish());
    return this.#framing.ended(id, message.type === 'error' ? JSON.stringify(message.payload) : undefined);
  }

  #put(pieces: Pieces): void {
    const bytes = joined(pieces);
    if (bytes.length === 0) return;
    if (this.#exchange) return this.#exchange.write(bytes);
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
  }

  /** The client is asked nothing, since it could not answer: that it still takes bytes shows in what is buffered. */
  ping(): void {
    if (this.#exchange) this.#put([this.#framing.beat]);
    queueMicrotask(() => this.#receiver?.ponged());
  }

  close(code: number, reason: string): void {
    this.#end = [code, reason];
    if (!this.#acknowledged) this.#owner.refused(statusOf(code), reason);
    if (this.#exchange) this.#exchange.end();
    else queueMicrotask(() => this.#finished(code, reason));
  }

  terminate(): void {
    this.#exchange?.destroy();
    this.#finished(CloseCode.abnormal, '');
  }

  #finished(code: number, reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#owner.gone?.();
    this.#receiver?.closed(code, reason);
  }
}

function joined(pieces: Pieces): Uint8Array {
  const parts = pieces.map((piece) => (typeof piece === 'string' ? encodeUtf8(piece) : piece));
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** Close codes from 4400 to 4499 were made after the statuses of HTTP. */
function statusOf(code: number): number {
  if (code >= 4_400 && code <= 4_499) return code - 4_000;
  if (code === CloseCode.tooLarge) return 413;
  if (code === CloseCode.policyViolation) return 403;
  if (code === CloseCode.internalError) return 500;
  return 503;
}
