/**
 * An async context: what `AsyncLocalStorage` finds in it belongs to whoever it was captured for. The class `AsyncResource`
 * of Node is one as it stands.
 */
export interface Scope {
  /** Call a function in this context, with `this` and arguments. What it enters is not seen outside. */
  runInAsyncScope<This, Arguments extends unknown[], Result>(
    run: (this: This, ...args: Arguments) => Result,
    self: This,
    ...args: Arguments
  ): Result;
}
