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
