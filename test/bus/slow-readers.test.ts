import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Bus, BusOptions } from '../../src/bus/bus.ts';
import { createBus } from '../../src/bus/bus.ts';
import type { Readers } from '../../src/bus/fan-out.ts';
import { backlogged } from '../../src/core/outbox.ts';
import { createFakeClock, type FakeClock } from '../support/fake-clock.ts';

let clock: FakeClock;
let bus: Bus;
const body = new Uint8Array([1]);

beforeEach(() => {
  backlogged.connections = 1;
  clock = createFakeClock();
  bus = open();
});
afterEach(() => {
  backlogged.connections = 0;
});

const open = (options: BusOptions = {}): Bus => createBus({ clock, ...options });

/** A client of a topic; `lags` may change. */
function reader(name = 'a') {
  const client = { lags: false, heard: 0, counted: 0 };
  bus.listen(name, {
    receive() {
      client.heard++;
    },
    count(readers: Readers) {
      client.counted++;
      readers.all++;
      if (client.lags) readers.lagging++;
    },
  });
  return client;
}

/** How long a publisher waits, in ms. */
async function timeOf(publish: () => Promise<unknown>): Promise<number> {
  const start = clock.now();
  let done = false;
  publish().then(() => {
    done = true;
  });
  await clock.settle();
  while (!done) {
    clock.advance(10);
    await clock.settle();
  }
  return clock.now() - start;
}

const publish = (name = 'a') => timeOf(() => bus.publish(name, body));

describe('[BUS-38] what slow readers cost publishers', () => {
  test('nobody is behind: nothing, and nobody is asked twice within 20 ms', async () => {
    const client = reader();
    expect(await publish()).toBe(0);
    expect(await publish()).toBe(0);
    expect(client.counted).toBe(1);
    clock.advance(20);
    await publish();
    expect(client.counted).toBe(2);
  });

  test('while no connection has a backlog, no reader is asked', async () => {
    backlogged.connections = 0;
    const client = reader();
    client.lags = true;
    await publish();
    expect(client.counted).toBe(0);
  });

  test('one of three is behind: 250 ms at most; the message has been handed over at once', async () => {
    const [one, two] = [reader(), reader(), reader()];
    one.lags = true;
    let stored = false;
    bus.publish('a', body).then(() => {
      stored = true;
    });
    await clock.settle();
    expect([one.heard, two.heard, stored]).toEqual([1, 1, false]);
    clock.advance(220);
    await clock.settle();
    expect(stored).toBe(false);
    clock.advance(30);
    await clock.settle();
    expect(stored).toBe(true);
  });

  test('no longer than until it has caught up', async () => {
    const [one] = [reader(), reader(), reader()];
    one.lags = true;
    const waited = publish();
    clock.advance(40);
    one.lags = false;
    expect(await waited).toBeLessThanOrEqual(70);
  });

  test('half of them are behind: nothing; they pay', async () => {
    const [one, two] = [reader(), reader(), reader(), reader()];
    one.lags = two.lags = true;
    expect(await publish()).toBe(0);
  });

  test('1 s in any 10 s, over all topics, however many are waited for', async () => {
    for (const name of ['a', 'b']) {
      const [one] = [reader(name), reader(name), reader(name)];
      one.lags = true;
    }
    const waits: { readonly at: number; readonly ms: number }[] = [];
    for (let turn = 0; turn < 300; turn++) {
      waits.push({ ms: await publish(turn % 2 ? 'a' : 'b'), at: clock.now() });
      clock.advance(100);
    }
    const within = (from: number) =>
      waits.filter(({ at, ms }) => at - ms >= from && at <= from + 10_000).reduce((sum, { ms }) => sum + ms, 0);
    const most = Math.max(...waits.map(({ at, ms }) => within(at - ms)));
    expect(most).toBeLessThanOrEqual(1_000);
    expect(most).toBeGreaterThan(700);
    expect(Math.max(...waits.map(({ ms }) => ms))).toBeLessThanOrEqual(250);
  });

  test('readers by a pattern count, the application and other topics do not', async () => {
    reader('*').lags = true;
    bus.listen('a', () => {});
    bus.listen('a', { receive() {} });
    expect(await publish()).toBe(0);
    reader('other').lags = true;
    reader();
    expect(await publish()).toBe(0);
    clock.advance(20);
    reader();
    expect(await publish()).toBeGreaterThan(200);
  });

  test('what is refused is told at once', async () => {
    const failing = { ...bus.backbone, publish: () => Promise.reject(new Error('away')), open() {} };
    bus = open({ backbone: failing });
    const [one] = [reader(), reader(), reader()];
    one.lags = true;
    await expect(bus.publish('a', body)).rejects.toThrow('away');
  });

  test('a bus that closes lets its publishers go', async () => {
    const [one] = [reader(), reader(), reader()];
    one.lags = true;
    const published = bus.publish('a', body);
    await clock.settle();
    await bus.close();
    await published;
  });

  test('slowPublishers: false switches it off; anything but true and false is refused', async () => {
    bus = open({ slowPublishers: false });
    const [one] = [reader(), reader(), reader()];
    one.lags = true;
    expect([await publish(), one.counted]).toEqual([0, 0]);
    for (const wrong of [0, 'no', null, {}, Promise.resolve(false)]) {
      expect(() => open({ slowPublishers: wrong as boolean })).toThrow(/slowPublishers must be true or false; got/);
    }
  });
});
