import type { ExecutionResult } from 'graphql';
import { isPromise, type PromiseOr } from '../../core/promise-or.ts';
import { EventStream, isAsyncIterable } from '../execution/execute.ts';
import { isObject } from '../protocol/messages.ts';
import type { Outcome } from './engine.ts';
import type { OperationContext, StepOwner } from './operation-context.ts';
import { returnSource } from './source.ts';

/** An operation that waits for what it was executed to. */
interface Opening extends StepOwner {
  readonly host: OperationContext;
  /** Nobody wants what comes now. */
  readonly over: boolean;
  report(error: unknown): void;
  runs(outcome: Promise<unknown>): void;
}

const noResult = 'execute and subscribe must return a result or an async iterable of results';

/** What executors give is a result, where it is no iterable. */
export const asResult = (result: unknown): ExecutionResult => result as ExecutionResult;

/** The iterable in an outcome, if it streams. */
function streamOf(outcome: Outcome): AsyncIterable<unknown> | undefined {
  if (outcome instanceof EventStream) return outcome.events;
  return isAsyncIterable(outcome) ? outcome : undefined;
}

/**
 * Run what may open a source, then go on with its outcome and with the iterable in it. A source that comes when nobody
 * waits any more is given back ([GQL-29]). `known` is the iterable that was open before: a hook may answer with what it
 * got, or with a result in its place.
 */
export function openOutcome(
  operation: Opening,
  known: AsyncIterable<unknown> | undefined,
  run: () => PromiseOr<Outcome>,
  then: (outcome: Outcome, stream: AsyncIterable<unknown> | undefined) => void,
  isHook: boolean,
): void {
  const { host } = operation;
  const opened = (outcome: Outcome): void => {
    const stream = streamOf(outcome);
    if (operation.over) {
      // Here, since nothing follows by way of a connection that has ended. What was known has been given back.
      if (stream && stream !== known) host.release(() => returnSource(stream));
      return;
    }
    if (!isObject(outcome)) return operation.bug(new TypeError(noResult));
    // A result took its place, and nobody reads it any more. Another stream may well be a wrapper that does.
    if (known && !stream) host.release(() => returnSource(known));
    then(outcome, stream);
  };
  const failed = (error: unknown): void => {
    if (!operation.ended) operation.bug(error);
    // What was executed for nobody may well reject: it was aborted.
    else if (isHook) operation.report(error);
  };
  try {
    const outcome = run();
    if (!isPromise(outcome)) return opened(outcome);
    const promise = Promise.resolve(outcome);
    operation.runs(promise);
    promise.then(opened, failed);
    // Its time is limited, and what comes too late is still given back: so both promises are looked at.
    if (isHook) host.inTime(promise).catch(failed);
  } catch (error) {
    failed(error);
  }
}
