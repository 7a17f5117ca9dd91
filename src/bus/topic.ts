import { assertOption, checkNames, mustBeFunctions } from '../core/options.ts';
import { decodeUtf8, encodeUtf8 } from '../core/wire.ts';
import { type ClientAccess, clientAccessOf } from './access.ts';
import type { Encoding, Message } from './message.ts';
import { kindOf, problemOfTopic } from './names.ts';
import { isPrivate } from './pattern.ts';
import { isStandardSchema, type StandardSchema, validated } from './standard-schema.ts';

/** How values become bytes and back, where JSON is not what is wanted: MessagePack, CBOR, Protobuf by their libraries. */
export interface Codec {
  /** The MIME type of the bytes, which every protocol tells its clients. Bodies that say they are JSON are read as JSON. */
  readonly contentType: string;
  /** The bytes of a value. */
  encode(value: unknown): Uint8Array;
  /** The value of bytes that anybody may have sent. What it throws means that they are none. */
  decode(bytes: Uint8Array): unknown;
}

/** How the values of a topic become bytes and back, and what clients may do with it. */
export interface TopicOptions<T> {
  /**
   * What values must be, as a Standard Schema (zod, valibot and others). What is published is checked before it is encoded,
   * and the publish rejects; what comes is checked when it is read, and a body that does not fit is reported and no
   * subscription sees it. A schema that changes values changes those that come.
   *
   * @defaultValue values are taken as they are
   */
  readonly schema?: StandardSchema<T> | undefined;
  /**
   * How values become bytes and back.
   *
   * @defaultValue JSON
   */
  readonly codec?: Codec | undefined;
  /**
   * Check and shape what `JSON.parse`, or `codec`, made of a body. A throw means that the body is none of this topic: it is
   * reported and no subscription sees it.
   *
   * @defaultValue the value as it is, so only for publishers that you trust
   */
  readonly decode?: ((value: unknown, message: Message) => T) | undefined;
  /**
   * What `JSON.stringify`, or `codec`, gets.
   *
   * @defaultValue the value itself
   */
  readonly encode?: ((value: T) => unknown) | undefined;
  /**
   * What the clients of protocols that name topics, such as STOMP, may do with it, on a bus that has it declared.
   * Resolvers are the application and are not asked.
   *
   * @defaultValue `'none'`
   */
  readonly clients?: ClientAccess | undefined;
  /**
   * Keep what readers who were away may come back for. `false`: nobody can, and those who ask are told so.
   *
   * @defaultValue `true`
   */
  readonly history?: boolean | undefined;
}

/** A named stream of values of one type. Bodies are JSON, or what its codec makes. A topic is a value: a bus has it once it is declared there. */
export interface Topic<T> {
  /** What it is called on every bus, and by clients: STOMP's `/topic/<name>`. */
  readonly name: string;
  /** What clients may do with it where it is declared. */
  readonly clients: ClientAccess;
  /** Readers who were away can come back to it. Absent: they can. */
  readonly history?: boolean | undefined;
  /** The MIME type of its bodies. Absent: JSON. */
  readonly contentType?: string | undefined;
  /** The value of a message, decoded once, whoever reads it. */
  readonly value: Encoding<T>;
  /** The body for a value. Throws a `TypeError` if its schema refuses it, or if JSON cannot express it. */
  encode(value: T): Uint8Array;
}

const optionNames = {
  ...{ decode: true, encode: true, schema: true, codec: true, clients: true, history: true },
} as const satisfies Record<keyof TopicOptions<unknown>, true>;

/** The MIME type of JSON, which any topic reads. */
export const jsonType = 'application/json';

const jsonOf = (owner: string): Codec => ({
  contentType: jsonType,
  encode(value) {
    let text: string | undefined;
    let cause: unknown;
    try {
      text = JSON.stringify(value);
    } catch (error) {
      cause = error;
    }
    if (text === undefined)
      throw new TypeError(`${owner}: a value that JSON cannot express: ${kindOf(value)}`, { cause });
    return encodeUtf8(text);
  },
  decode: (bytes) => JSON.parse(decodeUtf8(bytes)),
});

/**
 * Make a topic. Nothing is registered: clients reach it by a bus that has it declared, by
 * `createBus({ topics: [prices] })` or `bus.declare(prices)`, and as far as `clients` allows.
 *
 * Throws a `TypeError` that names what is wrong with the name or an option.
 *
 * @example
 * const prices = topic<{ symbol: string; price: number }>('prices', { clients: 'readwrite' });
 * const bus = createBus({ topics: [prices] });
 */
export function topic<T>(name: string, options: TopicOptions<T> = {}): Topic<T> {
  const owner = `topic("${String(name)}")`;
  if (typeof name !== 'string' || name === '') throw new TypeError('topic() needs a name, such as topic("prices")');
  const problem = problemOfTopic(name);
  if (problem !== undefined) throw new TypeError(`${owner}: a name ${problem}`);
  if (name.startsWith('/')) {
    throw new TypeError(`${owner}: a name does not begin with /; for STOMP, "prices" is /topic/prices`);
  }
  if (typeof options !== 'object' || options === null) {
    throw new TypeError(`${owner}: options must be an object such as { clients: 'read' }; got ${kindOf(options)}`);
  }
  checkNames(options, optionNames, owner);
  const json = jsonOf(owner);
  const { decode, encode, schema, codec = json, history = true } = options;
  assertOption(schema === undefined || isStandardSchema(schema), `${owner}: schema`, 'a Standard Schema', schema);
  assertOption(isCodec(codec), `${owner}: codec`, '{ contentType, encode, decode }', codec);
  assertOption(typeof history === 'boolean', `${owner}: history`, 'true or false', history);
  mustBeFunctions({ decode, encode }, `${owner}: `);
  const clients = clientAccessOf(options.clients, `${owner}: clients`);
  if (clients !== 'none' && isPrivate(name)) {
    throw new TypeError(`${owner}: names that begin with $ are private and are never open to clients`);
  }
  return {
    name,
    clients,
    history,
    contentType: codec.contentType,
    value: {
      encode(message) {
        const reader = message.contentType?.startsWith(jsonType) ? json : codec;
        const read = reader.decode(message.body);
        const value = decode ? decode(read, message) : (read as T);
        return schema ? validated(schema, value, owner) : value;
      },
    },
    encode(value) {
      if (schema) validated(schema, value, owner);
      const bytes: unknown = codec.encode(encode ? encode(value) : value);
      if (bytes instanceof Uint8Array) return bytes;
      throw new TypeError(`${owner}: encode() of its codec must give bytes (Uint8Array); got ${kindOf(bytes)}`);
    },
  };
}

function isCodec(given: unknown): given is Codec {
  const { contentType, encode, decode } = (given ?? {}) as Partial<Codec>;
  return typeof contentType === 'string' && typeof encode === 'function' && typeof decode === 'function';
}

/** Is this what `topic()` makes? */
export function isTopic(value: unknown): value is Topic<unknown> {
  const { name, value: form, encode } = (value ?? {}) as Partial<Topic<unknown>>;
  return typeof name === 'string' && typeof form?.encode === 'function' && typeof encode === 'function';
}
