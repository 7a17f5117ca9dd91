import { isPromise } from '../core/promise-or.ts';
import type { AccessRules } from './access.ts';
import type { Message } from './message.ts';
import { isPattern, PatternIndex } from './pattern.ts';

/** Readers of a topic, as far as they are clients. */
export interface Readers {
  /** How many there are. */
  all: number;
  /** How many of them lag behind: see {@link Connection.lags}. */
  lagging: number;
}

/** An object that hears messages. It costs less memory than a function where there are thousands. */
export interface MessageReceiver {
  /** A message came. */
  receive(message: Message): void;
  /** Messages of this topic may have been lost before the next one. */
  gap?(topic: string): void;
  /** The bus was closed: nothing more comes. */
  closed?(): void;
  /** Count the clients for which it hears this topic. Absent: it is none that publishers wait for. */
  count?(readers: Readers, topic: string): void;
}

/**
 * Who hears messages: a function or an object. What it throws, or the rejection of a promise that it returns, goes to
 * the bus's `onError` and harms nobody else.
 */
export type Listener = ((message: Message) => void) | MessageReceiver;

/** How somebody listens. */
export interface ListenOptions {
  /**
   * Listen for a client of this protocol, such as `'stomp'`: it hears only what {@link Bus.permits} lets it read at the
   * moment of delivery. Without it the listener is the application, and hears everything.
   */
  readonly protocol?: string | undefined;
}

/** Somebody who listens to a topic or a pattern. */
export interface ListenHandle {
  /** Resolves when the backbone delivers, rejects if it does not. */
  readonly active: Promise<void>;
  /** Hear nothing more. May be called again. */
  stop(): void;
}

/** What the fan-out of a bus needs of it. */
export interface FanOutUpstream {
  /** The first listener of a name came: messages of it are wanted. */
  subscribe(name: string): Promise<void>;
  /** The last one is gone. */
  unsubscribe(name: string): void;
  /** A listener threw, or what it returned rejects. */
  report(error: unknown, message?: Message): void;
}

const none: readonly never[] = [];

/** All that listen to one name or pattern. */
class Channel {
  readonly fanOut: FanOut;
  readonly name: string;
  readonly pattern: boolean;
  active: Promise<void> = Promise.resolve();
  /**
   * In the order they came. Stopped listeners are removed lazily, once they outnumber the live ones, so that stop()
   * costs amortised constant time ([BUS-6]).
   */
  listeners: LocalListener[] = [];
  live = 0;
  // Of a topic: the patterns that match it, as of the index's version; looked up again when a pattern came or went.
  matching: readonly Channel[] = [];
  version = -1;
  // For whom all listen; `mixed`: not for the same protocol, or some for the application.
  listensFor: string | undefined = undefined;
  mixed = false;
  // May the clients of this protocol read the topic, as of the version of the rules?
  protocol: string | undefined = undefined;
  permitted = false;
  accessVersion = -1;

  constructor(fanOut: FanOut, name: string, pattern: boolean) {
    this.fanOut = fanOut;
    this.name = name;
    this.pattern = pattern;
  }
}

class LocalListener implements ListenHandle {
  readonly channel: Channel;
  /** The protocol of the client that listens; undefined: the application. */
  readonly protocol: string | undefined;
  #listener: Listener | undefined;

  constructor(channel: Channel, listener: Listener, protocol: string | undefined) {
    this.channel = channel;
    this.#listener = listener;
    this.protocol = protocol;
  }

  get active(): Promise<void> {
    return this.channel.active;
  }

  get stopped(): boolean {
    return this.#listener === undefined;
  }

  /** Nothing that a listener throws goes further, and who has stopped hears nothing, not even what is on its way. */
  hear(message: Message, upstream: FanOutUpstream): void {
    const listener = this.#listener;
    try {
      const answer: unknown = typeof listener === 'function' ? listener(message) : listener?.receive(message);
      if (answer !== undefined) observe(answer, upstream, message);
    } catch (error) {
      upstream.report(error, message);
    }
  }

  /** Count the clients for which it hears a topic. */
  count(readers: Readers, topic: string): void {
    const listener = this.#listener;
    if (typeof listener === 'object') listener.count?.(readers, topic);
  }

  /** Tell an object what it wants to know beside messages. */
  tell(event: 'gap' | 'closed', topic: string, upstream: FanOutUpstream): void {
    const listener = this.#listener;
    if (typeof listener !== 'object') return;
    try {
      const answer: unknown = listener[event]?.(topic);
      if (answer !== undefined) observe(answer, upstream);
    } catch (error) {
      upstream.report(error);
    }
  }

  stop(): void {
    if (this.stopped) return;
    this.#listener = undefined;
    this.channel.fanOut.remove(this);
  }
}

/** An asynchronous listener may fail later: its rejection is reported as what it throws would be ([BUS-9]). */
function observe(answer: unknown, upstream: FanOutUpstream, message?: Message): void {
  if (isPromise(answer)) Promise.resolve(answer).catch((error: unknown) => upstream.report(error, message));
}

/** Who listens to what in this process: from a message to its listeners, with one upstream subscription per name. */
export class FanOut {
  /** How many listen. */
  size = 0;
  readonly #upstream: FanOutUpstream;
  readonly #access: AccessRules;
  readonly #topics = new Map<string, Channel>();
  readonly #patterns = new PatternIndex<Channel>();

  constructor(upstream: FanOutUpstream, access: AccessRules) {
    this.#upstream = upstream;
    this.#access = access;
  }

  /** How many topics somebody listens to by their names. */
  get topics(): number {
    return this.#topics.size;
  }

  /** How many patterns somebody listens to. */
  get patterns(): number {
    return this.#patterns.size;
  }

  /** How many entries are kept, those of stopped listeners included: at most twice as many as listen, and one ([BUS-6]). */
  get kept(): number {
    let kept = 0;
    for (const { listeners } of this.#topics.values()) kept += listeners.length;
    for (const { listeners } of this.#patterns.values()) kept += listeners.length;
    return kept;
  }

  /**
   * Let somebody listen. The same listener may listen twice; each listening is its own. Throws a {@link ProtocolError}
   * `tooMany` if a pattern is one too many ([BUS-5]).
   */
  listen(name: string, listener: Listener, protocol?: string): ListenHandle {
    const pattern = isPattern(name);
    const channel = (pattern ? this.#patterns : this.#topics).get(name) ?? this.#open(name, pattern);
    const listening = new LocalListener(channel, listener, protocol);
    channel.listeners.push(listening);
    if (channel.live === 0) channel.listensFor = protocol;
    else if (channel.listensFor !== protocol) channel.mixed = true;
    channel.live++;
    this.size++;
    return listening;
  }

  /** Drop a listener that has stopped. */
  remove({ channel }: LocalListener): void {
    const { name, pattern } = channel;
    this.size--;
    channel.live--;
    if (channel.live === 0) {
      (pattern ? this.#patterns : this.#topics).delete(name);
      this.#upstream.unsubscribe(name);
    } else if (channel.listeners.length > 2 * channel.live) {
      channel.listeners = channel.listeners.filter(({ stopped }) => !stopped);
    }
  }

  /** Hand a message to all who listen and may read it: first those of its name, then those of patterns. */
  deliver(message: Message): void {
    const { topic } = message;
    const channel = this.#topics.get(topic);
    const matching = this.#matching(topic, channel);
    // Whoever begins to listen meanwhile comes behind these, and hears the next message.
    const lists = matching.length === 0 ? none : matching.map(({ listeners }) => listeners);
    const lengths = matching.length === 0 ? none : matching.map(({ listeners }) => listeners.length);
    if (channel) this.#handOver(message, channel, channel, channel.listeners, channel.listeners.length);
    for (let index = 0; index < matching.length; index++) {
      const [from, list, length] = [matching[index], lists[index], lengths[index]];
      this.#handOver(message, channel, from as Channel, list as LocalListener[], length as number);
    }
  }

  /** The clients that read a topic, by its name or by a pattern. */
  readersOf(topic: string): Readers {
    const readers = { all: 0, lagging: 0 };
    const channel = this.#topics.get(topic);
    for (const { listeners } of channel ? [channel, ...this.#matching(topic, channel)] : this.#patterns.match(topic)) {
      for (const listening of listeners) listening.count(readers, topic);
    }
    return readers;
  }

  /**
   * Messages of this topic, of all that a pattern matches, or of any topic, may have been lost: tell those who listen
   * ([BUS-11]).
   */
  gap(name: string | undefined): void {
    if (name === undefined) {
      for (const channel of [...this.#topics.values(), ...this.#patterns.values()]) {
        for (const listening of [...channel.listeners]) listening.tell('gap', channel.name, this.#upstream);
      }
      return;
    }
    const own = isPattern(name) ? this.#patterns.get(name) : this.#topics.get(name);
    const concerned = this.#patterns.match(name);
    if (own) concerned.push(own);
    for (const { listeners } of new Set(concerned)) {
      for (const listening of [...listeners]) listening.tell('gap', name, this.#upstream);
    }
  }

  /** The end: all listeners are told, and stopped ([BUS-10]). */
  close(): void {
    for (const channel of [...this.#topics.values(), ...this.#patterns.values()]) {
      for (const listening of [...channel.listeners]) {
        listening.tell('closed', channel.name, this.#upstream);
        listening.stop();
      }
    }
  }

  #open(name: string, pattern: boolean): Channel {
    const channel = new Channel(this, name, pattern);
    // A pattern that is refused leaves nothing behind, so it is not asked for upstream before it is in the index.
    if (pattern) this.#patterns.set(name, channel);
    else this.#topics.set(name, channel);
    channel.active = this.#upstream.subscribe(name);
    return channel;
  }

  /** `from`: whose listeners these are; `channel`: that of the topic itself, which remembers what the rules say. */
  #handOver(
    message: Message,
    channel: Channel | undefined,
    from: Channel,
    listeners: readonly LocalListener[],
    length: number,
  ): void {
    const upstream = this.#upstream;
    const { mixed, listensFor } = from;
    if (!mixed) {
      // The usual case: the rules are asked once, and the loop has nothing else to look at.
      if (listensFor !== undefined && !this.#mayRead(message.topic, listensFor, channel)) return;
      for (let index = 0; index < length; index++) (listeners[index] as LocalListener).hear(message, upstream);
      return;
    }
    let protocol: string | undefined;
    let permitted = true;
    for (let index = 0; index < length; index++) {
      const listening = listeners[index] as LocalListener;
      if (listening.protocol !== protocol) {
        protocol = listening.protocol;
        permitted = protocol === undefined || this.#mayRead(message.topic, protocol, channel);
      }
      if (permitted) listening.hear(message, upstream);
    }
  }

  /** [BUS-3] */
  #mayRead(topic: string, protocol: string, channel: Channel | undefined): boolean {
    const access = this.#access;
    if (!channel) return access.permits(topic, protocol, 'read');
    if (channel.protocol !== protocol || channel.accessVersion !== access.version) {
      channel.permitted = access.permits(topic, protocol, 'read');
      channel.protocol = protocol;
      channel.accessVersion = access.version;
    }
    return channel.permitted;
  }

  #matching(topic: string, channel: Channel | undefined): readonly Channel[] {
    const index = this.#patterns;
    // Publishers choose the names of topics: only for those that somebody listens to is it remembered.
    if (!channel) return index.match(topic);
    if (channel.version !== index.version) {
      channel.matching = index.match(topic);
      channel.version = index.version;
    }
    return channel.matching;
  }
}
