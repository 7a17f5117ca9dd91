import { checkNames, isRecord } from '../core/options.ts';
import { isBytes } from '../core/wire.ts';
import type { Message, MessageHeaders, Position } from './message.ts';
import { kindOf } from './names.ts';

/** What travels with a body, as the bus hands it to a backbone. */
export interface MessageOptions {
  /** MIME type of the body; undefined: bytes of unknown kind. */
  readonly contentType?: string | undefined;
  /** Names and values, in the order in which they were given. */
  readonly headers?: MessageHeaders | undefined;
  /** The same id on the same topic within 5 min is the same message, where `abilities.ids` says so. */
  readonly id?: string | undefined;
  /** How long it may wait, in ms. */
  readonly timeout?: number | undefined;
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
  /**
   * Publishes to one topic with the same id are one message, if the later one comes within 5 min and the backbone's
   * abilities claim `ids`. Absent: the backbone takes an id of its own for each publish, so that repeating it after a
   * lost answer makes no second message.
   */
  readonly id?: string | undefined;
  /**
   * How long the publish may wait for the backbone, in ms. Then it is rejected with a {@link BackboneError}.
   *
   * @defaultValue `10_000`
   */
  readonly timeout?: number | undefined;
}

/** `connecting`: not up yet for the first time. `down`: it was up and tries to be again. `closed`: for good. */
export type BackboneState = 'connecting' | 'up' | 'down' | 'closed';

/** Why a backbone did not do what it was asked for. */
export type BackboneFailure = 'unavailable' | 'timeout' | 'tooLarge' | 'full' | 'closed';

/**
 * A publish or a subscribe failed. `unavailable`: there is no connection; `timeout`: no answer in time; `tooLarge`: the
 * body is over `abilities.maxBody`; `full`: too much waits already; `closed`: the backbone was closed.
 *
 * @example
 * try { await bus.publish(prices, value); } catch (error) {
 *   if (error instanceof BackboneError && error.stored === 'no') await later(value);
 * }
 */
export class BackboneError extends Error {
  override readonly name = 'BackboneError';
  /** The kind of failure. */
  readonly reason: BackboneFailure;
  /** `no`: nobody will ever see the message. `unknown`: only the answer is missing, readers may have it. */
  readonly stored: 'no' | 'unknown';
  /** What GraphQL puts into `errors[].extensions` where a resolver throws it. */
  readonly extensions: { readonly code: 'UNAVAILABLE' | 'UNKNOWN_OUTCOME' | 'TOO_LARGE' };

  constructor(reason: BackboneFailure, message: string, stored: 'no' | 'unknown' = 'no', options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
    this.stored = stored;
    const certain = reason === 'tooLarge' ? 'TOO_LARGE' : 'UNAVAILABLE';
    this.extensions = { code: stored === 'unknown' ? 'UNKNOWN_OUTCOME' : certain };
  }
}

/** What a backbone promises. What is not claimed is not used, and `test/backbones/contract.ts` says so aloud. */
export interface BackboneAbilities {
  /** A message that is published again with its id, by the application or by a repeated attempt, stays one message. */
  readonly ids: boolean;
  /**
   * Positions are places in the log of the backbone, the same on every server. False: this process numbers what it
   * receives, and a position is good here only.
   */
  readonly positions: boolean;
  /** `broker`: only what matches a subscription comes here. `all`: every message comes, and the bus filters. */
  readonly patterns: 'broker' | 'all';
  /** It carries work queues across servers: {@link Backbone.queues} is there. */
  readonly queues: boolean;
  /** {@link Backbone.since} is there. */
  readonly history: boolean;
  /** The largest body, in bytes. Infinity: it does not say. */
  readonly maxBody: number;
}

/** A message of a work queue, handed to one consumer. */
export interface QueueDelivery {
  /** The body. It may be kept. */
  readonly body: Uint8Array;
  /** MIME type of the body, if it has one. */
  readonly contentType: string | undefined;
  /** Names and values as the sender gave them. */
  readonly headers: MessageHeaders;
  /** How often it was handed out, this time included, as far as the broker knows: it may be more. */
  readonly deliveries: number;
  /** The broker has taken it back, as when the connection was lost: somebody else may have it by now. */
  readonly lost: boolean;
  /**
   * What became of it; the first call counts. `consumed`: it is gone from the queue, unless the connection is lost before
   * the broker knows. `failed`: it is handed out again, and that counts. `returned`: it was not looked at.
   */
  settle(outcome: 'consumed' | 'failed' | 'returned'): void;
}

/** Somebody who takes messages from a work queue. */
export interface QueueConsumer {
  /** Resolves when messages come. Rejects with a {@link BackboneError} if that is not so within 10 s; it is tried on. */
  readonly active: Promise<void>;
  /** Take no more. What is not settled goes back. */
  stop(): void;
}

/**
 * Work queues that all servers share: each message goes to one consumer, and comes again unless it is settled as
 * `consumed`. Order is the broker's, and is lost where a message comes again.
 */
export interface BackboneQueues {
  /** Resolves when the broker has the message: it outlives this server. Rejects with a {@link BackboneError}. */
  put(queue: string, body: Uint8Array, options: MessageOptions): Promise<void>;
  /** `take` is called while fewer than `credit` deliveries of this consumer are unsettled. It must not throw. */
  consume(queue: string, credit: number, take: (delivery: QueueDelivery) => void): QueueConsumer;
}

/** Who hears a backbone: the bus. Nothing that a backbone calls here may throw. */
export interface BackboneSink {
  /** A message came. Messages of a topic come in the order of the backbone, each once. */
  message(message: Message): void;
  /**
   * Something of this topic or pattern may be missing; of all where it is undefined. Messages that come after this call
   * go on at `from`, where that is known.
   */
  gap(name: string | undefined, from: Position | undefined): void;
  /** The state changed. `error` says why, without credentials. */
  state(state: BackboneState, error?: unknown): void;
  /** Something came that is no message of ours, or is of a later version: it was passed over. */
  unreadable(error: Error): void;
}

/**
 * What carries messages between servers. The embedded one carries them within this process; others stand on Redis,
 * NATS or a STOMP broker.
 *
 * `subwire/extend` has what authors of one need: its messages are made by `createMessage`.
 */
export interface Backbone {
  /** One word for errors and statistics, such as `redis`. */
  readonly name: string;
  /** What it promises. */
  readonly abilities: BackboneAbilities;
  /** Where it is in its life. */
  readonly state: BackboneState;
  /**
   * The mark: up to here everything that this process subscribed to has been delivered. Undefined: not known yet, or
   * there are no positions.
   */
  readonly position: Position | undefined;
  /** Who hears it. Called once, before anything is subscribed to; a second call throws a `TypeError`. */
  open(sink: BackboneSink): void;
  /**
   * Resolves when the backbone HAS the message: a receipt means that. The value is the message's position, where the
   * backbone tells it to publishers. Rejects with a {@link BackboneError}; other errors are bugs.
   */
  publish(topic: string, body: Uint8Array, options: MessageOptions): Promise<Position | undefined>;
  /**
   * Messages of this topic, or of all that match a pattern, are wanted here. Resolves when it is live, with a position
   * that was read before: all that comes after it is delivered. Rejects with a {@link BackboneError} if it is not live
   * within 10 s; the name stays wanted all the same, until it is unsubscribed.
   */
  subscribe(name: string): Promise<Position | undefined>;
  /** They are not wanted any more: when this was called, nothing of them is delivered. */
  unsubscribe(name: string): Promise<void>;
  /**
   * What came after a position, oldest first. Undefined: not all of it is known any more, or it is more than `limit`
   * messages. A position of another epoch, of the future or below zero is undefined as well, and never an error.
   */
  since?(name: string, after: Position, limit: number): Promise<readonly Message[] | undefined>;
  /** Work queues, where `abilities.queues` says so. */
  readonly queues?: BackboneQueues | undefined;
  /** Let go of everything. What is under way is rejected as `closed`. May be called again. */
  close(): Promise<void>;
}

const methods = ['publish', 'subscribe', 'unsubscribe', 'open', 'close'] as const;

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

const publishNames = {
  ...{ contentType: true, headers: true, id: true, timeout: true },
} as const satisfies Record<keyof PublishOptions, true>;
const nothing: MessageOptions = Object.freeze({});

/**
 * The body of a message. Throws a `TypeError` if it is not bytes ([BUS-7]).
 *
 * @example
 * checkedBody('prices', encodeUtf8('{}'));
 */
export function checkedBody(topic: string, body: unknown): Uint8Array {
  if (isBytes(body)) return body;
  const advice =
    typeof body === 'string'
      ? 'encode text with a TextEncoder'
      : body instanceof Uint8Array
        ? 'its memory can shrink, was transferred away, or is not what its length says: publish a copy'
        : `publish values by topic("${topic}")`;
  throw new TypeError(`body of "${topic}" must be bytes (Uint8Array); got ${kindOf(body)}: ${advice}`);
}

/** What a publisher said, checked, with headers as text. Throws a `TypeError` that names what is wrong ([BUS-7]). */
export function checkedOptions(topic: string, given: PublishOptions | undefined): MessageOptions {
  if (given === undefined) return nothing;
  const owner = `publish("${topic}")`;
  // Nearly all are literals, which are known by less.
  if (typeof given !== 'object' || !given || (Object.getPrototypeOf(given) !== Object.prototype && !isRecord(given))) {
    throw new TypeError(`${owner}: options must be an object such as { headers }; got ${kindOf(given)}`);
  }
  for (const name in given) {
    if (name !== 'contentType' && name !== 'headers') checkNames(given, publishNames, owner);
  }
  const { contentType, headers, id, timeout }: PublishOptions = given;
  if (id !== undefined && typeof id !== 'string') throw new TypeError(`${owner}: id must be text; got ${kindOf(id)}`);
  if (timeout !== undefined && !(typeof timeout === 'number' && timeout >= 0)) {
    throw new TypeError(`${owner}: timeout must be a number of ms from 0 up; got ${kindOf(timeout)}`);
  }
  if (contentType !== undefined && typeof contentType !== 'string') {
    throw new TypeError(`${owner}: contentType must be text; got ${kindOf(contentType)}`);
  }
  const texts = headers === undefined ? undefined : checkedHeaders(owner, headers);
  // Most publishes have neither: theirs keep the shape that they had.
  if (id === undefined && timeout === undefined) return { contentType, headers: texts };
  return { contentType, headers: texts, id, timeout };
}

function checkedHeaders(owner: string, given: NonNullable<PublishOptions['headers']>): MessageHeaders | undefined {
  if (given instanceof Map) {
    // A map of texts, which is what protocols give, is taken as it is.
    let good = true;
    for (const [name, value] of given) good &&= typeof name === 'string' && name !== '' && typeof value === 'string';
    if (good) return given as MessageHeaders;
  } else if (!isRecord(given)) {
    throw new TypeError(`${owner}: headers must be a Map or an object; got ${kindOf(given)}`);
  }
  const headers = new Map<string, string>();
  for (const [name, value] of given instanceof Map ? given : Object.entries(given)) {
    if (typeof name !== 'string' || name === '') {
      throw new TypeError(`${owner}: the name of a header must be text; got ${name === '' ? '""' : kindOf(name)}`);
    }
    if (value === undefined) continue;
    // NaN is what a mistake in arithmetic leaves: nobody can want to send it.
    if ((typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean') || Number.isNaN(value)) {
      throw new TypeError(`${owner}: the header "${name}" must be text, a number or a boolean; got ${kindOf(value)}`);
    }
    headers.set(name, String(value));
  }
  return headers;
}

/** For so long a publish or a subscribe waits for its backbone unless it says otherwise, in ms. */
export const defaultPatience = 10_000;

/** For so long a publish with an id that was seen is the same message, in ms. */
export const idWindow = 300_000;
