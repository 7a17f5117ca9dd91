import { mustBeFunctions } from '../core/options.ts';
import { decodeUtf8, encodeUtf8 } from '../core/wire.ts';
import type { Encoding, Message } from './message.ts';
import { isPattern } from './pattern.ts';

/** What STOMP clients may do with a typed topic. */
export type StompAccess = 'none' | 'read' | 'write' | 'readwrite';

export interface TopicOptions<T> {
  /**
   * Check and shape what `JSON.parse` made of a body. A throw means that the body is none of this topic: it is
   * reported and no subscription sees it. Default: taken as it is, so only for publishers that you trust.
   */
  readonly decode?: ((value: unknown, message: Message) => T) | undefined;
  /** What `JSON.stringify` gets. Default: the value itself. */
  readonly encode?: ((value: T) => unknown) | undefined;
  /** Default `none`: closed to STOMP unless it says so. */
  readonly stomp?: StompAccess | undefined;
}

/** A named stream of values of one type. Bodies are JSON. */
export interface Topic<T> {
  readonly name: string;
  readonly stomp: StompAccess;
  /** The value of a message, decoded once, whoever reads it. */
  readonly value: Encoding<T>;
  encode(value: T): Uint8Array;
}

const declared = new Map<string, Topic<unknown>>();

/**
 * Declare a typed topic. Its name is its identity in this process: STOMP reaches it as `/topic/<name>`, and only as
 * far as `stomp` allows, whether or not anybody has used it yet. Declaring a name again replaces the declaration.
 *
 * Throws a `TypeError` that names the option if one is wrong.
 *
 * @example
 * const prices = topic<{ symbol: string; price: number }>('prices', { stomp: 'readwrite' });
 */
export function topic<T>(name: string, options: TopicOptions<T> = {}): Topic<T> {
  const { decode, encode, stomp = 'none' } = options;
  if (typeof name !== 'string' || name === '') throw new TypeError('topic() needs a name, such as topic("prices")');
  if (isPattern(name)) throw new TypeError(`topic("${name}"): a name must not be a pattern; leave * and ** out`);
  if (!['none', 'read', 'write', 'readwrite'].includes(stomp)) {
    throw new TypeError(`topic("${name}"): stomp must be 'none', 'read', 'write' or 'readwrite'; got ${String(stomp)}`);
  }
  mustBeFunctions({ decode, encode }, `topic("${name}"): `);
  const made: Topic<T> = {
    name,
    stomp,
    value: {
      encode(message) {
        const value: unknown = JSON.parse(decodeUtf8(message.body));
        return decode ? decode(value, message) : (value as T);
      },
    },
    encode(value) {
      const text: string | undefined = JSON.stringify(encode ? encode(value) : value);
      if (text === undefined)
        throw new TypeError(`topic("${name}"): a value that JSON cannot express: ${String(value)}`);
      return encodeUtf8(text);
    },
  };
  declared.set(name, made as Topic<unknown>);
  return made;
}

/** The typed topic of this name, if one was declared. */
export const declaredTopic = (name: string): Topic<unknown> | undefined => declared.get(name);
