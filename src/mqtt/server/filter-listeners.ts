import type { Bus } from '../../bus/bus.ts';
import type { ListenHandle, MessageReceiver, Readers } from '../../bus/fan-out.ts';
import type { Message } from '../../bus/message.ts';
import { mqttGrammar, PatternIndex } from '../../bus/pattern.ts';
import { widePattern } from './names.ts';

/** All who listen below one pattern of the bus, by their filters. */
class Listeners implements MessageReceiver {
  readonly index = new PatternIndex<Set<MessageReceiver>>(mqttGrammar);
  handle: ListenHandle | undefined;

  /** The bus knows levels by dots as well as by slashes: what matches its pattern need not match the filter ([MQTT-40]). */
  receive(message: Message): void {
    for (const receivers of this.index.match(message.topic)) {
      for (const receiver of receivers) receiver.receive(message);
    }
  }

  count(readers: Readers, topic: string): void {
    for (const receivers of this.index.match(topic)) {
      for (const receiver of receivers) receiver.count?.(readers, topic);
    }
  }

  stop(filter: string, receiver: MessageReceiver): void {
    const receivers = this.index.get(filter);
    if (!receivers?.delete(receiver) || receivers.size > 0) return;
    this.index.delete(filter);
  }
}

/** Who listens to filters with wildcards: the bus is asked for a wider pattern, once for all who share it. */
export class FilterListeners {
  readonly #bus: Bus;
  readonly #byPattern = new Map<string, Listeners>();

  constructor(bus: Bus) {
    this.#bus = bus;
  }

  /**
   * Hear what matches a filter. `protocol`: only what the bus lets its clients read. Throws a `ProtocolError` `tooMany`
   * where wildcards stand in too many different places.
   */
  listen(filter: string, receiver: MessageReceiver, protocol: string | undefined): ListenHandle {
    const pattern = widePattern(filter);
    const key = `${protocol ?? ''} ${pattern}`;
    const listeners = this.#byPattern.get(key) ?? new Listeners();
    const receivers = listeners.index.get(filter) ?? new Set();
    if (receivers.size === 0) listeners.index.set(filter, receivers);
    receivers.add(receiver);
    try {
      listeners.handle ??= this.#bus.listen(pattern, listeners, { protocol });
    } catch (error) {
      listeners.stop(filter, receiver);
      throw error;
    }
    this.#byPattern.set(key, listeners);
    const { handle } = listeners;
    return {
      active: handle.active,
      stop: () => {
        listeners.stop(filter, receiver);
        if (listeners.index.size > 0 || listeners.handle !== handle) return;
        listeners.handle = undefined;
        handle.stop();
        this.#byPattern.delete(key);
      },
    };
  }
}
