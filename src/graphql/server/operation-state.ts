/**
 * Where an operation is:
 *
 *   preparing    hooks, parse, validate, context
 *    │      └─ an error of the document ─▶ refusing ──────── error ─────▶ ended
 *    ▼
 *   opening      execute or subscribe, onOperation
 *    │      └─ something threw ──────────▶ failing ───────── error ─────▶ ended
 *    ▼
 *   streaming    next*, from one result or from a source
 *    │      └─ the source broke ─────────▶ failing
 *    ▼
 *   completing   onComplete ─────────────────────────────── complete ───▶ ended
 *
 * The client's `complete`, and the end of its connection, lead from each of these to `ended` at once. `onComplete` is
 * called once: in `completing`, else at the end; not for what was refused.
 */
export type OperationState = 'preparing' | 'opening' | 'streaming' | 'completing' | 'failing' | 'refusing' | 'ended';

/** The last message is being prepared, or has left: nothing else may begin. */
export const isOver = (state: OperationState): boolean =>
  state !== 'preparing' && state !== 'opening' && state !== 'streaming';
