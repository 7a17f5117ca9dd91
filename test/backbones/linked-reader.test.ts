import { setImmediate } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { LinkedLog, LiveEntry, Past } from '../../src/backbones/linked-log.ts';
import { LinkedReader } from '../../src/backbones/linked-reader.ts';

/** A reader of the topic `a`, live from 100 on, over a log that a test fills. */
function desk({ patterns = Infinity, history = true } = {}) {
  const said: (number | string)[] = [];
  const log = new Map<string, number[]>([['a', []]]);
  const state = {
    epoch: 'e',
    last: 100,
    first: 0,
    fails: 0,
    reads: 0,
    waiting: undefined as Promise<void> | undefined,
  };
  const stored: LinkedLog = {
    publish: async () => [],
    place: async () => ({ epoch: state.epoch, offset: state.last }),
    async read(topic, after): Promise<Past> {
      state.reads++;
      await state.waiting;
      if (state.fails > 0) {
        state.fails--;
        throw new Error('away');
      }
      const offsets = (log.get(topic) ?? []).filter((offset) => offset > after);
      const entries = offsets.map((offset) => ({ topic, offset, envelope: Buffer.alloc(0) }));
      return { epoch: state.epoch, entries, complete: after >= state.first };
    },
    changes: async (after) => ({
      epoch: state.epoch,
      last: state.last,
      topics:
        after < state.first ? undefined : [...log].filter(([, all]) => all.some((o) => o > after)).map(([t]) => t),
    }),
  };
  const reader = new LinkedReader(stored, {
    isWanted: () => true,
    placeOf: () => patterns,
    deliver: ({ offset }) => said.push(offset),
    gap: (topic, from) => said.push(`gap ${topic ?? 'all'} ${from.offset}`),
    failed: async () => {},
    hasHistory: () => history,
  });
  reader.begin('a', { epoch: 'e', offset: 100 });
  const live = (offset: number, link: number, more: Partial<LiveEntry> = {}): void =>
    reader.live({ topic: 'a', offset, link, epoch: 'e', envelope: Buffer.alloc(0), ...more });
  const store = (...offsets: number[]): void => {
    log.set('a', [...(log.get('a') ?? []), ...offsets]);
    state.last = Math.max(state.last, ...offsets);
  };
  return { reader, live, said, store, state };
}

test('links that fit are delivered, and what came already is dropped', () => {
  const { live, said } = desk();
  live(110, 90);
  live(120, 110);
  live(120, 110);
  live(110, 90);
  live(130, 120);
  expect(said).toEqual([110, 120, 130]);
});

test('a link past what is here: the missing ones are read, and live ones wait behind them', async () => {
  const { live, said, store, state } = desk();
  live(110, 0);
  store(110, 120, 130, 140);
  live(140, 130);
  live(150, 140);
  expect(said).toEqual([110]);
  await setImmediate();
  expect([said, state.reads]).toEqual([[110, 120, 130, 140, 150], 1]);
});

test('what is missing and cannot be read is said, where it is missing', async () => {
  const { live, said, store, state } = desk();
  live(110, 0);
  store(130, 140);
  state.first = 115;
  live(140, 130);
  await setImmediate();
  live(150, 140);
  expect(said).toEqual([110, 'gap a 129', 130, 140, 150]);
});

test('a read that fails is tried again, and said to be lost after twenty times', async () => {
  const { live, said, store, state } = desk();
  store(110, 120);
  state.fails = 3;
  live(120, 110);
  for (let turn = 0; turn < 5; turn++) await setImmediate();
  expect(said).toEqual([110, 120]);
  state.fails = 20;
  live(140, 130);
  for (let turn = 0; turn < 25; turn++) await setImmediate();
  live(150, 140);
  expect(said).toEqual([110, 120, 'gap a 139', 140, 150]);
});

test('a link before the last message: that one is on a branch that was lost in a failover', () => {
  const { live, said } = desk();
  live(110, 100);
  live(120, 110);
  live(130, 110);
  live(140, 130);
  expect(said).toEqual([110, 120, 'gap a 129', 130, 140]);
});

test('without a past what is missing is said at once', () => {
  const { live, said } = desk({ history: false });
  live(110, 0);
  live(130, 120);
  expect(said).toEqual([110, 'gap a 129', 130]);
});

test('another epoch: everything before is lost, and it goes on from there', () => {
  const { live, said, reader } = desk();
  live(110, 0);
  live(20, 10, { epoch: 'f' });
  live(30, 20, { epoch: 'f' });
  expect([said, reader.mark]).toEqual([[110, 'gap all 19', 20, 30], { epoch: 'f', offset: 19 }]);
});

test('away and back: what changed is read, what came live meanwhile follows, and nothing twice', async () => {
  const { live, said, store, reader } = desk();
  live(110, 0);
  reader.marked({ epoch: 'e', offset: 115 });
  reader.hold();
  store(110, 120, 130);
  live(130, 120);
  live(140, 130);
  await reader.catchUp(() => true);
  expect([said, reader.mark?.offset]).toEqual([[110, 120, 130, 140], 115]);
});

test('away for too long, or back at a log that is shorter: a gap of all', async () => {
  const away = desk();
  away.reader.hold();
  away.state.first = 105;
  away.store(120);
  await away.reader.catchUp(() => true);
  const shorter = desk();
  shorter.reader.hold();
  shorter.state.last = 50;
  await shorter.reader.catchUp(() => true);
  expect([away.said, shorter.said]).toEqual([['gap all 120'], ['gap all 50']]);
});

test('a topic that patterns alone cover is heard from the mark, or from when the pattern was live', () => {
  const { reader, said } = desk({ patterns: 200 });
  const live = (offset: number, link: number): void =>
    reader.live({ topic: 'b', offset, link, epoch: 'e', envelope: Buffer.alloc(0) });
  live(210, 150);
  live(220, 210);
  expect(said).toEqual([210, 220]);
});

test('a topic whose subscribe is under way is not heard yet', () => {
  const { reader, said } = desk();
  reader.live({ topic: 'c', offset: 210, link: 0, epoch: 'e', envelope: Buffer.alloc(0) });
  expect(said).toEqual([]);
});
