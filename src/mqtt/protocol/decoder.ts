import { ProtocolError } from '../../core/fault.ts';
import { MqttError, malformed, protocolError } from './mqtt-error.ts';
import type {
  AckPacket,
  ClientPacket,
  ConnectPacket,
  DisconnectPacket,
  ProtocolLevel,
  PublishPacket,
  QoS,
  SubscribePacket,
  SubscriptionRequest,
  UnsubscribePacket,
  Will,
} from './packets.ts';
import { PacketType } from './packets.ts';
import { readProperties } from './properties.ts';
import { Reader } from './reader.ts';
import { ReasonCode } from './reason-codes.ts';

const nothing = new Uint8Array(0);
/** A packet that comes in pieces gets a buffer of up to so many bytes at once. */
const pieceBuffer = 16_384;

const ackTypes = { 4: 'puback', 5: 'pubrec', 6: 'pubrel', 7: 'pubcomp' } as const satisfies Record<
  number,
  AckPacket['type']
>;

/** The low half of the first byte, by type: PUBLISH has flags of its own (section 2.1.3). */
const flagsOf = (type: number): number =>
  type === PacketType.pubrel || type === PacketType.subscribe || type === PacketType.unsubscribe ? 2 : 0;

function qosOf(bits: number): QoS {
  if (bits === 3) throw malformed('QoS 3');
  return bits as QoS;
}

function packetIdOf(reader: Reader): number {
  const packetId = reader.uint16();
  if (packetId === 0) throw protocolError('a packet identifier of 0');
  return packetId;
}

function readConnect(reader: Reader): ConnectPacket {
  const name = reader.text();
  const level = reader.byte();
  if (name !== 'MQTT' || (level !== 4 && level !== 5)) {
    throw new MqttError('unacceptable', ReasonCode.unsupportedVersion, 'MQTT 3.1.1 and 5 are spoken here');
  }
  const flags = reader.byte();
  if (flags & 1) throw malformed('a reserved flag of CONNECT');
  const hasPassword = (flags & 64) !== 0;
  // [MQTT-12] A password needs a user name in 3.1.1.
  if (level === 4 && hasPassword && !(flags & 128)) throw protocolError('a password without a user name');
  const keepAlive = reader.uint16();
  const properties = level === 5 ? readProperties(reader, 'connect') : undefined;
  const clientId = reader.text();
  return {
    type: 'connect',
    level,
    cleanStart: (flags & 2) !== 0,
    keepAlive,
    properties,
    clientId,
    will: readWill(reader, flags, level),
    username: flags & 128 ? reader.text() : undefined,
    password: hasPassword ? reader.binary() : undefined,
  };
}

function readWill(reader: Reader, flags: number, level: ProtocolLevel): Will | undefined {
  if (!(flags & 4)) {
    if (flags & 0x38) throw malformed('flags of a will that is not there');
    return undefined;
  }
  const qos = qosOf((flags >> 3) & 3);
  const properties = level === 5 ? readProperties(reader, 'will') : undefined;
  return { topic: reader.text(), payload: reader.binary(), qos, retain: (flags & 32) !== 0, properties };
}

function readPublish(reader: Reader, flags: number, level: ProtocolLevel): PublishPacket {
  const qos = qosOf((flags >> 1) & 3);
  const dup = (flags & 8) !== 0;
  if (dup && qos === 0) throw malformed('DUP at QoS 0');
  const topic = reader.text();
  const packetId = qos > 0 ? packetIdOf(reader) : 0;
  const properties = level === 5 ? readProperties(reader, 'publish') : undefined;
  const payload = reader.take(reader.left);
  return { type: 'publish', topic, payload, qos, retain: (flags & 1) !== 0, dup, packetId, properties };
}

function readAck(reader: Reader, type: AckPacket['type'], level: ProtocolLevel): AckPacket {
  const packetId = packetIdOf(reader);
  const reasonCode = level === 5 && reader.left > 0 ? reader.byte() : ReasonCode.success;
  if (level === 5 && reader.left > 0) readProperties(reader, 'ack');
  return { type, packetId, reasonCode };
}

function readSubscribe(reader: Reader, level: ProtocolLevel): SubscribePacket {
  const packetId = packetIdOf(reader);
  const properties = level === 5 ? readProperties(reader, 'subscribe') : undefined;
  const subscriptions: SubscriptionRequest[] = [];
  while (reader.left > 0) {
    const filter = reader.text();
    const options = reader.byte();
    // [MQTT-24] Bits that have no meaning are 0.
    if (options & (level === 5 ? 0xc0 : 0xfc)) throw malformed('reserved bits in the options of a subscription');
    const retainHandling = (options >> 4) & 3;
    if (retainHandling === 3) throw protocolError('a retain handling of 3');
    subscriptions.push({
      filter,
      qos: qosOf(options & 3),
      noLocal: (options & 4) !== 0,
      retainAsPublished: (options & 8) !== 0,
      retainHandling: retainHandling as 0 | 1 | 2,
    });
  }
  if (subscriptions.length === 0) throw protocolError('SUBSCRIBE without a topic filter');
  return { type: 'subscribe', packetId, subscriptions, properties };
}

function readUnsubscribe(reader: Reader, level: ProtocolLevel): UnsubscribePacket {
  const packetId = packetIdOf(reader);
  if (level === 5) readProperties(reader, 'unsubscribe');
  const filters: string[] = [];
  while (reader.left > 0) filters.push(reader.text());
  if (filters.length === 0) throw protocolError('UNSUBSCRIBE without a topic filter');
  return { type: 'unsubscribe', packetId, filters };
}

function readDisconnect(reader: Reader, level: ProtocolLevel): DisconnectPacket {
  const reasonCode = level === 5 && reader.left > 0 ? reader.byte() : ReasonCode.success;
  const properties = level === 5 && reader.left > 0 ? readProperties(reader, 'disconnect') : undefined;
  return { type: 'disconnect', reasonCode, properties };
}

/** Bytes that are left over belong to no field: the packet is none. */
function whole(packet: ClientPacket, reader: Reader): ClientPacket {
  if (reader.left > 0) throw malformed(`${packet.type} with bytes behind its last field`);
  return packet;
}

/**
 * Bytes in, packets of a client out: push what arrives, pull packets until there is none. However the stream is cut, the
 * packets are the same, and the work is linear in its length ([MQTT-1]). A packet that lies whole in one pushed chunk
 * is not copied: its payload is a view of the chunk, which therefore must not change.
 *
 * @example
 * const decoder = new Decoder(65_536);
 * decoder.push(Uint8Array.of(0xc0, 0));
 * decoder.next()?.type; // 'pingreq'
 */
export class Decoder {
  /** The largest packet that is taken, in bytes. It may be changed between two packets. */
  maxPacket: number;
  #level: ProtocolLevel | undefined;
  // What was pushed and not pulled lies from `#start` to `#end`; what is behind that is room for more.
  #data: Uint8Array = nothing;
  #start = 0;
  #end = 0;
  // Length of the packet that is awaited, as far as it is known, in bytes.
  #wanted = 0;
  // What was pushed belongs to the transport: nothing is written into that.
  #isOwn = false;

  constructor(maxPacket: number) {
    this.maxPacket = maxPacket;
  }

  /** A packet has begun and has not ended. Tells the truth once `next` returned undefined. */
  get partial(): boolean {
    return this.#end > this.#start;
  }

  /** Take a message of a WebSocket, or any piece of a byte stream. Where it is cut has no meaning ([MQTT-1]). */
  push(bytes: Uint8Array): void {
    const kept = this.#end - this.#start;
    if (kept === 0) {
      this.#data = bytes;
      this.#start = 0;
      this.#end = bytes.length;
      return;
    }
    const more = bytes.length;
    if (this.#end + more > this.#data.length || !this.#isOwn) {
      // Four times as much, or as much as the packet is known to need: a length that is only claimed buys little memory.
      const room = this.#wanted > 0 ? Math.min(Math.max(4 * kept, pieceBuffer), this.#wanted) : 4 * kept;
      const buffer = new Uint8Array(Math.max(kept + more, room));
      buffer.set(this.#data.subarray(this.#start, this.#end));
      this.#data = buffer;
      this.#start = 0;
      this.#end = kept;
      this.#isOwn = true;
    }
    this.#data.set(bytes, this.#end);
    this.#end += more;
  }

  /**
   * The next packet, or undefined until more was pushed. Throws a `ProtocolError` `malformed`, `tooLarge` or
   * `unacceptable`; the stream cannot be read on after that.
   */
  next(): ClientPacket | undefined {
    const data = this.#data;
    const available = this.#end - this.#start;
    let length = 0;
    let at = this.#start + 1;
    for (let factor = 1; ; factor *= 128) {
      if (factor > 2_097_152) throw malformed('a remaining length of more than four bytes');
      if (at >= this.#end) return this.#wait(0);
      const byte = data[at++] as number;
      length += (byte & 127) * factor;
      if (byte < 128) {
        if (byte === 0 && factor > 1) throw malformed('a remaining length in more bytes than it takes');
        break;
      }
    }
    const total = at - this.#start + length;
    // [MQTT-5] Said as soon as the length is known: nothing of it is kept.
    if (total > this.maxPacket) throw new ProtocolError('tooLarge', `a packet of more than ${this.maxPacket} bytes`);
    if (available < total) return this.#wait(total);
    const first = data[this.#start] as number;
    this.#start = at + length;
    return this.#read(first, new Reader(data, at, at + length));
  }

  /** Nothing can be had before there is more; an idle connection keeps no buffer. */
  #wait(wanted: number): undefined {
    this.#wanted = wanted;
    if (this.#end === this.#start) {
      this.#data = nothing;
      this.#start = this.#end = 0;
      this.#isOwn = false;
    }
    return undefined;
  }

  #read(first: number, reader: Reader): ClientPacket {
    const type = first >> 4;
    const flags = first & 15;
    if (type === PacketType.publish) return whole(readPublish(reader, flags, this.#mustBeConnected()), reader);
    if (flags !== flagsOf(type)) throw malformed(`flags ${flags} in a packet of type ${type}`);
    if (type === PacketType.connect) {
      if (this.#level !== undefined) throw protocolError('a second CONNECT');
      const packet = readConnect(reader);
      this.#level = packet.level;
      return whole(packet, reader);
    }
    const level = this.#mustBeConnected();
    switch (type) {
      case PacketType.puback:
      case PacketType.pubrec:
      case PacketType.pubrel:
      case PacketType.pubcomp:
        return whole(readAck(reader, ackTypes[type], level), reader);
      case PacketType.subscribe:
        return whole(readSubscribe(reader, level), reader);
      case PacketType.unsubscribe:
        return whole(readUnsubscribe(reader, level), reader);
      case PacketType.pingreq:
        return whole({ type: 'pingreq' }, reader);
      case PacketType.disconnect:
        return whole(readDisconnect(reader, level), reader);
      default:
        if (type !== PacketType.auth || level !== 5) throw malformed(`a packet of type ${type} from a client`);
        // What it says is of no interest: it is refused.
        return { type: 'auth' };
    }
  }

  /** [MQTT-10] */
  #mustBeConnected(): ProtocolLevel {
    if (this.#level === undefined) throw protocolError('the first packet must be CONNECT');
    return this.#level;
  }
}
