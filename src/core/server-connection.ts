import type { Holder, MemoryBudget } from './budget.ts';
import { type Clock, type EndOfTurn, never } from './clock.ts';
import { type ConnectionEnd, type ConnectionOptions, LiveConnection } from './connection.ts';
import { CloseCode, closeOf, closeReason, type FaultTable, isSendableCode, ProtocolError } from './fault.ts';
import { Inbox, type InboxHost } from './inbox.ts';
import type { ConnectionLimits } from './limits.ts';
import { checkPrincipal, expiryOf, readAnswer } from './principal.ts';
import { Refusal } from './refuse.ts';
import type { ServerReceiver, Socket } from './socket.ts';
import type { Authenticate, Connection, Handshake, Principal, Session, ShownCredentials } from './subprotocol.ts';
import type { Wire } from './wire.ts';

/** A turn that queues more than this is flushed before its end: memory stays bounded. */
const batchBytes = 65_536;

/** What all connections of a subprotocol at one endpoint have in common. */
export interface ServerConnectionOptions extends ConnectionOptions {
  readonly clock: Clock;
  readonly limits: ConnectionLimits;
  readonly faultTable: FaultTable;
  readonly authenticate?: Authenticate | undefined;
  /** A server cuts a reader that is too slow (fault `tooSlow`); a client, such as the relay's, waits. */
  readonly cutsSlowReader: boolean;
  /** What all connections together may make the process keep. Absent: it is not counted. */
  readonly budget?: MemoryBudget | undefined;
  ended?(connection: ServerConnection, end: ConnectionEnd): void;
}

/**
 * A connection as a server has it: messages of one turn leave together, input can be held back and is taken at a
 * limited rate, WebSocket pings find dead peers, readers that are too slow are cut, credentials expire.
 */
export class ServerConnection
  extends LiveConnection
  implements Connection, ServerReceiver, EndOfTurn, Holder, InboxHost
{
  declare session: Session;
  declare protected readonly options: ServerConnectionOptions;
  readonly handshake: Handshake;
  principal: Principal | undefined;
  slot: number | undefined;

  #queue: Wire[] | undefined;
  #queuedBytes = 0;
  #largest = 0;
  #flushing = false;
  // How the transport ended, while what it brought before is still processed.
  #gone: readonly [code: number, reason: string] | undefined;
  #bytesSeen: number;
  #pingAt: number;
  // Absent while there is none: fields that begin with Infinity would each take memory of their own.
  #pongBy: number | undefined;
  readonly #inbox: Inbox;
  #kept = 0;
  #answerBy: number | undefined;

  constructor(socket: Socket, handshake: Handshake, options: ServerConnectionOptions) {
    super(socket, options);
    const { limits } = options;
    this.handshake = handshake;
    this.#inbox = new Inbox(this, options.clock, limits);
    this.#bytesSeen = socket.bytesReceived ?? 0;
    this.#pingAt = socket.ping ? this.now + limits.pingInterval : never;
    options.budget?.holders.add(this);
  }

  override get buffered(): number {
    return this.socket.bufferedAmount + this.#queuedBytes;
  }

  override get saturated(): boolean {
    return this.#gone !== undefined || super.saturated;
  }

  // ── out ────────────────────────────────────────────────────────────────────────────────────────────────────────

  override send(wire: Wire): void {
    if (this.state !== 'open') return;
    if (this.#queue) this.#queue.push(wire);
    else this.#queue = [wire];
    this.#queuedBytes += wire.head.length + (wire.tail === undefined ? 0 : wire.tail.length);
    if (!this.socket.batches || this.#queuedBytes > batchBytes) this.flush();
    else if (!this.#flushing) {
      this.#flushing = true;
      this.options.clock.afterTurn(this);
    }
  }

  turnEnded(): void {
    this.#flushing = false;
    this.flush();
  }

  flush(): void {
    const wires = this.#queue;
    if (!wires || this.state === 'ended') return;
    // Looked at before the write, so that one message larger than the mark can still leave.
    const slow = this.#slow;
    const bytes = this.#queuedBytes;
    this.#queue = undefined;
    this.#queuedBytes = 0;
    if (slow && this.fault === undefined) return this.fail(new ProtocolError('tooSlow'));
    if (bytes > this.limits.highWaterMark) this.#largest = bytes;
    this.sentAt = this.now;
    if (this.#gone) return;
    const { socket } = this;
    socket.write(wires);
    // All of it left at once: no transport tells that. Told by `tick`, since this may be inside a call of the session.
    if (this.wakeAt !== never && socket.bufferedAmount === 0) this.wakeIn(0);
  }

  get #slow(): boolean {
    const { highWaterMark } = this.limits;
    const { bufferedAmount } = this.socket;
    if (!this.options.cutsSlowReader || bufferedAmount <= highWaterMark) {
      this.#largest = 0;
      return false;
    }
    // A message larger than the mark is on its way: who reads it must not be cut for the heart-beat behind it.
    return bufferedAmount > highWaterMark + this.#largest;
  }

  get takesBytes(): boolean {
    return this.session.takesBytes === true;
  }

  // ── in ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  get open(): boolean {
    return this.state === 'open';
  }

  override received(data: string | Uint8Array): void {
    if (this.state !== 'open') return;
    const { now } = this;
    this.#heard();
    this.receivedAt = now;
    this.#inbox.received(data, now);
  }

  deliver(data: string | Uint8Array, now: number): void {
    try {
      this.session.receive(data, now);
    } catch (error) {
      this.caught(error);
    }
    this.touch();
  }

  tellReleased(now: number): void {
    this.enter(() => this.session?.released(now));
  }

  pauseReading(): void {
    this.socket.pause?.();
  }

  resumeReading(): void {
    // While we did not read, silence was our own doing.
    this.#heard();
    this.receivedAt = this.now;
    this.socket.resume?.();
  }

  settled(): void {
    this.#endIfGone();
  }

  hold(): void {
    this.#inbox.hold();
  }

  release(): void {
    this.#inbox.release();
  }

  takeFrame(): boolean {
    return this.#inbox.takeFrame();
  }

  authenticate(credentials: ShownCredentials, then: (admitted: boolean, now: number) => void): void {
    const { authenticate } = this.options;
    if (!authenticate) return then(true, this.now);
    const { handshake } = this;
    this.#answerBy = this.now + this.limits.hookTimeout;
    this.touch();
    this.resume(
      // In a promise, so that a hook that throws at once is treated as one that rejects.
      new Promise<unknown>((resolve) => resolve(authenticate({ ...credentials, handshake, subprotocol: this.name }))),
      (answer, now) => {
        this.#answerBy = undefined;
        const admitted = this.#admit(answer);
        if (this.#expiry <= now) throw new ProtocolError('expired');
        then(admitted, now);
      },
    );
  }

  /** Whether the answer of `authenticate` lets in. Throws what a refusal says. */
  #admit(answer: unknown): boolean {
    let read: Principal | boolean | Refusal = false;
    try {
      read = readAnswer(answer);
    } catch (bug) {
      this.report(bug);
    }
    if (typeof read === 'boolean') return read;
    if (read instanceof Refusal) throw new ProtocolError('unauthorized', read.reason, { words: read });
    checkPrincipal(read);
    this.principal = read;
    return true;
  }

  // ── what is kept ───────────────────────────────────────────────────────────────────────────────────────────────

  charge(bytes: number): void {
    if (this.state === 'ended') return;
    const { budget } = this.options;
    const kept = Math.max(0, this.#kept + bytes);
    if (bytes > 0 && kept > this.limits.maxKept) {
      if (budget) budget.refused++;
      throw new ProtocolError('tooLarge', `more than ${this.limits.maxKept} bytes would be kept for this connection`);
    }
    budget?.charge(kept - this.#kept);
    this.#kept = kept;
  }

  get heldBytes(): number {
    return this.#kept;
  }

  cutForMemory(): void {
    this.close('tooMany', 'The server is out of memory for this much');
  }

  // ── time ───────────────────────────────────────────────────────────────────────────────────────────────────────

  protected override get sessionDeadline(): number {
    // While input is held back, silence is our own doing; the peer still has to hear from us.
    return this.#inbox.holding ? (this.session?.sendBy ?? never) : super.sessionDeadline;
  }

  override get deadline(): number {
    if (this.closing) return super.deadline;
    return Math.min(
      super.deadline,
      this.#inbox.holding ? never : Math.min(this.#pingAt, this.#pongBy ?? never),
      this.#inbox.deadline,
      this.#answerBy ?? never,
      this.#expiry,
    );
  }

  override tick(now: number): void {
    if (!this.closing) {
      if (this.#expiry <= now) return this.fail(new ProtocolError('expired'));
      if (now >= (this.#answerBy ?? never)) {
        const words = `authenticate has not answered within ${this.limits.hookTimeout} ms`;
        return this.fail(new ProtocolError('unavailable', words));
      }
      if (now >= this.#inbox.deadline) {
        // While we did not read, silence was our own doing.
        this.#heard();
        this.receivedAt = now;
        if (!this.#inbox.tick(now)) return this.fail(new ProtocolError('tooMany'));
      }
      if (this.#inbox.holding) this.receivedAt = now;
      else if (!this.closing) this.#listen(now);
    }
    super.tick(now);
  }

  /** Ping a peer that may be gone, and let go of one that is. */
  #listen(now: number): void {
    const { socket } = this;
    if (socket.bytesReceived !== undefined && socket.bytesReceived !== this.#bytesSeen) {
      // A part of a long message came: the peer lives, though the transport has nothing whole to tell yet.
      this.#heard();
      this.receivedAt = now;
    }
    if (now >= (this.#pongBy ?? never)) {
      // A peer that does not answer gets no handshake: it could not take part in one.
      this.close('heartbeat');
      this.terminate();
    } else if (now >= this.#pingAt) {
      this.#pingAt = now + this.limits.pingInterval;
      // The first unanswered ping counts: an interval shorter than the patience must not prolong it.
      this.#pongBy ??= now + this.limits.pongTimeout;
      socket.ping?.();
    }
  }

  afterTurn(run: () => void): void {
    this.options.clock.afterTurn(() => this.enter(run));
  }

  #heard(): void {
    this.#pongBy = undefined;
    this.#bytesSeen = this.socket.bytesReceived ?? 0;
  }

  get #expiry(): number {
    return expiryOf(this.principal, this.options.clock);
  }

  ponged(): void {
    this.#heard();
  }

  pinged(): void {
    this.#heard();
    // Pongs pile up as well where nobody reads.
    if (this.#slow) this.close('tooSlow');
  }

  // ── the end ────────────────────────────────────────────────────────────────────────────────────────────────────

  fail(error: ProtocolError): void {
    if (this.lastWords(error)) this.shut(...this.#closeOf(error));
  }

  #closeOf(error: ProtocolError): [code: number, reason: string] {
    return closeOf(error, this.options.faultTable, (bug) => this.report(bug));
  }

  /** The server is going away: finish what runs, start nothing new. */
  drain(): void {
    if (this.state === 'open') this.enter(() => this.session.drain(this.now));
  }

  /** Close because the server leaves, with a hint when to come back. */
  leave(hint: string, restart: boolean): void {
    const error = new ProtocolError('goingAway');
    if (!this.lastWords(error)) return;
    const [code, reason] = this.#closeOf(error);
    this.shut(restart ? CloseCode.serviceRestart : code, `${reason}${hint}`);
  }

  ended(): void {
    const { session } = this;
    if (!session?.peerEnded) this.finish();
    else if (!this.closing) this.enter(() => session.peerEnded?.(this.now));
  }

  refused(code: number): string {
    const error = new ProtocolError(code === CloseCode.tooLarge ? 'tooLarge' : 'malformed');
    if (!this.lastWords(error)) return '';
    this.flush();
    this.beginClose();
    return closeReason(this.#closeOf(error)[1]);
  }

  protected override shut(code: number, reason: string): void {
    this.flush();
    // The flush may have found that nobody reads: then that was the end.
    if (this.closing) return;
    this.#inbox.clear();
    // The peer's close frame has to be read.
    this.socket.resume?.();
    super.shut(isSendableCode(code) ? code : CloseCode.internalError, reason);
    this.#endIfGone();
  }

  override terminate(): void {
    if (this.state !== 'ended') {
      this.#queue = undefined;
      this.#inbox.clear();
    }
    super.terminate();
    this.#endIfGone();
  }

  /** Is input held back for something that comes in bounded time? */
  get #unfinished(): boolean {
    return !this.closing && this.#inbox.unfinished(this.session?.awaiting);
  }

  #endIfGone(): void {
    if (this.#gone && !this.#unfinished) this.closed(...this.#gone);
  }

  override closed(code: number, reason: string): void {
    if (this.#unfinished) {
      // What came before the end is still processed, in order and without an answer ([STOMP-62]).
      this.#gone = [code, reason];
      return;
    }
    this.#queue = undefined;
    this.#inbox.clear();
    super.closed(code, reason);
    this.options.budget?.holders.delete(this);
    this.options.budget?.charge(-this.#kept);
    this.#kept = 0;
  }
}
