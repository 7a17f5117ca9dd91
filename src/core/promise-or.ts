/** A value, or the promise of one. */
export type PromiseOr<T> = T | PromiseLike<T>;

/** Is it the promise of a value, of whatever make? */
export const isPromise = <T>(value: PromiseOr<T>): value is PromiseLike<T> =>
  typeof (value as PromiseLike<T> | undefined | null)?.then === 'function';
