import type { Handshake, Principal } from '../../core/subprotocol.ts';
import type { Headers } from '../protocol/frame.ts';

/** What a client wants to do, for hooks. */
export interface StompRequest {
  /** As the client wrote it. A wildcard subscription is also asked for each topic that it is about to see. */
  readonly destination: string;
  readonly headers: Headers;
  /** Whom `authenticate` named; undefined where nobody asked. */
  readonly principal: Principal | undefined;
  readonly handshake: Handshake;
  /** The `session` of CONNECTED. */
  readonly session: string;
}

/** May this client do that? */
export interface AuthorizeRequest extends StompRequest {
  readonly command: 'SEND' | 'SUBSCRIBE';
}

/** `true` allows, also what a typed topic would refuse; `undefined` leaves it to the typed topic; all else refuses. */
export type Authorization = boolean | undefined;

/** A SEND to an application destination. */
export interface ApplicationMessage extends StompRequest {
  readonly body: Uint8Array;
  readonly contentType: string | undefined;
  /** The body as text. Throws a `TypeError` if it is not UTF-8. */
  text(): string;
  /** The body, parsed as JSON. Throws a `SyntaxError` if it is none. */
  json(): unknown;
}

/** What an application answers. */
export interface StompReply {
  readonly body: string | Uint8Array;
  readonly contentType?: string | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

/** What `onSend` may return: an answer to the `reply-to` of the SEND, or to another destination. */
export interface SendReply extends StompReply {
  readonly destination?: string | undefined;
}

// biome-ignore lint/suspicious/noConfusingVoidType: a hook may have nothing to say
type Hook<Request, Result> = (request: Request) => Result | void | Promise<Result | void>;

/** The application's code in front of the broker. A hook that throws a `ProtocolError` ends the connection by its fault. */
export interface BrokerHooks {
  readonly authorize?: Hook<AuthorizeRequest, Authorization> | undefined;
  /** Called for a SEND to an application destination (`/app/…`). What it returns is sent to `reply-to`, if the client may. */
  readonly onSend?: Hook<ApplicationMessage, SendReply | undefined> | undefined;
  /** Called for every SUBSCRIBE that is allowed. What it returns is the first message of the subscription. */
  readonly onSubscribe?: Hook<StompRequest, StompReply | undefined> | undefined;
}
