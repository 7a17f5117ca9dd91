import { never } from '../../core/clock.ts';
import { ProtocolError } from '../../core/fault.ts';
import type { Connection } from '../../core/subprotocol.ts';
import { detached } from '../../core/wire.ts';
import { type Entries, expressibleHeaders, forwardFrame } from '../protocol/forward-frame.ts';
import { type Frame, type Headers, malformed } from '../protocol/frame.ts';
import { ackModeOf, echoed, required, shorten } from '../protocol/frame-fields.ts';
import type { HeartBeat } from '../protocol/heart-beat.ts';
import type { AuthorizeRequest } from '../server/hooks.ts';
import { ServerSession } from '../server/server-session.ts';
import type { RelayLimits } from './limits.ts';
import { RelaySubscription, RelaySubscriptions } from './relay-subscriptions.ts';
import { RelayTransactions } from './relay-transactions.ts';

/** Headers of a MESSAGE that are said anew, or that are none of it: RabbitMQ repeats the receipt of the SEND ([STOMP-44]). */
const ownOfMessage = ['ack', 'subscription', 'receipt', 'transaction'];

/** The broker, as the session of a client sees it: a connection that is this client's alone. */
export interface BrokerLink {
  /** It takes less than comes: the client is not read on until {@link RelaySession.brokerDrained}. */
  readonly saturated: boolean;
  /** STOMP 1.2, so that an ACK is made by `ack` alone. */
  readonly acksById: boolean;
  /** Send a frame on with these headers. With a receipt, {@link RelaySession.receipt} hears of it. */
  pass(headers: Entries, frame: Frame, receipt: string | undefined): void;
  /** Do not read what the broker sends, and go on. */
  hold(): void;
  release(): void;
  /** Send DISCONNECT and ask for its receipt. */
  disconnect(done: (processed: boolean) => void): void;
  /** Send DISCONNECT if there is anybody to send it to, then close. Called once. */
  leave(): void;
}

export interface RelaySessionOptions {
  readonly limits: RelayLimits;
  readonly heartbeat: HeartBeat;
  readonly authorize: ((request: AuthorizeRequest) => boolean | Promise<boolean>) | undefined;
  /** Connect this client to the broker; it hears `brokerConnected` or `brokerLost`. */
  readonly dial: (session: RelaySession, headers: Headers) => BrokerLink | undefined;
  readonly ended: (session: RelaySession) => void;
}

/**
 * A client of a relay: its frames are checked here as strictly as the embedded broker does, then go on to a broker;
 * the broker's frames come back. Whatever is remembered here is there to put right what brokers get wrong.
 */
export class RelaySession extends ServerSession {
  readonly #limits: RelayLimits;
  readonly #options: RelaySessionOptions;
  readonly #subscriptions: RelaySubscriptions;
  readonly #transactions: RelayTransactions;
  #link: BrokerLink | undefined;
  #name = '';
  #pending = 0;
  #waitsForBroker = false;
  #brokerWaits = false;
  #leaving: { readonly receipt: string | undefined } | undefined;
  #leaveBy = never;
  #forwardsError = false;
  #over = false;

  constructor(connection: Connection, options: RelaySessionOptions) {
    super(connection, options.limits, options.heartbeat);
    this.#limits = options.limits;
    this.#options = options;
    this.#subscriptions = new RelaySubscriptions(options.limits.maxSubscriptions);
    this.#transactions = new RelayTransactions(options.limits);
  }

  get idle(): boolean {
    return this.#pending === 0 && this.#transactions.size === 0 && !this.#leaving;
  }

  override get deadline(): number {
    return Math.min(super.deadline, this.#leaveBy);
  }

  override tick(now: number): void {
    if (now >= this.#leaveBy) return this.brokerLost('The broker did not answer DISCONNECT');
    super.tick(now);
  }

  // ── from the client ────────────────────────────────────────────────────────────────────────────────────────────

  protected admitted(headers: Headers): void {
    this.#link = this.#options.dial(this, headers);
  }

  protected process(frame: Frame): void {
    echoed(frame, 'receipt', this.version);
    switch (frame.command) {
      case 'SEND':
        return this.#sendOn(frame);
      case 'SUBSCRIBE':
        return this.#subscribe(frame);
      case 'UNSUBSCRIBE':
        return this.#unsubscribe(frame);
      case 'ACK':
      case 'NACK':
        return this.#acknowledge(frame);
      case 'BEGIN':
        this.#transactions.begin(detached(required(frame, 'transaction')));
        return this.#pass(frame, {});
      case 'COMMIT':
      case 'ABORT':
        return this.#endTransaction(frame);
      case 'DISCONNECT':
        return this.#disconnect(frame.headers.get('receipt'));
      default:
        throw malformed(`the command ${shorten(frame.command)} is none of STOMP ${this.version}`);
    }
  }

  #sendOn(frame: Frame): void {
    const destination = required(frame, 'destination');
    this.#step(frame);
    this.#permitted(frame, 'SEND', destination, () => this.#pass(frame, {}));
  }

  #permitted(frame: Frame, command: 'SEND' | 'SUBSCRIBE', destination: string, then: () => void): void {
    const { authorize } = this.#options;
    if (!authorize) return then();
    const { principal, handshake } = this.connection;
    const request = { command, destination, headers: frame.headers, principal, handshake, session: this.#name };
    this.settle(frame, authorize(request), (permitted) => {
      if (permitted !== true)
        throw new ProtocolError('forbidden', `${command} to ${shorten(destination)} is not allowed`);
      then();
    });
  }

  #subscribe(frame: Frame): void {
    const { headers } = frame;
    const destination = required(frame, 'destination');
    const id = this.version === '1.0' ? echoed(frame, 'id', this.version) : required(frame, 'id');
    const mode = ackModeOf(frame, this.version);
    const { maxUnacknowledged } = this.#limits;
    const brokerId = this.#subscriptions.name(id);
    this.#permitted(frame, 'SUBSCRIBE', destination, () => {
      const named = id === undefined ? undefined : detached(id);
      this.#subscriptions.add(new RelaySubscription(named, detached(brokerId), detached(destination), mode));
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
    });
  }

  #unsubscribe(frame: Frame): void {
    const id = this.version === '1.0' ? frame.headers.get('id') : required(frame, 'id');
    const subscription =
      id === undefined
        ? this.#subscriptions.nameless(required(frame, 'destination'))
        : this.#subscriptions.ofClient(id);
    if (!subscription) throw malformed('UNSUBSCRIBE of a subscription that does not exist');
    this.#subscriptions.remove(subscription);
    this.#pass(frame, { id: subscription.brokerId });
    this.#paceBroker();
  }

  /** One ACK or NACK for each message that it is about, the receipt with the last. */
  #acknowledge(frame: Frame): void {
    const { command, headers } = frame;
    if (command === 'NACK' && this.version === '1.0') throw malformed('the command NACK is none of STOMP 1.0');
    const key = required(frame, this.version === '1.2' ? 'id' : 'message-id');
    const subscription = this.#acknowledged(frame, key);
    const transaction = this.#step(frame);
    const deliveries = this.#subscriptions.claim(subscription, key);
    if (transaction !== undefined) this.#transactions.claim(transaction, { subscription, deliveries });
    const last = deliveries.at(-1);
    const others = new Map(headers);
    for (const name of ['id', 'ack', 'message-id', 'subscription', 'receipt']) others.delete(name);
    for (const each of deliveries) {
      const names: [string, string][] = this.#link?.acksById
        ? [['id', each.ack ?? each.messageId]]
        : [
            ['message-id', each.messageId],
            ['subscription', subscription.brokerId],
          ];
      const receipt = each === last ? headers.get('receipt') : undefined;
      this.#passAs([...names, ...others], frame, receipt);
    }
    this.#paceBroker();
  }

  /** 1.2 names the `ack` of the MESSAGE, 1.1 subscription and message-id, 1.0 the message-id ([STOMP-54]). */
  #acknowledged(frame: Frame, key: string): RelaySubscription {
    const subscription =
      this.version === '1.1'
        ? this.#subscriptions.ofClient(required(frame, 'subscription'))
        : this.#subscriptions.waitingFor(key);
    if (!subscription) throw malformed(`${frame.command} of a message that does not wait for one`);
    return subscription;
  }

  // ── transactions ───────────────────────────────────────────────────────────────────────────────────────────────

  /** A frame may belong to a transaction, which then is open and not too long. */
  #step({ headers }: Frame): string | undefined {
    const transaction = headers.get('transaction');
    if (transaction !== undefined) this.#transactions.step(transaction);
    return transaction;
  }

  #endTransaction(frame: Frame): void {
    const claims = this.#transactions.end(required(frame, 'transaction'));
    if (frame.command === 'ABORT') {
      for (const { subscription, deliveries } of claims) this.#subscriptions.restore(subscription, deliveries);
    }
    this.#pass(frame, {});
    this.#paceBroker();
  }

  // ── the end ────────────────────────────────────────────────────────────────────────────────────────────────────

  protected peerLeft(): void {
    this.#disconnect(undefined);
  }

  #disconnect(receipt: string | undefined): void {
    this.leave();
    this.#leaving = { receipt };
    this.#leaveBy = this.connection.now + this.#limits.disconnectTimeout;
    if (this.#brokerWaits) this.#link?.release();
    this.#brokerWaits = false;
    if (this.#pending === 0) this.#disconnectBroker(receipt);
  }

  /** RabbitMQ forgets the receipts that it owes when it reads DISCONNECT: they are waited for ([RELAY-13]). */
  #disconnectBroker(receipt: string | undefined): void {
    this.#link?.disconnect((processed) => {
      if (!processed) return this.brokerLost('The broker went away');
      if (receipt !== undefined) this.#sendReceipt(receipt);
      this.connection.finish();
    });
  }

  override fail(error: ProtocolError): void {
    if (!this.#forwardsError) super.fail(error);
    this.#releaseAll();
  }

  end(): void {
    this.#releaseAll();
    this.#options.ended(this);
  }

  #releaseAll(): void {
    if (this.#over) return;
    this.#over = true;
    this.#subscriptions.clear();
    this.#link?.leave();
  }

  // ── to the broker ──────────────────────────────────────────────────────────────────────────────────────────────

  #pass(frame: Frame, changes: Readonly<Record<string, string>>): void {
    const { headers } = frame;
    const all = new Map(headers);
    all.delete('receipt');
    for (const name in changes) all.set(name, changes[name] as string);
    this.#passAs(all, frame, headers.get('receipt'));
  }

  #passAs(headers: Entries, frame: Frame, receipt: string | undefined): void {
    if (receipt !== undefined) this.#pending++;
    this.#link?.pass(headers, frame, receipt);
    this.#paceClient();
  }

  /** The broker's own flow control, or the receipts that it owes, hold the client back. */
  #paceClient(): void {
    const wait = this.#link?.saturated === true || this.#pending > this.#limits.maxPending;
    if (wait === this.#waitsForBroker) return;
    this.#waitsForBroker = wait;
    if (wait) this.hold();
    else this.release();
  }

  /** A client that reads slowly, or that owes too many ACKs, holds its own connection to the broker back. */
  #paceBroker(): void {
    const wait = this.connection.saturated || this.#subscriptions.unacknowledged > this.#limits.maxUnacknowledged;
    if (wait === this.#brokerWaits) return;
    this.#brokerWaits = wait;
    if (wait) this.#link?.hold();
    else this.#link?.release();
  }

  drained(): void {
    if (!this.#over && !this.#leaving) this.#paceBroker();
  }

  // ── from the broker ────────────────────────────────────────────────────────────────────────────────────────────

  /** The broker said CONNECTED: so does the relay. */
  brokerConnected(headers: Headers): void {
    this.#name = headers.get('session') ?? '';
    const kept = new Map(headers);
    for (const name of ['version', 'heart-beat', 'content-length']) kept.delete(name);
    this.connected(expressibleHeaders('raw', kept));
  }

  brokerDrained(): void {
    this.#paceClient();
  }

  message(frame: Frame): void {
    if (this.#over || this.#leaving) return;
    const { headers } = frame;
    const brokerId = headers.get('subscription') ?? '';
    const subscription = this.#subscriptions.ofBroker(brokerId);
    // [RELAY-11] It was under way when UNSUBSCRIBE was sent. RabbitMQ subscribes by itself to a queue for replies.
    if (!subscription && !brokerId.startsWith('/temp-queue/')) return;
    const all = new Map(headers);
    for (const name of ownOfMessage) all.delete(name);
    const own: [string, string][] = [];
    const id = subscription ? subscription.id : brokerId;
    if (id !== undefined) own.push(['subscription', id]);
    if (subscription && subscription.mode !== 'auto') {
      const key = this.#subscriptions.deliver(subscription, headers, this.version === '1.2');
      if (this.version === '1.2') own.push(['ack', key]);
    }
    this.connection.send(forwardFrame(this.version, [...own, ...all], frame));
    this.#paceBroker();
  }

  receipt(receipt: string): void {
    this.#pending--;
    this.#sendReceipt(receipt);
    if (!this.#leaving) this.#paceClient();
    else if (this.#pending === 0) this.#disconnectBroker(this.#leaving.receipt);
  }

  #sendReceipt(receipt: string): void {
    this.send('RECEIPT', expressibleHeaders(this.version, [['receipt-id', receipt]]));
  }

  /** The broker's ERROR goes on, then the connection ends, which many brokers leave to the client ([STOMP-63]). */
  brokerError(headers: Entries, body: string, fault: ProtocolError): void {
    this.#forwardsError = true;
    this.send('ERROR', expressibleHeaders(this.version, headers), body);
    this.connection.close(fault.fault, fault.detail);
  }

  /** There is no broker, or no more; `detail` goes into the close reason. */
  brokerLost(detail: string): void {
    this.connection.close('unavailable', detail);
  }
}
