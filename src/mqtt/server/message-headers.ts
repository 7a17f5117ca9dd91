import { createMessage, type Encoding, type Message, type MessageHeaders } from '../../bus/message.ts';
import { type SharedPublish, sharePublish } from '../protocol/encoder.ts';
import type { ProtocolLevel, QoS } from '../protocol/packets.ts';
import type { MessageProperties, Properties } from '../protocol/properties.ts';

/** Headers of the bus that begin like this are ours: they are no user properties, and no client can set them. */
const own = 'mqtt-';
const header = {
  qos: `${own}qos`,
  retain: `${own}retain`,
  from: `${own}from`,
  responseTopic: `${own}response-topic`,
  correlationData: `${own}correlation-data`,
  payloadFormat: `${own}payload-format`,
  expiry: `${own}message-expiry`,
};

/** Most messages have no properties: their headers are the same for all. */
const plainHeaders: readonly MessageHeaders[] = [0, 1, 2, 4, 5, 6].reduce<MessageHeaders[]>((all, bits) => {
  const headers = new Map([[header.qos, String(bits & 3)]]);
  if (bits & 4) headers.set(header.retain, '1');
  all[bits] = headers;
  return all;
}, []);

const toBase64 = (bytes: Uint8Array): string => btoa(String.fromCharCode(...bytes));

function fromBase64(text: string): Uint8Array | undefined {
  try {
    return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  } catch {
    return undefined;
  }
}

/**
 * What travels with a message of a client on the bus ([MQTT-42]). `from` names its session, where that has subscriptions
 * that do not want to hear what it publishes itself.
 */
export function headersOf(
  qos: QoS,
  retain: boolean,
  properties: Properties | undefined,
  from: string | undefined,
): MessageHeaders {
  const plain = plainHeaders[qos | (retain ? 4 : 0)] as MessageHeaders;
  if (properties === undefined && from === undefined) return plain;
  const headers = new Map(plain);
  for (const [name, value] of properties?.user ?? []) {
    if (name !== '' && !name.startsWith(own) && !headers.has(name)) headers.set(name, value);
  }
  if (from !== undefined) headers.set(header.from, from);
  const { responseTopic, correlationData, payloadFormat, messageExpiry } = properties ?? {};
  if (responseTopic !== undefined) headers.set(header.responseTopic, responseTopic);
  if (correlationData !== undefined) headers.set(header.correlationData, toBase64(correlationData));
  if (payloadFormat === 1) headers.set(header.payloadFormat, '1');
  if (messageExpiry !== undefined) headers.set(header.expiry, String(messageExpiry));
  return headers;
}

/** The QoS that a message was published with. What comes from elsewhere goes at the QoS of the subscription. */
export function qosOf(message: Message): QoS {
  const qos = message.headers.get(header.qos);
  return qos === '0' ? 0 : qos === '1' ? 1 : 2;
}

/** Its publisher wanted it kept. */
export const isRetained = ({ headers }: Message): boolean => headers.has(header.retain);

/** The session that published it, where it says so. */
export const publisherOf = ({ headers }: Message): string | undefined => headers.get(header.from);

/** How long it is worth sending, in s; undefined: for ever. */
export function expiryOf({ headers }: Message): number | undefined {
  const text = headers.get(header.expiry);
  return text !== undefined && /^\d{1,10}$/.test(text) ? Math.min(Number(text), 0xffffffff) : undefined;
}

/** What a message of the bus says to clients of MQTT 5. */
function propertiesOf(message: Message): MessageProperties {
  const { contentType, headers } = message;
  const data = headers.get(header.correlationData);
  const correlationData = data === undefined ? undefined : fromBase64(data);
  const responseTopic = headers.get(header.responseTopic);
  const messageExpiry = expiryOf(message);
  const user = [...headers].filter(([name]) => !name.startsWith(own));
  return {
    ...(headers.has(header.payloadFormat) && { payloadFormat: 1 }),
    ...(messageExpiry !== undefined && { messageExpiry }),
    ...(contentType !== undefined && { contentType }),
    ...(responseTopic !== undefined && { responseTopic }),
    ...(correlationData !== undefined && { correlationData }),
    ...(user.length > 0 && { user }),
  };
}

/** Headers of a message that say nothing to a client, which most have. */
const isPlain = ({ contentType, headers }: Message): boolean =>
  contentType === undefined && (headers.size === 0 || plainHeaders.includes(headers));

/** The same message, worth sending for so many seconds. */
export function withExpiry({ topic, body, contentType, headers, position }: Message, seconds: number): Message {
  const aged = new Map(headers).set(header.expiry, String(seconds));
  return createMessage({ topic, body, contentType, headers: aged, position });
}

const form = (level: ProtocolLevel): Encoding<SharedPublish> => ({
  encode: (message) =>
    sharePublish(level, message.topic, message.body, level === 4 || isPlain(message) ? {} : propertiesOf(message)),
});

/** How a message looks to clients of each version: encoded once, whoever receives it ([MQTT-6]). */
export const publishForms: Readonly<Record<ProtocolLevel, Encoding<SharedPublish>>> = { 4: form(4), 5: form(5) };
