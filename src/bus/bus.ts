import { mustBeFunctions } from '../core/options.ts';
import type { Backbone, PublishOptions } from './backbone.ts';
import { FanOut, type Listener, type ListenHandle } from './fan-out.ts';
import { memoryBackbone } from './memory-backbone.ts';
import type { Message, Position } from './message.ts';
import { createSubscription, type Subscription } from './subscription.ts';
import type { Topic } from './topic.ts';
import { ValueListener } from './value-listener.ts';

export interface BusOptions {
  /** What carries messages between servers. Default: the embedded one, for one process. */
  readonly backbone?: Backbone | undefined;
  /** A body that did not decode, a listener that threw. Default: `console.error`. */
  readonly onError?: ((error: unknown, message?: Message) => void) | undefined;
}

export interface SubscribeOptions<T> {
  /** Only values for which this is true. A throw ends the subscription with that error. */
  readonly filter?: ((value: T) => boolean) | undefined;
  /** Ends the subscription. */
  readonly signal?: AbortSignal | undefined;
  /** How many values may wait for the reader; one more ends the subscription with an error. Default 1,000. */
  readonly buffer?: number | undefined;
}

/** The one thing that protocols share: topics, whoever publishes and whoever listens. */
export interface Bus {
  readonly backbone: Backbone;
  /** Publish a value of a typed topic. Resolves when the backbone has it. */
  publish<T>(topic: Topic<T>, value: T, options?: PublishOptions): Promise<Position>;
  /** Publish bytes, which are not to be changed afterwards. */
  publish(topic: string, body: Uint8Array, options?: PublishOptions): Promise<Position>;
  /** The values of a typed topic, from now on: an async iterable that a resolver can return. */
  subscribe<T>(topic: Topic<T>, options?: SubscribeOptions<T>): Subscription<T>;
  /**
   * Every message of a topic, or of all topics that match a pattern (`prices.*`, `prices.**`). Who begins to listen
   * while a message is delivered hears the next one.
   */
  listen(topic: string, listener: Listener): ListenHandle;
  stats(): BusStats;
  close(): Promise<void>;
}

export interface BusStats {
  readonly listeners: number;
  readonly published: number;
  /** Bodies that did not decode. */
  readonly undecodable: number;
}

/**
 * A bus: local fan-out over a backbone, with one upstream subscription per topic.
 *
 * @example
 * const bus = createBus();
 * const prices = topic<{ price: number }>('prices');
 * void (async () => { for await (const { price } of bus.subscribe(prices)) console.log(price); })();
 * await bus.publish(prices, { price: 1 });
 */
export function createBus(options: BusOptions = {}): Bus {
  const {
    backbone = memoryBackbone(),
    onError = (error: unknown, message?: Message) =>
      console.error(`subwire: bus${message ? `, topic "${message.topic}"` : ''}:`, error),
  } = options;
  mustBeFunctions({ onError });
  const undecodableMessages = new WeakSet<Message>();
  let published = 0;
  let undecodable = 0;

  function report(error: unknown, message?: Message): void {
    try {
      onError(error, message);
    } catch {
      // A logger that throws must not end the process.
    }
  }

  function undecoded(error: unknown, message: Message): void {
    // Said once per message, however many subscriptions pass it over.
    if (undecodableMessages.has(message)) return;
    undecodableMessages.add(message);
    undecodable++;
    report(error, message);
  }

  const fanOut = new FanOut({
    subscribe(name) {
      const active = backbone.subscribe(name);
      active.catch((error) => report(error));
      return active;
    },
    unsubscribe(name) {
      backbone.unsubscribe(name).catch((error) => report(error));
    },
    report,
  });
  backbone.on('message', (message) => fanOut.deliver(message));

  return {
    backbone,
    listen: (topic, listener) => fanOut.listen(topic, listener),
    async publish<T>(
      topic: Topic<T> | string,
      value: T | Uint8Array,
      publishOptions: PublishOptions = {},
    ): Promise<Position> {
      published++;
      if (typeof topic === 'string') return backbone.publish(topic, value as Uint8Array, publishOptions);
      return backbone.publish(topic.name, topic.encode(value as T), {
        contentType: 'application/json',
        ...publishOptions,
      });
    },
    subscribe<T>(
      { name, value: form }: Topic<T>,
      { filter, signal, buffer }: SubscribeOptions<T> = {},
    ): Subscription<T> {
      mustBeFunctions({ filter });
      if (buffer !== undefined && !(buffer >= 0)) {
        throw new TypeError(`buffer must be a number of values from 0 up; got ${String(buffer)}`);
      }
      let live = Promise.resolve();
      const subscription = createSubscription<T>((sink) => {
        const listening = fanOut.listen(name, new ValueListener(form, filter, sink, undecoded));
        live = listening.active;
        live.catch((error) => sink.error(error));
        if (!signal) return listening;
        const complete = (): void => sink.complete();
        if (signal.aborted) complete();
        signal.addEventListener('abort', complete);
        return () => {
          signal.removeEventListener('abort', complete);
          listening.stop();
        };
      }, buffer);
      return Object.assign(subscription, { active: live });
    },
    stats: () => ({ listeners: fanOut.size, published, undecodable }),
    close: () => backbone.close(),
  };
}
