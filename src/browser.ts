/** The front door without the server: what browsers can load. */

export type { Access, ClientAccess, DeclareOptions, OpenTopics, Operation } from './bus/access.ts';
export {
  type Backbone,
  BackboneError,
  type BackboneFailure,
  type BackboneState,
  type HeaderValue,
  type PublishOptions,
} from './bus/backbone.ts';
export {
  type Bus,
  type BusEvents,
  type BusOptions,
  createBus,
  type SubscribeOptions,
} from './bus/bus.ts';
export type { BusStats } from './bus/bus-stats.ts';
export type { Listener, ListenHandle, ListenOptions, MessageReceiver } from './bus/fan-out.ts';
export { memoryBackbone } from './bus/memory-backbone.ts';
export type { Message, MessageHeaders, Position } from './bus/message.ts';
export type { StandardIssue, StandardResult, StandardSchema } from './bus/standard-schema.ts';
export { MessagesLost, push, type Sink, type Subscription } from './bus/subscription.ts';
export { type Codec, type Topic, type TopicOptions, topic } from './bus/topic.ts';
export { type ConnectOptions, connect } from './connect/connect.ts';
export { type NegotiateOptions, negotiate } from './connect/negotiate.ts';
export type { BackoffOptions } from './core/backoff.ts';
export type { ClientLimitOptions } from './core/client-limits.ts';
export type { Timers } from './core/clock.ts';
export { ConnectionLost } from './core/connection-lost.ts';
export type { Address, Connector, ConnectorState } from './core/dial.ts';
export type { Disconnection, DisconnectionSource } from './core/disconnection.ts';
export { CloseCode, type Fault, type FaultCodes, ProtocolError } from './core/fault.ts';
export type { Transport } from './core/socket.ts';
export type {
  Admission,
  Authenticate,
  ClientProtocol,
  Credentials,
  Handshake,
  Principal,
  Subprotocol,
} from './core/subprotocol.ts';
