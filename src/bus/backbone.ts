import { checkNames } from '../core/options.ts';
import type { Message, MessageHeaders, Position } from './message.ts';
import { kindOf } from './names.ts';

/** What travels with a body, as the bus hands it to a backbone. */
export interface MessageOptions {
  /** MIME type of the body; undefined: bytes of unknown kind. */
  readonly contentType?: string | undefined;
  /** Names and values, in the order in which they were given. */
  readonly headers?: MessageHeaders | undefined;
}

/** What a header may be: numbers and booleans are taken as text, `undefined` is left out. */
export type HeaderValue = string | number | boolean | undefined;

/** What a publisher says beside the body. */
export interface PublishOptions {
  /**
   * MIME type of the body.
   *
   * @defaultValue `application/json` for a value of a topic; none for bytes
   */
  readonly contentType?: string | undefined;
  /** What travels with the body. A map must not be changed afterwards. */
  readonly headers?: ReadonlyMap<string, HeaderValue> | { readonly [name: string]: HeaderValue } | undefined;
}

/** `up`: messages come and go. `down`: it tries to come back. `closed`: it does not. */
export type BackboneState = 'up' | 'down' | 'closed';

/**
 * What carries messages between servers. The embedded one carries them within this process; others stand on Redis,
 * NATS or a STOMP broker. `subwire/extend` has what one needs to write one: its messages are made by `createMessage`.
 */
export interface Backbone {
  /** Whether messages come and go at the moment. */
  readonly state: BackboneState;
  /**
   * Resolves when the backbone HAS the message: a receipt means that. Rejects when it has not, or cannot know. The bus
   * has checked all arguments.
   */
  publish(topic: string, body: Uint8Array, options: MessageOptions): Promise<Position>;
  /** Messages of this topic, or of all that match a pattern, are wanted here, from when it resolves. */
  subscribe(topic: string): Promise<void>;
  /** They are not wanted any more. */
  unsubscribe(topic: string): Promise<void>;
  /** Hear every message that is wanted here, in the order of its topic. Returns how to stop. */
  on(event: 'message', listener: (message: Message) => void): () => void;
  /** Messages of a topic, or of all that match a pattern, may have been lost: said aloud, never hidden ([BUS-11]). */
  on(event: 'gap', listener: (topic: string) => void): () => void;
  /** Hear each change of `state`. */
  on(event: 'state', listener: (state: BackboneState) => void): () => void;
  /** Let everything go. Later calls of `publish` reject. */
  close(): Promise<void>;
}

const methods = ['publish', 'subscribe', 'unsubscribe', 'on', 'close'] as const;

/** Throws a `TypeError` that names the option, and the method that is missing. */
export function assertBackbone(given: unknown): asserts given is Backbone {
  if (typeof given !== 'object' || given === null) {
    throw new TypeError(`backbone must be a backbone such as memoryBackbone(); got ${kindOf(given)}`);
  }
  for (const name of methods) {
    if (typeof (given as Partial<Backbone>)[name] !== 'function') {
      throw new TypeError(`backbone must be a backbone such as memoryBackbone(); this one has no method ${name}()`);
    }
  }
}

const publishNames = { contentType: true, headers: true } as const satisfies Record<keyof PublishOptions, true>;
const nothing: MessageOptions = Object.freeze({});

/**
 * The body of a message. Throws a `TypeError` if it is not bytes ([BUS-7]).
 *
 * @example
 * checkedBody('prices', encodeUtf8('{}'));
 */
export function checkedBody(topic: string, body: unknown): Uint8Array {
  if (body instanceof Uint8Array) return body;
  // Bytes of another realm, such as those of an iframe or of a test runner.
  if (ArrayBuffer.isView(body) && Object.prototype.toString.call(body) === '[object Uint8Array]') {
    return body as Uint8Array;
  }
  const advice = typeof body === 'string' ? 'encode text with a TextEncoder' : `publish values by topic("${topic}")`;
  throw new TypeError(`body of "${topic}" must be bytes (Uint8Array); got ${kindOf(body)}: ${advice}`);
}

/** What a publisher said, checked, with headers as text. Throws a `TypeError` that names what is wrong ([BUS-7]). */
export function checkedOptions(topic: string, given: PublishOptions | undefined): MessageOptions {
  if (given === undefined) return nothing;
  const owner = `publish("${topic}")`;
  if (typeof given !== 'object' || given === null) {
    throw new TypeError(`${owner}: options must be an object such as { headers }; got ${kindOf(given)}`);
  }
  for (const name in given) {
    if (name !== 'contentType' && name !== 'headers') checkNames(given, publishNames, owner);
  }
  const { contentType, headers } = given;
  if (contentType !== undefined && typeof contentType !== 'string') {
    throw new TypeError(`${owner}: contentType must be text; got ${kindOf(contentType)}`);
  }
  return { contentType, headers: headers === undefined ? undefined : checkedHeaders(owner, headers) };
}

function checkedHeaders(owner: string, given: NonNullable<PublishOptions['headers']>): MessageHeaders | undefined {
  if (given instanceof Map) {
    // A map of texts, which is what protocols give, is taken as it is.
    let good = true;
    for (const [name, value] of given) good &&= typeof name === 'string' && name !== '' && typeof value === 'string';
    if (good) return given as MessageHeaders;
  } else if (typeof given !== 'object' || given === null || Symbol.iterator in given) {
    throw new TypeError(`${owner}: headers must be a Map or an object; got ${kindOf(given)}`);
  }
  const headers = new Map<string, string>();
  for (const [name, value] of given instanceof Map ? given : Object.entries(given)) {
    if (typeof name !== 'string' || name === '') {
      throw new TypeError(`${owner}: the name of a header must be text; got ${name === '' ? '""' : kindOf(name)}`);
    }
    if (value === undefined) continue;
    if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean') {
      throw new TypeError(`${owner}: the header "${name}" must be text, a number or a boolean; got ${kindOf(value)}`);
    }
    headers.set(name, String(value));
  }
  return headers;
}
