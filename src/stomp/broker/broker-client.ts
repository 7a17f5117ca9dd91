import { past } from '../../bus/bus-types.ts';
import { never } from '../../core/clock.ts';
import { ProtocolError } from '../../core/fault.ts';
import { ownedBytes } from '../../core/slab.ts';
import { detached, encodeUtf8 } from '../../core/wire.ts';
import type { Frame, Headers } from '../protocol/frame.ts';
import { required } from '../protocol/frame-fields.ts';
import { brokerHeader } from '../protocol/headers.ts';
import type { Permission } from '../server/application.ts';
import type { CountedClient } from '../server/client-counts.ts';
import type {
  ClientHandler,
  DestinationHandler,
  HandlerClient,
  SubscriptionPlan,
} from '../server/destination-handler.ts';
import { isUserTopic, type Route, type TopicRoute } from '../server/destinations.ts';
import { messageIdOf, userHeaders } from '../server/message-forms.ts';
import type { Outgoing } from '../server/outgoing.ts';
import type { Answer } from '../server/receipts.ts';
import { type Broker, unavailable } from './broker.ts';
import { protocol } from './default-permission.ts';
import { textLength } from './quota.ts';
import { Replay, type ReplayTarget, type Wish, wishOf } from './replay.ts';
import type { BrokerSubscription } from './subscription.ts';
import { Subscriptions } from './subscriptions.ts';
import { Transactions } from './transactions.ts';
import { WildcardGuard } from './wildcard-guard.ts';

const noHeaders: Headers = new Map();

/** A broker as a handler of destinations. */
export const brokerHandler = (broker: Broker): DestinationHandler => ({
  open(client) {
    const opened = new BrokerClient(client, broker);
    broker.clients.add(opened);
    client.ready([]);
    return opened;
  },
  publish: (message) => broker.publish(message, undefined),
});

/** What the broker does for one client: its subscriptions, its transactions, and what it sends. */
export class BrokerClient implements ClientHandler, CountedClient {
  /** See {@link ClientHandler.deadline}. */
  readonly deadline: number = never;
  readonly #client: HandlerClient;
  readonly #broker: Broker;
  readonly #subscriptions: Subscriptions;
  #transactions: Transactions | undefined;

  constructor(client: HandlerClient, broker: Broker) {
    this.#client = client;
    this.#broker = broker;
    this.#subscriptions = new Subscriptions(client, broker);
  }

  /** What was confirmed is delivered before a consumer is sent away ([STOMP-90]). */
  get idle(): boolean {
    return this.#subscriptions.idle;
  }

  /** See {@link ClientHandler.subscriptions}. */
  get subscriptions(): number {
    return this.#subscriptions.size;
  }

  /** See {@link CountedClient.userName}. */
  get userName(): string | undefined {
    return this.#client.connection.principal?.name;
  }

  /** See {@link CountedClient.destinations}. */
  destinations(): Iterable<string> {
    return this.#subscriptions.destinations();
  }

  /** See {@link ClientHandler.has}. */
  has(id: string): boolean {
    return this.#subscriptions.has(id);
  }

  /** See {@link ClientHandler.tick}. */
  tick(): void {}

  // ── SEND ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** See {@link ClientHandler.submit}. */
  submit(frame: Frame, destination: string, route: Route): void {
    if (route.kind === 'queue') this.#refuseInDrain();
    const message = this.#prepare(frame, destination, route);
    const transaction = frame.headers.get('transaction');
    if (transaction === undefined) return this.#client.carryOut(frame, this.send(message));
    const transactions = this.#openTransactions(frame);
    transactions.check(transaction, message);
    transactions.add(transaction, { kind: 'send', message });
    this.#client.processed(frame);
  }

  /** A queue that dies with this process confirms nothing that may be left in it ([STOMP-90]). */
  #refuseInDrain(): void {
    if (this.#client.draining && !this.#broker.remote)
      throw new ProtocolError('goingAway', 'queues take no more messages here');
  }

  /** What a SEND is going to do. Throws a {@link ProtocolError} if nobody takes it. */
  #prepare({ headers, headLength = 0, body }: Frame, to: string, meant: Route): Outgoing {
    let route = meant;
    if (route.kind === 'application' && !this.#client.application.answersSend) {
      throw new ProtocolError('forbidden', `no destination "${to}" here: nobody answers a SEND to it`);
    }
    const replyTo = this.#replyAddress(headers.get('reply-to'));
    let kept = userHeaders(headers);
    if (replyTo !== undefined) kept?.set('reply-to', replyTo);
    let contentType = headers.get('content-type');
    let destination = to;
    // V8 substrings keep their parent string alive: few small headers must not keep a large head.
    if (headLength > 1_024 && headLength > 2 * textLength(kept ?? noHeaders) + 1_024) {
      destination = detached(destination);
      // A route holds a part of the destination.
      route = this.#broker.destinations.toSend(destination);
      contentType = contentType && detached(contentType);
      kept = kept && detachedHeaders(kept);
    }
    return { destination, route, body: ownedBytes(body), contentType, headers: kept };
  }

  /** A temporary queue in `reply-to` comes to life with the first SEND that names it, subscription included. */
  #replyAddress(replyTo: string | undefined): string | undefined {
    if (replyTo === undefined) return undefined;
    const temporary = this.#broker.destinations.temporaryQueue(replyTo, this.#client);
    if (!temporary) return undefined;
    const subscription = this.#subscriptions.addImplicit(replyTo);
    const { connection } = this.#client;
    if (subscription) connection.resume(this.#broker.listen(subscription, detached(temporary.topic)), () => {});
    return temporary.address;
  }

  /** Carry out a SEND. Undefined: it is done; a promise: it is done when this resolves. */
  send(message: Outgoing): Promise<unknown> | undefined {
    if (message.route.kind === 'application') return this.#client.application.call(this.#client, message);
    return this.#broker.publish(message, this.#client.user);
  }

  // ── SUBSCRIBE, ACK, NACK ───────────────────────────────────────────────────────────────────────────────────────

  /** See {@link ClientHandler.subscribe}. */
  subscribe(frame: Frame, plan: SubscriptionPlan, route: Route, permission: Permission): void {
    const { application } = this.#client;
    if (route.kind === 'application' && !application.answersSubscribe) {
      throw new ProtocolError(
        'forbidden',
        `no destination "${plan.destination}" here: nobody answers a SUBSCRIBE to it`,
      );
    }
    if (frame.headers.get('selector')) {
      throw new ProtocolError('unacceptable', 'selectors are not supported here: filter, or use a topic for each kind');
    }
    const subscription = this.#subscriptions.add(plan);
    const wish = wishOf(frame.headers, this.#client.version, plan.mode);
    if (!wish) return this.#client.carryOut(frame, this.#connect(subscription, route, frame.headers, permission));
    const connected = this.#comeBack(subscription, route, frame, permission, wish);
    this.#client.carryOut(frame, connected, (answer) => answer);
  }

  /** Connect a subscription whose client may come back, or has ([STOMP-130]). What it missed leaves behind the RECEIPT. */
  async #comeBack(
    subscription: BrokerSubscription,
    route: Route,
    { headers }: Frame,
    permission: Permission,
    { after }: Wish,
  ): Promise<Answer> {
    const replay = this.#replayOf(subscription, route, headers, permission);
    let first: Outgoing | undefined;
    const keep = (answer: Outgoing | undefined): void => {
      first = answer;
    };
    await this.#connect(subscription, route, headers, permission, replay, replay && keep);
    const resumed = replay && (await replay.resume(after));
    const { position, recovered = false } = resumed ?? {};
    const told: [string, string][] = [];
    if (after) told.push(['recovered', String(recovered)]);
    if (position) told.push(['position', messageIdOf(position)]);
    // Without a receipt there is no other place to say it.
    if (after && !recovered && !headers.has('receipt')) subscription.tellLoss();
    const behind = (): void => {
      replay?.begin();
      subscription.start(first && this.#broker.firstMessage(first, position));
    };
    return { headers: told, behind };
  }

  /** Undefined: the destination has no past, and what comes is all that there is ([STOMP-131]). */
  #replayOf(
    subscription: BrokerSubscription,
    route: Route,
    headers: Headers,
    permission: Permission,
  ): Replay | undefined {
    const { bus, limits } = this.#broker;
    const history = bus[past];
    if (!history || route.kind !== 'topic' || !route.open) return undefined;
    const { connection } = this.#client;
    const { target, judged } = this.#targetOf(subscription, route, headers, permission);
    return new Replay({
      ...{ subscription, past: history, topic: route.topic, target, maxHeld: limits.maxBacklog },
      permits: (topic) => !judged || bus.permits(topic, protocol, 'read'),
      resume: (outcome, then) => connection.resume(outcome, then),
    });
  }

  /** Connect a subscription to its source. Resolves when messages are certain to come; rejects if they are not. */
  async #connect(
    subscription: BrokerSubscription,
    route: Route,
    headers: Headers,
    permission: Permission,
    replay?: Replay,
    begin = (first: Outgoing | undefined) => subscription.start(first && this.#broker.firstMessage(first)),
  ): Promise<void> {
    const { application } = this.#client;
    if (!application.answersSubscribe) {
      await this.#listen(subscription, route, headers, permission, replay);
      return this.#active(subscription);
    }
    // It listens before the hook is called, and waits with what comes until the first message was sent ([STOMP-84]).
    subscription.waitForStart();
    const active = route.kind === 'topic' ? this.#listen(subscription, route, headers, permission, replay) : undefined;
    const asked = application.firstMessage(this.#client, subscription.destination, headers);
    // It may reject before the bus delivers, when nobody waits for it yet.
    asked.catch(() => {});
    await active;
    const first = await asked;
    begin(first);
    // What is sent to a queue meanwhile waits in it.
    if (route.kind === 'queue') await this.#listen(subscription, route, headers, permission);
    this.#active(subscription);
  }

  #active(subscription: BrokerSubscription): void {
    if (subscription.stopped) return;
    subscription.isTold = true;
    this.#client.subscribed(subscription.destination);
  }

  #listen(
    subscription: BrokerSubscription,
    route: Route,
    headers: Headers,
    permission: Permission,
    replay?: Replay,
  ): Promise<void> | undefined {
    if (route.kind === 'queue') {
      const queue = this.#broker.queueOf(route.name, subscription.prefetch, this.#client.user);
      subscription.attachQueue(queue);
      return queue.active?.catch(unavailable);
    }
    if (route.kind !== 'topic') return undefined;
    const { target, judged } = this.#targetOf(subscription, route, headers, permission);
    return this.#broker.listen(replay ?? subscription, route.topic, replay ?? target, judged ? { protocol } : {});
  }

  /** Who hears the messages of a topic; `judged`: the bus looks at each of them whether clients may read its topic ([BUS-3]). */
  #targetOf(
    subscription: BrokerSubscription,
    { topic, pattern, open }: TopicRoute,
    headers: Headers,
    permission: Permission,
  ): { readonly target: ReplayTarget; readonly judged: boolean } {
    if (pattern && this.#client.application.authorizes) {
      return { target: new WildcardGuard(this.#client, this.#broker, subscription, headers), judged: false };
    }
    const target = isUserTopic(topic) ? onlyFor(this.#client.session, subscription) : subscription;
    // The application may have decided.
    return { target, judged: open && permission === 'byDestination' };
  }

  /** See {@link ClientHandler.unsubscribe}. */
  unsubscribe(frame: Frame): boolean {
    if (!this.#subscriptions.unsubscribe(frame.headers)) return false;
    this.#client.processed(frame);
    return true;
  }

  /** See {@link ClientHandler.awaits}. */
  awaits(frame: Frame): boolean {
    return this.#subscriptions.awaits(frame);
  }

  /** See {@link ClientHandler.acknowledge}. */
  acknowledge(frame: Frame): void {
    const consumed = frame.command === 'ACK';
    const transaction = frame.headers.get('transaction');
    if (transaction !== undefined) this.#openTransactions(frame).check(transaction);
    const { subscription, key } = this.#subscriptions.acknowledged(frame);
    const { full } = this.#subscriptions;
    const deliveries = subscription.claim(key);
    if (transaction === undefined) this.#subscriptions.settle([{ subscription, deliveries, consumed }], full);
    else this.#openTransactions(frame).add(transaction, { kind: 'settle', subscription, deliveries, consumed });
    this.#client.processed(frame);
  }

  // ── transactions ───────────────────────────────────────────────────────────────────────────────────────────────

  /** See {@link ClientHandler.begin}. */
  begin(frame: Frame): void {
    this.#transactions ??= new Transactions(this, this.#broker, this.#subscriptions);
    this.#transactions.begin(detached(required(frame, 'transaction')));
    this.#client.processed(frame);
  }

  /** The frames that follow wait, so that they come after all of it. */
  commit(frame: Frame): void {
    const transactions = this.#openTransactions(frame);
    const id = required(frame, 'transaction');
    if (transactions.fillsQueues(id)) this.#refuseInDrain();
    const outcome = transactions.commit(id);
    this.#client.settle(frame, outcome, () => {
      this.#client.processed(frame);
      // Its ACKs made room for all.
      this.#subscriptions.pump();
    });
  }

  /** See {@link ClientHandler.abort}. */
  abort(frame: Frame): void {
    this.#openTransactions(frame).abort(required(frame, 'transaction'));
    this.#client.processed(frame);
  }

  #openTransactions(frame: Frame): Transactions {
    required(frame, 'transaction');
    return this.#transactions ?? new Transactions(this, this.#broker, this.#subscriptions);
  }

  // ── the end ────────────────────────────────────────────────────────────────────────────────────────────────────

  /** See {@link ClientHandler.tell}. */
  tell({ headers }: Frame, words: string): void {
    const replyTo = headers.get('reply-to');
    const { errors } = this.#broker.destinations;
    const reader = (replyTo && this.#subscriptions.reading(replyTo)) || this.#subscriptions.reading(errors);
    if (!reader) return;
    const { destination } = reader;
    const about: [string, string][] = [[brokerHeader.originalDestination, headers.get('destination') ?? '']];
    const correlation = headers.get('correlation-id');
    if (correlation !== undefined) about.push(['correlation-id', correlation]);
    reader.receive(
      this.#broker.firstMessage({
        destination,
        route: { kind: 'application', destination },
        body: encodeUtf8(words),
        contentType: 'text/plain;charset=utf-8',
        headers: new Map([['error', words], ...about]),
      }),
    );
  }

  /** See {@link ClientHandler.drained}. */
  drained(): void {
    this.#subscriptions.pump();
  }

  /** See {@link ClientHandler.leave}. */
  leave(failed: boolean, done: () => void): void {
    this.#release(failed);
    done();
  }

  /** See {@link ClientHandler.stop}. */
  stop(): void {
    this.#release(true);
  }

  /** Open transactions are aborted ([STOMP-59]); what was not acknowledged goes back to its queue ([STOMP-53]). */
  #release(failed: boolean): void {
    this.#broker.clients.delete(this);
    this.#subscriptions.stopAll(failed, this.#transactions?.abortAll() ?? []);
  }
}

/** Keep back what is for another connection of the same user ([STOMP-128]). */
const onlyFor = (session: string, subscription: BrokerSubscription): ReplayTarget => ({
  receive(message) {
    const meant = message.headers.get(brokerHeader.forSession);
    if (meant === undefined || meant === session) subscription.receive(message);
  },
  gap: (topic) => subscription.gap(topic),
  count: (readers) => subscription.count(readers),
});

/** See {@link detached}. */
const detachedHeaders = (headers: Headers): Map<string, string> =>
  new Map(Array.from(headers, ([name, value]) => [detached(name), detached(value)]));
