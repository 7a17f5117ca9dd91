import { drainPoll } from './client-connection.ts';
import { never, type Timed, type Timers } from './clock.ts';
import { closeReason, type Fault, ProtocolError } from './fault.ts';
import type { ConnectionLimits } from './limits.ts';
import { isPromise } from './promise-or.ts';
import type { Socket, SocketReceiver } from './socket.ts';
import type { BaseConnection, BaseSession } from './subprotocol.ts';
import type { Wire } from './wire.ts';

/** What ended a connection; `fault` is absent when the peer, or we ourselves, closed it normally. */
export interface ConnectionEnd {
  readonly code: number;
  readonly reason: string;
  readonly fault?: Fault | undefined;
}

/** What many connections may have in common. */
export interface ConnectionOptions {
  readonly clock: Timers;
  readonly limits: ConnectionLimits;
  /** Errors that are not the peer's fault. */
  readonly report: (error: unknown) => void;
  /** Called exactly once, after the session was told. */
  ended?(connection: LiveConnection, end: ConnectionEnd): void;
}

/**
 * One socket and one session: sending, time, backpressure, and the one path on which everything ends. Below it is what
 * protects a server from strangers. Clients have a smaller one, `openConnection`.
 *
 * open ──fault, finish──▶ closing (last words are out, close frame sent) ──closed, timeout──▶ ended
 */
export abstract class LiveConnection implements BaseConnection, SocketReceiver, Timed {
  readonly limits: ConnectionLimits;
  /** Absent until `start` has opened it. */
  session: BaseSession | undefined;
  sentAt: number;
  receivedAt: number;

  protected readonly socket: Socket;
  protected readonly options: ConnectionOptions;
  protected state: 'open' | 'closing' | 'ended' = 'open';
  protected fault: Fault | undefined;
  /** When to look whether the transport takes more; once closing, when to drop it. */
  protected wakeAt: number;

  constructor(socket: Socket, options: ConnectionOptions) {
    this.socket = socket;
    this.options = options;
    this.limits = options.limits;
    this.sentAt = this.receivedAt = this.now;
    // Here, not where it is declared: there it would take memory of its own, in thousands of connections.
    this.wakeAt = never;
  }

  /** Open the session. It may send, hold or close while it is made. */
  start(open: (connection: this) => BaseSession): void {
    this.enter(() => {
      this.session = open(this);
    });
  }

  get now(): number {
    return this.options.clock.now();
  }

  get name(): string {
    return this.socket.protocol;
  }

  get closing(): boolean {
    return this.state !== 'open';
  }

  get buffered(): number {
    return this.socket.bufferedAmount;
  }

  get saturated(): boolean {
    const saturated = this.buffered > this.limits.highWaterMark / 2;
    // Whoever is told so waits for `drained`, and not every transport tells when it takes more again.
    if (saturated) this.wakeIn(drainPoll);
    return saturated;
  }

  protected wakeIn(ms: number): void {
    if (this.closing) return;
    this.wakeAt = Math.min(this.wakeAt, this.now + ms);
    this.touch();
  }

  send(wire: Wire): void {
    if (this.closing) return;
    this.socket.write([wire]);
    this.sentAt = this.now;
  }

  received(data: string | Uint8Array): void {
    if (this.closing) return;
    const { now } = this;
    this.receivedAt = now;
    this.enter(() => this.session?.receive(data, now));
  }

  /** Every call into the session from outside passes here: nothing that it throws goes further. */
  protected enter(run: () => void): void {
    try {
      run();
    } catch (error) {
      this.caught(error);
    }
    this.touch();
  }

  protected caught(error: unknown): void {
    if (error instanceof ProtocolError) return this.fail(error);
    this.report(error);
    this.fail(new ProtocolError('internal', undefined, { cause: error }));
  }

  resume<T>(
    outcome: Promise<T> | T,
    then: (value: T, now: number) => void,
    otherwise: (error: unknown, now: number) => void = (error) => {
      throw error;
    },
  ): void {
    if (!isPromise(outcome)) return this.settle(then, outcome);
    Promise.resolve(outcome).then(
      (value) => this.settle(then, value),
      // [CONN-25] Nobody waits for it any more, and still it is the application's to know.
      (error: unknown) => (this.closing ? this.report(error) : this.settle(otherwise, error)),
    );
  }

  protected settle<T>(then: (value: T, now: number) => void, value: T): void {
    if (!this.closing) this.enter(() => then(value, this.now));
  }

  /** When the session wants its `tick`. */
  protected get sessionDeadline(): number {
    return this.session?.deadline ?? never;
  }

  get deadline(): number {
    return this.closing ? this.wakeAt : Math.min(this.sessionDeadline, this.wakeAt);
  }

  tick(now: number): void {
    if (now >= this.wakeAt) {
      this.wakeAt = never;
      if (this.closing) return this.terminate();
      if (this.buffered > 0) this.wakeIn(drainPoll);
      else this.drained();
    }
    if (!this.closing && now >= this.sessionDeadline) this.enter(() => this.session?.tick(now));
  }

  /** Re-read the deadlines. Cheap when nothing moved forward. */
  touch(): void {
    this.options.clock.watch(this);
  }

  drained(): void {
    if (this.closing) return;
    this.wakeAt = never;
    this.enter(() => this.session?.drained(this.now));
  }

  probe(): void {
    if (!this.closing) this.enter(() => this.session?.probe?.(this.now));
  }

  // ── the end ────────────────────────────────────────────────────────────────────────────────────────────────────

  close(fault: Fault, detail?: string): void {
    this.fail(new ProtocolError(fault, detail));
  }

  abstract fail(error: ProtocolError): void;

  /** False if there were last words already, or if the session dropped the transport instead. */
  protected lastWords(error: ProtocolError): boolean {
    if (this.closing || this.fault) return false;
    this.fault = error.fault;
    this.enter(() => this.session?.fail?.(error));
    return !this.closing;
  }

  finish(code = 1000, reason = ''): void {
    if (!this.closing && !this.fault) this.shut(code, reason);
  }

  protected shut(code: number, reason: string): void {
    this.beginClose();
    this.socket.close(code, closeReason(reason));
  }

  /** From here on nothing is sent and nothing is read; the peer has so long to agree. */
  protected beginClose(): void {
    this.state = 'closing';
    this.wakeAt = this.now + this.limits.closeTimeout;
    this.touch();
  }

  terminate(): void {
    if (this.state === 'ended') return;
    this.state = 'closing';
    this.wakeAt = never;
    this.socket.terminate();
  }

  closed(code: number, reason: string): void {
    if (this.state === 'ended') return;
    this.state = 'ended';
    this.wakeAt = never;
    this.options.clock.forget(this);
    this.enter(() => this.session?.end(code, reason));
    this.options.ended?.(this, { code, reason, fault: this.fault });
  }

  report(error: unknown): void {
    try {
      this.options.report(error);
    } catch {
      // A logger that throws must not end the process.
    }
  }
}
