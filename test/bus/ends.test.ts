import { expect, test } from 'vitest';
import type { Backbone, BackboneSink, BackboneState } from '../../src/bus/backbone.ts';
import { createBus } from '../../src/bus/bus.ts';
import { memoryBackbone } from '../../src/bus/memory-backbone.ts';
import { MessagesLost, push } from '../../src/bus/subscription.ts';
import { topic } from '../../src/bus/topic.ts';
import { encodeUtf8 } from '../../src/core/wire.ts';

const prices = topic<number>('prices');

/** A backbone that says gap and state when a test wants it to. */
function moody() {
  const inner = memoryBackbone();
  let sink: BackboneSink | undefined;
  const backbone: Backbone = {
    ...inner,
    open(opened) {
      sink = opened;
      inner.open(opened);
    },
  };
  function say(event: 'gap', name: string | undefined): void;
  function say(event: 'state', state: BackboneState): void;
  function say(event: 'gap' | 'state', detail: string | undefined): void {
    if (event === 'gap') sink?.gap(detail, undefined);
    else sink?.state(detail as BackboneState);
  }
  return { backbone, say };
}

test('[BUS-10] close ends every reader, waiting, reading and pushed, and listeners hear of it', async () => {
  const bus = createBus();
  const told: string[] = [];
  const waiting = bus.subscribe(prices).next();
  const behind = bus.subscribe(prices);
  bus.subscribe(prices)[push]({ next() {}, error: () => told.push('error'), complete: () => told.push('complete') });
  const filtering = bus.subscribe(prices, { filter: () => new Promise<boolean>(() => {}) }).next();
  bus.listen('*', { receive() {}, closed: () => told.push('closed') });
  bus.listen('prices', () => {});
  await bus.publish(prices, 1);
  expect((await waiting).value).toBe(1);
  await bus.close();
  expect(await behind.next()).toEqual({ done: false, value: 1 });
  expect([await behind.next(), await filtering]).toEqual([
    { done: true, value: undefined },
    { done: true, value: undefined },
  ]);
  expect([told, bus.stats().listeners]).toEqual([['complete', 'closed'], 0]);
});

test('[BUS-10] after close every call is refused with words, and close may be called again', async () => {
  const bus = createBus();
  const states: string[] = [];
  bus.on('state', (state) => states.push(state));
  await Promise.all([bus.close(), bus.close()]);
  await bus.close();
  await expect(bus.publish(prices, 1)).rejects.toThrow('The bus is closed: nothing can be published to "prices"');
  await expect(bus.publish('a', encodeUtf8(''))).rejects.toThrow('nothing can be published to "a"');
  for (const [name, call] of [
    ['subscribe', () => bus.subscribe(prices)],
    ['listen', () => bus.listen('a', () => {})],
    ['declare', () => bus.declare(prices)],
  ] as const) {
    expect(call).toThrow(`The bus is closed: ${name}() comes too late`);
  }
  expect([states, bus.backbone.state]).toEqual([['closed'], 'closed']);
});

test('[BUS-10] a backbone that fails to close rejects, and the readers have ended all the same', async () => {
  const backbone: Backbone = {
    ...memoryBackbone(),
    close() {
      throw new Error('no');
    },
  };
  const bus = createBus({ backbone });
  const reader = bus.subscribe(prices).next();
  await expect(bus.close()).rejects.toThrow('no');
  expect((await reader).done).toBe(true);
});

test('[BUS-11] a gap ends the readers of that topic with an error, unless they take onGap; others hear nothing', async () => {
  const { backbone, say } = moody();
  const bus = createBus({ backbone });
  const told: string[] = [];
  bus.on('gap', (name) => told.push(`bus ${name}`));
  const plain = bus.subscribe(prices);
  const told1 = bus.subscribe(prices, { onGap: (name) => told.push(`reader ${name}`) });
  const other = bus.subscribe(topic<number>('other'));
  bus.listen('*', { receive() {}, gap: (name) => told.push(`pattern ${name}`) });
  bus.listen('x.*', { receive() {}, gap: (name) => told.push(`x ${name}`) });
  await bus.publish(prices, 1);
  say('gap', 'prices');
  await bus.publish(prices, 2);
  expect((await plain.next()).value).toBe(1);
  const lost: unknown = await plain.next().catch((error) => error);
  expect(lost).toBeInstanceOf(MessagesLost);
  expect(lost).toMatchObject({ topic: 'prices', message: expect.stringMatching(/may have been lost/) });
  expect([(await told1.next()).value, (await told1.next()).value]).toEqual([1, 2]);
  expect(told).toEqual(['bus prices', 'pattern prices', 'reader prices']);
  await bus.publish('other', encodeUtf8('3'));
  expect([(await other.next()).value, bus.stats().gaps]).toEqual([3, 1]);
  say('gap', 'x.*');
  expect(told.slice(3)).toEqual(['bus x.*', 'x x.*']);
});

test('[BUS-11] a gap of all topics is told to everybody, with the name that each listens to', () => {
  const { backbone, say } = moody();
  const bus = createBus({ backbone });
  const told: string[] = [];
  bus.on('gap', (name) => told.push(`bus ${name}`));
  for (const name of ['a', 'b.*']) bus.listen(name, { receive() {}, gap: (concerned) => told.push(concerned) });
  say('gap', undefined);
  expect([told, bus.stats().gaps]).toEqual([['bus undefined', 'a', 'b.*'], 1]);
});

test('[BUS-11] a gap keeps its place among the values that wait for an asynchronous filter', async () => {
  const { backbone, say } = moody();
  const bus = createBus({ backbone });
  const seen: unknown[] = [];
  const subscription = bus.subscribe(prices, { filter: async () => true, onGap: () => seen.push('gap') });
  subscription[push]({ next: (value) => seen.push(value), error() {}, complete() {} });
  await Promise.all([bus.publish(prices, 1), bus.publish(prices, 2)]);
  say('gap', 'prices');
  await bus.publish(prices, 3);
  await new Promise((resolve) => setTimeout(resolve, 0));
  expect(seen).toEqual([1, 2, 'gap', 3]);
});

test('[BUS-9] onGap and listeners of a gap that fail are reported and harm nobody', async () => {
  const { backbone, say } = moody();
  const errors: string[] = [];
  const bus = createBus({ backbone, onError: (error) => errors.push((error as Error).message) });
  bus.on('gap', () => {
    throw new Error('on');
  });
  bus.subscribe(prices, {
    onGap() {
      throw new Error('thrown');
    },
  });
  bus.subscribe(prices, { onGap: (() => Promise.reject(new Error('rejected'))) as never });
  bus.listen('prices', {
    receive() {},
    gap() {
      throw new Error('object');
    },
  });
  say('gap', 'prices');
  await new Promise((resolve) => setTimeout(resolve, 0));
  expect(errors.sort()).toEqual(['object', 'on', 'rejected', 'thrown']);
  expect(bus.stats().listeners).toBe(3);
});

test('the state of the backbone is heard, until one stops to listen', () => {
  const { backbone, say } = moody();
  const bus = createBus({ backbone });
  const states: string[] = [];
  const stop = bus.on('state', (state) => states.push(state));
  say('state', 'down');
  say('state', 'up');
  stop();
  say('state', 'down');
  expect(states).toEqual(['down', 'up']);
});

test('[BUS-10] a backbone that throws where it should reject is taken as one that rejects', async () => {
  const errors: unknown[] = [];
  const away = new Error('away');
  const fail = (): never => {
    throw away;
  };
  const backbone: Backbone = { ...memoryBackbone(), subscribe: fail, unsubscribe: fail, publish: fail };
  const bus = createBus({ backbone, onError: (error) => errors.push(error) });
  const listening = bus.listen('a', () => {});
  await expect(listening.active).rejects.toBe(away);
  listening.stop();
  await expect(bus.publish('a', encodeUtf8(''))).rejects.toBe(away);
  await new Promise((resolve) => setTimeout(resolve, 0));
  // One cause is told once ([BUS-16]).
  expect(errors).toEqual([away]);
});
