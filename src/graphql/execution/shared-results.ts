import type { ExecutionResult } from 'graphql';
import { noScope } from '#scope';
import { isPromise } from '../../core/promise-or.ts';
import { encodeNextTail, encodePlacedTail } from '../protocol/next-tail.ts';
import type { Encode, Reporter } from './errors.ts';
import type { ExecuteEvent } from './execute.ts';

/** What `share` may return: who has the same key sees the same results. `undefined`: nobody shares with this one. */
export type ShareKey = string | number | boolean | object | undefined;

/** Somebody who waits for a result that is still being made. */
export interface Sharer {
  /** The result is there, or has failed. */
  shared(result: SharedResult): void;
}

/** The result of one event for everybody in a {@link ShareGroup}: executed once and encoded once. */
export class SharedResult {
  /** Its number among those of its group, from 1. */
  readonly serial: number;
  /** What was executed. */
  readonly event: unknown;
  /** Whether it is made, or failed. */
  state: 'pending' | 'ready' | 'failed' = 'pending';
  /** It was kept for those who were away. */
  isRemembered = false;
  /** Once it is ready. */
  result: ExecutionResult | undefined;
  /** Why it failed. */
  error: unknown;
  #json: string | undefined;
  #tail: Uint8Array | undefined;
  #placed: { readonly at: number; readonly tail: Uint8Array } | undefined;
  #unwritable: { readonly error: unknown } | undefined;
  #waiting: Sharer[] | undefined;

  constructor(event: unknown, serial: number) {
    this.event = event;
    this.serial = serial;
  }

  /**
   * The end of a `next` message with this result: the same bytes for all, and the same for all who asked where it stands
   * (`at`). Throws what `encode` throws, the same error for each; the first who asks has it reported.
   */
  tail(encode: Encode, reporter: Reporter, at?: number): Uint8Array {
    if (at === undefined) {
      this.#tail ??= encodeNextTail(this.#encoded(encode, reporter));
      return this.#tail;
    }
    // Equal values that follow each other share a result, and stand in different places.
    if (this.#placed?.at !== at) this.#placed = { at, tail: encodePlacedTail(this.#encoded(encode, reporter), at) };
    return this.#placed.tail;
  }

  #encoded(encode: Encode, reporter: Reporter): string {
    if (this.#unwritable) throw this.#unwritable.error;
    try {
      this.#json ??= encode(this.result as ExecutionResult, reporter);
      return this.#json;
    } catch (error) {
      this.#unwritable = { error };
      throw error;
    }
  }

  /** Tell this one when it is no longer pending. */
  wait(sharer: Sharer): void {
    this.#waiting ??= [];
    this.#waiting.push(sharer);
  }

  /** In the async context of nobody: it is for all of them. */
  execute(execute: ExecuteEvent): void {
    try {
      const outcome = noScope.runInAsyncScope(execute, undefined, this.event);
      if (isPromise(outcome)) outcome.then(this.#resolve, this.#reject);
      else this.#resolve(outcome);
    } catch (error) {
      this.#reject(error);
    }
  }

  readonly #resolve = (result: ExecutionResult): void => {
    this.state = 'ready';
    this.result = result;
    this.#tell();
  };

  readonly #reject = (error: unknown): void => {
    this.state = 'failed';
    this.error = error;
    this.#tell();
  };

  #tell(): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    for (const sharer of waiting ?? []) sharer.shared(this);
  }
}

/** Results of replays take so many bytes at the most, as far as their messages tell; a result is some times its message. */
const maxReplayBytes = 16_777_216;
const weightOfTail = 4;
/** And they are remembered for so many ms. */
const replayMs = 2_000;

/**
 * The results of events that readers missed. After an outage thousands come back at about the same time, each with the
 * same events before it: each event is executed once for all of them ([GQL-112]).
 */
export class Replays {
  readonly #groups = new Map<ShareGroup, Map<number, SharedResult>>();
  /** The oldest first. */
  readonly #order: {
    readonly group: ShareGroup;
    readonly at: number;
    readonly bytes: number;
    readonly since: number;
  }[] = [];
  #bytes = 0;

  /** The result of the event at this place, if it is known. */
  get(group: ShareGroup, at: number): SharedResult | undefined {
    return this.#groups.get(group)?.get(at);
  }

  /** Remember a result whose message has so many bytes. */
  add(group: ShareGroup, at: number, result: SharedResult, tailBytes: number, now: number): void {
    this.#trim(now);
    let results = this.#groups.get(group);
    if (!results) {
      results = new Map();
      this.#groups.set(group, results);
    }
    if (results.has(at)) return;
    results.set(at, result);
    const bytes = 256 + weightOfTail * tailBytes;
    this.#order.push({ group, at, bytes, since: now });
    this.#bytes += bytes;
  }

  #trim(now: number): void {
    let gone = 0;
    for (const { group, at, bytes, since } of this.#order) {
      if (this.#bytes <= maxReplayBytes && now - since < replayMs) break;
      gone++;
      this.#bytes -= bytes;
      const results = this.#groups.get(group);
      results?.delete(at);
      if (results?.size === 0) this.#groups.delete(group);
    }
    if (gone > 0) this.#order.splice(0, gone);
  }
}

/** So many results of a group are remembered until all of its members have had them. */
const maxRemembered = 64;

/**
 * Operations with equal schema, document, operation name, variables and key. Each has a source of its own; when the
 * same event reaches several of them before all have worked off what came, it is executed for the first.
 */
export class ShareGroup {
  /** What its members have in common, as text. */
  readonly name: string;
  /** How many there are. */
  members = 0;
  // In the order of their serial numbers, which have no gaps. None while nothing waits.
  #recent: SharedResult[] = [];
  #lastSerial = 0;

  /** What was executed for those who were away. */
  readonly replays: Replays;

  constructor(name: string, replays: Replays) {
    this.name = name;
    this.replays = replays;
  }

  /**
   * The result of this event. `last` is the serial number of the member's previous result: seeing the same value under the
   * same number means a new, equal event, such as a second equal number.
   */
  take(
    event: unknown,
    last: number,
    execute: ExecuteEvent,
    member: { whenIdle(run: () => void): void },
    at?: number,
  ): SharedResult {
    const replayed = at === undefined ? undefined : this.replays.get(this, at);
    if (replayed) return replayed;
    const recent = this.#recent;
    const [oldest] = recent;
    if (oldest) {
      for (let index = Math.max(0, last + 1 - oldest.serial); index < recent.length; index++) {
        const known = recent[index] as SharedResult;
        if (Object.is(known.event, event)) return known;
      }
    } else member.whenIdle(this.#forget);
    const fresh = new SharedResult(event, ++this.#lastSerial);
    if (recent.push(fresh) > maxRemembered) recent.shift();
    fresh.execute(execute);
    return fresh;
  }

  /** Those who were away may want it again soon. */
  remember(result: SharedResult, at: number, bytes: number, now: number): void {
    if (result.isRemembered) return;
    result.isRemembered = true;
    this.replays.add(this, at, result, bytes, now);
  }

  readonly #forget = (): void => {
    this.#recent = [];
  };
}

/** The groups of a server. A group lives as long as it has members. */
export class ShareGroups {
  readonly #groups = new Map<string, ShareGroup>();
  readonly #replays = new Replays();
  readonly #identities = new WeakMap<object, number>();
  #lastIdentity = 0;

  /** How many groups there are. */
  get size(): number {
    return this.#groups.size;
  }

  /** The group of an operation; undefined if equality of its key or variables cannot be told: they are not plain JSON. */
  join(
    key: NonNullable<ShareKey>,
    parts: {
      readonly schema: object;
      readonly document: object;
      readonly operationName: unknown;
      readonly variables: unknown;
    },
  ): ShareGroup | undefined {
    const variables = canonical(parts.variables ?? {});
    // The types say so as well; here it would be somebody else's result.
    if (variables === undefined || key === null || typeof key === 'symbol') return undefined;
    const name = JSON.stringify([
      this.#identity(parts.schema),
      this.#identity(parts.document),
      parts.operationName ?? null,
      typeof key,
      typeof key === 'object' || typeof key === 'function' ? this.#identity(key) : String(key),
      variables,
    ]);
    let group = this.#groups.get(name);
    if (!group) {
      group = new ShareGroup(name, this.#replays);
      this.#groups.set(name, group);
    }
    group.members++;
    return group;
  }

  /** One member less: the last one takes the group along. */
  leave(group: ShareGroup): void {
    if (--group.members === 0) this.#groups.delete(group.name);
  }

  #identity(object: object): number {
    let identity = this.#identities.get(object);
    if (identity === undefined) {
      identity = ++this.#lastIdentity;
      this.#identities.set(object, identity);
    }
    return identity;
  }
}

/** Deeper variables are not compared: the stack has an end. */
const maxDepth = 100;

/** A text that is equal for equal JSON values, whatever the order of their properties; undefined for anything else. */
export function canonical(value: unknown, depth = 0): string | undefined {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return JSON.stringify(value);
  if (typeof value === 'number')
    return Number.isFinite(value) ? (Object.is(value, -0) ? '-0' : String(value)) : undefined;
  if (typeof value !== 'object' || depth === maxDepth) return undefined;
  const parts: string[] = [];
  if (Array.isArray(value)) {
    for (const item of value as unknown[]) {
      const part = canonical(item, depth + 1);
      if (part === undefined) return undefined;
      parts.push(part);
    }
    return `[${parts.join()}]`;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  // A reviver may have made a Date or a Map of it: their text does not tell them apart.
  if (prototype !== Object.prototype && prototype !== null) return undefined;
  for (const name of Object.keys(value).sort()) {
    const part = canonical((value as Record<string, unknown>)[name], depth + 1);
    if (part === undefined) return undefined;
    parts.push(`${JSON.stringify(name)}:${part}`);
  }
  return `{${parts.join()}}`;
}
