import { assertOption, checkNames } from '../core/options.ts';
import type { ListenOptions } from './fan-out.ts';
import { kindOf } from './names.ts';
import type { Topic } from './topic.ts';

const listenNames = { protocol: true } as const satisfies Record<keyof ListenOptions, true>;

/** Throws a `TypeError` that begins with `owner` unless these are options of known names. */
export function assertOptions(given: unknown, known: Readonly<Record<string, true>>, owner: string): void {
  if (typeof given !== 'object' || given === null) {
    throw new TypeError(`${owner} takes an object of options; got ${kindOf(given)}`);
  }
  checkNames(given, known, owner);
}

/** For whom somebody listens. Throws a `TypeError` that names what is wrong. */
export function protocolOf(name: string, given: ListenOptions | undefined): string | undefined {
  if (given === undefined) return undefined;
  assertOptions(given, listenNames, `listen("${name}")`);
  const { protocol } = given;
  const good = protocol === undefined || (typeof protocol === 'string' && protocol !== '');
  assertOption(good, 'protocol', "the name of a protocol such as 'stomp'", protocol);
  return protocol;
}

/** Is this an AbortSignal, of whichever realm? */
export const isSignal = (given: unknown): boolean =>
  typeof (given as AbortSignal | null)?.addEventListener === 'function' &&
  typeof (given as AbortSignal).removeEventListener === 'function';

/** A topic in words. */
export const nameOf = (target: unknown): string =>
  typeof target === 'string' ? `"${target}"` : `"${(target as Topic<unknown> | undefined)?.name}"`;

/** A name of a topic as an author might call the variable. */
export const variable = (name: string): string => (/^[A-Za-z_]\w*$/.test(name) ? name : 'it');
