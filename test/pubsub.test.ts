import { PubSub, type PubSubEngine } from 'graphql-subscriptions';
import { describe, expect, test } from 'vitest';
import { createBus } from '../src/bus/bus.ts';
import { MessagesLost } from '../src/bus/subscription.ts';
import { topic } from '../src/bus/topic.ts';
import { encodeUtf8 } from '../src/core/wire.ts';
import { type BusPubSub, createEventTarget, createPubSub, type PubSubShape } from '../src/pubsub.ts';
import { sharedLog } from './support/shared-backbone.ts';

const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));

/** What every engine does: the same resolvers run over both. */
const engines: Readonly<Record<string, () => PubSubEngine>> = {
  'PubSub of graphql-subscriptions': () => new PubSub(),
  'createPubSub over a bus': () => createPubSub<PubSubEngine>({ bus: createBus() }),
};

describe.each(Object.entries(engines))('[PUBSUB-1] %s', (_name, engine) => {
  test('hands payloads to functions until they unsubscribe, with numbers of their own', async () => {
    const pubsub = engine();
    const seen: unknown[] = [];
    const one = await pubsub.subscribe('A', (payload: unknown) => seen.push(['one', payload]), {});
    const two = await pubsub.subscribe('A', (payload: unknown) => seen.push(['two', payload]), {});
    expect([typeof one, one === two]).toEqual(['number', false]);
    await pubsub.publish('A', { a: [1, null, 'x'] });
    await pubsub.publish('B', 'other');
    pubsub.unsubscribe(one);
    await pubsub.publish('A', undefined);
    await turn();
    expect(seen).toEqual([
      ['one', { a: [1, null, 'x'] }],
      ['two', { a: [1, null, 'x'] }],
      ['two', undefined],
    ]);
  });

  test('iterates one trigger or several, in the order of publishing, and ends by return and throw', async () => {
    const pubsub = engine();
    const iterator = pubsub.asyncIterableIterator<number>(['A', 'B']);
    const first = iterator.next();
    await turn();
    await pubsub.publish('A', 1);
    await pubsub.publish('C', 0);
    await pubsub.publish('B', 2);
    expect([await first, await iterator.next()]).toEqual([
      { done: false, value: 1 },
      { done: false, value: 2 },
    ]);
    await iterator.return();
    expect(await pubsub.asyncIterableIterator('A')[Symbol.asyncIterator]().return?.()).toMatchObject({ done: true });
    const failing = pubsub.asyncIterableIterator('A');
    await expect(failing.throw(new Error('enough'))).rejects.toThrow('enough');
  });

  test('a trigger is a name and no pattern, whatever is in it', async () => {
    const pubsub = engine();
    const heard: string[] = [];
    const triggers = ['room.*', 'room.**', 'room.1', '**', '*', '%2A', '%', '$bus/disconnect', 'a\nb', '/a', 'ü 漢'];
    for (const trigger of triggers) await pubsub.subscribe(trigger, () => heard.push(trigger), {});
    for (const trigger of triggers) await pubsub.publish(trigger, 1);
    await turn();
    expect(heard).toEqual(triggers);
  });
});

test('[PUBSUB-1] a payload reaches functions and iterators of all servers, and the publisher waits for the backbone', async () => {
  const log = sharedLog();
  const backbones = [log.backbone(), log.backbone()];
  const [one, other] = backbones.map((backbone) => createPubSub({ bus: createBus({ backbone }) })) as [
    BusPubSub,
    BusPubSub,
  ];
  const seen: unknown[] = [];
  await other.subscribe('A', (payload) => seen.push(payload));
  const iterator = other.asyncIterator<string>('A');
  await iterator.active;
  await one.publish('A', 'hello');
  expect([await iterator.next(), seen]).toEqual([{ done: false, value: 'hello' }, ['hello']]);
  if (backbones[0]) backbones[0].away = true;
  await expect(one.publish('A', 'lost')).rejects.toMatchObject({ reason: 'unavailable', stored: 'no' });
});

test('[PUBSUB-1] other protocols and typed topics read the same JSON; decode gives back what JSON cannot hold', async () => {
  const bus = createBus();
  const pubsub = createPubSub({
    bus,
    prefix: 'events/',
    encode: (payload, trigger) => ({ trigger, at: (payload as Date).getTime() }),
    decode: (value) => new Date((value as { at: number }).at),
  });
  const typed = bus.subscribe(topic<{ at: number }>('events/A'));
  const seen: unknown[] = [];
  await pubsub.subscribe('A', (payload) => seen.push(payload));
  await pubsub.publish('A', new Date(5_000));
  expect([(await typed.next()).value, seen]).toEqual([{ trigger: 'A', at: 5_000 }, [new Date(5_000)]]);
});

test('[PUBSUB-2] what a client wrote reaches no private topic and no wildcard of the bus', async () => {
  const bus = createBus();
  const names: string[] = [];
  for (const pattern of ['**', '$bus/**', '$user/**']) bus.listen(pattern, ({ topic: name }) => names.push(name));
  const pubsub = createPubSub({ bus });
  for (const trigger of ['$bus/disconnect', '$user/ada/x', '$', 'a$b', '*', 'rooms/**', '\u0000']) {
    await pubsub.publish(trigger, 1);
  }
  expect(names).toEqual(['%24bus/disconnect', '%24user/ada/x', '%24', 'a$b', '%2A', 'rooms/%2A%2A', '%00']);
  const heard: unknown[] = [];
  await pubsub.subscribe('rooms/*', (payload) => heard.push(payload));
  await pubsub.publish('rooms/1', 'secret');
  expect(heard).toEqual([]);
});

test('[PUBSUB-3] a gap ends iterators and is reported, or is told to onGap and all goes on', async () => {
  const log = sharedLog();
  const strict = log.backbone();
  const errors: unknown[] = [];
  const bus = createBus({ backbone: strict, onError: (error) => errors.push(error) });
  const pubsub = createPubSub({ bus });
  await pubsub.subscribe('A', () => {});
  const iterator = pubsub.asyncIterableIterator(['A', 'B']);
  strict.away = true;
  strict.away = false;
  await expect(iterator.next()).rejects.toThrow(MessagesLost);
  expect(errors.map((error) => error instanceof MessagesLost)).toEqual([true]);

  const lenient = log.backbone();
  const gaps: string[] = [];
  const lenientBus = createBus({ backbone: lenient });
  const told = createPubSub({ bus: lenientBus, onGap: (topic) => gaps.push(topic) });
  const seen: unknown[] = [];
  await told.subscribe('A', (payload) => seen.push(payload));
  const kept = told.asyncIterableIterator('A');
  lenient.away = true;
  lenient.away = false;
  await told.publish('A', 1);
  expect([gaps, seen, (await kept.next()).value]).toEqual([['A', 'A'], [1], 1]);
});

test('[PUBSUB-1] listeners that throw or reject harm nobody, and bodies that do not decode are passed over', async () => {
  const errors: unknown[] = [];
  const bus = createBus({ onError: (error) => errors.push((error as Error).message) });
  const pubsub = createPubSub({ bus });
  const seen: unknown[] = [];
  await pubsub.subscribe('A', () => {
    throw new Error('bug');
  });
  await pubsub.subscribe('A', async () => {
    throw new Error('late bug');
  });
  await pubsub.subscribe('A', (payload) => seen.push(payload));
  await pubsub.publish('A', 1);
  await bus.publish('A', encodeUtf8('{'));
  await pubsub.publish('A', 2);
  await turn();
  expect([seen, errors.slice(0, 2)]).toEqual([
    [1, 2],
    ['bug', 'late bug'],
  ]);
  pubsub.unsubscribe(99);
});

test('[PUBSUB-1] what is wrong names itself, before anything is sent', async () => {
  const bus = createBus();
  expect(() => createPubSub({} as never)).toThrow('createPubSub() needs a bus');
  expect(() => createEventTarget(undefined as never)).toThrow('createEventTarget() needs a bus');
  expect(() => createPubSub({ bus, eventEmitter: {} } as never)).toThrow('has no option "eventEmitter"');
  expect(() => createPubSub({ bus, onError() {} } as never)).toThrow('has no option "onError"');
  for (const prefix of [5, 'a.*', 'a\nb', 'n'.repeat(2_000)]) {
    expect(() => createPubSub({ bus, prefix } as never)).toThrow('prefix must be the beginning of a topic');
  }
  expect(() => createPubSub({ bus, decode: 1 } as never)).toThrow('decode must be a function');
  const pubsub = createPubSub({ bus });
  for (const trigger of [undefined, 5, {}, '', 'n'.repeat(1_025), 'a.'.repeat(40)]) {
    await expect(pubsub.publish(trigger as never, 1)).rejects.toThrow(TypeError);
    await expect(pubsub.subscribe(trigger as never, () => {})).rejects.toThrow(TypeError);
    expect(() => pubsub.asyncIterableIterator(trigger as never)).toThrow(TypeError);
  }
  expect(() => pubsub.asyncIterableIterator([])).toThrow('needs a trigger');
  await expect(pubsub.subscribe('A', undefined as never)).rejects.toThrow('onMessage must be a function');
  const circle: Record<string, unknown> = {};
  circle['circle'] = circle;
  for (const payload of [Promise.resolve(1), 1n, circle, () => {}, Symbol('x')]) {
    await expect(pubsub.publish('A', payload)).rejects.toThrow(TypeError);
  }
  expect([bus.stats().published, bus.stats().listeners]).toEqual([0, 0]);
  await bus.close();
  await expect(pubsub.publish('A', 1)).rejects.toThrow('The bus is closed');
});

test('[PUBSUB-4] an event target does what EventTarget does: once for each callback, objects, once, signal', async () => {
  const bus = createBus();
  const target = createEventTarget({ bus });
  const seen: string[] = [];
  const told = (event: Event): void => void seen.push(`function ${(event as CustomEvent).detail}`);
  const object = { handleEvent: (event: Event) => void seen.push(`object ${(event as CustomEvent).detail}`) };
  const leaving = new AbortController();
  for (let times = 0; times < 2; times++) {
    target.addEventListener('a', told);
    target.addEventListener('a', object);
  }
  target.addEventListener('a', (event) => void seen.push(`once ${(event as CustomEvent).detail}`), { once: true });
  target.addEventListener('a', () => void seen.push('signal'), { signal: leaving.signal });
  target.addEventListener('a', () => void seen.push('never'), { signal: AbortSignal.abort() });
  target.addEventListener('a', null);
  expect(target.dispatchEvent(new CustomEvent('a', { detail: 1 }))).toBe(true);
  await turn();
  leaving.abort();
  target.removeEventListener('a', told);
  target.removeEventListener('a', told);
  target.removeEventListener('b', told);
  target.dispatchEvent(new CustomEvent('a', { detail: 2 }));
  target.dispatchEvent(new CustomEvent('b', { detail: 3 }));
  await turn();
  expect(seen).toEqual(['function 1', 'object 1', 'once 1', 'signal', 'object 2']);
  target.removeEventListener('a', object);
  expect(bus.stats().listeners).toBe(0);
});

test('[PUBSUB-4] what an event target cannot publish, or may have missed, goes to onError', async () => {
  const backbone = sharedLog().backbone();
  const errors: string[] = [];
  const bus = createBus({ backbone });
  const target = createEventTarget({ bus, onError: (error) => errors.push((error as Error).message) });
  target.addEventListener('a', () => {});
  target.dispatchEvent(new CustomEvent('a', { detail: 1n }));
  backbone.away = true;
  target.dispatchEvent(new CustomEvent('a', { detail: 1 }));
  await turn();
  backbone.away = false;
  expect(errors).toEqual([
    'Do not know how to serialize a BigInt',
    'shared: this server is away',
    'Events of "a" may have been lost',
  ]);
});

test('[PUBSUB-1] it has the shape that others take', () => {
  const shape: PubSubShape = createPubSub({ bus: createBus() });
  const engine: PubSubEngine = createPubSub<PubSubEngine>({ bus: createBus() });
  expect([typeof shape.publish, typeof engine.asyncIterableIterator]).toEqual(['function', 'function']);
});
