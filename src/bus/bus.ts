import { type Clock, systemClock } from '../core/clock.ts';
import type { Disconnection } from '../core/disconnection.ts';
import { createListeners } from '../core/listeners.ts';
import { assertOption, mustBeFunctions } from '../core/options.ts';
import type { PromiseOr } from '../core/promise-or.ts';
import type { Refusal, RefuseOptions } from '../core/refuse.ts';
import { createReports } from '../core/reports.ts';
import { AccessRules, clientAccessOf, type DeclareOptions, type OpenTopics, type Operation } from './access.ts';
import {
  assertBackbone,
  type Backbone,
  type BackboneState,
  checkedBody,
  checkedOptions,
  type MessageOptions,
  type PublishOptions,
} from './backbone.ts';
import { assertDeclared, assertOptions, isSignal, nameOf, protocolOf } from './bus-calls.ts';
import type { BusStats } from './bus-stats.ts';
import { Disconnects, disconnectTopic } from './disconnects.ts';
import { FanOut, type Listener, type ListenHandle, type ListenOptions } from './fan-out.ts';
import { isEmbedded, memoryBackbone } from './memory-backbone.ts';
import type { Message, Position } from './message.ts';
import { kindOf, problemOfName, problemOfTopic } from './names.ts';
import { createSubscription, defaultBuffer, type Subscription } from './subscription.ts';
import { isTopic, type Topic } from './topic.ts';
import { ValueListener, type ValueListenerHost } from './value-listener.ts';

/** How a bus is made. */
export interface BusOptions {
  /**
   * What carries messages between servers.
   *
   * @defaultValue the embedded one, for one process
   */
  readonly backbone?: Backbone | undefined;
  /** Topics that this bus has: each is open to clients as far as its `clients` says. See {@link Bus.declare}. */
  readonly topics?: readonly Topic<unknown>[] | undefined;
  /**
   * What clients may do with topics that are not declared, by name or family, such as `{ 'chat.**': 'readwrite' }`;
   * `true`: everything. Names that begin with `$` are never open.
   *
   * @defaultValue nothing
   */
  readonly open?: OpenTopics | undefined;
  /**
   * Told of a body that did not decode, of a listener that threw, of a backbone that failed: at once, then once in a
   * minute for each cause, with how often it came since. `message` is the last one that it was about.
   *
   * @defaultValue `console.error`
   */
  readonly onError?: ((error: unknown, count: number, message?: Message) => void) | undefined;
  /** @internal */
  readonly clock?: Clock | undefined;
}

/** What a subscription may be told. */
export interface SubscribeOptions<T> {
  /**
   * Only values for which the answer is `true` come. A promise is awaited, and the values behind it wait in their order,
   * up to `buffer`. A throw or a rejection ends the subscription with that error. What only counts as true is reported
   * once and lets nothing through.
   */
  readonly filter?: ((value: T) => PromiseOr<boolean>) | undefined;
  /** Ends the subscription. */
  readonly signal?: AbortSignal | undefined;
  /**
   * How many values may wait for the reader; one more ends the subscription with an error.
   *
   * @defaultValue `1000`
   */
  readonly buffer?: number | undefined;
  /**
   * Told when messages of the topic may have been lost, and the subscription goes on. Without it a gap ends the
   * subscription with a {@link MessagesLost}.
   */
  readonly onGap?: ((topic: string) => void) | undefined;
}

/** What a bus tells, by event. */
export interface BusEvents {
  /** Messages of this topic, or of all that a pattern matches, may have been lost; undefined: of any topic. */
  gap(topic: string | undefined): void;
  /** The backbone went away, came back or was closed. */
  state(state: BackboneState): void;
  /** Somebody called {@link Bus.disconnect}, on this server or on another. Endpoints that were given the bus hear it. */
  disconnect(disconnection: Disconnection): void;
}

/** What is told on this server alone: see presence. */
export const deliverHere: unique symbol = Symbol.for('subwire.deliverHere');

/** The one thing that protocols share: topics, whoever publishes and whoever listens. */
export interface Bus {
  /** What carries messages between servers. */
  readonly backbone: Backbone;
  /**
   * Publish a value of a typed topic. Resolves when the backbone has it, with its position where the backbone tells it.
   * Rejects with a `BackboneError` that says whether it may be stored all the same. Wrong arguments reject with a `TypeError`, before
   * anything is counted or sent; so does a topic that says `clients` and is not declared here.
   */
  publish<T>(topic: Topic<T>, value: T, options?: PublishOptions): Promise<Position | undefined>;
  /** Publish bytes, which must not be changed afterwards: they are not copied. */
  publish(topic: string, body: Uint8Array, options?: PublishOptions): Promise<Position | undefined>;
  /**
   * The values of a typed topic, from now on: an async iterable that a resolver can return. Throws a `TypeError` that
   * names what is wrong, and an `Error` once the bus is closed.
   */
  subscribe<T>(topic: Topic<T>, options?: SubscribeOptions<T>): Subscription<T>;
  /**
   * Every message of a topic, or of all topics that match a pattern (`prices.*`, `prices.**`). Who begins to listen
   * while a message is delivered hears the next one. Throws as `subscribe` does, and a `ProtocolError` `tooMany` if
   * patterns have their wildcards in too many different places.
   */
  listen(topic: string, listener: Listener, options?: ListenOptions): ListenHandle;
  /**
   * Say what clients may do with a topic, or with a family of topics that are not declared by their names. Those who
   * subscribed before hear what they may read from now on. Throws a `TypeError` if it was declared with another access.
   *
   * @example
   * bus.declare(prices);
   * bus.declare('room.*', { clients: 'readwrite' });
   */
  declare(topic: Topic<unknown>): void;
  declare(nameOrFamily: string, options?: DeclareOptions): void;
  /**
   * Reserve names that begin with `$` for one protocol, such as `$user/` for its addresses of users. Clients of no
   * protocol reach them by a topic or a wildcard. Throws a `TypeError` if another protocol has that prefix.
   */
  claim(prefix: string, protocol: string): void;
  /**
   * May clients of this protocol do that with this topic? Asked when it counts: before a client writes, and at each
   * delivery to who listens with `protocol`.
   *
   * @example
   * bus.permits('prices', 'stomp', 'read');
   */
  permits(topic: string, protocol: string, operation: Operation): boolean;
  /**
   * End the connections of a principal, on all servers whose endpoints were given their bus (`attach(http, { bus, … })`).
   * Those of this process end at once. Resolves when the backbone has it for the others; rejects with a `BackboneError` if
   * they may not hear of it, and with a `TypeError` if it is not said whom, or if the words are none. Servers that were
   * away are told when they are back, for 5 min.
   *
   * @example
   * await bus.disconnect({ principal: 'ada' }, { code: 4403, reason: 'Your account was closed' });
   */
  disconnect(match: { readonly principal: string }, words?: Refusal | RefuseOptions): Promise<void>;
  /** Hear of gaps, of the backbone's state, and of disconnections. Returns how to stop. */
  on<Event extends keyof BusEvents>(event: Event, listener: BusEvents[Event]): () => void;
  /** What there is, and what was done so far. */
  stats(): BusStats;
  /** Hand a message to who listens in this process, and to no other server. @internal */
  [deliverHere](message: Message): void;
  /** End every reader and let the backbone go. Later calls reject or throw. May be called again. */
  close(): Promise<void>;
}

const optionNames = { backbone: true, topics: true, open: true, onError: true, clock: true } as const satisfies Record<
  keyof BusOptions,
  true
>;
const subscribeNames = { filter: true, signal: true, buffer: true, onGap: true } as const satisfies Record<
  keyof SubscribeOptions<unknown>,
  true
>;
const declareNames = { clients: true } as const satisfies Record<keyof DeclareOptions, true>;

/**
 * A bus: local fan-out over a backbone, with one upstream subscription per topic.
 *
 * Throws a `TypeError` that names the option if one is wrong.
 *
 * @example
 * const prices = topic<{ price: number }>('prices', { clients: 'read' });
 * const bus = createBus({ topics: [prices] });
 * void (async () => { for await (const { price } of bus.subscribe(prices)) console.log(price); })();
 * await bus.publish(prices, { price: 1 });
 */
export function createBus(options: BusOptions = {}): Bus {
  assertOptions(options, optionNames, 'createBus()');
  const {
    backbone = memoryBackbone(),
    topics = [],
    onError = (error: unknown, count: number, message?: Message) =>
      console.error(`subwire: bus${message ? `, topic "${message.topic}"` : ''}${timesOf(count)}:`, error),
    clock = systemClock,
  } = options;
  mustBeFunctions({ onError });
  assertBackbone(backbone);
  const access = new AccessRules(options.open);
  // [BUS-16] Who publishes may be a stranger: the log must not be the flood.
  const report = createReports<Message>(onError, clock);
  const undecodableMessages = new WeakSet<Message>();
  let published = 0;
  let undecodable = 0;
  let unreadable = 0;
  let gaps = 0;
  let closing: Promise<void> | undefined;

  const host: ValueListenerHost = {
    report,
    undecoded(error, message) {
      // Said once per message, however many subscriptions pass it over.
      if (undecodableMessages.has(message)) return;
      undecodableMessages.add(message);
      undecodable++;
      report(error, message);
    },
  };

  const fanOut = new FanOut(
    {
      subscribe(name) {
        const active = called(() => backbone.subscribe(name));
        active.catch((error) => report(error));
        return active;
      },
      unsubscribe(name) {
        called(() => backbone.unsubscribe(name)).catch((error) => report(error));
      },
      report,
    },
    access,
  );
  const { on, emit } = createListeners<{ [Event in keyof BusEvents]: BusEvents[Event] }>(report);
  const disconnects = new Disconnects({
    ...{ clock, report, alone: isEmbedded(backbone) },
    listen: (receiver) => fanOut.listen(disconnectTopic, receiver),
    publish: (body) => send(disconnectTopic, body, { contentType: 'application/json' }),
    tell: (disconnection) => emit('disconnect', disconnection),
  });
  backbone.open({
    message: (message) => fanOut.deliver(message),
    gap(name) {
      gaps++;
      emit('gap', name);
      fanOut.gap(name);
    },
    state(state, error) {
      emit('state', state);
      if (error !== undefined) report(error);
    },
    unreadable(error) {
      unreadable++;
      report(error);
    },
  });

  function assertOpen(call: string): void {
    if (closing) throw new Error(`The bus is closed: ${call} comes too late`);
  }

  function declare(target: Topic<unknown> | string, given: DeclareOptions = {}): void {
    assertOpen('declare()');
    if (typeof target === 'string') {
      assertOptions(given, declareNames, `declare("${target}")`);
      return access.declare(target, clientAccessOf(given.clients, `declare("${target}"): clients`));
    }
    if (!isTopic(target)) {
      throw new TypeError(`declare() takes a topic() or a name such as 'room.*'; got ${kindOf(target)}`);
    }
    access.declare(target.name, clientAccessOf(target.clients, `topic("${target.name}"): clients`));
  }

  function send(name: string, body: Uint8Array, checked: MessageOptions): Promise<Position | undefined> {
    published++;
    return backbone.publish(name, body, checked);
  }

  assertOption(Array.isArray(topics) && topics.every(isTopic), 'topics', 'a list of topics such as [prices]', topics);
  for (const each of topics) declare(each);

  return {
    backbone,
    on(event, listener) {
      if (event !== 'gap' && event !== 'state' && event !== 'disconnect') {
        throw new TypeError(`on() knows the events 'gap', 'state' and 'disconnect'; got ${String(event)}`);
      }
      mustBeFunctions({ listener: listener ?? null }, 'on(): ');
      if (event === 'disconnect' && !closing) disconnects.start();
      return on(event, listener);
    },
    async disconnect(match, words) {
      assertOpen('disconnect()');
      await disconnects.disconnect(match, words);
    },
    declare,
    claim: (prefix, protocol) => access.claim(prefix, protocol),
    permits: (name, protocol, operation) => access.permits(name, protocol, operation),
    listen(name, listener, listenOptions) {
      assertOpen('listen()');
      if (isTopic(name)) throw new TypeError(`listen() takes a name, such as listen("${name.name}", …)`);
      const problem = problemOfName(name);
      if (problem !== undefined) throw new TypeError(`listen("${String(name)}"): a name ${problem}`);
      if (typeof listener !== 'function' && typeof (listener as { receive?: unknown } | null)?.receive !== 'function') {
        throw new TypeError(`listen("${name}") needs a function or { receive(message) }; got ${kindOf(listener)}`);
      }
      return fanOut.listen(name, listener, protocolOf(name, listenOptions));
    },
    // Asynchronous, so that every mistake is a rejection.
    async publish<T>(
      target: Topic<T> | string,
      value: T | Uint8Array,
      given?: PublishOptions,
    ): Promise<Position | undefined> {
      if (closing) throw new Error(`The bus is closed: nothing can be published to ${nameOf(target)}`);
      if (typeof target === 'string') {
        const problem = problemOfTopic(target);
        if (problem !== undefined) throw new TypeError(`publish("${target}"): a name ${problem}`);
        return send(target, checkedBody(target, value), checkedOptions(target, given));
      }
      if (!isTopic(target)) throw new TypeError(`publish() takes a topic() or a name; got ${kindOf(target)}`);
      const { name } = target;
      const problem = problemOfTopic(name);
      if (problem !== undefined) throw new TypeError(`publish(topic "${name}"): a name ${problem}`);
      assertDeclared(target, access);
      const checked = checkedOptions(name, given);
      const contentType = checked.contentType ?? 'application/json';
      return send(name, checkedBody(name, target.encode(value as T)), { ...checked, contentType });
    },
    subscribe<T>(target: Topic<T>, given: SubscribeOptions<T> = {}): Subscription<T> {
      assertOpen('subscribe()');
      if (!isTopic(target)) {
        throw new TypeError(`subscribe() takes a topic(), listen() a name; got ${kindOf(target)}`);
      }
      const { name } = target;
      assertOptions(given, subscribeNames, `subscribe("${name}")`);
      const { filter, signal, buffer = defaultBuffer, onGap } = given;
      mustBeFunctions({ filter, onGap });
      assertOption(typeof buffer === 'number' && buffer >= 0, 'buffer', 'a number of values from 0 up', buffer);
      assertOption(signal === undefined || isSignal(signal), 'signal', 'an AbortSignal', signal);
      let live = Promise.resolve();
      const subscription = createSubscription<T>((sink) => {
        const listener = new ValueListener<T>(target, { filter, onGap, buffer }, sink, host);
        const listening = fanOut.listen(name, listener);
        listener.started(listening);
        live = listening.active;
        live.catch((error) => sink.error(error));
        if (!signal) return listener;
        const complete = (): void => sink.complete();
        if (signal.aborted) complete();
        signal.addEventListener('abort', complete);
        return () => {
          signal.removeEventListener('abort', complete);
          listener.stop();
        };
      }, buffer);
      return Object.assign(subscription, { active: live });
    },
    [deliverHere]: (message) => fanOut.deliver(message),
    stats: () => ({
      listeners: fanOut.size,
      topics: fanOut.topics,
      patterns: fanOut.patterns,
      declared: access.declared,
      published,
      undecodable,
      unreadable,
      gaps,
    }),
    close() {
      if (closing) return closing;
      closing = called(() => backbone.close());
      disconnects.stop();
      fanOut.close();
      return closing;
    },
  };
}

const timesOf = (count: number): string => (count === 1 ? '' : ` (${count} times)`);

/** A method of a backbone may throw instead of rejecting: both are a rejection. */
async function called(call: () => Promise<unknown>): Promise<void> {
  await call();
}
