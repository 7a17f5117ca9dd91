import { expect, test } from 'vitest';
import { createBus } from '../../src/bus/bus.ts';
import { createSubscription, push, type Sink, type Worker } from '../../src/bus/subscription.ts';
import { topic } from '../../src/bus/topic.ts';

/** A source that a test drives by hand. */
function source<T>(buffer?: number) {
  const made = { sink: undefined as unknown as Sink<T>, stops: 0 };
  const subscription = createSubscription<T>((sink) => {
    made.sink = sink;
    return () => {
      made.stops++;
    };
  }, buffer);
  return Object.assign(made, { subscription });
}

function recorder<T>() {
  const seen: string[] = [];
  const sink: Sink<T> = {
    next: (value) => seen.push(`next ${value}`),
    error: (error) => seen.push(`error ${(error as Error).message}`),
    complete: () => seen.push('complete'),
  };
  return { seen, sink };
}

test('values that came before anybody reads wait, in order, then readers wait', async () => {
  const { sink, subscription } = source<number>();
  sink.next(1);
  sink.next(2);
  expect([await subscription.next(), await subscription.next()]).toEqual([
    { done: false, value: 1 },
    { done: false, value: 2 },
  ]);
  const readers = [subscription.next(), subscription.next()];
  sink.next(3);
  sink.next(4);
  expect((await Promise.all(readers)).map(({ value }) => value)).toEqual([3, 4]);
});

test('leaving a for await loop ends the source, once', async () => {
  const made = source<number>();
  made.sink.next(1);
  for await (const value of made.subscription) {
    expect(value).toBe(1);
    break;
  }
  expect(made.stops).toBe(1);
  made.sink.next(2);
  made.sink.complete();
  await made.subscription.return();
  expect([await made.subscription.next(), made.stops]).toEqual([{ done: true, value: undefined }, 1]);
});

test('return() answers readers that wait', async () => {
  const { subscription } = source<number>();
  const reader = subscription.next();
  await subscription.return();
  expect(await reader).toEqual({ done: true, value: undefined });
});

test('after complete what waits is still read', async () => {
  const { sink, subscription } = source<number>();
  sink.next(1);
  sink.complete();
  sink.next(2);
  sink.error(new Error('late'));
  expect((await subscription.next()).value).toBe(1);
  expect((await subscription.next()).done).toBe(true);
});

test('an error comes after what waits, once, then the end', async () => {
  const { sink, subscription } = source<number>();
  sink.next(1);
  sink.error(new Error('no'));
  expect((await subscription.next()).value).toBe(1);
  await expect(subscription.next()).rejects.toThrow('no');
  expect((await subscription.next()).done).toBe(true);
});

test('an error reaches every reader that waits, and nobody later', async () => {
  const { sink, subscription } = source<number>();
  const readers = [subscription.next(), subscription.next()];
  sink.error(new Error('no'));
  expect((await Promise.allSettled(readers)).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  expect((await subscription.next()).done).toBe(true);
});

test('an abandoned subscription ends when its buffer is full, and lets the values go', async () => {
  const made = source<number>(2);
  for (const value of [1, 2]) made.sink.next(value);
  expect(made.stops).toBe(0);
  made.sink.next(3);
  expect(made.stops).toBe(1);
  await expect(made.subscription.next()).rejects.toThrow('A subscription is not read: more than 2 values wait');
  expect((await made.subscription.next()).done).toBe(true);
});

test('pushed: what waits comes first, then everything at once, until the end', () => {
  const { sink, subscription } = source<number>();
  const { seen, sink: to } = recorder<number>();
  sink.next(1);
  subscription[push](to);
  sink.next(2);
  sink.complete();
  sink.next(3);
  expect(seen).toEqual(['next 1', 'next 2', 'complete']);
});

test('pushed: a value that comes while the first ones are handed over keeps its place', () => {
  const { sink, subscription } = source<number>();
  const { seen, sink: to } = recorder<number>();
  sink.next(1);
  sink.next(2);
  subscription[push]({
    ...to,
    next(value) {
      to.next(value);
      if (value === 1) sink.next(3);
    },
  });
  expect(seen).toEqual(['next 1', 'next 2', 'next 3']);
});

test('pushed: a source that had failed or completed says so; stopping says nothing', () => {
  for (const end of ['error', 'complete'] as const) {
    const { sink, subscription } = source<number>();
    const { seen, sink: to } = recorder<number>();
    sink.next(1);
    if (end === 'error') sink.error(new Error('no'));
    else sink.complete();
    subscription[push](to);
    expect(seen).toEqual(['next 1', end === 'error' ? 'error no' : 'complete']);
  }
  const made = source<number>();
  const { seen, sink: to } = recorder<number>();
  const stop = made.subscription[push](to);
  stop();
  stop();
  made.sink.next(1);
  expect([seen, made.stops]).toEqual([[], 1]);
});

test('pushed: an error reaches the sink', () => {
  const { sink, subscription } = source<number>();
  const { seen, sink: to } = recorder<number>();
  subscription[push](to);
  sink.error(new Error('no'));
  expect(seen).toEqual(['error no']);
});

test('a source that ends while it starts is stopped', async () => {
  let stops = 0;
  const subscription = createSubscription<number>((sink) => {
    sink.next(1);
    sink.complete();
    return () => {
      stops++;
    };
  });
  expect(stops).toBe(1);
  expect((await subscription.next()).value).toBe(1);
  expect((await subscription.next()).done).toBe(true);
});

test('await using ends it', async () => {
  const made = source<number>();
  await made.subscription[Symbol.asyncDispose]();
  expect(made.stops).toBe(1);
});

test('[BUS-15] a sink that works items off later is given them as they came, and the end of the bus behind them', async () => {
  const bus = createBus();
  const numbers = topic<number>('numbers');
  const filtered: number[] = [];
  const filter = (value: number): boolean => {
    filtered.push(value);
    return value !== 2;
  };
  const subscription = bus.subscribe(numbers, { filter, onGap: () => seen.push('gap') });
  const { seen, sink } = recorder<number>();
  const items: (readonly [unknown, Worker])[] = [];
  subscription[push]({ ...sink, later: (item, worker) => void items.push([item, worker]) });
  for (const value of [1, 2, 3]) void bus.publish(numbers, value);
  await bus.close();
  expect(filtered).toEqual([]);
  expect(items.map(([, worker]) => worker.asks)).toEqual([true, true, true, true]);
  for (const [item, worker] of items) worker.work(item);
  expect(seen).toEqual(['next 1', 'next 3', 'complete']);
});
