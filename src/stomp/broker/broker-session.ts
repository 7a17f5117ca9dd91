import { ProtocolError } from '../../core/fault.ts';
import type { SlowSubscriber } from '../../core/slow-subscriber.ts';
import type { Connection } from '../../core/subprotocol.ts';
import { detached } from '../../core/wire.ts';
import { type Frame, type Headers, malformed } from '../protocol/frame.ts';
import { ackModeOf, echoed, prefetchOf, required, shorten } from '../protocol/frame-fields.ts';
import type { HeartBeat } from '../protocol/heart-beat.ts';
import type { Route } from '../server/destinations.ts';
import { ServerSession } from '../server/server-session.ts';
import type { Broker, BrokerClient } from './broker.ts';
import type { BrokerLimits } from './limits.ts';
import { type ReceiptSender, Receipts } from './receipts.ts';
import { Subscriptions } from './subscriptions.ts';
import { Transactions } from './transactions.ts';

/** What all sessions of a server have in common. */
export interface SessionOptions {
  readonly broker: Broker;
  /** The `server` header of CONNECTED. */
  readonly server: string;
  readonly heartbeat: HeartBeat;
  readonly slowSubscriber: SlowSubscriber;
  /** Is a client that names this virtual host let in ([STOMP-29])? */
  readonly knowsHost: (host: string) => boolean | Promise<boolean>;
}

/**
 * A client of the embedded broker: its frames are checked against the agreed version and do what they say, in their
 * order. Everything that fails leaves by one path: ERROR, then the close.
 */
export class BrokerSession extends ServerSession implements BrokerClient, ReceiptSender {
  readonly limits: BrokerLimits;
  /** The `session` header of CONNECTED. */
  readonly session: string;
  unacknowledged = 0;
  leaving = false;

  readonly #options: SessionOptions;
  readonly #broker: Broker;
  readonly #receipts: Receipts;
  readonly #subscriptions: Subscriptions;
  #transactions: Transactions | undefined;
  #crowded = false;

  constructor(connection: Connection, session: string, options: SessionOptions) {
    const { broker, heartbeat, slowSubscriber } = options;
    super(connection, broker.limits, heartbeat);
    this.#options = options;
    this.#broker = broker;
    this.limits = broker.limits;
    this.session = session;
    this.#receipts = new Receipts(this);
    this.#subscriptions = new Subscriptions(this, slowSubscriber, broker.forms);
  }

  /** The name for `/user/…`: nobody in particular is known by the session alone. */
  get user(): string {
    return this.connection.principal?.name ?? this.session;
  }

  get idle(): boolean {
    return this.#receipts.pending === 0 && !this.awaiting;
  }

  // ── the beginning ──────────────────────────────────────────────────────────────────────────────────────────────

  protected admitted(headers: Headers): void {
    const { session } = this;
    const { knowsHost, server } = this.#options;
    const host = headers.get('host');
    this.expectOutcome();
    this.connection.resume(host === undefined || knowsHost(host), (known) => {
      this.outcomeCame();
      // [STOMP-80]
      if (known !== true) throw new ProtocolError('unauthorized', `no virtual host "${shorten(String(host))}" here`);
      this.connected(Object.entries({ session, server }));
    });
  }

  // ── frames ─────────────────────────────────────────────────────────────────────────────────────────────────────

  protected process(frame: Frame): void {
    const { command } = frame;
    const receipt = echoed(frame, 'receipt', this.version);
    switch (command) {
      case 'SEND':
        return this.#sendFrame(frame);
      case 'SUBSCRIBE':
        return this.#subscribe(frame);
      case 'COMMIT':
        return this.#commit(frame);
      case 'DISCONNECT':
        return this.#disconnect(receipt);
      case 'UNSUBSCRIBE':
        this.#subscriptions.unsubscribe(frame.headers);
        break;
      case 'ACK':
      case 'NACK':
        this.#acknowledge(frame);
        break;
      case 'BEGIN':
        this.#transactions ??= new Transactions(this, this.#broker);
        this.#transactions.begin(detached(required(frame, 'transaction')));
        break;
      case 'ABORT':
        this.#openTransactions(frame).abort(required(frame, 'transaction'));
        break;
      default:
        throw malformed(`the command ${shorten(command)} is none of STOMP ${this.version}`);
    }
    this.#processed(receipt);
  }

  // ── SEND ───────────────────────────────────────────────────────────────────────────────────────────────────────

  #sendFrame(frame: Frame): void {
    const { headers } = frame;
    const destination = required(frame, 'destination');
    const transaction = headers.get('transaction');
    const replyTo = this.#replyAddress(headers.get('reply-to'));
    const message = this.#broker.prepare(frame, destination, replyTo);
    if (transaction !== undefined) this.#openTransactions(frame).check(transaction, message);
    this.#permitted(frame, 'SEND', destination, message.route, () => {
      if (transaction === undefined) return this.#carryOut(frame, this.#broker.send(this, message));
      this.#openTransactions(frame).add(transaction, { kind: 'send', message });
      this.#processed(headers.get('receipt'));
    });
  }

  /** A temporary queue in `reply-to` comes to life with the first SEND that names it, subscription included. */
  #replyAddress(replyTo: string | undefined): string | undefined {
    if (replyTo === undefined) return undefined;
    const temporary = this.#broker.destinations.temporaryQueue(replyTo, this);
    if (!temporary) return undefined;
    const subscription = this.#subscriptions.addImplicit(replyTo);
    if (subscription) this.connection.resume(this.#broker.listen(subscription, detached(temporary.topic)), () => {});
    return temporary.address;
  }

  // ── SUBSCRIBE, ACK, NACK ───────────────────────────────────────────────────────────────────────────────────────

  #subscribe(frame: Frame): void {
    const { version } = this;
    const destination = detached(required(frame, 'destination'));
    const id = version === '1.0' ? echoed(frame, 'id', version) : required(frame, 'id');
    const plan = { id: id && detached(id), destination, mode: ackModeOf(frame, version), prefetch: prefetchOf(frame) };
    const route = this.#broker.destinations.toSubscribe(destination, this);
    this.#permitted(frame, 'SUBSCRIBE', destination, route, () => {
      const subscription = this.#subscriptions.add(plan);
      this.#carryOut(frame, this.#broker.subscribe(this, subscription, route, frame.headers));
    });
  }

  #acknowledge(frame: Frame): void {
    const consumed = frame.command === 'ACK';
    if (!consumed && this.version === '1.0') throw malformed('the command NACK is none of STOMP 1.0');
    const transaction = frame.headers.get('transaction');
    if (transaction !== undefined) this.#openTransactions(frame).check(transaction);
    const { subscription, messageId } = this.#subscriptions.acknowledged(frame);
    const full = this.unacknowledged >= this.limits.maxUnacknowledged;
    const deliveries = subscription.claim(messageId);
    if (transaction === undefined) subscription.settle(deliveries, consumed);
    else this.#openTransactions(frame).add(transaction, { kind: 'settle', subscription, deliveries, consumed });
    if (full) this.#subscriptions.pump();
  }

  // ── transactions ───────────────────────────────────────────────────────────────────────────────────────────────

  #openTransactions(frame: Frame): Transactions {
    required(frame, 'transaction');
    if (!this.#transactions) throw malformed('a transaction that is not open');
    return this.#transactions;
  }

  /** The frames that follow wait, so that they come after all of it. */
  #commit(frame: Frame): void {
    const outcome = this.#openTransactions(frame).commit(required(frame, 'transaction'));
    this.settle(frame, outcome, () => {
      this.#processed(frame.headers.get('receipt'));
      // Its ACKs made room for all.
      this.#subscriptions.pump();
    });
  }

  // ── outcomes ───────────────────────────────────────────────────────────────────────────────────────────────────

  /** The frames that follow wait for the answer: what is allowed happens in their order. */
  #permitted(frame: Frame, command: 'SEND' | 'SUBSCRIBE', destination: string, route: Route, then: () => void): void {
    const verdict = this.#broker.permits(this, command, destination, route, frame.headers);
    this.settle(frame, verdict, (permitted) => {
      if (!permitted) throw new ProtocolError('forbidden', `${command} to ${shorten(destination)} is not allowed`);
      then();
    });
  }

  /** The frame is processed when its outcome is there; the frames that follow are read meanwhile, up to a limit. */
  #carryOut(frame: Frame, outcome: Promise<unknown> | undefined): void {
    const receipt = frame.headers.get('receipt');
    if (outcome === undefined) return this.#processed(receipt);
    const entry = this.#receipts.expect(receipt);
    this.#pace();
    this.connection.resume(
      outcome,
      () => {
        this.#receipts.settle(entry);
        this.#settled();
      },
      (error) => this.failed(frame, error),
    );
  }

  sendReceipt(receipt: string): void {
    this.send('RECEIPT', { 'receipt-id': receipt });
  }

  /** Its RECEIPT may have to wait for those before it. */
  #processed(receipt: string | undefined): void {
    this.#receipts.processed(receipt);
    this.#pace();
  }

  #pace(): void {
    const { pending } = this.#receipts;
    if (!this.#crowded && pending >= this.limits.maxPending) {
      this.#crowded = true;
      this.hold();
      this.expectOutcome();
    } else if (this.#crowded && pending <= this.limits.maxPending / 2) {
      this.#crowded = false;
      this.outcomeCame();
      this.release();
    }
  }

  #settled(): void {
    // What came before DISCONNECT is processed, and its RECEIPT flushed, before the close ([STOMP-62] [STOMP-68]).
    if (!this.disconnected) this.#pace();
    else if (this.#receipts.pending === 0) this.connection.finish();
  }

  // ── the end ────────────────────────────────────────────────────────────────────────────────────────────────────

  #disconnect(receipt: string | undefined): void {
    this.#receipts.processed(receipt);
    this.#part(false);
  }

  protected peerLeft(): void {
    this.#part(true);
  }

  #part(failed: boolean): void {
    this.leave();
    this.#releaseAll(failed);
    this.expectOutcome();
    this.#settled();
  }

  /** Open transactions are aborted ([STOMP-59]); what was not acknowledged goes back to its queue ([STOMP-53]). */
  #releaseAll(failed: boolean): void {
    this.leaving = true;
    this.#transactions?.abortAll();
    this.#subscriptions.stopAll(failed);
  }

  override fail(error: ProtocolError): void {
    super.fail(error);
    // Others need not wait for the close handshake to get what this one did not acknowledge.
    this.#releaseAll(true);
  }

  end(): void {
    this.#releaseAll(true);
  }

  // ── the connection ─────────────────────────────────────────────────────────────────────────────────────────────

  drained(): void {
    this.#subscriptions.pump();
  }

  override drain(): void {
    this.leaving = true;
  }
}
