import { CloseCode, type FaultCodes, isApplicationCode, isStandardCode } from '../../core/fault.ts';

/** Close codes of a client: what it finds wrong is the server's doing, or its own. */
export const graphqlClientFaults: FaultCodes = {
  /** The server said what is no message of the protocol. */
  malformed: CloseCode.badResponse,
  /** No acknowledgement came within `connectionAckWaitTimeout`. */
  initTimeout: CloseCode.ackTimeout,
  /** Nothing came within `limits.pongTimeout` after a ping. */
  heartbeat: CloseCode.heartbeatTimeout,
  /** A message of the server was over `limits.maxPayload`. */
  tooLarge: CloseCode.tooLarge,
  /** Something of the application, or of ours, threw. */
  internal: CloseCode.clientError,
};

/** What has to do with the moment may be tried again: normal, going away, none, lost, restart, try later, gateway. */
const transientCodes: readonly number[] = [
  CloseCode.normal,
  CloseCode.goingAway,
  CloseCode.noStatus,
  CloseCode.abnormal,
  CloseCode.serviceRestart,
  CloseCode.tryAgainLater,
  CloseCode.badGateway,
];
/** What would happen again. */
const finalCodes: readonly number[] = [
  CloseCode.badResponse,
  CloseCode.clientError,
  CloseCode.badRequest,
  CloseCode.unauthorized,
  CloseCode.subprotocolNotAcceptable,
  CloseCode.duplicate,
  CloseCode.tooManyInits,
  CloseCode.internal,
];

/**
 * Is there no use in coming back after this close code? 4403 is not final by itself: credentials are asked for anew.
 *
 * @example
 * isFatalCode(4400); // true
 */
export const isFatalCode = (code: number): boolean =>
  isStandardCode(code) ? !transientCodes.includes(code) : finalCodes.includes(code);

/**
 * Does this code, before the acknowledgement, say that the server looked at the credentials and does not want them? Codes
 * of the application count; 4408 does not, since the server has seen none.
 */
export const isRefusal = (code: number): boolean =>
  code === CloseCode.normal || (isApplicationCode(code) && code !== CloseCode.initTimeout);
