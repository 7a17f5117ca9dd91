import type { LimitOptions, LimitTable, LimitValues } from '../../core/limits.ts';
import { stompLimits } from '../server/limits.ts';

/** Limits of an embedded broker: those of a connection, and those of what it keeps for all of them. */
export const brokerLimits = {
  ...stompLimits,
  /** Bodies and headers of what waits for a COMMIT, over all transactions of the connection. */
  maxTransactionBytes: { default: 4_194_304, unit: 'bytes', fault: 'tooLarge' },
  /** Messages of a topic that wait for one subscription: it reads slowly, or owes too many ACKs. */
  maxBacklog: { default: 1_000, unit: 'count', fault: 'tooSlow' },
  /** Their bodies and headers: a thousand large messages are more than a thousand small ones. */
  maxBacklogBytes: { default: 16_777_216, unit: 'bytes', fault: 'tooSlow' },
  /** Clients choose the names of queues: without a bound they could fill the memory with empty ones. */
  maxQueues: { default: 10_000, unit: 'count', fault: 'tooMany' },
  /** What one queue keeps, waiting or delivered and not acknowledged yet. */
  maxQueueMessages: { default: 10_000, unit: 'count', fault: 'tooMany' },
  /** Their bodies and headers, and what holds them. */
  maxQueueBytes: { default: 67_108_864, unit: 'bytes', fault: 'tooMany' },
  /** The same over all queues, since there may be many. */
  maxStoredMessages: { default: 1_000_000, unit: 'count', fault: 'tooMany' },
  /** Their bodies and headers, and what holds them. */
  maxStoredBytes: { default: 268_435_456, unit: 'bytes', fault: 'tooMany' },
  /** What one user, or one connection without a user, may keep of that: else one client could fill it for all. */
  maxUserQueues: { default: 1_000, unit: 'count', fault: 'tooMany' },
  /** Messages of one user in all queues. */
  maxUserMessages: { default: 100_000, unit: 'count', fault: 'tooMany' },
  /** What they occupy, in bytes. */
  maxUserBytes: { default: 67_108_864, unit: 'bytes', fault: 'tooMany' },
  /** A queue without consumers to which nobody sends: what is in it expires, or it would stay for ever. */
  queueExpires: { default: 3_600_000, unit: 'ms', fault: 'tooMany' },
  /** Deliveries of one subscription that wait for an ACK, where it names no prefetch-count. */
  prefetch: { default: 100, unit: 'count', fault: 'tooMany' },
  /** A message that was put back so often goes to the dead-letter queue. */
  maxDeliveries: { default: 5, unit: 'count', fault: 'tooMany' },
} as const satisfies LimitTable;

/** The numbers of {@link brokerLimits}. */
export type BrokerLimits = LimitValues<typeof brokerLimits>;
/** The same as options, each of which may be left out. */
export type BrokerLimitOptions = LimitOptions<typeof brokerLimits>;
