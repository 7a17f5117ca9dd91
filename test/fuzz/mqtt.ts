import { generate, type Packet } from 'mqtt-packet';
import { ProtocolError } from '../../src/core/fault.ts';
import { Decoder } from '../../src/mqtt/protocol/decoder.ts';
import { filterMatches, isTopicFilter, isTopicName } from '../../src/mqtt/protocol/topic-names.ts';
import { mutated, pieces } from './corpus.ts';
import type { Fuzz } from './fuzz.ts';

const connect = { cmd: 'connect', protocolId: 'MQTT', clean: true, clientId: 'a', keepalive: 5 } as const;
const payload = Buffer.from('0123456789');

/** What a client says after its CONNECT, in both versions. */
const said: readonly Packet[] = [
  { cmd: 'publish', topic: 'a/b', payload, qos: 0, dup: false, retain: true },
  { cmd: 'publish', topic: 'ü', payload, qos: 2, dup: true, retain: false, messageId: 9 },
  { cmd: 'puback', messageId: 1 },
  { cmd: 'pubrec', messageId: 2 },
  { cmd: 'pubrel', messageId: 3 },
  { cmd: 'pubcomp', messageId: 4 },
  { cmd: 'subscribe', messageId: 5, subscriptions: [{ topic: 'a/+/#', qos: 1 }] },
  { cmd: 'unsubscribe', messageId: 6, unsubscriptions: ['a', '#'] },
  { cmd: 'pingreq' },
  { cmd: 'disconnect' },
];

const streamOf = (protocolVersion: 4 | 5): Buffer =>
  Buffer.concat([
    generate({
      ...connect,
      protocolVersion,
      username: 'u',
      password: payload,
      will: { topic: 'w', payload, qos: 1, retain: true },
    }),
    ...said.map((packet) => generate(packet, { protocolVersion })),
  ]);

const withProperties = Buffer.concat([
  generate({
    ...connect,
    protocolVersion: 5,
    properties: { sessionExpiryInterval: 5, receiveMaximum: 3, maximumPacketSize: 99, userProperties: { a: 'b' } },
  }),
  generate(
    {
      ...{ cmd: 'publish', topic: 'a', payload, qos: 1, dup: false, retain: false, messageId: 7 },
      properties: { topicAlias: 1, contentType: 't', correlationData: payload, userProperties: { a: ['b', 'c'] } },
    } as Packet,
    { protocolVersion: 5 },
  ),
]);

const streams: readonly Buffer[] = [streamOf(4), streamOf(5), withProperties];

/** What a stream came to, in one text: packets, then how it ended. */
function readAll(maxPacket: number, parts: Iterable<Uint8Array>): string {
  const decoder = new Decoder(maxPacket);
  let read = '';
  try {
    for (const part of parts) {
      decoder.push(part);
      for (let packet = decoder.next(); packet; packet = decoder.next()) read += `${JSON.stringify(packet)}\n`;
    }
    return `${read}${decoder.partial ? 'partial' : 'whole'}`;
  } catch (error) {
    if (error instanceof ProtocolError && ['malformed', 'tooLarge', 'unacceptable'].includes(error.fault)) {
      return `${read}${error.fault}: ${error.detail}`;
    }
    throw error;
  }
}

const levels = ['', 'a', 'b', '+', '#', '$', 'a.b', '*', 'ü'];

/** The codec of MQTT, and its topic filters. */
export const mqttFuzz: readonly Fuzz[] = [
  {
    name: 'MQTT decoder: any cut gives the same packets and the same fault',
    unit: 'splits',
    short: 10_000,
    long: 1_000_000,
    once(random) {
      const maxPacket = random.chance(0.5) ? 30 : 1_000_000;
      const stream = random.pick(streams);
      const bytes = new Uint8Array(random.chance(0.5) ? stream : mutated(random, stream, streams));
      const whole = readAll(maxPacket, [bytes]);
      const cuts = 4;
      for (let cut = 0; cut < cuts; cut++) {
        const parts = pieces(random, bytes).map((part) => Uint8Array.from(Buffer.from(part)));
        const read = readAll(maxPacket, parts);
        if (read !== whole) throw new Error(`${JSON.stringify(parts)}\nwhole: ${whole}\nin pieces: ${read}`);
      }
      return cuts;
    },
  },
  {
    name: 'MQTT decoder: mutations end in documented faults',
    unit: 'mutations',
    short: 40_000,
    long: 10_000_000,
    once(random) {
      readAll(random.chance(0.3) ? 30 : 1_000_000, [mutated(random, random.pick(streams), streams)]);
      return 1;
    },
  },
  {
    name: 'MQTT filters: a filter matches what its regular expression matches',
    unit: 'filters',
    short: 20_000,
    long: 1_000_000,
    once(random) {
      const path = (most: number): string =>
        Array.from({ length: 1 + random.below(most) }, () => random.pick(levels)).join('/');
      const [filter, topic] = [path(4), path(4)];
      if (!isTopicFilter(filter) || !isTopicName(topic)) return 1;
      const source = filter
        .replace(/[.*$]/g, '\\$&')
        .replaceAll('+', '[^/]*')
        .replace(/(^|\/)#$/, (_, slash: string) => (slash ? '(/.*)?' : '.*'));
      const hidden = topic.startsWith('$') && /^[+#]/.test(filter);
      const wanted = !hidden && new RegExp(`^${source}$`).test(topic);
      if (filterMatches(filter, topic) !== wanted) throw new Error(`${filter} and ${topic}: not ${wanted}`);
      return 1;
    },
  },
];
