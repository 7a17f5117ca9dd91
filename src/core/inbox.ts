import type { MemoryBudget } from './budget.ts';
import { never } from './clock.ts';
import { ProtocolError } from './fault.ts';
import type { ConnectionLimits } from './limits.ts';
import type { Liveness } from './liveness.ts';
import { Rate } from './rate.ts';
import type { SessionGuard } from './session-guard.ts';
import type { Socket } from './socket.ts';
import { heavyBytes, type Turns, type Worker } from './turns.ts';

/** So many messages and frames of one connection are worked off in one turn, and for so many ms: then others have theirs. */
const framesPerTurn = 256;
const shareMs = 3;

/** A transport hands over at most so many bytes of what it has read after it was paused. */
const readBytes = 65_536;

/** What an entry of held input costs beside its bytes, in bytes. */
const entryBytes = 100;

/** What an {@link Inbox} needs of its connection and of the other parts of it. */
export interface InboxHost {
  /** The limits of the connection. */
  readonly limits: ConnectionLimits;
  /** Nothing that comes is processed any more. */
  readonly closing: boolean;
  /** Milliseconds of the clock. */
  readonly now: number;
  /** The transport that is read. */
  readonly socket: Pick<Socket, 'pause' | 'resume'>;
  /** The session that is told. */
  readonly guard: Pick<SessionGuard, 'deliver' | 'tellReleased'>;
  /** Knows whether the peer is there: it cannot be heard while we do not read. */
  readonly liveness: Pick<Liveness, 'resumed'>;
  /** What all connections together may keep; undefined: nobody counts. */
  readonly budget: MemoryBudget | undefined;
  /** Everything that can be delivered now has been. */
  settled(): void;
  /** A deadline has moved. */
  touch(): void;
  /** End the connection by this fault. */
  fail(error: ProtocolError): void;
}

/**
 * What comes in on a connection. It is delivered at once, or kept in order: while somebody holds it back, while the
 * connection is over its rate, and once it has had its share of this turn.
 */
export class Inbox implements Worker {
  readonly #host: InboxHost;
  readonly #turns: Turns;
  readonly #rate: Rate | undefined;
  #holds = 0;
  #paused = false;
  #delivering = false;
  #releasedInside = false;
  #held: (string | Uint8Array)[] | undefined;
  #next = 0;
  #heldBytes = 0;
  // undefined instead of Infinity: V8 would allocate a HeapNumber for the Infinity of each connection.
  #throttledUntil: number | undefined;
  // The message that is being delivered has taken a token: its first frame needs none.
  #paid = false;
  #yielding = false;
  #turn = -1;
  #frames = 0;
  #shareEnds = 0;

  constructor(host: InboxHost, turns: Turns) {
    this.#host = host;
    this.#turns = turns;
    if (host.limits.messageRate !== never) this.#rate = new Rate(host.limits.messageRate, host.now);
  }

  /** Somebody holds input back. */
  get holding(): boolean {
    return this.#holds > 0;
  }

  /** The transport is not read, for whatever reason. */
  get paused(): boolean {
    return this.#paused;
  }

  /** When the rate allows more, in ms of the clock; Infinity: nothing waits for that. */
  get deadline(): number {
    return this.#throttledUntil ?? never;
  }

  /** Bytes that are held back, at what they cost. */
  get heldBytes(): number {
    return this.#heldBytes + ((this.#held?.length ?? 0) - this.#next) * entryBytes;
  }

  get #blocked(): boolean {
    return this.#host.closing || this.#holds > 0 || this.#yielding || this.#throttledUntil !== undefined;
  }

  /** A message came. */
  received(data: string | Uint8Array, now: number): void {
    if (this.#paused || this.#mustLinger(data, now) || !this.#mayDeliver(now)) return this.#keep(data);
    this.#deliver(data, now);
    if (this.#paused) this.#goOn();
  }

  /** The transport was paused; what it had read already is kept, and may become a thousand times as much if deflated. */
  #keep(data: string | Uint8Array): void {
    this.#held ??= [];
    this.#held.push(data);
    this.#heldBytes += data.length;
    this.#host.budget?.charge(data.length + entryBytes);
    if (this.#heldBytes > this.#host.limits.maxPayload + readBytes) {
      this.#host.fail(new ProtocolError('tooMany', 'Too much at once'));
    }
  }

  #mayDeliver(now: number): boolean {
    if (!this.#hasShare(now) || !this.#takeToken(now)) return false;
    this.#frames++;
    return true;
  }

  #deliver(data: string | Uint8Array, now: number): void {
    this.#paid = true;
    this.#delivering = true;
    this.#host.guard.deliver(data, now);
    this.#delivering = false;
    if (data.length >= heavyBytes) this.#turns.worked(now, this.#host.now);
  }

  /** Is this a heavy message, and the costly one before it has not been paid for? Then its turn comes. */
  #mustLinger(data: string | Uint8Array, now: number): boolean {
    if (data.length < heavyBytes || now >= this.#turns.heavyFrom) return false;
    this.#yielding = true;
    this.#pause();
    this.#turns.waitHeavy(this);
    return true;
  }

  #takeToken(now: number): boolean {
    if (!this.#rate || this.#rate.take(now)) return true;
    this.#throttledUntil = this.#rate.nextAt(now);
    this.#pause();
    this.#host.touch();
    return false;
  }

  /** May the session work off one more frame in this turn? If not, it is told by `released` to go on. */
  takeFrame(): boolean {
    if (this.#yielding) return false;
    // The first frame of a message has been counted with the message.
    if (this.#paid) {
      this.#paid = false;
      return true;
    }
    return this.#mayDeliver(this.#host.now);
  }

  /** Is there something left of this connection's share of this turn? If not, it waits for the next one. */
  #hasShare(now: number): boolean {
    const turns = this.#turns;
    const open = turns.open(now);
    if (this.#turn !== turns.serial) {
      this.#turn = turns.serial;
      this.#frames = 0;
      this.#shareEnds = now + shareMs;
    }
    if (open && this.#frames < framesPerTurn && now < this.#shareEnds) return true;
    this.#yielding = true;
    this.#pause();
    turns.wait(this);
    return false;
  }

  /** The next turn has come: go on. */
  work(): void {
    this.#yielding = false;
    this.#goOn();
  }

  #pause(): void {
    if (this.#paused || this.#host.closing) return;
    this.#paused = true;
    this.#host.socket.pause?.();
  }

  /** Keep later input back until {@link release} was called as often. */
  hold(): void {
    this.#holds++;
    this.#pause();
  }

  /** Let input in again, once it was called as often as {@link hold}. */
  release(): void {
    if (this.#holds === 0) return;
    this.#holds--;
    if (this.#delivering) this.#releasedInside = true;
    else this.#goOn();
  }

  /** Deliver what was held back, until something blocks again. Inside a call to the session, its end does this. */
  #goOn(): void {
    if (this.#delivering) return;
    if (!this.#blocked) {
      this.#tellReleased();
      while (!this.#blocked && this.#held && this.#mayGoOn(this.#held, this.#host.now)) {
        this.#deliver(this.#shift(this.#held), this.#host.now);
        this.#tellReleased();
      }
      this.#unpause();
    }
    this.#host.settled();
  }

  #mayGoOn(held: readonly (string | Uint8Array)[], now: number): boolean {
    return !this.#mustLinger(held[this.#next] as string | Uint8Array, now) && this.#mayDeliver(now);
  }

  #shift(held: (string | Uint8Array)[]): string | Uint8Array {
    const data = held[this.#next++] as string | Uint8Array;
    this.#heldBytes -= data.length;
    this.#host.budget?.charge(-data.length - entryBytes);
    if (this.#next === held.length) {
      this.#held = undefined;
      this.#next = 0;
    }
    return data;
  }

  /** Again as long as the session holds and releases by itself: its codec may have stopped at any of these. */
  #tellReleased(): void {
    this.#releasedInside = true;
    while (this.#releasedInside && !this.#blocked) {
      this.#releasedInside = false;
      this.#delivering = true;
      this.#host.guard.tellReleased(this.#host.now);
      this.#delivering = false;
    }
  }

  #unpause(): void {
    if (this.#blocked) return;
    this.#paused = false;
    this.#host.liveness.resumed(this.#host.now);
    this.#host.socket.resume?.();
  }

  /** False: the peer has been over its rate for too long. */
  tick(now: number): boolean {
    if (now < (this.#throttledUntil ?? never)) return true;
    if (this.#rate?.exhausted(now)) return false;
    this.#throttledUntil = undefined;
    this.#goOn();
    return true;
  }

  /** Is input held back for something that comes in bounded time? `awaiting` is what the session says of its holds. */
  unfinished(awaiting: boolean | undefined): boolean {
    if (this.#holds > 0) return awaiting === true;
    return this.#yielding || (awaiting !== undefined && this.#throttledUntil !== undefined);
  }

  /** Let go of everything that is held back. */
  clear(): void {
    this.#host.budget?.charge(-this.heldBytes);
    this.#held = undefined;
    this.#next = this.#heldBytes = 0;
  }
}
