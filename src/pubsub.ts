import type { Bus } from './bus/bus.ts';
import type { ListenHandle } from './bus/fan-out.ts';
import type { Message } from './bus/message.ts';
import { kindOf, problemOfTopic } from './bus/names.ts';
import { createSubscription, MessagesLost, push, type Subscription } from './bus/subscription.ts';
import type { Topic } from './bus/topic.ts';
import { assertOption, checkNames, mustBeFunctions } from './core/options.ts';
import { isPromise } from './core/promise-or.ts';
import { decodeUtf8, encodeUtf8 } from './core/wire.ts';

/** How triggers become topics of a bus, and payloads bodies. */
export interface PubSubOptions {
  /** What carries them, to other servers as well where it has a backbone. */
  readonly bus: Bus;
  /**
   * What the topic of a trigger begins with: `'events/'` makes `events/PRICE` of `PRICE`. Whatever a trigger holds, its
   * topic is one topic: `*`, `%`, control characters and a `$` at the beginning are percent-encoded.
   *
   * @defaultValue `''`: `PRICE` is the topic `PRICE`, which is `/topic/PRICE` for STOMP where the bus lets clients read it
   */
  readonly prefix?: string | undefined;
  /**
   * What `JSON.stringify` gets. Payloads travel as JSON: a `Date` becomes text, a method is lost.
   *
   * @defaultValue the payload itself
   */
  readonly encode?: ((payload: unknown, trigger: string) => unknown) | undefined;
  /**
   * Shape what `JSON.parse` made of a body: give dates back, say. A throw means that the body is none: it is reported and
   * nobody sees it. The value is decoded once and handed to all who listen.
   *
   * @defaultValue the value as it is
   */
  readonly decode?: ((value: unknown, topic: string) => unknown) | undefined;
  /**
   * Told when payloads of a topic may have been lost, such as while the backbone was away; iterators then go on.
   *
   * @defaultValue iterators end with a `MessagesLost`, and for functions of `subscribe` the bus reports one; `onError` of
   * an event target hears of it
   */
  readonly onGap?: ((topic: string) => void) | undefined;
}

/** The shape that libraries have in common which publish and subscribe by trigger: `PubSub` of graphql-subscriptions. */
export interface PubSubShape {
  /** Publish a payload. */
  publish(trigger: string, payload?: unknown): Promise<void>;
  /** Call a function with each payload. Resolves with a number for `unsubscribe`. */
  subscribe(trigger: string, onMessage: (payload: never) => void, options?: object): Promise<number>;
  /** End a `subscribe`. */
  unsubscribe(id: number): void;
}

/** As `PubSub` of graphql-subscriptions, over a bus. */
export interface BusPubSub extends PubSubShape {
  /**
   * Resolves when the backbone has it: those who subscribed on any server get it. Rejects with a `BackboneError`, or with
   * a `TypeError` if JSON cannot express the payload or the trigger is no good. Without a payload it is `undefined` there.
   */
  publish(trigger: string, payload?: unknown): Promise<void>;
  /** Resolves when nothing is missed any more. What the function throws is reported by the bus and harms nobody. */
  subscribe(trigger: string, onMessage: (payload: never) => void, options?: object): Promise<number>;
  /**
   * The payloads of one trigger, or of several, from now on: for a resolver to return, or for `withFilter`. Up to 1,000
   * wait for a reader.
   */
  asyncIterableIterator<T>(triggers: string | readonly string[]): PubSubIterator<T>;
  /** The name that graphql-subscriptions had for it before 3.0. */
  asyncIterator<T>(triggers: string | readonly string[]): PubSubIterator<T>;
}

/** Payloads as a subscription that resolvers return. */
export interface PubSubIterator<T> extends Subscription<T> {
  /** End it, and reject with this error, as generators do. */
  throw(error?: unknown): Promise<never>;
}

/** What {@link createEventTarget} takes. */
export interface EventTargetOptions extends PubSubOptions {
  /**
   * Told when an event could not be published: `dispatchEvent` cannot wait for the bus.
   *
   * @defaultValue `console.error`
   */
  readonly onError?: ((error: unknown) => void) | undefined;
}

const optionNames = {
  ...{ bus: true, prefix: true, encode: true, decode: true, onGap: true },
} as const satisfies Record<keyof PubSubOptions, true>;

/** From triggers and payloads to topics and bodies, and back. */
interface Channels {
  topic(trigger: string): Topic<unknown>;
  publish(trigger: string, payload: unknown): Promise<void>;
}

/** Throws a `TypeError` that begins with `owner` and names the option that is wrong. */
function channelsOf(options: PubSubOptions, known: Readonly<Record<string, true>>, owner: string): Channels {
  if (typeof (options as Partial<PubSubOptions> | undefined)?.bus?.listen !== 'function') {
    throw new TypeError(`${owner} needs a bus, such as ${owner.replace('()', '')}({ bus: createBus() })`);
  }
  checkNames(options, known, owner);
  const { bus, prefix = '', encode = (payload: unknown) => payload, decode, onGap } = options;
  mustBeFunctions({ encode, decode, onGap }, `${owner}: `);
  const goodPrefix = typeof prefix === 'string' && (prefix === '' || problemOfTopic(prefix) === undefined);
  assertOption(goodPrefix, 'prefix', "the beginning of a topic such as 'events/'", prefix);
  // One for all topics, so that a message is decoded once, whoever reads it.
  const value = {
    encode({ topic, body }: Message): unknown {
      const parsed: unknown = body.length === 0 ? undefined : JSON.parse(decodeUtf8(body));
      return decode ? decode(parsed, topic) : parsed;
    },
  };

  function bodyOf(trigger: string, payload: unknown): Uint8Array {
    const given = encode(payload, trigger);
    // A promise would be an empty object of JSON.
    const text: string | undefined = given === undefined ? '' : isPromise(given) ? undefined : JSON.stringify(given);
    if (text === undefined) {
      throw new TypeError(`publish("${trigger}"): a payload that JSON cannot express: ${kindOf(given)}`);
    }
    return encodeUtf8(text);
  }

  function nameOf(trigger: unknown): string {
    if (typeof trigger !== 'string') {
      throw new TypeError(`a trigger must be text, such as 'PRICE_CHANGED'; got ${kindOf(trigger)}`);
    }
    const name = prefix + escaped(trigger, prefix === '');
    const problem = problemOfTopic(name);
    if (problem !== undefined) throw new TypeError(`the trigger "${trigger.slice(0, 100)}" ${problem}`);
    return name;
  }

  return {
    topic: (trigger) => ({
      ...{ name: nameOf(trigger), clients: 'none', value },
      encode: (payload) => bodyOf(trigger, payload),
    }),
    async publish(trigger, payload) {
      const name = nameOf(trigger);
      const body = bodyOf(trigger, payload);
      await bus.publish(name, body, { contentType: body.length === 0 ? undefined : 'application/json' });
    },
  };
}

/**
 * Triggers hold what clients said, such as the id of a room: one with a wildcard in it must not hear all rooms, and none
 * must be a private topic of the bus ([PUBSUB-2]).
 */
function escaped(trigger: string, isWhole: boolean): string {
  const text = trigger.replace(special, (sign) => `%${sign.charCodeAt(0).toString(16).padStart(2, '0').toUpperCase()}`);
  return isWhole && text.startsWith('$') ? `%24${text.slice(1)}` : text;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const special = /[%*\u0000-\u001f\u007f]/g;

/**
 * What `new PubSub()` of graphql-subscriptions is, over a bus: an existing schema moves to several servers, and to
 * clients of other protocols, without touching its resolvers.
 *
 * Where code names a type of that package, say so: `createPubSub<PubSubEngine>({ bus })`.
 *
 * Throws a `TypeError` that names the option that is wrong.
 *
 * @example
 * const pubsub = createPubSub({ bus });
 * const resolvers = { Subscription: { price: { subscribe: () => pubsub.asyncIterableIterator('PRICE') } } };
 * await pubsub.publish('PRICE', { price: 1 });
 */
export function createPubSub<Engine extends PubSubShape = BusPubSub>(options: PubSubOptions): Engine {
  const channels = channelsOf(options, optionNames, 'createPubSub()');
  const { bus, onGap } = options;
  const listening = new Map<number, ListenHandle>();
  let count = 0;

  function iterate<T>(triggers: string | readonly string[]): PubSubIterator<T> {
    const names: readonly string[] = Array.isArray(triggers) ? triggers : [triggers as string];
    if (names.length === 0) throw new TypeError('asyncIterableIterator() needs a trigger, or a list of some');
    const topics = names.map((name) => channels.topic(name) as Topic<T>);
    const subscriptions = topics.map((topic) => bus.subscribe(topic, { onGap }));
    const all = subscriptions.length === 1 ? (subscriptions[0] as Subscription<T>) : merged(subscriptions);
    const active = Promise.all(subscriptions.map((each) => each.active)).then(() => {});
    // Whoever iterates hears of it there.
    active.catch(() => {});
    return Object.assign(all, {
      active,
      async throw(error: unknown): Promise<never> {
        await all.return();
        throw error;
      },
    });
  }

  const pubSub: BusPubSub = {
    publish: (trigger, payload) => channels.publish(trigger, payload),
    async subscribe(trigger, onMessage) {
      const { name, value } = channels.topic(trigger);
      mustBeFunctions({ onMessage: onMessage ?? null }, `subscribe("${trigger}"): `);
      const handle = bus.listen(name, {
        receive: (message) => (onMessage as (payload: unknown) => void)(message.encodedAs(value)),
        gap(topic) {
          if (!onGap) throw new MessagesLost(topic);
          onGap(topic);
        },
      });
      const id = ++count;
      listening.set(id, handle);
      await handle.active;
      return id;
    },
    unsubscribe(id) {
      listening.get(id)?.stop();
      listening.delete(id);
    },
    asyncIterableIterator: iterate,
    asyncIterator: iterate,
  };
  return pubSub as PubSubShape as Engine;
}

/** Several subscriptions as one, which ends with the first that fails, or with the last. */
const merged = <T>(subscriptions: readonly Subscription<T>[]): Subscription<T> =>
  createSubscription<T>((sink) => {
    let left = subscriptions.length;
    const stops = subscriptions.map((each) =>
      each[push]({
        next: (value) => sink.next(value),
        error: (error) => sink.error(error),
        complete() {
          if (--left === 0) sink.complete();
        },
      }),
    );
    return () => {
      for (const stop of stops) stop();
    };
  });

/** As much of an event as travels. */
interface DetailedEvent {
  readonly type: string;
  readonly detail?: unknown;
}

/**
 * An event target over a bus, for `createPubSub({ eventTarget })` of graphql-yoga: what is published on one server is
 * heard on all. `detail` of an event is its payload.
 *
 * Events come back by the bus, to the server that dispatched them too, so that all servers agree about their order.
 *
 * Throws a `TypeError` that names the option that is wrong.
 *
 * @example
 * const pubSub = createYogaPubSub<{ price: [symbol: string, price: Price] }>({ eventTarget: createEventTarget({ bus }) });
 */
export function createEventTarget(options: EventTargetOptions): EventTarget {
  const owner = 'createEventTarget()';
  const channels = channelsOf(options, { ...optionNames, onError: true }, owner);
  const { bus, onError = (error: unknown) => console.error('subwire: an event target:', error) } = options;
  mustBeFunctions({ onError }, `${owner}: `);
  const { onGap = (topic: string) => onError(new Error(`Events of "${topic}" may have been lost`)) } = options;
  const listeners = new Map<string, Map<EventListenerOrEventListenerObject, ListenHandle>>();

  function remove(type: string, callback: EventListenerOrEventListenerObject): void {
    const own = listeners.get(type);
    own?.get(callback)?.stop();
    own?.delete(callback);
    if (own?.size === 0) listeners.delete(type);
  }

  return {
    addEventListener(type, callback, settings) {
      if (!callback) return;
      const { once = false, signal } = typeof settings === 'object' ? settings : {};
      const own = listeners.get(type) ?? new Map<EventListenerOrEventListenerObject, ListenHandle>();
      if (own.has(callback) || signal?.aborted) return;
      const { name, value } = channels.topic(type);
      const handle = bus.listen(name, {
        receive(message) {
          const event = new CustomEvent(type, { detail: message.encodedAs(value) });
          if (once) remove(type, callback);
          return typeof callback === 'function' ? callback(event) : callback.handleEvent(event);
        },
        gap: (topic) => onGap(topic),
      });
      handle.active.catch(() => {});
      own.set(callback, handle);
      listeners.set(type, own);
      signal?.addEventListener('abort', () => remove(type, callback));
    },
    removeEventListener(type, callback) {
      if (callback) remove(type, callback);
    },
    dispatchEvent(event) {
      const { type, detail } = event as DetailedEvent;
      channels.publish(type, detail).catch(onError);
      return true;
    },
  };
}
