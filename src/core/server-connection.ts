import type { Clock } from './clock.ts';
import { type ConnectionEnd, type ConnectionOptions, LiveConnection } from './connection.ts';
import { CloseCode, closeReason, type FaultTable, isSendableCode, ProtocolError } from './fault.ts';
import type { ConnectionLimits } from './limits.ts';
import { Rate } from './rate.ts';
import type { ServerReceiver } from './socket.ts';
import type { Authenticate, Connection, Handshake, Principal, Session, ShownCredentials } from './subprotocol.ts';
import type { Wire } from './wire.ts';

/** A turn that queues more than this is flushed before its end: memory stays bounded. */
const batchBytes = 65_536;
const never = Number.POSITIVE_INFINITY;

export interface ServerConnectionOptions extends Omit<ConnectionOptions, 'faults' | 'ended'> {
  readonly clock: Clock;
  readonly limits: ConnectionLimits;
  readonly faults: FaultTable;
  readonly handshake: Handshake;
  readonly authenticate?: Authenticate | undefined;
  /** A server cuts a reader that is too slow (fault `tooSlow`); a client, such as the relay's, waits. */
  readonly cutsSlowReader: boolean;
  readonly ended?: ((connection: ServerConnection, end: ConnectionEnd) => void) | undefined;
}

const isThenable = <T>(value: Promise<T> | T): value is Promise<T> =>
  typeof (value as Partial<PromiseLike<T>> | undefined)?.then === 'function';

/** A date that is none would never come: a credential without an end by mistake. */
function checkedPrincipal(principal: Principal): Principal {
  const { expiresAt } = principal;
  if (expiresAt === undefined || (typeof expiresAt === 'number' && !Number.isNaN(expiresAt))) return principal;
  throw new TypeError(`authenticate: expiresAt must be a number of ms since 1970; got ${String(expiresAt)}`);
}

/**
 * A connection as a server has it: messages of one turn leave together, input can be held back and is taken at a
 * limited rate, WebSocket pings find dead peers, readers that are too slow are cut, credentials expire.
 */
export class ServerConnection extends LiveConnection implements Connection, ServerReceiver {
  declare readonly limits: ConnectionLimits;
  declare session: Session;
  readonly handshake: Handshake;
  principal: Principal | undefined;

  readonly #options: ServerConnectionOptions;
  #queue: Wire[] | undefined;
  #queuedBytes = 0;
  #largest = 0;
  #flushing = false;
  #holds = 0;
  #releasedInside = false;
  #heldInput: (string | Uint8Array)[] | undefined;
  #paused = false;
  #delivering = false;
  #bytesSeen: number;
  #pingAt: number;
  #pongBy = never;
  readonly #rate: Rate | undefined;
  #throttledUntil = never;

  constructor(options: ServerConnectionOptions) {
    const { socket, limits, handshake, ended } = options;
    super({ ...options, faults: {}, ended: ended && ((_, end) => ended(this, end)) });
    this.#options = options;
    this.handshake = handshake;
    if (limits.messageRate !== never) this.#rate = new Rate(limits.messageRate, this.now);
    this.#bytesSeen = socket.bytesReceived ?? 0;
    this.#pingAt = socket.ping ? this.now + limits.pingInterval : never;
  }

  override get buffered(): number {
    return this.#options.socket.bufferedAmount + this.#queuedBytes;
  }

  // ── out ────────────────────────────────────────────────────────────────────────────────────────────────────────

  override send(wire: Wire): void {
    if (this.state !== 'open') return;
    if (this.#queue) this.#queue.push(wire);
    else this.#queue = [wire];
    this.#queuedBytes += wire.head.length + (wire.tail === undefined ? 0 : wire.tail.length);
    if (!this.#options.socket.batches || this.#queuedBytes > batchBytes) this.flush();
    else if (!this.#flushing) {
      this.#flushing = true;
      this.#options.clock.afterTurn(this.#flushTurn);
    }
  }

  readonly #flushTurn = (): void => {
    this.#flushing = false;
    this.flush();
  };

  override flush(): void {
    const wires = this.#queue;
    if (!wires || this.state === 'ended') return;
    // Looked at before the write, so that one message larger than the mark can still leave.
    const slow = this.#slow;
    const bytes = this.#queuedBytes;
    this.#queue = undefined;
    this.#queuedBytes = 0;
    if (slow && this.fault === undefined) return this.fail(new ProtocolError('tooSlow'));
    if (bytes > this.limits.highWaterMark) this.#largest = bytes;
    this.write(wires);
  }

  get #slow(): boolean {
    const { highWaterMark } = this.limits;
    const { bufferedAmount } = this.#options.socket;
    if (!this.#options.cutsSlowReader || bufferedAmount <= highWaterMark) {
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

  /** The transport was paused; what it had read already is kept. Its bytes may be reused, so they are copied. */
  #keep(data: string | Uint8Array): void {
    this.#heldInput ??= [];
    // Not `slice`: that of a Buffer copies nothing.
    this.#heldInput.push(typeof data === 'string' ? data : new Uint8Array(data));
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
    this.#options.socket.pause();
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
    return this.state !== 'open' || this.#holds > 0 || this.#throttledUntil !== never;
  }

  /** Deliver what was held back, until somebody holds again. Inside a call to the session, its end does this. */
  #goOn(): void {
    if (this.#delivering || this.#blocked) return;
    this.#tellReleased();
    const held = this.#heldInput ?? [];
    while (!this.#blocked && held.length > 0 && this.#takeToken(this.now)) {
      this.#deliver(held.shift() as string | Uint8Array, this.now);
      this.#tellReleased();
    }
    this.#unpause();
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
    this.#options.socket.resume();
  }

  override resume<T>(
    outcome: Promise<T> | T,
    then: (value: T, now: number) => void,
    otherwise?: (error: unknown, now: number) => void,
  ): void {
    if (isThenable(outcome)) super.resume(outcome, then, otherwise);
    else this.settle(then, outcome);
  }

  authenticate(credentials: ShownCredentials, then: (admitted: boolean, now: number) => void): void {
    const { authenticate } = this.#options;
    if (!authenticate) return then(true, this.now);
    const { handshake } = this;
    this.resume(
      // In a promise, so that a hook that throws at once is treated as one that rejects.
      new Promise<Principal | false | undefined>((resolve) =>
        resolve(authenticate({ ...credentials, handshake, subprotocol: this.name })),
      ),
      (principal, now) => {
        if (principal) this.principal = checkedPrincipal(principal);
        if (this.#expiresIn() <= now) throw new ProtocolError('expired');
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
      this.#holds > 0 ? never : Math.min(this.#pingAt, this.#pongBy),
      this.#throttledUntil,
      this.#expiresIn(),
    );
  }

  override tick(now: number): void {
    if (!this.closing) {
      if (this.#expiresIn() <= now) return this.fail(new ProtocolError('expired'));
      if (now >= this.#throttledUntil) {
        if (this.#rate?.exhausted(now)) return this.fail(new ProtocolError('tooMany'));
        this.#throttledUntil = never;
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
    const { socket } = this.#options;
    if (socket.bytesReceived !== undefined && socket.bytesReceived !== this.#bytesSeen) {
      // A part of a long message came: the peer lives, though the transport has nothing whole to tell yet.
      this.#heard();
      this.receivedAt = now;
    }
    if (now >= this.#pongBy) {
      // A peer that does not answer gets no handshake: it could not take part in one.
      this.close('heartbeat');
      this.terminate();
    } else if (now >= this.#pingAt) {
      this.#pingAt = now + this.limits.pingInterval;
      // The first unanswered ping counts: an interval shorter than the patience must not prolong it.
      this.#pongBy = Math.min(this.#pongBy, now + this.limits.pongTimeout);
      socket.ping?.();
    }
  }

  afterTurn(run: () => void): void {
    this.#options.clock.afterTurn(() => this.enter(run));
  }

  #heard(): void {
    this.#pongBy = never;
    this.#bytesSeen = this.#options.socket.bytesReceived ?? 0;
  }

  #expiresIn(): number {
    const expiresAt = this.principal?.expiresAt;
    return expiresAt === undefined ? never : this.now + (expiresAt - this.#options.clock.wall());
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

  /** What the table of the protocol says. A hole in it is a bug, but no reason to leave the connection open. */
  protected override verdict({ fault, detail }: ProtocolError): [code: number, reason: string] {
    try {
      const { code, reason } = this.#options.faults[fault];
      return [code, reason(detail)];
    } catch (bug) {
      this.report(bug);
      return [CloseCode.internalError, ''];
    }
  }

  /** The server is going away: finish what runs, start nothing new. */
  drain(): void {
    if (this.state === 'open') this.enter(() => this.session.drain(this.now));
  }

  /** Close because the server leaves, with a hint when to come back. */
  leave(hint: string, restart: boolean): void {
    const error = new ProtocolError('goingAway');
    if (!this.lastWords(error)) return;
    const [code, reason] = this.verdict(error);
    this.shut(restart ? CloseCode.serviceRestart : code, `${reason}${hint}`);
  }

  refused(code: number): string {
    const error = new ProtocolError(code === CloseCode.tooLarge ? 'tooLarge' : 'malformed');
    return this.lastWords(error) ? closeReason(this.verdict(error)[1]) : '';
  }

  protected override shut(code: number, reason: string): void {
    this.#heldInput = undefined;
    // The peer's close frame has to be read.
    this.#options.socket.resume();
    super.shut(isSendableCode(code) ? code : CloseCode.internalError, reason);
  }

  override terminate(): void {
    if (this.state !== 'ended') this.#queue = this.#heldInput = undefined;
    super.terminate();
  }

  override closed(code: number, reason: string): void {
    this.#queue = this.#heldInput = undefined;
    super.closed(code, reason);
  }
}
