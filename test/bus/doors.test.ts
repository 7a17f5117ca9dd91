import { expect, test } from 'vitest';
import { createBus } from '../../src/bus/bus.ts';
import { push, type Subscription } from '../../src/bus/subscription.ts';
import { topic } from '../../src/bus/topic.ts';
import { decodeUtf8, encodeUtf8 } from '../../src/core/wire.ts';

const prices = topic<unknown>('prices');
const bytes = encodeUtf8('x');

/** A bus with an old listener, and a check that a good message reaches old and new ones as if nothing had happened. */
function scene() {
  const errors: unknown[] = [];
  const bus = createBus({ onError: (error) => errors.push(error) });
  const heard: string[] = [];
  bus.listen('good', ({ body }) => heard.push(`old ${decodeUtf8(body)}`));
  const before = JSON.stringify(bus.stats());
  async function unharmed(): Promise<void> {
    expect([JSON.stringify(bus.stats()), errors]).toEqual([before, []]);
    const late = bus.listen('*', ({ body }) => heard.push(`new ${decodeUtf8(body)}`));
    await bus.publish('good', encodeUtf8('1'), { headers: { a: 'b' } });
    expect([heard.splice(0), errors]).toEqual([['old 1', 'new 1'], []]);
    late.stop();
  }
  return { bus, unharmed };
}

test.each<[unknown, RegExp]>([
  [{ a: 1 }, /^body of "prices" must be bytes \(Uint8Array\); got an object: publish values by topic\("prices"\)$/],
  ['text', /got the string text: encode text with a TextEncoder/],
  [undefined, /got undefined/],
  [null, /got null/],
  [5, /got the number 5/],
  [[1], /got an array/],
  [new ArrayBuffer(2), /got an ArrayBuffer/],
  [new DataView(new ArrayBuffer(2)), /got a DataView/],
  [new Uint16Array(2), /got a Uint16Array/],
  [{ length: 5, buffer: new ArrayBuffer(5) }, /got an object/],
  [new Date(), /got a Date/],
  [() => bytes, /got a function/],
  [Object.create(null), /got an object/],
  [
    new Uint8Array(Reflect.construct(ArrayBuffer, [2, { maxByteLength: 9 }])),
    /got a Uint8Array: its memory can shrink/,
  ],
])('[BUS-7] a body of %o is refused before anything is counted or sent', async (body, message) => {
  const { bus, unharmed } = scene();
  const result = bus.publish('prices', body as never);
  await expect(result).rejects.toThrow(TypeError);
  await expect(result).rejects.toThrow(message);
  await unharmed();
});

test('[BUS-7] bytes of any realm and any kind of buffer are bytes', async () => {
  const { bus } = scene();
  const seen: string[] = [];
  bus.listen('a', ({ body }) => seen.push(decodeUtf8(body)));
  await bus.publish('a', Buffer.from('1'));
  await bus.publish('a', encodeUtf8('xx2').subarray(2));
  expect(seen).toEqual(['1', '2']);
});

test.each<[unknown, RegExp]>([
  ['', /must not be empty/],
  [undefined, /takes a topic\(\) or a name; got undefined/],
  [null, /takes a topic\(\) or a name; got null/],
  [5, /takes a topic\(\) or a name; got the number 5/],
  [{ name: 'x' }, /takes a topic\(\) or a name; got an object/],
  ['a\0b', /control characters/],
  ['a\r\nb', /control characters/],
  ['a.*', /must not be a pattern/],
  ['**', /must not be a pattern/],
  ['x'.repeat(1_025), /longer than 1024 characters/],
  [Array(33).fill('a').join('.'), /more than 32 segments/],
])('[BUS-4] [BUS-7] publish to %j is refused', async (name, message) => {
  const { bus, unharmed } = scene();
  await expect(bus.publish(name as string, bytes)).rejects.toThrow(message);
  await unharmed();
});

test.each<[unknown, RegExp]>([
  [null, /options must be an object.*got null/],
  ['text/plain', /options must be an object.*got the string/],
  [['text/plain'], /options must be an object.*got an array/],
  [Promise.resolve({}), /options must be an object.*got a Promise/],
  [new Map([['contentType', 'a']]), /options must be an object.*got a Map/],
  [new Error('no'), /options must be an object.*got an Error/],
  [{ header: {} }, /publish\("prices"\) has no option "header"/],
  [{ contentType: 5 }, /contentType must be text; got the number 5/],
  [{ headers: 'a' }, /headers must be a Map or an object/],
  [{ headers: [['a', 'b']] }, /headers must be a Map or an object; got an array/],
  [{ headers: new Set(['a']) }, /headers must be a Map or an object; got a Set/],
  [{ headers: Promise.resolve({ a: 'b' }) }, /headers must be a Map or an object; got a Promise/],
  [{ headers: new Date() }, /headers must be a Map or an object; got a Date/],
  [{ headers: new Blob(['a: b']) }, /headers must be a Map or an object; got a Blob/],
  [{ headers: new Headers({ a: 'b' }) }, /headers must be a Map or an object; got a Headers/],
  [{ headers: { a: Number.NaN } }, /the header "a" must be text.*got the number NaN/],
  [{ headers: { a: null } }, /the header "a" must be text, a number or a boolean; got null/],
  [{ headers: { a: {} } }, /the header "a" must be text.*got an object/],
  [{ headers: { a: 5n } }, /the header "a" must be text.*got the bigint 5/],
  [{ headers: new Map<unknown, unknown>([['a', Symbol('x')]]) }, /the header "a" must be text.*got the symbol/],
  [{ headers: new Map([[5, 'a']]) }, /the name of a header must be text; got the number 5/],
  [{ headers: { '': 'a' } }, /the name of a header must be text; got ""/],
])('[BUS-7] publish with the options %o is refused', async (options, message) => {
  const { bus, unharmed } = scene();
  for (const result of [bus.publish('prices', bytes, options as never), bus.publish(prices, 1, options as never)]) {
    await expect(result).rejects.toThrow(TypeError);
    await expect(result).rejects.toThrow(message);
  }
  await unharmed();
});

test('[BUS-7] numbers and booleans are text in headers, undefined is left out', async () => {
  const bus = createBus();
  const seen: unknown[] = [];
  bus.listen('a', ({ headers }) => seen.push([...headers]));
  const headers = { text: 'x', number: 1.5, yes: true, no: false, none: undefined };
  await bus.publish('a', bytes, { headers });
  await bus.publish('a', bytes, { headers: new Map(Object.entries(headers)) });
  const expected = [...'text x,number 1.5,yes true,no false'.split(',').map((each) => each.split(' '))];
  expect(seen).toEqual([expected, expected]);
});

test.each<[string, (bus: ReturnType<typeof createBus>) => unknown, RegExp]>([
  [
    'subscribe("prices")',
    (bus) => bus.subscribe('prices' as never),
    /^subscribe\(\) takes a topic\(\), listen\(\) a name; got the string prices/,
  ],
  ['subscribe()', (bus) => bus.subscribe(undefined as never), /takes a topic\(\)/],
  ['an unknown option', (bus) => bus.subscribe(prices, { filters: 1 } as never), /has no option "filters"/],
  ['options of null', (bus) => bus.subscribe(prices, null as never), /takes an object of options; got null/],
  ['a filter', (bus) => bus.subscribe(prices, { filter: true as never }), /^filter must be a function/],
  ['onGap', (bus) => bus.subscribe(prices, { onGap: 'x' as never }), /^onGap must be a function/],
  ['a buffer of text', (bus) => bus.subscribe(prices, { buffer: '5' as never }), /^buffer must be a number of values/],
  ['a signal', (bus) => bus.subscribe(prices, { signal: {} as never }), /^signal must be an AbortSignal/],
  ['a signal of null', (bus) => bus.subscribe(prices, { signal: null as never }), /^signal must be an AbortSignal/],
  [
    'listen(topic)',
    (bus) => bus.listen(prices as never, () => {}),
    /^listen\(\) takes a name, such as listen\("prices"/,
  ],
  ['listen()', (bus) => bus.listen(undefined as never, () => {}), /must be text; got undefined/],
  ['an empty name', (bus) => bus.listen('', () => {}), /must not be empty/],
  ['** in the middle', (bus) => bus.listen('a.**.b', () => {}), /\*\* before its end/],
  ['33 segments', (bus) => bus.listen('*.'.repeat(32), () => {}), /more than 32 segments/],
  [
    'no listener',
    (bus) => bus.listen('a', undefined as never),
    /needs a function or \{ receive\(message\) \}; got undefined/,
  ],
  ['a listener of {}', (bus) => bus.listen('a', {} as never), /needs a function or \{ receive\(message\) \}/],
  [
    'a protocol',
    (bus) => bus.listen('a', () => {}, { protocol: 5 as never }),
    /^protocol must be the name of a protocol/,
  ],
  ['listen options', (bus) => bus.listen('a', () => {}, { protokoll: 'x' } as never), /has no option "protokoll"/],
  ['declare()', (bus) => bus.declare(undefined as never), /declare\(\) takes a topic\(\) or a name/],
  ['declare of a bad name', (bus) => bus.declare('/topic/a'), /does not begin with \//],
  ['declare options', (bus) => bus.declare('a', { stomp: 'read' } as never), /has no option "stomp"/],
  ['declare clients', (bus) => bus.declare('a', { clients: true as never }), /clients must be 'none'/],
  ['on an event', (bus) => bus.on('message' as 'gap', () => {}), /knows the events 'gap', 'state' and 'disconnect'/],
  ['on without listener', (bus) => bus.on('gap', undefined as never), /listener must be a function/],
])('[BUS-7] %s is a TypeError at the call', async (_, call, message) => {
  const { bus, unharmed } = scene();
  expect(() => call(bus)).toThrow(TypeError);
  expect(() => call(bus)).toThrow(message);
  await unharmed();
});

test.each<[unknown, RegExp]>([
  ['redis', /^backbone must be a backbone such as memoryBackbone\(\); got the string redis/],
  [null, /^backbone must be a backbone/],
  [{ publish() {} }, /^backbone must be .* has no method subscribe\(\)/],
])('[BUS-7] createBus with the backbone %o names the option', (backbone, message) => {
  expect(() => createBus({ backbone: backbone as never })).toThrow(message);
});

test('[BUS-7] createBus takes an object of options, and none that it does not know', () => {
  expect(() => createBus('redis' as never)).toThrow(/takes an object of options/);
  expect(() => createBus({ topic: [] } as never)).toThrow(/createBus\(\) has no option "topic"/);
});

test('[BUS-7] an encode that makes no bytes is refused as any other body', async () => {
  const { bus, unharmed } = scene();
  await expect(bus.publish({ ...prices, encode: () => 'text' as never }, 1)).rejects.toThrow(/must be bytes/);
  await unharmed();
});

/** Everything that comes until the subscription ends. */
async function read<T>(subscription: Subscription<T>): Promise<T[]> {
  const values: T[] = [];
  for await (const value of subscription) values.push(value);
  return values;
}

test.each([[1], ['yes'], [{}], [[]], [() => true]])(
  '[BUS-8] a filter that answers %o is a bug: told once, lets nothing through',
  async (answer) => {
    const errors: unknown[] = [];
    const bus = createBus({ onError: (error) => errors.push((error as Error).message) });
    for (const filter of [() => answer as never, async () => answer as never]) {
      const subscription = bus.subscribe(prices, { filter });
      for (let count = 0; count < 3; count++) await bus.publish(prices, count);
      await new Promise((resolve) => setTimeout(resolve, 0));
      await subscription.return();
      expect(await read(subscription)).toEqual([]);
      expect(errors.splice(0)).toEqual([
        expect.stringMatching(/^The filter of "prices" must answer true or false; got/),
      ]);
    }
  },
);

test('[BUS-8] what is false in a filter says nothing', async () => {
  const errors: unknown[] = [];
  const bus = createBus({ onError: (error) => errors.push(error) });
  for (const answer of [false, undefined, null, 0, '']) {
    const subscription = bus.subscribe(prices, { filter: () => answer as never });
    await bus.publish(prices, 1);
    await subscription.return();
    expect([await read(subscription), errors]).toEqual([[], []]);
  }
});

test('[BUS-8] an asynchronous filter is awaited, and the order stays', async () => {
  const bus = createBus();
  const waits = new Map<unknown, (pass: boolean) => void>();
  const subscription = bus.subscribe(prices, {
    filter: (value) => (value === 'fast' ? true : new Promise<boolean>((resolve) => waits.set(value, resolve))),
  });
  const seen: unknown[] = [];
  subscription[push]({
    next: (value) => seen.push(value),
    error: (error) => seen.push(error),
    complete: () => seen.push('end'),
  });
  for (const value of ['fast', 'a', 'fast', 'b', 'fast']) await bus.publish(prices, value);
  const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));
  expect([seen, [...waits.keys()]]).toEqual([['fast'], ['a']]);
  waits.get('a')?.(false);
  await turn();
  expect([seen, [...waits.keys()]]).toEqual([
    ['fast', 'fast'],
    ['a', 'b'],
  ]);
  waits.get('b')?.(true);
  await turn();
  expect(seen).toEqual(['fast', 'fast', 'b', 'fast']);
  await bus.publish(prices, 'fast');
  expect(seen).toHaveLength(5);
});

test('[BUS-8] an asynchronous filter that rejects ends that subscription with its error, and no other', async () => {
  const bus = createBus();
  const broken = bus.subscribe(prices, { filter: () => Promise.reject(new Error('database is away')) });
  const thrown = bus.subscribe(prices, {
    filter: async (value) => {
      if (value === 2) throw new Error('no');
      return true;
    },
  });
  const other = bus.subscribe(prices);
  for (const value of [1, 2, 3]) await bus.publish(prices, value);
  await expect(broken.next()).rejects.toThrow('database is away');
  expect(await thrown.next()).toEqual({ done: false, value: 1 });
  await expect(thrown.next()).rejects.toThrow('no');
  expect([(await other.next()).value, bus.stats().listeners]).toEqual([1, 1]);
});

test('[BUS-8] what waits for a filter is dropped when the subscription ends', async () => {
  const bus = createBus();
  let decide = (_pass: boolean): void => {};
  let asked = 0;
  const subscription = bus.subscribe(prices, {
    filter: () => {
      asked++;
      return new Promise<boolean>((resolve) => {
        decide = resolve;
      });
    },
  });
  for (const value of [1, 2, 3]) await bus.publish(prices, value);
  await subscription.return();
  decide(true);
  await new Promise((resolve) => setTimeout(resolve, 0));
  expect([asked, await read(subscription), bus.stats().listeners]).toEqual([1, [], 0]);
});

test('[BUS-13] what waits for an asynchronous filter is bounded by buffer', async () => {
  const bus = createBus();
  const subscription = bus.subscribe(prices, { buffer: 2, filter: () => new Promise<boolean>(() => {}) });
  for (const value of [1, 2, 3]) await bus.publish(prices, value);
  expect(bus.stats().listeners).toBe(1);
  await bus.publish(prices, 4);
  await expect(subscription.next()).rejects.toThrow('The filter of "prices" is too slow: more than 2 values wait');
  expect(bus.stats().listeners).toBe(0);
});

test('[BUS-13] what waits for a reader is bounded by buffer, and one that was left costs nothing more', async () => {
  const bus = createBus();
  const abandoned = bus.subscribe(prices, { buffer: 0 });
  await bus.publish(prices, 1);
  await expect(abandoned.next()).rejects.toThrow('more than 0 values wait');
  expect(bus.stats().listeners).toBe(0);
});

test('[BUS-9] a listener, onGap or onError that rejects is looked at: nothing is left unhandled', async () => {
  const unhandled: unknown[] = [];
  const note = (reason: unknown): void => void unhandled.push(reason);
  process.on('unhandledRejection', note);
  try {
    const errors: string[] = [];
    const bus = createBus({
      onError: async (error, _count, message) => {
        errors.push(`${(error as Error).message} ${message?.topic}`);
        throw new Error('the logger itself');
      },
    });
    const fail = (what: string) => (): Promise<never> => Promise.reject(new Error(what));
    bus.listen('prices', fail('function'));
    bus.listen('*', { receive: fail('object') });
    bus.listen(
      'prices',
      // biome-ignore lint/suspicious/noThenProperty: a thenable that is no promise is what is tested
      () => ({ then: (_: unknown, reject: (error: Error) => void) => reject(new Error('thenable')) }) as never,
    );
    let heard = 0;
    bus.listen('prices', () => heard++);
    await bus.publish(prices, 1);
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(errors.sort()).toEqual(['function prices', 'object prices', 'thenable prices']);
    expect([heard, unhandled]).toEqual([1, []]);
  } finally {
    process.off('unhandledRejection', note);
  }
});
