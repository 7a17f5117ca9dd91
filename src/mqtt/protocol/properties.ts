import { encodeUtf8 } from '../../core/wire.ts';
import { MqttError, protocolError } from './mqtt-error.ts';
import type { Reader } from './reader.ts';
import { ReasonCode } from './reason-codes.ts';

/** Properties of a packet of MQTT 5 (section 2.2.2.2). */
export interface Properties {
  /** 1: the payload is UTF-8. */
  readonly payloadFormat?: number;
  /** How long a message is worth sending, in s. */
  readonly messageExpiry?: number;
  /** MIME type of the payload. */
  readonly contentType?: string;
  /** Where an answer is expected. */
  readonly responseTopic?: string;
  /** What an answer repeats. */
  readonly correlationData?: Uint8Array;
  /** A number for subscriptions, which their messages repeat. */
  readonly subscriptionId?: number;
  /** For how long a session outlives its connection, in s; 0xffffffff: for ever. */
  readonly sessionExpiry?: number;
  /** How a client authenticates itself, beyond a password. */
  readonly authenticationMethod?: string;
  /** What it shows for that. */
  readonly authenticationData?: Uint8Array;
  /** 0: the client wants no reason strings. */
  readonly requestProblemInformation?: number;
  /** How long a will waits, in s. */
  readonly willDelay?: number;
  /** 1: the client asks where answers to it can go. */
  readonly requestResponseInformation?: number;
  /** Why, in words. */
  readonly reasonString?: string;
  /** How many QoS 1 and 2 messages the client takes at a time. */
  readonly receiveMaximum?: number;
  /** How many topic aliases the client takes. */
  readonly topicAliasMaximum?: number;
  /** Stands for a topic. */
  readonly topicAlias?: number;
  /** Names and values of the application, in order; names may repeat. */
  readonly user?: readonly (readonly [name: string, value: string])[];
  /** The largest packet that the client takes, in bytes. */
  readonly maximumPacketSize?: number;
}

type Field = 'flag' | 'uint16' | 'uint32' | 'varint' | 'text' | 'binary';

/** Packets of a client that have properties. */
export type Bearer = 'connect' | 'will' | 'publish' | 'ack' | 'subscribe' | 'unsubscribe' | 'disconnect' | 'auth';

/** What a property is called, what it is made of, and in which packets of a client it may stand ([MQTT-8]). */
interface Known {
  readonly name: keyof Properties;
  readonly field: Field;
  readonly bearers: readonly Bearer[];
  /** Zero is none of its values. */
  readonly positive?: true;
}

const message: readonly Bearer[] = ['publish', 'will'];
const authentication: readonly Bearer[] = ['connect', 'auth'];

const known: readonly (Known | undefined)[] = tableOf({
  1: { name: 'payloadFormat', field: 'flag', bearers: message },
  2: { name: 'messageExpiry', field: 'uint32', bearers: message },
  3: { name: 'contentType', field: 'text', bearers: message },
  8: { name: 'responseTopic', field: 'text', bearers: message },
  9: { name: 'correlationData', field: 'binary', bearers: message },
  11: { name: 'subscriptionId', field: 'varint', bearers: ['subscribe'], positive: true },
  17: { name: 'sessionExpiry', field: 'uint32', bearers: ['connect', 'disconnect'] },
  21: { name: 'authenticationMethod', field: 'text', bearers: authentication },
  22: { name: 'authenticationData', field: 'binary', bearers: authentication },
  23: { name: 'requestProblemInformation', field: 'flag', bearers: ['connect'] },
  24: { name: 'willDelay', field: 'uint32', bearers: ['will'] },
  25: { name: 'requestResponseInformation', field: 'flag', bearers: ['connect'] },
  31: { name: 'reasonString', field: 'text', bearers: ['ack', 'disconnect', 'auth'] },
  33: { name: 'receiveMaximum', field: 'uint16', bearers: ['connect'], positive: true },
  34: { name: 'topicAliasMaximum', field: 'uint16', bearers: ['connect'] },
  35: { name: 'topicAlias', field: 'uint16', bearers: ['publish'] },
  39: { name: 'maximumPacketSize', field: 'uint32', bearers: ['connect'], positive: true },
});

const userProperty = 0x26;

/** A packet may have so many user properties: each costs many times its bytes once it is read ([MQTT-17]). */
export const maxUserProperties = 128;

function tableOf(entries: Readonly<Record<number, Known>>): readonly (Known | undefined)[] {
  const table: (Known | undefined)[] = [];
  for (const [code, entry] of Object.entries(entries)) table[Number(code)] = entry;
  return table;
}

function valueOf(reader: Reader, { name, field, positive }: Known): number | string | Uint8Array {
  const value = field === 'flag' ? reader.byte() : reader[field]();
  if (field === 'flag' && (value as number) > 1) throw protocolError(`${name} must be 0 or 1`);
  if (positive && value === 0) throw protocolError(`${name} must not be 0`);
  return value;
}

/**
 * The properties of a packet, behind their length; undefined: it has none. Throws a `ProtocolError` where one is unknown,
 * has no place in this packet, or stands there twice ([MQTT-8]).
 */
export function readProperties(reader: Reader, bearer: Bearer): Properties | undefined {
  const length = reader.varint();
  if (length === 0) return undefined;
  const inner = reader.inner(length);
  const found: Record<string, unknown> = {};
  let user: (readonly [string, string])[] | undefined;
  while (inner.left > 0) {
    const code = inner.varint();
    if (code === userProperty) {
      user ??= [];
      if (user.length === maxUserProperties) {
        throw new MqttError('tooLarge', ReasonCode.packetTooLarge, `more than ${maxUserProperties} user properties`);
      }
      user.push([inner.text(), inner.text()]);
      continue;
    }
    const entry = known[code];
    if (!entry) throw new MqttError('malformed', ReasonCode.malformedPacket, `an unknown property ${code}`);
    if (!entry.bearers.includes(bearer)) throw protocolError(`${entry.name} has no place in ${bearer}`);
    if (entry.name in found) throw protocolError(`${entry.name} twice`);
    found[entry.name] = valueOf(inner, entry);
  }
  if (user) found['user'] = user;
  return found as Properties;
}

/** What a server says in CONNACK about what it does (section 3.2.2.3). What is undefined is left out. */
export interface ServerProperties {
  /** For how long the session outlives its connection, in s, where the server decides otherwise. */
  readonly sessionExpiry?: number | undefined;
  /** How many QoS 1 and 2 messages it takes at a time. */
  readonly receiveMaximum?: number | undefined;
  /** 0: retained messages are not kept. */
  readonly retainAvailable?: number | undefined;
  /** The largest packet that it takes, in bytes. */
  readonly maximumPacketSize?: number | undefined;
  /** The name that it gave to a client without one. */
  readonly assignedClientId?: string | undefined;
  /** How many topic aliases it takes. */
  readonly topicAliasMaximum?: number | undefined;
  /** Why, in words. */
  readonly reasonString?: string | undefined;
  /** 0: shared subscriptions are refused. */
  readonly sharedSubscriptionAvailable?: number | undefined;
  /** Seconds between two packets of the client, where the server decides otherwise. */
  readonly serverKeepAlive?: number | undefined;
}

const sent: Readonly<Record<keyof ServerProperties, readonly [code: number, field: Field]>> = {
  sessionExpiry: [0x11, 'uint32'],
  receiveMaximum: [0x21, 'uint16'],
  retainAvailable: [0x25, 'flag'],
  maximumPacketSize: [0x27, 'uint32'],
  assignedClientId: [0x12, 'text'],
  topicAliasMaximum: [0x22, 'uint16'],
  reasonString: [0x1f, 'text'],
  sharedSubscriptionAvailable: [0x2a, 'flag'],
  serverKeepAlive: [0x13, 'uint16'],
};

/** A number in as few bytes as it takes (section 1.5.5). */
export function varintBytes(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  do {
    const low = rest % 128;
    rest = Math.floor(rest / 128);
    bytes.push(rest > 0 ? low + 128 : low);
  } while (rest > 0);
  return bytes;
}

/** A number of two bytes. */
export const uint16Bytes = (value: number): number[] => [value >> 8, value & 255];

const uint32Bytes = (value: number): number[] => [
  ...uint16Bytes(Math.floor(value / 65_536)),
  ...uint16Bytes(value % 65_536),
];

/** No text of MQTT has more bytes than this. */
export const maxTextBytes = 65_535;

/** Bytes behind their length. Throws a `RangeError` if they are more than 65,535. */
export function prefixed(bytes: Uint8Array): Uint8Array {
  const { length } = bytes;
  if (length > maxTextBytes) throw new RangeError(`a text of MQTT has at most ${maxTextBytes} bytes; got ${length}`);
  const whole = new Uint8Array(length + 2);
  whole[0] = length >> 8;
  whole[1] = length & 255;
  whole.set(bytes, 2);
  return whole;
}

const fieldBytes = (field: Field, value: number | string): Iterable<number> => {
  if (typeof value === 'string') return prefixed(encodeUtf8(value));
  return field === 'uint32' ? uint32Bytes(value) : field === 'uint16' ? uint16Bytes(value) : [value];
};

/** Properties that a server says, behind their length. */
export function serverPropertyBytes(properties: ServerProperties): number[] {
  const bytes: number[] = [];
  for (const [name, [code, field]] of Object.entries(sent)) {
    const value = properties[name as keyof ServerProperties];
    if (value !== undefined) bytes.push(code, ...fieldBytes(field, value));
  }
  return [...varintBytes(bytes.length), ...bytes];
}

/** What travels with a message of MQTT 5. */
export type MessageProperties = Pick<
  Properties,
  'payloadFormat' | 'messageExpiry' | 'contentType' | 'responseTopic' | 'correlationData' | 'user'
>;

/** The properties of a message, without their length; none: no bytes. Texts of more than 65,535 bytes are left out. */
export function messagePropertyBytes(properties: MessageProperties): Uint8Array {
  const parts: Uint8Array[] = [];
  const { payloadFormat, messageExpiry, contentType, responseTopic, correlationData, user = [] } = properties;
  const add = (code: number, ...values: readonly Uint8Array[]): void => {
    if (values.every(({ length }) => length <= maxTextBytes)) {
      parts.push(Uint8Array.of(code), ...values.map(prefixed));
    }
  };
  if (payloadFormat === 1) parts.push(Uint8Array.of(0x01, 1));
  if (messageExpiry !== undefined) parts.push(Uint8Array.of(0x02, ...uint32Bytes(messageExpiry)));
  if (contentType !== undefined) add(0x03, encodeUtf8(contentType));
  if (responseTopic !== undefined) add(0x08, encodeUtf8(responseTopic));
  if (correlationData !== undefined) add(0x09, correlationData);
  for (const [name, value] of user) add(userProperty, encodeUtf8(name), encodeUtf8(value));
  return joined(parts);
}

/** Pieces, one after the other. */
export function joined(parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const whole = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
