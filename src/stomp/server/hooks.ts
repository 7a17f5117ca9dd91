import type { Handshake, Principal } from '../../core/subprotocol.ts';
import type { Headers } from '../protocol/frame.ts';
import type { HeaderValue } from './checked-message.ts';

/** What a client wants to do, for hooks. */
export interface StompRequest {
  /**
   * As it will be read by who has it: behind a relay percent-decoded, since RabbitMQ decodes; here as the client wrote
   * it. A wildcard subscription is also asked for each topic that it is about to see.
   */
  readonly destination: string;
  /** As the client wrote it, octet for octet. */
  readonly rawDestination: string;
  /** A copy of the headers of its frame: changing it changes nothing. */
  readonly headers: Headers;
  /** Whom `authenticate` named; undefined where nobody asked. */
  readonly principal: Principal | undefined;
  /** The HTTP request that opened the connection. */
  readonly handshake: Handshake;
  /** The `session` of CONNECTED. */
  readonly session: string;
}

/** May this client do that? */
export interface AuthorizeRequest extends StompRequest {
  /** What it wants to do there. */
  readonly command: 'SEND' | 'SUBSCRIBE';
}

/** `true` allows, also what a typed topic would refuse; `undefined` leaves it to the typed topic; all else refuses. */
export type Authorization = boolean | undefined;

/** A SEND to an application destination. */
export interface ApplicationMessage extends StompRequest {
  /** The octets of the body, which are not to be changed. */
  readonly body: Uint8Array;
  /** The MIME type that the client gave; undefined: none. */
  readonly contentType: string | undefined;
  /** The body as text. Throws a `TypeError` if it is not UTF-8. */
  text(): string;
  /** The body, parsed as JSON. Throws a `SyntaxError` if it is none. */
  json(): unknown;
}

/** What an application answers. */
export interface StompReply {
  /** Text or bytes; anything else is a bug of the hook, which is reported. */
  readonly body: string | Uint8Array;
  /** The MIME type. Text without one is `text/plain;charset=utf-8`. */
  readonly contentType?: string | undefined;
  /** Numbers and booleans are sent as text; `undefined` leaves the header out. */
  readonly headers?: Readonly<Record<string, HeaderValue>> | undefined;
}

/** What `onSend` may return: an answer to the `reply-to` of the SEND, or to another destination. */
export interface SendReply extends StompReply {
  /** Where the answer goes. @defaultValue the `reply-to` of the SEND */
  readonly destination?: string | undefined;
}

/** What a hook changes in a message. */
export interface Rewrite {
  /** The body; undefined: as it came. */
  readonly body?: string | Uint8Array | undefined;
  /** Its MIME type; undefined: as it came. */
  readonly contentType?: string | undefined;
  /** Headers to set; one that is `undefined` is taken away. */
  readonly headers?: Readonly<Record<string, HeaderValue>> | undefined;
}

/** A client that came or went. */
export interface ClientEvent {
  /** Whom `authenticate` named; undefined where nobody asked. */
  readonly principal: Principal | undefined;
  /** The HTTP request that opened the connection. */
  readonly handshake: Handshake;
  /** The `session` of CONNECTED. */
  readonly session: string;
}

/** A client that went. */
export interface DisconnectEvent extends ClientEvent {
  /** The close code (RFC 6455 7.4); 1006: there was none. */
  readonly code: number;
  /** The words of the close, which may be empty. */
  readonly reason: string;
}

/** A subscription that came or went. */
export interface SubscriptionEvent extends ClientEvent {
  /** As the client wrote it. */
  readonly destination: string;
}

/** A frame on its way, for a log. */
export interface FrameEvent extends ClientEvent {
  /** Which way it went, as the server sees it. */
  readonly direction: 'received' | 'sent';
  /** Such as SEND or MESSAGE. */
  readonly command: string;
  /** A copy of its headers; the values of those that may hold a secret, such as `passcode`, are left out. */
  readonly headers: Headers;
  /** Its body as text; octets that are not UTF-8 become U+FFFD. */
  readonly body: string;
}

/** Hooks that are only told. */
export type Told = 'onConnect' | 'onDisconnect' | 'onSubscribed' | 'onUnsubscribed';

// biome-ignore lint/suspicious/noConfusingVoidType: a hook may have nothing to say
type Hook<Request, Result> = (request: Request) => Result | void | Promise<Result | void>;

/** The application's code in front of the broker. A hook that throws a `ProtocolError` ends the connection by its fault. */
export interface BrokerHooks {
  /** May this client do that? Called for every SEND and SUBSCRIBE; see {@link Authorization}. */
  readonly authorize?: Hook<AuthorizeRequest, Authorization> | undefined;
  /** Called for a SEND to an application destination (`/app/…`). What it returns is sent to `reply-to`, if the client may. */
  readonly onSend?: Hook<ApplicationMessage, SendReply | undefined> | undefined;
  /**
   * Called for every SEND that is allowed, before it goes anywhere: what it returns is changed in the message. Headers are
   * merged, `undefined` takes one away; those that belong to the protocol cannot be set. Nothing: the message stays as
   * it is. The place to stamp the sender, which no client can forge then.
   *
   * @example
   * rewrite: ({ principal }) => ({ headers: { from: principal?.name, admin: undefined } })
   */
  readonly rewrite?: Hook<ApplicationMessage, Rewrite | undefined> | undefined;
  /** A client is there: it was told CONNECTED. What the four that follow throw is reported, and changes nothing. */
  readonly onConnect?: Hook<ClientEvent, unknown> | undefined;
  /** Such a client is gone, whatever the end was; called once. */
  readonly onDisconnect?: Hook<DisconnectEvent, unknown> | undefined;
  /** A subscription is active: what is sent from now on arrives. */
  readonly onSubscribed?: Hook<SubscriptionEvent, unknown> | undefined;
  /** Such a subscription has ended, by UNSUBSCRIBE or with its connection; called once. */
  readonly onUnsubscribed?: Hook<SubscriptionEvent, unknown> | undefined;
  /**
   * Sees each frame that comes and goes, before anybody looks at it, for a log while something is searched for: it costs
   * a second parsing of all that is sent. Heart-beats are no frames. What it throws is reported, and changes nothing.
   *
   * @example
   * onFrame: ({ direction, command, session, headers }) => console.log(session, direction, command, headers)
   */
  readonly onFrame?: ((event: FrameEvent) => void) | undefined;
  /** Called for every SUBSCRIBE that is allowed. What it returns is the first message of the subscription. */
  readonly onSubscribe?: Hook<StompRequest, StompReply | undefined> | undefined;
}
