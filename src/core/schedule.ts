import type { Authentication } from './authentication.ts';
import { never, type Timed } from './clock.ts';
import type { Ending } from './ending.ts';
import { ProtocolError } from './fault.ts';
import type { Inbox } from './inbox.ts';
import type { Liveness } from './liveness.ts';
import type { Outbox } from './outbox.ts';
import type { SessionGuard } from './session-guard.ts';

/** What a {@link Schedule} needs of its connection and of the other parts of it. */
export interface ScheduleHost {
  /** Milliseconds of the clock. */
  readonly now: number;
  /** A reader that is too slow is cut, unless something else is wrong already. */
  readonly cuts: boolean;
  /** Who it is, and until when. */
  readonly authentication: Pick<Authentication, 'deadline' | 'tick'>;
  /** Whether the peer reads. */
  readonly outbox: Pick<Outbox, 'deadline' | 'isStalled'>;
  /** What is held back, and until when. */
  readonly inbox: Pick<Inbox, 'holding' | 'paused' | 'deadline' | 'tick'>;
  /** Whether the peer is there. */
  readonly liveness: Liveness;
  /** How long the peer may take to close. */
  readonly ending: Pick<Ending, 'begun' | 'deadline' | 'fail' | 'terminate'>;
  /** The session that wants to be told. */
  readonly guard: SessionGuard;
  /** Look whether the transport takes more. */
  drained(): void;
  /** The deadline has moved. */
  touch(): void;
}

/** Everything of one connection that happens at a time: the clock has one entry for each connection. */
export class Schedule implements Timed {
  /** Where the clock has it; the clock's alone. */
  slot: number | undefined;
  /**
   * When to look whether the transport takes more. undefined instead of Infinity: V8 would allocate a HeapNumber for the
   * Infinity of each connection.
   */
  wakeAt: number | undefined;
  readonly #host: ScheduleHost;

  constructor(host: ScheduleHost) {
    this.#host = host;
  }

  /** When the session wants its `tick`. While input is held back, it is only for what the peer has to hear. */
  get #sessionDeadline(): number {
    const { guard, inbox } = this.#host;
    return (inbox.holding ? guard.session?.sendBy : guard.session?.deadline) ?? never;
  }

  /** When something is due next, in ms of the clock; Infinity: never. */
  get deadline(): number {
    const { authentication, cuts, ending, inbox, liveness, outbox } = this.#host;
    if (ending.begun) return ending.deadline;
    return Math.min(
      this.#sessionDeadline,
      this.wakeAt ?? never,
      inbox.holding ? never : liveness.deadline,
      cuts ? outbox.deadline : never,
      inbox.deadline,
      authentication.deadline,
    );
  }

  /** Look whether the transport takes more, in so many ms at the latest. */
  wakeIn(ms: number): void {
    if (this.#host.ending.begun) return;
    const at = this.#host.now + ms;
    if (this.wakeAt !== undefined && this.wakeAt <= at) return;
    this.wakeAt = at;
    this.#host.touch();
  }

  /** Do what is due. */
  tick(now: number): void {
    const { ending, guard } = this.#host;
    if (ending.begun) {
      if (now >= ending.deadline) ending.terminate();
      return;
    }
    const error = this.#check(now);
    if (error) {
      ending.fail(error);
      // A peer that does not answer gets no handshake: it could not take part in one.
      if (error.fault === 'heartbeat') ending.terminate();
      return;
    }
    if (now >= (this.wakeAt ?? never)) {
      this.wakeAt = undefined;
      this.#host.drained();
    }
    if (!ending.begun && now >= this.#sessionDeadline) guard.tick(now);
  }

  /** Why the connection has to end now, but for what the session itself asks for; undefined: it has not. */
  #check(now: number): ProtocolError | undefined {
    const { authentication, cuts, inbox, liveness, outbox } = this.#host;
    const refusal = authentication.tick(now);
    if (refusal) return refusal;
    if (cuts && outbox.isStalled(now)) return new ProtocolError('tooSlow');
    if (now >= inbox.deadline) {
      // While we did not read, silence was our own doing.
      liveness.resumed(now);
      if (!inbox.tick(now)) return new ProtocolError('tooMany');
    }
    if (!inbox.holding) return this.#host.ending.begun ? undefined : liveness.tick(now);
    liveness.receivedAt = now;
    return undefined;
  }
}
