import { type Fault, ProtocolError } from '../../core/fault.ts';
import { ReasonCode } from './reason-codes.ts';

/** A fault with the reason code that tells an MQTT 5 client more than the fault does. */
export class MqttError extends ProtocolError {
  /** What DISCONNECT, or CONNACK before the client was let in, says (MQTT 5, section 2.4). */
  readonly reasonCode: number;

  constructor(fault: Fault, reasonCode: number, detail: string) {
    super(fault, detail);
    this.reasonCode = reasonCode;
  }
}

/** What came cannot be read: reason code 0x81. */
export const malformed = (detail: string): MqttError => new MqttError('malformed', ReasonCode.malformedPacket, detail);

/** What came can be read, and breaks a rule: reason code 0x82. */
export const protocolError = (detail: string): MqttError =>
  new MqttError('malformed', ReasonCode.protocolError, detail);
