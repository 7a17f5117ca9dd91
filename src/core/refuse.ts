import { isSendableCode } from './fault.ts';
import { inWords } from './options.ts';

/** What a gate answers to refuse with words of its own; made by {@link refuse}. */
export class Refusal {
  /**
   * A close code (1000 to 1014 or 3000 to 4999, RFC 6455 7.4), or an HTTP status from 400 to 599 where the gate stands
   * before the upgrade.
   *
   * @defaultValue the code that the protocol has for the fault `unauthorized`
   */
  readonly code: number | undefined;
  /** Close reason, of which 123 bytes are sent (RFC 6455 5.5), or the text of the HTTP answer. */
  readonly reason: string;

  constructor(code: number | undefined, reason: string) {
    this.code = code;
    this.reason = reason;
  }

  /** The code, if it is one that a close frame may carry; undefined: the protocol's own. */
  get closeCode(): number | undefined {
    return this.code !== undefined && isSendableCode(this.code) ? this.code : undefined;
  }
}

/** The words of a refusal. */
export interface RefuseOptions {
  /**
   * A close code (1000 to 1014 or 3000 to 4999) or, for `upgrade`, an HTTP status from 400 to 599.
   *
   * @defaultValue the code that the protocol has for the fault `unauthorized`
   */
  readonly code?: number | undefined;
  /** What the client is told; of a close reason 123 bytes are sent. */
  readonly reason: string;
}

/**
 * A refusal with a code and words, for a gate such as `authenticate` to return, so that a client can tell "refresh
 * your token" from "you are banned".
 *
 * Throws a `TypeError` if the code may be sent by neither a close frame nor an HTTP answer, or if the reason is no text.
 *
 * @example
 * authenticate: ({ connectionParams }) =>
 *   isExpired(connectionParams?.token) ? refuse({ code: 4426, reason: 'Refresh your token' }) : userOf(connectionParams)
 */
export function refuse(options: RefuseOptions): Refusal {
  if (typeof options !== 'object' || options === null) {
    throw new TypeError(`refuse() needs words: { code: 4401, reason: 'Refresh your token' }; got ${inWords(options)}`);
  }
  const { code, reason } = options;
  if (typeof reason !== 'string') throw new TypeError(`refuse(): reason must be text; got ${inWords(reason)}`);
  if (code !== undefined && !(isSendableCode(code) || isHttpError(code))) {
    throw new TypeError(
      `refuse(): code must be a close code (1000 to 1014, 3000 to 4999) or an HTTP status (400 to 599); got ${inWords(code)}`,
    );
  }
  return new Refusal(code, reason);
}

/**
 * The words with which a connection is dismissed. Undefined: none were given. Throws a `TypeError` if they cannot be put
 * into a close frame.
 */
export function dismissalOf(words: Refusal | RefuseOptions | undefined): Refusal | undefined {
  const refusal = words === undefined || words instanceof Refusal ? words : refuse(words);
  if (refusal?.code !== undefined && refusal.closeCode === undefined) {
    throw new TypeError(`disconnect() needs a close code (1000 to 1014, 3000 to 4999); got ${refusal.code}`);
  }
  return refusal;
}

const isHttpError = (code: number): boolean => Number.isInteger(code) && code >= 400 && code <= 599;
