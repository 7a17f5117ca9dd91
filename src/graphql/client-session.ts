import { never } from '../core/clock.ts';
import { ProtocolError } from '../core/fault.ts';
import type { BaseConnection, BaseSession } from '../core/subprotocol.ts';
import type { Wire } from '../core/wire.ts';
import {
  encodeComplete,
  encodeControl,
  type FormattedExecutionResult,
  type JSONMessageReplacer,
  type JSONMessageReviver,
  type Message,
} from './codec.ts';
import { readServerMessage, type ServerMessage } from './server-message.ts';

/** An operation of a client. It outlives connections: its `subscribe` message is encoded once and sent on each. */
export interface ClientOperation {
  readonly id: string;
  readonly wire: Wire;
  next(result: FormattedExecutionResult): void;
  /** Ends it: the errors of an `error` message, or why there will be no connection. */
  error(reason: unknown): void;
  complete(): void;
  /** The server confirms that the subscription is live. */
  live(): void;
}

export type Payload = Readonly<Record<string, unknown>> | null | undefined;

/** What a session takes of the client's options. */
export interface ClientSessionOptions {
  /**
   * Ping the server so long after the socket opened and after each pong, in ms. If nothing comes within
   * `limits.pongTimeout` (10 s), the peer is dead: the socket is dropped and the client reconnects. Default 0: only
   * when a tab wakes up or a network comes back.
   */
  readonly keepAlive?: number | undefined;
  /** How long the acknowledgement may take, in ms (4504). Default 0: for ever. */
  readonly connectionAckWaitTimeout?: number | undefined;
  /** Leave pings unanswered; the application answers them. */
  readonly disablePong?: boolean | undefined;
  /** Second argument of `JSON.parse` for messages, and of `JSON.stringify` for payloads. */
  readonly jsonMessageReviver?: JSONMessageReviver | undefined;
  readonly jsonMessageReplacer?: JSONMessageReplacer | undefined;
}

/** What a session tells its client's listeners. */
export interface ClientSessionEvents {
  ping: (received: boolean, payload: Payload) => void;
  pong: (received: boolean, payload: Payload) => void;
  message: (message: Message) => void;
}

/** What the sessions of a client share, and whom they tell. Nothing of it throws. */
export interface ClientSessionHost {
  readonly operations: ReadonlyMap<string, ClientOperation>;
  readonly options: ClientSessionOptions;
  emit<Event extends keyof ClientSessionEvents>(event: Event, ...details: Parameters<ClientSessionEvents[Event]>): void;
  connected(payload: Payload): void;
  latency(ms: number): void;
  failed(error: ProtocolError): void;
  ended(session: ClientSession, code: number, reason: string): void;
}

export interface ClientSession extends BaseSession {
  /** Send `connection_init`; the time for the acknowledgement runs from here. */
  start(params: Payload, now: number): void;
  /** Send an operation, as soon as the server acknowledged the connection and takes more. */
  subscribe(operation: ClientOperation): void;
  /** Nobody wants the results of an operation any more. */
  cancel(operation: ClientOperation): void;
  ping(payload: Payload, now: number): void;
}

/** The client's side of graphql-transport-ws on one connection: handshake, operations, liveness. Pure. */
export function openClientSession(connection: BaseConnection, host: ClientSessionHost): ClientSession {
  const { operations, emit } = host;
  const { keepAlive = 0, connectionAckWaitTimeout = 0, jsonMessageReplacer: replacer } = host.options;
  const unsent = new Set<ClientOperation>();
  let acknowledged = false;
  let ackBy = never;
  let pingAt = never;
  let pingedAt = 0;
  let pongBy = never;

  const send = (head: string): void => connection.send({ head, binary: false });

  function sendUnsent(): void {
    for (const operation of unsent) {
      if (connection.saturated) return;
      unsent.delete(operation);
      connection.send(operation.wire);
    }
  }

  function alive(now: number): void {
    pongBy = never;
    pingAt = keepAlive > 0 ? now + keepAlive : never;
  }

  function dispatch(message: ServerMessage): void {
    const { type } = message;
    if (type === 'connection_ack' && !acknowledged) {
      acknowledged = true;
      ackBy = never;
      // Before anybody is told: a listener may subscribe, and nothing must be sent twice.
      for (const operation of operations.values()) unsent.add(operation);
      host.connected(message.payload);
      return sendUnsent();
    }
    if (!acknowledged) throw new ProtocolError('malformed', `First message cannot be of type ${type}`);
    // [GQL-65] What belongs to no operation, or to one that is over, was under way when we cancelled.
    if (type === 'next') operations.get(message.id)?.next(message.payload);
    else if (type === 'error') operations.get(message.id)?.error(message.payload);
    else if (type === 'complete') operations.get(message.id)?.complete();
  }

  const session: ClientSession = {
    get deadline() {
      return Math.min(ackBy, pingAt, pongBy);
    },
    start(params, now) {
      send(encodeControl('connection_init', params || undefined, replacer));
      if (connectionAckWaitTimeout > 0) ackBy = now + connectionAckWaitTimeout;
      alive(now);
    },

    subscribe(operation) {
      if (!acknowledged) return;
      unsent.add(operation);
      sendUnsent();
    },

    cancel(operation) {
      if (acknowledged && !unsent.delete(operation)) send(encodeComplete(operation.id));
    },

    ping(payload, now) {
      pingAt = never;
      if (pongBy === never) {
        pingedAt = now;
        pongBy = now + connection.limits.pongTimeout;
      }
      send(encodeControl('ping', payload, replacer));
      connection.touch();
      emit('ping', false, payload);
    },

    receive(data, now) {
      // [CONN-40] Its transport has taken it already.
      if (data.length > connection.limits.maxPayload) throw new ProtocolError('tooLarge', 'Message too large');
      const message = readServerMessage(data, host.options.jsonMessageReviver);
      emit('message', message);
      // A listener may have ended it.
      if (connection.closing) return;
      if (message.type === 'ping') {
        const { payload } = message;
        emit('ping', true, payload);
        if (!host.options.disablePong) {
          send(encodeControl('pong', payload, replacer));
          emit('pong', false, payload);
        }
        const { live } = (payload?.['subwire'] ?? {}) as { readonly live?: unknown };
        if (typeof live === 'string') operations.get(live)?.live();
      } else if (message.type === 'pong') {
        if (pongBy !== never) host.latency(now - pingedAt);
        alive(now);
        emit('pong', true, message.payload);
      } else dispatch(message);
    },

    tick(now) {
      if (now >= ackBy) throw new ProtocolError('initTimeout', 'Connection acknowledgement timeout');
      if (now >= pongBy) {
        // [GQL-70] Whatever came after the ping shows that the peer lives.
        if (connection.receivedAt > pingedAt) return alive(now);
        // A peer that is silent answers no close frame either.
        connection.close('heartbeat', 'Heartbeat timeout');
        return connection.terminate();
      }
      if (now >= pingAt) session.ping(undefined, now);
    },

    drained: sendUnsent,

    probe(now) {
      if (pongBy === never) session.ping(undefined, now);
    },

    fail: host.failed,

    end(code, reason) {
      host.ended(session, code, reason);
    },
  };
  return session;
}
