import { systemClock } from '../core/clock.ts';
import { createListeners } from '../core/listeners.ts';
import { assertOption, inWords, mustBeClock, mustBeFunctions } from '../core/options.ts';
import { createReports } from '../core/reports.ts';
import { AccessRules, clientAccessOf, type DeclareOptions } from './access.ts';
import { assertBackbone, checkedBody, checkedOptions, type MessageOptions, type PublishOptions } from './backbone.ts';
import { assertDeclared, assertOptions, assertPosition, isSignal, nameOf, protocolOf } from './bus-calls.ts';
import { type Bus, type BusEvents, type BusOptions, deliverHere, past, type SubscribeOptions } from './bus-types.ts';
import { Disconnects, disconnectTopic } from './disconnects.ts';
import { FanOut } from './fan-out.ts';
import { History, historyBounds } from './history.ts';
import { isEmbedded, memoryBackbone } from './memory-backbone.ts';
import type { Message, Position } from './message.ts';
import { kindOf, problemOfName, problemOfTopic } from './names.ts';
import { isPrivate } from './pattern.ts';
import { SlowReaders } from './slow-readers.ts';
import { createSubscription, defaultBuffer, type Subscription } from './subscription.ts';
import { isTopic, jsonType, type Topic } from './topic.ts';
import { called, Upstream } from './upstream.ts';
import { ValueListener, type ValueListenerHost } from './value-listener.ts';

export { type Bus, type BusEvents, type BusOptions, deliverHere, type SubscribeOptions } from './bus-types.ts';

const optionNames = {
  ...{ backbone: true, topics: true, open: true, onError: true, history: true, slowPublishers: true, clock: true },
} as const satisfies Record<keyof BusOptions, true>;
const subscribeNames = {
  ...{ filter: true, signal: true, buffer: true, onGap: true, since: true, resume: true },
} as const satisfies Record<keyof SubscribeOptions<unknown>, true>;
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
    slowPublishers = true,
    clock = systemClock,
  } = options;
  mustBeFunctions({ onError });
  assertOption(typeof slowPublishers === 'boolean', 'slowPublishers', 'true or false', slowPublishers);
  assertBackbone(backbone);
  const access = new AccessRules(options.open);
  // [BUS-16] Who publishes may be a stranger: the log must not be the flood.
  mustBeClock(clock, 'createBus(): ');
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

  const bounds = historyBounds(options.history);
  // Messages of brokers come by the names that are wanted; those of this process all pass here.
  const history = bounds && new History(bounds, clock, backbone, isEmbedded(backbone));
  const upstream = new Upstream(
    backbone,
    clock,
    isEmbedded(backbone) ? undefined : history,
    bounds?.maxAge ?? 0,
    report,
  );
  const fanOut = new FanOut(
    {
      subscribe: (name) => upstream.subscribe(name),
      unsubscribe: (name) => upstream.unsubscribe(name),
      report,
    },
    access,
  );
  const slowReaders = slowPublishers ? new SlowReaders(fanOut, clock) : undefined;
  const { on, emit } = createListeners<{ [Event in keyof BusEvents]: BusEvents[Event] }>(report);
  const disconnects = new Disconnects({
    ...{ clock, report, alone: isEmbedded(backbone) },
    listen: (receiver) => fanOut.listen(disconnectTopic, receiver),
    publish: (body) => send(disconnectTopic, body, { contentType: 'application/json' }),
    tell: (disconnection) => emit('disconnect', disconnection),
  });
  backbone.open({
    message(message) {
      history?.record(message);
      fanOut.deliver(message);
    },
    gap(name, from) {
      gaps++;
      history?.gap(from);
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
    if (target.history === false) history?.exclude(target.name);
  }

  function send(name: string, body: Uint8Array, checked: MessageOptions): Promise<Position | undefined> {
    published++;
    const stored = backbone.publish(name, body, checked);
    const wait = slowReaders?.after(name);
    return wait ? stored.then((position) => wait.then(() => position)) : stored;
  }

  const areTopics = Array.isArray(topics) && topics.every(isTopic);
  assertOption(
    areTopics,
    'topics',
    'a list of topics such as [prices]',
    isTopic(topics) ? `topic("${topics.name}")` : kindOf(topics),
  );
  for (const each of topics) declare(each);

  return {
    backbone,
    on(event, listener) {
      if (event !== 'gap' && event !== 'state' && event !== 'disconnect') {
        throw new TypeError(`on() knows the events 'gap', 'state' and 'disconnect'; got ${inWords(event)}`);
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
      const contentType = checked.contentType ?? target.contentType ?? jsonType;
      return send(name, checkedBody(name, target.encode(value as T)), { ...checked, contentType });
    },
    subscribe<T>(target: Topic<T>, given: SubscribeOptions<T> = {}): Subscription<T> {
      assertOpen('subscribe()');
      if (!isTopic(target)) {
        throw new TypeError(`subscribe() takes a topic(), listen() a name; got ${kindOf(target)}`);
      }
      const { name } = target;
      assertOptions(given, subscribeNames, `subscribe("${name}")`);
      const { filter, signal, buffer = defaultBuffer, onGap, since } = given;
      mustBeFunctions({ filter, onGap });
      assertOption(typeof (given.resume ?? true) === 'boolean', 'resume', 'true or false', given.resume);
      if (since !== undefined) assertPosition(since, name);
      assertOption(typeof buffer === 'number' && buffer >= 0, 'buffer', 'a number of values from 0 up', buffer);
      assertOption(signal === undefined || isSignal(signal), 'signal', 'an AbortSignal', signal);
      const hasPast = !isPrivate(name) && given.resume !== false && target.history !== false;
      const options = { filter, onGap, buffer, past: hasPast ? history : undefined };
      let live = Promise.resolve();
      const subscription = createSubscription<T>((sink) => {
        const listener = new ValueListener<T>(target, options, sink, host);
        const listening = fanOut.listen(name, listener);
        listener.started(listening);
        live = listening.active;
        live.catch((error) => sink.error(error));
        if (since !== undefined) listener.since(since);
        if (!signal) return listener;
        const complete = (): void => sink.complete();
        if (signal.aborted) complete();
        signal.addEventListener('abort', complete);
        return {
          begin: () => listener.begin(),
          resume: (after) => listener.resume(after),
          mark: () => listener.mark(),
          stop() {
            signal.removeEventListener('abort', complete);
            listener.stop();
          },
        };
      }, buffer);
      return Object.assign(subscription, { active: live });
    },
    position() {
      history?.wish();
      return history && (backbone.position ?? history.placeOf(''));
    },
    [past]: history,
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
      historyBytes: history?.size.bytes ?? 0,
      historyTopics: history?.size.topics ?? 0,
    }),
    close() {
      if (closing) return closing;
      closing = called(() => backbone.close());
      disconnects.stop();
      upstream.stop();
      slowReaders?.stop();
      fanOut.close();
      return closing;
    },
  };
}

const timesOf = (count: number): string => (count === 1 ? '' : ` (${count} times)`);
