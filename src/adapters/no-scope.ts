import type { Scope } from '../core/scope.ts';

/** Where there is no async context, a scope is the call alone. */
export const noScope: Scope = {
  /** Calls the function. */
  runInAsyncScope: (run, self, ...args) => run.call(self, ...args),
};

/** The same for all: nothing is captured. */
export const captureScope = (): Scope => noScope;
