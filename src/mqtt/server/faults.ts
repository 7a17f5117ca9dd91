import { CloseCode, type Fault, type FaultTable, type ProtocolError } from '../../core/fault.ts';
import { MqttError } from '../protocol/mqtt-error.ts';
import { ReasonCode, ReturnCode } from '../protocol/reason-codes.ts';

const fault = (code: number, words: string): FaultTable[Fault] => ({
  code,
  reason: (detail) => (detail === undefined ? words : `${words}: ${detail}`),
});

/** How each fault ends an MQTT connection: in MQTT 5 a DISCONNECT with a reason code, flushed, then this close code. */
export const mqttFaults: FaultTable = {
  /** Close code 1002. */
  malformed: fault(CloseCode.protocolError, 'Malformed packet'),
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
  heartbeat: fault(CloseCode.heartbeatTimeout, 'Keep-alive timeout'),
  /** Close code 1008: coming back would take the session from whoever took it. */
  duplicate: fault(CloseCode.policyViolation, 'Session taken over'),
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

/** What DISCONNECT says of each fault, CONNACK of MQTT 5, and CONNACK of 3.1.1; undefined: 3.1.1 has no word for it. */
const reasons: Readonly<Record<Fault, readonly [disconnect: number, connack: number, returnCode: number | undefined]>> =
  {
    malformed: [ReasonCode.malformedPacket, ReasonCode.malformedPacket, undefined],
    unacceptable: [ReasonCode.unsupportedVersion, ReasonCode.unsupportedVersion, ReturnCode.unacceptableVersion],
    unauthorized: [ReasonCode.notAuthorized, ReasonCode.notAuthorized, ReturnCode.notAuthorized],
    forbidden: [ReasonCode.notAuthorized, ReasonCode.notAuthorized, ReturnCode.notAuthorized],
    expired: [ReasonCode.maximumConnectTime, ReasonCode.notAuthorized, ReturnCode.notAuthorized],
    initTimeout: [ReasonCode.unspecified, ReasonCode.unspecified, undefined],
    heartbeat: [ReasonCode.keepAliveTimeout, ReasonCode.unspecified, undefined],
    duplicate: [ReasonCode.sessionTakenOver, ReasonCode.serverBusy, ReturnCode.serverUnavailable],
    tooLarge: [ReasonCode.packetTooLarge, ReasonCode.packetTooLarge, undefined],
    tooMany: [ReasonCode.quotaExceeded, ReasonCode.quotaExceeded, ReturnCode.serverUnavailable],
    tooSlow: [ReasonCode.quotaExceeded, ReasonCode.serverBusy, ReturnCode.serverUnavailable],
    unavailable: [ReasonCode.serverBusy, ReasonCode.serverUnavailable, ReturnCode.serverUnavailable],
    goingAway: [ReasonCode.serverShuttingDown, ReasonCode.serverUnavailable, ReturnCode.serverUnavailable],
    internal: [ReasonCode.unspecified, ReasonCode.unspecified, ReturnCode.serverUnavailable],
  };

/** The reason code of DISCONNECT for what ended a connection. */
export const disconnectReason = (error: ProtocolError): number =>
  error instanceof MqttError ? error.reasonCode : reasons[error.fault][0];

/** What CONNACK says of what ended a connection before the client was let in; undefined: nothing can be said. */
export function connackCode(error: ProtocolError, level: 4 | 5): number | undefined {
  if (level === 4) {
    const isName = error instanceof MqttError && error.reasonCode === ReasonCode.clientIdNotValid;
    return isName ? ReturnCode.identifierRejected : reasons[error.fault][2];
  }
  return error instanceof MqttError ? error.reasonCode : reasons[error.fault][1];
}
