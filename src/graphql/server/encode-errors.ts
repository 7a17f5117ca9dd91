import { encodePayload, type SubscribePayload, validateMessage } from '../protocol/messages.ts';
import type { OperationContext, StepOwner } from './operation-context.ts';
import type { GraphqlOptions } from './options.ts';

/** An operation whose answer is errors. */
interface Failing extends StepOwner {
  readonly id: string;
  readonly payload: SubscribePayload;
  readonly host: OperationContext;
  report(error: unknown): void;
}

type Errors = Parameters<NonNullable<GraphqlOptions['onError']>>[3];

/**
 * The payload of an `error` message: what `onError` makes of the errors, else what the client may know of them. A bug of
 * that hook, or of what it gave, is reported, and the errors are told as if there were no hook.
 */
export function encodeErrors(operation: Failing, errors: readonly unknown[], then: (payload: string) => void): void {
  const { host, id, payload } = operation;
  const { engine, context } = host;
  const { onError, jsonMessageReplacer: replacer } = engine.options;
  const broken = (bug: unknown): void => {
    if (engine.endsConnection(bug)) return host.bug(bug);
    operation.report(bug);
    if (!operation.ended) then(plain());
  };
  const plain = (): string => {
    const told = errors.map((error) => engine.format(error, operation));
    try {
      return encodePayload(told, replacer);
    } catch {
      // Extensions that are no JSON, such as a circle: the messages are.
      return JSON.stringify(told.map(({ message }) => ({ message })));
    }
  };
  host.step(
    () => onError?.(context, id, payload, errors as Errors),
    (replaced) =>
      host.step(
        () => {
          if (!replaced)
            return encodePayload(
              errors.map((error) => engine.format(error, operation)),
              replacer,
            );
          validateMessage({ id, type: 'error', payload: replaced });
          return encodePayload(replaced, replacer);
        },
        then,
        operation,
        broken,
      ),
    operation,
    broken,
  );
}
