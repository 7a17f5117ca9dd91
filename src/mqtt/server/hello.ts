import { decodeUtf8, utf8Length } from '../../core/wire.ts';
import { MqttError } from '../protocol/mqtt-error.ts';
import type { ConnectPacket } from '../protocol/packets.ts';
import type { ServerProperties } from '../protocol/properties.ts';
import { ReasonCode } from '../protocol/reason-codes.ts';
import { isTopicName } from '../protocol/topic-names.ts';
import type { MqttLimits } from './limits.ts';
import { problemOnBus } from './names.ts';

/** What a CONNECT shows to `authenticate`. */
export interface Shown {
  /** The user name; undefined: none. */
  readonly login: string | undefined;
  /** The password; undefined: none. */
  readonly passcode: string | undefined;
  /** The client's, or one that was made for it. */
  readonly clientId: string;
}

/** A client identifier that is none, or that cannot be had. */
const refused = (why: string): MqttError =>
  new MqttError('unauthorized', ReasonCode.clientIdNotValid, `the client identifier was refused: ${why}`);

/** A password is text to hooks: one that is none could be taken for another. */
function passwordOf(password: Uint8Array | undefined): string | undefined {
  if (password === undefined) return undefined;
  try {
    return decodeUtf8(password);
  } catch {
    throw new MqttError('unauthorized', ReasonCode.badCredentials, 'a password that is not UTF-8');
  }
}

/** What a CONNECT shows, once all in it that can be judged without asking anybody is good. Throws a `ProtocolError`. */
export function shownBy(packet: ConnectPacket, limits: MqttLimits): Shown {
  const { level, clientId, cleanStart, username, password, will, properties } = packet;
  const isNamed = clientId !== '';
  // [MQTT-31] In 3.1.1 a session that is to be kept has a name.
  if (!isNamed && level === 4 && !cleanStart) throw refused('a session without a client identifier');
  if (utf8Length(clientId) > limits.maxClientId) throw refused(`more than ${limits.maxClientId} bytes`);
  if (properties?.authenticationMethod !== undefined) {
    throw new MqttError('unauthorized', ReasonCode.badAuthenticationMethod, 'no authentication method is spoken here');
  }
  if (will && (!isTopicName(will.topic) || problemOnBus(will.topic) !== undefined)) {
    throw new MqttError('malformed', ReasonCode.topicNameInvalid, 'the topic of the will cannot be had here');
  }
  return {
    login: username,
    passcode: passwordOf(password),
    clientId: isNamed ? clientId : `auto-${crypto.randomUUID()}`,
  };
}

/** What CONNACK of MQTT 5 says about the server, and about what it decides otherwise than the client asked for ([MQTT-39]). */
export function connackProperties(
  packet: ConnectPacket,
  clientId: string,
  wantedExpiry: number,
  expiry: number,
  limits: MqttLimits,
  keepsNothing: boolean,
): ServerProperties {
  return {
    sessionExpiry: wantedExpiry === expiry ? undefined : Math.floor(expiry / 1_000),
    receiveMaximum: Math.max(1, Math.floor(Math.min(limits.receiveMaximum, 65_535))),
    retainAvailable: keepsNothing ? 0 : undefined,
    maximumPacketSize: limits.maxPacket <= 0xffffffff ? Math.ceil(limits.maxPacket) : undefined,
    assignedClientId: packet.clientId === '' ? clientId : undefined,
    topicAliasMaximum: Math.floor(Math.min(limits.topicAliasMaximum, 65_535)),
    sharedSubscriptionAvailable: 0,
  };
}
