import { CloseCode, type FaultCodes } from '../../core/fault.ts';

/** Close codes of a client; a browser sends 4500 for those that scripts may not use. */
export const stompClientFaults: FaultCodes = {
  /** The server said what is no STOMP, or not at this place. */
  malformed: CloseCode.protocolError,
  /** The server chose a version that was not offered. */
  unacceptable: CloseCode.protocolError,
  /** The server was silent for 2.1 times the agreed interval ([STOMP-37]). */
  heartbeat: CloseCode.heartbeatTimeout,
  /** CONNECTED did not come within `connectionTimeout`. */
  initTimeout: CloseCode.initTimeout,
  /** A body was over `limits.maxPayload`. */
  tooLarge: CloseCode.tooLarge,
  /** `connectHeaders` could not be had; the next attempt asks again. */
  unavailable: CloseCode.tryAgainLater,
};
