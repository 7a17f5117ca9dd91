import type { ISubscribePacket } from 'mqtt-packet';
import { expect, test } from 'vitest';
import { memoryBackbone } from '../../../src/bus/memory-backbone.ts';
import { encodeUtf8 } from '../../../src/core/wire.ts';
import { createMqttDesk, settled } from '../../support/mqtt-desk.ts';
import { openBus } from '../../support/open-bus.ts';

const subscribe = (topics: readonly string[], qos: 0 | 1 | 2 = 0): ISubscribePacket => ({
  ...{ cmd: 'subscribe', messageId: 1, subscriptions: topics.map((topic) => ({ topic, qos })) },
});
const publish = (topic: string, more: object = {}) =>
  ({ cmd: 'publish', topic, payload: 'x', qos: 0, dup: false, retain: false, ...more }) as never;

test('[MQTT-44] wildcards in ever new places are refused at some point, and others go on', async () => {
  const desk = createMqttDesk({ limits: { maxSubscriptions: 1_000 } });
  const peer = await desk.connect(5);
  const filters = Array.from({ length: 400 }, (_, index) =>
    ['+', ...Array.from({ length: 10 }, (_, bit) => ((index >> bit) & 1 ? '+' : 'a'))].join('/'),
  );
  const [suback] = await peer.say(subscribe(filters));
  const codes = suback?.['granted'] as number[];
  expect(codes.filter((code) => code === 0x97).length).toBe(400 - 256);
  const other = await desk.connect(5);
  expect(await other.say(subscribe(['a/+']))).toMatchObject([{ granted: [0] }]);
});

test('[MQTT-44] a SUBSCRIBE of thousands of filters asks the application about no more than can be had', async () => {
  let asked = 0;
  const desk = createMqttDesk({ authorize: () => ++asked > 0 });
  const peer = await desk.connect(5);
  await peer.say(subscribe(Array.from({ length: 10_000 }, (_, index) => `t/${index}`)));
  expect(asked).toBe(100);
  expect(desk.bus.stats().listeners).toBe(100);
  peer.lose();
  expect(desk.bus.stats().listeners).toBe(0);
});

test('[MQTT-60] a backbone that answers nothing does not let a client pile up messages', async () => {
  const slow = { ...memoryBackbone(), publish: () => new Promise<undefined>(() => {}) };
  const desk = createMqttDesk({ bus: openBus({ backbone: slow }), limits: { maxPending: 10 } });
  const peer = await desk.connect(5);
  for (let count = 0; count < 10; count++) await peer.say(publish('a'));
  expect([peer.connection.holds, peer.session.idle]).toEqual([1, false]);
});

test('[MQTT-60] it is read on once half of them are taken', async () => {
  const taken: (() => void)[] = [];
  const slow = {
    ...memoryBackbone(),
    publish: () => new Promise<undefined>((resolve) => taken.push(() => resolve(undefined))),
  };
  const desk = createMqttDesk({ bus: openBus({ backbone: slow }), limits: { maxPending: 4 } });
  const peer = await desk.connect(5);
  for (let count = 0; count < 4; count++) await peer.say(publish('a'));
  for (const each of taken.slice(0, 2)) each();
  await settled();
  expect(peer.connection.holds).toBe(0);
});

test('[MQTT-57] there are never more messages under way than packet identifiers', async () => {
  const desk = createMqttDesk({ limits: { maxInflight: Number.POSITIVE_INFINITY, maxQueued: 10 } });
  const peer = await desk.connect(5);
  peer.connection.limits = { ...peer.connection.limits, maxKept: Number.POSITIVE_INFINITY };
  await peer.say(subscribe(['a'], 1));
  for (let count = 0; count < 65_540; count++) void desk.bus.publish('a', encodeUtf8('x'));
  await settled();
  const ids = new Set(peer.heard().map(({ messageId }) => messageId));
  expect([ids.size, ids.has(0)]).toEqual([65_535, false]);
  expect(await peer.say({ cmd: 'puback', messageId: 77 })).toMatchObject([{ cmd: 'publish', messageId: 77 }]);
});

test('[MQTT-34] an application that does not decide, or fails, lets nothing through and nothing pile up', async () => {
  const answers: ((error: Error) => void)[] = [];
  const errors: unknown[] = [];
  const desk = createMqttDesk({
    limits: { maxQueued: 5 },
    onError: (error) => errors.push(error),
    authorize: ({ topic }) => (topic === '#' ? true : new Promise((_, reject) => answers.push(reject))),
  });
  const peer = await desk.connect(5);
  await peer.say(subscribe(['#']));
  for (let count = 0; count < 6; count++) await desk.bus.publish('a', encodeUtf8('x'));
  expect(peer.connection.closed?.[0]).toBe('tooSlow');
  const other = await desk.connect(5);
  await other.say(subscribe(['#']));
  await desk.bus.publish('b', encodeUtf8('x'));
  for (const reject of answers) reject(new Error('broken'));
  await settled();
  expect(other.connection.closed?.[0]).toBe('internal');
  expect(errors.length).toBeGreaterThan(0);
  expect([...peer.heard(), ...other.heard()]).toEqual([]);
});

test('[MQTT-34] what is remembered of topics has an end', async () => {
  let asked = 0;
  const desk = createMqttDesk({ limits: { maxQueued: 5 }, authorize: () => ++asked > 0 });
  const peer = await desk.connect(5);
  await peer.say(subscribe(['#']));
  for (let count = 0; count < 20; count++) await desk.bus.publish(`t/${count}`, encodeUtf8('x'));
  for (let count = 0; count < 20; count++) await desk.bus.publish('t/19', encodeUtf8('x'));
  expect(peer.heard()).toHaveLength(40);
  expect(asked).toBe(21);
});

test('[MQTT-52] wills of many that are lost at once are each published once', async () => {
  const desk = createMqttDesk();
  const listener = await desk.connect(5);
  await listener.say(subscribe(['will/+']));
  const will = { payload: Buffer.from('gone'), qos: 0, retain: false } as const;
  const peers = await Promise.all(
    Array.from({ length: 200 }, (_, index) => desk.connect(5, { will: { ...will, topic: `will/${index}` } })),
  );
  for (const peer of peers) peer.lose();
  for (const peer of peers) peer.lose();
  await settled();
  expect(new Set(listener.heard().map(({ topic }) => topic)).size).toBe(200);
  expect(desk.broker.stats().sessions).toBe(1);
});

test('[MQTT-60] what a connection may keep bounds topic aliases and subscriptions too', async () => {
  const desk = createMqttDesk({ limits: { topicAliasMaximum: 65_535, maxSubscriptions: 1_000 } });
  const peer = await desk.connect(5);
  peer.connection.limits = { ...peer.connection.limits, maxKept: 20_000 };
  for (let topicAlias = 1; topicAlias < 200 && !peer.connection.closed; topicAlias++) {
    await peer.say(publish('a'.repeat(500), { properties: { topicAlias } }));
  }
  expect(peer.connection.closed?.[0]).toBe('tooLarge');
});
