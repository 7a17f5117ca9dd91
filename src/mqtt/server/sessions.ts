import { type Clock, never, type Timed } from '../../core/clock.ts';
import type { Will } from '../protocol/packets.ts';
import type { MqttLimits } from './limits.ts';
import { type Keeper, SessionState } from './session-state.ts';

/** Deadlines are met in steps of so many ms, so that thousands of sessions are not looked at for each of them. */
const step = 1_000;

/** What the sessions of one principal that have no connection cost. */
interface Share {
  sessions: number;
  bytes: number;
}

/** The name of a session: each principal has names of its own, so that nobody can take another's session ([MQTT-35]). */
const keyOf = (owner: string | undefined, clientId: string): string =>
  owner === undefined ? clientId : `${owner.length}:${owner}:${clientId}`;

/** When something of a session is due, in ms of the clock. */
const dueOf = ({ expiresAt = never, willAt = never }: SessionState): number => Math.min(expiresAt, willAt);

/** All sessions, and what those without a connection may cost. */
export class Sessions implements Timed, Keeper {
  /** When the next one expires, or its will is due, in ms of the clock. */
  deadline: number = never;
  /** Sessions that were forgotten since they would have cost too much. */
  forgotten = 0;
  /** See {@link Timed.slot}. */
  slot: number | undefined;
  /** See {@link Keeper.limits}. */
  readonly limits: MqttLimits;
  /** See {@link Keeper.clock}. */
  readonly clock: Clock;
  readonly #publishWill: (will: Will, owner: string | undefined) => void;
  // Of principals, and of nobody in particular.
  readonly #owned = new Map<string, SessionState>();
  readonly #anonymous = new Map<string, SessionState>();
  readonly #away = new Set<SessionState>();
  readonly #shares = new Map<string | undefined, Share>();
  #bytes = 0;

  constructor(limits: MqttLimits, clock: Clock, publishWill: (will: Will, owner: string | undefined) => void) {
    this.limits = limits;
    this.clock = clock;
    this.#publishWill = publishWill;
  }

  /** How many there are, with a connection or without. */
  get size(): number {
    return this.#owned.size + this.#anonymous.size;
  }

  /** How many have no connection. */
  get away(): number {
    return this.#away.size;
  }

  /** What those without a connection cost, in bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The session of this name; undefined: there is none. */
  find(owner: string | undefined, clientId: string): SessionState | undefined {
    return this.#named(owner).get(keyOf(owner, clientId));
  }

  /** A new one. */
  create(owner: string | undefined, clientId: string): SessionState {
    const state = new SessionState(this, owner, clientId);
    this.#named(owner).set(keyOf(owner, clientId), state);
    return state;
  }

  /** It is over: nothing of it is left ([MQTT-61]). */
  end(state: SessionState): void {
    this.#leaveAway(state);
    const key = keyOf(state.owner, state.clientId);
    const named = this.#named(state.owner);
    if (named.get(key) === state) named.delete(key);
    const { will } = state;
    state.will = undefined;
    state.stop();
    if (will) this.#publishWill(will, state.owner);
  }

  /** Its connection is gone. It is kept for so many ms, if there is room; its will waits as long as it asks for. */
  detach(state: SessionState, expiresIn: number, will: Will | undefined, now: number): void {
    const delay = (will?.properties?.willDelay ?? 0) * 1_000;
    if (will && delay === 0) this.#publishWill(will, state.owner);
    else state.will = will;
    if (expiresIn === 0) return this.end(state);
    state.expiresAt = now + expiresIn;
    state.willAt = state.will ? now + delay : undefined;
    this.#away.add(state);
    this.#share(state.owner).sessions++;
    this.#count(state, state.bytes);
    const { maxSessions, maxUserSessions } = this.limits;
    if (this.#away.size > maxSessions || this.#share(state.owner).sessions > maxUserSessions) this.forget(state);
    this.#wait(dueOf(state));
  }

  /** Its client is back: its will is not published. */
  attach(state: SessionState): void {
    this.#leaveAway(state);
    state.will = undefined;
  }

  /** What a session without a connection costs has changed. If it is too much, the session is gone. */
  charge(state: SessionState, bytes: number): void {
    this.#count(state, bytes);
    const { maxSessionBytes, maxUserSessionBytes } = this.limits;
    if (bytes <= 0) return;
    if (this.#bytes > maxSessionBytes || this.#share(state.owner).bytes > maxUserSessionBytes) this.forget(state);
  }

  /** Sessions that have expired end, and wills whose time has come are published. */
  tick(now: number): void {
    this.deadline = never;
    let next: number = never;
    for (const state of this.#away) {
      if ((state.expiresAt ?? never) <= now) this.end(state);
      else if ((state.willAt ?? never) <= now && state.will) {
        const { will } = state;
        state.will = undefined;
        state.willAt = undefined;
        this.#publishWill(will, state.owner);
      }
      if (this.#away.has(state)) next = Math.min(next, dueOf(state));
    }
    this.#wait(next);
  }

  /** The broker closes: all of them end, and their wills with them. */
  dispose(): void {
    this.clock.forget(this);
    for (const state of [...this.#owned.values(), ...this.#anonymous.values()]) {
      state.will = undefined;
      this.end(state);
    }
  }

  /** A session that is away and may keep no more is no session any more: its client is told so when it comes back. */
  forget(state: SessionState): void {
    this.forgotten++;
    this.end(state);
  }

  #named(owner: string | undefined): Map<string, SessionState> {
    return owner === undefined ? this.#anonymous : this.#owned;
  }

  #share(owner: string | undefined): Share {
    let share = this.#shares.get(owner);
    if (!share) {
      share = { sessions: 0, bytes: 0 };
      this.#shares.set(owner, share);
    }
    return share;
  }

  #count(state: SessionState, bytes: number): void {
    this.#bytes += bytes;
    this.#share(state.owner).bytes += bytes;
  }

  #leaveAway(state: SessionState): void {
    if (!this.#away.delete(state)) return;
    this.#count(state, -state.bytes);
    const share = this.#share(state.owner);
    share.sessions--;
    if (share.sessions === 0) this.#shares.delete(state.owner);
  }

  #wait(at: number): void {
    if (at === never) return;
    const rounded = Math.ceil(at / step) * step;
    if (rounded >= this.deadline) return;
    this.deadline = rounded;
    this.clock.watch(this);
  }
}
