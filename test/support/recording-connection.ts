import { type Fault, ProtocolError } from '../../src/core/fault.ts';
import { type ConnectionLimits, connectionLimits, resolveLimits } from '../../src/core/limits.ts';
import type { Connection, Handshake, Principal, ShownCredentials } from '../../src/core/subprotocol.ts';
import type { Wire } from '../../src/core/wire.ts';
import { contentOf, type SentMessage } from './fake-socket.ts';

/**
 * A connection that does nothing but write down what a session does with it: what it sent, how it closed, how often
 * input is held back. Time stands where `now` is set; outcomes of `resume` arrive as those of promises do.
 *
 * @example
 * const connection = new RecordingConnection('v12.stomp');
 * const session = open(connection);
 * session.receive('…', 0);
 * connection.take(); // what was sent since the last time
 */
export class RecordingConnection implements Connection {
  readonly isPinged = false;
  readonly name: string;
  handshake: Handshake = { url: '', headers: {}, remoteAddress: '', secure: false };
  limits: ConnectionLimits = resolveLimits(connectionLimits);
  principal: Principal | undefined;
  /** What `authenticate` finds: who it is, or that they are refused. Default: everybody is let in, as nobody. */
  authenticated: Principal | boolean = true;
  /** Whether publishers may wait for it. */
  lags = false;
  /** What `mustWait` answers. */
  saturated = false;
  sentAt = 0;
  receivedAt = 0;
  now = 0;
  /** Every wire so far; the same objects that the session sent. */
  readonly wires: Wire[] = [];
  /** The first fault, with its detail. */
  closed: readonly [fault: Fault, detail: string | undefined] | undefined;
  /** A normal close that was asked for. */
  finished: readonly [code: number, reason: string] | undefined;
  terminated = false;
  readonly reported: unknown[] = [];
  readonly shown: ShownCredentials[] = [];
  holds = 0;
  /** What is charged now, in bytes. */
  charged = 0;
  /** So many frames may be taken until a test sets it again; Infinity: all. */
  frames: number = Number.POSITIVE_INFINITY;
  touched = 0;
  flushed = 0;
  /** What waits for the end of the turn; a test ends it with `endTurn()`. */
  readonly queued: (() => void)[] = [];
  #taken = 0;

  constructor(name = '') {
    this.name = name;
  }

  get closing(): boolean {
    return this.closed !== undefined || this.finished !== undefined || this.terminated;
  }

  /** The messages since the last `take()`, as their receiver sees them. */
  take(): SentMessage[] {
    const fresh = this.wires.slice(this.#taken).map(contentOf);
    this.#taken = this.wires.length;
    return fresh;
  }

  mustWait(): boolean {
    return this.saturated;
  }

  send(wire: Wire): void {
    if (this.closing) return;
    this.wires.push(wire);
    this.sentAt = this.now;
  }

  flush(): void {
    this.flushed++;
  }

  resume<T>(
    outcome: Promise<T> | T,
    then: (value: T, now: number) => void,
    otherwise?: (error: unknown, now: number) => void,
  ): void {
    const enter = (run: () => void): void => {
      try {
        if (!this.closing) run();
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error;
        this.close(error.fault, error.detail);
      }
    };
    const resolve = (value: T): void => enter(() => then(value, this.now));
    const reject = (error: unknown): void =>
      enter(() => {
        if (otherwise) otherwise(error, this.now);
        else this.close('internal');
      });
    if (outcome instanceof Promise) outcome.then(resolve, reject);
    else resolve(outcome);
  }

  afterTurn(run: () => void): void {
    this.queued.push(run);
  }

  endTurn(): void {
    for (const run of this.queued.splice(0)) if (!this.closing) run();
  }

  hold(): void {
    this.holds++;
  }

  release(): void {
    this.holds--;
  }

  charge(bytes: number): void {
    const charged = this.charged + bytes;
    if (bytes > 0 && charged > this.limits.maxKept) throw new ProtocolError('tooLarge', 'too much is kept');
    this.charged = charged;
  }

  takeFrame(): boolean {
    if (this.frames <= 0) return false;
    this.frames--;
    return true;
  }

  touch(): void {
    this.touched++;
  }

  authenticate(credentials: ShownCredentials, then: (admitted: boolean, now: number) => void): void {
    this.shown.push(credentials);
    if (typeof this.authenticated === 'object') this.principal = this.authenticated;
    then(this.authenticated !== false, this.now);
  }

  close(fault: Fault, detail?: string): void {
    if (!this.closing) this.closed = [fault, detail];
  }

  finish(code = 1000, reason = ''): void {
    if (!this.closing) this.finished = [code, reason];
  }

  terminate(): void {
    this.terminated = true;
  }

  report(error: unknown): void {
    this.reported.push(error);
  }
}
