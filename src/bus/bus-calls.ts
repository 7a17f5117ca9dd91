import { assertOption, checkNames } from '../core/options.ts';
import { type AccessRules, accessText, type ClientAccess } from './access.ts';
import type { ListenOptions } from './fan-out.ts';
import type { Position } from './message.ts';
import { kindOf } from './names.ts';
import type { Topic } from './topic.ts';

const listenNames = { protocol: true } as const satisfies Record<keyof ListenOptions, true>;

/**
 * A topic that says `clients` means nothing on a bus that does not have it: the author is told, by a `TypeError`
 * ([BUS-12]).
 */
export function assertDeclared({ name, clients }: Topic<unknown>, access: AccessRules): void {
  if (clients === undefined || clients === 'none') return;
  const known: ClientAccess | undefined = access.declaredAccess(name);
  if (known === clients) return;
  const said = accessText(clients);
  if (known === undefined) {
    throw new TypeError(
      `topic "${name}" says clients: ${said}, but this bus does not have it: createBus({ topics: [${variable(name)}] }) or bus.declare(${variable(name)})`,
    );
  }
  if (accessText(known) !== said) {
    throw new TypeError(`topic "${name}" says clients: ${said}, but it is declared with clients: ${accessText(known)}`);
  }
}

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
const variable = (name: string): string => (/^[A-Za-z_]\w*$/.test(name) ? name : 'it');

/** Throws a `TypeError` unless this is a position, from whatever bus. */
export function assertPosition(given: unknown, name: string): asserts given is Position {
  const { epoch, offset } = (given ?? {}) as Partial<Position>;
  const good = typeof epoch === 'string' && typeof offset === 'number';
  assertOption(good, `subscribe("${name}"): since`, 'a position such as bus.position() gives', kindOf(given));
}
