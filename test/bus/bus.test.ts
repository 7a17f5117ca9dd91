import { expect, test, vi } from 'vitest';
import type { Backbone } from '../../src/bus/backbone.ts';
import { createBus } from '../../src/bus/bus.ts';
import { memoryBackbone } from '../../src/bus/memory-backbone.ts';
import { push } from '../../src/bus/subscription.ts';
import { topic } from '../../src/bus/topic.ts';
import { decodeUtf8, encodeUtf8 } from '../../src/core/wire.ts';
import { createFakeClock } from '../support/fake-clock.ts';

interface Price {
  readonly symbol: string;
  readonly price: number;
}

const prices = topic<Price>('bus-test.prices', {
  decode(value) {
    const { symbol, price } = value as Price;
    if (typeof price !== 'number') throw new TypeError('no price');
    return { symbol, price };
  },
});

function recording() {
  const upstream: string[] = [];
  const inner = memoryBackbone();
  const backbone: Backbone = {
    ...inner,
    get state() {
      return inner.state;
    },
    async subscribe(name) {
      upstream.push(`+${name}`);
      return undefined;
    },
    async unsubscribe(name) {
      upstream.push(`-${name}`);
    },
  };
  return { upstream, backbone };
}

test('every subscriber gets every value, in publish order, from when it began', async () => {
  const bus = createBus();
  const first = bus.subscribe(prices);
  await bus.publish(prices, { symbol: 'a', price: 1 });
  const second = bus.subscribe(prices);
  await bus.publish(prices, { symbol: 'a', price: 2 });
  const read = async (from: typeof first) => (await from.next()).value?.price;
  expect([await read(first), await read(first), await read(second)]).toEqual([1, 2, 2]);
  expect(bus.stats()).toEqual({
    ...{ listeners: 2, topics: 1, patterns: 0, declared: 0 },
    ...{ published: 2, undecodable: 0, unreadable: 0, gaps: 0, historyBytes: 0, historyTopics: 0 },
  });
});

test('order holds for everybody, also when a subscriber publishes', () => {
  const bus = createBus();
  const seen: string[] = [];
  bus.listen('a', ({ body }) => {
    seen.push(`one ${decodeUtf8(body)}`);
    if (decodeUtf8(body) === '1') void bus.publish('a', encodeUtf8('2'));
  });
  bus.listen('a', ({ body }) => seen.push(`two ${decodeUtf8(body)}`));
  void bus.publish('a', encodeUtf8('1'));
  expect(seen).toEqual(['one 1', 'two 1', 'one 2', 'two 2']);
});

test('who begins to listen while a message is delivered hears the next one; who stops hears nothing more', () => {
  const bus = createBus();
  const seen: string[] = [];
  let rounds = 0;
  const grow = (): void => {
    // Bounded: if they were heard at once, there would be no end of them.
    if (++rounds > 10) return;
    bus.listen('a', grow);
    bus.listen('a.**', () => seen.push('pattern'));
  };
  bus.listen('a', grow);
  const stopped = bus.listen('a', () => seen.push('stopped'));
  const pattern = bus.listen('*', () => seen.push('stopped pattern'));
  bus.listen('a', () => {
    stopped.stop();
    pattern.stop();
  });
  stopped.stop();
  void bus.publish('a', encodeUtf8('1'));
  expect([rounds, seen]).toEqual([1, []]);
  void bus.publish('a', encodeUtf8('2'));
  expect([rounds, seen]).toEqual([3, ['pattern']]);
});

test('one upstream subscription per topic or pattern, given back with the last listener', async () => {
  const { upstream, backbone } = recording();
  const bus = createBus({ backbone });
  const all = ['a', 'a', 'p.*', 'p.*'].map((name) => bus.listen(name, () => {}));
  expect(upstream).toEqual(['+a', '+p.*']);
  for (const each of [...all, ...all]) each.stop();
  expect(upstream).toEqual(['+a', '+p.*', '-a', '-p.*']);
  expect(bus.stats().listeners).toBe(0);
  await bus.listen('a', () => {}).active;
  expect(upstream.at(-1)).toBe('+a');
});

test('the same function may listen twice; each listening is its own', () => {
  const bus = createBus();
  let heard = 0;
  const listener = (): void => {
    heard++;
  };
  const first = bus.listen('a', listener);
  bus.listen('a', listener);
  void bus.publish('a', encodeUtf8(''));
  first.stop();
  void bus.publish('a', encodeUtf8(''));
  expect(heard).toBe(3);
});

test('a listener may be an object, which hears as itself', () => {
  const bus = createBus();
  const listener = {
    heard: [] as string[],
    receive({ topic: name }: { readonly topic: string }) {
      this.heard.push(name);
    },
  };
  const exact = bus.listen('a', listener);
  const pattern = bus.listen('*', listener);
  void bus.publish('a', encodeUtf8(''));
  exact.stop();
  void bus.publish('a', encodeUtf8(''));
  pattern.stop();
  pattern.stop();
  void bus.publish('a', encodeUtf8(''));
  expect(listener.heard).toEqual(['a', 'a', 'a']);
  expect(bus.stats().listeners).toBe(0);
});

test('a filter passes only what it wants; one that throws ends that subscription', async () => {
  const bus = createBus();
  const wanted = bus.subscribe(prices, { filter: ({ symbol }) => symbol === 'b' });
  const broken = bus.subscribe(prices, {
    filter() {
      throw new Error('filter');
    },
  });
  await bus.publish(prices, { symbol: 'a', price: 1 });
  await bus.publish(prices, { symbol: 'b', price: 2 });
  expect((await wanted.next()).value?.price).toBe(2);
  await expect(broken.next()).rejects.toThrow('filter');
  expect(bus.stats().listeners).toBe(1);
});

test('a body that does not decode is counted and reported once, and ends no subscription', async () => {
  const errors: unknown[] = [];
  const bus = createBus({
    onError: (error, _count, message) => errors.push([(error as Error).message, message?.topic]),
  });
  const all = [bus.subscribe(prices), bus.subscribe(prices), bus.subscribe(prices)];
  await bus.publish(prices.name, encodeUtf8('{"price":"x"}'));
  await bus.publish(prices, { symbol: 'a', price: 1 });
  expect([errors, bus.stats().undecodable]).toEqual([[['no price', prices.name]], 1]);
  for (const each of all) expect((await each.next()).value?.price).toBe(1);
});

test('[BUS-16] bodies that do not decode are told at once, then once in a minute with their count and the latest', async () => {
  const clock = createFakeClock();
  const told: unknown[] = [];
  const bus = createBus({
    clock,
    onError: (error, count, message) => told.push([(error as Error).message, count, message?.topic]),
  });
  const others = topic<number>('bus-test.others', { decode: () => JSON.parse('{') as number });
  const [one, other] = [bus.subscribe(prices), bus.subscribe(others)];
  for (let sent = 0; sent < 1_000; sent++) await bus.publish(prices.name, encodeUtf8('{"price":"x"}'));
  await bus.publish(others.name, encodeUtf8('1'));
  expect(told).toEqual([
    ['no price', 1, prices.name],
    [expect.stringMatching(/JSON/), 1, others.name],
  ]);
  clock.advance(60_010);
  expect(told.slice(2)).toEqual([['no price', 999, prices.name]]);
  expect(bus.stats().undecodable).toBe(1_001);
  one.return?.();
  other.return?.();
  clock.advance(120_000);
  expect([told.length, clock.armed]).toEqual([3, 0]);
});

test('a value is decoded once, however many subscribe', async () => {
  let decoded = 0;
  const counted = topic<number>('bus-test.counted', {
    decode: (value) => {
      decoded++;
      return value as number;
    },
  });
  const bus = createBus();
  const all = Array.from({ length: 100 }, () => bus.subscribe(counted));
  await bus.publish(counted, 1);
  expect((await Promise.all(all.map((each) => each.next()))).every(({ value }) => value === 1)).toBe(true);
  expect(decoded).toBe(1);
});

test('a signal ends a subscription, and one that was aborted before never begins', async () => {
  const bus = createBus();
  const controller = new AbortController();
  const subscription = bus.subscribe(prices, { signal: controller.signal });
  const reader = subscription.next();
  expect(bus.stats().listeners).toBe(1);
  controller.abort();
  expect([(await reader).done, bus.stats().listeners]).toEqual([true, 0]);
  const late = bus.subscribe(prices, { signal: controller.signal });
  expect([(await late.next()).done, bus.stats().listeners]).toEqual([true, 0]);
});

test('a signal is let go of when the subscription ends first', async () => {
  const bus = createBus();
  const controller = new AbortController();
  const removed = vi.spyOn(controller.signal, 'removeEventListener');
  await bus.subscribe(prices, { signal: controller.signal }).return();
  expect(removed).toHaveBeenCalledWith('abort', expect.any(Function));
});

test('a subscription that nobody reads ends by itself; the others go on', async () => {
  const bus = createBus();
  const abandoned = bus.subscribe(prices, { buffer: 2 });
  const pushed: number[] = [];
  bus.subscribe(prices)[push]({ next: ({ price }) => pushed.push(price), error() {}, complete() {} });
  for (const price of [1, 2, 3, 4]) await bus.publish(prices, { symbol: 'a', price });
  await expect(abandoned.next()).rejects.toThrow('more than 2 values');
  expect([pushed, bus.stats().listeners]).toEqual([[1, 2, 3, 4], 1]);
});

test('patterns hear every topic that they match', () => {
  const bus = createBus();
  const seen: string[] = [];
  bus.listen('prices.*', ({ topic: name }) => seen.push(`* ${name}`));
  bus.listen('prices.**', ({ topic: name }) => seen.push(`** ${name}`));
  bus.listen('prices.eur', ({ topic: name }) => seen.push(`exact ${name}`));
  for (const name of ['prices', 'prices.eur', 'prices.eur.usd', 'other']) void bus.publish(name, encodeUtf8(''));
  expect(seen).toEqual(['** prices', 'exact prices.eur', '** prices.eur', '* prices.eur', '** prices.eur.usd']);
});

test('a pattern that comes or goes is heard of by topics that were matched before', () => {
  const bus = createBus();
  const seen: string[] = [];
  bus.listen('prices.eur', () => {});
  const hear = (pattern: string) => bus.listen(pattern, () => seen.push(pattern));
  const publish = (): string[] => {
    void bus.publish('prices.eur', encodeUtf8(''));
    return seen.splice(0).sort();
  };
  const one = hear('prices.*');
  expect(publish()).toEqual(['prices.*']);
  hear('*.eur');
  expect(publish()).toEqual(['*.eur', 'prices.*']);
  one.stop();
  expect(publish()).toEqual(['*.eur']);
});

test('a listener that throws is reported and stops nobody', () => {
  const errors: unknown[] = [];
  const bus = createBus({ onError: (error) => errors.push(error) });
  const bug = new Error('listener');
  let heard = 0;
  bus.listen('a', () => {
    throw bug;
  });
  bus.listen('a', () => heard++);
  void bus.publish('a', encodeUtf8(''));
  expect([errors, heard]).toEqual([[bug], 1]);
});

test('an upstream that refuses is reported, and fails the subscriptions that wait for it', async () => {
  const errors: unknown[] = [];
  const away = new Error('away');
  const backbone: Backbone = {
    ...memoryBackbone(),
    subscribe: () => Promise.reject(away),
    unsubscribe: () => Promise.reject(away),
  };
  const bus = createBus({ backbone, onError: (error) => errors.push(error) });
  const subscription = bus.subscribe(prices);
  await expect(subscription.next()).rejects.toBe(away);
  await expect(bus.listen('x', () => {}).active).rejects.toBe(away);
  expect(errors.every((error) => error === away)).toBe(true);
  expect(errors).toHaveLength(1);
});

test('a value that cannot be encoded, and a closed bus, reject', async () => {
  const bus = createBus();
  await expect(bus.publish(prices, undefined as never)).rejects.toThrow(TypeError);
  await bus.close();
  await expect(bus.publish(prices, { symbol: 'a', price: 1 })).rejects.toThrow('The bus is closed');
  expect(bus.backbone.state).toBe('closed');
});

test('typed values are JSON unless the publisher says otherwise', async () => {
  const bus = createBus();
  const types: (string | undefined)[] = [];
  bus.listen(prices.name, ({ contentType }) => types.push(contentType));
  await bus.publish(prices, { symbol: 'a', price: 1 });
  await bus.publish(prices, { symbol: 'a', price: 1 }, { contentType: 'application/x+json' });
  await bus.publish(prices.name, encodeUtf8('{}'));
  expect(types).toEqual(['application/json', 'application/x+json', undefined]);
});

test.each([
  [{ filter: 5 }, /^filter must be a function; got number/],
  [{ buffer: -1 }, /^buffer must be a number of values/],
  [{ buffer: Number.NaN }, /^buffer must be a number of values/],
])('[CONN-10] bus.subscribe with %j is a TypeError that names the option', (options, message) => {
  expect(() => createBus().subscribe(prices, options as never)).toThrow(message);
});

test('[CONN-10] createBus names a bad option; errors go to console.error, and a throwing listener ends nothing', () => {
  expect(() => createBus({ onError: 5 as never })).toThrow(/^onError must be a function/);
  const heard = vi.spyOn(console, 'error').mockImplementation(() => {});
  const bus = createBus();
  bus.listen('a', () => {
    throw new Error('x');
  });
  void bus.publish('a', encodeUtf8(''));
  expect(heard.mock.calls[0]?.[0]).toBe('subwire: bus, topic "a":');
  heard.mockRestore();
  const loud = createBus({
    onError() {
      throw new Error('logger');
    },
  });
  let reached = 0;
  loud.listen('a', () => {
    throw new Error('x');
  });
  loud.listen('a', () => reached++);
  void loud.publish('a', encodeUtf8(''));
  expect(reached).toBe(1);
});
