import { ProtocolError } from '../core/fault.ts';
import { decodeUtf8, utf8Length, type Wire } from '../core/wire.ts';
import { type HeaderInput, headerLines, unescapeHeader } from './headers.ts';
import { takeBytes, takeUtf8 } from './slab.ts';
import type { Version } from './versions.ts';

export { escapeHeader, type HeaderInput } from './headers.ts';

/** Header names and values, unescaped. Of a repeated header the first entry is here ([STOMP-22]). */
export type Headers = ReadonlyMap<string, string>;

/** One STOMP frame. `body` is a view of the received octets: whoever changes it changes it for all. */
export interface Frame {
  readonly command: string;
  readonly headers: Headers;
  readonly body: Uint8Array;
}

/** What a decoder takes before it calls a frame too large ([STOMP-23]). */
export interface DecoderLimits {
  /** Header lines of a frame, repeated ones included. */
  readonly maxHeaders: number;
  /** One header line, in bytes. */
  readonly maxHeaderLine: number;
  /** The command and all header lines, in bytes. */
  readonly maxHeaderBytes: number;
  /** The body, in bytes. */
  readonly maxBody: number;
}

const nul = 0;
const lineFeed = 10;
const carriageReturn = 13;
/** A frame that comes in pieces starts with a buffer of so many bytes. */
const firstBuffer = 512;
/** The same, once its content-length is known. */
const claimedBuffer = 16_384;
const nothing = new Uint8Array(0);
const noHeaders: HeaderInput = [];

/** An empty line: a heart-beat ([STOMP-36]). */
export const endOfLine: Wire = { head: '\n', binary: false };

interface Head {
  readonly command: string;
  readonly headers: Headers;
  readonly length: number | undefined;
}

/**
 * Octets in, frames out: push what arrives, pull frames until there is none. However the stream is cut, the frames are
 * the same, and the work is linear in its length. A frame that lies whole in one pushed chunk is not copied: its body
 * is a view of the chunk, which therefore must not be reused.
 *
 * @example
 * const decoder = new Decoder(limits);
 * decoder.push('SEND\ndestination:/topic/a\n\nhello\0');
 * decoder.next()?.command; // 'SEND'
 */
export class Decoder {
  /** How frames are read; set it as soon as CONNECTED is decided. Frames of the handshake itself are 1.0 in all ([STOMP-18]). */
  version: Version = '1.2';

  readonly #limits: DecoderLimits;
  #buffer: Uint8Array = nothing;
  // Is the buffer ours, with room behind `#end`? Else it is a chunk that was pushed.
  #owned = false;
  #start = 0;
  #end = 0;
  // Octets from here on were not looked at; lines before it are whole.
  #scanned = 0;
  #lineStart = 0;
  #lines = 0;
  // The frame whose body is awaited, where that body starts and, if content-length says so, how long it is.
  #head: Head | undefined;
  #bodyStart = 0;

  constructor(limits: DecoderLimits) {
    this.#limits = limits;
  }

  /** Octets that wait for the rest of their frame, or to be pulled. */
  get buffered(): number {
    return this.#end - this.#start;
  }

  /** A frame has begun and has not ended. Tells the truth once `next` returned undefined. */
  get partial(): boolean {
    return this.#end > this.#start;
  }

  /** Take a message of a WebSocket, or any piece of a byte stream. Where it is cut has no meaning ([STOMP-14]). */
  push(data: string | Uint8Array): void {
    const bytes = typeof data === 'string' ? takeUtf8(data) : data;
    if (this.#start === this.#end) {
      this.#buffer = bytes;
      this.#owned = false;
      this.#start = this.#scanned = this.#lineStart = 0;
      this.#end = bytes.length;
      return;
    }
    const room = this.#end + bytes.length;
    if (!this.#owned || room > this.#buffer.length) this.#grow(bytes.length);
    this.#buffer.set(bytes, this.#end);
    this.#end += bytes.length;
  }

  /**
   * The next frame, or undefined until more was pushed. Throws a {@link ProtocolError} `malformed` or `tooLarge`; the
   * stream cannot be read on after that.
   */
  next(): Frame | undefined {
    if (this.#head === undefined && !this.#readHead()) return undefined;
    return this.#readBody();
  }

  /** Move what is left into a buffer of our own: twice as large, or as large as the frame is known to be. */
  #grow(more: number): void {
    const kept = this.#end - this.#start;
    const length = this.#head?.length;
    // A length that is only claimed buys little memory; it grows with what really came.
    const wanted =
      length === undefined
        ? Math.max(firstBuffer, 2 * kept)
        : Math.min(this.#bodyStart - this.#start + length + 1, Math.max(claimedBuffer, 2 * kept));
    const buffer = takeBytes(Math.max(kept + more, wanted));
    buffer.set(this.#buffer.subarray(this.#start, this.#end));
    this.#scanned -= this.#start;
    this.#lineStart -= this.#start;
    this.#bodyStart -= this.#start;
    this.#start = 0;
    this.#end = kept;
    this.#buffer = buffer;
    this.#owned = true;
  }

  /** Skip the EOLs between frames ([STOMP-4]). Is there anything behind them? */
  #skipEndsOfLines(): boolean {
    const buffer = this.#buffer;
    const end = this.#end;
    let at = this.#start;
    for (; at < end; at++) {
      // The LF of a CR may be on its way.
      if (buffer[at] === carriageReturn && (at + 1 === end || buffer[at + 1] === lineFeed)) continue;
      if (buffer[at] !== lineFeed) break;
    }
    const cut = at === end && at > this.#start && buffer[at - 1] === carriageReturn;
    this.#start = this.#scanned = this.#lineStart = cut ? at - 1 : at;
    if (at < end) return true;
    // An idle connection keeps no buffer.
    if (!cut) this.#buffer = nothing;
    return false;
  }

  #readHead(): boolean {
    if (this.#lines === 0 && this.#scanned === this.#lineStart && !this.#skipEndsOfLines()) return false;
    const { maxHeaders, maxHeaderLine, maxHeaderBytes } = this.#limits;
    const buffer = this.#buffer;
    const end = this.#end;
    for (;;) {
      let lineEnd = this.#scanned;
      // Lines are short: a loop is faster than a call of indexOf.
      while (lineEnd < end && buffer[lineEnd] !== lineFeed) lineEnd++;
      const length = lineEnd - this.#lineStart;
      // A CR before the LF is none of the line.
      if (length > maxHeaderLine && (length > maxHeaderLine + 1 || buffer[lineEnd - 1] !== carriageReturn)) {
        throw tooLarge(`a header line of more than ${maxHeaderLine} bytes`);
      }
      if (lineEnd - this.#start > maxHeaderBytes + 2) throw tooLarge(`headers of more than ${maxHeaderBytes} bytes`);
      if (lineEnd === end) {
        this.#scanned = end;
        return false;
      }
      const blank = length === 0 || (length === 1 && buffer[this.#lineStart] === carriageReturn);
      const blockEnd = this.#lineStart;
      this.#scanned = this.#lineStart = lineEnd + 1;
      if (blank) {
        // The blank line of a 1.0 or 1.1 frame has no CR: there it is a header line like any other, and a bad one.
        this.#bodyStart = lineEnd + 1;
        this.#lines = 0;
        this.#parseHead(buffer.subarray(this.#start, blockEnd), length === 1);
        return true;
      }
      if (this.#lines++ > maxHeaders) throw tooLarge(`more than ${maxHeaders} headers`);
    }
  }

  #parseHead(block: Uint8Array, blankHasReturn: boolean): void {
    const text = textOf(block);
    const { version } = this;
    let lineEnd = text.indexOf('\n');
    let command = text.slice(0, lineEnd);
    const bare = command.endsWith('\r') ? command.slice(0, -1) : command;
    const handshake = isHandshake(bare);
    const returns = handshake || version === '1.2';
    if (returns) command = bare;
    else if (blankHasReturn) throw malformed(`an end of line with a CR in ${version}`);
    if (command.includes('\0')) throw malformed('a frame without a command');
    // Looked for once: hardly any frame has a CR or an escape.
    const returned = returns && text.includes('\r');
    const escaped = !handshake && version !== '1.0' && text.includes('\\');
    const trimmed = !handshake && version === '1.0';
    const headers = new Map<string, string>();
    for (let at = lineEnd + 1; at < text.length; at = lineEnd + 1) {
      lineEnd = text.indexOf('\n', at);
      const colon = text.indexOf(':', at);
      if (colon <= at || colon > lineEnd) throw malformed('a header line without a name and a colon');
      let name = text.slice(at, colon);
      const valueEnd = returned && text.charCodeAt(lineEnd - 1) === carriageReturn ? lineEnd - 1 : lineEnd;
      let value = text.slice(colon + 1, valueEnd);
      if (returned && !handshake && (name.includes('\r') || value.includes('\r'))) {
        throw malformed('a header with a CR that is not escaped');
      }
      if (escaped) {
        name = unescapeHeader(version, name);
        value = unescapeHeader(version, value);
      } else if (trimmed) value = trim(value);
      if (!headers.has(name)) headers.set(name, value);
    }
    if (handshake && speaks10(headers)) for (const [name, value] of headers) headers.set(name, trim(value));
    this.#head = { command, headers, length: this.#lengthOf(headers.get('content-length')) };
    // A NUL is looked for from here on.
    this.#scanned = this.#bodyStart;
  }

  #lengthOf(contentLength: string | undefined): number | undefined {
    if (contentLength === undefined) return undefined;
    if (!/^\d+$/.test(contentLength)) throw malformed('content-length must be a number of octets');
    const length = Number(contentLength);
    if (length > this.#limits.maxBody) throw tooLarge(`a body of more than ${this.#limits.maxBody} bytes`);
    return length;
  }

  #readBody(): Frame | undefined {
    const { command, headers, length } = this.#head as Head;
    const bodyStart = this.#bodyStart;
    const end = this.#end;
    let bodyEnd: number;
    if (length === undefined) {
      const found = this.#buffer.indexOf(nul, this.#scanned);
      bodyEnd = found === -1 || found > end ? end : found;
      if (bodyEnd - bodyStart > this.#limits.maxBody)
        throw tooLarge(`a body of more than ${this.#limits.maxBody} bytes`);
      this.#scanned = bodyEnd;
    } else {
      bodyEnd = bodyStart + length;
      if (bodyEnd < end && this.#buffer[bodyEnd] !== nul)
        throw malformed('content-length octets are not followed by a NUL');
    }
    if (bodyEnd >= end) return undefined;
    if (bodyEnd > bodyStart && !mayHaveBody(command) && this.version !== '1.0') {
      throw malformed(`${command} must not have a body`);
    }
    const body = bodyEnd === bodyStart ? nothing : this.#buffer.subarray(bodyStart, bodyEnd);
    this.#head = undefined;
    this.#start = this.#scanned = this.#lineStart = bodyEnd + 1;
    return { command, headers, body };
  }
}

const malformed = (detail: string): ProtocolError => new ProtocolError('malformed', detail);
const tooLarge = (detail: string): ProtocolError => new ProtocolError('tooLarge', detail);

function textOf(block: Uint8Array): string {
  try {
    return decodeUtf8(block);
  } catch {
    throw malformed('headers that are not UTF-8');
  }
}

const isHandshake = (command: string): boolean =>
  command === 'CONNECT' || command === 'CONNECTED' || command === 'STOMP';

/** Only these may have one ([STOMP-9]). */
const mayHaveBody = (command: string): boolean => command === 'MESSAGE' || command === 'SEND' || command === 'ERROR';

/** Does a frame of the handshake come from, or lead to, 1.0? Only there padding was ever common ([STOMP-15]). */
const speaks10 = (headers: Headers): boolean =>
  !/1\.[12]/.test(headers.get('accept-version') ?? headers.get('version') ?? '1.0');

/** Without the spaces and tabs around it. Other white space is data. */
function trim(value: string): string {
  let start = 0;
  let end = value.length;
  while (start < end && isPadding(value.charCodeAt(start))) start++;
  while (end > start && isPadding(value.charCodeAt(end - 1))) end--;
  return end - start === value.length ? value : value.slice(start, end);
}

const isPadding = (unit: number): boolean => unit === 0x20 || unit === 0x09;

const dialect = (version: Version, command: string): Version | 'raw' => (isHandshake(command) ? 'raw' : version);

/**
 * The command and headers, without the blank line: the part of a MESSAGE that differs from subscriber to subscriber.
 * Follow it with an {@link encodeTail}. Throws as {@link encodeFrame}.
 *
 * @example
 * encodeHead('1.2', 'MESSAGE', { subscription: '7' }); // 'MESSAGE\nsubscription:7\n'
 */
export const encodeHead = (version: Version, command: string, headers: HeaderInput = noHeaders): string =>
  `${command}\n${headerLines(dialect(version, command), headers)}`;

/**
 * The rest of a frame in bytes, encoded once for all its receivers: more headers, content-length, blank line, body, NUL.
 * `binary`: the body is not UTF-8, so the frame must not leave in a text message of a WebSocket.
 *
 * @example
 * const { tail, binary } = encodeTail('1.2', { destination: '/topic/a' }, body);
 * connection.send({ head: 'MESSAGE\nsubscription:7\n', tail, binary });
 */
export function encodeTail(
  version: Version,
  headers: HeaderInput,
  body: Uint8Array,
): { readonly tail: Uint8Array; readonly binary: boolean } {
  const lines = headerLines(version, headers);
  const head = takeUtf8(body.length > 0 ? `${lines}content-length:${body.length}\n\n` : `${lines}\n`);
  return { tail: joined(head, body), binary: !isUtf8(body) };
}

/**
 * One whole frame. `content-length` is added for a body and for nothing else ([STOMP-12]). A body that is text leaves in
 * a text message of a WebSocket, bytes leave in a binary one, whatever they are; see {@link isUtf8}.
 *
 * Throws a `TypeError` that names the header if the version cannot carry it ([STOMP-20]): it is never injected.
 *
 * @example
 * connection.send(encodeFrame('1.2', 'SEND', { destination: '/topic/a' }, 'hello'));
 */
export function encodeFrame(
  version: Version,
  command: string,
  headers: HeaderInput = noHeaders,
  body: string | Uint8Array = '',
): Wire {
  const head = encodeHead(version, command, headers);
  if (body.length === 0) return { head: `${head}\n\0`, binary: false };
  if (typeof body === 'string') {
    return { head: `${head}content-length:${utf8Length(body)}\n\n${body}\0`, binary: false };
  }
  return { head: `${head}content-length:${body.length}\n\n`, tail: joined(nothing, body), binary: true };
}

/** Head, body and NUL in one piece. */
function joined(head: Uint8Array, body: Uint8Array): Uint8Array {
  const bytes = takeBytes(head.length + body.length + 1);
  bytes.set(head);
  bytes.set(body, head.length);
  return bytes;
}

/** May these bytes leave in a text message of a WebSocket (RFC 6455 5.6)? */
export function isUtf8(bytes: Uint8Array): boolean {
  try {
    decodeUtf8(bytes);
    return true;
  } catch {
    return false;
  }
}
