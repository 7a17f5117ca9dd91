import { never } from '../../core/clock.ts';
import { messageOf, ProtocolError } from '../../core/fault.ts';
import type { PromiseOr } from '../../core/promise-or.ts';
import type { BaseConnection, BaseSession } from '../../core/subprotocol.ts';
import type {
  FormattedExecutionResult,
  JSONMessageReplacer,
  JSONMessageReviver,
  ProtocolMessage,
} from '../protocol/messages.ts';
import type { Told } from './recovery.ts';
import { readServerMessage } from './server-message.ts';

/** The longest message that stands as it is in a close reason. */
const maxReason = 123;
/** How long a server may take to look at new credentials, in ms. */
const refreshTimeout = 30_000;

/**
 * An operation of a client. It outlives connections: its `subscribe` message is encoded once and sent on each. What
 * the server says to it has a method of the same name.
 */
export interface ClientOperation {
  /** The id that names it in messages. */
  readonly id: string;
  /** Its `subscribe` message. */
  message: string;
  /** It is sent on a new connection: its message may be another one there. */
  renew?: (() => void) | undefined;
  /** A result came, from this offset of the server's log where it says so. */
  next(result: FormattedExecutionResult, at?: unknown): void;
  /** Ends it: the errors of an `error` message, or why there will be no connection. */
  error(reason: unknown): void;
  /** Ends it: the server, or the application, is done with it. */
  complete(): void;
  /** The server confirms that the subscription is live, or says where it is. */
  live(told: Told): void;
}

/** The payload of `connection_init`, `connection_ack`, `ping` and `pong`. */
export type Payload = Readonly<Record<string, unknown>> | null | undefined;

/** What listeners may do with the socket: a `WebSocket` where the transport has one. */
export interface ClientSocket {
  /** The subprotocol that is spoken. */
  readonly protocol: string;
  /** As of a `WebSocket`: 1 is open, 2 is closing or closed. */
  readonly readyState: number;
  /** Send a message of your own making, such as a ping of `stringifyMessage`. */
  send(data: string): void;
  /** Close it; the client comes back if something runs and the code is not final. */
  close(code?: number, reason?: string): void;
}

/** What a session takes of the client's options. */
export interface ClientSessionOptions {
  /**
   * Payload of `connection_init`. A function is asked before each connection is dialled, within `openTimeout`. What it
   * throws is final before the first connection, and a failed attempt after it.
   */
  readonly connectionParams?: Payload | (() => Payload | Promise<Payload>) | undefined;
  /**
   * Ping the server so long after the socket opened and after each pong, in ms. If nothing comes within
   * `limits.pongTimeout` (10 s), the peer is dead: the socket is dropped (4000) and the client reconnects. 0: only when a
   * tab wakes up or a network comes back.
   * @defaultValue 25,000
   */
  readonly keepAlive?: number | undefined;
  /**
   * How long the acknowledgement may take, in ms (4504). 0: for ever.
   * @defaultValue 0
   */
  readonly connectionAckWaitTimeout?: number | undefined;
  /**
   * Leave pings unanswered; the application answers them.
   * @defaultValue false
   */
  readonly disablePong?: boolean | undefined;
  /** Second argument of `JSON.parse`, for whole messages. */
  readonly jsonMessageReviver?: JSONMessageReviver | undefined;
  /** Second argument of `JSON.stringify`, for whole messages. */
  readonly jsonMessageReplacer?: JSONMessageReplacer | undefined;
}

/** What a session tells its client's listeners. */
export interface ClientSessionEvents {
  /** The socket is open; `connection_init` is sent next. */
  opened: (socket: ClientSocket) => void;
  /** The server acknowledged the connection, with this payload. `wasRetry`: one was lost before. */
  connected: (socket: ClientSocket, payload: Payload, wasRetry: boolean) => void;
  /** A ping was sent, or received. */
  ping: (received: boolean, payload: Payload) => void;
  /** A pong was sent, or received. */
  pong: (received: boolean, payload: Payload) => void;
  /** A message came, before anything is done with it. */
  message: (message: ProtocolMessage) => void;
  /** What went wrong here or on the way: a hook that threw, a message that cannot be read, a refused connection. */
  error: (error: unknown) => void;
}

/** What a session works on, and whom it tells. Nothing of it throws, but `init`. */
export interface ClientSessionHandler extends ClientSessionOptions {
  /** What runs. */
  readonly operations: ReadonlyMap<string, ClientOperation>;
  /** Call the listeners of an event. */
  emit<Event extends keyof ClientSessionEvents>(event: Event, ...details: Parameters<ClientSessionEvents[Event]>): void;
  /** The text of `connection_init`. Throws what encoding the params throws. */
  init(): PromiseOr<string>;
  /** The server acknowledged the connection. */
  connected(socket: ClientSocket, payload: Payload): void;
  /** A pong came, so many ms after its ping. */
  latency(ms: number): void;
}

/** The client's side of graphql-transport-ws on one connection. */
export interface ClientSession extends BaseSession {
  /** Operations that were sent and about which the server has said nothing yet, in that order. */
  readonly unanswered: Iterable<ClientOperation>;
  /** Send an operation, as soon as the server acknowledged the connection and takes more. */
  subscribe(operation: ClientOperation): void;
  /** Nobody wants the results of an operation any more. */
  cancel(operation: ClientOperation): void;
  /** Show new credentials; `done` hears once whether the server took them. */
  refresh(credentials: Payload, done: (taken: boolean) => void): void;
}

/** Somebody waits for the answer to new credentials. */
interface Refresh {
  readonly by: number;
  readonly done: (taken: boolean) => void;
}

/** Handshake, operations and liveness of one connection. Pure: bytes and a time in, bytes and events out. */
export function openClientSession(connection: BaseConnection, host: ClientSessionHandler): ClientSession {
  const { operations, emit, keepAlive, connectionAckWaitTimeout, disablePong } = host;
  const { jsonMessageReplacer: replacer, jsonMessageReviver: reviver } = host;
  /** Absent until the server acknowledged the connection. */
  let unsent: Set<ClientOperation> | undefined;
  const unanswered = new Set<ClientOperation>();
  const refreshes: Refresh[] = [];
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

  const socket = (connection.raw ?? {
    protocol: connection.name,
    get readyState() {
      return connection.closing ? 2 : 1;
    },
    send: sendText,
    close: (code?: number, reason?: string) => connection.finish(code, reason),
  }) as ClientSocket;

  /** Say who we are; the time for the acknowledgement runs from here. */
  async function start(): Promise<void> {
    emit('opened', socket);
    const text = host.init();
    sendText(typeof text === 'string' ? text : await text);
    const { now } = connection;
    ackBy = now + (connectionAckWaitTimeout || never);
    alive(now);
  }

  function sendUnsent(): void {
    for (const operation of unsent ?? []) {
      if (connection.mustWait()) return;
      unsent?.delete(operation);
      unanswered.add(operation);
      operation.renew?.();
      sendText(operation.message);
    }
  }

  /** The server works off messages in order: who is answered was read, and so was what was sent before. */
  function answered(operation: ClientOperation): void {
    if (!unanswered.has(operation)) return;
    for (const each of unanswered) {
      unanswered.delete(each);
      if (each === operation) return;
    }
  }

  function alive(now: number): void {
    pingedAt = undefined;
    aliveBy = now + (keepAlive || never);
  }

  function ping(now: number): void {
    pingedAt = now;
    aliveBy = now + connection.limits.pongTimeout;
    connection.touch();
    say('ping', undefined);
  }

  /** [GQL-85] A server that does not know what was asked sends it back. */
  function refreshed({ refreshed: taken, credentials }: { readonly refreshed?: unknown; credentials?: unknown }): void {
    if (taken === true || credentials) refreshes.shift()?.done(taken === true);
  }

  const session: ClientSession = {
    unanswered,

    get deadline() {
      return Math.min(ackBy, aliveBy, refreshes[0]?.by ?? never);
    },

    subscribe(operation) {
      unsent?.add(operation);
      sendUnsent();
    },

    cancel(operation) {
      unanswered.delete(operation);
      if (unsent && !unsent.delete(operation)) send({ id: operation.id, type: 'complete' });
    },

    refresh(credentials, done) {
      refreshes.push({ by: connection.now + refreshTimeout, done });
      connection.touch();
      say('ping', { subwire: { credentials } });
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
        const told = Object(payload?.['subwire']) as Told;
        operations.get(told.live as string)?.live(told);
      } else if (message.type === 'pong') {
        if (pingedAt !== undefined) host.latency(now - pingedAt);
        alive(now);
        refreshed((message.payload?.['subwire'] ?? {}) as object);
        emit('pong', true, message.payload);
      } else if (message.type !== 'connection_ack') {
        if (!unsent) throw new ProtocolError('malformed', `${message.type} before connection_ack`);
        // [GQL-65] What belongs to no operation, or to one that is over, was under way when we cancelled.
        const operation = operations.get(message.id);
        if (!operation) return;
        answered(operation);
        const { payload, at } = message as { readonly payload?: never; readonly at?: unknown };
        operation[message.type](payload as never, at);
      } else if (!unsent) {
        ackBy = never;
        // Before anybody is told: a listener may subscribe, and nothing must be sent twice.
        unsent = new Set(operations.values());
        host.connected(socket, message.payload);
        sendUnsent();
      }
    },

    tick(now) {
      if (now >= ackBy) throw new ProtocolError('initTimeout', 'Connection acknowledgement timeout');
      while (now >= (refreshes[0]?.by ?? never)) refreshes.shift()?.done(false);
      if (now < aliveBy) return;
      if (pingedAt === undefined) ping(now);
      // [GQL-70] Whatever came after the ping shows that the peer lives.
      else if (connection.receivedAt > pingedAt) alive(now);
      else {
        // A peer that is silent answers no close frame either.
        connection.close('heartbeat', 'Heartbeat timeout');
        connection.terminate();
      }
    },

    probe(now) {
      if (pingedAt === undefined) ping(now);
    },

    drained: sendUnsent,
    fail(error) {
      if (error.fault === 'malformed') emit('error', error);
    },
    end() {
      for (const { done } of refreshes.splice(0)) done(false);
    },
  };

  connection.resume(
    // Later: who hears of it may already use the client.
    Promise.resolve().then(start),
    () => {},
    (cause) => {
      emit('error', cause);
      const words = messageOf(cause);
      throw new ProtocolError('internal', words.length > maxReason ? 'Internal client error' : words, { cause });
    },
  );
  return session;
}
