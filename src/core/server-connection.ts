import { charged } from './account.ts';
import { Authentication, type AuthenticationHost } from './authentication.ts';
import type { Holder, MemoryBudget } from './budget.ts';
import { drainPoll } from './client-connection.ts';
import type { EndOfTurn, Timed } from './clock.ts';
import { Ending, type EndingHost } from './ending.ts';
import { CloseCode, type CloseWords, type Fault, ProtocolError } from './fault.ts';
import { Inbox, type InboxHost } from './inbox.ts';
import type { ConnectionLimits } from './limits.ts';
import { Liveness } from './liveness.ts';
import type { ConnectionEnd, OpenConnection } from './open-connection.ts';
import { Outbox } from './outbox.ts';
import { nextDeadline, runDue, type ScheduleHost } from './schedule.ts';
import type { ServerConnectionOptions } from './server-connection-options.ts';
import { SessionGuard } from './session-guard.ts';
import type { ServerReceiver, Socket } from './socket.ts';
import type { Connection, Handshake, Principal, Session, ShownCredentials } from './subprotocol.ts';
import { turnsOf } from './turns.ts';
import type { Wire } from './wire.ts';

/** How often a socket is asked what it holds while nobody waits for it, in ms. */
const lookInterval = 1_000;

let connectionsSoFar = 0;

/**
 * One socket and one session of a server. What goes out is in its {@link Outbox}, what comes in passes its
 * {@link Inbox}, {@link Liveness} knows whether the peer is there, and every end is an {@link Ending}. Clients
 * have a smaller one, `openConnection`: 0.9 kB instead of 5 in each page that loads it. The relay's connections to its
 * broker are of this class, since what its own client does not read is not read from the broker either.
 */
export class ServerConnection
  implements
    Connection,
    ServerReceiver,
    Timed,
    ScheduleHost,
    EndOfTurn,
    Holder,
    InboxHost,
    EndingHost,
    AuthenticationHost,
    OpenConnection
{
  readonly id: number;
  readonly handshake: Handshake;
  readonly limits: ConnectionLimits;
  sentAt: number;

  readonly #options: ServerConnectionOptions;
  readonly socket: Socket;
  readonly guard: SessionGuard = new SessionGuard(this);
  readonly outbox: Outbox;
  readonly inbox: Inbox;
  readonly liveness: Liveness;
  readonly ending: Ending;
  readonly authentication: Authentication;
  // undefined instead of Infinity: V8 would allocate a HeapNumber for the Infinity of each connection.
  wakeAt: number | undefined;
  slot: number | undefined;
  #kept = 0;
  readonly #openedAt: number;
  #flushing = false;
  constructor(socket: Socket, handshake: Handshake, options: ServerConnectionOptions) {
    const { clock, limits } = options;
    this.socket = socket;
    this.#options = options;
    this.handshake = handshake;
    this.limits = limits;
    this.id = ++connectionsSoFar;
    this.#openedAt = this.sentAt = clock.now();
    this.outbox = new Outbox(this);
    this.inbox = new Inbox(this, turnsOf(clock));
    this.liveness = new Liveness(this, this.#openedAt);
    this.ending = new Ending(this, options.faultTable);
    this.authentication = new Authentication(this, clock);
  }

  /** Open the session. It may send, hold or close while it is made. */
  start(open: (connection: this) => Session): void {
    this.guard.enter(() => {
      this.guard.session = open(this);
    });
  }

  /** Absent until `start` has opened it, although the type says otherwise: nearly all code runs later. */
  get session(): Session {
    return this.guard.session as Session;
  }

  get now(): number {
    return this.#options.clock.now();
  }

  get name(): string {
    return this.socket.protocol;
  }

  get raw(): unknown {
    return this.socket.raw;
  }

  get subprotocol(): string {
    return this.name;
  }

  get openedAt(): number {
    const { clock } = this.#options;
    return clock.wall() - (clock.now() - this.#openedAt);
  }

  get closing(): boolean {
    return this.ending.begun;
  }

  resume<T>(
    outcome: Promise<T> | T,
    then: (value: T, now: number) => void,
    otherwise?: (error: unknown, now: number) => void,
  ): void {
    this.guard.resume(outcome, then, otherwise);
  }

  // ── out ────────────────────────────────────────────────────────────────────────────────────────────────────────

  get receivedAt(): number {
    return this.liveness.receivedAt;
  }

  get buffered(): number {
    return this.outbox.unread;
  }

  get lags(): boolean {
    return !this.closing && this.outbox.lags(this.now);
  }

  mustWait(): boolean {
    if (this.ending.gone) return true;
    const { full } = this.outbox;
    // Whoever is told so waits for `drained`, and not every transport tells when it takes more again.
    if (full) this.#wakeIn(drainPoll);
    return full;
  }

  send(wire: Wire): void {
    if (this.closing) return;
    if (this.outbox.queue(wire)) this.flush();
    else if (!this.#flushing) {
      this.#flushing = true;
      this.#options.clock.afterTurn(this);
    }
  }

  turnEnded(): void {
    this.#flushing = false;
    this.flush();
  }

  flush(): void {
    const outbox = this.outbox;
    if (this.ending.state === 'ended' || outbox.handedOver) return;
    if (this.ending.gone) return outbox.clear();
    const { now, budget } = this;
    // [CONN-54] As one of the largest it would be cut soon: it takes no more.
    if (budget?.isOver && this.heldBytes >= budget.cutFrom) return budget.cut(this);
    this.sentAt = now;
    if (!outbox.flush(now) && this.cuts) return this.fail(new ProtocolError('tooSlow'));
    // Told by `tick`, since this may be inside a call of the session: no transport tells that all of it left at once.
    if (!outbox.handedOver) this.#wakeIn(drainPoll);
    else if (outbox.waits && this.budget) this.#wakeIn(lookInterval);
    else if (this.wakeAt !== undefined) this.#wakeIn(0);
  }

  get cuts(): boolean {
    return this.#options.cutsSlowReader && this.ending.fault === undefined;
  }

  #wakeIn(ms: number): void {
    if (this.closing) return;
    const at = this.now + ms;
    if (this.wakeAt !== undefined && this.wakeAt <= at) return;
    this.wakeAt = at;
    this.touch();
  }

  get deadline(): number {
    return nextDeadline(this);
  }

  tick(now: number): void {
    runDue(this, now);
  }

  drained(): void {
    if (this.ending.state === 'ended') return;
    this.outbox.pump(this.now);
    if (this.closing) return this.ending.closeOnceHandedOver();
    if (!this.outbox.handedOver || this.outbox.full) return this.#wakeIn(drainPoll);
    this.wakeAt = undefined;
    this.guard.enter(() => this.session?.drained(this.now));
  }

  // ── in ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  get takesBytes(): boolean {
    return this.session.takesBytes === true;
  }

  received(data: string | Uint8Array): void {
    if (this.closing) return this.ending.ignore(data.length);
    const { now } = this;
    this.liveness.received(now);
    this.inbox.received(data, now);
  }

  partly(): void {
    if (!this.closing && !this.inbox.paused && this.liveness.partly(this.now)) this.touch();
  }

  settled(): void {
    this.ending.endIfGone();
  }

  hold(): void {
    this.inbox.hold();
  }

  release(): void {
    this.inbox.release();
  }

  takeFrame(): boolean {
    return this.inbox.takeFrame();
  }

  get isPinged(): boolean {
    return this.socket.ping !== undefined && this.limits.pingInterval < Number.POSITIVE_INFINITY;
  }

  ponged(): void {
    if (this.closing) return this.ending.ignore(1);
    this.liveness.heard();
  }

  pinged(): void {
    this.ponged();
    // Pongs pile up as well where nobody reads.
    if (this.outbox.overflows && this.cuts) this.close('tooSlow');
  }

  authenticate(credentials: ShownCredentials, then: (admitted: boolean, now: number) => void): void {
    this.authentication.ask(this.#options.authenticate, credentials, then);
  }

  /** The session lets the client in: the endpoint hears of it before the client does. */
  welcome(): void {
    this.#options.admitted?.(this);
  }

  /** Whom `authenticate` named; undefined for nobody. */
  get principal(): Principal | undefined {
    return this.authentication.principal;
  }

  /** `authenticate` let the client in. */
  get admitted(): boolean {
    return this.authentication.admitted;
  }

  // ── what is kept ───────────────────────────────────────────────────────────────────────────────────────────────

  charge(bytes: number): void {
    if (this.ending.state === 'ended') return;
    this.#kept = charged(this.#kept, bytes, this.limits.maxKept, this.budget);
  }

  get budget(): MemoryBudget | undefined {
    return this.#options.budget;
  }

  get heldBytes(): number {
    return this.closing ? 0 : this.#kept + this.inbox.heldBytes + this.outbox.unread;
  }

  cutForMemory(): void {
    // [CONN-84] A close frame would stand behind what is not read, and keep that until `closeTimeout`.
    const unread = this.socket.bufferedAmount > 0;
    this.close('tooMany', 'The server has no memory left for this much');
    if (unread) this.terminate();
  }

  /** Re-read the deadlines. Cheap when nothing moved forward. */
  touch(): void {
    this.#options.clock.watch(this);
  }

  afterTurn(run: () => void): void {
    this.#options.clock.afterTurn(() => this.guard.enter(run));
  }

  /** The endpoint drains: the session may ask its peer for a sign of life. */
  probe(): void {
    if (!this.closing) this.guard.enter(() => this.session?.probe?.(this.now));
  }

  // ── the end ────────────────────────────────────────────────────────────────────────────────────────────────────

  close(fault: Fault, detail?: string): void {
    this.fail(new ProtocolError(fault, detail));
  }

  fail(error: ProtocolError): void {
    this.ending.fail(error);
  }

  finish(code: number = CloseCode.normal, reason = ''): void {
    this.ending.finish(code, reason);
  }

  /** The application wants this connection to end, with these words. */
  dismiss(words: CloseWords): void {
    this.fail(new ProtocolError('expired', words.reason, { words }));
  }

  /** The server is going away: finish what runs, start nothing new. */
  drain(): void {
    if (!this.closing) this.guard.enter(() => this.session.drain(this.now));
  }

  /** Close because the server leaves, with a hint when to come back. */
  leave(hint: string, restart: boolean): void {
    this.ending.leave(hint, restart ? CloseCode.serviceRestart : undefined);
  }

  ended(): void {
    const { session } = this;
    if (!session?.peerEnded) this.finish();
    else if (!this.closing) this.guard.enter(() => session.peerEnded?.(this.now));
  }

  refused(code: number): string {
    return this.ending.refused(code);
  }

  terminate(): void {
    this.wakeAt = undefined;
    this.ending.terminate();
  }

  closed(code: number, reason: string): void {
    this.ending.closed(code, reason);
  }

  over(end: ConnectionEnd): void {
    const { clock, budget, ended } = this.#options;
    this.wakeAt = undefined;
    clock.forget(this);
    this.guard.enter(() => this.session?.end(end.code, end.reason));
    budget?.charge(-this.#kept);
    this.#kept = 0;
    ended?.(this, end);
  }

  report(error: unknown): void {
    try {
      this.#options.report(error);
    } catch {
      // A logger that throws must not end the process.
    }
  }
}
