import type { Message } from './message.ts';
import { createPatternTree, isPattern } from './pattern.ts';

/** Who hears messages: a function, or an object, which costs less memory where there are thousands. */
export type Listener = ((message: Message) => void) | { receive(message: Message): void };

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
  /** A listener threw. */
  report(error: unknown, message: Message): void;
}

/** All that listen to one name. */
class Channel {
  readonly fanOut: FanOut;
  readonly name: string;
  readonly active: Promise<void>;
  /** In the order they came. Those that stopped stay until half of them have: leaving costs the same however many there are. */
  listeners: LocalListener[] = [];
  live = 0;
  // Of a topic: the patterns that match it, as of the tree's version; looked up again when a pattern came or went.
  matching: readonly LocalListener[] = [];
  version = 0;

  constructor(fanOut: FanOut, name: string, active: Promise<void>) {
    this.fanOut = fanOut;
    this.name = name;
    this.active = active;
  }
}

class LocalListener implements ListenHandle {
  readonly channel: Channel;
  #listener: Listener | undefined;

  constructor(channel: Channel, listener: Listener) {
    this.channel = channel;
    this.#listener = listener;
  }

  get active(): Promise<void> {
    return this.channel.active;
  }

  get stopped(): boolean {
    return this.#listener === undefined;
  }

  /** Nothing that a listener throws goes further, and who has stopped hears nothing, not even what is on its way. */
  hear(message: Message, host: FanOutUpstream): void {
    const listener = this.#listener;
    try {
      if (typeof listener === 'function') listener(message);
      else listener?.receive(message);
    } catch (error) {
      host.report(error, message);
    }
  }

  stop(): void {
    if (this.stopped) return;
    this.#listener = undefined;
    this.channel.fanOut.remove(this);
  }
}

/** Who listens to what in this process: from a message to its listeners, with one upstream subscription per name. */
export class FanOut {
  size = 0;
  readonly #host: FanOutUpstream;
  readonly #topics = new Map<string, Channel>();
  readonly #patterns = new Map<string, Channel>();
  readonly #tree = createPatternTree<LocalListener>();

  constructor(host: FanOutUpstream) {
    this.#host = host;
  }

  /** The same function may listen twice; each listening is its own. */
  listen(name: string, listener: Listener): ListenHandle {
    const pattern = isPattern(name);
    const channels = pattern ? this.#patterns : this.#topics;
    let channel = channels.get(name);
    if (!channel) {
      channel = new Channel(this, name, this.#host.subscribe(name));
      channels.set(name, channel);
    }
    const listening = new LocalListener(channel, listener);
    if (pattern) this.#tree.add(name, listening);
    else channel.listeners.push(listening);
    channel.live++;
    this.size++;
    return listening;
  }

  remove(listening: LocalListener): void {
    const { channel } = listening;
    const { name } = channel;
    const pattern = this.#tree.delete(name, listening);
    this.size--;
    channel.live--;
    if (channel.live === 0) {
      (pattern ? this.#patterns : this.#topics).delete(name);
      this.#host.unsubscribe(name);
    } else if (channel.listeners.length > 2 * channel.live) {
      channel.listeners = channel.listeners.filter(({ stopped }) => !stopped);
    }
  }

  deliver(message: Message): void {
    const host = this.#host;
    const channel = this.#topics.get(message.topic);
    const matching = this.#matching(message.topic, channel);
    if (channel) {
      const { listeners } = channel;
      // Whoever begins to listen meanwhile comes behind these, and hears the next message.
      const { length } = listeners;
      for (let index = 0; index < length; index++) listeners[index]?.hear(message, host);
    }
    for (const listening of matching) listening.hear(message, host);
  }

  #matching(topic: string, channel: Channel | undefined): readonly LocalListener[] {
    const tree = this.#tree;
    // Publishers choose the names of topics: only for those that somebody listens to is it remembered.
    if (!channel) return tree.match(topic);
    if (channel.version !== tree.version) {
      channel.matching = tree.match(topic);
      channel.version = tree.version;
    }
    return channel.matching;
  }
}
