import { ProtocolError } from '../../core/fault.ts';
import { isPromise } from '../../core/promise-or.ts';
import type { Connection } from '../../core/subprotocol.ts';
import { decodeUtf8 } from '../../core/wire.ts';
import type { Frame, Headers } from '../protocol/frame.ts';
import { shorten } from '../protocol/frame-fields.ts';
import { checkedMessage, rewrittenFrame } from './checked-message.ts';
import { isReplyTo, type Owner, type Route } from './destinations.ts';
import type { ApplicationMessage, AuthorizeRequest, BrokerHooks, StompRequest, Told } from './hooks.ts';
import type { Outgoing } from './outgoing.ts';

/** A client, as the application is told of it. */
export interface ApplicationClient extends Owner {
  /** Its connection, with its principal and its handshake. */
  readonly connection: Connection;
}

/**
 * Does a destination allow this without the application's word? `undefined`: yes; else why it does not, as the end of a
 * sentence that may be empty.
 */
export type DefaultPermission = (
  client: ApplicationClient,
  command: AuthorizeRequest['command'],
  route: Route,
) => string | undefined;

/** Who let a client do something: the application, whatever the destination says, or the destination itself. */
export type Permission = 'byApplication' | 'byDestination';

const noHeaders: Headers = new Map();

interface ApplicationParts extends BrokerHooks {
  readonly permitted: DefaultPermission;
  /** Where an answer goes. */
  readonly route: (destination: string) => Route;
  readonly publish: (message: Outgoing) => Promise<unknown> | undefined;
}

/** The application's hooks, as all connections of a server call them. What they answer is checked here, nowhere else. */
export class Application {
  readonly #parts: ApplicationParts;

  constructor(parts: ApplicationParts) {
    this.#parts = parts;
  }

  /** There is somebody to ask whether a client may do something. */
  get authorizes(): boolean {
    return this.#parts.authorize !== undefined;
  }

  /** Somebody answers a SEND to an application destination. */
  get answersSend(): boolean {
    return this.#parts.onSend !== undefined;
  }

  /** Somebody answers a SUBSCRIBE. */
  get answersSubscribe(): boolean {
    return this.#parts.onSubscribe !== undefined;
  }

  /** What `authorize` says; undefined: it leaves it to the destination. Only `true` lets in ([STOMP-80]). */
  authorized(
    client: ApplicationClient,
    command: AuthorizeRequest['command'],
    destination: string,
    headers: Headers,
    route?: Route,
  ): boolean | undefined | Promise<boolean | undefined> {
    const { authorize } = this.#parts;
    if (!authorize) return undefined;
    const verdict = authorize({ ...requestOf(client, destination, headers, route), command });
    const decide = (given: unknown): boolean | undefined => (given === undefined ? undefined : given === true);
    return isPromise(verdict) ? Promise.resolve(verdict).then(decide) : decide(verdict);
  }

  /**
   * Who lets this client do that: the application is asked first, then the destination itself. Throws, or rejects with, a
   * {@link ProtocolError} `forbidden` if neither does; `what` is what is refused then.
   */
  permits(
    client: ApplicationClient,
    command: AuthorizeRequest['command'],
    destination: string,
    route: Route,
    headers: Headers,
    what = `${command} to ${shorten(destination)}`,
  ): Permission | Promise<Permission> {
    const decide = (answer: boolean | undefined): Permission => {
      if (answer === true) return 'byApplication';
      const why = answer === false ? '' : this.#parts.permitted(client, command, route);
      if (why === undefined) return 'byDestination';
      throw new ProtocolError('forbidden', `${what} is not allowed${why === '' ? '' : `: ${why}`}`);
    };
    const answer = this.authorized(client, command, destination, headers, route);
    return isPromise(answer) ? answer.then(decide) : decide(answer);
  }

  /** Somebody changes messages on their way. */
  get rewrites(): boolean {
    return this.#parts.rewrite !== undefined;
  }

  /** The frame as the application wants it. Throws, or rejects, if that is no good: it is a bug of the hook then. */
  rewritten(client: ApplicationClient, frame: Frame, destination: string, route: Route): Frame | Promise<Frame> {
    const { headers, body } = frame;
    const change = (answer: unknown): Frame =>
      answer === undefined || answer === null
        ? frame
        : rewrittenFrame(`the answer of rewrite to ${shorten(destination)}`, frame, answer);
    const answer = this.#parts.rewrite?.(messageRequest(client, destination, headers, body, route));
    return isPromise(answer) ? Promise.resolve(answer).then(change) : change(answer);
  }

  /** Tell a hook. Whatever it throws, now or later, is reported. */
  tell(hook: Told, client: ApplicationClient, more: object): void {
    const told = this.#parts[hook] as ((event: object) => unknown) | undefined;
    if (!told) return;
    const { connection, session } = client;
    const { principal, handshake } = connection;
    const report = (error: unknown): void => connection.report(error);
    try {
      const outcome = told({ principal, handshake, session, ...more });
      if (isPromise(outcome)) Promise.resolve(outcome).catch(report);
    } catch (error) {
      report(error);
    }
  }

  /** Let the application answer a SEND. What it answers is sent on; the promise resolves when that is done. */
  call(client: ApplicationClient, message: Outgoing): Promise<unknown> {
    const { onSend } = this.#parts;
    const { destination, body, contentType, headers = noHeaders } = message;
    const request = { ...messageRequest(client, destination, headers, body), contentType };
    // In a promise, so that a hook that throws at once is treated as one that rejects.
    return new Promise((resolve) => resolve(onSend?.(request))).then((answer) =>
      answer === undefined || answer === null ? undefined : this.#answer(client, message, answer),
    );
  }

  async #answer(
    client: ApplicationClient,
    { destination, headers = noHeaders }: Outgoing,
    answer: unknown,
  ): Promise<void> {
    const where = `the answer of onSend to ${shorten(destination)}`;
    const { body, contentType, headers: own } = checkedMessage(where, answer);
    const correlation = headers.get('correlation-id');
    const answered = correlation === undefined ? own : new Map([['correlation-id', correlation], ...own]);
    const { destination: named } = answer as { readonly destination?: unknown };
    const to = named ?? headers.get('reply-to');
    if (to === undefined) {
      throw new Error(`onSend answered ${destination}, but the SEND has no reply-to and the answer no destination`);
    }
    if (typeof to !== 'string') throw new TypeError(`${where}: destination must be text; got a ${typeof to}`);
    const route = this.#parts.route(to);
    // Where the client chose, nothing is sent that it could not have sent itself.
    const chosen = named === undefined && !isReplyTo(client, route);
    if (chosen) await this.permits(client, 'SEND', to, route, headers, `reply-to ${shorten(to)}`);
    await this.#parts.publish({ destination: to, route, body, contentType, headers: answered });
  }

  /** Ask for the first message of a subscription. A hook that throws at once rejects. */
  async firstMessage(client: ApplicationClient, destination: string, headers: Headers): Promise<Outgoing | undefined> {
    const answer: unknown = await this.#parts.onSubscribe?.(requestOf(client, destination, headers));
    if (answer === undefined || answer === null) return undefined;
    const message = checkedMessage(`the answer of onSubscribe to ${shorten(destination)}`, answer);
    return { destination, route: { kind: 'application', destination }, ...message };
  }
}

function messageRequest(
  client: ApplicationClient,
  destination: string,
  headers: Headers,
  body: Uint8Array,
  route?: Route,
): ApplicationMessage {
  const text = (): string => decodeUtf8(body);
  return {
    ...requestOf(client, destination, headers, route),
    body,
    contentType: headers.get('content-type'),
    text,
    json: () => JSON.parse(text()),
  };
}

/** Hooks get a copy of the headers: what they do with it changes no frame. */
const requestOf = (
  { connection, session }: ApplicationClient,
  destination: string,
  headers: Headers,
  route?: Route,
): StompRequest => ({
  // [RELAY-22] Who decides and who acts read the same text.
  destination: route?.kind === 'relayed' ? route.destination : destination,
  rawDestination: destination,
  headers: new Map(headers),
  principal: connection.principal,
  handshake: connection.handshake,
  session,
});
