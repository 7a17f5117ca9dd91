/** The server's side of STOMP, and its codec. The client has an entry point of its own. */
export type { SlowSubscriber } from '../core/slow-subscriber.ts';
export { type BrokerLimitOptions, type BrokerLimits, brokerLimits } from './broker/limits.ts';
export type { OpenQueues } from './broker/queue-access.ts';
export type { QueueStats, QueueTotals } from './broker/queues.ts';
export {
  type StompBroker,
  type StompBrokerOptions,
  type StompSendOptions,
  type StompStats,
  stompBroker,
} from './broker/stomp-broker.ts';
export { Decoder, type DecoderLimits } from './protocol/decoder.ts';
export { encodeFrame } from './protocol/encoder.ts';
export type { Frame, Headers } from './protocol/frame.ts';
export type { AckMode } from './protocol/frame-fields.ts';
export type { HeaderInput } from './protocol/headers.ts';
export { type Version, versions } from './protocol/versions.ts';
export type { ConnectHeaders, ConnectRequest } from './relay/connect-headers.ts';
export {
  type BrokerAddress,
  type RelayStats,
  type StompRelay,
  type StompRelayOptions,
  stompRelay,
} from './relay/stomp-relay.ts';
export type { SystemLogin } from './relay/system-connection.ts';
export type { HeaderValue } from './server/checked-message.ts';
export type { Prefixes } from './server/destinations.ts';
export type {
  ApplicationMessage,
  Authorization,
  AuthorizeRequest,
  BrokerHooks,
  ClientEvent,
  DisconnectEvent,
  FrameEvent,
  Rewrite,
  SendReply,
  StompReply,
  StompRequest,
  SubscriptionEvent,
} from './server/hooks.ts';
