import { CloseCode, type Fault, type FaultTable } from '../../core/fault.ts';

const fault = (code: number, words: string): FaultTable[Fault] => ({
  code,
  reason: (detail) => (detail === undefined ? words : `${words}: ${detail}`),
});

/**
 * How each fault ends a STOMP connection: an ERROR frame, flushed, then this close code. Our client comes back after
 * any of them but 1008, so a passing trouble never gets that one.
 */
export const stompFaults: FaultTable = {
  /** Close code 1002. */
  malformed: fault(CloseCode.protocolError, 'Malformed frame'),
  /** Close code 1002. */
  unacceptable: fault(CloseCode.protocolError, 'Not acceptable'),
  /** Close code 1008. */
  unauthorized: fault(CloseCode.policyViolation, 'Unauthorized'),
  /** Close code 1008. */
  forbidden: fault(CloseCode.policyViolation, 'Forbidden'),
  /** Close code 4403. */
  expired: fault(CloseCode.forbidden, 'Credentials expired'),
  /** Close code 4408. */
  initTimeout: fault(CloseCode.initTimeout, 'Connection initialisation timeout'),
  /** Close code 4000. */
  heartbeat: fault(CloseCode.heartbeatTimeout, 'Heartbeat timeout'),
  /** Close code 1002. */
  duplicate: fault(CloseCode.protocolError, 'Already in use'),
  /** Close code 1009. */
  tooLarge: fault(CloseCode.tooLarge, 'Too large'),
  /** Close code 1013. */
  tooMany: fault(CloseCode.tryAgainLater, 'Too many'),
  /** Close code 1013. */
  tooSlow: fault(CloseCode.tryAgainLater, 'Reading too slowly'),
  /** Close code 1013. */
  unavailable: fault(CloseCode.tryAgainLater, 'Unavailable'),
  /** Close code 1001. */
  goingAway: fault(CloseCode.goingAway, 'Going away'),
  /** Close code 1011. */
  internal: fault(CloseCode.internalError, 'Internal error'),
};
