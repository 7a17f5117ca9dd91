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
  malformed: fault(CloseCode.protocolError, 'Malformed frame'),
  unacceptable: fault(CloseCode.protocolError, 'Not acceptable'),
  unauthorized: fault(CloseCode.policyViolation, 'Unauthorized'),
  forbidden: fault(CloseCode.policyViolation, 'Forbidden'),
  expired: fault(CloseCode.forbidden, 'Credentials expired'),
  initTimeout: fault(CloseCode.initTimeout, 'Connection initialisation timeout'),
  heartbeat: fault(CloseCode.heartbeatTimeout, 'Heartbeat timeout'),
  duplicate: fault(CloseCode.protocolError, 'Already in use'),
  tooLarge: fault(CloseCode.tooLarge, 'Too large'),
  tooMany: fault(CloseCode.tryAgainLater, 'Too many'),
  tooSlow: fault(CloseCode.tryAgainLater, 'Reading too slowly'),
  unavailable: fault(CloseCode.tryAgainLater, 'Unavailable'),
  goingAway: fault(CloseCode.goingAway, 'Going away'),
  internal: fault(CloseCode.internalError, 'Internal error'),
};
