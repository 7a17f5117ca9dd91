import { never } from '../../core/clock.ts';
import { ProtocolError } from '../../core/fault.ts';

/** A version of STOMP. */
export type Version = '1.0' | '1.1' | '1.2';

/** The versions that are spoken here, the preferred first. */
export const versions: readonly Version[] = ['1.2', '1.1', '1.0'];

/** The registered WebSocket token of a version: `v12.stomp` for 1.2. */
export const subprotocolOf = (version: Version): string => `v${version.replace('.', '')}.stomp`;

/** The version that a token fixes; undefined for `stomp`, for '' and for tokens that are not ours. */
export const versionOf = (subprotocol: string): Version | undefined =>
  versions.find((version) => subprotocolOf(version) === subprotocol);

/**
 * The highest version that both sides speak; undefined if there is none ([STOMP-27]). A client that names no version
 * speaks 1.0 ([STOMP-26]).
 *
 * @example
 * negotiateVersion('1.0,1.1,2.0', versions); // '1.1'
 */
export function negotiateVersion(acceptVersion: string | undefined, mine: readonly Version[]): Version | undefined {
  const theirs = (acceptVersion ?? '1.0').split(',').map((version) => version.trim());
  return versions.find((version) => mine.includes(version) && theirs.includes(version));
}

/** What one side offers: how often it can send, and how often it wants to receive, in ms; 0: not at all. */
export interface HeartBeat {
  readonly outgoing: number;
  readonly incoming: number;
}

/** How often its sender can send, and wants to receive, in a `heart-beat` header ([STOMP-34]). Throws a {@link ProtocolError} `malformed`. */
export function parseHeartBeat(value = '0,0'): readonly [canSend: number, wants: number] {
  const [, canSend, wants] = /^(\d{1,10}),(\d{1,10})$/.exec(value) ?? [];
  if (!wants) throw new ProtocolError('malformed', 'heart-beat must look like 10000,10000');
  return [Number(canSend), Number(wants)];
}

/**
 * A direction beats at the slower wish of the two sides, and not at all if either says 0 ([STOMP-35]). In ms; Infinity: never.
 *
 * @example
 * agreedInterval(10_000, 20_000); // 20000
 */
export const agreedInterval = (canSend: number, wants: number): number =>
  canSend > 0 && wants > 0 ? Math.max(canSend, wants) : never;
