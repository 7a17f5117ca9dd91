import { captureScope } from '#scope';
import { never } from '../../core/clock.ts';
import { ProtocolError } from '../../core/fault.ts';
import { isPromise, type PromiseOr } from '../../core/promise-or.ts';
import { Rate } from '../../core/rate.ts';
import { Refusal } from '../../core/refuse.ts';
import type { Connection } from '../../core/subprotocol.ts';
import { jsonCost } from '../protocol/json-cost.ts';
import { encodeControl, isObject, type SubscribeMessage } from '../protocol/messages.ts';
import { ConnectionContext } from './connection-context.ts';
import type { ServerRuntime } from './engine.ts';
import { Operation } from './operation.ts';
import type { OperationContext, StepOwner } from './operation-context.ts';
import type { ConnectionParams } from './options.ts';
import { RefusedTime } from './parsing-time.ts';
import { HookTimeout, Patience } from './patience.ts';
import { GraphqlSession, type SessionHandler } from './session.ts';

type Payload = ConnectionParams | null | undefined;

/** What belongs to one connection alone. */
export interface HostOptions {
  /** What hooks find as `context.extra`. */
  readonly extra?: unknown;
  /** Called instead of the automatic pong. */
  readonly onPing?: ((payload: Payload) => PromiseOr<void>) | undefined;
  /** Called for each pong. */
  readonly onPong?: ((payload: Payload) => PromiseOr<void>) | undefined;
}

const nothing: HostOptions = {};

/** What an operation is without what its client sent: its source, its place in maps, its async context. */
const operationBytes = 1_024;

/** All that may take its time for one connection: hooks, authentication, operations. */
export class ConnectionHost implements SessionHandler, OperationContext, StepOwner {
  readonly connection: Connection;
  readonly engine: ServerRuntime;
  readonly session: GraphqlSession;
  readonly context: ConnectionContext;
  /** Never: as the owner of a step, a connection that has ended is known by `closing`. */
  readonly ended = false;
  /** Once the connection is gone: resolves when its hooks have been told. */
  gone: Promise<void> | undefined;
  readonly #options: HostOptions;
  /** Made for the first hook that gives a promise: most connections have none. */
  #patience: Patience | undefined;
  /** Made for the first document that is refused. */
  #refusals: Rate | undefined;
  #refusedUntil: number | undefined;
  #refusedTime: RefusedTime | undefined;
  /** Operations whose documents wait until there is time for them. */
  #unparsed: (() => void)[] | undefined;
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

  step<T>(
    run: () => PromiseOr<T>,
    then: (value: T) => void,
    owner: StepOwner = this,
    broken: (error: unknown) => void = (error) => owner.bug(error),
  ): void {
    let outcome: PromiseOr<T>;
    try {
      outcome = run();
    } catch (error) {
      return broken(error);
    }
    if (!isPromise(outcome)) {
      // Looked at also here: what ran may have ended the connection.
      if (!this.connection.closing && !owner.ended) then(outcome);
      return;
    }
    // Of a promise that is made when it is first asked, a second `then` would make it twice.
    const promise = Promise.resolve(outcome);
    owner.runs?.(promise);
    this.inTime(promise).then(
      (value) =>
        this.connection.resume(undefined, () => {
          if (!owner.ended) then(value);
        }),
      (error: unknown) => (owner.ended || this.connection.closing ? this.connection.report(error) : broken(error)),
    );
  }

  inTime<T>(outcome: PromiseLike<T>): Promise<T> {
    const { connection } = this;
    this.#patience ??= new Patience(connection.limits.hookTimeout);
    const bounded = this.#patience.bound(outcome, connection.now);
    connection.touch();
    return bounded;
  }

  mayParse(): boolean {
    // A client that has had nothing refused has no bucket, and nothing to wait for.
    return this.#refusedUntil === undefined || this.connection.now >= this.#refusedUntil;
  }

  whenParseable(run: () => void): void {
    if (!this.#unparsed && this.connection.now >= this.engine.parsing.freeAt) return run();
    const scope = captureScope();
    this.#unparsed ??= [];
    this.#unparsed.push(() => scope.runInAsyncScope(run, undefined));
    this.connection.touch();
  }

  #parseOne(now: number): void {
    if (!this.#unparsed || now < this.engine.parsing.freeAt) return;
    const run = this.#unparsed.shift();
    if (this.#unparsed.length === 0) this.#unparsed = undefined;
    run?.();
    if (this.#unparsed) this.connection.touch();
  }

  spent(took: number, refused: number): void {
    const { now } = this.connection;
    const owed = this.engine.parsing.spent(now, took, refused);
    if (owed === 0) return;
    this.#refusedTime ??= new RefusedTime();
    this.#refusedUntil = Math.max(this.#refusedUntil ?? 0, this.#refusedTime.add(now, owed));
  }

  countRefusal(): void {
    const { now } = this.connection;
    this.#refusals ??= new Rate(this.engine.limits.refusedDocuments, now);
    if (this.#refusals.take(now)) return;
    this.#refusedUntil = Math.max(this.#refusedUntil ?? 0, this.#refusals.nextAt(now));
    if (this.#refusals.exhausted(now)) this.connection.close('tooMany', 'Too many documents were refused');
  }

  get hooksDeadline(): number | undefined {
    if (!this.#unparsed) return this.#patience?.deadline;
    return Math.min(this.#patience?.deadline ?? never, this.engine.parsing.freeAt);
  }

  hooksTick(now: number): void {
    this.#patience?.tick(now);
    this.#parseOne(now);
  }

  /** A hook of the connection threw: the application is told all of it, the client what it may know ([GQL-30]). */
  bug(error: unknown): void {
    if (error instanceof Refusal) return this.#refuse(error);
    this.engine.report(this.connection, error);
    if (error instanceof HookTimeout) return this.connection.close('unavailable');
    this.connection.close('internal', this.engine.reasonOf(error));
  }

  /** With the words of the application ([GQL-12]). */
  #refuse(words: Refusal): void {
    // By way of the connection, which takes words from what is thrown, wherever this comes from.
    this.connection.resume(undefined, () => {
      throw new ProtocolError('forbidden', words.reason, { words });
    });
  }

  release(
    run: () => unknown,
    broken: (error: unknown) => void = (error) => this.connection.report(error),
  ): Promise<unknown> | undefined {
    try {
      const outcome = run();
      if (!isPromise(outcome)) return undefined;
      const released = Promise.resolve(outcome).catch(broken);
      this.#releasing?.push(released);
      return released;
    } catch (error) {
      broken(error);
      return undefined;
    }
  }

  // ── messages ───────────────────────────────────────────────────────────────────────────────────────────────────

  init(payload: Payload): void {
    const { connection, context, engine } = this;
    context.connectionInitReceived = true;
    this.#chargeParams(payload);
    context.connectionParams = payload ?? undefined;
    connection.authenticate({ connectionParams: context.connectionParams }, (admitted) => {
      if (!admitted) return connection.close('forbidden');
      this.step(
        () => engine.options.onConnect?.(context),
        (answer) => {
          if (answer instanceof Refusal) return this.#refuse(answer);
          if (answer === false) connection.close('forbidden');
          else this.#acknowledge(answer);
        },
      );
    });
  }

  /**
   * What a client shows of itself is kept as long as it is connected: at what it costs, that is little more than its text
   * may have ([GQL-103]).
   */
  #chargeParams(params: Payload): void {
    const { maxInitPayload } = this.engine.limits;
    const most = 2 * maxInitPayload;
    const bytes = jsonCost(params, most);
    if (bytes > most) throw new ProtocolError('tooLarge', `connectionParams take more than ${most} bytes of memory`);
    this.connection.charge(bytes);
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
    if (this.#hooksPileUp()) return;
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

  /** Each ping may start a hook that takes its time: so many run at once, as operations may ([GQL-48]). */
  #hooksPileUp(): boolean {
    if ((this.#patience?.size ?? 0) < 2 * this.engine.limits.maxOperations) return false;
    this.connection.close('tooMany');
    return true;
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
    this.#chargeParams(credentials);
    this.#refreshes.push(credentials);
    if (this.#refreshes.length === 1) this.#authenticate(this.#refreshes);
  }

  #authenticate(refreshes: ConnectionParams[]): void {
    const { connection, context } = this;
    const [credentials] = refreshes;
    connection.authenticate({ connectionParams: credentials }, (admitted) => {
      if (!admitted) return connection.close('forbidden');
      connection.charge(-jsonCost(context.connectionParams, 2 * this.engine.limits.maxInitPayload));
      context.connectionParams = credentials;
      // Never echoed: a secret has no business on its way back.
      this.#pong({ subwire: { refreshed: true } });
      refreshes.shift();
      if (refreshes.length > 0) this.#authenticate(refreshes);
    });
  }

  pong(payload: Payload): void {
    const { context, engine } = this;
    if (this.#hooksPileUp()) return;
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
    const cost = operationBytes + id.length + jsonCost(payload, this.connection.limits.maxKept);
    return new Operation(this, id, payload, cost);
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
    // A generator that hangs returns when it pleases: it is given this turn, not more ([GQL-49]).
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
