/**
 * How a connection ended: what `closed` listeners, `shouldRetry` and the sinks of failed operations get. It has what a
 * `CloseEvent` has, and is an `Error`, so that whoever prints it prints something that can be read.
 *
 * @example
 * client.on('closed', (event) => console.log(event.code, event.reason)); // 4403 Forbidden
 */
export class ConnectionClosed extends Error {
  override readonly name = 'ConnectionClosed';
  readonly type = 'close';
  /** RFC 6455 7.4, or of graphql-transport-ws; 1006 when there was no close frame, or no connection at all. */
  readonly code: number;
  readonly reason: string;
  /** Did the peer take part in the close? */
  readonly wasClean: boolean;

  constructor(code: number, reason: string, cause?: unknown) {
    super(`Socket closed: ${code} ${reason}`.trimEnd(), cause === undefined ? undefined : { cause });
    this.code = code;
    this.reason = reason;
    this.wasClean = code !== 1006 && code !== 4499;
  }
}

/** What has to do with the moment may be tried again: normal, going away, none, lost, restart, try later, gateway. */
const transientCodes = [1000, 1001, 1005, 1006, 1012, 1013, 1014];
/** What would happen again: bad response, our own error, bad request, too early, subprotocol, duplicate, second init, bug. */
const final = [4004, 4005, 4400, 4401, 4406, 4409, 4429, 4500];

/** Is there no use in coming back after this close code? 4403 is not final: credentials are asked for anew. */
export const isFatalCode = (code: number): boolean =>
  code < 2000 ? code >= 1000 && !transientCodes.includes(code) : final.includes(code);
