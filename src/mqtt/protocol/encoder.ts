import { type Slab, takeBytes } from '../../core/slab.ts';
import { encodeUtf8, type Wire } from '../../core/wire.ts';
import { type AckPacket, PacketType, type ProtocolLevel, type QoS } from './packets.ts';
import {
  joined,
  type MessageProperties,
  maxTextBytes,
  messagePropertyBytes,
  prefixed,
  type ServerProperties,
  serverPropertyBytes,
  uint16Bytes,
  varintBytes,
} from './properties.ts';
import { ReasonCode } from './reason-codes.ts';

const nothing = new Uint8Array(0);
const ackBytes: Readonly<Record<AckPacket['type'], number>> = {
  puback: PacketType.puback << 4,
  pubrec: PacketType.pubrec << 4,
  pubrel: (PacketType.pubrel << 4) | 2,
  pubcomp: PacketType.pubcomp << 4,
};

/** Heads of messages are short and live until they are written. */
const slab: Slab = { size: 16_384, used: 0 };

function packet(first: number, body: readonly number[]): Wire {
  return { head: Uint8Array.from([first, ...varintBytes(body.length), ...body]), binary: true };
}

/** CONNACK (section 3.2). `code` is a return code in 3.1.1, and a reason code in 5. */
export function encodeConnack(
  level: ProtocolLevel,
  sessionPresent: boolean,
  code: number,
  properties: ServerProperties,
): Wire {
  const extra = level === 5 ? serverPropertyBytes(properties) : [];
  return packet(PacketType.connack << 4, [sessionPresent ? 1 : 0, code, ...extra]);
}

/** PUBACK, PUBREC, PUBREL, PUBCOMP: the reason is said in MQTT 5, and left out where all is well (section 3.4.2.1). */
export function encodeAck(
  level: ProtocolLevel,
  type: AckPacket['type'],
  packetId: number,
  reasonCode: number = ReasonCode.success,
): Wire {
  const says = level === 5 && reasonCode !== ReasonCode.success;
  const head = takeBytes(slab, says ? 5 : 4);
  head[0] = ackBytes[type];
  head[1] = says ? 3 : 2;
  head[2] = packetId >> 8;
  head[3] = packetId & 255;
  if (says) head[4] = reasonCode;
  return { head, binary: true };
}

/** SUBACK: one code for each subscription; in 3.1.1 every refusal is 0x80 (section 3.9.3). */
export function encodeSuback(level: ProtocolLevel, packetId: number, codes: readonly number[]): Wire {
  const body = level === 5 ? [0, ...codes] : codes.map((code) => (code > 2 ? ReasonCode.unspecified : code));
  return packet(PacketType.suback << 4, [...uint16Bytes(packetId), ...body]);
}

/** UNSUBACK: codes are of MQTT 5 only (section 3.11). */
export function encodeUnsuback(level: ProtocolLevel, packetId: number, codes: readonly number[]): Wire {
  return packet(PacketType.unsuback << 4, [...uint16Bytes(packetId), ...(level === 5 ? [0, ...codes] : [])]);
}

/** PINGRESP (section 3.13). */
export const pingresp: Wire = { head: Uint8Array.of(PacketType.pingresp << 4, 0), binary: true };

/** DISCONNECT of a server, which only MQTT 5 has (section 3.14). */
export function encodeDisconnect(reasonCode: number, reasonString?: string): Wire {
  return packet(PacketType.disconnect << 4, [reasonCode, ...serverPropertyBytes({ reasonString })]);
}

/** A message as all its receivers share it: heads are made of this, and the tail is sent as it is. */
export interface SharedPublish {
  /** The topic behind its length. */
  readonly topic: Uint8Array;
  /** How many bytes of the tail are properties; -1 in MQTT 3.1.1, which has none. */
  readonly properties: number;
  /** Properties, then the payload. */
  readonly tail: Uint8Array;
  /** The whole packet for whoever gets it at QoS 0, without a flag and without a subscription identifier. */
  readonly plain: Wire;
  /** What {@link encodePublish} made of it last, to be copied: all but the packet identifier is the same. */
  template?: PublishHead | undefined;
}

/** The bytes before the tail, and where the packet identifier stands in them. */
interface PublishHead {
  readonly first: number;
  readonly bytes: Uint8Array;
  readonly idAt: number;
}

/** Prepare a message for all its receivers of one version. Throws a `RangeError` if the topic has more than 65,535 bytes. */
export function sharePublish(
  level: ProtocolLevel,
  topic: string,
  payload: Uint8Array,
  properties: MessageProperties,
): SharedPublish {
  const name = prefixed(encodeUtf8(topic));
  const extra = level === 5 ? messagePropertyBytes(properties) : nothing;
  const shared = {
    topic: name,
    properties: level === 5 ? extra.length : -1,
    tail: extra.length === 0 ? payload : joined([extra, payload]),
  };
  return {
    ...shared,
    plain: { head: publishHead(shared, PacketType.publish << 4, undefined).bytes, tail: shared.tail, binary: true },
  };
}

function publishHead(
  { topic, properties, tail }: Pick<SharedPublish, 'topic' | 'properties' | 'tail'>,
  first: number,
  subscriptionId: number | undefined,
): PublishHead {
  const idLength = (first & 6) === 0 ? 0 : 2;
  const ownProperties = properties < 0 || subscriptionId === undefined ? [] : [0x0b, ...varintBytes(subscriptionId)];
  const lengthOfProperties = properties < 0 ? [] : varintBytes(properties + ownProperties.length);
  const rest = topic.length + idLength + lengthOfProperties.length + ownProperties.length + tail.length;
  const fixed = [first, ...varintBytes(rest)];
  const bytes = joined([
    Uint8Array.from(fixed),
    topic,
    new Uint8Array(idLength),
    Uint8Array.from([...lengthOfProperties, ...ownProperties]),
  ]);
  return { first, bytes, idAt: fixed.length + topic.length };
}

/** How one receiver gets a message. */
export interface PublishOptions {
  /** Quality of service. */
  readonly qos: QoS;
  /** Names it until it is acknowledged; not looked at for QoS 0. */
  readonly packetId: number;
  /** It may have been sent before. */
  readonly dup: boolean;
  /** It was kept, or its publisher wants it kept. */
  readonly retain: boolean;
  /** MQTT 5: the number of the subscription. */
  readonly subscriptionId: number | undefined;
}

/** PUBLISH for one receiver: a short head of its own, and the tail of all ([MQTT-6]). */
export function encodePublish(shared: SharedPublish, options: PublishOptions): Wire {
  const { qos, packetId, dup, retain, subscriptionId } = options;
  const first = (PacketType.publish << 4) | (dup ? 8 : 0) | (qos << 1) | (retain ? 1 : 0);
  if (subscriptionId !== undefined) return withId(publishHead(shared, first, subscriptionId), packetId, shared.tail);
  if (shared.template?.first !== first) shared.template = publishHead(shared, first, undefined);
  return withId(shared.template, packetId, shared.tail);
}

function withId({ first, bytes, idAt }: PublishHead, packetId: number, tail: Uint8Array): Wire {
  const head = takeBytes(slab, bytes.length);
  head.set(bytes);
  if ((first & 6) !== 0) {
    head[idAt] = packetId >> 8;
    head[idAt + 1] = packetId & 255;
  }
  return { head, tail, binary: true };
}

/** Length of a message for one receiver, in bytes, at the most. */
export const publishLength = ({ topic, tail }: SharedPublish): number => topic.length + tail.length + 16;

/** No topic has more bytes than this. */
export const maxTopicBytes: number = maxTextBytes;
