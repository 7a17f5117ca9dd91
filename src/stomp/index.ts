/** The server's side of STOMP, and its codec. The client has an entry point of its own. */
export { type ListenTcpOptions, listenTcp, type TcpEndpoint } from '../adapters/tcp.ts';
export type { SlowSubscriber } from '../core/slow-subscriber.ts';
export type {
  ApplicationMessage,
  AuthorizeRequest,
  BrokerHooks,
  SendReply,
  StompReply,
  StompRequest,
  Verdict,
} from './broker.ts';
export { Decoder, type DecoderLimits, encodeFrame, type Frame, type HeaderInput, type Headers } from './codec.ts';
export type { Prefixes } from './destinations.ts';
export type { BrokerStats } from './queues.ts';
export { type BrokerAddress, type StompRelay, type StompRelayOptions, stompRelay } from './relay.ts';
export { type StompBroker, type StompBrokerOptions, type StompSendOptions, stompBroker } from './server.ts';
export { type BrokerLimitOptions, type BrokerLimits, brokerLimits } from './server-limits.ts';
export type { AckMode } from './subscription.ts';
export { type Version, versions } from './versions.ts';
