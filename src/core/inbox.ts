import type { Clock } from './clock.ts';
import { never } from './clock.ts';
import { ProtocolError } from './fault.ts';
import type { ConnectionLimits } from './limits.ts';
import { Rate } from './rate.ts';

/** So many frames of one connection are worked off in one turn, and for so many ms: then others have theirs. */
const framesPerTurn = 256;
const shareMs = 4;

/** A transport hands over at most so many bytes of what it has read after it was paused. */
const readBytes = 65_536;

/** What an {@link Inbox} needs of its connection. */
export interface InboxHost {
  /** Not closing yet: input is still processed. */
  readonly open: boolean;
  /** Milliseconds of the clock. */
  readonly now: number;
  /** Hand a message to the session. Never throws. */
  deliver(data: string | Uint8Array, now: number): void;
  /** Tell the session that input is no longer held back. Never throws. */
  tellReleased(now: number): void;
  /** Stop reading from the transport. */
  pauseReading(): void;
  /** Read from the transport again: until now silence was our own doing. */
  resumeReading(): void;
  /** Everything that can be delivered now has been. */
  settled(): void;
  /** A deadline has moved. */
  touch(): void;
  /** End the connection by this fault. */
  fail(error: ProtocolError): void;
}

/**
 * What comes in on a connection: it is delivered at once, or kept in order while somebody holds it back, while the
 * connection is over its rate, or once it has had its share of this turn.
 */
export class Inbox {
  readonly #host: InboxHost;
  readonly #clock: Clock;
  readonly #limits: ConnectionLimits;
  readonly #rate: Rate | undefined;
  #holds = 0;
  #paused = false;
  #delivering = false;
  #releasedInside = false;
  #held: (string | Uint8Array)[] | undefined;
  #heldBytes = 0;
  // undefined instead of Infinity: an Infinity in a field is a HeapNumber of its own in each connection.
  #throttledUntil: number | undefined;
  // The message that is being delivered has taken a token: its first frame needs none.
  #paid = false;
  #frames = 0;
  #shareEnds = 0;
  #yielding = false;

  constructor(host: InboxHost, clock: Clock, limits: ConnectionLimits) {
    this.#host = host;
    this.#clock = clock;
    this.#limits = limits;
    if (limits.messageRate !== never) this.#rate = new Rate(limits.messageRate, clock.now());
  }

  /** Somebody holds input back. */
  get holding(): boolean {
    return this.#holds > 0;
  }

  /** When the rate allows more, in ms of the clock; Infinity: nothing waits for that. */
  get deadline(): number {
    return this.#throttledUntil ?? never;
  }

  /** Bytes that are held back. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  get #blocked(): boolean {
    return !this.#host.open || this.#holds > 0 || this.#yielding || this.#throttledUntil !== undefined;
  }

  /** A message came. */
  received(data: string | Uint8Array, now: number): void {
    if (this.#paused || !this.#takeToken(now)) return this.#keep(data);
    this.#deliver(data, now);
    if (this.#paused) this.#goOn();
  }

  /** The transport was paused; what it had read already is kept, and may become a thousand times as much if deflated. */
  #keep(data: string | Uint8Array): void {
    this.#held ??= [];
    this.#held.push(data);
    this.#heldBytes += data.length;
    if (this.#heldBytes > this.#limits.maxPayload + readBytes) {
      this.#host.fail(new ProtocolError('tooMany', 'Too much at once'));
    }
  }

  #deliver(data: string | Uint8Array, now: number): void {
    this.#paid = true;
    this.#delivering = true;
    this.#host.deliver(data, now);
    this.#delivering = false;
  }

  #takeToken(now: number): boolean {
    if (!this.#rate || this.#rate.take(now)) return true;
    this.#throttledUntil = this.#rate.nextAt(now);
    this.#pause();
    this.#host.touch();
    return false;
  }

  /** May the session work off one more frame in this turn? */
  takeFrame(): boolean {
    if (this.#yielding) return false;
    const { now } = this.#host;
    if (this.#frames === 0) this.#beginShare(now);
    if (this.#frames >= framesPerTurn || now >= this.#shareEnds) {
      this.#yielding = true;
      this.#pause();
      return false;
    }
    this.#frames++;
    if (!this.#paid) return this.#takeToken(now);
    this.#paid = false;
    return true;
  }

  #beginShare(now: number): void {
    this.#shareEnds = now + shareMs;
    this.#clock.afterTurn(() => {
      this.#frames = 0;
      if (!this.#yielding) return;
      this.#yielding = false;
      this.#goOn();
    });
  }

  #pause(): void {
    if (this.#paused || !this.#host.open) return;
    this.#paused = true;
    this.#host.pauseReading();
  }

  /** Keep later input back until {@link release} was called as often. */
  hold(): void {
    this.#holds++;
    this.#pause();
  }

  /** Let input in again. */
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
      const held = this.#held ?? [];
      while (!this.#blocked && held.length > 0 && this.#takeToken(this.#host.now)) {
        const data = held.shift() as string | Uint8Array;
        this.#heldBytes -= data.length;
        this.#deliver(data, this.#host.now);
        this.#tellReleased();
      }
      this.#unpause();
    }
    this.#host.settled();
  }

  /** Again as long as the session holds and releases by itself: its codec may have stopped at any of these. */
  #tellReleased(): void {
    this.#releasedInside = true;
    while (this.#releasedInside && !this.#blocked) {
      this.#releasedInside = false;
      this.#delivering = true;
      this.#host.tellReleased(this.#host.now);
      this.#delivering = false;
    }
  }

  #unpause(): void {
    if (this.#blocked) return;
    this.#paused = false;
    this.#host.resumeReading();
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
    this.#held = undefined;
    this.#heldBytes = 0;
  }
}
