import { type Clock, never } from './clock.ts';
import { inWords } from './options.ts';
import type { Refusal } from './refuse.ts';
import type { Principal } from './subprotocol.ts';

/** Throws a `TypeError` if `expiresAt` is no number: it would never come, so that a mistake made credentials endless. */
export function checkPrincipal({ expiresAt }: Principal): void {
  if (expiresAt === undefined || (typeof expiresAt === 'number' && !Number.isNaN(expiresAt))) return;
  throw new TypeError(`authenticate: expiresAt must be a number of ms since 1970; got ${inWords(expiresAt)}`);
}

/**
 * Read an answer of `authenticate`: an object is a principal, `true` lets in without one, `false`, `undefined` and
 * `null` refuse, and so does a {@link Refusal}, with its words.
 *
 * Throws a `TypeError` for anything else, which is a bug of the hook: an Error that was returned, a text or a list would
 * let everybody in if it counted because it is truthy.
 */
export function readAnswer(answer: unknown): Principal | boolean | Refusal {
  if (answer === true) return answer;
  if (answer === false || answer === undefined || answer === null) return false;
  const kind = kindOf(answer);
  if (kind === undefined) return answer as Principal | Refusal;
  throw new TypeError(
    `authenticate must answer a principal such as { name: 'ada' }, true, false, or refuse({ reason }); got ${kind}`,
    { cause: answer },
  );
}

/** What an answer of a gate is that must not count because it is truthy, for the error; undefined if it is an object. */
export function kindOf(answer: unknown): string | undefined {
  if (typeof answer !== 'object' || answer === null) return `a ${typeof answer}`;
  try {
    return kindOfObject(answer);
  } catch {
    return 'an object that throws when it is looked at';
  }
}

function kindOfObject(answer: object): string | undefined {
  if (Array.isArray(answer)) return 'an array';
  if (answer instanceof Error) return 'an Error (throw it, or refuse)';
  // Node's own: a request, a server, a timer.
  const { emit, hasRef } = answer as { readonly emit?: unknown; readonly hasRef?: unknown };
  if (typeof emit === 'function' || typeof hasRef === 'function') return inWords(answer);
  const tag = Object.prototype.toString.call(answer).slice(8, -1);
  // A class of the application is known to nobody else; what the runtime itself makes is no principal, whichever realm it
  // is from: a Response, a Date, a Map, bytes, a generator.
  const isRuntimes = Object.hasOwn(globalThis, tag) || /(Generator|Iterator|Arguments|Module)/.test(tag);
  if (tag !== 'Object' && isRuntimes) return `a ${tag}`;
  // A Proxy, or a property of the application, hides the tag; the classes it is made of it cannot hide.
  for (let made: unknown = Object.getPrototypeOf(answer); made; made = Object.getPrototypeOf(made)) {
    const { constructor } = made as object;
    const name = typeof constructor === 'function' && constructor !== Object ? constructor.name : '';
    const known = Object.getOwnPropertyDescriptor(globalThis, name);
    if (known && !known.enumerable && known.value === constructor) return `a ${name}`;
  }
  return undefined;
}

/** When it expires, in ms of {@link Clock.now}; Infinity: never. */
export function expiryOf(principal: Principal | undefined, clock: Clock): number {
  const expiresAt = principal?.expiresAt;
  return expiresAt === undefined ? never : clock.now() + (expiresAt - clock.wall());
}
