import { type Fault, ProtocolError } from '../../core/fault.ts';
import type { Frame } from '../protocol/frame.ts';
import { stompFaults } from './faults.ts';

/** Faults that are about one SEND, and say nothing of what the client may send next. */
const ofOneSend: readonly Fault[] = ['forbidden', 'tooMany', 'unavailable'];

/**
 * May this frame be dropped for that error, so that its connection lives? A SEND that asked for no receipt and belongs to
 * no transaction was promised nothing ([STOMP-41]). A bug of a hook is about one SEND as well.
 */
export const mayBeDropped = ({ command, headers }: Frame, error: unknown): boolean =>
  command === 'SEND' &&
  !headers.has('receipt') &&
  !headers.has('transaction') &&
  (!(error instanceof ProtocolError) || ofOneSend.includes(error.fault));

/** What its sender is told. What a hook throws is for the application alone. */
export const refusalWords = (error: unknown): string =>
  error instanceof ProtocolError
    ? stompFaults[error.fault].reason(error.detail)
    : stompFaults.internal.reason(undefined);
