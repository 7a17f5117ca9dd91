import type { Clock } from '../core/clock.ts';
import type { Disconnection } from '../core/disconnection.ts';
import type { PromiseOr } from '../core/promise-or.ts';
import type { Refusal, RefuseOptions } from '../core/refuse.ts';
import type { DeclareOptions, OpenTopics, Operation } from './access.ts';
import type { Backbone, BackboneState, PublishOptions } from './backbone.ts';
import type { BusStats } from './bus-stats.ts';
import type { Listener, ListenHandle, ListenOptions } from './fan-out.ts';
import type { HistoryOptions } from './history.ts';
import type { Message, Position } from './message.ts';
import type { Subscription } from './subscription.ts';
import type { Topic } from './topic.ts';
import type { PastOfTopic } from './value-listener.ts';

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
  /**
   * How much of the past is kept for readers who were away and come back, while there are any who may; `false`: nobody
   * can come back.
   *
   * @defaultValue 10,000 messages or 2 min of each topic, 64 MiB in all
   */
  readonly history?: HistoryOptions | boolean | undefined;
  /**
   * May slow readers cost publishers time? Then `publish()` resolves later while fewer than half of a topic's clients are
   * behind and read on: 250 ms later at most, and 1 s in 10 s for all publishers of this bus together. A RECEIPT, a PUBACK
   * or the result of a mutation that publishes comes later with it. Messages themselves never wait. `false`: the readers
   * pay, who are cut sooner.
   *
   * @defaultValue `true`
   */
  readonly slowPublishers?: boolean | undefined;
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
  /**
   * Begin behind this position: what came after it comes first, if all of it is still known. Else `onGap` is called before
   * the first value; without `onGap` the subscription ends with a {@link MessagesLost}.
   */
  readonly since?: Position | undefined;
  /**
   * Clients that were away may come back to it.
   *
   * @defaultValue what the topic says
   */
  readonly resume?: boolean | undefined;
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

/** The past of the topics of a bus, for the protocols of this package. */
export const past: unique symbol = Symbol.for('subwire.past');

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
  /**
   * Where the log of the bus is now, for who reads a state first and then subscribes `since` that place. From this call on
   * messages are kept. Undefined: the backbone has told no place yet, or there is no history.
   *
   * @example
   * const since = bus.position();
   * const prices = await readPrices();
   * for await (const price of bus.subscribe(priceChanged, { since })) apply(prices, price);
   */
  position(): Position | undefined;
  /** The past of the topics; undefined: there is none. @internal */
  readonly [past]: PastOfTopic | undefined;
  /** Hear of gaps, of the backbone's state, and of disconnections. Returns how to stop. */
  on<Event extends keyof BusEvents>(event: Event, listener: BusEvents[Event]): () => void;
  /** What there is, and what was done so far. */
  stats(): BusStats;
  /** Hand a message to who listens in this process, and to no other server. @internal */
  [deliverHere](message: Message): void;
  /** End every reader and let the backbone go. Later calls reject or throw. May be called again. */
  close(): Promise<void>;
}
