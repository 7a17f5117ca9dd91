import { never } from '../../core/clock.ts';
import { ProtocolError } from '../../core/fault.ts';
import { detached } from '../../core/wire.ts';
import { type Entries, forwardFrame } from '../protocol/forward-frame.ts';
import { type Frame, type Headers, malformed } from '../protocol/frame.ts';
import { required } from '../protocol/frame-fields.ts';
import { fromNow, ownHeaders, resumeHeaders } from '../protocol/headers.ts';
import type { CountedClient } from '../server/client-counts.ts';
import type { ClientHandler, HandlerClient, SubscriptionPlan } from '../server/destination-handler.ts';
import { relayedRoute } from '../server/destinations.ts';
import type { PendingReceipt } from '../server/receipts.ts';
import type { RelayLimits } from './limits.ts';
import { brokerIdOf, RelaySubscription, RelaySubscriptions } from './relay-subscriptions.ts';
import { RelayTransactions } from './relay-transactions.ts';

/** The broker, as the session of a client sees it: a connection that is this client's alone. */
export interface BrokerLink {
  /** It takes less than comes: the client is not read on until {@link RelayClient.brokerDrained}. */
  readonly saturated: boolean;
  /** STOMP 1.2, so that an ACK is made by `ack` alone. */
  readonly acksById: boolean;
  /** Send a frame on with these headers. With a receipt, {@link RelayClient.receipt} hears of it. */
  pass(headers: Entries, frame: Frame, receipt: PendingReceipt | undefined): void;
  /** Do not read what the broker sends, and go on. */
  hold(): void;
  /** Read on. */
  release(): void;
  /** Send DISCONNECT and ask for its receipt. */
  disconnect(done: (processed: boolean) => void): void;
  /** Send DISCONNECT if there is anybody to send it to, then close. Called once. */
  leave(): void;
}

/** What all clients of a relay have in common. */
export interface RelayClientOptions {
  /** Limits of each client. */
  readonly limits: RelayLimits;
  /** Connect this client to the broker; it hears `brokerConnected` or `brokerLost`. */
  readonly dial: (client: RelayClient, headers: Headers) => BrokerLink | undefined;
  /** It is gone. */
  readonly ended: (client: RelayClient) => void;
}

/** What a subscription costs here, in bytes; the broker has the rest ([STOMP-91]). */
const costOf = (destination: string): number => 1_000 + 4 * destination.length;

/** The name of a durable subscription, as ActiveMQ and Artemis have it, or the word of RabbitMQ that it is one. */
const namesDurable = (headers: Headers): boolean =>
  headers.has('activemq.subscriptionName') ||
  headers.has('durable-subscription-name') ||
  headers.get('durable') === 'true' ||
  headers.get('persistent') === 'true';

/**
 * What the relay does for one client: its frames go on to a broker, and the broker's frames come back. Whatever is
 * remembered here is there to put right what brokers get wrong.
 */
export class RelayClient implements ClientHandler, CountedClient {
  /** The client on our side. */
  readonly client: HandlerClient;
  readonly #limits: RelayLimits;
  readonly #options: RelayClientOptions;
  readonly #subscriptions: RelaySubscriptions;
  readonly #transactions: RelayTransactions;
  #link: BrokerLink | undefined;
  #pending = 0;
  #waitsForBroker = false;
  #brokerWaits = false;
  #leaving: (() => void) | undefined;
  #leaveBy = never;
  #over = false;

  constructor(client: HandlerClient, options: RelayClientOptions) {
    this.client = client;
    this.#limits = options.limits;
    this.#options = options;
    this.#subscriptions = new RelaySubscriptions(options.limits.maxSubscriptions, (bytes) => this.#charge(bytes));
    this.#transactions = new RelayTransactions(options.limits);
  }

  /** The client was let in. */
  start(headers: Headers): void {
    this.#link = this.#options.dial(this, headers);
  }

  /** See {@link ClientHandler.idle}. */
  get idle(): boolean {
    return this.#pending === 0 && this.#transactions.size === 0 && !this.#leaving;
  }

  /** See {@link ClientHandler.subscriptions}. */
  get subscriptions(): number {
    return this.#subscriptions.size;
  }

  /** See {@link CountedClient.userName}. */
  get userName(): string | undefined {
    return this.client.connection.principal?.name;
  }

  /** See {@link CountedClient.destinations}. */
  *destinations(): Iterable<string> {
    for (const { destination } of this.#subscriptions.all()) yield destination;
  }

  /** See {@link ClientHandler.deadline}. */
  get deadline(): number {
    return this.#leaveBy;
  }

  /** See {@link ClientHandler.tick}. */
  tick(now: number): void {
    if (now >= this.#leaveBy) this.brokerLost('The broker did not answer DISCONNECT');
  }

  // ── from the client ────────────────────────────────────────────────────────────────────────────────────────────

  /** See {@link ClientHandler.has}. */
  has(id: string): boolean {
    return this.#subscriptions.ofClient(id) !== undefined;
  }

  /** See {@link ClientHandler.submit}. */
  submit(frame: Frame): void {
    this.#step(frame);
    this.#pass(frame, {});
  }

  /** See {@link ClientHandler.subscribe}. */
  subscribe(frame: Frame, { id, destination, mode }: SubscriptionPlan): void {
    const { headers } = frame;
    const { maxUnacknowledged } = this.#limits;
    const brokerId = detached(this.#subscriptions.name(id));
    this.client.connection.charge(costOf(destination));
    this.#subscriptions.add(new RelaySubscription(id, brokerId, destination, mode));
    const changes: Record<string, string> = { id: brokerId };
    if (mode !== 'auto') {
      // [RELAY-8] A cumulative ACK of RabbitMQ reaches other subscriptions: the broker sees each message by itself.
      changes['ack'] = 'client-individual';
      if (!headers.has('prefetch-count') && !headers.has('activemq.prefetchSize')) {
        // Each broker reads its own header and passes over the other's.
        const prefetch = String(Math.min(maxUnacknowledged, 65_535));
        changes['prefetch-count'] = prefetch;
        changes['activemq.prefetchSize'] = prefetch;
      }
    }
    this.#pass(frame, changes);
    this.client.subscribed(destination);
  }

  /** See {@link ClientHandler.unsubscribe}. */
  unsubscribe(frame: Frame): boolean {
    const id = frame.headers.get('id');
    const subscription =
      id === undefined
        ? this.#subscriptions.nameless(required(frame, 'destination'))
        : this.#subscriptions.ofClient(id);
    if (!subscription) return false;
    this.#subscriptions.remove(subscription);
    this.client.connection.charge(-costOf(subscription.destination));
    this.#pass(frame, { id: subscription.brokerId });
    this.client.unsubscribed(subscription.destination);
    this.#paceBroker();
    return true;
  }

  /** Who may subscribe to a destination may end what is remembered for it ([RELAY-25]); see {@link ClientHandler.endDurable}. */
  endDurable(frame: Frame): boolean {
    const { headers } = frame;
    if (!namesDurable(headers)) return false;
    const { id, destination } = { id: headers.get('id'), destination: headers.get('destination') };
    const pass = (): void => this.#pass(frame, id === undefined ? {} : { id: brokerIdOf(id) });
    if (destination === undefined) pass();
    else {
      const { application } = this.client;
      const route = relayedRoute(0, destination);
      this.client.settle(frame, application.permits(this.client, 'SUBSCRIBE', destination, route, headers), pass);
    }
    return true;
  }

  /** See {@link ClientHandler.awaits}. */
  awaits(frame: Frame): boolean {
    const [subscription, key] = this.#named(frame);
    return subscription?.awaits(key) === true;
  }

  /** One ACK or NACK for each message that it is about, the receipt with the last. */
  acknowledge(frame: Frame): void {
    const { command, headers } = frame;
    const [subscription, key] = this.#named(frame);
    if (!subscription) throw malformed(`${command} of a message that does not wait for one`);
    const transaction = this.#step(frame);
    const deliveries = this.#subscriptions.claim(subscription, key);
    if (transaction === undefined) this.#subscriptions.release(deliveries);
    else this.#transactions.claim(transaction, { subscription, deliveries });
    const last = deliveries.at(-1);
    const others = [...headers].filter(([name]) => !ownHeaders.acknowledge.has(name));
    for (const each of deliveries) {
      const names: [string, string][] = this.#link?.acksById
        ? [['id', each.ack ?? each.messageId]]
        : [
            ['message-id', each.messageId],
            ['subscription', subscription.brokerId],
          ];
      this.#passAs([...names, ...others], frame, each === last);
    }
    this.#paceBroker();
  }

  /** 1.2 names the `ack` of the MESSAGE, 1.1 subscription and message-id, 1.0 the message-id ([STOMP-54]). */
  #named(frame: Frame): [subscription: RelaySubscription | undefined, key: string] {
    const { version } = this.client;
    const key = required(frame, version === '1.2' ? 'id' : 'message-id');
    return version === '1.1'
      ? [this.#subscriptions.ofClient(required(frame, 'subscription')), key]
      : [this.#subscriptions.waitingFor(key), key];
  }

  // ── transactions ───────────────────────────────────────────────────────────────────────────────────────────────

  /** A frame may belong to a transaction, which then is open and not too long. */
  #step({ headers }: Frame): string | undefined {
    const transaction = headers.get('transaction');
    if (transaction !== undefined) this.#transactions.step(transaction);
    return transaction;
  }

  /** See {@link ClientHandler.begin}. */
  begin(frame: Frame): void {
    this.#transactions.begin(detached(required(frame, 'transaction')));
    this.#pass(frame, {});
  }

  /** See {@link ClientHandler.commit}. */
  commit(frame: Frame): void {
    const claims = this.#transactions.end(required(frame, 'transaction'));
    for (const { deliveries } of claims) this.#subscriptions.release(deliveries);
    this.#pass(frame, {});
    this.#paceBroker();
  }

  /** See {@link ClientHandler.abort}. */
  abort(frame: Frame): void {
    const claims = this.#transactions.end(required(frame, 'transaction'));
    for (const { subscription, deliveries } of claims) this.#subscriptions.restore(subscription, deliveries);
    this.#pass(frame, {});
    this.#paceBroker();
  }

  // ── the end ────────────────────────────────────────────────────────────────────────────────────────────────────

  /** See {@link ClientHandler.leave}. */
  leave(_failed: boolean, done: () => void): void {
    this.#leaving = done;
    this.#leaveBy = this.client.connection.now + this.#limits.disconnectTimeout;
    if (this.#brokerWaits) this.#link?.release();
    this.#brokerWaits = false;
    if (this.#pending === 0) this.#disconnectBroker(done);
  }

  /** RabbitMQ forgets the receipts that it owes when it reads DISCONNECT: they are waited for ([RELAY-13]). */
  #disconnectBroker(done: () => void): void {
    this.#link?.disconnect((processed) => {
      if (!processed) return this.brokerLost('The broker went away');
      this.#leaveBy = never;
      done();
    });
  }

  /** A relay has no destination of its own where clients would hear of that. */
  tell(): void {}

  /** See {@link ClientHandler.stop}. */
  stop(): void {
    if (this.#over) return;
    this.#over = true;
    for (const { destination } of this.#subscriptions.all()) this.client.unsubscribed(destination);
    this.#subscriptions.clear();
    this.#link?.leave();
    this.#options.ended(this);
  }

  // ── to the broker ──────────────────────────────────────────────────────────────────────────────────────────────

  #pass(frame: Frame, changes: Readonly<Record<string, string>>): void {
    const all = new Map(frame.headers);
    all.delete('receipt');
    for (const name in changes) all.set(name, changes[name] as string);
    this.#passAs(all, frame, true);
  }

  /** `last`: with this frame the client's frame is processed, so that a receipt goes with it. */
  #passAs(headers: Entries, frame: Frame, last: boolean): void {
    const receipt = last ? frame.headers.get('receipt') : undefined;
    const entry = receipt === undefined ? undefined : this.client.expectReceipt(receipt);
    if (entry) {
      this.#pending++;
      // [RELAY-27] No broker that we know can bring a subscription back to where it was.
      const since = frame.command === 'SUBSCRIBE' ? frame.headers.get('since') : undefined;
      if (since !== undefined) entry.answer = { headers: since === fromNow ? [] : [['recovered', 'false']] };
    }
    this.#link?.pass(headers, frame, entry);
    this.#paceClient();
  }

  /** The broker's own flow control, or the receipts that it owes, hold the client back. */
  #paceClient(): void {
    const wait = this.#link?.saturated === true || this.#pending > this.#limits.maxPending;
    if (wait === this.#waitsForBroker) return;
    this.#waitsForBroker = wait;
    if (wait) this.client.hold();
    else this.client.release();
  }

  /** A client that reads slowly, or that owes too many ACKs, holds its own connection to the broker back. */
  #paceBroker(): void {
    const wait =
      this.client.connection.mustWait() || this.#subscriptions.unacknowledged > this.#limits.maxUnacknowledged;
    if (wait === this.#brokerWaits) return;
    this.#brokerWaits = wait;
    if (wait) this.#link?.hold();
    else this.#link?.release();
  }

  /** Where it would be too much the client's connection ends; the broker's is not at fault. False: nothing was counted. */
  #charge(bytes: number): boolean {
    const { connection } = this.client;
    try {
      connection.charge(bytes);
      return true;
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      connection.close(error.fault, error.detail);
      return false;
    }
  }

  /** See {@link ClientHandler.drained}. */
  drained(): void {
    if (!this.#over && !this.#leaving) this.#paceBroker();
  }

  // ── from the broker ────────────────────────────────────────────────────────────────────────────────────────────

  /** The broker said CONNECTED. */
  brokerConnected(headers: Headers): void {
    this.client.ready([...headers].filter(([name]) => !ownHeaders.connected.has(name)));
  }

  /** The broker takes more: the client is read on. */
  brokerDrained(): void {
    this.#paceClient();
  }

  /** A MESSAGE of the broker goes on to the client. */
  message(frame: Frame): void {
    if (this.#over || this.#leaving) return;
    const { headers } = frame;
    const brokerId = headers.get('subscription') ?? '';
    const subscription = this.#subscriptions.ofBroker(brokerId);
    // [RELAY-11] It was under way when UNSUBSCRIBE was sent. RabbitMQ subscribes by itself to a queue for replies.
    if (!subscription && !brokerId.startsWith('/temp-queue/')) return;
    const { version } = this.client;
    const all = [...headers].filter(([name]) => !ownHeaders.message.has(name));
    const own: [string, string][] = [];
    const id = subscription ? subscription.id : brokerId;
    if (id !== undefined) own.push(['subscription', id]);
    if (subscription && subscription.mode !== 'auto') {
      const key = this.#subscriptions.deliver(subscription, headers, version === '1.2');
      if (key === undefined) return;
      if (version === '1.2') own.push(['ack', key]);
    }
    this.client.connection.send(forwardFrame(version, [...own, ...all], frame));
    this.#paceBroker();
  }

  /** The broker has processed the frame of this receipt; what it says of where a subscription is goes on. */
  receipt(entry: PendingReceipt, headers?: Headers): void {
    this.#pending--;
    const told = [...(headers ?? [])].filter(([name]) => resumeHeaders.has(name));
    if (entry.answer && told.length > 0) entry.answer = { headers: told };
    this.client.receipted(entry);
    if (!this.#leaving) this.#paceClient();
    else if (this.#pending === 0) this.#disconnectBroker(this.#leaving);
  }

  /** The broker's ERROR goes on, then the connection ends, which many brokers leave to the client ([STOMP-63]). */
  brokerError(headers: Entries, body: string, { fault, detail }: ProtocolError): void {
    this.client.forwardError(headers, body, fault, detail);
  }

  /** There is no broker, or no more; `detail` goes into the close reason. */
  brokerLost(detail: string): void {
    this.client.connection.close('unavailable', detail);
  }
}
