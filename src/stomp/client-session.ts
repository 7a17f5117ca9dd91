import { never } from '../core/clock.ts';
import { ProtocolError } from '../core/fault.ts';
import type { BaseConnection, BaseSession } from '../core/subprotocol.ts';
import { Decoder, encodeFrame, encodeHead, endOfLine, type Frame, type HeaderInput, type Headers } from './codec.ts';
import { ConnectionLost, StompError } from './errors.ts';
import { entriesOf } from './headers.ts';
import { split } from './split.ts';
import { type AgreedHeartBeat, type HeartBeat, negotiateHeartBeat, parseHeartBeat, type Version } from './versions.ts';

/** Beat after this part of the agreed time, so that the beat is there when it is due. */
const early = 0.8;
/**
 * After so many intervals of silence a server is gone ([STOMP-37]). ActiveMQ looks at each interval whether it has sent
 * something in it, so that its beat may come just after two.
 */
export const heartBeatTolerance = 2.1;
/** A server is trusted with more than a client is, but not with all of our memory ([STOMP-23]). */
const maxHeaders = 1_000;
const maxHeaderBytes = 262_144;

/** What happened to a frame that asked for a receipt. `latency` is its round trip, in ms. */
export interface ReceiptSink {
  received(latency: number): void;
  failed(error: Error): void;
}

/** What the client wants of each of its sessions, and what it hears from it. */
export interface ClientSessionHost {
  readonly versions: readonly Version[];
  readonly heartBeat: HeartBeat;
  /** So many times the agreed time may pass without an octet. */
  readonly tolerance: number;
  /** From the open socket to CONNECTED, in ms. */
  readonly connectTimeout: number;
  /** From a frame to its RECEIPT, in ms. */
  readonly receiptTimeout: number;
  /** False: text without a NUL goes without its length. */
  readonly contentLength?: boolean | undefined;
  connected(headers: Headers): void;
  message(frame: Frame): void;
  error(error: StompError, wasConnected: boolean): void;
  heartbeatLost(): void;
  drained(): void;
}

interface Receipt {
  readonly sentAt: number;
  readonly sink: ReceiptSink;
}

const disconnectReceipt = 'disconnect';

/**
 * The client's side of one STOMP connection.
 *
 * opening ──start──▶ connecting ──CONNECTED──▶ connected ──leave──▶ leaving
 */
export class ClientSession implements BaseSession {
  /** What CONNECTED said; 1.0 before. */
  version: Version = '1.0';

  readonly #connection: BaseConnection;
  readonly #host: ClientSessionHost;
  readonly #decoder: Decoder;
  #state: 'opening' | 'connecting' | 'connected' | 'leaving' = 'opening';
  #until: number;
  #beat: AgreedHeartBeat = { send: 0, expect: 0 };
  #receipts: Map<string, Receipt> | undefined;
  #left: (() => void) | undefined;
  #complaint: StompError | undefined;

  constructor(connection: BaseConnection, host: ClientSessionHost) {
    const { maxPayload } = connection.limits;
    this.#connection = connection;
    this.#host = host;
    this.#decoder = new Decoder({ maxHeaders, maxHeaderLine: maxHeaderBytes, maxHeaderBytes, maxBody: maxPayload });
    this.#until = connection.now + host.connectTimeout;
  }

  /** Frames can be sent: after CONNECTED, before DISCONNECT. */
  get connected(): boolean {
    return this.#state === 'connected' && !this.#connection.closing;
  }

  get subprotocol(): string {
    return this.#connection.name;
  }

  get saturated(): boolean {
    return this.#connection.saturated;
  }

  get deadline(): number {
    const { sentAt, receivedAt } = this.#connection;
    const { send, expect } = this.#beat;
    let deadline = this.#until;
    if (send > 0) deadline = Math.min(deadline, sentAt + send * early);
    if (expect > 0) deadline = Math.min(deadline, receivedAt + expect * this.#host.tolerance);
    // All wait equally long, so the oldest is the first.
    const oldest = this.#receipts?.values().next().value;
    return oldest ? Math.min(deadline, oldest.sentAt + this.#host.receiptTimeout) : deadline;
  }

  /** Send CONNECT. `headers` win over those that are made here. Throws a `TypeError` on a header that it cannot carry. */
  start(host: string, headers: HeaderInput = []): void {
    const { versions, heartBeat } = this.#host;
    this.#state = 'connecting';
    const all = new Map([
      ['accept-version', versions.join(',')],
      ['host', host],
      ['heart-beat', `${heartBeat.outgoing},${heartBeat.incoming}`],
      ...entriesOf(headers),
    ]);
    this.#connection.send(encodeFrame('1.2', 'CONNECT', all));
  }

  /**
   * Send a frame, in pieces of at most `maxBytes`. Only while `connected`. Throws a `TypeError` on a header that the
   * version cannot carry; nothing is sent then.
   */
  send(command: string, headers: HeaderInput, body?: string | Uint8Array, maxBytes: number = never): void {
    const bare = this.#host.contentLength === false && typeof body === 'string' && !body.includes('\0');
    const wire = bare
      ? { head: `${encodeHead(this.version, command, headers)}\n${body}\0`, binary: false }
      : encodeFrame(this.version, command, headers, body);
    if (maxBytes === never) return this.#connection.send(wire);
    for (const piece of split(wire, maxBytes)) this.#connection.send(piece);
  }

  /** Wait for the RECEIPT of a frame that was just sent with this `receipt` header ([STOMP-61]). */
  expectReceipt(id: string, sink: ReceiptSink): void {
    this.#receipts ??= new Map();
    this.#receipts.set(id, { sentAt: this.#connection.now, sink });
    this.#connection.touch();
  }

  /** Send DISCONNECT and nothing after it; `left` is called once its RECEIPT came, `timeout` ms passed or the link broke ([STOMP-66] [STOMP-67]). */
  leave(timeout: number, left: () => void): void {
    this.send('DISCONNECT', { receipt: disconnectReceipt });
    this.#state = 'leaving';
    // [STOMP-66] Not even a heart-beat follows.
    this.#beat = { send: 0, expect: this.#beat.expect };
    this.#until = this.#connection.now + timeout;
    this.#left = left;
    this.#connection.touch();
  }

  receive(data: string | Uint8Array): void {
    this.#decoder.push(data);
    this.released();
  }

  released(): void {
    while (!this.#connection.closing) {
      const frame = this.#decoder.next();
      if (frame === undefined) return;
      this.#take(frame);
    }
  }

  #take(frame: Frame): void {
    const { command, headers } = frame;
    if (command === 'ERROR') return this.#error(new StompError(frame));
    if (this.#state === 'opening' || this.#state === 'connecting') {
      if (command !== 'CONNECTED') throw new ProtocolError('malformed', `${command} before CONNECTED`);
      return this.#connected(headers);
    }
    if (command === 'MESSAGE') this.#host.message(frame);
    else if (command === 'RECEIPT') this.#receipt(headers.get('receipt-id') ?? '');
    else throw new ProtocolError('malformed', `${command} is not expected here`);
  }

  #connected(headers: Headers): void {
    // [STOMP-28] A 1.0 server does not say it.
    const version = (headers.get('version') ?? '1.0') as Version;
    if (!this.#host.versions.includes(version)) {
      throw new ProtocolError('unacceptable', `The server speaks STOMP ${version}, which was not offered`);
    }
    this.version = this.#decoder.version = version;
    this.#state = 'connected';
    this.#until = never;
    if (version !== '1.0') {
      this.#beat = negotiateHeartBeat(this.#host.heartBeat, parseHeartBeat(headers.get('heart-beat')));
    }
    this.#host.connected(headers);
  }

  #receipt(id: string): void {
    const receipt = this.#receipts?.get(id);
    if (receipt) {
      this.#receipts?.delete(id);
      receipt.sink.received(this.#connection.now - receipt.sentAt);
    } else if (id === disconnectReceipt) this.#leave();
  }

  #error(error: StompError): void {
    const id = error.headers.get('receipt-id') ?? '';
    const receipt = this.#receipts?.get(id);
    this.#receipts?.delete(id);
    receipt?.sink.failed(error);
    // An ERROR that names no frame may be about any of those that wait.
    if (!receipt) this.#complaint = error;
    this.#host.error(error, this.#state === 'connected');
    // [STOMP-63] Brokers that leave the connection open after an ERROR are not listened to any longer either.
    this.#connection.finish();
    this.#leave();
  }

  /** No RECEIPT comes any more: whoever leaves need not wait for the close handshake as well. */
  fail(_error: ProtocolError): void {
    this.#leave();
  }

  #leave(): void {
    const left = this.#left;
    this.#left = undefined;
    this.#until = never;
    left?.();
  }

  tick(now: number): void {
    const { receiptTimeout, tolerance } = this.#host;
    const { sentAt, receivedAt } = this.#connection;
    const { send, expect } = this.#beat;
    if (now >= this.#until) {
      if (this.#state === 'leaving') return this.#leave();
      throw new ProtocolError('initTimeout');
    }
    if (expect > 0 && now >= receivedAt + expect * tolerance) {
      this.#host.heartbeatLost();
      this.#connection.close('heartbeat', 'Heartbeat timeout');
      // A peer that is gone takes part in no close handshake.
      return this.#connection.terminate();
    }
    if (send > 0 && now >= sentAt + send * early) this.#connection.send(endOfLine);
    for (const [id, receipt] of this.#receipts ?? []) {
      if (now < receipt.sentAt + receiptTimeout) break;
      this.#receipts?.delete(id);
      receipt.sink.failed(new Error(`No RECEIPT came within ${receiptTimeout} ms`));
    }
  }

  drained(): void {
    this.#host.drained();
  }

  /** Something for the link to do: one that is broken says so sooner. */
  probe(): void {
    if (this.connected) this.#connection.send(endOfLine);
  }

  end(code: number, reason: string): void {
    const receipts = this.#receipts;
    const problem = this.#complaint ?? new ConnectionLost(code, reason);
    this.#receipts = undefined;
    for (const receipt of receipts?.values() ?? []) receipt.sink.failed(problem);
    this.#leave();
  }
}
