/**
 * The door for authors of protocols, transports and backbones. A protocol is a {@link Subprotocol} whose sessions are
 * pure: bytes and a time go in, bytes and events come out. A backbone is a {@link Backbone} that hands its messages,
 * made by {@link createMessage}, to the bus. What users need is in the front door.
 */

export { closedTopic } from './bus/access.ts';
export {
  type Backbone,
  type BackboneAbilities,
  BackboneError,
  type BackboneFailure,
  type BackboneQueues,
  type BackboneSink,
  type BackboneState,
  type MessageOptions,
  type QueueConsumer,
  type QueueDelivery,
} from './bus/backbone.ts';
export type { Listener, ListenHandle, ListenOptions, MessageReceiver, Readers } from './bus/fan-out.ts';
export { isEmbedded } from './bus/memory-backbone.ts';
export { createMessage, type Encoding, type Message, type MessageHeaders, type Position } from './bus/message.ts';
export { maxNameLength, maxSegments, problemOfName, problemOfTopic } from './bus/names.ts';
export { busGrammar, isPattern, mqttGrammar, type PatternGrammar, PatternIndex } from './bus/pattern.ts';
export { isStandardSchema, type StandardSchema, validated } from './bus/standard-schema.ts';
export { createSubscription, push, type Sink, type Stoppable, type Subscription } from './bus/subscription.ts';
export { type Clock, systemClock, type Timed, type Timers } from './core/clock.ts';
export { type AcceptingEndpoint, createEndpoint, type Endpoint } from './core/endpoint.ts';
export { CloseCode, type Fault, type FaultCodes, type FaultTable, ProtocolError } from './core/fault.ts';
export { faultTable } from './core/fault-table.ts';
export { createInTurn, type InTurn } from './core/in-turn.ts';
export { type Limit, type LimitOptions, type LimitTable, type LimitValues, resolveLimits } from './core/limits.ts';
export type { Attempt, ServerReceiver, Socket, SocketReceiver, Transport } from './core/socket.ts';
export type {
  BaseConnection,
  BaseSession,
  ClientProtocol,
  Connection,
  Credentials,
  Handshake,
  Principal,
  Session,
  ShownCredentials,
  Subprotocol,
} from './core/subprotocol.ts';
export { bytesOf, decodeUtf8, encodeUtf8, type Wire } from './core/wire.ts';
