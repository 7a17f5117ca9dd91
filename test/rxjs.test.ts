import { firstValueFrom, map, Observable, Subject, take, toArray } from 'rxjs';
import { afterEach, describe, expect, test } from 'vitest';
import { createSubscription, type Sink } from '../src/bus/subscription.ts';
import { createClient } from '../src/graphql/client/client.ts';
import { observe, observeOperation, toAsyncIterable, watch } from '../src/rxjs.ts';
import { createStompClient } from '../src/stomp/client/client.ts';
import { createFakeClock } from './support/fake-clock.ts';
import { FakeTransport } from './support/fake-transport.ts';

/** What an observable told its subscriber. */
function recorder<T>(): Sink<T> & { readonly told: unknown[] } {
  const told: unknown[] = [];
  return {
    told,
    next: (value) => told.push(value),
    error: (error) => told.push({ error }),
    complete: () => told.push('complete'),
  };
}

const left: string[] = [];
async function* counting(): AsyncGenerator<number> {
  try {
    for (let count = 1; ; count++) yield count;
  } finally {
    left.push('generator');
  }
}
afterEach(() => left.splice(0));

describe('observe', () => {
  test('values of an async iterable, which is returned on unsubscribe', async () => {
    expect(await firstValueFrom(observe(counting).pipe(take(3), toArray()))).toEqual([1, 2, 3]);
    await expect.poll(() => left).toEqual(['generator']);
  });

  test('its end and its error', async () => {
    const finite = async function* (): AsyncGenerator<number> {
      yield 1;
    };
    const broken = async function* (): AsyncGenerator<number> {
      yield 1;
      throw new Error('broken');
    };
    expect(await firstValueFrom(observe(finite).pipe(toArray()))).toEqual([1]);
    await expect(firstValueFrom(observe(broken).pipe(toArray()))).rejects.toThrow('broken');
  });

  test('an iterator that cannot be returned, or fails to, does no harm', async () => {
    const iterator = { next: () => new Promise<never>(() => {}), return: () => Promise.reject(new Error('late')) };
    const sink = recorder();
    observe(() => ({ [Symbol.asyncIterator]: () => iterator }))
      .subscribe(sink)
      .unsubscribe();
    observe(() => ({ [Symbol.asyncIterator]: () => ({ next: iterator.next }) }))
      .subscribe(sink)
      .unsubscribe();
    await Promise.resolve();
    expect(sink.told).toEqual([]);
  });

  test('a subscription is pushed, without an iterator', () => {
    let source: Sink<number> | undefined;
    const sink = recorder<number>();
    const subscription = observe(() =>
      createSubscription<number>((target) => {
        source = target;
        return () => left.push('source');
      }),
    ).subscribe(sink);
    source?.next(1);
    expect(sink.told).toEqual([1]);
    subscription.unsubscribe();
    source?.next(2);
    expect([sink.told, left]).toEqual([[1], ['source']]);
  });
});

test('a GraphQL operation as an observable', async () => {
  const clock = createFakeClock();
  const server = new FakeTransport();
  await using client = createClient({ url: 'ws://server', transport: server.transport, clock, generateID: () => '1' });
  const sink = recorder<number | undefined>();
  const subscription = observeOperation<{ price: number }>(client, { query: 'subscription { price }' })
    .pipe(map(({ data }) => data?.price))
    .subscribe(sink);
  const socket = server.last.open();
  await clock.settle();
  socket.receiver?.received('{"type":"connection_ack"}');
  socket.receiver?.received('{"type":"next","id":"1","payload":{"data":{"price":7}}}');
  subscription.unsubscribe();
  expect(sink.told).toEqual([7]);
  expect(socket.sent.at(-1)).toBe('{"id":"1","type":"complete"}');
});

test('a STOMP destination as an observable', () => {
  let source: Sink<string> | undefined;
  const asked: unknown[] = [];
  const client = {
    subscribe(destination: string, callback: undefined, headers?: { readonly ack: string }) {
      asked.push([destination, callback, headers]);
      return createSubscription<string>((target) => {
        source = target;
        return () => asked.push('unsubscribed');
      });
    },
  };
  const sink = recorder<string>();
  const subscription = watch(client, '/topic/prices', { ack: 'client' }).subscribe(sink);
  source?.next('hello');
  subscription.unsubscribe();
  expect(sink.told).toEqual(['hello']);
  expect(asked).toEqual([['/topic/prices', undefined, { ack: 'client' }], 'unsubscribed']);
});

test('our own STOMP client can be watched, and is not asked before somebody subscribes', () => {
  const client = createStompClient({ brokerURL: 'ws://server' });
  const bodies: Observable<string> = watch(client, '/topic/prices').pipe(map(({ body }) => body));
  expect(bodies).toBeInstanceOf(Observable);
  expect(client.state.getSnapshot().status).toBe('idle');
});

describe('toAsyncIterable', () => {
  test('values, the end, and leaving', async () => {
    const subject = new Subject<number>();
    const values = toAsyncIterable(subject);
    subject.next(1);
    subject.next(2);
    subject.complete();
    const seen: number[] = [];
    for await (const value of values) seen.push(value);
    expect(seen).toEqual([1, 2]);
    const other = new Subject<number>();
    await toAsyncIterable(other).return();
    expect(other.observed).toBe(false);
  });

  test('errors, and a bounded buffer', async () => {
    const subject = new Subject<number>();
    const values = toAsyncIterable(subject, { buffer: 1 });
    subject.next(1);
    subject.next(2);
    await expect(values.next()).rejects.toThrow('more than 1 values');
    expect(subject.observed).toBe(false);
    const broken = new Subject<number>();
    const next = toAsyncIterable(broken).next();
    broken.error(new Error('broken'));
    await expect(next).rejects.toThrow('broken');
  });
});
