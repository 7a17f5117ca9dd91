import type { Bus } from '../../bus/bus.ts';
import type { Listener } from '../../bus/fan-out.ts';
import { createMessage, type Message } from '../../bus/message.ts';
import { declaredTopic } from '../../bus/topic.ts';
import { ProtocolError } from '../../core/fault.ts';
import { isPromise } from '../../core/promise-or.ts';
import { bytesOf, decodeUtf8, detached } from '../../core/wire.ts';
import type { Frame, Headers } from '../protocol/frame.ts';
import { shorten } from '../protocol/frame-fields.ts';
import {
  type Destinations,
  isPrivateTopic,
  isReplyTo,
  literalTopic,
  type Owner,
  type Route,
} from '../server/destinations.ts';
import type { AuthorizeRequest, BrokerHooks, SendReply, StompReply, StompRequest } from '../server/hooks.ts';
import { createMessageForms, type MessageForms, userHeaders } from '../server/message-forms.ts';
import type { BrokerLimits } from './limits.ts';
import { type CreateMessage, Queues } from './queues.ts';
import { textLength } from './quota.ts';
import type { BrokerSubscription, Subscriber } from './subscription.ts';

/** A connection, as the broker sees it. */
export interface BrokerClient extends Subscriber, Owner {}

/** A SEND that was read and not carried out yet. */
export interface Outgoing {
  readonly destination: string;
  readonly route: Route;
  readonly body: Uint8Array;
  readonly contentType: string | undefined;
  readonly headers: ReadonlyMap<string, string> | undefined;
}

const noHeaders: Headers = new Map();

interface BrokerParts extends BrokerHooks {
  readonly bus: Bus;
  readonly destinations: Destinations;
  readonly limits: BrokerLimits;
  readonly deadLetter: string;
  /** Unique over restarts and servers; begins message ids. */
  readonly epoch: string;
}

/** What all STOMP connections of a server share: the way to the bus, the queues, and the hooks in front of them. */
export class Broker {
  readonly destinations: Destinations;
  readonly limits: BrokerLimits;
  readonly forms: MessageForms;
  readonly queues: Queues;
  readonly #parts: BrokerParts;
  #messages = 0;

  /** A message that no bus carries. */
  readonly #message: CreateMessage = (topic, body, contentType, headers) => {
    const position = { epoch: this.#parts.epoch, offset: ++this.#messages };
    return createMessage({ topic, body, contentType, headers, position });
  };

  constructor(parts: BrokerParts) {
    this.#parts = parts;
    this.destinations = parts.destinations;
    this.limits = parts.limits;
    this.queues = new Queues(parts.limits, parts.deadLetter, this.#message);
    this.forms = createMessageForms(parts.destinations.shown, parts.epoch);
  }

  /** May this client do that? Asks the application first, then the typed topic. */
  permits(
    client: BrokerClient,
    command: AuthorizeRequest['command'],
    destination: string,
    route: Route,
    headers: Headers,
  ): boolean | Promise<boolean> {
    const { authorize } = this.#parts;
    if (!authorize) return permittedByTopic(command, route);
    const verdict = authorize({ ...requestOf(client, destination, headers), command });
    // Only `true` lets in: `{ allowed: false }` does not ([STOMP-80]).
    const decide = (given: unknown): boolean =>
      given === undefined ? permittedByTopic(command, route) : given === true;
    return isPromise(verdict) ? Promise.resolve(verdict).then(decide) : decide(verdict);
  }

  /** What a SEND is going to do. Throws a {@link ProtocolError} if its destination is no good. */
  prepare({ headers, headLength = 0, body }: Frame, destination: string, replyTo: string | undefined): Outgoing {
    let kept = userHeaders(headers);
    if (replyTo !== undefined) kept?.set('reply-to', replyTo);
    let contentType = headers.get('content-type');
    // A piece of text keeps the whole alive that it was cut from.
    if (headLength > 1_024 && headLength > 2 * textLength(kept ?? noHeaders) + 1_024) {
      destination = detached(destination);
      contentType = contentType && detached(contentType);
      kept = kept && detachedHeaders(kept);
    }
    const route = this.destinations.toSend(destination);
    if (route.kind === 'application' && !this.#parts.onSend) {
      throw new ProtocolError('forbidden', `no destination "${destination}" here: nobody answers a SEND to it`);
    }
    return { destination, route, body: owned(body), contentType, headers: kept };
  }

  /** Throws a {@link ProtocolError} if it is known beforehand that not all of these can be carried out. */
  check(messages: readonly Outgoing[]): void {
    const { state } = this.#parts.bus.backbone;
    if (state !== 'up' && messages.some(({ route }) => route.kind === 'topic')) unavailable(undefined);
    this.queues.checkRoom(messages);
  }

  /**
   * Carry out a SEND. Undefined: it is done; a promise: it is done when this resolves. Throws, or rejects with, a
   * {@link ProtocolError} if a queue has no room.
   */
  send(client: BrokerClient, message: Outgoing): Promise<unknown> | undefined {
    const { route } = message;
    if (route.kind === 'application') return this.#call(client, message);
    return this.route(route, message);
  }

  /** Without a client: what the application itself sends. */
  route(
    route: Route,
    { destination, body, contentType, headers }: Omit<Outgoing, 'route'>,
  ): Promise<unknown> | undefined {
    if (route.kind === 'topic') {
      return this.#parts.bus.publish(route.topic, body, { contentType, headers }).catch(unavailable);
    }
    if (route.kind === 'queue') {
      const queue = this.queues.of(route.name);
      queue.put(this.#message(queue.topic, body, contentType, headers));
      return undefined;
    }
    throw new ProtocolError('forbidden', `${destination} is for what clients send to the application`);
  }

  /** Connect a subscription to its source. Resolves when messages are certain to come; rejects if they are not. */
  subscribe(client: BrokerClient, subscription: BrokerSubscription, route: Route, headers: Headers): Promise<void> {
    const { onSubscribe } = this.#parts;
    if (route.kind === 'application' && !onSubscribe) {
      throw new ProtocolError(
        'forbidden',
        `no destination "${subscription.destination}" here: nobody answers a SUBSCRIBE to it`,
      );
    }
    const first = onSubscribe && Promise.resolve(onSubscribe(requestOf(client, subscription.destination, headers)));
    // It may reject before the bus delivers, when nobody waits for it yet.
    first?.catch(() => {});
    if (first) subscription.waitForStart();
    const begin = async (): Promise<void> => {
      const reply = await first;
      subscription.start(reply ? this.#replyMessage(subscription.destination, reply) : undefined);
    };
    if (route.kind === 'application') return begin();
    if (route.kind === 'queue') {
      const attach = (): void => subscription.attachQueue(this.queues.of(route.name));
      if (first) return begin().then(attach);
      attach();
      return Promise.resolve();
    }
    const listener = route.pattern ? this.#guard(client, subscription, headers) : subscription;
    const active = this.listen(subscription, route.topic, listener);
    return first ? active.then(begin) : active;
  }

  /** Let a subscription hear a topic of the bus. Resolves when messages are certain to come. */
  listen(subscription: BrokerSubscription, topic: string, listener: Listener = subscription): Promise<void> {
    const listening = this.#parts.bus.listen(topic, listener);
    subscription.attachTopic(listening);
    return listening.active.catch(unavailable);
  }

  /** A wildcard subscriber sees no topic that it could not have subscribed to by its name. */
  #guard(client: BrokerClient, subscription: BrokerSubscription, shown: Headers): Listener {
    const headers = this.#parts.authorize ? detachedHeaders(shown) : noHeaders;
    // What the application said per topic, and the messages that wait while it thinks.
    const known = new Map<string, boolean>();
    const awaited = new Map<string, Message[]>();
    const { destinations, limits } = this;
    let undecided = 0;
    const wait = (waiting: Message[], message: Message): void => {
      waiting.push(message);
      if (++undecided > limits.maxBacklog)
        client.connection.close('tooSlow', `authorize has not decided on ${message.topic}`);
    };
    const remember = (topic: string, permitted: boolean): void => {
      // Publishers choose the names of topics: what is remembered of them has an end.
      if (known.size >= limits.maxBacklog) known.clear();
      known.set(topic, permitted);
    };
    const permits = (topic: string): boolean | Promise<boolean> => {
      const route: Route = { kind: 'topic', topic, pattern: false, open: true };
      try {
        return this.permits(client, 'SUBSCRIBE', destinations.shown(topic), route, headers);
      } catch (error) {
        // A hook that throws at once is treated as one that rejects: the publisher has nothing to do with it.
        return Promise.reject(error);
      }
    };
    const ask = (message: Message): void => {
      const { topic } = message;
      const verdict = permits(topic);
      if (!isPromise(verdict)) {
        remember(topic, verdict);
        if (verdict) subscription.receive(message);
        return;
      }
      const waiting: Message[] = [];
      awaited.set(topic, waiting);
      wait(waiting, message);
      client.connection.resume(
        verdict,
        (permitted) => {
          undecided -= waiting.length;
          awaited.delete(topic);
          remember(topic, permitted);
          if (permitted) for (const each of waiting) subscription.receive(each);
        },
        (error) => {
          if (!subscription.stopped) throw error;
          client.connection.report(error);
        },
      );
    };
    return (message) => {
      const { topic } = message;
      if (isPrivateTopic(topic)) return;
      if (!this.#parts.authorize) {
        if (mayRead(topic)) subscription.receive(message);
        return;
      }
      const permitted = known.get(topic);
      if (permitted) return subscription.receive(message);
      if (permitted === false) return;
      const waiting = awaited.get(topic);
      if (waiting) wait(waiting, message);
      else ask(message);
    };
  }

  #call(client: BrokerClient, message: Outgoing): Promise<unknown> {
    const { onSend } = this.#parts;
    const { destination, body, contentType, headers = noHeaders } = message;
    const text = (): string => decodeUtf8(body);
    const request = {
      ...requestOf(client, destination, headers),
      body,
      contentType,
      text,
      json: () => JSON.parse(text()),
    };
    // In a promise, so that a hook that throws at once is treated as one that rejects.
    return new Promise((resolve) => resolve(onSend?.(request))).then(async (answer) => {
      const reply = answer as SendReply | undefined;
      if (!reply) return undefined;
      const to = reply.destination ?? headers.get('reply-to');
      if (to === undefined) {
        throw new Error(`onSend answered ${destination}, but the SEND has no reply-to and the answer no destination`);
      }
      const route = this.destinations.toSend(to);
      // Where the client chose, nothing is sent that it could not have sent itself.
      const chosen = reply.destination === undefined && !isReplyTo(client, route);
      if (chosen && !(await this.permits(client, 'SEND', to, route, headers))) {
        throw new ProtocolError('forbidden', `reply-to ${shorten(to)} is not allowed`);
      }
      const correlation = headers.get('correlation-id');
      return this.route(route, {
        destination: to,
        body: bytesOf(reply.body),
        contentType: typeOf(reply),
        headers: new Map([
          ...(correlation === undefined ? [] : [['correlation-id', correlation] as const]),
          ...Object.entries(reply.headers ?? {}),
        ]),
      });
    });
  }

  #replyMessage(destination: string, reply: StompReply): Message {
    return this.#message(
      literalTopic(destination),
      bytesOf(reply.body),
      typeOf(reply),
      new Map(Object.entries(reply.headers ?? {})),
    );
  }
}

const requestOf = ({ connection, session }: BrokerClient, destination: string, headers: Headers): StompRequest => ({
  destination,
  headers,
  principal: connection.principal,
  handshake: connection.handshake,
  session,
});

function permittedByTopic(command: AuthorizeRequest['command'], route: Route): boolean {
  if (route.kind !== 'topic' || route.pattern || !route.open) return true;
  if (command === 'SUBSCRIBE') return mayRead(route.topic);
  const access = declaredTopic(route.topic)?.stomp;
  return access === undefined || access === 'write' || access === 'readwrite';
}

function mayRead(topic: string): boolean {
  const access = declaredTopic(topic)?.stomp;
  return access === undefined || access === 'read' || access === 'readwrite';
}

/** The bus has not taken it, or cannot know: the client may come back and try again. */
function unavailable(cause: unknown): never {
  throw new ProtocolError('unavailable', 'the message bus cannot be reached', { cause });
}

/** A small body must not keep a large chunk of the network alive. Not `slice`: that of a Buffer copies nothing. */
const owned = (body: Uint8Array): Uint8Array =>
  body.buffer.byteLength > 2 * body.length + 1_024 ? new Uint8Array(body) : body;

/** See {@link detached}. */
const detachedHeaders = (headers: Headers): Map<string, string> =>
  new Map(Array.from(headers, ([name, value]) => [detached(name), detached(value)]));

/** The MIME type of what an application sends: text is text/plain if it does not say. */
export const typeOf = ({ body, contentType }: Pick<StompReply, 'body' | 'contentType'>): string | undefined =>
  contentType ?? (typeof body === 'string' ? 'text/plain;charset=utf-8' : undefined);
