import { ProtocolError } from '../../core/fault.ts';
import { type Frame, malformed } from './frame.ts';
import { negotiateVersion, type Version, versionOf, versions } from './versions.ts';

/** [STOMP-47]; `client` acknowledges all that came before on the same subscription as well. */
export type AckMode = 'auto' | 'client' | 'client-individual';

/** [STOMP-25] */
export const isConnect = ({ command }: Frame): boolean => command === 'CONNECT' || command === 'STOMP';

/** What peers wrote may be long, and they get it back in an ERROR. */
export const shorten = (text: string): string => (text.length > 200 ? `${text.slice(0, 200)}…` : text);

/** A header that has to be there. Throws `malformed`. */
export function required({ command, headers }: Frame, name: string): string {
  const value = headers.get(name);
  if (value === undefined || value === '') throw malformed(`${command} without ${name}`);
  return value;
}

/** A header that the client gets back. 1.0 has no escapes: what breaks a line there cannot be given back ([STOMP-20]). */
export function echoed({ headers }: Frame, name: string, version: Version): string | undefined {
  const value = headers.get(name);
  if (value !== undefined && version === '1.0' && value.includes('\r')) throw malformed(`a ${name} with a CR`);
  return value;
}

const ackModes = ['auto', 'client', 'client-individual'] as const;

/** The `ack` header of SUBSCRIBE ([STOMP-47]). */
export function ackModeOf({ headers }: Frame, version: Version): AckMode {
  const wanted = headers.get('ack') ?? 'auto';
  // Of our own: a piece of the frame would keep all of it in memory.
  const mode = ackModes.find((each) => each === wanted && (each !== 'client-individual' || version !== '1.0'));
  if (mode) return mode;
  throw malformed(`the ack mode ${shorten(wanted)} is none of STOMP ${version}`);
}

/** How many deliveries may wait for their ACK, if SUBSCRIBE says so. */
export function prefetchOf({ headers }: Frame): number | undefined {
  const count = headers.get('prefetch-count');
  if (count === undefined) return undefined;
  if (!/^[1-9]\d{0,5}$/.test(count)) throw malformed('prefetch-count must be a number from 1 to 999999');
  return Number(count);
}

/**
 * The highest common version ([STOMP-27]); where the sub-protocol of the socket names one of those in common, that one
 * ([STOMP-32]). Throws `unacceptable` if there is none.
 */
export function agreedVersion({ headers }: Frame, subprotocol: string): Version {
  const accepted = headers.get('accept-version');
  const named = versionOf(subprotocol);
  const version = (named && negotiateVersion(accepted, [named])) ?? negotiateVersion(accepted, versions);
  if (version) return version;
  throw new ProtocolError('unacceptable', `supported versions are ${versions.join(', ')}`);
}
