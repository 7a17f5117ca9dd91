import type { IncomingMessage } from 'node:http';
import type { Handshake } from '../core/subprotocol.ts';
import type { PathParams } from './path.ts';
import type { Seen } from './proxies.ts';

/** Headers that nobody needs once the handshake is done. */
const spent = new Set([
  'connection',
  'upgrade',
  'sec-websocket-key',
  'sec-websocket-version',
  'sec-websocket-extensions',
]);

/**
 * What a connection keeps of its request, for as long as it lives. Browsers send a dozen headers, which take several
 * times less memory as one text; the object of headers is made whenever it is read, which hooks do once.
 */
export class KeptHandshake implements Handshake {
  /** Path and query, as in the request line. */
  readonly url: string;
  /** The address of the client, as far as `trustProxy` lets it be known. */
  readonly remoteAddress: string;
  /** The client came by TLS. */
  readonly secure: boolean;
  /** The address was named by a proxy of ours. */
  readonly trusted: boolean;
  /** What the pattern of the endpoint's path found. */
  readonly params: PathParams;
  /** What the hook `upgrade` answered with. */
  extra: Readonly<Record<string, unknown>> | undefined = undefined;
  /** Names and values by turns, a line each: neither can hold a line break. */
  readonly #lines: string;

  constructor({ headers, url = '' }: IncomingMessage, { remoteAddress, secure, trusted }: Seen, params: PathParams) {
    this.url = url;
    this.remoteAddress = remoteAddress;
    this.secure = secure;
    this.trusted = trusted;
    this.params = params;
    const lines: string[] = [];
    for (const name in headers) if (!spent.has(name) && !name.startsWith(':')) lines.push(name, String(headers[name]));
    this.#lines = lines.join('\n');
  }

  /** Header names in lower case, without those that only the handshake needs. */
  get headers(): Readonly<Record<string, string>> {
    const headers: Record<string, string> = {};
    const lines = this.#lines.split('\n');
    for (let at = 0; at + 1 < lines.length; at += 2) headers[lines[at] as string] = lines[at + 1] as string;
    return headers;
  }
}
