import type { Fault, FaultCodes, FaultTable, ProtocolError } from './fault.ts';
import type { ClientLimits, ConnectionLimits } from './limits.ts';
import type { Refusal } from './refuse.ts';
import type { Wire } from './wire.ts';

/** What is kept of the HTTP request that opened a connection; for plain TCP the headers are empty and `url` is ''. */
export interface Handshake {
  /** Path and query, as in the request line. */
  readonly url: string;
  /** Header names in lower case; repeated headers are joined by `, `. */
  readonly headers: Readonly<Record<string, string>>;
  /** The address of the peer; with `trustProxy` or `proxyProtocol` that of the client behind the proxies. */
  readonly remoteAddress: string;
  /** Came by TLS, as far as `trustProxy` lets it be known. */
  readonly secure: boolean;
  /** The address was named by a proxy that is trusted, and is no proxy's own. */
  readonly trusted?: boolean | undefined;
  /** What a path such as `/tenants/:id` found, decoded. Absent where there is no path. */
  readonly params?: Readonly<Record<string, string>> | undefined;
  /** What the hook `upgrade` answered with, such as a session. */
  readonly extra?: Readonly<Record<string, unknown>> | undefined;
}

/** What somebody shows to say who they are: of the handshake always, of the protocol what it has. */
export interface Credentials {
  /** The negotiated token; '' where there was none. */
  readonly subprotocol: string;
  /** The request that opened the connection. */
  readonly handshake: Handshake;
  /** GraphQL: the payload of `connection_init`. Never trusted before `authenticate` has looked at it. */
  readonly connectionParams?: Readonly<Record<string, unknown>> | undefined;
  /** STOMP: the header `login` of CONNECT. MQTT: the user name. */
  readonly login?: string | undefined;
  /** STOMP: the header `passcode` of CONNECT. MQTT: the password. */
  readonly passcode?: string | undefined;
  /** STOMP: the header `host` of CONNECT. */
  readonly host?: string | undefined;
  /** MQTT: the client identifier, which is no proof of anything. */
  readonly clientId?: string | undefined;
  /** STOMP: all headers of CONNECT. */
  readonly headers?: ReadonlyMap<string, string> | undefined;
}

/** What a protocol adds to the handshake. */
export type ShownCredentials = Omit<Credentials, 'subprotocol' | 'handshake'>;

/** Who a connection belongs to, as the application's `authenticate` said. */
export interface Principal {
  /** The name for `/user/…` destinations, logs and rules. */
  readonly name?: string | undefined;
  /** When this ends, in ms since 1970 UTC: the connection is closed then (fault `expired`). */
  readonly expiresAt?: number | undefined;
  readonly [property: string]: unknown;
}

/**
 * What {@link Authenticate} answers: a principal lets in as that, `true` lets in as nobody, `false`, `undefined` and
 * `null` refuse, and `refuse({ code, reason })` refuses with these words. Anything else is a bug: reported, refused.
 */
export type Admission = Principal | boolean | Refusal | null | undefined;

/**
 * Who is this? Asked once for each connection, and again when credentials are refreshed. A throw or a rejection is a bug
 * in the hook (fault `internal`); an answer that has not come within `hookTimeout` is the fault `unavailable`.
 */
export type Authenticate = (credentials: Credentials) => Admission | PromiseLike<Admission>;

/**
 * A protocol for one connection, as far as clients and servers have it in common. Pure: no I/O, no clock, no timer, no
 * promise; time is a number of ms. What is asynchronous lives beside it and comes back through
 * {@link BaseConnection.resume}.
 */
export interface BaseSession {
  /** When `tick` is wanted next; Infinity: never. Read again after each call. */
  readonly deadline: number;
  /** A message, or a piece of a stream. Throws {@link ProtocolError} and nothing else. */
  receive(data: string | Uint8Array, now: number): void;
  /** The deadline has come. Throws as `receive`. */
  tick(now: number): void;
  /** The connection takes more: paused sources go on. */
  drained(now: number): void;
  /** The connection ends by a fault: send last words. They are flushed before the close. */
  fail?(error: ProtocolError): void;
  /** The transport is gone; called exactly once. Let go of everything. */
  end(code: number, reason: string): void;
  /** Is the peer still there? Called when a tab wakes up or a network comes back; the answer shows in `tick`. */
  probe?(now: number): void;
}

/** What a server asks of its sessions. */
export interface Session extends BaseSession {
  /**
   * The part of `deadline` by which something has to be sent, such as a heart-beat: `tick` is called for it even while
   * input is held back. Absent: nothing has to be.
   */
  readonly sendBy?: number | undefined;
  /**
   * True while input is held back for something that has a time limit. If the socket closes meanwhile, input that was
   * already received is still processed; when undefined it is dropped.
   */
  readonly awaiting?: boolean | undefined;
  /** Text is to it what its UTF-8 is: messages may be handed over as bytes, which saves making a string of each. */
  readonly takesBytes?: boolean | undefined;
  /** Nothing runs: drain may close this connection. */
  readonly idle: boolean;
  /** Input is no longer held back: go on with what the codec still has. Throws as `receive`. */
  released(now: number): void;
  /** The server is leaving: finish what runs, start nothing new. */
  drain(now: number): void;
  /** The peer says no more and still reads: answer what it asked, then finish. Absent: the connection is finished at once. */
  peerEnded?(now: number): void;
  /** The connection ends by a fault: send last words. They are flushed before the close. */
  fail(error: ProtocolError): void;
}

/** What a session, or the code around it, may do with its connection, on a client as on a server. */
export interface BaseConnection {
  /** The limits of this connection. */
  readonly limits: ClientLimits;
  /** The negotiated token; '' where there was none. */
  readonly name: string;
  /** What the transport works on, such as a WebSocket; absent where it has nothing to hand out. */
  readonly raw?: unknown;
  /** No more input is processed and nothing but last words is sent. */
  readonly closing: boolean;
  /** When data last left and last came, in ms of the clock. A part of a message counts, a WebSocket pong does not. */
  readonly sentAt: number;
  /** When data last came, in ms of the clock. A part of a message counts, a WebSocket pong does not. */
  readonly receivedAt: number;
  /** Milliseconds of the clock. */
  readonly now: number;
  /**
   * Is more than half of the high-water mark unsent? Sources that can wait should then, until the session is told by
   * `drained`.
   */
  mustWait(): boolean;
  /** Send a message; on a server all of one turn leave in one write. Ignored once the connection is closing. */
  send(wire: Wire): void;
  /**
   * Come back with an outcome: `then` or `otherwise` is called with the time, unless the connection has ended. What
   * they throw is treated as if `receive` had thrown it; without `otherwise`, a rejection is the fault `internal`.
   */
  resume<T>(
    outcome: Promise<T> | T,
    then: (value: T, now: number) => void,
    otherwise?: (error: unknown, now: number) => void,
  ): void;
  /** The deadline of the session may have changed outside a call to it. */
  touch(): void;
  /** End by a fault: last words, flush, close. The first fault counts; later ones are ignored. */
  close(fault: Fault, detail?: string): void;
  /** Flush, then close normally (1000). */
  finish(code?: number, reason?: string): void;
  /** Drop the transport at once, without a goodbye. */
  terminate(): void;
  /** Tell the application of an error that is not the peer's fault. Never throws. */
  report(error: unknown): void;
}

/** What a server's connection can do besides. */
export interface Connection extends BaseConnection {
  /** The limits of this connection. */
  readonly limits: ConnectionLimits;
  /** The request that opened it. */
  readonly handshake: Handshake;
  /** Whom `authenticate` named; undefined before. */
  readonly principal: Principal | undefined;
  /** WebSocket pings ask this peer whether it lives, and cut it when it does not answer: a session need not. */
  readonly isPinged: boolean;
  /** Much of what was sent has not been read, and the peer reads on: publishers may wait for it a little. */
  readonly lags: boolean;
  /** What was queued so far leaves now, not at the end of the turn. */
  flush(): void;
  /** Keep later input back until `release` was called as often as `hold`. */
  hold(): void;
  /** Let input in again, once it was called as often as `hold`. */
  release(): void;
  /**
   * Count what this peer makes us keep, in bytes, at what it costs in memory: parsed JSON is some 20 times its text, an
   * entry of a map some 100. With a negative number it is let go of again; what is left at the end of the connection
   * needs not be.
   *
   * Throws a {@link ProtocolError} `tooLarge` when the connection would go over `maxKept`; then nothing was counted.
   */
  charge(bytes: number): void;
  /**
   * Asked by a session before it works off each frame of what it has received. `false`: this connection has had its
   * share of this turn, or its `messageRate` is used up. Then the session stops, input is held back, and `released` is
   * called in a later turn. Sessions for which a message is one frame need not ask.
   */
  takeFrame(): boolean;
  /**
   * Call `run` at the end of this turn of the event loop, after what was queued so far has left, whether or not the
   * connection has ended by then. What it throws is treated as if `receive` had thrown it.
   */
  afterTurn(run: () => void): void;
  /**
   * Ask the application who this is. `then` gets whether it lets them in; from then on `principal` is known and the
   * connection ends when it expires. Without an `authenticate` hook everybody is let in, as nobody.
   */
  authenticate(credentials: ShownCredentials, then: (admitted: boolean, now: number) => void): void;
}

/** A protocol that a client can speak: see `connect()`. */
export interface ClientProtocol {
  /** Tokens of `Sec-WebSocket-Protocol`, the preferred first. None: it is spoken over byte streams. */
  readonly names: readonly string[];
  /** Close codes of the faults that a client may raise; 1011 for those that are not there. */
  readonly faults: FaultCodes;
  /** A connection to `url` is there. */
  readonly open: (connection: BaseConnection, name: string, url: string) => BaseSession;
}

/** A protocol that an endpoint can speak. A new one is a folder and a line in `protocols`. */
export interface Subprotocol {
  /** Tokens of `Sec-WebSocket-Protocol`, the preferred first. */
  readonly names: readonly string[];
  /** Tokens that are refused with advice, such as those of a predecessor: token to close reason. */
  readonly advice?: Readonly<Record<string, string>> | undefined;
  /** How each fault looks in a close frame. */
  readonly faults: FaultTable;
  /** Speaks to clients that offer no token at all (RFC 6455 4.1 allows that): STOMP does. */
  readonly acceptsUnnamed?: boolean | undefined;
  /** A connection that speaks this is there. The session may send, hold or close while it is made. */
  open(connection: Connection, name: string): Session;
  /** Its limits as they hold, defaults filled in, beside those of every connection. Absent: it has none of its own. */
  readonly limits?: Readonly<Record<string, number>> | undefined;
  /** What it counts, for `stats()` of the endpoint: numbers by name, or objects of such. Absent: nothing. */
  stats?(): object;
  /** The endpoint closes for good: let go of what outlives connections. */
  dispose?(): void;
}
