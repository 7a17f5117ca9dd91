import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Backbone, BackboneSink } from '../../src/bus/backbone.ts';
import { createBus } from '../../src/bus/bus.ts';
import { past } from '../../src/bus/bus-types.ts';
import { positionOf, positionText } from '../../src/bus/history.ts';
import { memoryBackbone } from '../../src/bus/memory-backbone.ts';
import { createMessage, type Message, type Position } from '../../src/bus/message.ts';
import { push, resume, type Subscription } from '../../src/bus/subscription.ts';
import { topic } from '../../src/bus/topic.ts';
import { encodeUtf8 } from '../../src/core/wire.ts';
import { createFakeClock } from '../support/fake-clock.ts';

const prices = topic<number>('prices');
const others = topic<number>('others');

/** What a reader got, with where it stood. */
class Reader {
  readonly values: number[] = [];
  last: Position | undefined;
  error: unknown;
  stop: () => void = () => {};

  async read(subscription: Subscription<number>, after: Position | undefined): Promise<boolean> {
    const { position, recovered } = (await subscription[resume]?.(after)) ?? { position: undefined, recovered: false };
    if (!recovered) this.last = position;
    this.stop = subscription[push]({
      next: (value, place) => {
        this.values.push(value);
        this.last = place;
      },
      error: (error) => {
        this.error = error;
      },
      complete() {},
    });
    return recovered;
  }
}

function scene(options: Parameters<typeof createBus>[0] = {}) {
  const clock = createFakeClock();
  const errors: unknown[] = [];
  const bus = createBus({ clock, onError: (error) => errors.push(error), ...options });
  return { clock, bus, errors };
}

describe('positions', () => {
  test.each([
    '',
    ':',
    'a',
    'a:',
    ':1',
    'a:-1',
    'a:1.5',
    'a:1e3',
    'a:01',
    'a: 1',
    `a:${'9'.repeat(17)}`,
    `${'e'.repeat(200)}:1`,
  ])('[BUS-35] "%s" is no place that anybody was at', async (text) => {
    const { bus } = scene();
    bus.position();
    await bus.publish(prices, 1);
    expect(await bus[past]?.since('prices', positionOf(text))).toBeUndefined();
  });

  test.each([undefined, null, 5, {}, [], Symbol('s')])('[BUS-35] what is no text is none either (%#)', (given) => {
    expect(positionOf(given)).toEqual({ epoch: '', offset: 0 });
  });

  test('[BUS-35] text and position are the same thing', () => {
    const position = { epoch: 'a:b', offset: 184_467 };
    expect(positionOf(positionText(position))).toEqual(position);
  });
});

describe('readers that come back', () => {
  test('[BUS-31] the missed values come first, then what came meanwhile, each once', async () => {
    const { bus } = scene();
    const reader = new Reader();
    await reader.read(bus.subscribe(prices), undefined);
    await bus.publish(prices, 1);
    reader.stop();
    await bus.publish(prices, 2);
    await bus.publish(others, 100);
    await bus.publish(prices, 3);
    const subscription = bus.subscribe(prices);
    await bus.publish(prices, 4);
    expect(await reader.read(subscription, reader.last)).toBe(true);
    await bus.publish(prices, 5);
    expect(reader.values).toEqual([1, 2, 3, 4, 5]);
  });

  test('[BUS-31] nothing is recorded before somebody wants to come back, nor long after', async () => {
    const { bus, clock } = scene();
    await bus.publish(prices, 1);
    expect(bus.stats().historyTopics).toBe(0);
    const reader = new Reader();
    await reader.read(bus.subscribe(prices), undefined);
    await bus.publish(prices, 2);
    expect(bus.stats()).toMatchObject({ historyTopics: 1, historyBytes: 512 + 256 + 1 });
    const { last } = reader;
    reader.stop();
    clock.advance(119_000);
    await bus.publish(prices, 3);
    expect(await bus[past]?.since('prices', last as Position)).toHaveLength(1);
    clock.advance(2_000);
    await bus.publish(prices, 4);
    expect(bus.stats()).toMatchObject({ historyTopics: 0, historyBytes: 0 });
    expect(await bus[past]?.since('prices', last as Position)).toBeUndefined();
  });

  test('[BUS-32] a position from before the recording, of the future, or of another epoch is not recovered', async () => {
    const { bus } = scene();
    await bus.publish(prices, 1);
    const { epoch, offset } = bus.position() as Position;
    await bus.publish(prices, 2);
    for (const after of [
      { epoch, offset: offset - 1 },
      { epoch, offset: offset + 2 },
      { epoch: 'other', offset },
      { epoch, offset: -1 },
      { epoch, offset: Number.NaN },
      { epoch, offset: 2 ** 60 },
    ]) {
      const reader = new Reader();
      expect(await reader.read(bus.subscribe(prices), after)).toBe(false);
      expect(reader.last).toEqual({ epoch, offset: offset + 1 });
      reader.stop();
    }
    expect(await new Reader().read(bus.subscribe(prices), { epoch, offset })).toBe(true);
  });

  test('[BUS-30] number, age and bytes bound the past, and what is gone is not recovered', async () => {
    const { bus, clock } = scene({ history: { maxMessages: 3, maxAge: 1_000, maxBytes: 4_000 } });
    const start = bus.position() as Position;
    const since = (offset: number) => bus[past]?.since('prices', { epoch: start.epoch, offset });
    for (const value of [1, 2, 3, 4]) await bus.publish(prices, value);
    expect(await since(0)).toBeUndefined();
    expect(await since(1)).toHaveLength(3);
    clock.advance(900);
    bus.position();
    await bus.publish(prices, 5);
    clock.advance(200);
    bus.position();
    await bus.publish(others, 1);
    expect(await since(3)).toBeUndefined();
    expect(await since(4)).toHaveLength(1);
    await bus.publish('big', new Uint8Array(10_000));
    expect(bus.stats().historyBytes).toBeLessThanOrEqual(4_000);
  });

  test('[BUS-30] ever new names cost a bounded memory, and no message of a quiet topic is forgotten in silence', async () => {
    const { bus } = scene({ history: { maxBytes: 100_000 } });
    const start = bus.position() as Position;
    await bus.publish(prices, 1);
    for (let index = 0; index < 5_000; index++) await bus.publish(`room.${index}`, encodeUtf8('{}'));
    expect(bus.stats().historyBytes).toBeLessThanOrEqual(100_000);
    // Whether it is still there is up to the turn: it is told, or it is not recovered, and never an empty past.
    const found = await bus[past]?.since('prices', start);
    expect([undefined, 1]).toContain(found?.length);
    // The first of the rooms has gone, as far as anybody can tell.
    expect(await bus[past]?.since('room.0', start)).toBeUndefined();
    const now = bus.position() as Position;
    expect(await bus[past]?.since('prices', now)).toEqual([]);
  });

  test('[BUS-31] topics and subscriptions that say so, and private names, have no past', async () => {
    const { bus } = scene();
    const secret = topic<number>('secret', { history: false });
    const nothing = { position: undefined, recovered: false };
    expect(bus.subscribe(secret)[resume]?.(undefined)).toEqual(nothing);
    expect(bus.subscribe(prices, { resume: false })[resume]?.(undefined)).toEqual(nothing);
    expect(bus.subscribe(topic<number>('$reply'))[resume]?.(undefined)).toEqual(nothing);
    const without = scene({ history: false }).bus;
    expect(without.subscribe(prices)[resume]?.(undefined)).toEqual(nothing);
    expect(without.position()).toBeUndefined();
    bus.position();
    await bus.publish('$reply', encodeUtf8('1'));
    expect(bus.stats().historyTopics).toBe(0);
  });

  test('[BUS-33] a pattern has the past of all topics that it matches, in order', async () => {
    const { bus } = scene();
    const start = bus.position() as Position;
    for (const [name, value] of [
      ['a.x', 1],
      ['b.x', 2],
      ['a.y', 3],
      ['a.x', 4],
    ] as const) {
      await bus.publish(name, encodeUtf8(String(value)));
    }
    const found = (await bus[past]?.since('a.*', start)) as readonly Message[];
    expect(found.map(({ body }) => Number(new TextDecoder().decode(body)))).toEqual([1, 3, 4]);
  });

  test('[BUS-33] the past of a pattern is the same, whatever order its topics had their messages in, and which of them are gone', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ name: fc.constantFrom('a.1', 'a.2', 'a.3', 'b.1', 'b.2'), ms: fc.nat(40) }), {
          maxLength: 60,
        }),
        fc.nat(60),
        async (steps, back) => {
          const { bus, clock } = scene({ history: { maxAge: 200, maxMessages: 8 } });
          bus[past]?.entered();
          const epoch = (bus.position() as Position).epoch;
          const all: { name: string; offset: number }[] = [];
          for (const { name, ms } of steps) {
            clock.advance(ms);
            const { offset } = (await bus.publish(name, encodeUtf8('x'))) as Position;
            all.push({ name, offset });
          }
          const offset = Math.max(0, all.length - back);
          const found = await bus[past]?.since('a.*', { epoch, offset });
          // Not recovered is always allowed; what is recovered is all of it, in order.
          if (!found) return;
          expect(found.map(({ position }) => position.offset)).toEqual(
            all.filter((each) => each.name.startsWith('a.') && each.offset > offset).map((each) => each.offset),
          );
        },
      ),
    );
  });

  test('[BUS-33] a pattern looks at the topics that had messages since, and at no more than 2,000', async () => {
    const { bus } = scene();
    const start = bus.position() as Position;
    for (let number = 0; number < 2_100; number++) await bus.publish(`room.${number}`, encodeUtf8('x'));
    expect(await bus[past]?.since('room.*', start)).toBeUndefined();
    expect(await bus[past]?.since('other.*', start)).toBeUndefined();
    const later = { ...start, offset: 200 };
    expect(await bus[past]?.since('room.*', later)).toHaveLength(1_900);
    expect(await bus[past]?.since('other.*', later)).toEqual([]);
    // Those that spoke long ago are not in the way of those that speak now.
    for (let round = 0; round < 3; round++) await bus.publish('room.7', encodeUtf8('x'));
    expect(await bus[past]?.since('room.*', { ...start, offset: 2_100 })).toHaveLength(3);
  });

  test('[BUS-31] a topic that is declared without a history has none, by whatever name it is asked for', async () => {
    const { bus } = scene({ topics: [topic('a.secret', { history: false })] });
    const start = bus.position() as Position;
    await bus.publish('a.secret', encodeUtf8('1'));
    await bus.publish('a.open', encodeUtf8('2'));
    expect(bus.stats().historyTopics).toBe(1);
    expect(await bus[past]?.since('a.secret', start)).toBeUndefined();
    expect(await bus[past]?.since('a.*', start)).toBeUndefined();
    expect(await bus[past]?.since('a.open', start)).toHaveLength(1);
  });

  test('[BUS-31] filters, slow ones too, see each missed value once', async () => {
    const { bus } = scene();
    const start = bus.position() as Position;
    for (const value of [1, 2, 3]) await bus.publish(prices, value);
    const asked: number[] = [];
    const filter = async (value: number): Promise<boolean> => {
      asked.push(value);
      await new Promise((resolve) => setTimeout(resolve, 2));
      return value % 2 === 1;
    };
    const subscription = bus.subscribe(prices, { filter });
    await bus.publish(prices, 4);
    await bus.publish(prices, 5);
    const reader = new Reader();
    expect(await reader.read(subscription, start)).toBe(true);
    await bus.publish(prices, 7);
    await expect.poll(() => reader.values, { timeout: 5_000 }).toEqual([1, 3, 5, 7]);
    // 4 was asked about when it came, and again as a part of what was missed.
    expect(asked.slice(1)).toEqual([1, 2, 3, 4, 5, 7]);
  });
});

describe('since, for the application', () => {
  test('[BUS-37] a state that was read first and the subscription meet without a hole', async () => {
    const { bus } = scene();
    const since = bus.position();
    await bus.publish(prices, 1);
    const subscription = bus.subscribe(prices, { since });
    await bus.publish(prices, 2);
    expect([(await subscription.next()).value, (await subscription.next()).value]).toEqual([1, 2]);
  });

  test('[BUS-37] what is not known any more is a gap: told to onGap, else the end', async () => {
    const { bus } = scene();
    const since = { epoch: 'other', offset: 3 };
    const gaps: string[] = [];
    const told = bus.subscribe(prices, { since, onGap: (name) => gaps.push(name) });
    await bus.publish(prices, 1);
    expect([(await told.next()).value, gaps]).toEqual([1, ['prices']]);
    await expect(bus.subscribe(prices, { since }).next()).rejects.toThrow('Messages of "prices" may have been lost');
    const { bus: without } = scene({ history: false });
    await expect(without.subscribe(prices, { since }).next()).rejects.toThrow('may have been lost');
  });

  test.each<[unknown, RegExp]>([
    [5, /since must be a position such as bus.position\(\) gives/],
    ['a:1', /since must be a position/],
    [Promise.resolve(), /since must be a position/],
  ])('[BUS-37] a position that is none throws (%#)', (since, words) => {
    const { bus } = scene();
    expect(() => bus.subscribe(prices, { since: since as Position })).toThrow(words);
  });

  test.each<[unknown, RegExp]>([
    [5, /history must be false, or an object/],
    [Promise.resolve({}), /history must be false, or an object/],
    [{ maxAge: 0 }, /history.maxAge must be a number from 1 up/],
    [{ maxAges: 5 }, /history has no option "maxAges": did you mean "maxAge"/],
  ])('[BUS-30] bounds that are none throw (%#)', (history, words) => {
    expect(() => createBus({ history: history as never })).toThrow(words);
  });
});

/** A backbone between servers, by hand: a log, and who has subscribed to what. */
function brokerBackbone(log: Message[], epoch = 'broker') {
  const calls: string[] = [];
  let sink: BackboneSink | undefined;
  const wanted = new Set<string>();
  const lost = { next: false };
  const backbone: Backbone = {
    name: 'broker',
    abilities: {
      ids: true,
      positions: true,
      patterns: 'broker',
      queues: false,
      history: true,
      maxBody: Number.POSITIVE_INFINITY,
    },
    state: 'up',
    get position() {
      return { epoch, offset: 0 };
    },
    open(opened) {
      sink = opened;
    },
    async publish(name, body) {
      const position = { epoch, offset: log.length + 1 };
      const message = createMessage({ topic: name, body, position });
      log.push(message);
      if (wanted.has(name) && !lost.next) sink?.message(message);
      return position;
    },
    async subscribe(name) {
      calls.push(`subscribe ${name}`);
      wanted.add(name);
      return { epoch, offset: log.length };
    },
    async unsubscribe(name) {
      calls.push(`unsubscribe ${name}`);
      wanted.delete(name);
    },
    async since(name, after) {
      calls.push(`since ${name} ${after.offset}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
      if (after.epoch !== epoch || after.offset > log.length) return undefined;
      return log.filter(({ topic: each, position }) => each === name && position.offset > after.offset);
    },
    async close() {},
  };
  return { backbone, calls, lost, say: (from: Position) => sink?.gap('prices', from) };
}

describe('in front of a backbone that has a past', () => {
  const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));

  test('[BUS-32] a name that was not heard is read from the log, and not taken for a quiet one', async () => {
    const { backbone, calls } = brokerBackbone([]);
    const { bus } = scene({ backbone });
    // Busy with another topic, and recording.
    await new Reader().read(bus.subscribe(others), undefined);
    await turn();
    await bus.publish(others, 1);
    for (const value of [1, 2, 3]) await bus.publish(prices, value);
    const reader = new Reader();
    expect(await reader.read(bus.subscribe(prices), { epoch: 'broker', offset: 1 })).toBe(true);
    expect(reader.values).toEqual([1, 2, 3]);
    expect(calls).toContain('since prices 1');
  });

  test('[BUS-34] a storm of readers is one read; what comes meanwhile comes behind it, once', async () => {
    const { backbone, calls } = brokerBackbone([]);
    const { bus } = scene({ backbone });
    for (const value of [1, 2, 3]) await bus.publish(prices, value);
    const readers = Array.from({ length: 50 }, () => new Reader());
    const all = Promise.all(
      readers.map((reader) => reader.read(bus.subscribe(prices), { epoch: 'broker', offset: 1 })),
    );
    await turn();
    await bus.publish(prices, 4);
    expect(new Set(await all)).toEqual(new Set([true]));
    await bus.publish(prices, 5);
    for (const { values } of readers) expect(values).toEqual([2, 3, 4, 5]);
    expect(calls.filter((call) => call.startsWith('since'))).toEqual(['since prices 1']);
  });

  test('[BUS-36] a topic is heard on after its last reader left, so that he needs no read, and let go after that', async () => {
    const { backbone, calls } = brokerBackbone([]);
    const { bus, clock } = scene({ backbone });
    const reader = new Reader();
    await reader.read(bus.subscribe(prices), undefined);
    await turn();
    await bus.publish(prices, 1);
    reader.stop();
    await bus.publish(prices, 2);
    expect(await reader.read(bus.subscribe(prices), reader.last)).toBe(true);
    expect([reader.values, calls]).toEqual([[1, 2], ['subscribe prices']]);
    reader.stop();
    clock.advance(121_000);
    expect(calls).toEqual(['subscribe prices', 'unsubscribe prices']);
    // After that it is another name that was not heard.
    const late = new Reader();
    expect(await late.read(bus.subscribe(prices), { epoch: 'broker', offset: 1 })).toBe(true);
    expect([late.values, calls.at(-1)]).toEqual([[2], 'since prices 1']);
  });

  test('[BUS-32] after a gap the log is asked, and a reader ahead of this server is not told what it has had', async () => {
    const { backbone, calls, lost, say } = brokerBackbone([]);
    const { bus } = scene({ backbone });
    const reader = new Reader();
    const subscription = bus.subscribe(prices, { onGap: () => {} });
    await reader.read(subscription, undefined);
    await turn();
    await bus.publish(prices, 1);
    lost.next = true;
    await bus.publish(prices, 2);
    lost.next = false;
    say({ epoch: 'broker', offset: 2 });
    await bus.publish(prices, 3);
    const back = new Reader();
    expect(await back.read(bus.subscribe(prices), { epoch: 'broker', offset: 1 })).toBe(true);
    expect([back.values, calls.filter((call) => call.startsWith('since'))]).toEqual([[2, 3], ['since prices 1']]);
    const ahead = new Reader();
    expect(await ahead.read(bus.subscribe(prices), { epoch: 'broker', offset: 9 })).toBe(false);
  });

  test('[BUS-33] a pattern over several topics of a broker cannot be recovered, and says so', async () => {
    const { backbone } = brokerBackbone([]);
    const { bus } = scene({ backbone });
    expect(await bus[past]?.since('prices.*', { epoch: 'broker', offset: 0 })).toBeUndefined();
  });
});

test('[BUS-31] whatever is published, cut and resumed: nothing lost, doubled or swapped, or it was said', async () => {
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.record({ do: fc.constant('publish' as const), topic: fc.nat(2) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('cut' as const), reader: fc.nat(3) }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('back' as const), reader: fc.nat(3) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 400 }) }) },
  );
  const bounds = fc.record({
    maxMessages: fc.integer({ min: 1, max: 30 }),
    maxAge: fc.integer({ min: 100, max: 1_000 }),
    maxBytes: fc.integer({ min: 2_000, max: 20_000 }),
  });
  await fc.assert(
    fc.asyncProperty(bounds, fc.array(step, { maxLength: 120 }), async (history, steps) => {
      const clock = createFakeClock();
      const bus = createBus({ clock, history, backbone: memoryBackbone({ clock }), onError: () => {} });
      const topics = [0, 1, 2].map((index) => topic<number>(`t.${index}`));
      const sent: number[][] = [[], [], []];
      // Reader r reads topic r % 3, of which it wants what is not a multiple of its number.
      const wants = (reader: number, value: number): boolean => value % (reader + 2) !== 0;
      const readers = [0, 1, 2, 3].map(() => ({ reader: new Reader(), up: false, due: 0 }));
      let count = 0;
      for (const each of steps) {
        if (each.do === 'wait') clock.advance(each.ms);
        else if (each.do === 'publish') {
          sent[each.topic]?.push(++count);
          await bus.publish(topics[each.topic] as never, count);
        } else {
          const state = readers[each.reader] as (typeof readers)[number];
          if (each.do === 'cut' && state.up) {
            state.reader.stop();
            state.up = false;
          } else if (each.do === 'back' && !state.up) {
            state.up = true;
            const filter = (value: number): boolean => wants(each.reader, value);
            const subscription = bus.subscribe(topics[each.reader % 3] as never, { filter }) as Subscription<number>;
            const recovered = await state.reader.read(subscription, state.reader.last);
            if (recovered) continue;
            // From now on only what comes is due.
            state.reader.values.length = 0;
            state.due = sent[each.reader % 3]?.length ?? 0;
          }
        }
      }
      for (const [index, { reader, up, due }] of readers.entries()) {
        const all = (sent[index % 3] as number[]).slice(due).filter((value) => wants(index, value));
        // Who is away has a beginning of it.
        expect(reader.values).toEqual(up ? all : all.slice(0, reader.values.length));
      }
      await bus.close();
    }),
    { numRuns: 300 },
  );
});
