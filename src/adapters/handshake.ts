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

/** What there is to know of an upgrade request. */
export function handshakeOf({ headers, url = '', socket }: IncomingMessage): Handshake {
  const kept: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined || spent.has(name)) continue;
    kept[name] = Array.isArray(value) ? value.join(', ') : value;
  }
  return { url, headers: kept, remoteAddress: socket.remoteAddress ?? '', secure: 'encrypted' in socket };
}

/**
 * A handshake as a connection keeps it, for as long as it lives: browsers send a dozen headers, which take several
 * times less as one text. They are made of it whenever they are read, which hooks do once.
 */
export class KeptHandshake implements Handshake {
  readonly url: string;
  readonly remoteAddress: string;
  readonly secure: boolean;
  /** Names and values by turns, a line each: neither can hold a line break. */
  readonly #lines: string;

  constructor({ url, headers, remoteAddress, secure }: Handshake) {
    this.url = url;
    this.remoteAddress = remoteAddress;
    this.secure = secure;
    this.#lines = Object.entries(headers).flat().join('\n');
  }

  get headers(): Readonly<Record<string, string>> {
    const lines = this.#lines.split('\n');
    const headers: Record<string, string> = {};
    for (let at = 0; at + 1 < lines.length; at += 2) headers[lines[at] as string] = lines[at + 1] as string;
    return headers;
  }
}
