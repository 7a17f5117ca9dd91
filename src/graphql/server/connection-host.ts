import { ProtocolError } from '../../core/fault.ts';
import { isPromise, type PromiseOr } from '../../core/promise-or.ts';
import type { Connection, Handshake, Principal } from '../../core/subprotocol.ts';
import { encodeControl, isObject, type SubscribeMessage } from '../protocol/messages.ts';
import type { ServerRuntime } from './engine.ts';
import { Operation, type OperationContext } from './operation.ts';
import type { ConnectionParams, Context } from './options.ts';
import { GraphqlSession, type SessionHandler } from './session.ts';

type Payload = ConnectionParams | null | undefined;

/** What belongs to one connection alone. */
export interface HostOptions {
  readonly extra?: unknown;
  /** Instead of the automatic pong. */
  readonly onPing?: ((payload: Payload) => PromiseOr<void>) | undefined;
  readonly onPong?: ((payload: Payload) => PromiseOr<void>) | undefined;
}

const neverEnded = { ended: false };
const nothing: HostOptions = {};

/** All that may take its time for one connection: hooks, authentication, operations. */
export class ConnectionHost implements SessionHandler, OperationContext {
  readonly connection: Connection;
  readonly engine: ServerRuntime;
  readonly session: GraphqlSession;
  readonly context: ConnectionContext;
  /** Once the connection is gone: resolves when its hooks have been told. */
  gone: Promise<void> | undefined;
  readonly #options: HostOptions;
  #releasing: PromiseLike<unknown>[] | undefined;
  /** Credentials that are being looked at, and those that follow. */
  #refreshes: ConnectionParams[] | undefined;

  constructor(connection: Connection, engine: ServerRuntime, options: HostOptions = nothing) {
    this.connection = connection;
    this.engine = engine;
    this.#options = options;
    this.session = new GraphqlSession(connection, this, engine.limits, engine.options.jsonMessageReviver);
    this.context = new ConnectionContext(this, options.extra);
  }

  /**
   * Run something of the application's, then go on with what it gave. What it throws is a bug of its own and ends the
   * connection. Nothing follows once `owner` or the connection has ended.
   */
  step<T>(run: () => PromiseOr<T>, then: (value: T) => void, owner: { readonly ended: boolean } = neverEnded): void {
    let outcome: PromiseOr<T>;
    try {
      outcome = run();
    } catch (error) {
      return this.bug(error);
    }
    if (!isPromise(outcome)) {
      // Also at once: what ran may have ended the connection.
      if (!this.connection.closing && !owner.ended) then(outcome);
      return;
    }
    Promise.resolve(outcome).then(
      (value) =>
        this.connection.resume(undefined, () => {
          if (!owner.ended) then(value);
        }),
      (error: unknown) => (owner.ended ? this.connection.report(error) : this.bug(error)),
    );
  }

  /** The application's own code threw: it is told all of it, the client what it may know. */
  bug(error: unknown): void {
    this.connection.report(error);
    const shown = !this.engine.hidesErrors && error instanceof Error ? error.message : undefined;
    // Some libraries put an object there; a reason is text.
    this.connection.close('internal', typeof shown === 'string' ? shown : undefined);
  }

  /** Run something that lets go of an operation; nobody waits for it but {@link gone}. */
  release(run: () => unknown, broken: (error: unknown) => void = (error) => this.connection.report(error)): void {
    try {
      const outcome = run();
      if (!isPromise(outcome)) return;
      const released = Promise.resolve(outcome).catch(broken);
      this.#releasing?.push(released);
    } catch (error) {
      broken(error);
    }
  }

  // ── messages ───────────────────────────────────────────────────────────────────────────────────────────────────

  init(payload: Payload): void {
    const { connection, context, engine } = this;
    context.connectionInitReceived = true;
    context.connectionParams = payload ?? undefined;
    connection.authenticate({ connectionParams: context.connectionParams }, (admitted) => {
      if (!admitted) return connection.close('forbidden');
      this.step(
        () => engine.options.onConnect?.(context),
        (answer) => (answer === false ? connection.close('forbidden') : this.#acknowledge(answer)),
      );
    });
  }

  #acknowledge(answer: unknown): void {
    const { jsonMessageReplacer: replacer } = this.engine.options;
    this.step(
      () => encodeControl('connection_ack', isObject(answer) ? answer : undefined, replacer),
      (head) => {
        this.context.acknowledged = true;
        this.session.acknowledge();
        this.connection.send({ head, binary: false });
      },
    );
  }

  ping(payload: Payload): void {
    const { context, engine } = this;
    const extension = payload?.['subwire'];
    // Nobody would look at the credentials of who has no principal: what onConnect admitted must not be replaced unseen.
    const known = context.acknowledged && context.principal;
    if (known && isObject(extension) && isObject(extension['credentials'])) {
      return this.#refresh(extension['credentials']);
    }
    const { onPing } = this.#options;
    this.step(
      () => engine.options.onPing?.(context, payload),
      () =>
        this.step(
          () => onPing?.(payload),
          () => {
            if (!onPing) this.#pong(payload);
          },
        ),
    );
  }

  #pong(payload: Payload): void {
    const { jsonMessageReplacer: replacer } = this.engine.options;
    this.step(
      () => {
        try {
          return encodeControl('pong', payload, replacer);
        } catch (cause) {
          // What can be read may be too deep to be written: that is the client's doing.
          if (cause instanceof RangeError) return new ProtocolError('malformed', undefined, { cause });
          throw cause;
        }
      },
      (head) => {
        if (typeof head !== 'string') throw head;
        this.connection.send({ head, binary: false });
      },
    );
  }

  /**
   * Fresh credentials on a live connection: the old principal goes on until the new one is known. One after the other,
   * since the answer to older ones must not take the place of the latest.
   */
  #refresh(credentials: ConnectionParams): void {
    this.#refreshes ??= [];
    if (this.#refreshes.length >= this.engine.limits.maxOperations) return this.connection.close('tooMany');
    this.#refreshes.push(credentials);
    if (this.#refreshes.length === 1) this.#authenticate(this.#refreshes);
  }

  #authenticate(refreshes: ConnectionParams[]): void {
    const { connection, context } = this;
    const [credentials] = refreshes;
    connection.authenticate({ connectionParams: credentials }, (admitted) => {
      if (!admitted) return connection.close('forbidden');
      context.connectionParams = credentials;
      // Never echoed: a secret has no business on its way back.
      this.#pong({ subwire: { refreshed: true } });
      refreshes.shift();
      if (refreshes.length > 0) this.#authenticate(refreshes);
    });
  }

  pong(payload: Payload): void {
    const { context, engine } = this;
    this.step(
      () => engine.options.onPong?.(context, payload),
      () =>
        this.step(
          () => this.#options.onPong?.(payload),
          () => {},
        ),
    );
  }

  operation({ id, payload }: SubscribeMessage): Operation {
    // `Reflect`, since a reviver may have frozen it: then it stays as it is.
    Reflect.set(payload, 'query', this.engine.documents.known(payload.query));
    return new Operation(this, id, payload);
  }

  // ── the end ────────────────────────────────────────────────────────────────────────────────────────────────────

  ending(): void {
    this.#releasing = [];
  }

  end(code: number, reason: string): void {
    const { onDisconnect, onClose } = this.engine.options;
    this.gone = onDisconnect || onClose ? this.#tell(code, reason) : Promise.resolve();
  }

  async #tell(code: number, reason: string): Promise<void> {
    const { context, connection } = this;
    const { onDisconnect, onClose } = this.engine.options;
    // A generator that hangs returns when it pleases: it is given this turn, not more.
    await Promise.race([
      Promise.all(this.#releasing ?? []),
      new Promise<void>((resolve) => connection.afterTurn(resolve)),
    ]);
    for (const hook of context.acknowledged ? [onDisconnect, onClose] : [onClose]) {
      try {
        await hook?.(context, code, reason);
      } catch (error) {
        connection.report(error);
      }
    }
  }
}

/** What hooks see of a connection. */
export class ConnectionContext implements Context<ConnectionParams, unknown> {
  connectionInitReceived = false;
  acknowledged = false;
  connectionParams: ConnectionParams | undefined;
  #extra: unknown;
  readonly #host: ConnectionHost;

  constructor(host: ConnectionHost, extra: unknown) {
    this.#host = host;
    this.#extra = extra;
  }

  /** Made when it is first asked for: hardly anybody does, and there are thousands. */
  get extra(): unknown {
    this.#extra ??= {};
    return this.#extra;
  }

  set extra(extra: unknown) {
    this.#extra = extra;
  }

  get principal(): Principal | undefined {
    return this.#host.connection.principal;
  }

  get handshake(): Handshake {
    return this.#host.connection.handshake;
  }

  get subscriptions(): Record<string, AsyncIterable<unknown> | null> {
    const subscriptions: Record<string, AsyncIterable<unknown> | null> = Object.create(null);
    for (const { id, stream } of this.#host.session.operations()) subscriptions[id] = stream;
    return subscriptions;
  }
}
