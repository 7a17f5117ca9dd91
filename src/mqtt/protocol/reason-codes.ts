/** Reason codes that a server sends or understands (MQTT 5, section 2.4). From 0x80 on something went wrong. */
export const ReasonCode = {
  /** It worked; in SUBACK: QoS 0 was granted. */
  success: 0x00,
  /** DISCONNECT: the client leaves, and its will is to be published. */
  disconnectWithWill: 0x04,
  /** PUBACK, PUBREC: nobody listens. */
  noMatchingSubscribers: 0x10,
  /** UNSUBACK: there was no such subscription. */
  noSubscription: 0x11,
  /** Something went wrong, and nothing more is said. */
  unspecified: 0x80,
  /** It cannot be read. */
  malformedPacket: 0x81,
  /** It can be read, and must not be said, or not now. */
  protocolError: 0x82,
  /** The server does not do that. */
  implementationSpecific: 0x83,
  /** CONNACK: another version of MQTT. */
  unsupportedVersion: 0x84,
  /** CONNACK: the client identifier is none, or belongs to somebody else. */
  clientIdNotValid: 0x85,
  /** CONNACK: user name or password are wrong. */
  badCredentials: 0x86,
  /** This client may not do that. */
  notAuthorized: 0x87,
  /** CONNACK: the server is away. */
  serverUnavailable: 0x88,
  /** The server has too much to do. */
  serverBusy: 0x89,
  /** DISCONNECT: the server leaves. */
  serverShuttingDown: 0x8b,
  /** An authentication method that is not spoken. */
  badAuthenticationMethod: 0x8c,
  /** DISCONNECT: the client was silent for one and a half times its keep-alive. */
  keepAliveTimeout: 0x8d,
  /** DISCONNECT: another connection has taken the session. */
  sessionTakenOver: 0x8e,
  /** The topic filter is none, or cannot be had here. */
  topicFilterInvalid: 0x8f,
  /** The topic name is none, or cannot be had here. */
  topicNameInvalid: 0x90,
  /** The packet identifier is in use. */
  packetIdInUse: 0x91,
  /** PUBREL, PUBCOMP: nothing is known by this packet identifier. */
  packetIdNotFound: 0x92,
  /** More QoS 1 and 2 messages are under way than the receive maximum. */
  receiveMaximumExceeded: 0x93,
  /** A topic alias of zero, above the maximum, or without a topic. */
  topicAliasInvalid: 0x94,
  /** A packet of more bytes than are taken. */
  packetTooLarge: 0x95,
  /** More messages a second than are taken. */
  messageRateTooHigh: 0x96,
  /** A limit was passed. */
  quotaExceeded: 0x97,
  /** An administrator has ended it. */
  administrativeAction: 0x98,
  /** Retained messages are not kept here. */
  retainNotSupported: 0x9a,
  /** Shared subscriptions are not served here. */
  sharedSubscriptionsNotSupported: 0x9e,
  /** Credentials have expired: the time that they were good for is over. */
  maximumConnectTime: 0xa0,
} as const;

/** Return codes of CONNACK in MQTT 3.1.1 (section 3.2.2.3). */
export const ReturnCode = {
  /** Let in. */
  accepted: 0,
  /** Another version of MQTT. */
  unacceptableVersion: 1,
  /** The client identifier is none, or belongs to somebody else. */
  identifierRejected: 2,
  /** The server is away. */
  serverUnavailable: 3,
  /** User name or password are wrong. */
  badCredentials: 4,
  /** This client is not let in. */
  notAuthorized: 5,
} as const;
