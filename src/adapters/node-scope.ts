import { AsyncResource } from 'node:async_hooks';
import type { Scope } from '../core/scope.ts';

// Nobody listens for the end of these, so that none of them needs a place in the table of those that are awaited.
const options = { requireManualDestroy: true };

/** The async context of this moment: some 75 bytes, where a snapshot of `AsyncLocalStorage` takes 2.7 KB. */
export const captureScope = (): Scope => new AsyncResource('subwire', options);

/** The context of nobody: that of the process as it loaded this file. */
export const noScope: Scope = /* @__PURE__ */ captureScope();
