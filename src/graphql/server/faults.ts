import { CloseCode, type FaultTable } from '../../core/fault.ts';

/**
 * Close codes and reasons of a server that speaks graphql-transport-ws. Known clients retry by the code alone: 4403,
 * 4408 and the transient ones below 1016 bring them back, the other 44xx and 4500 never do.
 */
export const graphqlFaults: FaultTable = {
  // The words of the protocol, for strangers; what exactly was wrong is in the server's log.
  malformed: { code: CloseCode.badRequest, reason: () => 'Invalid message received' },
  unacceptable: { code: CloseCode.subprotocolNotAcceptable, reason: () => 'Subprotocol not acceptable' },
  unauthorized: { code: CloseCode.unauthorized, reason: () => 'Unauthorized' },
  forbidden: { code: CloseCode.forbidden, reason: (detail = 'Forbidden') => detail },
  expired: { code: CloseCode.forbidden, reason: () => 'Credentials expired' },
  initTimeout: { code: CloseCode.initTimeout, reason: () => 'Connection initialisation timeout' },
  heartbeat: { code: CloseCode.heartbeatTimeout, reason: () => 'Heartbeat timeout' },
  duplicate: { code: CloseCode.duplicate, reason: (id = '') => `Subscriber for ${id} already exists` },
  tooLarge: { code: CloseCode.tooLarge, reason: (detail = 'Message too large') => detail },
  tooMany: { code: CloseCode.tryAgainLater, reason: (detail = 'Too many requests') => detail },
  tooSlow: { code: CloseCode.tryAgainLater, reason: () => 'Messages were not read fast enough' },
  unavailable: { code: CloseCode.tryAgainLater, reason: (detail = 'Temporarily unavailable') => detail },
  goingAway: { code: CloseCode.goingAway, reason: () => 'Going away' },
  internal: { code: CloseCode.internal, reason: (detail = 'Internal server error') => detail },
};

/** The same for developers: what was wrong with a message is said to who sent it ([GQL-52]). */
export const tellingFaults: FaultTable = {
  ...graphqlFaults,
  malformed: {
    code: CloseCode.badRequest,
    reason: (detail) => (detail === undefined ? 'Invalid message received' : `Invalid message received: ${detail}`),
  },
};
