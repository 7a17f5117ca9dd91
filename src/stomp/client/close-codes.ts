import type { FaultCodes } from '../../core/fault.ts';

/** Close codes of a client; a browser sends 4500 for those that scripts may not use. */
export const stompClientFaults: FaultCodes = {
  malformed: 1002,
  unacceptable: 1002,
  heartbeat: 4000,
  initTimeout: 4408,
  tooLarge: 1009,
  unavailable: 1013,
};
