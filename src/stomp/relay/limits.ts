import type { LimitTable, LimitValues } from '../../core/limits.ts';
import { stompLimits } from '../server/limits.ts';

/** Limits of one client of a relay. */
export const relayLimits = {
  ...stompLimits,
  /** What a broker may take for the RECEIPT of DISCONNECT. */
  disconnectTimeout: { default: 5_000, unit: 'ms', fault: 'unavailable' },
} as const satisfies LimitTable;

/** The numbers of {@link relayLimits}. */
export type RelayLimits = LimitValues<typeof relayLimits>;
