import type { DocumentNode, ExecutionArgs, ExecutionResult, GraphQLError } from 'graphql';
import * as graphqlPackage from 'graphql';
import { isPromise, type PromiseOr } from '../../core/promise-or.ts';
import { isObject } from '../protocol/messages.ts';
import type { Encode } from './errors.ts';

/** What an operation of a document is. */
export type OperationKind = 'query' | 'mutation' | 'subscription';

/** What an executor may give: one result, or several over time. */
export type OperationResult = PromiseOr<AsyncIterable<ExecutionResult> | ExecutionResult>;

/** Executes one event of a subscription; `fresh` takes the place of the context that the operation began with. */
export type ExecuteEvent = (event: unknown, fresh?: { readonly contextValue?: unknown }) => PromiseOr<ExecutionResult>;

/** How a compiled operation is run, and how its results become JSON. */
export interface CompiledOperation {
  /** Runs the operation with a root value of its own: that of its kind, or an event. */
  executor(args: ExecutionArgs): ExecuteEvent;
  /** Makes JSON of its results. */
  readonly encode: Encode;
}

/** A subscription's own events, before execution, and how one of them is executed. */
export class EventStream {
  /** The events, as the field's `subscribe` gave them. */
  readonly events: AsyncIterable<unknown>;
  /** Makes a result of one of them. */
  readonly execute: ExecuteEvent;

  constructor(events: AsyncIterable<unknown>, executeEvent: ExecuteEvent) {
    this.events = events;
    this.execute = executeEvent;
  }
}

/** What only graphql 17 has. Looked up by name, so that the same code loads with 16. */
interface Graphql17 {
  validateSubscriptionArgs(args: ExecutionArgs): readonly GraphQLError[] | ValidatedArgs;
  createSourceEventStream(args: ValidatedArgs): PromiseOr<AsyncIterable<unknown> | ExecutionResult>;
  executeSubscriptionEvent(args: ValidatedArgs): PromiseOr<ExecutionResult>;
  mapSourceToResponseEvent(args: ValidatedArgs, events: AsyncIterable<unknown>): AsyncIterable<ExecutionResult>;
  experimentalExecuteIncrementally(args: ExecutionArgs): PromiseOr<ExecutionResult | IncrementalResults>;
}
interface Opened17 {
  readonly events: AsyncIterable<unknown>;
  readonly validated: ValidatedArgs;
}
interface ValidatedArgs {
  readonly schema: object;
  rootValue: unknown;
  contextValue: unknown;
  externalAbortSignal: AbortSignal | undefined;
}

/** What graphql 17 gives for `@defer` and `@stream`. */
export interface IncrementalResults {
  /** What is there at once. */
  readonly initialResult: object;
  /** What follows. */
  readonly subsequentResults: AsyncIterable<object>;
}

const graphql17 = ('validateSubscriptionArgs' in graphqlPackage ? graphqlPackage : undefined) as unknown as
  | Graphql17
  | undefined;

/** Its arguments are others in 17, which never comes here. */
const createSourceEventStream16 = graphqlPackage.createSourceEventStream as unknown as (
  args: ExecutionArgs,
) => PromiseOr<AsyncIterable<unknown> | ExecutionResult>;

/** Can it be read with `for await`? */
export const isAsyncIterable = (value: unknown): value is AsyncIterable<unknown> =>
  typeof (value as AsyncIterable<unknown> | undefined | null)?.[Symbol.asyncIterator] === 'function';

/** `then` now, or when the promise has been kept. */
export const chain = <T, U>(value: PromiseOr<T>, then: (value: T) => PromiseOr<U>): PromiseOr<U> =>
  isPromise(value) ? value.then(then) : then(value);

/** Query, mutation or subscription; undefined if the name does not say which one of the document is meant. */
export function operationKind(document: DocumentNode, name: string | null | undefined): OperationKind | undefined {
  let found: OperationKind | undefined;
  for (const definition of document.definitions) {
    if (definition.kind !== 'OperationDefinition') continue;
    if (name == null || name === '') {
      if (found) return undefined;
      found = definition.operation;
    } else if (definition.name?.value === name) return definition.operation;
  }
  return found;
}

/** The executor for queries and mutations, with incremental delivery where the package and the schema have it. */
export function execute(args: ExecutionArgs): PromiseOr<ExecutionResult | IncrementalResults> {
  const { schema } = args;
  if (graphql17 && (schema.getDirective('defer') || schema.getDirective('stream'))) {
    return graphql17.experimentalExecuteIncrementally(args);
  }
  return graphqlPackage.execute(args);
}

/** The executor for subscriptions: results over time. */
export function subscribe(args: ExecutionArgs): OperationResult {
  const graphql = graphql17;
  if (!graphql) return graphqlPackage.subscribe(args) as OperationResult;
  return chain(open17(graphql, args), (opened) =>
    'errors' in opened ? opened : graphql.mapSourceToResponseEvent(opened.validated, opened.events),
  );
}

/**
 * Open a subscription without a response iterator over it: its events can be pushed, and executed once for many.
 * Gives a result with errors if it could not be opened.
 */
export function openEvents(
  args: ExecutionArgs,
  shared: boolean,
  compiled?: CompiledOperation,
): PromiseOr<EventStream | ExecutionResult> {
  if (graphql17) return openEvents17(graphql17, args, shared, compiled);
  return chain(createSourceEventStream16(args), (events) =>
    isAsyncIterable(events) ? new EventStream(events, compiled?.executor(args) ?? executor16(args)) : events,
  );
}

function executor16(args: ExecutionArgs): ExecuteEvent {
  // Events are executed one after the other, and arguments are read at once: one object serves all.
  const perEvent = withoutSignal(args);
  return (event, fresh) => {
    perEvent.rootValue = event;
    if (fresh) perEvent.contextValue = fresh.contextValue;
    return graphqlPackage.execute(perEvent);
  };
}

/** A copy that graphql 16 can use; `abortSignal` is not read, since it is made for who reads it. */
function withoutSignal(args: ExecutionArgs): { -readonly [Name in keyof ExecutionArgs]: ExecutionArgs[Name] } {
  const copy: Record<string, unknown> = {};
  for (const name in args) if (name !== 'abortSignal') copy[name] = args[name as keyof ExecutionArgs];
  return copy as unknown as ExecutionArgs;
}

function openEvents17(
  graphql: Graphql17,
  args: ExecutionArgs,
  shared: boolean,
  compiled: CompiledOperation | undefined,
): PromiseOr<EventStream | ExecutionResult> {
  return chain(open17(graphql, args), (opened) =>
    'errors' in opened
      ? opened
      : new EventStream(opened.events, compiled?.executor(args) ?? executor17(graphql, opened.validated, shared)),
  );
}

function executor17(graphql: Graphql17, validated: ValidatedArgs, shared: boolean): ExecuteEvent {
  const perEvent = { ...validated };
  // What is executed for many must not be aborted by one of them.
  if (shared) perEvent.externalAbortSignal = undefined;
  return (event, fresh) => {
    perEvent.rootValue = event;
    if (fresh) perEvent.contextValue = fresh.contextValue;
    return graphql.executeSubscriptionEvent(perEvent);
  };
}

/** What hooks see of an opened subscription: its results, each executed when it is asked for. */
export const resultsOf = (
  opened: EventStream | ExecutionResult,
): AsyncIterableIterator<ExecutionResult> | ExecutionResult =>
  opened instanceof EventStream ? new ResultIterator(opened) : opened;

class ResultIterator implements AsyncIterableIterator<ExecutionResult> {
  readonly #events: AsyncIterator<unknown>;
  readonly #execute: ExecuteEvent;

  constructor({ events, execute }: EventStream) {
    this.#events = events[Symbol.asyncIterator]();
    this.#execute = execute;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<ExecutionResult>> {
    const event = await this.#events.next();
    if (event.done) return { done: true, value: undefined };
    try {
      return { done: false, value: await this.#execute(event.value) };
    } catch (error) {
      // Who asks is told that it is over, and will not return it.
      await this.return();
      throw error;
    }
  }

  async return(): Promise<IteratorResult<ExecutionResult>> {
    await this.#events.return?.();
    return { done: true, value: undefined };
  }
}

function open17(
  graphql: Graphql17,
  args: ExecutionArgs,
): PromiseOr<Opened17 | { readonly errors: readonly GraphQLError[] }> {
  const validated = graphql.validateSubscriptionArgs(args);
  if (!('schema' in validated)) return { errors: validated };
  const { externalAbortSignal } = validated;
  // An abort while a source is being opened would drop the source unseen: then nobody could give it back. So its
  // resolver sees a signal of its own, which follows once the source is there.
  const own = new AbortController();
  return chain(graphql.createSourceEventStream({ ...validated, externalAbortSignal: own.signal }), (events) => {
    if (!isAsyncIterable(events)) return { errors: events.errors ?? [] };
    const follow = (): void => own.abort(externalAbortSignal?.reason);
    if (externalAbortSignal?.aborted) follow();
    else externalAbortSignal?.addEventListener('abort', follow);
    return { events, validated };
  });
}

const isIncremental = (result: unknown): result is IncrementalResults => isObject(result) && 'initialResult' in result;

/** Incremental results as an iterable, first the initial one; other results as they are. */
export const flatten = <T>(result: T | IncrementalResults): T | AsyncIterable<ExecutionResult> =>
  isIncremental(result) ? new IncrementalIterator(result) : result;

/** Not a generator: one that nobody has begun to read could not hand `return()` on. */
class IncrementalIterator implements AsyncIterableIterator<ExecutionResult> {
  #initial: object | undefined;
  readonly #subsequent: AsyncIterator<object>;

  constructor({ initialResult, subsequentResults }: IncrementalResults) {
    this.#initial = initialResult;
    this.#subsequent = subsequentResults[Symbol.asyncIterator]();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<ExecutionResult>> {
    const value = this.#initial;
    this.#initial = undefined;
    return value ? { done: false, value } : this.#subsequent.next();
  }

  async return(): Promise<IteratorResult<ExecutionResult>> {
    this.#initial = undefined;
    await this.#subsequent.return?.();
    return { done: true, value: undefined };
  }
}
