import type { OperationKind } from '../execution/execute.ts';

/** What brings operations that may be of some kinds only, such as a GET, which must not change anything. */
export interface OperationLimits {
  /** The kinds that it takes; absent: all. */
  readonly operationKinds?: readonly OperationKind[] | undefined;
  /** Its answers have no room for where results stand. */
  readonly withoutPlaces?: boolean | undefined;
}
