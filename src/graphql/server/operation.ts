import type { ExecutionArgs, ExecutionResult } from 'graphql';
import { captureScope, noScope } from '#scope';
import type { Position } from '../../bus/message.ts';
import { isPromise, type PromiseOr } from '../../core/promise-or.ts';
import type { Scope } from '../../core/scope.ts';
import type { Connection } from '../../core/subprotocol.ts';
import { type Encode, type Reporter, toGraphQLError } from '../execution/errors.ts';
import { chain, EventStream, type ExecuteEvent, type OperationKind } from '../execution/execute.ts';
import type { SharedResult, ShareGroup, Sharer } from '../execution/shared-results.ts';
import { encodeComplete, encodeMessageHead, encodeNextHead, type SubscribePayload } from '../protocol/messages.ts';
import { createSource, startSource } from './create-source.ts';
import { eachEvent } from './each-event.ts';
import { encodeErrors } from './encode-errors.ts';
import { encodeTail } from './encode-tail.ts';
import type { Outcome } from './engine.ts';
import { asResult, openOutcome } from './open-outcome.ts';
import type { OperationContext, StepOwner } from './operation-context.ts';
import { isOver, type OperationState } from './operation-state.ts';
import { prepare } from './prepare.ts';
import type { PushedReader } from './pushed-source.ts';
import { type Places, withPlace } from './resume.ts';
import type { RunningOperation } from './session.ts';
import type { Shares } from './shares.ts';
import { isPushed, returnSource, type Source } from './source.ts';

/** One operation of a client, to its end. What comes too late sees that by its {@link OperationState}. */
export class Operation implements RunningOperation, PushedReader, Sharer, StepOwner, Reporter {
  readonly id: string;
  /** What the client asked for. */
  readonly payload: SubscribePayload;
  /** The connection, as operations see it. */
  readonly host: OperationContext;
  cost: number;
  #state: OperationState = 'preparing';
  #kind: OperationKind | undefined;
  #args: ExecutionArgs | undefined;
  #controller: AbortController | undefined;
  #opened: AsyncIterable<unknown> | undefined;
  #source: Source | undefined;
  #result: ExecutionResult | undefined;
  #nextHead: string | undefined;
  #execute: ExecuteEvent = asResult;
  #encode: Encode;
  /** With whom it shares its results. */
  group: ShareGroup | undefined;
  #lastShared = 0;
  places: Places | undefined;
  /** Where a query stands, if its client wants to know that. */
  at: string | undefined;
  /** Its async context: that of `start()`, and of a stream that in which its `subscribe` ran ([GQL-56]). */
  #scope: Scope = noScope;

  constructor(host: OperationContext, id: string, payload: SubscribePayload, cost: number) {
    this.host = host;
    this.cost = cost;
    this.id = id;
    this.payload = payload;
    this.#encode = host.engine.encode;
  }

  get connection(): Connection {
    return this.host.connection;
  }

  get ended(): boolean {
    return this.#state === 'ended';
  }

  /** Its last message is being prepared, or has left: nothing else may begin. */
  get over(): boolean {
    return isOver(this.#state);
  }

  get streams(): boolean {
    return this.#kind === 'subscription';
  }

  get stream(): AsyncIterable<unknown> | null {
    return this.#opened ?? null;
  }

  /** Made when it is first asked for. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.ended) this.#controller.abort();
    return this.#controller.signal;
  }

  /** Ask a hook, as {@link OperationContext.step} does, for this operation. */
  step<T>(run: () => PromiseOr<T>, then: (value: T) => void, broken?: (error: unknown) => void): void {
    this.host.step(run, then, this, broken);
  }

  /** It keeps so many bytes more. False: it may not. */
  keep(bytes: number): boolean {
    if (!this.host.session.charge(bytes)) return false;
    this.cost += bytes;
    return true;
  }

  runs(outcome: Promise<unknown>): void {
    this.host.session.runs(this, outcome);
  }

  report(error: unknown): void {
    this.host.engine.report(this.connection, error);
  }

  /** The application's own code threw: that ends this operation and nothing else ([GQL-30]). */
  bug(error: unknown): void {
    if (this.host.engine.endsConnection(error)) return this.host.bug(error);
    this.#broke(error);
  }

  /** What is no GraphQL error is the application's mistake, of which it hears. */
  #broke(thrown: unknown): void {
    if (this.over) return;
    const error = toGraphQLError(thrown);
    if (error !== thrown) this.report(error.originalError);
    this.failed(error);
  }

  start(): void {
    this.host.engine.counts.started++;
    this.host.engine.counts.operations++;
    this.#scope = captureScope();
    this.#scope.runInAsyncScope(prepare, undefined, this, (kind, args) => this.#run(kind, args));
  }

  #run(kind: OperationKind, args: ExecutionArgs): void {
    const { engine } = this.host;
    this.#args = args;
    this.#kind = kind;
    this.#state = 'opening';
    this.#open(
      () => {
        const compiled = engine.compiled(args);
        if (compiled && this.at === undefined) this.#encode = compiled.encode;
        if (!this.streams) return engine.execute(args, compiled);
        this.group = engine.groupOf(args);
        const opened = engine.subscribe(args, this.group !== undefined, compiled, (execute) =>
          eachEvent(this, args, execute),
        );
        // Anew, since what the resolver entered is not in the older one everywhere.
        this.#scope = captureScope();
        return opened;
      },
      (outcome) => this.#executed(outcome),
    );
  }

  /** As `step`, for what may open a source. */
  #open(run: () => PromiseOr<Outcome>, then: (outcome: Outcome) => void, isHook = false): void {
    const opened = (outcome: Outcome, stream: AsyncIterable<unknown> | undefined): void => {
      this.#opened = stream;
      this.connection.resume(undefined, () => then(outcome));
    };
    openOutcome(this, this.#opened, run, opened, isHook);
  }

  #executed(outcome: Outcome): void {
    const { context, engine } = this.host;
    const { onOperation } = engine.options;
    if (!onOperation || outcome instanceof EventStream) return this.#settled(outcome);
    this.#open(
      () =>
        chain(
          onOperation(context, this.id, this.payload, this.#args as ExecutionArgs, outcome),
          (replaced): Outcome => replaced || outcome,
        ),
      (settled) => this.#settled(settled),
      true,
    );
  }

  #settled(outcome: Outcome): void {
    this.#state = 'streaming';
    if (outcome instanceof EventStream) this.#execute = outcome.execute;
    if (!this.host.engine.options.onNext) this.#args = undefined;
    if (!this.#opened) {
      this.#result = withPlace(outcome as ExecutionResult, this.at);
      return this.#goOn();
    }
    this.host.engine.counts.subscriptions++;
    this.#source = createSource(this, this.#opened, this.host.engine);
    startSource(this, this.#opened, this.#source);
  }

  mayPull(): boolean {
    return this.host.session.mayPull(this);
  }

  takes(): boolean {
    return this.host.session.takes(this);
  }

  get shares(): Shares {
    return this.host.engine.shares;
  }

  /** Run this once everything that came for this connection is worked off. */
  whenIdle(run: () => void): void {
    this.shares.whenIdle(run, this.connection);
  }

  work(source: { workNow(): void }, asks: boolean): void {
    try {
      // A shared result is nobody's, and without a hook nobody could look at the context.
      if (this.group && !asks && !this.host.engine.options.onNext) source.workNow();
      else this.#scope.runInAsyncScope(source.workNow, source);
    } catch (error) {
      this.#broke(error);
    }
  }

  goOn(): void {
    this.#scope.runInAsyncScope(this.#goOn, this);
  }

  #goOn(): void {
    if (this.over) return;
    if (this.#source) return this.#source.goOn();
    const result = this.#result;
    if (!result || !this.takes()) return;
    this.#result = undefined;
    if (this.#deliver(result)) this.#finished();
  }

  handle(event: unknown, position?: Position): boolean {
    if (this.places) this.places.now = position;
    if (this.group) {
      const at = this.places && position?.offset;
      const shared = this.group.take(event, this.#lastShared, this.#execute, this, at);
      this.#lastShared = shared.serial;
      if (shared.state !== 'pending') return this.#deliverShared(shared);
      shared.wait(this);
      return false;
    }
    let outcome: PromiseOr<ExecutionResult>;
    try {
      outcome = this.#execute(event);
    } catch (error) {
      this.#broke(error);
      return false;
    }
    if (!isPromise(outcome)) return this.#deliver(outcome);
    const promise = Promise.resolve(outcome);
    this.runs(promise);
    this.connection.resume(
      promise,
      (result) => {
        if (!this.ended && this.#deliver(result)) this.#goOn();
      },
      (error) => this.#broke(error),
    );
    return false;
  }

  shared(shared: SharedResult): void {
    const goOn = (): void => void (!this.ended && this.#deliverShared(shared) && this.#goOn());
    // By way of the connection: what goes wrong here is not for the others who share it.
    this.connection.resume(shared, () => this.#scope.runInAsyncScope(goOn, undefined));
  }

  #deliverShared(shared: SharedResult): boolean {
    if (shared.state === 'ready') return this.#deliver(shared.result as ExecutionResult, shared);
    this.#broke(shared.error);
    return false;
  }

  /** Whether it is through; if not, it goes on by itself. */
  #deliver(result: ExecutionResult, shared?: SharedResult): boolean {
    // What was executed may have ended this: a source that was filled to overflowing, a connection that was closed.
    if (this.over) return false;
    const { context, engine } = this.host;
    const { onNext } = engine.options;
    if (!onNext) return this.#send(result, shared);
    let waits = false;
    let through = false;
    this.step(
      () => onNext(context, this.id, this.payload, this.#args as ExecutionArgs, result),
      (replaced) => {
        through = replaced ? this.#send(replaced as ExecutionResult) : this.#send(result, shared);
        if (!waits || !through) return;
        if (this.#source) this.#goOn();
        else this.#finished();
      },
    );
    waits = !through;
    return through;
  }

  #send(result: ExecutionResult, shared?: SharedResult): boolean {
    this.#nextHead ??= encodeNextHead(this.id);
    try {
      const tail = encodeTail(this, result, shared, this.#encode);
      this.connection.send({ head: this.#nextHead, tail, binary: false });
      this.host.engine.counts.results++;
      return true;
    } catch (error) {
      // Not JSON, such as a BigInt or a circle: the schema's mistake, of which the application hears ([GQL-51]).
      this.#broke(error);
      return false;
    }
  }

  // ── the end ────────────────────────────────────────────────────────────────────────────────────────────────────

  finished(): void {
    this.#scope.runInAsyncScope(this.#finished, this);
  }

  #finished(): void {
    if (this.over) return;
    this.#state = 'completing';
    const { context, engine } = this.host;
    const complete = (): void => {
      this.connection.send({ head: encodeComplete(this.id), binary: false });
      this.#leave();
      this.host.session.forget(this);
    };
    this.step(
      () => engine.options.onComplete?.(context, this.id, this.payload),
      complete,
      (error) => {
        if (engine.endsConnection(error)) return this.host.bug(error);
        // All results are out: what breaks a notification of the end is not the client's business.
        this.report(error);
        if (!this.ended) complete();
      },
    );
  }

  failed(error: unknown): void {
    if (this.over) return;
    this.#state = 'failing';
    this.host.engine.counts.failed++;
    this.#scope.runInAsyncScope(this.#fail, this, [toGraphQLError(error)]);
  }

  /** Answer with errors instead of executing. */
  refuse(errors: readonly unknown[]): void {
    if (this.over) return;
    this.#state = 'refusing';
    this.host.engine.counts.refused++;
    this.#fail(errors);
  }

  #fail(errors: readonly unknown[]): void {
    this.#release();
    encodeErrors(this, errors, (payload) => {
      const refused = this.#state === 'refusing';
      this.connection.send({ head: `${encodeMessageHead(this.id, 'error')}${payload}}`, binary: false });
      this.#leave();
      if (!refused) this.#tellComplete();
      this.host.session.forget(this);
    });
  }

  cancel(): void {
    this.#scope.runInAsyncScope(this.#cancel, this);
  }

  #cancel(): void {
    const state = this.#state;
    if (state === 'ended') return;
    this.#leave();
    this.#release();
    if (state !== 'completing' && state !== 'refusing') this.#tellComplete();
  }

  /** Stop what runs and give back what was opened. */
  #release(): void {
    const source = this.#source;
    const opened = this.#opened;
    this.#controller?.abort();
    this.#opened = this.#result = undefined;
    const back = source ? () => source.stop() : opened && (() => returnSource(opened));
    const returned = back && this.host.release(back);
    // What pushes is given back at once.
    if (opened && !isPushed(opened)) this.host.session.returns(this, returned);
  }

  #leave(): void {
    const { counts } = this.host.engine;
    this.#state = 'ended';
    counts.operations--;
    if (this.#source) counts.subscriptions--;
    if (this.group) this.host.engine.leaveGroup(this.group);
    this.group = undefined;
  }

  #tellComplete(): void {
    const { context, engine } = this.host;
    const tell = (): unknown => engine.options.onComplete?.(context, this.id, this.payload);
    const broken = (error: unknown): void => (engine.endsConnection(error) ? this.host.bug(error) : this.report(error));
    this.host.session.returns(this, this.host.release(tell, broken));
  }
}
