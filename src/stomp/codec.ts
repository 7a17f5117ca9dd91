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
  /** The body, if it came as text that is ASCII. */
  readonly text?: string | undefined;
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

const nul = '\0';
const lineFeed = '\n';
const carriageReturn = 13;
/** A frame that comes in pieces starts with a buffer of so many bytes. */
const firstBuffer = 1_024;
/** The same, once its head is known. */
const bodyBuffer = 16_384;
const nothing = new Uint8Array(0);
const noHeaders: HeaderInput = [];

/** An empty line: a heart-beat ([STOMP-36]). */
export const endOfLine: Wire = { head: '\n', binary: false };

interface Head {
  readonly command: string;
  readonly headers: Headers;
  /** Of the body; without content-length it ends where its NUL is. */
  readonly length: number | undefined;
}

/** A frame that came as ASCII text. Hardly anybody wants the octets of a text. */
class TextFrame implements Frame {
  readonly command: string;
  readonly headers: Headers;
  readonly text: string;
  #body: Uint8Array | undefined;

  constructor({ command, headers }: Head, text: string) {
    this.command = command;
    this.headers = headers;
    this.text = text;
  }

  get body(): Uint8Array {
    this.#body ??= takeUtf8(this.text);
    return this.#body;
  }
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
  // What was pushed and not pulled lies from `#start` to `#end`. A text is kept as it is while it is ASCII: its units
  // are its octets. Octets behind `#end` are room for more, in a buffer of our own.
  #data: string | Uint8Array = nothing;
  #start = 0;
  #end = 0;
  // Nothing can be had before there is an octet here: those before it were looked at, or are known to be body.
  #scanned = 0;
  #lineStart = 0;
  #lines = 0;
  // The frame whose body is awaited.
  #head: Head | undefined;

  constructor(limits: DecoderLimits) {
    this.#limits = limits;
  }

  /** A frame has begun and has not ended. Tells the truth once `next` returned undefined. */
  get partial(): boolean {
    return this.#head !== undefined || this.#end > this.#start;
  }

  /** Take a message of a WebSocket, or any piece of a byte stream. Where it is cut has no meaning ([STOMP-14]). */
  push(data: string | Uint8Array): void {
    if (this.#start === this.#end) {
      this.#move(typeof data === 'string' && utf8Length(data) !== data.length ? takeUtf8(data) : data);
      this.#end = this.#data.length;
      return;
    }
    const bytes = typeof data === 'string' ? takeUtf8(data) : data;
    const buffer =
      typeof this.#data === 'string' || this.#end + bytes.length > this.#data.length
        ? this.#grow(bytes.length)
        : this.#data;
    buffer.set(bytes, this.#end);
    this.#end += bytes.length;
  }

  /**
   * The next frame, or undefined until more was pushed. Throws a {@link ProtocolError} `malformed` or `tooLarge`; the
   * stream cannot be read on after that.
   */
  next(): Frame | undefined {
    if (this.#end <= this.#scanned) {
      // An idle connection keeps no buffer.
      if (this.#start === this.#end) this.#data = nothing;
      return undefined;
    }
    this.#head ??= this.#readHead();
    return this.#head && this.#readBody(this.#head);
  }

  /** Move what is left into a buffer of our own: four times as large, or as large as the frame is known to be. */
  #grow(more: number): Uint8Array {
    const kept = this.#end - this.#start;
    // A length that is only claimed buys little memory; it grows with what really came.
    const wanted = Math.max(4 * kept, this.#head ? bodyBuffer : firstBuffer);
    const known = this.#head?.length ?? wanted;
    const buffer = takeBytes(Math.max(kept + more, Math.min(wanted, known + 1)));
    const rest = this.#cut(this.#start, this.#end);
    buffer.set(typeof rest === 'string' ? takeUtf8(rest) : rest);
    this.#move(buffer);
    this.#end = kept;
    return buffer;
  }

  /** What was left is at the beginning of this. */
  #move(data: string | Uint8Array): void {
    this.#data = data;
    this.#scanned -= this.#start;
    this.#lineStart -= this.#start;
    this.#start = 0;
  }

  #cut(start: number, end: number): string | Uint8Array {
    return typeof this.#data === 'string' ? this.#data.slice(start, end) : this.#data.subarray(start, end);
  }

  /** Where this octet is next; the end if there is none. */
  #find(octet: string, from: number): number {
    const data = this.#data;
    const end = this.#end;
    if (typeof data === 'string') {
      const found = data.indexOf(octet, from);
      return found === -1 ? end : found;
    }
    const code = octet === nul ? 0 : 10;
    let at = from;
    while (at < end && data[at] !== code) at++;
    return at;
  }

  /** Code of the octet here. */
  #at(index: number): number | undefined {
    return typeof this.#data === 'string' ? this.#data.charCodeAt(index) : this.#data[index];
  }

  #readHead(): Head | undefined {
    const { maxHeaders, maxHeaderLine, maxHeaderBytes } = this.#limits;
    for (;;) {
      const lineStart = this.#lineStart;
      const lineEnd = this.#find(lineFeed, this.#scanned);
      const length = lineEnd - lineStart;
      if (length > maxHeaderLine + 1) throw tooLarge('a header line', maxHeaderLine);
      if (lineEnd - this.#start > maxHeaderBytes + 2) throw tooLarge('headers', maxHeaderBytes);
      this.#scanned = lineEnd;
      if (lineEnd === this.#end) return undefined;
      this.#scanned = this.#lineStart = lineEnd + 1;
      if (length === 0 || (length === 1 && this.#at(lineStart) === carriageReturn)) {
        if (this.#lines > 0) return this.#parseHead(lineStart, length === 1);
        // [STOMP-4] An end of line between frames.
        this.#start = this.#lineStart;
      } else if (this.#lines++ > maxHeaders) throw new ProtocolError('tooLarge', `more than ${maxHeaders} headers`);
    }
  }

  #parseHead(blank: number, blankHasReturn: boolean): Head {
    const text = textOf(this.#cut(this.#start, blank));
    const { version } = this;
    let lineEnd = text.indexOf('\n');
    let command = text.slice(0, lineEnd);
    const bare = command.endsWith('\r') ? command.slice(0, -1) : command;
    const handshake = isHandshake(bare);
    const returns = handshake || version === '1.2';
    if (returns) command = bare;
    // The blank line of a 1.0 or 1.1 frame has no CR: there it is a header line like any other, and a bad one.
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
    // The head is done with: the body begins here.
    this.#start = this.#lineStart;
    this.#lines = 0;
    const length = this.#lengthOf(headers.get('content-length'));
    this.#scanned += length ?? 0;
    return { command, headers, length };
  }

  #lengthOf(contentLength: string | undefined): number | undefined {
    if (contentLength === undefined) return undefined;
    if (!/^\d+$/.test(contentLength)) throw malformed('content-length must be a number of octets');
    const length = Number(contentLength);
    if (length > this.#limits.maxBody) throw tooLarge('a body', this.#limits.maxBody);
    return length;
  }

  #readBody(head: Head): Frame | undefined {
    const { command, headers, length } = head;
    const start = this.#start;
    const end = length === undefined ? this.#find(nul, this.#scanned) : this.#scanned;
    if (end - start > this.#limits.maxBody) throw tooLarge('a body', this.#limits.maxBody);
    this.#scanned = end;
    if (end >= this.#end) return undefined;
    if (length !== undefined && this.#at(end) !== 0) throw malformed('content-length octets are not followed by a NUL');
    if (end > start && !mayHaveBody(command) && this.version !== '1.0') {
      throw malformed(`${command} must not have a body`);
    }
    const body = this.#cut(start, end);
    this.#head = undefined;
    this.#start = this.#scanned = this.#lineStart = end + 1;
    return typeof body === 'string' ? new TextFrame(head, body) : { command, headers, body };
  }
}

const malformed = (detail: string): ProtocolError => new ProtocolError('malformed', detail);
const tooLarge = (what: string, most: number): ProtocolError =>
  new ProtocolError('tooLarge', `${what} of more than ${most} bytes`);

function textOf(block: string | Uint8Array): string {
  try {
    return typeof block === 'string' ? block : decodeUtf8(block);
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
