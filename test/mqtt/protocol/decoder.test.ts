import fc from 'fast-check';
import { generate, type Packet } from 'mqtt-packet';
import { describe, expect, test } from 'vitest';
import { ProtocolError } from '../../../src/core/fault.ts';
import { Decoder } from '../../../src/mqtt/protocol/decoder.ts';
import { MqttError } from '../../../src/mqtt/protocol/mqtt-error.ts';
import type { ClientPacket } from '../../../src/mqtt/protocol/packets.ts';

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'));

const connect4 = '10 0d 00044d515454 04 02 003c 0001 61';
const connect5 = '10 0e 00044d515454 05 02 003c 00 0001 61';

/** What a stream came to: packets as text, then how it ended. */
function read(parts: readonly Uint8Array[], maxPacket = 1_000): string[] {
  const decoder = new Decoder(maxPacket);
  const found: string[] = [];
  try {
    for (const part of parts) {
      decoder.push(part);
      for (let packet = decoder.next(); packet; packet = decoder.next()) found.push(textOf(packet));
    }
    found.push(decoder.partial ? 'partial' : 'whole');
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    found.push(`${error.fault} ${error instanceof MqttError ? error.reasonCode.toString(16) : '-'}: ${error.detail}`);
  }
  return found;
}

const textOf = (packet: ClientPacket): string =>
  JSON.stringify(packet, (_, value) => (value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value));

/** The end of a stream that begins with a CONNECT of this version. */
const endOf = (connect: string, rest: string): string | undefined => read([hex(connect + rest)]).at(-1);

describe('what clients say, cut at every byte', () => {
  const dialogues: readonly (readonly [name: string, bytes: string, packets: readonly object[]])[] = [
    [
      'MQTT 3.1.1: hello, subscribe, publish at each QoS, ping, goodbye',
      `${connect4} 82 0c 0001 0003 612f23 01 0001 62 02 30 05 0003 612f62 3a 07 0003 612f62 0007 3d 08 0003 612f62 0008 ff 62 02 0008 a2 07 0002 0003 612f23 c0 00 e0 00`,
      [
        { type: 'connect', level: 4, cleanStart: true, keepAlive: 60, clientId: 'a' },
        {
          type: 'subscribe',
          packetId: 1,
          subscriptions: [
            { filter: 'a/#', qos: 1, noLocal: false, retainAsPublished: false, retainHandling: 0 },
            { filter: 'b', qos: 2, noLocal: false, retainAsPublished: false, retainHandling: 0 },
          ],
        },
        { type: 'publish', topic: 'a/b', payload: '', qos: 0, retain: false, dup: false, packetId: 0 },
        { type: 'publish', topic: 'a/b', payload: '', qos: 1, retain: false, dup: true, packetId: 7 },
        { type: 'publish', topic: 'a/b', payload: 'ff', qos: 2, retain: true, dup: true, packetId: 8 },
        { type: 'pubrel', packetId: 8, reasonCode: 0 },
        { type: 'unsubscribe', packetId: 2, filters: ['a/#'] },
        { type: 'pingreq' },
        { type: 'disconnect', reasonCode: 0 },
      ],
    ],
    [
      'MQTT 5: properties, options of subscriptions, reasons',
      '10 25 00044d515454 05 ee 000a 05 11 0000000a 0000 05 18 00000005 0001 77 0002 0102 0001 75 0001 70' +
        ' 82 09 0001 02 0b05 0001 61 2d 32 0f 0001 74 0001 09 26 0001 6b 0001 76 01 01' +
        ' 40 02 0001 50 03 0001 10 62 04 0001 92 00 70 04 0001 00 00 e0 07 04 05 11 00000000',
      [
        {
          type: 'connect',
          level: 5,
          cleanStart: true,
          keepAlive: 10,
          properties: { sessionExpiry: 10 },
          clientId: '',
          will: { topic: 'w', payload: '0102', qos: 1, retain: true, properties: { willDelay: 5 } },
          username: 'u',
          password: '70',
        },
        {
          type: 'subscribe',
          packetId: 1,
          properties: { subscriptionId: 5 },
          subscriptions: [{ filter: 'a', qos: 1, noLocal: true, retainAsPublished: true, retainHandling: 2 }],
        },
        {
          type: 'publish',
          topic: 't',
          payload: '',
          qos: 1,
          retain: false,
          dup: false,
          packetId: 1,
          properties: { payloadFormat: 1, user: [['k', 'v']] },
        },
        { type: 'puback', packetId: 1, reasonCode: 0 },
        { type: 'pubrec', packetId: 1, reasonCode: 0x10 },
        { type: 'pubrel', packetId: 1, reasonCode: 0x92 },
        { type: 'pubcomp', packetId: 1, reasonCode: 0 },
        { type: 'disconnect', reasonCode: 4, properties: { sessionExpiry: 0 } },
      ],
    ],
  ];

  test.each(dialogues)('[MQTT-1] [MQTT-15] %s', (_, text, packets) => {
    const bytes = hex(text);
    const wanted = [...packets, 'whole'];
    const parsed = (lines: string[]): unknown[] =>
      lines.map((line) => (line.startsWith('{') ? JSON.parse(line) : line));
    expect(parsed(read([bytes]))).toEqual(wanted);
    const whole = read([bytes]);
    for (let cut = 1; cut < bytes.length; cut++) {
      expect(read([bytes.subarray(0, cut), bytes.subarray(cut)])).toEqual(whole);
    }
    expect(read(Array.from(bytes, (byte) => Uint8Array.of(byte)))).toEqual(whole);
  });
});

test('[MQTT-1] what was pushed is not written into, and an idle decoder keeps nothing of it', () => {
  const decoder = new Decoder(1_000);
  const bytes = hex(`${connect4} c0`);
  const before = Buffer.from(bytes);
  decoder.push(bytes);
  expect(decoder.next()?.type).toBe('connect');
  expect(decoder.next()).toBeUndefined();
  decoder.push(hex('00 c0 00'));
  expect([decoder.next()?.type, decoder.next()?.type, decoder.next()]).toEqual(['pingreq', 'pingreq', undefined]);
  expect([before.equals(bytes), decoder.partial]).toEqual([true, false]);
});

test('[MQTT-1] a long packet in many pieces is read in linear time, and views of earlier packets stay as they were', () => {
  const decoder = new Decoder(100_000);
  decoder.push(hex(connect4));
  decoder.next();
  const payload = Buffer.alloc(50_000, 7);
  const bytes = generate({ cmd: 'publish', topic: 'a', payload, qos: 0, dup: false, retain: false });
  for (let at = 0; at < bytes.length - 3; at += 3) {
    decoder.push(bytes.subarray(at, at + 3));
    expect(decoder.next()).toBeUndefined();
  }
  decoder.push(bytes.subarray(bytes.length - (bytes.length % 3 || 3)));
  const first = decoder.next() as ClientPacket & { type: 'publish' };
  expect(Buffer.from(first.payload).equals(payload)).toBe(true);
  decoder.push(hex('30 04 0001 62 09'));
  expect(decoder.next()).toMatchObject({ topic: 'b' });
  expect(Buffer.from(first.payload).equals(payload)).toBe(true);
});

describe('what is refused', () => {
  const long = '0'.repeat(2);
  const cases: readonly (readonly [rule: string, what: string, bytes: string, fault: string])[] = [
    ['[MQTT-2]', 'a length of five bytes', '10 8080808001', 'malformed 81: a remaining length of more than four bytes'],
    ['[MQTT-2]', 'a length with a zero too many', '10 8000', 'malformed 81: a remaining length in more bytes'],
    ['[MQTT-10]', 'PINGREQ first', 'c000', 'malformed 82: the first packet must be CONNECT'],
    ['[MQTT-10]', 'PUBLISH first', '30030001 61', 'malformed 82: the first packet must be CONNECT'],
    ['[MQTT-11]', 'MQTT 3.1', '10 0f 00064d514973647003 02 003c 0001 61', 'unacceptable 84: MQTT 3.1.1 and 5'],
    ['[MQTT-11]', 'MQTT 6', '10 0d 00044d515454 06 02 003c 0001 61', 'unacceptable 84: MQTT 3.1.1 and 5'],
    ['[MQTT-7]', 'a reserved flag', '10 0d 00044d515454 04 03 003c 0001 61', 'malformed 81: a reserved flag'],
    ['[MQTT-7]', 'flags of no will', '10 0d 00044d515454 04 0a 003c 0001 61', 'malformed 81: flags of a will'],
    ['[MQTT-7]', 'a will of QoS 3', '10 13 00044d515454 04 1e 003c 0001 61 0001 62 0001 63', 'malformed 81: QoS 3'],
    ['[MQTT-12]', 'no user name', '10 10 00044d515454 04 42 003c 0001 61 0001 70', 'malformed 82: a password without'],
    ['[MQTT-3]', 'an early end', '10 0c 00044d515454 04 02 003c 0001', 'malformed 81: a packet that ends within'],
    ['[MQTT-3]', 'a late end', '10 0e 00044d515454 04 02 003c 0001 61 00', 'malformed 81: connect with bytes behind'],
    ['[MQTT-3]', 'flags of CONNECT', '11 0d 00044d515454 04 02 003c 0001 61', 'malformed 81: flags 1'],
    ['[MQTT-3]', 'nothing', '10 00', 'malformed 81: a packet that ends within'],
    ['[MQTT-4]', 'no UTF-8', `10 0d 00044d515454 04 02 003c 0001 ff`, 'malformed 81: text that is not UTF-8'],
    ['[MQTT-4]', 'U+0000', `10 0d 00044d515454 04 02 003c 0001 ${long}`, 'malformed 81: text with U+0000'],
    ['[MQTT-5]', 'too large', '10 ff07', 'tooLarge -: a packet of more than 1000 bytes'],
  ];
  test.each(cases)(
    '[MQTT-2] [MQTT-3] [MQTT-4] [MQTT-5] [MQTT-7] [MQTT-10] [MQTT-11] [MQTT-12] of these %s: %s',
    (_, __, bytes, fault) => {
      expect(read([hex(bytes)]).at(-1)).toContain(fault);
    },
  );

  const later: readonly (readonly [rule: string, connect: string, what: string, bytes: string, fault: string])[] = [
    ['[MQTT-10]', connect4, 'a second CONNECT', connect4, 'malformed 82: a second CONNECT'],
    ['[MQTT-7]', connect4, 'QoS 3', '36 05 0001 61 0001', 'malformed 81: QoS 3'],
    ['[MQTT-7]', connect4, 'DUP at QoS 0', '38 03 0001 61', 'malformed 81: DUP at QoS 0'],
    ['[MQTT-7]', connect4, 'flags of PUBREL', '60 02 0001', 'malformed 81: flags 0 in a packet of type 6'],
    ['[MQTT-7]', connect4, 'options of 3.1.1', '82 06 0001 0001 61 04', 'malformed 81: reserved bits'],
    ['[MQTT-7]', connect5, 'options of 5', '82 07 0001 00 0001 61 40', 'malformed 81: reserved bits'],
    ['[MQTT-7]', connect5, 'retain handling', '82 07 0001 00 0001 61 30', 'malformed 82: a retain handling of 3'],
    ['[MQTT-9]', connect4, 'packet id 0', '32 05 0001 61 0000', 'malformed 82: a packet identifier of 0'],
    ['[MQTT-9]', connect4, 'PUBACK of 0', '40 02 0000', 'malformed 82: a packet identifier of 0'],
    ['[MQTT-13]', connect4, 'no filter', '82 02 0001', 'malformed 82: SUBSCRIBE without a topic filter'],
    ['[MQTT-13]', connect5, 'no filter', 'a2 03 0001 00', 'malformed 82: UNSUBSCRIBE without a topic filter'],
    ['[MQTT-14]', connect4, 'CONNACK', '20 02 0000', 'malformed 81: a packet of type 2 from a client'],
    ['[MQTT-14]', connect4, 'type 0', '00 00', 'malformed 81: a packet of type 0 from a client'],
    ['[MQTT-14]', connect4, 'AUTH in 3.1.1', 'f0 00', 'malformed 81: a packet of type 15 from a client'],
    ['[MQTT-3]', connect4, 'PUBACK with a reason in 3.1.1', '40 03 0001 00', 'malformed 81: puback with bytes behind'],
    ['[MQTT-3]', connect4, 'PINGREQ with more', 'c0 01 00', 'malformed 81: pingreq with bytes behind'],
    ['[MQTT-8]', connect5, 'an unknown property', '30 06 0001 61 02 7e00', 'malformed 81: an unknown property 126'],
    [
      '[MQTT-8]',
      connect5,
      'elsewhere',
      '30 07 0001 61 03 210001',
      'malformed 82: receiveMaximum has no place in publish',
    ],
    ['[MQTT-8]', connect5, 'twice', '30 08 0001 61 04 01010101', 'malformed 82: payloadFormat twice'],
    ['[MQTT-8]', connect5, 'a flag of 2', '30 06 0001 61 02 0102', 'malformed 82: payloadFormat must be 0 or 1'],
    ['[MQTT-8]', connect5, 'an id of 0', '82 09 0001 02 0b00 0001 61 00', 'malformed 82: subscriptionId must not be 0'],
    ['[MQTT-2]', connect5, 'a number', '30 08 0001 61 8080808001', 'malformed 81: a number of more than four bytes'],
    ['[MQTT-2]', connect5, 'a zero', '30 05 0001 61 8000', 'malformed 81: a number in more bytes than it takes'],
    ['[MQTT-3]', connect5, 'properties too long', '30 04 0001 61 05', 'malformed 81: a packet that ends within'],
  ];
  test.each(later)(
    '[MQTT-7] [MQTT-8] [MQTT-9] [MQTT-13] [MQTT-14] of these %s, after CONNECT (%s): %s',
    (_, connect, __, bytes, fault) => {
      expect(endOf(connect, bytes)).toContain(fault);
    },
  );

  test('[MQTT-10] a will of 3.1.1 has no properties', () => {
    const bytes = hex('10 13 00044d515454 04 0e 003c 0001 61 0001 77 0001 78');
    expect(read([bytes])[0]).toContain('"will":{"topic":"w","payload":"78","qos":1,"retain":false}');
  });

  test('[MQTT-17] user properties are counted', () => {
    const of = (count: number) => {
      const userProperties = { a: Array<string>(count).fill('b') };
      const packet = { cmd: 'publish', topic: 'a', payload: '', qos: 0, dup: false, retain: false } as const;
      return generate({ ...packet, properties: { userProperties } }, { protocolVersion: 5 });
    };
    expect(read([hex(connect5), of(128)]).at(-1)).toBe('whole');
    expect(read([hex(connect5), of(129)]).at(-1)).toBe('tooLarge 95: more than 128 user properties');
  });

  test('[MQTT-14] AUTH of MQTT 5 is read, whatever it says', () => {
    expect(read([hex(`${connect5} f0 00 f0 02 18 00`)]).slice(1)).toEqual([
      '{"type":"auth"}',
      '{"type":"auth"}',
      'whole',
    ]);
  });
});

describe('against a codec of others', () => {
  const name = fc.stringMatching(/^[a-z/ü€]{1,12}$/);
  const topLevel = fc.record({
    qos: fc.constantFrom(0, 1, 2) as fc.Arbitrary<0 | 1 | 2>,
    retain: fc.boolean(),
    topic: name,
    payload: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
    messageId: fc.integer({ min: 1, max: 65_535 }),
  });
  const properties = fc.record(
    {
      contentType: name,
      responseTopic: name,
      correlationData: fc.uint8Array({ maxLength: 9 }).map((bytes) => Buffer.from(bytes)),
      messageExpiryInterval: fc.nat(),
      payloadFormatIndicator: fc.constant(true),
      topicAlias: fc.integer({ min: 1, max: 65_535 }),
      userProperties: fc.dictionary(name, name, { minKeys: 1 }),
    },
    { requiredKeys: [] },
  );

  test('[MQTT-1] [MQTT-2] [MQTT-4] [MQTT-8] any PUBLISH that mqtt-packet writes is read field by field, in any pieces', () => {
    fc.assert(
      fc.property(topLevel, properties, fc.constantFrom(4, 5), fc.array(fc.nat(400)), (fields, given, level, cuts) => {
        const packet = { cmd: 'publish', dup: false, ...fields, ...(level === 5 && { properties: given }) } as Packet;
        const bytes = generate(packet, { protocolVersion: level });
        const decoder = new Decoder(10_000);
        decoder.push(hex(level === 5 ? connect5 : connect4));
        decoder.next();
        const found: ClientPacket[] = [];
        const ends = [...new Set(cuts.filter((cut) => cut < bytes.length))].sort((one, other) => one - other);
        for (const [index, end] of [...ends, bytes.length].entries()) {
          decoder.push(bytes.subarray(index === 0 ? 0 : ends[index - 1], end));
          for (let next = decoder.next(); next; next = decoder.next()) found.push(next);
        }
        const [read] = found;
        if (read?.type !== 'publish') throw new Error('no PUBLISH');
        expect({ ...read, payload: Buffer.from(read.payload), properties: undefined }).toEqual({
          type: 'publish',
          topic: fields.topic,
          payload: fields.payload,
          qos: fields.qos,
          retain: fields.retain,
          dup: false,
          packetId: fields.qos === 0 ? 0 : fields.messageId,
          properties: undefined,
        });
        const wanted = level === 5 ? given : {};
        if (level === 4) expect(read.properties).toBeUndefined();
        const { correlationData, user = [], ...rest } = read.properties ?? {};
        expect(JSON.parse(JSON.stringify(rest))).toEqual(
          JSON.parse(
            JSON.stringify({
              payloadFormat: wanted.payloadFormatIndicator && 1,
              messageExpiry: wanted.messageExpiryInterval,
              contentType: wanted.contentType,
              responseTopic: wanted.responseTopic,
              topicAlias: wanted.topicAlias,
            }),
          ),
        );
        expect(correlationData && Buffer.from(correlationData)).toEqual(wanted.correlationData);
        expect(user).toEqual(Object.entries(wanted.userProperties ?? {}));
      }),
    );
  });
});
