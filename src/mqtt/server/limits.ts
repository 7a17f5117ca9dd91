import type { LimitOptions, LimitTable, LimitValues } from '../../core/limits.ts';

/** Limits of an MQTT broker: those of a connection beside those of every connection, and those of what is kept for all ([MQTT-60]). */
export const mqttLimits = {
  /** From the open socket to the CONNECT packet. */
  connectTimeout: { default: 3_000, unit: 'ms', fault: 'initTimeout' },
  /** CONNECT, its will and its password: what a peer can make us keep before it has said who it is. */
  maxConnect: { default: 65_536, unit: 'bytes', fault: 'tooLarge' },
  /** One packet after CONNECT; CONNACK of MQTT 5 says so. */
  maxPacket: { default: 1_048_576, unit: 'bytes', fault: 'tooLarge' },
  /** From the first byte of a packet to its last one. */
  packetTimeout: { default: 30_000, unit: 'ms', fault: 'malformed' },
  /** While it asks the application, a connection is not read: a hook that never answers would keep it for ever. */
  hookTimeout: { default: 10_000, unit: 'ms', fault: 'unavailable' },
  /** A client identifier. */
  maxClientId: { default: 256, unit: 'bytes', fault: 'tooLarge' },
  /** Subscriptions of one session; one more is refused in SUBACK. */
  maxSubscriptions: { default: 100, unit: 'count', fault: 'tooMany' },
  /** QoS 1 and 2 messages of a client that are under way; CONNACK of MQTT 5 says so. */
  receiveMaximum: { default: 1_000, unit: 'count', fault: 'tooMany' },
  /** Messages of a client whose outcome the bus owes; over it the client is not read. */
  maxPending: { default: 1_000, unit: 'count', fault: 'tooMany' },
  /** Topic aliases of a client; CONNACK of MQTT 5 says so. */
  topicAliasMaximum: { default: 16, unit: 'count', fault: 'malformed' },
  /** QoS 1 and 2 messages to a client that it has not acknowledged; what comes after them waits. */
  maxInflight: { default: 100, unit: 'count', fault: 'tooSlow' },
  /** QoS 1 and 2 messages that wait for a session. One more cuts a client, and forgets a session that is away. */
  maxQueued: { default: 1_000, unit: 'count', fault: 'tooSlow' },
  /** What they cost in memory. */
  maxQueuedBytes: { default: 4_194_304, unit: 'bytes', fault: 'tooSlow' },
  /** Sessions without a connection. One more is not kept. */
  maxSessions: { default: 10_000, unit: 'count', fault: 'tooMany' },
  /** What all of them cost in memory. */
  maxSessionBytes: { default: 67_108_864, unit: 'bytes', fault: 'tooMany' },
  /** Sessions without a connection of one principal. */
  maxUserSessions: { default: 100, unit: 'count', fault: 'tooMany' },
  /** What they cost in memory. */
  maxUserSessionBytes: { default: 16_777_216, unit: 'bytes', fault: 'tooMany' },
  /** For how long a session outlives its connection at the most; CONNACK of MQTT 5 says so. */
  maxSessionExpiry: { default: 3_600_000, unit: 'ms', fault: 'tooMany' },
  /** Retained messages. One more is not kept. */
  maxRetained: { default: 10_000, unit: 'count', fault: 'tooMany' },
  /** What they cost in memory. */
  maxRetainedBytes: { default: 67_108_864, unit: 'bytes', fault: 'tooMany' },
  /** Retained messages of one principal, and of all that have none. */
  maxUserRetained: { default: 1_000, unit: 'count', fault: 'tooMany' },
} as const satisfies LimitTable;

/** The numbers of {@link mqttLimits}. */
export type MqttLimits = LimitValues<typeof mqttLimits>;
/** The same as options, each of which may be left out. */
export type MqttLimitOptions = LimitOptions<typeof mqttLimits>;
