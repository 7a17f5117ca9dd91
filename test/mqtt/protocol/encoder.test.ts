import fc from 'fast-check';
import { type Packet, parser } from 'mqtt-packet';
import { describe, expect, test } from 'vitest';
import { encodeUtf8, type Wire } from '../../../src/core/wire.ts';
import {
  encodeAck,
  encodeConnack,
  encodeDisconnect,
  encodePublish,
  encodeSuback,
  encodeUnsuback,
  maxTopicBytes,
  pingresp,
  publishLength,
  sharePublish,
} from '../../../src/mqtt/protocol/encoder.ts';
import { contentOf } from '../../support/fake-socket.ts';

const bytesOf = (wire: Wire): Buffer => Buffer.from(contentOf(wire) as Uint8Array);

const hexOf = (wire: Wire): string => bytesOf(wire).toString('hex');

/** What mqtt-packet makes of it. */
function readByOthers(level: 4 | 5, wire: Wire): Packet {
  const found: Packet[] = [];
  const reader = parser({ protocolVersion: level });
  reader.on('packet', (packet) => found.push(packet));
  reader.on('error', (error) => {
    throw error;
  });
  reader.parse(bytesOf(wire));
  expect(found).toHaveLength(1);
  return found[0] as Packet;
}

describe('acknowledgements', () => {
  test.each([
    ['puback', 4, 0, '40020102'],
    ['puback', 4, 0x87, '40020102'],
    ['pubrec', 5, 0x10, '5003010210'],
    ['pubrel', 5, 0, '62020102'],
    ['pubcomp', 5, 0x92, '7003010292'],
  ] as const)('[MQTT-15] %s of version %i with reason %i', (type, level, reason, wanted) => {
    expect(hexOf(encodeAck(level, type, 0x0102, reason))).toBe(wanted);
  });

  test('[MQTT-15] all is well unless said otherwise', () => {
    expect(hexOf(encodeAck(5, 'puback', 1))).toBe('40020001');
    expect(hexOf(pingresp)).toBe('d000');
  });

  test('[MQTT-16] a refused subscription is 0x80 in 3.1.1, and has its reason in 5', () => {
    expect(hexOf(encodeSuback(4, 1, [0, 1, 2, 0x87, 0x8f]))).toBe('900700010001028080');
    expect(hexOf(encodeSuback(5, 1, [0, 1, 2, 0x87, 0x8f]))).toBe('900800010000010287 8f'.replaceAll(' ', ''));
    expect(hexOf(encodeUnsuback(4, 1, [0, 0x11]))).toBe('b0020001');
    expect(hexOf(encodeUnsuback(5, 1, [0, 0x11]))).toBe('b0050001000011');
  });

  test('a server says what it does, and why it leaves', () => {
    expect(hexOf(encodeConnack(4, true, 0, { receiveMaximum: 5 }))).toBe('20020100');
    expect(
      readByOthers(
        5,
        encodeConnack(5, false, 0, {
          sessionExpiry: 70_000,
          receiveMaximum: 300,
          retainAvailable: 0,
          maximumPacketSize: 1_000_000,
          assignedClientId: 'ü',
          topicAliasMaximum: 16,
          reasonString: 'why',
          sharedSubscriptionAvailable: 0,
          serverKeepAlive: 600,
        }),
      ),
    ).toMatchObject({
      cmd: 'connack',
      properties: {
        sessionExpiryInterval: 70_000,
        receiveMaximum: 300,
        retainAvailable: false,
        maximumPacketSize: 1_000_000,
        assignedClientIdentifier: 'ü',
        topicAliasMaximum: 16,
        reasonString: 'why',
        sharedSubscriptionAvailable: false,
        serverKeepAlive: 600,
      },
    });
    expect(readByOthers(5, encodeDisconnect(0x8b, 'bye'))).toMatchObject({
      cmd: 'disconnect',
      reasonCode: 0x8b,
      properties: { reasonString: 'bye' },
    });
    expect(hexOf(encodeDisconnect(0x8e))).toBe('e0028e00');
  });
});

describe('messages', () => {
  test('[MQTT-6] the tail is shared by all, and is the payload itself where there are no properties', () => {
    const payload = encodeUtf8('hello');
    const shared = sharePublish(5, 'a', payload, {});
    expect(shared.plain.tail).toBe(payload);
    const options = { qos: 1, dup: false, retain: false, subscriptionId: undefined } as const;
    const one = encodePublish(shared, { ...options, packetId: 1 });
    const two = encodePublish(shared, { ...options, packetId: 0x0203 });
    expect([one.tail, two.tail]).toEqual([payload, payload]);
    expect([hexOf(one), hexOf(two)]).toEqual(
      ['320b0001610001 0068656c6c6f', '320b0001610203 0068656c6c6f'].map((text) => text.replace(' ', '')),
    );
    expect(hexOf(shared.plain)).toBe('30090001610068656c6c6f');
  });

  test('a topic that is too long for MQTT is refused, and a text that is too long is left out', () => {
    expect(() => sharePublish(4, 'a'.repeat(maxTopicBytes + 1), new Uint8Array(0), {})).toThrow(RangeError);
    const long = 'x'.repeat(70_000);
    const shared = sharePublish(5, 'a', new Uint8Array(0), {
      contentType: long,
      user: [
        [long, 'b'],
        ['c', 'd'],
      ],
    });
    expect(readByOthers(5, shared.plain)).toMatchObject({ properties: { userProperties: { c: 'd' } } });
  });

  const name = fc.stringMatching(/^[a-z/ü€]{1,12}$/);
  const given = fc.record({
    topic: name,
    payload: fc.uint8Array({ maxLength: 300 }),
    qos: fc.constantFrom(0, 1, 2) as fc.Arbitrary<0 | 1 | 2>,
    packetId: fc.integer({ min: 1, max: 65_535 }),
    retain: fc.boolean(),
    subscriptionId: fc.option(fc.integer({ min: 1, max: 268_435_455 }), { nil: undefined }),
  });
  const properties = fc.record(
    {
      contentType: name,
      responseTopic: name,
      correlationData: fc.uint8Array({ maxLength: 9 }),
      messageExpiry: fc.nat(),
      payloadFormat: fc.constant(1),
      user: fc.uniqueArray(fc.tuple(name, name), { selector: ([each]) => each, maxLength: 4 }),
    },
    { requiredKeys: [] },
  );

  test('[MQTT-6] whatever is published is read by mqtt-packet as it was meant, at every QoS of both versions', () => {
    fc.assert(
      fc.property(given, properties, fc.constantFrom(4 as const, 5 as const), (fields, extra, level) => {
        const { topic, payload, qos, packetId, retain, subscriptionId } = fields;
        const shared = sharePublish(level, topic, payload, extra);
        const wire = encodePublish(shared, { qos, packetId, dup: qos > 0, retain, subscriptionId });
        const properties = {
          ...(extra.contentType && { contentType: extra.contentType }),
          ...(extra.responseTopic && { responseTopic: extra.responseTopic }),
          ...(extra.correlationData && { correlationData: Buffer.from(extra.correlationData) }),
          ...(extra.messageExpiry !== undefined && { messageExpiryInterval: extra.messageExpiry }),
          ...(extra.payloadFormat && { payloadFormatIndicator: true }),
          ...(extra.user?.length && { userProperties: Object.fromEntries(extra.user) }),
          ...(subscriptionId && { subscriptionIdentifier: subscriptionId }),
        };
        const read = readByOthers(level, wire);
        expect(read).toMatchObject({
          cmd: 'publish',
          ...{ topic, qos, dup: qos > 0, retain, payload: Buffer.from(payload) },
          ...(qos > 0 && { messageId: packetId }),
        });
        if (level === 5) expect({ ...(read as { properties?: object }).properties }).toEqual(properties);
        expect(publishLength(shared)).toBeGreaterThanOrEqual(bytesOf(shared.plain).length);
        if (qos === 0 && !retain && subscriptionId === undefined) expect(hexOf(wire)).toBe(hexOf(shared.plain));
      }),
    );
  });
});
