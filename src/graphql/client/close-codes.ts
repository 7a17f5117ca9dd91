import { CloseCode, type FaultCodes } from '../../core/fault.ts';

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
const transientCodes: readonly number[] = [1000, 1001, 1005, 1006, 1012, 1013, 1014];
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
  code < 2000 ? code >= 1000 && !transientCodes.includes(code) : finalCodes.includes(code);

/**
 * Does this code, before the acknowledgement, say that the server looked at the credentials and does not want them? Codes
 * of the application count; 4408 does not, since the server has seen none.
 */
export const isRefusal = (code: number): boolean =>
  code === CloseCode.normal || (code >= 4000 && code !== CloseCode.initTimeout);
