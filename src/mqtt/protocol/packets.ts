import type { Properties } from './properties.ts';

/** The version that a CONNECT asked for, as its protocol level: 4 is MQTT 3.1.1. */
export type ProtocolLevel = 4 | 5;

/** How hard both sides try: at most once, at least once, exactly once. */
export type QoS = 0 | 1 | 2;

/** Numbers of the packet types, as in the first byte (section 2.1.2). */
export const PacketType = {
  /** Client to server: hello. */
  connect: 1,
  /** Server to client: let in, or not. */
  connack: 2,
  /** Both ways: a message. */
  publish: 3,
  /** Both ways: a QoS 1 message has arrived. */
  puback: 4,
  /** Both ways: a QoS 2 message has arrived. */
  pubrec: 5,
  /** Both ways: the packet identifier of a QoS 2 message will not be used for it again. */
  pubrel: 6,
  /** Both ways: a QoS 2 message is done with. */
  pubcomp: 7,
  /** Client to server. */
  subscribe: 8,
  /** Server to client. */
  suback: 9,
  /** Client to server. */
  unsubscribe: 10,
  /** Server to client. */
  unsuback: 11,
  /** Client to server: are you there? */
  pingreq: 12,
  /** Server to client: yes. */
  pingresp: 13,
  /** Goodbye; of a server in MQTT 5 only. */
  disconnect: 14,
  /** MQTT 5: a step of an authentication. */
  auth: 15,
} as const;

/** What a server publishes for a client that is lost (section 3.1.2.5). */
export interface Will {
  /** Where to. */
  readonly topic: string;
  /** The message, in memory of its own. */
  readonly payload: Uint8Array;
  /** Quality of service. */
  readonly qos: QoS;
  /** To be kept. */
  readonly retain: boolean;
  /** Of MQTT 5; undefined: none. */
  readonly properties: Properties | undefined;
}

/** The hello of a client (section 3.1). */
export interface ConnectPacket {
  /** Which packet it is. */
  readonly type: 'connect';
  /** The version that is spoken from now on. */
  readonly level: ProtocolLevel;
  /** Forget the session that there may be. */
  readonly cleanStart: boolean;
  /** Seconds between two packets of the client; 0: it promises nothing. */
  readonly keepAlive: number;
  /** What its session is called; '' asks the server for a name. */
  readonly clientId: string;
  /** What to publish if it is lost. */
  readonly will: Will | undefined;
  /** Who it says it is. */
  readonly username: string | undefined;
  /** What it shows for that, in memory of its own. */
  readonly password: Uint8Array | undefined;
  /** Of MQTT 5; undefined: none. */
  readonly properties: Properties | undefined;
}

/** A message of a client (section 3.3). */
export interface PublishPacket {
  /** Which packet it is. */
  readonly type: 'publish';
  /** Where to; '' where an alias says it. */
  readonly topic: string;
  /** A view of what was received. */
  readonly payload: Uint8Array;
  /** Quality of service. */
  readonly qos: QoS;
  /** To be kept. */
  readonly retain: boolean;
  /** It may have been sent before. */
  readonly dup: boolean;
  /** Names it until it is acknowledged; 0 at QoS 0. */
  readonly packetId: number;
  /** Of MQTT 5; undefined: none. */
  readonly properties: Properties | undefined;
}

/** A step of the acknowledgement of a message (sections 3.4 to 3.7). */
export interface AckPacket {
  /** Which step it is. */
  readonly type: 'puback' | 'pubrec' | 'pubrel' | 'pubcomp';
  /** The message that it is about. */
  readonly packetId: number;
  /** Below 0x80: all is well. */
  readonly reasonCode: number;
}

/** One subscription that is asked for (section 3.8.3). */
export interface SubscriptionRequest {
  /** Which topics. */
  readonly filter: string;
  /** The most that is wanted. */
  readonly qos: QoS;
  /** MQTT 5: not what this client publishes itself. */
  readonly noLocal: boolean;
  /** MQTT 5: messages keep the retain flag of their publisher. */
  readonly retainAsPublished: boolean;
  /** MQTT 5: kept messages are sent 0 always, 1 to new subscriptions, 2 never. */
  readonly retainHandling: 0 | 1 | 2;
}

/** Subscriptions (section 3.8). */
export interface SubscribePacket {
  /** Which packet it is. */
  readonly type: 'subscribe';
  /** What SUBACK repeats. */
  readonly packetId: number;
  /** At least one. */
  readonly subscriptions: readonly SubscriptionRequest[];
  /** Of MQTT 5; undefined: none. */
  readonly properties: Properties | undefined;
}

/** The end of subscriptions (section 3.10). */
export interface UnsubscribePacket {
  /** Which packet it is. */
  readonly type: 'unsubscribe';
  /** What UNSUBACK repeats. */
  readonly packetId: number;
  /** At least one. */
  readonly filters: readonly string[];
}

/** Are you there (section 3.12)? */
export interface PingPacket {
  /** Which packet it is. */
  readonly type: 'pingreq';
}

/** Goodbye (section 3.14). */
export interface DisconnectPacket {
  /** Which packet it is. */
  readonly type: 'disconnect';
  /** 0 in MQTT 3.1.1. */
  readonly reasonCode: number;
  /** Of MQTT 5; undefined: none. */
  readonly properties: Properties | undefined;
}

/** A step of an authentication of MQTT 5 (section 3.15). */
export interface AuthPacket {
  /** Which packet it is. */
  readonly type: 'auth';
}

/** Everything that a client can send. */
export type ClientPacket =
  | ConnectPacket
  | PublishPacket
  | AckPacket
  | SubscribePacket
  | UnsubscribePacket
  | PingPacket
  | DisconnectPacket
  | AuthPacket;
