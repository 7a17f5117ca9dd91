import { never } from './clock.ts';
import {
  CloseCode,
  closeOf,
  closeReason,
  type Fault,
  type FaultTable,
  isSendableCode,
  ProtocolError,
} from './fault.ts';
import type { Inbox } from './inbox.ts';
import type { ConnectionLimits } from './limits.ts';
import type { ConnectionEnd } from './open-connection.ts';
import type { Outbox } from './outbox.ts';
import type { SessionGuard } from './session-guard.ts';
import type { Socket } from './socket.ts';

/** What a peer may still send once we have closed, in bytes beside one message: then it is not read any more. */
const readBytes = 65_536;

/** What an {@link Ending} needs of its connection and of the other parts of it. */
export interface EndingHost {
  /** The limits of the connection. */
  readonly limits: ConnectionLimits;
  /** Milliseconds of the clock. */
  readonly now: number;
  /** The transport that is closed. */
  readonly socket: Pick<Socket, 'close' | 'terminate' | 'pause' | 'resume'>;
  /** The session that has last words. */
  readonly guard: Pick<SessionGuard, 'session' | 'sayLastWords'>;
  /** What has to leave before. */
  readonly outbox: Pick<Outbox, 'handedOver' | 'handOver' | 'dropBacklog' | 'clear'>;
  /** What is not processed any more. */
  readonly inbox: Pick<Inbox, 'unfinished' | 'clear'>;
  /** Hand over what is queued. */
  flush(): void;
  /** A deadline has moved. */
  touch(): void;
  /** The transport is gone: tell the session, let go of everything, tell the endpoint. Never throws. */
  over(end: ConnectionEnd): void;
  /** Tell the application of an error. Never throws. */
  report(error: unknown): void;
}

/**
 * How one connection ends: the first fault counts, last words leave, then the close frame, and the peer has so long to
 * answer it. All ways to the end pass here.
 *
 * open ──fail, finish──▶ closing (last words are out, close frame follows) ──closed, timeout──▶ ended
 */
export class Ending {
  /** How far it is. */
  state: 'open' | 'closing' | 'ended' = 'open';
  /** What it ends for; undefined: nothing is wrong. */
  fault: Fault | undefined;
  /** How the transport ended, while what it brought before is still processed. */
  gone: readonly [code: number, reason: string] | undefined;
  readonly #host: EndingHost;
  readonly #faultTable: FaultTable;
  #dropAt: number | undefined;
  // What the close frame will say, while messages before it wait for the peer to read.
  #closeWith: readonly [code: number, reason: string] | undefined;
  #ignoredBytes = 0;

  constructor(host: EndingHost, faultTable: FaultTable) {
    this.#host = host;
    this.#faultTable = faultTable;
  }

  /** Nothing that comes is processed any more. */
  get begun(): boolean {
    return this.state !== 'open';
  }

  /** When the transport is dropped, in ms of the clock; Infinity: it is not. */
  get deadline(): number {
    return this.#dropAt ?? never;
  }

  /** End by this fault; later ones are ignored. */
  fail(error: ProtocolError): void {
    if (this.#lastWords(error)) this.#shut(...this.#closeOf(error));
  }

  /** End because the server leaves. `code` takes the place of the fault table's; the hint says when to come back. */
  leave(hint: string, code: number | undefined): void {
    const error = new ProtocolError('goingAway');
    if (!this.#lastWords(error)) return;
    const [own, reason] = this.#closeOf(error);
    this.#shut(code ?? own, `${reason}${hint}`);
  }

  /** End normally, unless a fault has come before. */
  finish(code: number, reason: string): void {
    if (!this.begun && !this.fault) this.#shut(code, reason);
  }

  /** The transport refuses and closes by itself with this code. Returns the reason that it shall give. */
  refused(code: number): string {
    const error = new ProtocolError(code === CloseCode.tooLarge ? 'tooLarge' : 'malformed');
    if (!this.#lastWords(error)) return '';
    this.#host.outbox.handOver(this.#host.now);
    this.#begin();
    return closeReason(this.#closeOf(error)[1]);
  }

  /** False if there were last words already, or if the session dropped the transport instead. */
  #lastWords(error: ProtocolError): boolean {
    if (this.begun || this.fault) return false;
    this.fault = error.fault;
    // Who reads too slowly gets its last words instead of the messages that it has not read.
    if (error.fault === 'tooSlow' || error.fault === 'tooMany') this.#host.outbox.dropBacklog();
    this.#host.guard.sayLastWords(error);
    return !this.begun;
  }

  #closeOf(error: ProtocolError): [code: number, reason: string] {
    return closeOf(error, this.#faultTable, (bug) => this.#host.report(bug));
  }

  #shut(code: number, reason: string): void {
    this.#host.flush();
    // The flush may have found that nobody reads: then that was the end.
    if (this.begun) return;
    this.#closeWith = [isSendableCode(code) ? code : CloseCode.internalError, closeReason(reason)];
    this.#begin();
    this.#host.inbox.clear();
    // The peer's close frame has to be read.
    this.#host.socket.resume?.();
    this.closeOnceHandedOver();
    this.endIfGone();
  }

  /** From here on nothing is sent and nothing is read; the peer has so long to agree. */
  #begin(): void {
    this.state = 'closing';
    this.#dropAt = this.#host.now + this.#host.limits.closeTimeout;
    this.#host.touch();
  }

  /** Send the close frame if nothing waits before it any more. */
  closeOnceHandedOver(): void {
    if (!this.#closeWith || !this.#host.outbox.handedOver) return;
    const [code, reason] = this.#closeWith;
    this.#closeWith = undefined;
    this.#begin();
    this.#host.socket.close(code, reason);
  }

  /** The peer sent so many bytes after the close: they are not processed, and soon not even read. */
  ignore(bytes: number): void {
    this.#ignoredBytes += bytes;
    if (this.#ignoredBytes > this.#host.limits.maxPayload + readBytes) this.#host.socket.pause?.();
  }

  /** Drop the transport at once, without a goodbye. */
  terminate(): void {
    if (this.state === 'ended') return;
    this.state = 'closing';
    this.#dropAt = this.#closeWith = undefined;
    this.#host.outbox.clear();
    this.#host.inbox.clear();
    this.#host.socket.terminate();
    this.endIfGone();
  }

  /** Is input held back for something that comes in bounded time? */
  get #unfinished(): boolean {
    return !this.begun && this.#host.inbox.unfinished(this.#host.guard.session?.awaiting);
  }

  /** The transport is gone and what it had brought is processed: that is the end. */
  endIfGone(): void {
    if (this.gone && !this.#unfinished) this.closed(...this.gone);
  }

  /** The transport is gone. */
  closed(code: number, reason: string): void {
    if (this.state === 'ended') return;
    if (this.#unfinished) {
      // What came before the end is still processed, in order and without an answer ([STOMP-62]).
      this.gone = [code, reason];
      return;
    }
    this.state = 'ended';
    this.#dropAt = this.#closeWith = undefined;
    this.#host.outbox.clear();
    this.#host.inbox.clear();
    this.#host.over({ code, reason, fault: this.fault });
  }
}
