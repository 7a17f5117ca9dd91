import type { ProtocolError } from '../../core/fault.ts';
import type { Wire } from '../../core/wire.ts';
import { encodeFrame } from '../protocol/encoder.ts';
import type { Frame } from '../protocol/frame.ts';
import { isConnect, shorten } from '../protocol/frame-fields.ts';
import { type Version, versions } from '../protocol/versions.ts';
import { stompFaults } from './faults.ts';

/**
 * The one ERROR of a connection, and its last frame ([STOMP-63] [STOMP-64]). `version` is 1.0 before CONNECTED: that can
 * be read in any version.
 */
export function errorFrame({ fault, detail }: ProtocolError, frame: Frame | undefined, version: Version): Wire {
  const message = stompFaults[fault].reason(detail).replace(/[\r\n\0]+/g, ' ');
  // Without escapes: neither a colon nor a backslash may mean something to a client that reads another version.
  const plain = version === '1.0' ? message.replaceAll(': ', ', ').replace(/[:\\]/g, ' ') : message;
  const headers: Record<string, string> = { message: plain, 'content-type': 'text/plain' };
  const receipt = frame && !isConnect(frame) ? frame.headers.get('receipt') : undefined;
  if (receipt !== undefined && (version !== '1.0' || !/[\r\n]/.test(receipt))) headers['receipt-id'] = receipt;
  if (fault === 'unacceptable') headers['version'] = versions.join(',');
  return encodeFrame(
    version,
    'ERROR',
    headers,
    `${message}\n${frame ? `The frame at fault is ${nameOf(frame)}.\n` : ''}`,
  );
}

/** A frame as a person would name it. */
function nameOf({ command, headers }: Frame): string {
  const destination = headers.get('destination');
  return `${shorten(command)}${destination === undefined ? '' : ` with destination ${shorten(destination)}`}`;
}
