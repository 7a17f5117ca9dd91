import { BackboneError, type BackboneQueues } from '../../bus/backbone.ts';
import type { Bus } from '../../bus/bus.ts';
import type { Listener, ListenHandle, ListenOptions } from '../../bus/fan-out.ts';
import { createMessage, type Message, type Position } from '../../bus/message.ts';
import { problemOfName } from '../../bus/names.ts';
import type { Clock } from '../../core/clock.ts';
import { ProtocolError } from '../../core/fault.ts';
import type { SlowSubscriber } from '../../core/slow-subscriber.ts';
import type { Connection } from '../../core/subprotocol.ts';
import type { CountedClient } from '../server/client-counts.ts';
import { type Destinations, literalTopic, type Route } from '../server/destinations.ts';
import { createMessageForms, firstAt, type MessageForms } from '../server/message-forms.ts';
import type { Outgoing } from '../server/outgoing.ts';
import type { BrokerLimits } from './limits.ts';
import type { WorkQueue } from './queue.ts';
import { type CreateMessage, Queues } from './queues.ts';
import { RemoteQueues } from './remote-queues.ts';

/** What a broker is made of. */
export interface BrokerParts {
  /** Where topics are. */
  readonly bus: Bus;
  /** What destinations mean. */
  readonly destinations: Destinations;
  /** What it may keep. */
  readonly limits: BrokerLimits;
  /** What becomes of messages of topics while a subscriber reads too slowly. */
  readonly slowSubscriber: SlowSubscriber;
  /** Queues that all servers share; absent: they live in this process. */
  readonly shared?: BackboneQueues | undefined;
  /** The destination of messages that were put back too often. */
  readonly deadLetter: string;
  /** Unique over restarts and servers; begins the ids of messages that no bus carries. */
  readonly epoch: string;
  /** Its time, for what expires. */
  readonly clock: Clock;
}

/** Where messages of topics come from. */
export interface TopicSource extends ListenHandle {
  /** What waits in it may go on. Absent: nothing waits in it. */
  pump?(): void;
}

/** A subscription, as far as it has to do with topics. */
export interface TopicSubscription {
  /** A message of the topic. */
  receive(message: Message): void;
  /** Messages of the topic may have been lost. */
  gap(topic: string): void;
  /** How to stop listening. */
  attachTopic(listening: TopicSource): void;
}

/** Topics of the bus, and queues of this process: what all connections of a server share. */
export class Broker {
  /** What destinations mean. */
  readonly destinations: Destinations;
  /** What it may keep. */
  readonly limits: BrokerLimits;
  /** What becomes of messages of topics while a subscriber reads too slowly. */
  readonly slowSubscriber: SlowSubscriber;
  /** How messages look to STOMP clients. */
  readonly forms: MessageForms;
  /** All its queues that live in this process. */
  readonly queues: Queues;
  /** The queues that all servers share, if the backbone has some: then none live here. */
  readonly remote: RemoteQueues | undefined;
  /** Where topics are. */
  readonly bus: Bus;
  /** Those who are connected. */
  readonly clients = new Set<CountedClient>();
  /** How often a subscription was told that messages may have been lost. */
  gaps = 0;
  readonly #epoch: string;
  #messages = 0;
  #gapIsReported = false;

  /** A message that no bus carries. */
  readonly #message: CreateMessage = (topic, body, contentType, headers) => {
    const position = { epoch: this.#epoch, offset: ++this.#messages };
    return createMessage({ topic, body, contentType, headers, position });
  };

  constructor({ bus, destinations, limits, slowSubscriber, shared, deadLetter, epoch, clock }: BrokerParts) {
    this.bus = bus;
    this.destinations = destinations;
    this.limits = limits;
    this.slowSubscriber = slowSubscriber;
    this.#epoch = epoch;
    this.queues = new Queues(limits, deadLetter, this.#message, clock);
    const message = this.#message;
    this.remote = shared && new RemoteQueues({ queues: shared, limits, deadLetter, message, clock });
    this.forms = createMessageForms(destinations.shown);
    // The bus says it here before it tells those who listen.
    bus.on('gap', () => {
      this.#gapIsReported = false;
    });
  }

  /** A subscription may have missed messages of this topic. Reported once for each gap, however many subscribe. */
  missed(topic: string, connection: Connection): void {
    this.gaps++;
    if (this.#gapIsReported) return;
    this.#gapIsReported = true;
    connection.report(
      new Error(`Messages of "${topic}" may have been lost on the bus: the next one says so to STOMP subscribers`),
    );
  }

  /** Throws a {@link ProtocolError} if it is known beforehand that not all of these can be carried out. */
  check(messages: readonly Outgoing[], owner: string | undefined): void {
    for (const { route } of messages) if (route.kind === 'topic') assertName(route.topic);
    const { state } = this.bus.backbone;
    if (state !== 'up' && messages.some(({ route }) => this.leaves(route))) unavailable(undefined);
    if (!this.remote) this.queues.checkRoom(messages, owner);
  }

  /** Does what is sent there leave this process, so that it cannot be called back? */
  leaves({ kind }: Route): boolean {
    return kind === 'topic' || (kind === 'queue' && this.remote !== undefined);
  }

  /** The queue of this name, for a subscription that asks for so many deliveries at a time. Throws as {@link Queues.of}. */
  queueOf(name: string, prefetch: number | undefined, owner: string): WorkQueue {
    return this.remote?.of(name, prefetch) ?? this.queues.of(name, owner);
  }

  /**
   * Carry out a SEND of this owner, or of the application. Throws, or rejects with, a {@link ProtocolError} if a queue has
   * no room or the bus cannot be reached.
   */
  publish(message: Outgoing, owner: string | undefined): Promise<unknown> | undefined {
    const { route, destination, body, contentType, headers } = message;
    if (route.kind === 'topic') {
      assertName(route.topic);
      return this.bus.publish(route.topic, body, { contentType, headers }).catch(unavailable);
    }
    if (route.kind === 'queue') {
      if (this.remote) return this.remote.put(route.name, body, { contentType, headers }).catch(unavailable);
      this.queues.put(route.name, body, { contentType, headers }, owner);
      return undefined;
    }
    throw new ProtocolError('forbidden', `${destination} is for what clients send to the application`);
  }

  /** The first message of a subscription, which goes to it alone. `at`: where that begins, so that its client may come back. */
  firstMessage({ destination, body, contentType, headers }: Outgoing, at?: Position): Message {
    const topic = literalTopic(destination);
    if (!at) return this.#message(topic, body, contentType, headers);
    return createMessage({ topic, body, contentType, headers, position: { ...at, epoch: `${firstAt}${at.epoch}` } });
  }

  /**
   * Let a subscription hear a topic of the bus. Resolves when messages are certain to come. Throws a
   * {@link ProtocolError} if the bus can have no such topic, or has no room for such a pattern.
   */
  listen(
    subscription: TopicSubscription,
    topic: string,
    listener: Listener = subscription,
    options: ListenOptions = {},
  ): Promise<void> {
    assertName(topic);
    let listening: ListenHandle;
    try {
      listening = this.bus.listen(topic, listener, options);
    } catch (error) {
      if (error instanceof ProtocolError) throw error;
      return unavailable(error);
    }
    subscription.attachTopic(listening);
    return listening.active.catch(unavailable);
  }
}

/** The bus has not taken it, or cannot know: the client may come back and try again. */
export function unavailable(cause: unknown): never {
  // A mistake of the application is not the bus's.
  if (cause instanceof TypeError) throw cause;
  if (cause instanceof BackboneError) {
    if (cause.reason === 'tooLarge') throw new ProtocolError('tooLarge', cause.message, { cause });
    if (cause.stored === 'unknown') {
      const words = 'the message bus did not answer: the message may be stored all the same';
      throw new ProtocolError('unavailable', words, { cause });
    }
  }
  throw new ProtocolError('unavailable', 'the message bus cannot be reached', { cause });
}

/** Throws a {@link ProtocolError} `malformed` if the bus can have no such topic ([BUS-4]). */
function assertName(topic: string): void {
  const problem = problemOfName(topic);
  if (problem !== undefined) throw new ProtocolError('malformed', `a destination whose topic ${problem}`);
}
