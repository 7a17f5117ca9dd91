import { createMessage, type Encoding, type Message } from '../../bus/message.ts';
import { ownedBytes } from '../../core/slab.ts';
import type { QoS } from '../protocol/packets.ts';

/** What an entry of a queue, or a packet identifier in use, costs beside the message, in bytes. */
export const entryCost = 96;

/** A message that a session gets at QoS 1 or 2, as it is kept until it was acknowledged. Shared by all who get it so. */
export interface Outgoing {
  /** The message, in memory of its own. */
  readonly message: Message;
  /** Quality of service: 1 or 2. */
  readonly qos: QoS;
  /** It was kept, or its publisher wants it kept. */
  readonly retain: boolean;
  /** MQTT 5: the number of the subscription. */
  readonly subscriptionId: number | undefined;
  /** What it costs one session, in bytes: at the most, since sessions share it. */
  readonly cost: number;
  /** Since when it waits, in ms of the clock, where that counts. */
  readonly keptAt?: number | undefined;
}

/** Where a message was received by the subscriber: there it has its last acknowledgement left. */
export const released: unique symbol = Symbol('released');

/** A message as it is kept: one copy for all sessions, without the buffer that it was read from. */
const kept: Encoding<Message> = {
  encode: ({ topic, body, contentType, headers, position }) =>
    createMessage({ topic, body: ownedBytes(body), contentType, headers, position }),
};

/** A message as it is kept: one copy for all. */
export const keptMessage = (message: Message): Message => message.encodedAs(kept);

/** What a message costs whoever keeps it, in bytes. */
export function messageCost({ topic, body, headers }: Message): number {
  let cost = 200 + 2 * topic.length + body.length;
  for (const [name, value] of headers) cost += 2 * (name.length + value.length) + 40;
  return cost;
}

const usual = (qos: 1 | 2): Encoding<Outgoing> => ({
  encode: (message) => outgoingOf(message, qos, false, undefined),
});

const usualForms = { 1: usual(1), 2: usual(2) };

/** A message on its way to sessions, made once for all that get it in the same way. */
export function outgoingOf(
  message: Message,
  qos: 1 | 2,
  retain: boolean,
  subscriptionId: number | undefined,
): Outgoing {
  const own = keptMessage(message);
  return { message: own, qos, retain, subscriptionId, cost: entryCost + messageCost(own) };
}

/** As {@link outgoingOf}, for the most usual way. */
export const usualOutgoing = (message: Message, qos: 1 | 2): Outgoing => message.encodedAs(usualForms[qos]);
