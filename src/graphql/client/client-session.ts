import { never } from '../../core/clock.ts';
import { messageOf, ProtocolError } from '../../core/fault.ts';
import type { BaseConnection, BaseSession } from '../../core/subprotocol.ts';
import type {
  FormattedExecutionResult,
  JSONMessageReplacer,
  JSONMessageReviver,
  ProtocolMessage,
} from '../protocol/messages.ts';
import { readServerMessage } from './server-message.ts';

/**
 * An operation of a client. It outlives connections: its `subscribe` message is encoded once and sent on each. What
 * the server says to it has a method of the same name.
 */
export interface ClientOperation {
  readonly id: string;
  message: string;
  next(result: FormattedExecutionResult): void;
  /** Ends it: the errors of an `error` message, or why there will be no connection. */
  error(reason: unknown): void;
  complete(): void;
  /** The server confirms that the subscription is live. */
  live(): void;
}

export type Payload = Readonly<Record<string, unknown>> | null | undefined;

/** What listeners may do with the socket. */
export interface ClientSocket {
  readonly protocol: string;
  /** As of a `WebSocket`: 1 is open, 2 is closing or closed. */
  readonly readyState: number;
  /** Send a message of your own making, such as a ping of `stringifyMessage`. */
  send(data: string): void;
  close(code?: number, reason?: string): void;
}

/** What a session takes of the client's options. */
export interface ClientSessionOptions {
  /** Payload of `connection_init`. A function is asked for each connection; what it throws is final (4005). */
  readonly connectionParams?: Payload | (() => Payload | Promise<Payload>) | undefined;
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
  /** Second argument of `JSON.parse` and of `JSON.stringify`, for whole messages. */
  readonly jsonMessageReviver?: JSONMessageReviver | undefined;
  readonly jsonMessageReplacer?: JSONMessageReplacer | undefined;
}

/** What a session tells its client's listeners. */
export interface ClientSessionEvents {
  /** The socket is open; `connectionParams` are asked for next. */
  opened: (socket: ClientSocket) => void;
  /** The server acknowledged the connection. */
  connected: (socket: ClientSocket, payload: Payload, wasRetry: boolean) => void;
  ping: (received: boolean, payload: Payload) => void;
  pong: (received: boolean, payload: Payload) => void;
  message: (message: ProtocolMessage) => void;
  /** What went wrong here or on the way: a hook that threw, a message that cannot be read, a refused connection. */
  error: (error: unknown) => void;
}

/** What a session works on, and whom it tells. Nothing of it throws. */
export interface ClientSessionHandler extends ClientSessionOptions {
  readonly operations: ReadonlyMap<string, ClientOperation>;
  emit<Event extends keyof ClientSessionEvents>(event: Event, ...details: Parameters<ClientSessionEvents[Event]>): void;
  /** The server acknowledged the connection. Was it lost before? */
  connected(): boolean;
  latency(ms: number): void;
}

export interface ClientSession extends BaseSession {
  /** Send an operation, as soon as the server acknowledged the connection and takes more. */
  subscribe(operation: ClientOperation): void;
  /** Nobody wants the results of an operation any more. */
  cancel(operation: ClientOperation): void;
  ping(payload: Payload, now: number): void;
}

/** The client's side of graphql-transport-ws on one connection: handshake, operations, liveness. Pure. */
export function openClientSession(connection: BaseConnection, host: ClientSessionHandler): ClientSession {
  const { operations, emit, connectionParams, keepAlive, connectionAckWaitTimeout, disablePong } = host;
  const { jsonMessageReplacer: replacer, jsonMessageReviver: reviver } = host;
  /** Absent until the server acknowledged the connection. */
  let unsent: Set<ClientOperation> | undefined;
  let ackBy = never;
  // When the ping was sent whose pong is awaited; absent: none is.
  let pingedAt: number | undefined;
  // When to ping, or while a pong is awaited, when it has to be there.
  let aliveBy = never;

  const sendText = (head: string): void => connection.send({ head, binary: false });
  const send = (message: ProtocolMessage): void => sendText(JSON.stringify(message, replacer));
  function say(type: 'ping' | 'pong', payload: Payload): void {
    send({ type, payload });
    emit(type, false, payload);
  }

  const socket: ClientSocket = {
    protocol: connection.name,
    get readyState() {
      return connection.closing ? 2 : 1;
    },
    send: sendText,
    close: (code, reason) => connection.finish(code, reason),
  };

  /** Say who we are; the time for the acknowledgement runs from here. */
  async function start(): Promise<void> {
    emit('opened', socket);
    const params = typeof connectionParams === 'function' ? await connectionParams() : connectionParams;
    const { now } = connection;
    send({ type: 'connection_init', payload: params || undefined });
    ackBy = now + (connectionAckWaitTimeout || never);
    alive(now);
  }

  function sendUnsent(): void {
    for (const operation of unsent ?? []) {
      if (connection.saturated) return;
      unsent?.delete(operation);
      sendText(operation.message);
    }
  }

  function alive(now: number): void {
    pingedAt = undefined;
    aliveBy = now + (keepAlive || never);
  }

  const session: ClientSession = {
    get deadline() {
      return Math.min(ackBy, aliveBy);
    },

    subscribe(operation) {
      unsent?.add(operation);
      sendUnsent();
    },

    cancel(operation) {
      if (unsent && !unsent.delete(operation)) send({ id: operation.id, type: 'complete' });
    },

    ping(payload, now) {
      if (pingedAt === undefined) {
        pingedAt = now;
        aliveBy = now + connection.limits.pongTimeout;
      }
      connection.touch();
      say('ping', payload);
    },

    receive(data, now) {
      // [CONN-40] Its transport has taken it already.
      if (data.length > connection.limits.maxPayload) throw new ProtocolError('tooLarge', 'Message too large');
      const message = readServerMessage(data, reviver);
      emit('message', message);
      // A listener may have ended it.
      if (connection.closing) return;
      if (message.type === 'ping') {
        const { payload } = message;
        emit('ping', true, payload);
        if (!disablePong) say('pong', payload);
        const confirmed = payload?.['subwire'] as { readonly live: string } | undefined;
        operations.get(confirmed?.live as string)?.live();
      } else if (message.type === 'pong') {
        if (pingedAt !== undefined) host.latency(now - pingedAt);
        alive(now);
        emit('pong', true, message.payload);
      } else if (message.type !== 'connection_ack') {
        if (!unsent) throw new ProtocolError('malformed', `${message.type} before connection_ack`);
        // [GQL-65] What belongs to no operation, or to one that is over, was under way when we cancelled.
        operations.get(message.id)?.[message.type]((message as { payload?: never }).payload as never);
      } else if (!unsent) {
        ackBy = never;
        // Before anybody is told: a listener may subscribe, and nothing must be sent twice.
        unsent = new Set(operations.values());
        emit('connected', socket, message.payload, host.connected());
        sendUnsent();
      }
    },

    tick(now) {
      if (now >= ackBy) throw new ProtocolError('initTimeout', 'Connection acknowledgement timeout');
      if (now < aliveBy) return;
      if (pingedAt === undefined) session.ping(undefined, now);
      // [GQL-70] Whatever came after the ping shows that the peer lives.
      else if (connection.receivedAt > pingedAt) alive(now);
      else {
        // A peer that is silent answers no close frame either.
        connection.close('heartbeat', 'Heartbeat timeout');
        connection.terminate();
      }
    },

    probe(now) {
      if (pingedAt === undefined) session.ping(undefined, now);
    },

    drained: sendUnsent,
    fail(error) {
      if (error.fault === 'malformed') emit('error', error);
    },
    end() {},
  };

  connection.resume(
    // Later: who hears of it may already use the client.
    Promise.resolve().then(start),
    () => {},
    (cause) => {
      emit('error', cause);
      throw new ProtocolError('internal', messageOf(cause), { cause });
    },
  );
  return session;
}
