import type { Authentication } from './authentication.ts';
import { never } from './clock.ts';
import type { Ending } from './ending.ts';
import { ProtocolError } from './fault.ts';
import type { Inbox } from './inbox.ts';
import type { Liveness } from './liveness.ts';
import type { Outbox } from './outbox.ts';
import type { SessionGuard } from './session-guard.ts';

/** What happens at a time needs these parts of a connection. */
export interface ScheduleHost {
  /** When to look whether the transport takes more, in ms of the clock; undefined: it need not be. */
  wakeAt: number | undefined;
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
}

/** When the session wants its `tick`. While input is held back, it is only for what the peer has to hear. */
function sessionDeadline({ guard, inbox }: ScheduleHost): number {
  return (inbox.holding ? guard.session?.sendBy : guard.session?.deadline) ?? never;
}

/** When something of a connection is due next, in ms of the clock; Infinity: never. One entry of the clock serves all. */
export function nextDeadline(host: ScheduleHost): number {
  const { authentication, cuts, ending, inbox, liveness, outbox } = host;
  if (ending.begun) return ending.deadline;
  return Math.min(
    sessionDeadline(host),
    host.wakeAt ?? never,
    inbox.holding ? never : liveness.deadline,
    cuts ? outbox.deadline : never,
    inbox.deadline,
    authentication.deadline,
  );
}

/** Do what is due. Functions and no object: many thousands of connections would have one each. */
export function runDue(host: ScheduleHost, now: number): void {
  const { ending, guard } = host;
  if (ending.begun) {
    if (now >= ending.deadline) ending.terminate();
    return;
  }
  const error = whyEnd(host, now);
  if (error) {
    ending.fail(error);
    // A peer that does not answer gets no handshake: it could not take part in one.
    if (error.fault === 'heartbeat') ending.terminate();
    return;
  }
  if (now >= (host.wakeAt ?? never)) {
    host.wakeAt = undefined;
    host.drained();
  }
  if (!ending.begun && now >= sessionDeadline(host)) guard.tick(now);
}

/** Why the connection has to end now, but for what the session itself asks for; undefined: it has not. */
function whyEnd({ authentication, cuts, ending, inbox, liveness, outbox }: ScheduleHost, now: number) {
  const refusal = authentication.tick(now);
  if (refusal) return refusal;
  if (cuts && outbox.isStalled(now)) return new ProtocolError('tooSlow');
  if (now >= inbox.deadline) {
    // While we did not read, silence was our own doing.
    liveness.resumed(now);
    if (!inbox.tick(now)) return new ProtocolError('tooMany');
  }
  if (!inbox.holding) return ending.begun ? undefined : liveness.tick(now);
  liveness.receivedAt = now;
  return undefined;
}
