import { describe, expect, test } from 'vitest';
import { type BusOptions, createBus } from '../../src/bus/bus.ts';
import { presence } from '../../src/bus/presence.ts';
import type { PresenceOptions } from '../../src/bus/presence-types.ts';
import { push } from '../../src/bus/subscription.ts';
import { encodeUtf8 } from '../../src/core/wire.ts';
import { createFakeClock, type FakeClock } from '../support/fake-clock.ts';
import { type SharedLog, sharedLog } from '../support/shared-backbone.ts';

const gossip = '$presence/presence';

function serverOn(log: SharedLog, clock: FakeClock, options: PresenceOptions = {}, busOptions: BusOptions = {}) {
  const backbone = log.backbone();
  const errors: string[] = [];
  const onError = (error: unknown): void => void errors.push((error as Error).message);
  const bus = createBus({ backbone, clock, onError, ...busOptions });
  const present = presence(bus, { clock, onError, ...options });
  const told: string[] = [];
  for (const event of ['join', 'leave', 'update'] as const) {
    present.on(event, (topic, { user, info }) => {
      told.push(`${event} ${topic} ${user}${info === undefined ? '' : ` ${JSON.stringify(info)}`}`);
    });
  }
  const users = (topic: string): string[] =>
    present
      .list(topic)
      .map(({ user }) => user)
      .sort();
  return { backbone, bus, present, told, errors, users };
}

function cluster(count: number, options: PresenceOptions = {}) {
  const clock = createFakeClock();
  const log = sharedLog();
  const add = (more: PresenceOptions = options, busOptions?: BusOptions) => serverOn(log, clock, more, busOptions);
  const all = Array.from({ length: count }, () => add());
  async function pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 50) {
      clock.advance(Math.min(50, left));
      await clock.settle();
    }
  }
  return {
    clock,
    log,
    all: all as [ReturnType<typeof add>, ReturnType<typeof add>, ReturnType<typeof add>],
    add,
    pass,
  };
}

test('[PRESENCE-1] all servers know who is where; a user with many connections joins once and leaves once', async () => {
  const { all, pass } = cluster(3);
  await pass(100);
  const [one, two, three] = all;
  const tracked = [
    one.present.track('room', 'ada', { name: 'Ada' }),
    two.present.track('room', 'ada', { name: 'Ada' }),
  ];
  three.present.track('room', 'bob');
  three.present.track('other', 'ada');
  await pass(500);
  for (const { present, told } of all) {
    expect(present.list('room').toSorted((a, b) => (a.user < b.user ? -1 : 1))).toEqual([
      { user: 'ada', info: { name: 'Ada' } },
      { user: 'bob', info: undefined },
    ]);
    expect(told.toSorted()).toEqual(['join other ada', 'join room ada {"name":"Ada"}', 'join room bob']);
    told.length = 0;
  }
  for (const each of tracked) each.leave();
  tracked[0]?.leave();
  await pass(9_000);
  expect(all.map(({ told }) => told)).toEqual([[], [], []]);
  await pass(2_000);
  for (const { told, users } of all) {
    expect([told, users('room')]).toEqual([['leave room ada {"name":"Ada"}'], ['bob']]);
  }
});

test('[PRESENCE-1] a page that is loaded again within the window does not flicker, on whichever server it comes back', async () => {
  const { all, pass } = cluster(2);
  await pass(100);
  const [one, two] = all;
  const first = one.present.track('room', 'ada');
  await pass(400);
  first.leave();
  await pass(5_000);
  const second = two.present.track('room', 'ada');
  await pass(20_000);
  second.leave();
  await pass(9_900);
  one.present.track('room', 'ada');
  await pass(20_000);
  expect(all.map(({ told }) => told)).toEqual([['join room ada'], ['join room ada']]);
});

test('[PRESENCE-1] other info is told everywhere, and the last that was said counts', async () => {
  const { all, pass } = cluster(2);
  await pass(100);
  const [one, two] = all;
  const tracked = one.present.track('room', 'ada', 'away');
  await pass(400);
  tracked.update('here');
  tracked.update('here');
  await pass(400);
  two.present.track('room', 'ada', 'writing');
  await pass(400);
  for (const { told } of all) {
    expect(told).toEqual(['join room ada "away"', 'update room ada "here"', 'update room ada "writing"']);
  }
  tracked.leave();
  expect(() => tracked.update('late')).toThrow('ada has left');
});

test('[PRESENCE-2] a server that starts learns who is there; one that missed something asks', async () => {
  const { all, add, pass } = cluster(2);
  const [one, two] = all;
  await pass(100);
  for (let count = 0; count < 3_000; count++) one.present.track('room', `user ${count}`, { text: 'x'.repeat(100) });
  await pass(1_000);
  const three = add();
  await pass(2_000);
  expect([two.users('room').length, three.users('room').length]).toEqual([3_000, 3_000]);
  three.backbone.away = true;
  const late = one.present.track('room', 'late');
  two.present.track('room', 'from two');
  await pass(1_000);
  late.leave();
  const stays = one.present.track('room', 'stays');
  await pass(1_000);
  three.backbone.away = false;
  await pass(3_000);
  expect(three.users('room')).toEqual(two.users('room').filter((user) => user !== 'late'));
  expect(three.users('room')).toContain('stays');
  stays.leave();
});

test('[PRESENCE-2] what is lost without a word is seen by the numbers, within one interval', async () => {
  const { log, all, pass } = cluster(2);
  const [one, two] = all;
  await pass(100);
  const write = log.write;
  one.present.track('room', 'a');
  await pass(400);
  // One message that never arrives.
  one.backbone.publish = async () => undefined;
  one.present.track('room', 'b');
  await pass(400);
  one.backbone.publish = async (topic, body) => void write(topic, body) as undefined;
  one.present.track('room', 'c');
  await pass(2_000);
  expect([two.users('room'), two.told]).toEqual([
    ['a', 'b', 'c'],
    ['join room a', 'join room b', 'join room c'],
  ]);
});

test('[PRESENCE-3] those of a server that is killed leave after 15 s; those who came back elsewhere do not flicker', async () => {
  const { all, pass } = cluster(3);
  const [one, two, three] = all;
  await pass(100);
  for (const user of ['ada', 'bob']) one.present.track('room', user);
  await pass(1_000);
  one.backbone.kill();
  one.present.close();
  await pass(3_000);
  two.present.track('room', 'bob');
  await pass(8_000);
  expect([two.users('room'), three.users('room')]).toEqual([
    ['ada', 'bob'],
    ['ada', 'bob'],
  ]);
  await pass(16_000);
  for (const { told, present } of [two, three]) {
    expect([told, present.stats().servers]).toEqual([['join room ada', 'join room bob', 'leave room ada'], 1]);
  }
});

test('[PRESENCE-3] a server that leaves says so; a closed bus ends it, and no timer is left', async () => {
  const { clock, all, pass } = cluster(2);
  const [one, two] = all;
  await pass(100);
  one.present.track('room', 'ada');
  await pass(400);
  const reader = one.present.subscribe('room');
  one.present.close();
  await one.bus.close();
  await pass(11_000);
  expect(two.told).toEqual(['join room ada', 'leave room ada']);
  expect((await reader.next()).value).toMatchObject({ type: 'state' });
  expect((await reader.next()).done).toBe(true);
  expect(() => one.present.track('room', 'x')).toThrow('it is closed');
  two.present.close();
  two.present.close();
  await pass(60_000);
  expect(clock.armed).toBe(0);
});

test('[PRESENCE-3] a bus that is closed first ends it here, and those who are here leave elsewhere after 15 s', async () => {
  const { all, pass } = cluster(2);
  const [one, two] = all;
  await pass(100);
  one.present.track('room', 'ada');
  await pass(400);
  await one.bus.close();
  expect(() => one.present.track('room', 'x')).toThrow('it is closed');
  await pass(22_000);
  expect(two.told).toEqual(['join room ada', 'leave room ada']);
});

test('[PRESENCE-3] nobody leaves because this server cannot hear', async () => {
  const { all, pass } = cluster(2);
  const [one, two] = all;
  await pass(100);
  one.present.track('room', 'ada');
  await pass(400);
  two.backbone.away = true;
  Object.assign(two.backbone, { state: 'down' });
  await pass(60_000);
  expect(two.users('room')).toEqual(['ada']);
  Object.assign(two.backbone, { state: 'up' });
  two.backbone.away = false;
  await pass(30_000);
  expect([two.users('room'), two.told]).toEqual([['ada'], ['join room ada']]);
});

test('[PRESENCE-2] nothing is sent while nothing changes but a short message per server and 5 s', async () => {
  const { log, all, pass } = cluster(3);
  await pass(100);
  for (const { present } of all) for (let count = 0; count < 1_000; count++) present.track('room', `user ${count}`);
  await pass(5_000);
  const before = log.published.length;
  await pass(60_000);
  const sent = log.published.slice(before);
  expect(sent.length).toBe(3 * 12);
  expect(Math.max(...sent.map(({ bytes }) => bytes))).toBeLessThan(60);
});

test('[PRESENCE-1] who came and went before it was told is nobody’s news', async () => {
  const { log, all, pass } = cluster(1, { window: 0 });
  await pass(100);
  const before = log.published.length;
  for (let count = 0; count < 100; count++) all[0].present.track('room', 'ada').leave();
  await pass(400);
  expect(log.published.length - before).toBeLessThanOrEqual(1);
});

describe('[PRESENCE-4] bounds', () => {
  test('of entries, of bytes and of each user, with words; others are not harmed', async () => {
    const { all, add, pass } = cluster(1, { maxEntries: 10, maxUserEntries: 3, window: 0 });
    const [one] = all;
    await pass(100);
    const own = [0, 1, 2].map((index) => one.present.track(`room.${index}`, 'ada'));
    expect(() => one.present.track('room.3', 'ada')).toThrow('more than 3 presences of one user');
    for (let index = 0; index < 7; index++) one.present.track('room', `user ${index}`);
    expect(() => one.present.track('room', 'more')).toThrow('too many presences');
    expect(one.present.stats()).toMatchObject({ entries: 10, dropped: 2 });
    for (const each of own) each.leave();
    one.present.track('room', 'more');
    const small = add({ maxBytes: 1_000 });
    await pass(2_000);
    expect(small.present.stats().bytes).toBeLessThanOrEqual(1_000);
    expect(small.present.stats().dropped).toBeGreaterThan(0);
    for (const each of own) each.leave();
    await pass(2_000);
    expect(one.present.stats()).toMatchObject({ entries: 8, topics: 1 });
  });

  test('all that was counted is given back', async () => {
    const { all, pass } = cluster(2, { window: 0 });
    const [one, two] = all;
    await pass(100);
    const tracked = Array.from({ length: 50 }, (_, index) =>
      one.present.track(`room.${index % 5}`, `user ${index}`, index),
    );
    for (const each of tracked) each.update({ longer: 'x'.repeat(100) });
    await pass(1_000);
    for (const each of tracked) each.update(undefined);
    await pass(1_000);
    for (const each of tracked) each.leave();
    await pass(2_000);
    for (const { present } of [one, two]) expect(present.stats()).toMatchObject({ entries: 0, bytes: 0, topics: 0 });
  });
});

test('[PRESENCE-5] what is wrong names itself', () => {
  const bus = createBus();
  expect(() => presence(undefined as never)).toThrow('presence() needs a bus');
  expect(() => presence(bus, { windw: 1 } as never)).toThrow('has no option "windw"');
  expect(() => presence(bus, { window: -1 })).toThrow('window must be a number from 0 up');
  expect(() => presence(bus, { interval: 0 })).toThrow('interval must be a number of ms from 10 up');
  expect(() => presence(bus, { group: 'a.b' })).toThrow('group must be letters');
  expect(() => presence(bus, { info: {} as never })).toThrow('info must be a function');
  for (const clients of ['write', 'readwrite', { stomp: 'readwrite' }] as const) {
    expect(() => presence(bus, { clients })).toThrow('clients may read who is there, and nothing else');
  }
  const present = presence(bus);
  for (const topic of [undefined, '', 'a.*', 'a\nb', 'n'.repeat(1_024)]) {
    expect(() => present.track(topic as never, 'ada')).toThrow(TypeError);
  }
  for (const user of [undefined, '', 5, 'n'.repeat(1_025)]) {
    expect(() => present.track('room', user as never)).toThrow('a user must be text');
  }
  for (const info of [Promise.resolve({ a: 1 }), () => {}, 1n, 'x'.repeat(5_000), Symbol('x')]) {
    expect(() => present.track('room', 'ada', info)).toThrow(TypeError);
  }
  expect(() => present.subscribe('a.*')).toThrow(TypeError);
  expect(present.stats()).toEqual({ entries: 0, bytes: 0, topics: 0, servers: 0, dropped: 0 });
});

test.each([
  'rubbish',
  'null',
  '{"s":5}',
  '{"s":"a","v":-1}',
  '{"s":"a","v":1,"joined":[[1,"room"]]}',
  '{"s":"a","v":1,"joined":[[1,"room",""]]}',
  '{"s":"a","v":1,"joined":[["1","room","ada"]]}',
  '{"s":"a","v":1,"joined":[[1,"room.*","ada"]]}',
  '{"s":"a","v":1,"joined":{}}',
  '{"s":"a","v":1,"gone":["1"]}',
  '{"s":"a","v":1,"gone":5}',
  '{"s":"a","v":1,"all":[[1]],"of":1e9}',
  `{"s":"${'a'.repeat(100)}","v":1}`,
])('[PRESENCE-5] what a foreign writer puts there is reported, and nobody joins: %s', async (text) => {
  const { log, all, pass } = cluster(1);
  const [one] = all;
  await pass(100);
  log.write(gossip, encodeUtf8(text));
  await pass(100);
  expect([one.errors.length, one.present.stats().entries, one.present.stats().servers]).toEqual([1, 0, 0]);
});

test('[PRESENCE-5] invented servers and parts of snapshots that never end are bounded', async () => {
  const { log, all, pass } = cluster(1);
  const [one] = all;
  await pass(100);
  for (let index = 0; index < 1_500; index++) log.write(gossip, encodeUtf8(`{"s":"${index}","v":0}`));
  await pass(100);
  expect(one.present.stats().servers).toBe(1_000);
  log.write(gossip, encodeUtf8('{"s":"1","v":5,"all":[[1,"room","ada"]],"part":1,"of":2}'));
  log.write(gossip, encodeUtf8('{"s":"1","v":5,"all":[[1,"room","ada"]],"part":0,"of":3}'));
  log.write(gossip, encodeUtf8('{"s":"1","v":5,"all":[[2,"room","bob"]],"part":2,"of":3}'));
  await pass(100);
  expect(one.users('room')).toEqual([]);
  await pass(30_000);
  expect(one.present.stats()).toMatchObject({ servers: 0, entries: 0 });
});

test('[PRESENCE-1] a subscription begins with who is there, then hears each change; a listener that throws harms nobody', async () => {
  const { all, pass } = cluster(2);
  const [one, two] = all;
  await pass(100);
  one.present.on('join', () => {
    throw new Error('bug');
  });
  one.present.track('room', 'ada', 1);
  await pass(400);
  const reader = two.present.subscribe('room');
  const pushed: unknown[] = [];
  const stop = two.present.subscribe('room')[push]({ next: (value) => pushed.push(value), error() {}, complete() {} });
  one.present.track('room', 'bob');
  one.present.track('other', 'eve');
  await pass(400);
  const expected = [
    { type: 'state', topic: 'room', present: [{ user: 'ada', info: 1 }] },
    { type: 'join', topic: 'room', user: 'bob', info: undefined },
  ];
  expect([await reader.next(), await reader.next()].map(({ value }) => value)).toEqual(expected);
  expect([pushed, one.errors.slice(0, 1)]).toEqual([expected, ['bug']]);
  stop();
  await reader.return();
});
