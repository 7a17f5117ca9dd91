import { type Fault, ProtocolError } from '../../core/fault.ts';
import type { Connection } from '../../core/subprotocol.ts';
import { detached } from '../../core/wire.ts';
import { type Entries, expressibleHeaders } from '../protocol/forward-frame.ts';
import { type Frame, type Headers, malformed } from '../protocol/frame.ts';
import { ackModeOf, echoed, prefetchOf, required, shorten } from '../protocol/frame-fields.ts';
import type { Application, Permission } from './application.ts';
import type { ClientHandler, HandlerClient } from './destination-handler.ts';
import type { Route } from './destinations.ts';
import { type Answer, type PendingReceipt, Receipts } from './receipts.ts';
import { mayBeDropped, refusalWords } from './refused-send.ts';
import { ServerSession } from './server-session.ts';
import type { StompSessionOptions } from './session-options.ts';
import { TransactionRoutes } from './transaction-routes.ts';

const nothingTold: readonly (readonly [string, string])[] = [];

/**
 * A client of a STOMP server: its frames are checked against the agreed version, the application is asked, and each
 * frame goes to the one handler that has its destination, in order. Everything that fails leaves by one path: ERROR, then
 * the close.
 */
export class StompSession extends ServerSession implements HandlerClient {
  /** The `session` header of CONNECTED. */
  session: string;
  /** See {@link HandlerClient.leaving}. */
  leaving = false;
  /** See {@link HandlerClient.draining}. */
  draining = false;

  readonly #options: StompSessionOptions;
  readonly #receipts: Receipts;
  #handlers: readonly ClientHandler[] = [];
  // What a broker behind this server has said in its CONNECTED.
  #told: readonly (readonly [string, string])[] = nothingTold;
  // Handlers that have not said yet that they are ready.
  #unready = 0;
  #transactions: TransactionRoutes | undefined;
  // Outcomes that are awaited by `carryOut`.
  #outcomes = 0;
  #crowded = false;
  #forwardsError = false;
  // The application has heard that this client is there.
  #isTold = false;

  constructor(connection: Connection, session: string, options: StompSessionOptions) {
    super(connection, options.limits, options.heartbeat);
    this.session = session;
    this.#options = options;
    options.frameLog?.watch(this);
    this.#receipts = new Receipts((receipt, more) => this.#sendReceipt(receipt, more));
  }

  /** See {@link HandlerClient.application}. */
  get application(): Application {
    return this.#options.application;
  }

  /** The name for `/user/…`: nobody in particular is known by the session alone. */
  get user(): string {
    return this.connection.principal?.name ?? this.session;
  }

  /** See {@link HandlerClient.idle}. */
  get idle(): boolean {
    return this.#receipts.pending === 0 && !this.awaiting && this.#handlers.every(({ idle }) => idle);
  }

  // ── the beginning ──────────────────────────────────────────────────────────────────────────────────────────────

  protected admitted(headers: Headers): void {
    const { knowsHost, handlers } = this.#options;
    const host = headers.get('host');
    this.expectOutcome();
    const open = (known: boolean): void => {
      this.outcomeCame();
      // [STOMP-80]
      if (known !== true) throw new ProtocolError('unauthorized', `no virtual host "${shorten(String(host))}" here`);
      const opened: ClientHandler[] = [];
      this.#handlers = opened;
      // One more than there are: no frame is read before all of them are there.
      this.#unready = handlers.length + 1;
      for (const handler of handlers) opened.push(handler.open(this, headers));
      this.ready([]);
    };
    this.connection.resume(host === undefined || knowsHost(host), open);
  }

  /** See {@link HandlerClient.ready}. */
  ready(headers: Entries): void {
    const { server } = this.#options;
    if (server === undefined) this.#told = [...this.#told, ...headers];
    if (--this.#unready > 0) return;
    const said = server === undefined ? this.#told : Object.entries({ session: this.session, server });
    this.#told = nothingTold;
    this.session = new Map(said).get('session') ?? '';
    this.#isTold = true;
    this.connected(expressibleHeaders('raw', said));
    this.application.tell('onConnect', this, {});
  }

  // ── frames ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /** [STOMP-125] */
  protected override get pongsSuffice(): boolean {
    return this.#options.tolerant && this.connection.isPinged;
  }

  protected override sees(frame: Frame): void {
    this.#options.frameLog?.received(this, frame);
  }

  protected process(frame: Frame): void {
    echoed(frame, 'receipt', this.version);
    switch (frame.command) {
      case 'SEND':
        return this.#submit(frame);
      case 'SUBSCRIBE':
        return this.#subscribe(frame);
      case 'UNSUBSCRIBE':
        return this.#unsubscribe(frame);
      case 'ACK':
      case 'NACK':
        return this.#acknowledge(frame);
      case 'BEGIN':
      case 'COMMIT':
      case 'ABORT':
        return this.#transaction(frame);
      case 'DISCONNECT':
        return this.#part(false, frame.headers.get('receipt'));
      default:
        throw malformed(`the command ${shorten(frame.command)} is none of STOMP ${this.version}`);
    }
  }

  #submit(frame: Frame): void {
    const destination = required(frame, 'destination');
    try {
      const route = this.#options.route('SEND', destination, this);
      const handler = this.#handlerOf(route);
      this.#join(frame, handler);
      this.#permitted(frame, 'SEND', destination, route, () => {
        if (!this.application.rewrites) return handler.submit(frame, destination, route);
        const rewritten = this.application.rewritten(this, frame, destination, route);
        this.settle(frame, rewritten, (changed) => handler.submit(changed, destination, route));
      });
    } catch (error) {
      this.failed(frame, error);
    }
  }

  /**
   * A SEND that is refused and asked for no receipt was promised nothing: it is dropped, and its connection lives
   * ([STOMP-41]). Whoever wants to know listens to `/user/queue/errors`.
   */
  protected override failed(frame: Frame, error: unknown): void {
    const { strict, refused } = this.#options;
    if (strict || !mayBeDropped(frame, error)) return super.failed(frame, error);
    refused();
    if (!(error instanceof ProtocolError)) this.connection.report(error);
    this.#handlers.at(-1)?.tell(frame, refusalWords(error));
  }

  #subscribe(frame: Frame): void {
    const { version } = this;
    const destination = detached(required(frame, 'destination'));
    const given = version === '1.0' ? echoed(frame, 'id', version) : required(frame, 'id');
    const id = given === undefined ? undefined : detached(given);
    const plan = { id, destination, mode: ackModeOf(frame, version), prefetch: prefetchOf(frame) };
    const route = this.#options.route('SUBSCRIBE', destination, this);
    const handler = this.#handlerOf(route);
    let open = 0;
    for (const each of this.#handlers) {
      open += each.subscriptions;
      if (each !== handler && id !== undefined && each.has(id)) {
        throw new ProtocolError('duplicate', 'SUBSCRIBE with an id that is in use');
      }
    }
    const { maxSubscriptions } = this.#options.limits;
    if (open >= maxSubscriptions) throw new ProtocolError('tooMany', `more than ${maxSubscriptions} subscriptions`);
    this.#permitted(frame, 'SUBSCRIBE', destination, route, (permission) =>
      handler.subscribe(frame, plan, route, permission),
    );
  }

  #unsubscribe(frame: Frame): void {
    if (this.version !== '1.0') required(frame, 'id');
    if (this.#handlers.some((handler) => handler.unsubscribe(frame))) return;
    if (this.#handlers.some((handler) => handler.endDurable?.(frame))) return;
    if (this.#options.tolerant) return this.processed(frame);
    throw malformed('UNSUBSCRIBE of a subscription that does not exist');
  }

  #acknowledge(frame: Frame): void {
    const { command } = frame;
    if (command === 'NACK' && this.version === '1.0') throw malformed('the command NACK is none of STOMP 1.0');
    required(frame, this.version === '1.2' ? 'id' : 'message-id');
    if (this.version === '1.1') required(frame, 'subscription');
    const { tolerant } = this.#options;
    const isAsked = tolerant || this.#handlers.length > 1;
    const handler = isAsked ? this.#handlers.find((each) => each.awaits(frame)) : this.#handlers[0];
    if (!handler && tolerant) return this.processed(frame);
    if (!handler) throw malformed(`${command} of a message that does not wait for one`);
    this.#join(frame, handler);
    handler.acknowledge(frame);
  }

  /** The handler of a destination: those that are known by a prefix come first, the last one has the rest. */
  #handlerOf(route: Route): ClientHandler {
    const index = route.kind === 'relayed' ? route.handler : this.#handlers.length - 1;
    return this.#handlers[index] as ClientHandler;
  }

  // ── transactions ───────────────────────────────────────────────────────────────────────────────────────────────

  #transaction(frame: Frame): void {
    const id = required(frame, 'transaction');
    const handler = this.#handlers.length > 1 ? this.#routes.handlerOf(frame, detached(id)) : this.#handlers[0];
    if (!handler) return this.processed(frame);
    if (frame.command === 'BEGIN') handler.begin(frame);
    else if (frame.command === 'COMMIT') handler.commit(frame);
    else handler.abort(frame);
  }

  /** This frame may name a transaction, which then is this handler's. */
  #join(frame: Frame, handler: ClientHandler): void {
    if (this.#handlers.length > 1 && frame.headers.has('transaction')) this.#routes.join(frame, handler);
  }

  get #routes(): TransactionRoutes {
    this.#transactions ??= new TransactionRoutes(this.#options.limits.maxTransactions);
    return this.#transactions;
  }

  // ── outcomes ───────────────────────────────────────────────────────────────────────────────────────────────────

  /** The frames that follow wait for the answer: what is allowed happens in their order. */
  #permitted(
    frame: Frame,
    command: 'SEND' | 'SUBSCRIBE',
    destination: string,
    route: Route,
    then: (permission: Permission) => void,
  ): void {
    this.settle(frame, this.application.permits(this, command, destination, route, frame.headers), then);
  }

  /** See {@link HandlerClient.carryOut}. */
  carryOut<T>(frame: Frame, outcome: Promise<T> | undefined, answer?: (value: T) => Answer | undefined): void {
    if (outcome === undefined) return this.processed(frame);
    const entry = this.#receipts.expect(frame.headers.get('receipt'));
    this.#outcomes++;
    this.#pace();
    this.connection.resume(
      outcome,
      (value) => {
        this.#outcomes--;
        entry.answer = answer?.(value);
        this.receipted(entry);
      },
      (error) => {
        this.failed(frame, error);
        this.#outcomes--;
        this.receipted(entry);
      },
    );
  }

  /** See {@link HandlerClient.processed}. */
  processed(frame: Frame): void {
    this.#receipts.processed(frame.headers.get('receipt'));
    this.#pace();
  }

  /** See {@link HandlerClient.expectReceipt}. */
  expectReceipt(receipt: string | undefined): PendingReceipt {
    return this.#receipts.expect(receipt);
  }

  /** See {@link HandlerClient.receipted}. */
  receipted(entry: PendingReceipt): void {
    this.#receipts.settle(entry);
    if (this.disconnected) this.#finishIfDone();
    else this.#pace();
  }

  #sendReceipt(receipt: string, more: Entries = []): void {
    this.send('RECEIPT', expressibleHeaders(this.version, [['receipt-id', receipt], ...more]));
  }

  /** Outcomes of the bus and of the application are awaited up to a limit: over it the client is not read. */
  #pace(): void {
    const { maxPending } = this.#options.limits;
    const { pending } = this.#receipts;
    if (!this.#crowded && this.#outcomes > 0 && pending >= maxPending) {
      this.#crowded = true;
      this.hold();
      this.expectOutcome();
    } else if (this.#crowded && pending <= maxPending / 2) {
      this.#crowded = false;
      this.outcomeCame();
      this.release();
    }
  }

  /** See {@link HandlerClient.subscribed}. */
  subscribed(destination: string): void {
    this.application.tell('onSubscribed', this, { destination });
  }

  /** See {@link HandlerClient.unsubscribed}. */
  unsubscribed(destination: string): void {
    this.application.tell('onUnsubscribed', this, { destination });
  }

  // ── the end ────────────────────────────────────────────────────────────────────────────────────────────────────

  protected peerLeft(): void {
    this.#part(true, undefined);
  }

  /** What came before DISCONNECT is processed, and its RECEIPT flushed, before the close ([STOMP-62] [STOMP-68]). */
  #part(failed: boolean, receipt: string | undefined): void {
    this.leave();
    this.leaving = true;
    this.expectOutcome();
    const entry = this.#receipts.expect(receipt);
    let waiting = this.#handlers.length;
    for (const handler of this.#handlers) {
      handler.leave(failed, () => {
        if (--waiting > 0) return;
        this.#receipts.settle(entry);
        this.#finishIfDone();
      });
    }
  }

  #finishIfDone(): void {
    if (this.#receipts.pending === 0) this.connection.finish();
  }

  override get deadline(): number {
    let first = super.deadline;
    // Only a handler that leaves has a deadline of its own: nobody else is asked for one.
    if (this.disconnected) for (const { deadline } of this.#handlers) first = Math.min(first, deadline);
    return first;
  }

  override tick(now: number): void {
    if (this.disconnected) for (const handler of this.#handlers) handler.tick(now);
    if (!this.connection.closing) super.tick(now);
  }

  /** See {@link HandlerClient.forwardError}. */
  forwardError(headers: Entries, body: string, fault: Fault, detail?: string): void {
    this.#forwardsError = true;
    this.send('ERROR', expressibleHeaders(this.version, headers), body);
    this.connection.close(fault, detail);
  }

  override fail(error: ProtocolError): void {
    if (!this.#forwardsError) super.fail(error);
    // Others need not wait for the close handshake to get what this one did not acknowledge.
    this.#stop();
  }

  /** See {@link HandlerClient.end}. */
  end(code: number, reason: string): void {
    this.#stop();
    if (this.#isTold) this.application.tell('onDisconnect', this, { code, reason });
  }

  #stop(): void {
    this.leaving = true;
    for (const handler of this.#handlers) handler.stop();
  }

  /** See {@link HandlerClient.drained}. */
  drained(): void {
    for (const handler of this.#handlers) handler.drained();
  }

  override drain(): void {
    this.draining = true;
  }
}
