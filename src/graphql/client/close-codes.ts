import type { FaultCodes } from '../../core/fault.ts';

/** Close codes of a client: what it finds wrong is the server's doing, or its own. */
export const graphqlClientFaults: FaultCodes = {
  malformed: 4004,
  initTimeout: 4504,
  heartbeat: 4000,
  tooLarge: 1009,
  internal: 4005,
};
