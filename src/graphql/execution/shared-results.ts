import type { ExecutionResult } from 'graphql';
import { isPromise } from '../../core/promise-or.ts';
import { encodeNextTail } from '../protocol/next-tail.ts';
import type { Encode, Reporter } from './errors.ts';
import type { ExecuteEvent } from './execute.ts';

/** What `share` may return: who has the same key sees the same results. `undefined`: nobody shares with this one. */
export type ShareKey = string | number | boolean | object | undefined;

/** Somebody who waits for a result that is still being made. */
export interface Sharer {
  /** The result is there, or has failed. */
  shared(result: SharedResult): void;
}

let lastSerial = 0;

/** The result of one event for everybody in a {@link ShareGroup}: executed once and encoded once. */
export class SharedResult {
  readonly serial: number = ++lastSerial;
  readonly event: unknown;
  state: 'pending' | 'ready' | 'failed' = 'pending';
  result: ExecutionResult | undefined;
  error: unknown;
  #tail: Uint8Array | undefined;
  #unwritable: { readonly error: unknown } | undefined;
  #waiting: Sharer[] | undefined;

  constructor(event: unknown) {
    this.event = event;
  }

  /**
   * The end of a `next` message with this result: the same bytes for all. Throws what `encode` throws, the same error for
   * each; the first who asks has it reported.
   */
  tail(encode: Encode, reporter: Reporter): Uint8Array {
    if (this.#unwritable) throw this.#unwritable.error;
    try {
      this.#tail ??= encodeNextTail(encode(this.result as ExecutionResult, reporter));
      return this.#tail;
    } catch (error) {
      this.#unwritable = { error };
      throw error;
    }
  }

  wait(sharer: Sharer): void {
    this.#waiting ??= [];
    this.#waiting.push(sharer);
  }

  execute(execute: ExecuteEvent): void {
    try {
      const outcome = execute(this.event);
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

/**
 * Operations with equal schema, document, operation name, variables and key. Each has a source of its own; when the
 * same event reaches several of them in one turn of the event loop, it is executed for the first.
 */
export class ShareGroup {
  readonly name: string;
  members = 0;
  #current: SharedResult | undefined;

  constructor(name: string) {
    this.name = name;
  }

  /**
   * The result of this event in this turn. `last` is the serial number of what the asking member had before: who meets
   * the same value again meets a new event, such as a second equal number.
   */
  take(event: unknown, last: number, execute: ExecuteEvent, turn: { afterTurn(run: () => void): void }): SharedResult {
    const current = this.#current;
    if (current && current.serial !== last && Object.is(current.event, event)) return current;
    if (!current) turn.afterTurn(this.#forget);
    const fresh = new SharedResult(event);
    this.#current = fresh;
    fresh.execute(execute);
    return fresh;
  }

  readonly #forget = (): void => {
    this.#current = undefined;
  };
}

/** The groups of a server. A group lives as long as it has members. */
export class ShareGroups {
  readonly #groups = new Map<string, ShareGroup>();
  readonly #identities = new WeakMap<object, number>();
  #lastIdentity = 0;

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
      group = new ShareGroup(name);
      this.#groups.set(name, group);
    }
    group.members++;
    return group;
  }

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
