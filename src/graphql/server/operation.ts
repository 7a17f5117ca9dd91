import type { ExecutionArgs, ExecutionResult } from 'graphql';
import { isPromise, type PromiseOr } from '../../core/promise-or.ts';
import type { Connection } from '../../core/subprotocol.ts';
import {
  chain,
  type Encode,
  EventStream,
  type ExecuteEvent,
  execute,
  flatten,
  formatError,
  isAsyncIterable,
  type OperationKind,
  openEvents,
  resultsOf,
  subscribe,
  toGraphQLError,
} from '../execution/execute.ts';
import type { SharedResult, ShareGroup, Sharer } from '../execution/shared-results.ts';
import {
  encodeComplete,
  encodeMessageHead,
  encodeNextHead,
  encodePayload,
  isObject,
  type SubscribePayload,
  validateMessage,
} from '../protocol/messages.ts';
import { encodeNextTail } from '../protocol/next-tail.ts';
import { confirm } from './confirm-live.ts';
import type { ServerRuntime } from './engine.ts';
import type { ConnectionParams, Context } from './options.ts';
import { prepare } from './prepare.ts';
import type { GraphqlSession, RunningOperation } from './session.ts';
import { isPushed, PulledSource, PushedSource, type Reader, returnSource, type Source } from './source.ts';

type Outcome = ExecutionResult | AsyncIterable<ExecutionResult> | EventStream;

/** What operations need of their connection. */
export interface OperationContext {
  readonly connection: Connection;
  readonly engine: ServerRuntime;
  readonly session: GraphqlSession;
  readonly context: Context<ConnectionParams, unknown>;
  /** Run a hook and go on, unless `owner` has ended meanwhile. */
  step<T>(run: () => PromiseOr<T>, then: (value: T) => void, owner: { readonly ended: boolean }): void;
  /** Let go of something, in its own time. What breaks on the way is reported, unless `broken` takes it. */
  release(run: () => unknown, broken?: (error: unknown) => void): void;
  bug(error: unknown): void;
}

/**
 * One operation of a client, from `subscribe` to its end. Whatever comes back late finds out by `ended` that nobody
 * wants it any more: no id is ever compared.
 *
 * prepare ──▶ execute ──▶ one result ──▶ next, complete
 *                    └──▶ a source ──▶ next*, complete or error
 */
export class Operation implements RunningOperation, Reader, Sharer {
  readonly id: string;
  readonly payload: SubscribePayload;
  readonly host: OperationContext;
  streams = false;
  ended = false;
  /** The last message is being prepared: nothing else may begin. */
  #finishing = false;
  /** onComplete is called, or will not be. */
  #told = false;
  #args: ExecutionArgs | undefined;
  #controller: AbortController | undefined;
  #opened: AsyncIterable<unknown> | undefined;
  #source: Source | undefined;
  #result: ExecutionResult | undefined;
  #nextHead: string | undefined;
  #execute: ExecuteEvent = asResult;
  #encode: Encode;
  #group: ShareGroup | undefined;
  #lastShared = 0;

  constructor(host: OperationContext, id: string, payload: SubscribePayload) {
    this.host = host;
    this.id = id;
    this.payload = payload;
    this.#encode = host.engine.encode;
  }

  get connection(): Connection {
    return this.host.connection;
  }

  /** The iterable behind it, once it streams. */
  get stream(): AsyncIterable<unknown> | null {
    return this.#opened ?? null;
  }

  /** Aborted when the client completes the operation or is gone. Made when it is first asked for. */
  get signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = new AbortController();
      if (this.ended) this.#controller.abort();
    }
    return this.#controller.signal;
  }

  /** Run something of the application's; what it throws is a bug of its own. Nothing follows once the client left. */
  step<T>(run: () => PromiseOr<T>, then: (value: T) => void): void {
    this.host.step(run, then, this);
  }

  // ── execution ──────────────────────────────────────────────────────────────────────────────────────────────────

  start(): void {
    prepare(this, (kind, args) => this.#run(kind, args));
  }

  #run(kind: OperationKind, args: ExecutionArgs): void {
    this.#args = args;
    this.streams = kind === 'subscription';
    this.#open(
      () => this.#outcome(args),
      (outcome) => this.#executed(outcome),
    );
  }

  /** As `step`, for what may open a source: it is given back if nobody waits for it any more. */
  #open(run: () => PromiseOr<Outcome>, then: (outcome: Outcome) => void): void {
    // A hook may answer with what it got: if nobody waits any more, that has been given back.
    const known = this.#opened;
    const opened = (outcome: Outcome): void => {
      const stream = streamOf(outcome);
      if (this.ended) {
        // By hand, since `resume` says nothing once the connection has ended.
        if (stream && stream !== known) this.host.release(() => returnSource(stream));
        return;
      }
      if (!isObject(outcome)) return this.host.bug(new TypeError(noResult));
      this.#opened = stream;
      // A result took its place, and nobody reads it any more. Another stream may well be a wrapper that does.
      if (known && !stream) this.host.release(() => returnSource(known));
      this.connection.resume(undefined, () => then(outcome));
    };
    try {
      const outcome = run();
      if (!isPromise(outcome)) return opened(outcome);
      outcome.then(opened, (error: unknown) => {
        if (!this.ended) this.host.bug(error);
      });
    } catch (error) {
      this.host.bug(error);
    }
  }

  #outcome(args: ExecutionArgs): PromiseOr<Outcome> {
    const { engine } = this.host;
    const compiled = engine.compiled(args);
    if (compiled) this.#encode = compiled.encode;
    if (!this.streams) {
      return chain(
        compiled ? compiled.executor(args)(args.rootValue) : (engine.options.execute ?? execute)(args),
        flatten,
      );
    }
    this.#group = engine.groupOf(args);
    const shared = this.#group !== undefined;
    if (engine.opensEvents) return openEvents(args, shared, compiled);
    if (compiled) return chain(openEvents(args, shared, compiled), resultsOf);
    return (engine.options.subscribe ?? subscribe)(args);
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
    );
  }

  #settled(outcome: Outcome): void {
    if (outcome instanceof EventStream) this.#execute = outcome.execute;
    // Only a hook asks for them again, and thousands of idle operations have none.
    if (!this.host.engine.options.onNext) this.#args = undefined;
    if (this.#opened) return this.#read(this.#opened);
    this.#result = outcome as ExecutionResult;
    this.goOn();
  }

  #read(opened: AsyncIterable<unknown>): void {
    const { options, limits } = this.host.engine;
    this.#source = isPushed(opened)
      ? new PushedSource(this, opened, options.slowSubscriber ?? 'disconnect', limits.maxBacklog)
      : new PulledSource(this, opened);
    confirm(this, opened);
    this.#source.start();
  }

  // ── results ────────────────────────────────────────────────────────────────────────────────────────────────────

  mayPull(): boolean {
    return this.host.session.mayPull(this);
  }

  takes(): boolean {
    return this.host.session.takes(this);
  }

  goOn(): void {
    if (this.ended || this.#finishing) return;
    if (this.#source) return this.#source.goOn();
    const result = this.#result;
    if (!result || !this.takes()) return;
    this.#result = undefined;
    if (this.#deliver(result)) this.finished();
  }

  handle(event: unknown): boolean {
    if (this.#group) {
      const shared = this.#group.take(event, this.#lastShared, this.#execute, this.connection);
      this.#lastShared = shared.serial;
      if (shared.state !== 'pending') return this.#deliverShared(shared);
      shared.wait(this);
      return false;
    }
    let outcome: PromiseOr<ExecutionResult>;
    try {
      outcome = this.#execute(event);
    } catch (error) {
      this.failed(error);
      return false;
    }
    if (!isPromise(outcome)) return this.#deliver(outcome);
    this.connection.resume(
      Promise.resolve(outcome),
      (result) => {
        if (!this.ended && this.#deliver(result)) this.goOn();
      },
      (error) => this.failed(error),
    );
    return false;
  }

  shared(shared: SharedResult): void {
    // By way of the connection: what goes wrong here is not for the others who share it.
    this.connection.resume(shared, () => {
      if (!this.ended && this.#deliverShared(shared)) this.goOn();
    });
  }

  #deliverShared(shared: SharedResult): boolean {
    if (shared.state === 'ready') return this.#deliver(shared.result as ExecutionResult, shared);
    this.failed(shared.error);
    return false;
  }

  /** Whether it is through; if not, it goes on by itself. */
  #deliver(result: ExecutionResult, shared?: SharedResult): boolean {
    // What was executed may have ended this: a source that was filled to overflowing, a connection that was closed.
    if (this.ended || this.#finishing) return false;
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
        if (this.#source) this.goOn();
        else this.finished();
      },
    );
    waits = !through;
    return through;
  }

  #send(result: ExecutionResult, shared?: SharedResult): boolean {
    this.#nextHead ??= encodeNextHead(this.id);
    try {
      const tail = shared ? shared.tail(this.#encode) : encodeNextTail(this.#encode(result));
      this.connection.send({ head: this.#nextHead, tail, binary: false });
      return true;
    } catch (error) {
      // Not JSON: a BigInt, a circle.
      this.failed(error);
      return false;
    }
  }

  // ── the end ────────────────────────────────────────────────────────────────────────────────────────────────────

  finished(): void {
    if (this.ended || this.#finishing) return;
    this.#finishing = this.#told = true;
    const { context, engine } = this.host;
    this.step(
      () => engine.options.onComplete?.(context, this.id, this.payload),
      () => {
        this.connection.send({ head: encodeComplete(this.id), binary: false });
        this.#end();
      },
    );
  }

  failed(error: unknown): void {
    this.#fail([toGraphQLError(error)]);
  }

  /** Answer with errors instead of executing. */
  refuse(errors: readonly unknown[]): void {
    this.#told = true;
    this.#fail(errors);
  }

  #fail(errors: readonly unknown[]): void {
    if (this.ended || this.#finishing) return;
    this.#finishing = true;
    this.#release();
    const { context, engine } = this.host;
    const { onError, jsonMessageReplacer: replacer } = engine.options;
    this.step(
      () => onError?.(context, this.id, this.payload, errors as Parameters<typeof onError>[3]),
      (replaced) =>
        this.step(
          () => {
            if (replaced) validateMessage({ id: this.id, type: 'error', payload: replaced });
            return encodePayload(replaced || errors.map(formatError), replacer);
          },
          (payload) => {
            this.connection.send({ head: `${encodeMessageHead(this.id, 'error')}${payload}}`, binary: false });
            this.#end();
            this.#tellComplete();
          },
        ),
    );
  }

  cancel(): void {
    if (this.ended) return;
    this.ended = true;
    this.#leaveGroup();
    this.#release();
    this.#tellComplete();
  }

  #end(): void {
    this.ended = true;
    this.#leaveGroup();
    this.host.session.forget(this);
  }

  /** Stop what runs and give back what was opened. */
  #release(): void {
    const { host } = this;
    const source = this.#source;
    const opened = this.#opened;
    this.#controller?.abort();
    this.#opened = this.#result = undefined;
    if (source) host.release(() => source.stop());
    else if (opened) host.release(() => returnSource(opened));
  }

  #leaveGroup(): void {
    if (this.#group) this.host.engine.leaveGroup(this.#group);
    this.#group = undefined;
  }

  #tellComplete(): void {
    if (this.#told) return;
    this.#told = true;
    const { context, engine } = this.host;
    this.host.release(
      () => engine.options.onComplete?.(context, this.id, this.payload),
      (error) => this.host.bug(error),
    );
  }
}

const noResult = 'execute and subscribe must return a result or an async iterable of results';

const asResult = (result: unknown): ExecutionResult => result as ExecutionResult;

/** The iterable in an outcome, if it streams. */
function streamOf(outcome: Outcome): AsyncIterable<unknown> | undefined {
  if (outcome instanceof EventStream) return outcome.events;
  return isAsyncIterable(outcome) ? outcome : undefined;
}
