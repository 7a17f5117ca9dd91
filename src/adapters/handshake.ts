import type { IncomingMessage } from 'node:http';
import type { Handshake } from '../core/subprotocol.ts';

/** Headers that nobody needs once the handshake is done. */
const spent = new Set([
  'connection',
  'upgrade',
  'sec-websocket-key',
  'sec-websocket-version',
  'sec-websocket-extensions',
]);

/**
 * What a connection keeps of its request, for as long as it lives: browsers send a dozen headers, which take several
 * times less as one text. They are made of it whenever they are read, which hooks do once.
 */
export class KeptHandshake implements Handshake {
  readonly url: string;
  readonly remoteAddress: string;
  readonly secure: boolean;
  /** Names and values by turns, a line each: neither can hold a line break. */
  readonly #lines: string;

  constructor({ headers, url = '', socket }: IncomingMessage) {
    this.url = url;
    this.remoteAddress = socket.remoteAddress ?? '';
    this.secure = 'encrypted' in socket;
    const lines: string[] = [];
    for (const name in headers) if (!spent.has(name)) lines.push(name, String(headers[name]));
    this.#lines = lines.join('\n');
  }

  get headers(): Readonly<Record<string, string>> {
    const headers: Record<string, string> = {};
    const lines = this.#lines.split('\n');
    for (let at = 0; at + 1 < lines.length; at += 2) headers[lines[at] as string] = lines[at + 1] as string;
    return headers;
  }
}
