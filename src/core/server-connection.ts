import { type Clock, type EndOfTurn, never } from './clock.ts';
import { type ConnectionEnd, type ConnectionOptions, LiveConnection } from './connection.ts';
import { CloseCode, closeOf, closeReason, type FaultTable, isSendableCode, ProtocolError } from './fault.ts';
import type { ConnectionLimits } from './limits.ts';
import { checkPrincipal, expiryOf } from './principal.ts';
import { Rate } from './rate.ts';
import type { ServerReceiver, Socket } from './socket.ts';
import type { Authenticate, Connection, Handshake, Principal, Session, ShownCredentials } from './subprotocol.ts';
import type { Wire } from './wire.ts';

/** A turn that queues more than this is flushed before its end: memory stays bounded. */
const batchBytes = 65_536;

/** A transport hands over at most so much of what it has read after it was paused, in bytes as they came. */
const readBytes = 65_536;

/** What all connections of a subprotocol at one endpoint have in common. */
export interface ServerConnectionOptions extends ConnectionOptions {
  readonly clock: Clock;
  readonly limits: ConnectionLimits;
  readonly faultTable: FaultTable;
  readonly authenticate?: Authenticate | undefined;
  /** A server cuts a reader that is too slow (fault `tooSlow`); a client, such as the relay's, waits. */
  readonly cutsSlowReader: boolean;
  ended?(connection: ServerConnection, end: ConnectionEnd): void;
}

/**
 * A connection as a server has it: messages of one turn leave together, input can be held back and is taken at a
 * limited rate, WebSocket pings find dead peers, readers that are too slow are cut, credentials expire.
 */
export class ServerConnection extends LiveConnection implements Connection, ServerReceiver, EndOfTurn {
  declare session: Session;
  declare protected readonly options: ServerConnectionOptions;
  readonly handshake: Handshake;
  principal: Principal | undefined;
  slot: number | undefined;

  #queue: Wire[] | undefined;
  #queuedBytes = 0;
  #largest = 0;
  #flushing = false;
  #holds = 0;
  #releasedInside = false;
  #heldInput: (string | Uint8Array)[] | undefined;
  #heldBytes = 0;
  #paused = false;
  #delivering = false;
  // How the transport ended, while what it brought before is still processed.
  #gone: readonly [code: number, reason: string] | undefined;
  #bytesSeen: number;
  #pingAt: number;
  // Absent while there is none: fields that begin with Infinity would each take memory of their own.
  #pongBy: number | undefined;
  readonly #rate: Rate | undefined;
  #throttledUntil: number | undefined;

  constructor(socket: Socket, handshake: Handshake, options: ServerConnectionOptions) {
    super(socket, options);
    const { limits } = options;
    this.handshake = handshake;
    if (limits.messageRate !== never) this.#rate = new Rate(limits.messageRate, this.now);
    this.#bytesSeen = socket.bytesReceived ?? 0;
    this.#pingAt = socket.ping ? this.now + limits.pingInterval : never;
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

  override received(data: string | Uint8Array): void {
    if (this.state !== 'open') return;
    const { now } = this;
    this.#heard();
    this.receivedAt = now;
    if (this.#paused || !this.#takeToken(now)) return this.#keep(data);
    this.#deliver(data, now);
    if (this.#paused) this.#goOn();
  }

  /** The transport was paused; what it had read already is kept, and may become a thousand times as much if deflated. */
  #keep(data: string | Uint8Array): void {
    this.#heldInput ??= [];
    this.#heldInput.push(data);
    this.#heldBytes += data.length;
    if (this.#heldBytes > this.limits.maxPayload + readBytes) this.close('tooMany', 'Too much at once');
  }

  #deliver(data: string | Uint8Array, now: number): void {
    this.#delivering = true;
    try {
      this.session.receive(data, now);
    } catch (error) {
      this.caught(error);
    }
    this.#delivering = false;
    this.touch();
  }

  #takeToken(now: number): boolean {
    if (!this.#rate || this.#rate.take(now)) return true;
    this.#throttledUntil = this.#rate.nextAt(now);
    this.#pause();
    this.touch();
    return false;
  }

  #pause(): void {
    if (this.#paused || this.state !== 'open') return;
    this.#paused = true;
    this.socket.pause?.();
  }

  hold(): void {
    this.#holds++;
    this.#pause();
  }

  release(): void {
    if (this.#holds === 0) return;
    this.#holds--;
    if (this.#delivering) this.#releasedInside = true;
    else this.#goOn();
  }

  get #blocked(): boolean {
    return this.state !== 'open' || this.#holds > 0 || this.#throttledUntil !== undefined;
  }

  /** Deliver what was held back, until somebody holds again. Inside a call to the session, its end does this. */
  #goOn(): void {
    if (this.#delivering) return;
    if (!this.#blocked) {
      this.#tellReleased();
      const held = this.#heldInput ?? [];
      while (!this.#blocked && held.length > 0 && this.#takeToken(this.now)) {
        const data = held.shift() as string | Uint8Array;
        this.#heldBytes -= data.length;
        this.#deliver(data, this.now);
        this.#tellReleased();
      }
      this.#unpause();
    }
    this.#endIfGone();
  }

  /** Again as long as the session holds and releases by itself: its codec may have stopped at any of these. */
  #tellReleased(): void {
    this.#releasedInside = true;
    while (this.#releasedInside && !this.#blocked) {
      this.#releasedInside = false;
      this.#delivering = true;
      this.enter(() => this.session?.released(this.now));
      this.#delivering = false;
    }
  }

  #unpause(): void {
    if (this.#blocked) return;
    this.#paused = false;
    // While we did not read, silence was our own doing.
    this.#heard();
    this.receivedAt = this.now;
    this.socket.resume?.();
  }

  authenticate(credentials: ShownCredentials, then: (admitted: boolean, now: number) => void): void {
    const { authenticate } = this.options;
    if (!authenticate) return then(true, this.now);
    const { handshake } = this;
    this.resume(
      // In a promise, so that a hook that throws at once is treated as one that rejects.
      new Promise<Principal | false | undefined>((resolve) =>
        resolve(authenticate({ ...credentials, handshake, subprotocol: this.name })),
      ),
      (principal, now) => {
        if (principal) {
          checkPrincipal(principal);
          this.principal = principal;
        }
        if (this.#expiry <= now) throw new ProtocolError('expired');
        then(Boolean(principal), now);
      },
    );
  }

  // ── time ───────────────────────────────────────────────────────────────────────────────────────────────────────

  protected override get sessionDeadline(): number {
    // While input is held back, silence is our own doing; the peer still has to hear from us.
    return this.#holds > 0 ? (this.session?.sendBy ?? never) : super.sessionDeadline;
  }

  override get deadline(): number {
    if (this.closing) return super.deadline;
    return Math.min(
      super.deadline,
      this.#holds > 0 ? never : Math.min(this.#pingAt, this.#pongBy ?? never),
      this.#throttledUntil ?? never,
      this.#expiry,
    );
  }

  override tick(now: number): void {
    if (!this.closing) {
      if (this.#expiry <= now) return this.fail(new ProtocolError('expired'));
      if (now >= (this.#throttledUntil ?? never)) {
        if (this.#rate?.exhausted(now)) return this.fail(new ProtocolError('tooMany'));
        this.#throttledUntil = undefined;
        // While we did not read, silence was our own doing.
        this.#heard();
        this.receivedAt = now;
        this.#goOn();
      }
      if (this.#holds > 0) this.receivedAt = now;
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

  protected override fail(error: ProtocolError): void {
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
    this.#heldInput = undefined;
    // The peer's close frame has to be read.
    this.socket.resume?.();
    super.shut(isSendableCode(code) ? code : CloseCode.internalError, reason);
    this.#endIfGone();
  }

  override terminate(): void {
    if (this.state !== 'ended') this.#queue = this.#heldInput = undefined;
    super.terminate();
    this.#endIfGone();
  }

  /** Is input held back for something that comes in bounded time? */
  get #unfinished(): boolean {
    const awaiting = this.session?.awaiting;
    if (this.closing || awaiting === undefined) return false;
    return this.#holds > 0 ? awaiting : this.#throttledUntil !== undefined;
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
    this.#queue = this.#heldInput = undefined;
    super.closed(code, reason);
  }
}
