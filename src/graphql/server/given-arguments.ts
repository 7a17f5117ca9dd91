import type { ExecutionArgs } from 'graphql';
import type { OperationArgs } from './options.ts';

/** What arguments lack that onSubscribe returned. */
interface Lacks {
  /** There is no root value yet. */
  readonly needsRoot: boolean;
  /** There is no context value yet. */
  readonly needsContext: boolean;
}

/** Arguments that are ready to be filled in. */
export interface GivenArguments extends Lacks {
  /** What is filled in and executed. */
  readonly args: OperationArgs;
}

/** Who executes the arguments can ask whether somebody still waits. */
interface Waited {
  readonly signal: AbortSignal;
}

/**
 * What onSubscribe returned, made ready to be filled in. With graphql-ws it is filled in itself, so that executors find the
 * very object; here it is copied, since an object that is returned for everybody must not carry the context of the
 * first client to all others. For the same reason `inPlace` fills an object in once only.
 */
export class GivenArgumentsOf {
  readonly #filled: WeakMap<ExecutionArgs, Lacks> | undefined;

  constructor(inPlace: boolean) {
    this.#filled = inPlace ? new WeakMap() : undefined;
  }

  /** Ready for one operation. */
  take(given: ExecutionArgs, operation: Waited): GivenArguments {
    const earlier = this.#filled?.get(given);
    const lacks = earlier ?? { needsRoot: !('rootValue' in given), needsContext: !('contextValue' in given) };
    const isFirst = this.#filled !== undefined && !earlier && Object.isExtensible(given);
    const args = (isFirst ? given : { ...given }) as OperationArgs;
    if (isFirst || earlier || !('abortSignal' in given)) {
      Object.defineProperty(args, 'abortSignal', {
        configurable: true,
        enumerable: true,
        get: () => operation.signal,
      });
    }
    if (isFirst) this.#filled?.set(given, lacks);
    return { args, ...lacks };
  }
}
