import type { ExecutionArgs } from 'graphql';
import { isPromise, type PromiseOr } from '../../core/promise-or.ts';
import { chain, type ExecuteEvent } from '../execution/execute.ts';
import type { SubscribePayload } from '../protocol/messages.ts';
import type { OperationContext } from './operation-context.ts';
import type { OperationArgs } from './options.ts';

interface Subscribed {
  readonly id: string;
  readonly payload: SubscribePayload;
  readonly host: OperationContext;
}

type Writable<T> = { -readonly [Name in keyof T]: T[Name] };

/**
 * How an event is executed where the application wants a context made anew for each, or a hook before it ([GQL-50]).
 * Both are asked for each event, in this order, and have `hookTimeout`.
 */
export function eachEvent(operation: Subscribed, given: ExecutionArgs, execute: ExecuteEvent): ExecuteEvent {
  const { host, id, payload } = operation;
  const { context, contextPerEvent, onEvent } = host.engine.options;
  if (!contextPerEvent && !onEvent) return execute;
  const args = given as Writable<OperationArgs>;
  const inTime = <T>(outcome: PromiseOr<T>): PromiseOr<T> => (isPromise(outcome) ? host.inTime(outcome) : outcome);
  return (event) => {
    const fresh =
      contextPerEvent && typeof context === 'function'
        ? inTime(context(host.context, id, payload, args) as PromiseOr<unknown>)
        : args.contextValue;
    return chain(fresh, (contextValue) => {
      args.contextValue = contextValue;
      return chain(inTime(onEvent?.(host.context, id, payload, args, event)), () => execute(event, { contextValue }));
    });
  };
}
