import type { Packet } from 'mqtt-packet';
import { expect, test, vi } from 'vitest';
import { ProtocolError } from '../../../src/core/fault.ts';
import { mqttBroker } from '../../../src/mqtt/index.ts';
import { createMqttDesk, MqttPeer, settled } from '../../support/mqtt-desk.ts';
import { openBus } from '../../support/open-bus.ts';

const subscribe = (topic: string, qos: 0 | 1 | 2 = 0): Packet => ({
  ...{ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic, qos }] },
});
const publish = (topic: string, more: object = {}) =>
  ({ cmd: 'publish', topic, payload: 'x', qos: 0, dup: false, retain: false, ...more }) as const;

test.each([4, 5] as const)('[MQTT-39] version %i is let in, pinged and heard', async (level) => {
  const desk = createMqttDesk();
  const peer = await desk.connect(level);
  expect(peer.connack).toMatchObject({
    cmd: 'connack',
    sessionPresent: false,
    [level === 4 ? 'returnCode' : 'reasonCode']: 0,
  });
  if (level === 5) {
    expect({ ...(peer.connack.properties as object) }).toEqual({
      receiveMaximum: 1_000,
      maximumPacketSize: 1_048_576,
      topicAliasMaximum: 16,
      sharedSubscriptionAvailable: false,
    });
  }
  expect(await peer.say({ cmd: 'pingreq' })).toMatchObject([{ cmd: 'pingresp' }]);
  expect(await peer.say(subscribe('a/+'))).toMatchObject([{ cmd: 'suback', granted: [0] }]);
  expect(await peer.say(publish('a/b'))).toMatchObject([{ cmd: 'publish', topic: 'a/b', qos: 0, retain: false }]);
  await peer.say({ cmd: 'disconnect' });
  expect(peer.connection.finished).toEqual([1000, '']);
});

test('[MQTT-30] text of a WebSocket ends the connection', async () => {
  const desk = createMqttDesk();
  const peer = await desk.connect(5);
  expect(() => peer.session.receive('c000', 0)).toThrow(ProtocolError);
  expect(desk.broker.names).toEqual(['mqtt']);
});

test('[MQTT-31] a client without a name gets one, but for a session of 3.1.1 that is to be kept', async () => {
  const desk = createMqttDesk({ anonymousSessions: true });
  const five = await desk.connect(5, { clientId: '' });
  expect(five.connack).toMatchObject({
    reasonCode: 0,
    properties: { assignedClientIdentifier: expect.stringMatching(/^auto-/) },
  });
  expect((await desk.connect(4, { clientId: '' })).connack).toMatchObject({ returnCode: 0 });
  const kept = new MqttPeer(desk.broker, desk.clock, 4, true);
  const hello = Uint8Array.from(Buffer.from('100c00044d51545404000000 0000'.replace(' ', ''), 'hex'));
  expect(await kept.say(hello)).toMatchObject([{ returnCode: 2 }]);
  expect(kept.connection.closed?.[0]).toBe('unauthorized');
  expect((await desk.connect(5, { clientId: 'x'.repeat(257) })).connack).toMatchObject({ reasonCode: 0x85 });
});

test('[MQTT-32] [MQTT-35] a session is taken over by its own principal, and by nobody else', async () => {
  const desk = createMqttDesk();
  const ann = await desk.connect(5, { clientId: 'id' }, { name: 'ann' });
  const bob = await desk.connect(5, { clientId: 'id' }, { name: 'bob' });
  expect(ann.connection.closed).toBeUndefined();
  expect(desk.broker.stats().sessions).toBe(2);
  const again = await desk.connect(4, { clientId: 'id' }, { name: 'ann' });
  expect(ann.connection.closed).toEqual(['duplicate', undefined]);
  expect([bob.connection.closed, again.connection.closed]).toEqual([undefined, undefined]);
  ann.lose();
  expect(desk.broker.stats().sessions).toBe(2);
});

test('[MQTT-36] nobody in particular has no session that outlives its connection', async () => {
  const desk = createMqttDesk();
  expect((await desk.connect(4, { clean: false })).connack).toMatchObject({ returnCode: 5 });
  const five = await desk.connect(5, { clean: false, properties: { sessionExpiryInterval: 60 } });
  expect(five.connack).toMatchObject({ reasonCode: 0, properties: { sessionExpiryInterval: 0 } });
  five.lose();
  expect(desk.broker.stats().sessions).toBe(0);
});

test('[MQTT-37] silence of one and a half times the keep-alive ends it', async () => {
  const desk = createMqttDesk();
  const peer = await desk.connect(5, { keepalive: 10 });
  peer.tick(14_999);
  expect(peer.connection.closed).toBeUndefined();
  peer.tick(15_000);
  expect(peer.connection.closed?.[0]).toBe('heartbeat');
  expect(peer.heard()).toMatchObject([{ cmd: 'disconnect', reasonCode: 0x8d }]);
});

test.each([
  [4, false, { returnCode: 5 }],
  [5, false, { reasonCode: 0x87 }],
] as const)('[MQTT-38] version %i: who is refused hears why in CONNACK', async (level, who, wanted) => {
  const desk = createMqttDesk();
  const peer = await desk.connect(level, { username: 'u', password: Buffer.from('p') }, who);
  expect(peer.connack).toMatchObject(wanted);
  expect(peer.connection.shown).toEqual([{ login: 'u', passcode: 'p', clientId: expect.any(String) }]);
  expect(desk.broker.stats().sessions).toBe(0);
});

test('[MQTT-38] another version is told which are spoken, and noise nothing', async () => {
  const desk = createMqttDesk();
  const peer = await desk.connect(4, { protocolId: 'MQIsdp', protocolVersion: 3 });
  expect(peer.connack).toMatchObject({ cmd: 'connack', returnCode: 1 });
  const noise = await desk.connect(4, { clientId: 'a' });
  expect(await noise.say(Uint8Array.of(0xc1, 0))).toEqual([]);
  expect(noise.connection.closed?.[0]).toBe('malformed');
  const five = await desk.connect(5);
  expect(await five.say(Uint8Array.of(0xc1, 0))).toMatchObject([{ cmd: 'disconnect', reasonCode: 0x81 }]);
  const silent = await desk.connect(5, { clientId: 'b', password: Buffer.from([0xff]), username: 'u' });
  expect(silent.connack).toMatchObject({ reasonCode: 0x86 });
  const method = await desk.connect(5, { properties: { authenticationMethod: 'SCRAM' } });
  expect(method.connack).toMatchObject({ reasonCode: 0x8c });
});

test('[MQTT-38] what comes late, or not at all, ends a connection', async () => {
  const desk = createMqttDesk();
  const late = await desk.connect(5);
  late.session.receive(Uint8Array.of(0x30, 9, 0), 0);
  late.tick(29_999);
  expect(late.connection.closed).toBeUndefined();
  late.tick(30_000);
  expect(late.connection.closed?.[0]).toBe('malformed');
  const asked = createMqttDesk({ authorize: () => new Promise(() => {}) });
  const waiting = await asked.connect(5);
  await waiting.say(subscribe('a'));
  expect([waiting.session.awaiting, waiting.session.idle, waiting.session.sendBy]).toEqual([true, false, 10_000]);
  waiting.tick(10_000);
  expect(waiting.connection.closed?.[0]).toBe('unavailable');
});

test('[MQTT-50] [MQTT-51] [MQTT-52] a will is judged at CONNECT, and published when its client is lost', async () => {
  const desk = createMqttDesk({ authorize: ({ topic }) => (topic.startsWith('secret') ? false : undefined) });
  const listener = await desk.connect(5);
  await listener.say(subscribe('will/#', 1));
  const will = { topic: 'will/a', payload: Buffer.from('gone'), qos: 1, retain: false } as const;
  const refused = await desk.connect(5, { will: { ...will, topic: 'secret/a' } });
  expect(refused.connack).toMatchObject({ reasonCode: 0x87 });
  const wrong = await desk.connect(5, { will: { ...will, topic: 'a/*' } });
  expect(wrong.connack).toMatchObject({ reasonCode: 0x90 });
  const polite = await desk.connect(5, { will });
  await polite.say({ cmd: 'disconnect' });
  polite.lose();
  await settled();
  expect(listener.heard()).toEqual([]);
  const wished = await desk.connect(5, { will });
  await wished.say({ cmd: 'disconnect', reasonCode: 4 });
  wished.lose();
  const lost = await desk.connect(4, { will });
  lost.lose();
  await settled();
  expect(listener.heard()).toMatchObject([{ topic: 'will/a', qos: 1 }, { topic: 'will/a' }]);
});

test('[MQTT-52] a will that waits is not published if its client is back, and is when the session ends', async () => {
  const desk = createMqttDesk();
  const ann = { name: 'ann' };
  const listener = await desk.connect(5);
  await listener.say(subscribe('will/#'));
  const hello = {
    clientId: 'a',
    clean: false,
    properties: { sessionExpiryInterval: 100 },
    will: {
      topic: 'will/a',
      payload: Buffer.from('gone'),
      qos: 0,
      retain: false,
      properties: { willDelayInterval: 10 },
    },
  } as const;
  (await desk.connect(5, hello, ann)).lose();
  desk.clock.advance(9_000);
  const back = await desk.connect(5, hello, ann);
  expect(back.connack).toMatchObject({ sessionPresent: true });
  desk.clock.advance(60_000);
  await settled();
  expect(listener.heard()).toEqual([]);
  back.lose();
  desk.clock.advance(11_000);
  await settled();
  expect(listener.heard()).toHaveLength(1);
  const short = { ...hello, properties: { sessionExpiryInterval: 5 } };
  (await desk.connect(5, short, ann)).lose();
  desk.clock.advance(6_000);
  await settled();
  expect(listener.heard()).toHaveLength(1);
  expect(desk.broker.stats()).toMatchObject({ sessions: 1, sessionsAway: 0, sessionBytes: 0 });
});

test('[MQTT-38] a server that leaves says so', async () => {
  const desk = createMqttDesk();
  const [four, five] = [await desk.connect(4), await desk.connect(5)];
  for (const peer of [four, five]) {
    peer.session.drain(0);
    expect(peer.session.idle).toBe(true);
    peer.session.fail(new ProtocolError('goingAway', 'the server is going away'));
  }
  expect(four.heard()).toEqual([]);
  expect(five.heard()).toMatchObject([
    { cmd: 'disconnect', reasonCode: 0x8b, properties: { reasonString: 'the server is going away' } },
  ]);
});

test('AUTH is refused, and a session that was to end with its connection cannot be kept by DISCONNECT', async () => {
  const desk = createMqttDesk();
  const peer = await desk.connect(5, {}, { name: 'ann' });
  await peer.say({ cmd: 'disconnect', properties: { sessionExpiryInterval: 5 } });
  expect(peer.connection.closed?.[0]).toBe('malformed');
  const auth = await desk.connect(5);
  expect(await auth.say(Uint8Array.of(0xf0, 0))).toMatchObject([{ cmd: 'disconnect', reasonCode: 0x82 }]);
});

test.each([
  [{}, 'mqttBroker() needs a bus'],
  [{ bus: openBus(), authorise: () => true }, 'did you mean "authorize"'],
  [{ bus: openBus(), authorize: true }, 'authorize must be a function'],
  [{ bus: openBus(), anonymousSessions: 1 }, 'anonymousSessions must be true or false'],
  [{ bus: openBus(), limits: { maxPacket: 0 } }, 'limits.maxPacket must be a number above 0'],
  [undefined, 'mqttBroker() needs a bus'],
])('%o is a TypeError', (options, words) => {
  expect(() => mqttBroker(options as never)).toThrow(words);
});

test('the server lets go of sessions and of what is retained', async () => {
  const onError = vi.fn();
  const desk = createMqttDesk({ onError });
  const peer = await desk.connect(5);
  await peer.say(publish('a', { retain: true }));
  expect(desk.broker.stats()).toMatchObject({ retained: 1, sessions: 1 });
  desk.broker.dispose?.();
  expect(desk.broker.stats()).toMatchObject({ retained: 0, sessions: 0, retainedBytes: 0 });
  expect(onError).not.toHaveBeenCalled();
});
