import type { ISubscribePacket } from 'mqtt-packet';
import { describe, expect, test } from 'vitest';
import { createBus } from '../../../src/bus/bus.ts';
import { memoryBackbone } from '../../../src/bus/memory-backbone.ts';
import { encodeUtf8 } from '../../../src/core/wire.ts';
import { type AnyPacket, createMqttDesk, settled } from '../../support/mqtt-desk.ts';
import { openBus } from '../../support/open-bus.ts';

const ann = { name: 'ann' };
const kept = { clean: false, properties: { sessionExpiryInterval: 600 } } as const;

const subscribe = (topic: string, qos: 0 | 1 | 2 = 0, more: object = {}): ISubscribePacket => ({
  ...{ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic, qos, ...more }] },
});
const publish = (topic: string, more: object = {}) =>
  ({ cmd: 'publish', topic, payload: 'x', qos: 0, dup: false, retain: false, ...more }) as never;
const ofKind = (packets: readonly AnyPacket[], cmd: string): AnyPacket[] => packets.filter((each) => each.cmd === cmd);

describe('who may', () => {
  test('[MQTT-33] the bus decides where authorize says nothing, and $ is closed whatever it says', async () => {
    const bus = createBus({ open: { 'open.**': 'readwrite', 'half/a': { mqtt: 'read', stomp: 'readwrite' } } });
    const desk = createMqttDesk({
      bus,
      authorize: ({ topic }) => (topic === 'mine' || topic[0] === '$' ? true : undefined),
    });
    const peer = await desk.connect(5);
    const codes = async (topic: string) => (await peer.say(subscribe(topic)))[0]?.['granted'];
    expect(await codes('open/a')).toEqual([0]);
    expect(await codes('half/a')).toEqual([0]);
    expect(await codes('closed')).toEqual([0x87]);
    expect(await codes('mine')).toEqual([0]);
    expect(await codes('$SYS/a')).toEqual([0x87]);
    expect(await codes('$SYS/#')).toEqual([0x87]);
    const write = async (topic: string) =>
      ofKind(await peer.say(publish(topic, { qos: 1, messageId: 7 })), 'puback')[0];
    expect(await write('open/a')).toMatchObject({ reasonCode: 0 });
    expect(await write('mine')).toMatchObject({ reasonCode: 0 });
    expect(await write('half/a')).toMatchObject({ reasonCode: 0x87 });
    expect(await write('$bus/x')).toMatchObject({ reasonCode: 0x87 });
  });

  test.each([Promise.resolve(1), 'yes', 1, {}, new Error('no'), null, Promise.resolve(undefined)])(
    '[MQTT-33] an answer of %o is not true',
    async (answer) => {
      const desk = createMqttDesk({ bus: createBus(), authorize: () => answer as never });
      const peer = await desk.connect(5);
      expect(await peer.say(subscribe('a'))).toMatchObject([{ granted: [0x87] }]);
    },
  );

  test('[MQTT-33] a hook that throws or rejects ends the connection', async () => {
    for (const authorize of [
      async () => Promise.reject(new Error('broken')),
      () => {
        throw new Error('broken');
      },
    ]) {
      const desk = createMqttDesk({ authorize });
      for (const packet of [subscribe('a'), publish('a'), subscribe('#')]) {
        const peer = await desk.connect(5);
        await peer.say(packet);
        expect(peer.connection.closed?.[0]).toBe('internal');
      }
    }
  });

  test('[MQTT-34] a wildcard hears what the bus lets it read, at the moment of delivery', async () => {
    const bus = createBus({ open: { 'open.**': 'readwrite' } });
    const desk = createMqttDesk({ bus });
    const peer = await desk.connect(5);
    expect(await peer.say(subscribe('#'))).toMatchObject([{ granted: [0] }]);
    await bus.publish('open/a', encodeUtf8('1'));
    await bus.publish('closed/a', encodeUtf8('2'));
    await bus.publish('$user/ann/a', encodeUtf8('3'));
    bus.declare('closed/b', { clients: 'read' });
    await bus.publish('closed/b', encodeUtf8('4'));
    expect(peer.heard().map(({ topic }) => topic)).toEqual(['open/a', 'closed/b']);
  });

  test('[MQTT-34] where there is authorize it is asked about each topic that a wildcard is about to see', async () => {
    const asked: string[] = [];
    const bus = createBus({ open: { 'open.**': 'readwrite' } });
    const desk = createMqttDesk({
      bus,
      authorize({ topic }) {
        asked.push(topic);
        if (topic === 'secret/a') return false;
        if (topic === 'late/a') return Promise.resolve(true);
        return topic === 'given/a' || topic === '#' ? true : undefined;
      },
    });
    const peer = await desk.connect(4);
    await peer.say(subscribe('#'));
    for (const topic of ['open/a', 'secret/a', 'given/a', 'closed/a', 'late/a', 'late/a', 'given/a']) {
      await bus.publish(topic, encodeUtf8(topic));
    }
    await settled();
    expect(peer.heard().map(({ topic }) => topic)).toEqual(['open/a', 'given/a', 'late/a', 'late/a', 'given/a']);
    expect(asked).toEqual(['#', 'open/a', 'secret/a', 'given/a', 'closed/a', 'late/a']);
  });

  test('[MQTT-44] what cannot be had is refused filter by filter', async () => {
    const desk = createMqttDesk({ limits: { maxSubscriptions: 2 } });
    const peer = await desk.connect(5);
    const codes = async (topics: readonly string[]) => {
      const subscriptions = topics.map((topic) => ({ topic, qos: 1 as const }));
      return (await peer.say({ cmd: 'subscribe', messageId: 9, subscriptions }))[0]?.['granted'];
    };
    expect(await codes(['a', 'b+'])).toEqual([1, 0x8f]);
    expect(await codes(['$share/g/a', 'x/*'])).toEqual([0x9e, 0x8f]);
    expect(await codes(['b', 'c'])).toEqual([1, 0x97]);
    expect(await codes(['a', 'd', 'a'])).toEqual([1, 0x97, 0x97]);
    const old = await desk.connect(4);
    expect(await old.say(subscribe('$share/g/a'))).toMatchObject([{ granted: [0x80] }]);
  });

  test('[MQTT-41] names that the bus cannot have are refused', async () => {
    const desk = createMqttDesk();
    const peer = await desk.connect(5);
    const bad = ['a'.repeat(1_025), 'a/'.repeat(33), 'a/*', '**', 'a\u0001'];
    for (const topic of bad) {
      expect(await peer.say(subscribe(topic))).toMatchObject([{ granted: [0x8f] }]);
      expect(await peer.say(publish(topic, { qos: 1, messageId: 1 }))).toMatchObject([{ reasonCode: 0x90 }]);
    }
    expect(await peer.say(publish('a/*'))).toEqual([]);
    expect(desk.broker.stats().refused).toBe(1);
    expect(await peer.say(publish('a/*x', { qos: 1, messageId: 1 }))).toMatchObject([{ reasonCode: 0 }]);
  });

  test('[MQTT-53] 3.1.1 is not lied to', async () => {
    const desk = createMqttDesk({ bus: createBus() });
    const peer = await desk.connect(4);
    await peer.say(publish('a'));
    expect([peer.connection.closed, desk.broker.stats().refused]).toEqual([undefined, 1]);
    await peer.say(publish('a', { qos: 1, messageId: 1 }));
    expect(peer.connection.closed?.[0]).toBe('forbidden');
  });
});

describe('topics', () => {
  test('[MQTT-40] levels are cut at / alone, and a wildcard is exact', async () => {
    const desk = createMqttDesk();
    const peer = await desk.connect(5);
    for (const filter of ['+/x', 'a/+/c', 'deep/#']) await peer.say(subscribe(filter));
    const heard = async (topic: string): Promise<number> => {
      await desk.bus.publish(topic, encodeUtf8(''));
      return peer.heard().length;
    };
    expect(await heard('v1.2/x')).toBe(1);
    expect(await heard('v/y/x')).toBe(0);
    expect(await heard('a/b.b/c')).toBe(1);
    expect(await heard('a.b/c')).toBe(0);
    expect(await heard('a/b/c/d')).toBe(0);
    expect(await heard('deep')).toBe(1);
    expect(await heard('deep.x')).toBe(0);
    await peer.say({ cmd: 'unsubscribe', messageId: 1, unsubscriptions: ['+/x', 'deep/#', 'a/+/c'] });
    expect(await heard('v1.2/x')).toBe(0);
    expect(desk.bus.stats().listeners).toBe(0);
  });

  test('[MQTT-45] the same filter again is one subscription', async () => {
    const desk = createMqttDesk();
    const peer = await desk.connect(5);
    await peer.say(subscribe('a', 0));
    const before = peer.connection.charged;
    await peer.say(subscribe('a', 1));
    expect(peer.connection.charged).toBe(before);
    await desk.bus.publish('a', encodeUtf8('x'));
    expect(peer.heard()).toMatchObject([{ cmd: 'publish', qos: 1 }]);
    const gone = await peer.say({ cmd: 'unsubscribe', messageId: 2, unsubscriptions: ['a', 'b'] });
    expect(gone).toMatchObject([{ cmd: 'unsuback', granted: [0, 0x11] }]);
  });

  test('[MQTT-42] user properties and the content type cross the bus, and nobody forges ours', async () => {
    const desk = createMqttDesk();
    const heard: object[] = [];
    desk.bus.listen(
      'a',
      ({ headers, contentType }) => void heard.push({ ...Object.fromEntries(headers), contentType }),
    );
    const peer = await desk.connect(5);
    await peer.say(subscribe('a', 1));
    const properties = {
      ...{ contentType: 'text/plain', responseTopic: 'answers', correlationData: Buffer.from([1, 255]) },
      ...{ payloadFormatIndicator: true, userProperties: { colour: 'red', 'mqtt-retain': '1' } },
    };
    const [got] = ofKind(await peer.say(publish('a', { qos: 1, messageId: 1, properties })), 'publish');
    expect({ ...(got?.['properties'] as object) }).toEqual({ ...properties, userProperties: { colour: 'red' } });
    expect(heard).toEqual([
      {
        ...{ colour: 'red', 'mqtt-qos': '1', 'mqtt-response-topic': 'answers', 'mqtt-correlation-data': 'Af8=' },
        ...{ 'mqtt-payload-format': '1', contentType: 'text/plain' },
      },
    ]);
    await desk.bus.publish('a', encodeUtf8('x'), { headers: { 'mqtt-correlation-data': '*', size: 3 } });
    expect(peer.heard()).toMatchObject([{ qos: 1, properties: { userProperties: { size: '3' } } }]);
  });

  test('[MQTT-46] no-local, retain as published, and subscription identifiers', async () => {
    const desk = createMqttDesk();
    const peer = await desk.connect(5);
    const properties = { subscriptionIdentifier: 321 };
    await peer.say({ ...subscribe('a/#', 1, { nl: true, rap: true }), properties });
    expect(ofKind(await peer.say(publish('a/b', { retain: true })), 'publish')).toEqual([]);
    const other = await desk.connect(5);
    await other.say(publish('a/c', { retain: true, qos: 1, messageId: 1 }));
    await other.say(publish('a/c'));
    expect(peer.heard()).toMatchObject([
      { topic: 'a/c', retain: true, qos: 1, properties },
      { topic: 'a/c', retain: false, qos: 0, properties },
    ]);
  });

  test('[MQTT-43] SUBACK waits for the backbone, and says if it does not deliver', async () => {
    const backbone = memoryBackbone();
    let live: (() => void) | undefined;
    const slow = {
      ...backbone,
      name: 'slow',
      subscribe: (name: string) =>
        name === 'bad'
          ? Promise.reject(new Error('away'))
          : new Promise<undefined>((resolve) => {
              live = () => resolve(undefined);
            }),
    };
    const desk = createMqttDesk({ bus: openBus({ backbone: slow, onError: () => {} }) });
    const peer = await desk.connect(5);
    expect(await peer.say(subscribe('a'))).toEqual([]);
    live?.();
    await settled();
    expect(peer.heard()).toMatchObject([{ cmd: 'suback', granted: [0] }]);
    expect(await peer.say(subscribe('bad'))).toMatchObject([{ granted: [0x80] }]);
    expect(peer.connack).toMatchObject({ properties: { retainAvailable: false } });
  });

  test('[MQTT-58] topic aliases stand for topics of this connection', async () => {
    const desk = createMqttDesk();
    const peer = await desk.connect(5);
    await peer.say(subscribe('a'));
    const alias = (topicAlias: number) => ({ properties: { topicAlias } });
    expect(ofKind(await peer.say(publish('a', alias(1))), 'publish')).toHaveLength(1);
    expect(ofKind(await peer.say(publish('', alias(1))), 'publish')).toMatchObject([{ topic: 'a' }]);
    await peer.say(publish('b', alias(1)));
    expect(await peer.say(publish('', alias(1)))).toEqual([]);
    for (const [topic, number, reason] of [
      ['a', 17, 0x94],
      ['', 2, 0x82],
      ['a', 0, 0x94],
    ] as const) {
      const bad = await desk.connect(5);
      // mqtt-packet writes no alias of 0.
      const bytes = Uint8Array.from([
        0x30,
        6 + topic.length,
        0,
        topic.length,
        ...Buffer.from(topic),
        3,
        0x23,
        0,
        number,
      ]);
      expect(await bad.say(bytes)).toMatchObject([{ cmd: 'disconnect', reasonCode: reason }]);
    }
    const empty = await desk.connect(4);
    await empty.say(Uint8Array.of(0x30, 2, 0, 0));
    expect(empty.connection.closed?.[0]).toBe('malformed');
  });
});

describe('QoS 1 and 2', () => {
  test('[MQTT-54] acknowledgements leave in order, once the backbone has the messages', async () => {
    const backbone = memoryBackbone();
    const waiting: (() => void)[] = [];
    const slow = {
      ...backbone,
      publish: (topic: string) =>
        topic === 'bad'
          ? Promise.reject(new Error('full'))
          : new Promise<undefined>((resolve) => waiting.push(() => resolve(undefined))),
    };
    const desk = createMqttDesk({ bus: openBus({ backbone: slow, onError: () => {} }) });
    const peer = await desk.connect(5);
    for (const messageId of [1, 2, 3]) await peer.say(publish('a', { qos: messageId === 2 ? 2 : 1, messageId }));
    expect(peer.session.idle).toBe(false);
    waiting[2]?.();
    waiting[1]?.();
    await settled();
    expect(peer.heard()).toEqual([]);
    waiting[0]?.();
    await settled();
    expect(peer.heard()).toMatchObject([
      { cmd: 'puback', messageId: 1 },
      { cmd: 'pubrec', messageId: 2 },
      { cmd: 'puback', messageId: 3 },
    ]);
    expect(peer.session.idle).toBe(true);
    expect(await peer.say(publish('bad', { qos: 2, messageId: 9 }))).toMatchObject([
      { cmd: 'pubrec', reasonCode: 0x80 },
    ]);
    await peer.say(publish('bad'));
    expect(desk.broker.stats().lost).toBe(1);
    const old = await desk.connect(4);
    await old.say(publish('bad', { qos: 1, messageId: 9 }));
    expect(old.connection.closed?.[0]).toBe('unavailable');
  });

  test('[MQTT-55] a QoS 2 message is published once until its PUBREL', async () => {
    const desk = createMqttDesk();
    const peer = await desk.connect(5);
    const before = peer.connection.charged;
    let published = 0;
    desk.bus.listen('a', () => void published++);
    const message = publish('a', { qos: 2, messageId: 5 });
    expect(await peer.say(message)).toMatchObject([{ cmd: 'pubrec', messageId: 5, reasonCode: 0 }]);
    expect(await peer.say(message)).toMatchObject([{ cmd: 'pubrec', messageId: 5 }]);
    expect(published).toBe(1);
    expect(await peer.say({ cmd: 'pubrel', messageId: 5 })).toMatchObject([{ cmd: 'pubcomp', reasonCode: 0 }]);
    expect(await peer.say({ cmd: 'pubrel', messageId: 5 })).toMatchObject([{ cmd: 'pubcomp', reasonCode: 0x92 }]);
    await peer.say(message);
    expect(published).toBe(2);
    await peer.say({ cmd: 'pubrel', messageId: 5 });
    expect(peer.connection.charged).toBe(before);
  });

  test('[MQTT-55] a QoS 2 message whose client was lost before the application had answered is no double later', async () => {
    let answer: ((allowed: boolean) => void) | undefined;
    const desk = createMqttDesk({
      authorize: () =>
        new Promise((resolve) => {
          answer = resolve;
        }),
    });
    let published = 0;
    desk.bus.listen('a', () => void published++);
    const peer = await desk.connect(5, { ...kept, clientId: 'a' }, ann);
    await peer.say(publish('a', { qos: 2, messageId: 5 }));
    peer.lose();
    const back = await desk.connect(5, { ...kept, clientId: 'a' }, ann);
    await back.say(publish('a', { qos: 2, messageId: 5, dup: true }));
    answer?.(true);
    await settled();
    expect([published, back.heard()]).toMatchObject([1, [{ cmd: 'pubrec', messageId: 5, reasonCode: 0 }]]);
  });

  test('[MQTT-57] flow control goes both ways', async () => {
    const desk = createMqttDesk({ limits: { receiveMaximum: 2 } });
    const peer = await desk.connect(5, { properties: { receiveMaximum: 2 } });
    await peer.say(subscribe('a', 2));
    for (let count = 0; count < 4; count++) await desk.bus.publish('a', encodeUtf8(`${count}`));
    const first = peer.heard();
    expect(first.map(({ messageId }) => messageId)).toEqual([1, 2]);
    expect(await peer.say({ cmd: 'pubrec', messageId: 1 })).toMatchObject([{ cmd: 'pubrel', messageId: 1 }]);
    expect(await peer.say({ cmd: 'pubcomp', messageId: 1 })).toMatchObject([{ cmd: 'publish', messageId: 3 }]);
    expect(await peer.say({ cmd: 'pubrec', messageId: 2, reasonCode: 0x87 })).toMatchObject([{ messageId: 4 }]);
    expect(await peer.say({ cmd: 'pubrec', messageId: 99 })).toMatchObject([{ cmd: 'pubrel', reasonCode: 0x92 }]);
    for (const messageId of [11, 12]) await peer.say(publish('b', { qos: 2, messageId }));
    const [last] = await peer.say(publish('b', { qos: 2, messageId: 13 }));
    expect(last).toMatchObject({ cmd: 'disconnect', reasonCode: 0x93 });
  });

  test('[MQTT-61] [MQTT-62] [MQTT-56] a session goes on where it was', async () => {
    const desk = createMqttDesk();
    const peer = await desk.connect(5, { ...kept, clientId: 'a' }, ann);
    await peer.say(subscribe('a', 2));
    for (let count = 0; count < 3; count++) await desk.bus.publish('a', encodeUtf8(`${count}`));
    peer.heard();
    await peer.say({ cmd: 'pubrec', messageId: 2 });
    peer.lose();
    await desk.bus.publish('a', encodeUtf8('away'));
    expect(desk.broker.stats()).toMatchObject({ sessionsAway: 1 });
    expect(desk.broker.stats().sessionBytes).toBeGreaterThan(0);
    const back = await desk.connect(4, { clean: false, clientId: 'a' }, ann);
    expect(back.connack).toMatchObject({ sessionPresent: true });
    expect(back.welcome).toMatchObject([
      { cmd: 'publish', messageId: 1, dup: true },
      { cmd: 'pubrel', messageId: 2 },
      { cmd: 'publish', messageId: 3, dup: true },
      { cmd: 'publish', messageId: 4, dup: false },
    ]);
    expect(String(back.welcome[3]?.['payload'])).toBe('away');
    expect(desk.broker.stats()).toMatchObject({ sessionsAway: 0, sessionBytes: 0 });
  });

  test('[MQTT-62] what was not acknowledged comes again with DUP, then what waited', async () => {
    const desk = createMqttDesk();
    const peer = await desk.connect(5, { ...kept, clientId: 'a' }, ann);
    await peer.say(subscribe('a', 2));
    for (let count = 0; count < 3; count++) await desk.bus.publish('a', encodeUtf8(`${count}`));
    await peer.say({ cmd: 'pubrec', messageId: 2 });
    peer.lose();
    await desk.bus.publish('a', encodeUtf8('away'));
    const back = await desk.connect(5, { clean: false, clientId: 'a', properties: { receiveMaximum: 2 } }, ann);
    const told = (packets: readonly AnyPacket[]) =>
      packets.map(({ cmd, messageId, dup }) => [cmd, messageId, dup === true]);
    expect(told(back.welcome)).toEqual([
      ['publish', 1, true],
      ['pubrel', 2, false],
    ]);
    expect(told(await back.say({ cmd: 'pubcomp', messageId: 2 }))).toEqual([['publish', 3, true]]);
    await back.say({ cmd: 'pubrec', messageId: 1 });
    expect(told(await back.say({ cmd: 'pubcomp', messageId: 1 }))).toEqual([['publish', 4, false]]);
  });

  test('[MQTT-61] a session expires, and a clean start forgets it', async () => {
    const desk = createMqttDesk({ limits: { maxSessionExpiry: 5_000 } });
    const peer = await desk.connect(5, { ...kept, clientId: 'a' }, ann);
    expect(peer.connack).toMatchObject({ properties: { sessionExpiryInterval: 5 } });
    await peer.say(subscribe('a', 1));
    peer.lose();
    const back = await desk.connect(5, { clientId: 'a', clean: true, properties: { sessionExpiryInterval: 600 } }, ann);
    expect(back.connack).toMatchObject({ sessionPresent: false });
    expect(desk.bus.stats().listeners).toBe(0);
    await back.say(subscribe('a', 1));
    back.lose();
    desk.clock.advance(6_000);
    expect(desk.broker.stats()).toMatchObject({ sessions: 0, sessionBytes: 0, sessionsForgotten: 0 });
    expect(desk.bus.stats().listeners).toBe(0);
  });

  test('[MQTT-64] what is too large for a client is not sent', async () => {
    const desk = createMqttDesk();
    const peer = await desk.connect(5, { properties: { maximumPacketSize: 60 } });
    for (const [topic, qos] of [
      ['a', 0],
      ['b', 1],
    ] as const)
      await peer.say(subscribe(topic, qos));
    for (const topic of ['a', 'b']) {
      await desk.bus.publish(topic, encodeUtf8('x'.repeat(100)));
      await desk.bus.publish(topic, encodeUtf8('small'));
    }
    expect(peer.heard().map(({ payload }) => String(payload))).toEqual(['small', 'small']);
  });

  test('[MQTT-65] what has waited too long is dropped, and the rest says how much is left', async () => {
    const desk = createMqttDesk();
    const peer = await desk.connect(5, { properties: { receiveMaximum: 1 } });
    await peer.say(subscribe('a', 1));
    const sender = await desk.connect(5);
    for (const messageExpiryInterval of [100, 5, 100]) {
      await sender.say(publish('a', { qos: 1, messageId: 1, properties: { messageExpiryInterval } }));
    }
    expect(peer.heard()).toMatchObject([{ properties: { messageExpiryInterval: 100 } }]);
    desk.clock.advance(10_000);
    expect(await peer.say({ cmd: 'puback', messageId: 1 })).toMatchObject([
      { properties: { messageExpiryInterval: 90 } },
    ]);
  });
});

describe('[MQTT-60] what is kept has an end', () => {
  test('[MQTT-60] a client that does not acknowledge is cut, and its session is there when it comes back', async () => {
    const desk = createMqttDesk({ limits: { maxInflight: 2, maxQueued: 3 } });
    const peer = await desk.connect(5, { ...kept, clientId: 'a' }, ann);
    await peer.say(subscribe('a', 1));
    for (let count = 0; count < 5; count++) await desk.bus.publish('a', encodeUtf8('x'));
    expect(peer.connection.closed).toBeUndefined();
    await desk.bus.publish('a', encodeUtf8('x'));
    expect(peer.connection.closed?.[0]).toBe('tooSlow');
    peer.lose();
    expect(desk.broker.stats().sessions).toBe(1);
    await desk.bus.publish('a', encodeUtf8('x'));
    expect(desk.broker.stats()).toMatchObject({ sessions: 0, sessionsForgotten: 1, sessionBytes: 0 });
  });

  test('[MQTT-60] a principal has so many sessions and bytes, and so have all', async () => {
    const desk = createMqttDesk({ limits: { maxUserSessions: 2, maxSessions: 3, maxUserSessionBytes: 5_000 } });
    const leave = async (clientId: string, who: { name: string }): Promise<void> => {
      const peer = await desk.connect(5, { ...kept, clientId }, who);
      await peer.say(subscribe('a', 1));
      peer.lose();
    };
    for (const id of ['1', '2', '3']) await leave(id, ann);
    expect(desk.broker.stats()).toMatchObject({ sessionsAway: 2, sessionsForgotten: 1 });
    for (const id of ['1', '2']) await leave(id, { name: 'bob' });
    expect(desk.broker.stats()).toMatchObject({ sessionsAway: 3, sessionsForgotten: 2 });
    await desk.bus.publish('a', encodeUtf8('x'.repeat(3_000)));
    expect(desk.broker.stats().sessionsAway).toBeLessThan(3);
    expect(desk.broker.stats().sessionBytes).toBeLessThan(10_001);
  });

  test('[MQTT-60] a reader that is behind gets no more until it reads', async () => {
    const desk = createMqttDesk();
    const peer = await desk.connect(5);
    await peer.say(subscribe('a', 1));
    peer.connection.saturated = true;
    await desk.bus.publish('a', encodeUtf8('x'));
    expect(peer.heard()).toEqual([]);
    peer.connection.saturated = false;
    peer.session.drained(0);
    expect(peer.heard()).toHaveLength(1);
  });

  test('[MQTT-60] what a session costs is counted, and let go of', async () => {
    const desk = createMqttDesk();
    const peer = await desk.connect(5);
    const before = peer.connection.charged;
    await peer.say(subscribe('a', 2));
    const subscribed = peer.connection.charged;
    expect(subscribed).toBeGreaterThan(before + 300);
    await desk.bus.publish('a', encodeUtf8('x'.repeat(500)));
    expect(peer.connection.charged).toBeGreaterThan(subscribed + 500);
    await peer.say({ cmd: 'pubrec', messageId: 1 });
    expect(peer.connection.charged).toBeLessThan(subscribed + 200);
    await peer.say({ cmd: 'pubcomp', messageId: 1 });
    expect(peer.connection.charged).toBe(subscribed);
    await peer.say({ cmd: 'unsubscribe', messageId: 2, unsubscriptions: ['a'] });
    expect(peer.connection.charged).toBe(before);
  });
});

describe('retained messages', () => {
  test('[MQTT-70] [MQTT-71] the last one is kept, sent behind SUBACK, and taken away by an empty one', async () => {
    const bus = createBus({ open: { 'r.**': 'readwrite' } });
    const desk = createMqttDesk({ bus });
    const sender = await desk.connect(5);
    for (const payload of ['old', 'new'])
      await sender.say(publish('r/a', { retain: true, payload, qos: 1, messageId: 1 }));
    await sender.say(publish('r/b', { retain: true }));
    const peer = await desk.connect(4);
    const [suback, ...rest] = await peer.say(subscribe('#', 2));
    expect(suback).toMatchObject({ cmd: 'suback' });
    expect(rest.map(({ topic, payload, qos, retain }) => [topic, String(payload), qos, retain])).toEqual([
      ['r/a', 'new', 1, true],
      ['r/b', 'x', 0, true],
    ]);
    await sender.say(publish('r/a', { retain: true, payload: '' }));
    expect(peer.heard()).toMatchObject([{ topic: 'r/a', retain: false }]);
    expect(await peer.say(subscribe('r/a'))).toHaveLength(1);
    expect(await peer.say(subscribe('r/b'))).toHaveLength(2);
    expect(desk.broker.stats().retained).toBe(1);
  });

  test('[MQTT-46] [MQTT-71] retain handling: always, for new subscriptions, never', async () => {
    const desk = createMqttDesk();
    const peer = await desk.connect(5);
    await peer.say(publish('a', { retain: true }));
    expect(await peer.say(subscribe('a', 0, { rh: 2 }))).toHaveLength(1);
    expect(await peer.say(subscribe('a', 0, { rh: 1 }))).toHaveLength(1);
    expect(await peer.say(subscribe('a', 0, { rh: 0 }))).toHaveLength(2);
    expect(await peer.say(subscribe('+', 0, { rh: 1 }))).toHaveLength(2);
  });

  test('[MQTT-34] [MQTT-71] authorize is asked about what was kept, too', async () => {
    const desk = createMqttDesk({ authorize: ({ topic, action }) => action === 'publish' || topic !== 'secret' });
    const peer = await desk.connect(5);
    for (const topic of ['secret', 'told']) await peer.say(publish(topic, { retain: true }));
    expect((await peer.say(subscribe('#'))).slice(1)).toMatchObject([{ topic: 'told' }]);
  });

  test('[MQTT-65] [MQTT-70] one that has expired is not sent, and the rest says how much is left', async () => {
    const desk = createMqttDesk();
    const peer = await desk.connect(5);
    for (const [topic, messageExpiryInterval] of [
      ['a', 5],
      ['b', 60],
    ] as const) {
      await peer.say(publish(topic, { retain: true, properties: { messageExpiryInterval } }));
    }
    desk.clock.advance(10_000);
    expect((await peer.say(subscribe('+'))).slice(1)).toMatchObject([
      { topic: 'b', properties: { messageExpiryInterval: 50 } },
    ]);
    expect(desk.broker.stats().retained).toBe(1);
  });

  test('[MQTT-72] many of them cut nobody, and what is sent is what is kept then', async () => {
    const desk = createMqttDesk({ limits: { maxQueued: 3, maxInflight: 2 } });
    const sender = await desk.connect(5);
    for (let count = 0; count < 20; count++) {
      await sender.say(publish(`r/${count}`, { retain: true, payload: 'old', qos: 1, messageId: 1 }));
    }
    const peer = await desk.connect(5);
    const before = peer.connection.charged;
    const first = await peer.say(subscribe('r/#', 1));
    expect(first).toHaveLength(3);
    await sender.say(publish('r/19', { retain: true, payload: 'new', qos: 1, messageId: 1 }));
    await sender.say(publish('r/18', { retain: true, payload: '', qos: 1, messageId: 1 }));
    const heard = ofKind(first, 'publish');
    for (let id = 1; id <= 21; id++) heard.push(...(await peer.say({ cmd: 'puback', messageId: id })));
    const told = heard.map(({ topic, payload }) => [topic, String(payload)] as const);
    expect(told.filter(([topic]) => topic === 'r/19')).toEqual([
      ['r/19', 'new'],
      ['r/19', 'new'],
    ]);
    expect(told.filter(([topic]) => topic === 'r/18')).toEqual([['r/18', '']]);
    expect(told).toHaveLength(21);
    expect(peer.connection.closed).toBeUndefined();
    await peer.say({ cmd: 'unsubscribe', messageId: 1, unsubscriptions: ['r/#'] });
    expect(peer.connection.charged).toBe(before);
  });

  test('[MQTT-60] they are bounded by number, bytes and publisher', async () => {
    const desk = createMqttDesk({ limits: { maxUserRetained: 2, maxRetained: 3, maxRetainedBytes: 10_000 } });
    const keep = async (topic: string, name: string, size = 1): Promise<void> => {
      const peer = await desk.connect(5, {}, { name });
      await peer.say(publish(topic, { retain: true, payload: 'x'.repeat(size) }));
      peer.lose();
    };
    for (const topic of ['1', '2', '3']) await keep(topic, 'ann');
    expect(desk.broker.stats()).toMatchObject({ retained: 2, retainedDropped: 1 });
    await keep('4', 'bob', 20_000);
    for (const topic of ['5', '6']) await keep(topic, 'bob');
    expect(desk.broker.stats()).toMatchObject({ retained: 3, retainedDropped: 3 });
    await keep('1', 'bob', 0);
    await keep('7', 'ann');
    expect(desk.broker.stats()).toMatchObject({ retained: 3 });
  });

  test('[MQTT-73] beside a backbone that reaches other servers they are refused', async () => {
    const desk = createMqttDesk({
      bus: openBus({ backbone: { ...memoryBackbone(), name: 'other' }, onError: () => {} }),
    });
    const peer = await desk.connect(5);
    expect(peer.connack).toMatchObject({ properties: { retainAvailable: false } });
    expect(await peer.say(publish('a', { retain: true }))).toMatchObject([{ cmd: 'disconnect', reasonCode: 0x9a }]);
    const will = { topic: 'a', payload: Buffer.from(''), qos: 0, retain: true } as const;
    expect((await desk.connect(5, { will })).connack).toMatchObject({ reasonCode: 0x9a });
  });
});
