import { ProtocolError } from '../../core/fault.ts';
import { takeBytes } from '../../core/slab.ts';
import { byteLength, bytesOf, decodeUtf8, decodeUtf8Lossy } from '../../core/wire.ts';
import { type Frame, type Headers, malformed } from './frame.ts';
import { dialectOf, hasEscapes, unescapeHeader } from './headers.ts';
import { slab } from './slab.ts';
import type { Version } from './versions.ts';

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
const lineFeed = 10;
/** A frame that comes in pieces and has said how long its body is gets a buffer of up to so many bytes at once. */
const bodyBuffer = 16_384;
const nothing = new Uint8Array(0);

/** A frame from its head on. Hardly anybody wants the octets of a text: they are made for whoever does. */
class ReadFrame implements Frame {
  readonly command: string;
  readonly headers: Headers;
  readonly headLength: number;
  /** Of the body, in bytes. Without it the body ends where its NUL is. */
  readonly length: number | undefined;
  content: string | Uint8Array = '';

  constructor(command: string, headers: Headers, headLength: number, length?: number) {
    this.command = command;
    this.headers = headers;
    this.headLength = headLength;
    this.length = length;
  }

  get text(): string {
    return typeof this.content === 'string' ? this.content : decodeUtf8Lossy(this.content);
  }

  get body(): Uint8Array {
    const body = bytesOf(this.content);
    this.content = body;
    return body;
  }
}

/**
 * Octets in, frames out: push what arrives, pull frames until there is none. However the stream is cut, the frames are
 * the same, and the work is linear in its length. A frame that lies whole in one pushed chunk is not copied: its body
 * is a view of the chunk, which therefore must not change.
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
  #frame: ReadFrame | undefined;

  constructor(limits: DecoderLimits) {
    this.#limits = limits;
  }

  /** A frame has begun and has not ended. Tells the truth once `next` returned undefined. */
  get partial(): boolean {
    return this.#frame !== undefined || this.#end > this.#start;
  }

  /** Take a message of a WebSocket, or any piece of a byte stream. Where it is cut has no meaning ([STOMP-14]). */
  push(data: string | Uint8Array): void {
    const kept = this.#end - this.#start;
    if (kept === 0) {
      this.#move(byteLength(data) > data.length ? bytesOf(data) : data);
      this.#end = this.#data.length;
      return;
    }
    const bytes = bytesOf(data);
    const more = bytes.length;
    if (typeof this.#data === 'string' || this.#end + more > this.#data.length) {
      // Four times as much, or as much as the frame is known to need: a length that is only claimed buys little memory.
      const known = this.#frame?.length;
      const wanted = known ? Math.min(Math.max(4 * kept, bodyBuffer), known + 1) : 4 * kept;
      const buffer = takeBytes(slab, Math.max(kept + more, wanted));
      buffer.set(bytesOf(this.#cut(this.#start, this.#end)));
      this.#move(buffer);
      this.#end = kept;
    }
    (this.#data as Uint8Array).set(bytes, this.#end);
    this.#end += more;
  }

  /**
   * The next frame, or undefined until more was pushed. Throws a {@link ProtocolError} `malformed` or `tooLarge`; the
   * stream cannot be read on after that.
   */
  next(): Frame | undefined {
    if (this.#end > this.#scanned) {
      this.#frame ??= this.#readHead();
      if (this.#frame) return this.#readBody(this.#frame);
    }
    // An idle connection keeps no buffer, also where the last that came was a heart-beat ([STOMP-97]).
    if (this.#start === this.#end) this.#data = nothing;
    return undefined;
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

  /** Where this octet is next, from `#scanned` on; the end if there is none. */
  #find(octet: string): number {
    const data = this.#data;
    const end = this.#end;
    let at = this.#scanned;
    if (typeof data === 'string') at = data.indexOf(octet, at);
    else if (octet === nul) at = data.indexOf(0, at);
    // Lines are short: a loop is faster than a call of indexOf.
    else while (at < end && data[at] !== lineFeed) at++;
    return at === -1 || at > end ? end : at;
  }

  #readHead(): ReadFrame | undefined {
    const { maxHeaders, maxHeaderLine, maxHeaderBytes } = this.#limits;
    for (;;) {
      const lineEnd = this.#find('\n');
      const last = this.#data[lineEnd - 1];
      // A CR before the LF is none of the line.
      const length = lineEnd - this.#lineStart - (last === '\r' || last === 13 ? 1 : 0);
      mustFit(length, maxHeaderLine, 'a header line');
      mustFit(lineEnd - this.#start - 2, maxHeaderBytes, 'headers');
      this.#scanned = lineEnd;
      if (lineEnd === this.#end) return undefined;
      this.#scanned = this.#lineStart = lineEnd + 1;
      if (length > 0) {
        if (this.#lines++ > maxHeaders) throw new ProtocolError('tooLarge', `more than ${maxHeaders} headers`);
      } else if (this.#lines > 0) return this.#parseHead();
      // [STOMP-4] An end of line between frames.
      else this.#start = this.#lineStart;
    }
  }

  /** From the command to the blank line, which in 1.0 and 1.1 has no CR: there that is a header line, and a bad one. */
  #parseHead(): ReadFrame {
    const { version } = this;
    let text = textOf(this.#cut(this.#start, this.#lineStart));
    if (text.includes('\r')) {
      const bare = text.replaceAll('\r\n', '\n');
      if (version === '1.2' || dialectOf(version, commandOf(bare)) === 'raw') text = bare;
    }
    const command = commandOf(text);
    const dialect = dialectOf(version, command);
    // [STOMP-79] Peers that end a frame at the first NUL would take what follows it for another.
    if (text.includes(nul)) throw malformed('a NUL in the head of a frame');
    if (dialect === '1.2' && text.includes('\r', command.length)) {
      throw malformed('a header with a CR that is not escaped');
    }
    const escaped = hasEscapes(dialect) && text.includes('\\');
    const headers = new Map<string, string>();
    for (let at = command.length + 1, lineEnd: number; at < text.length - 1; at = lineEnd + 1) {
      const colon = text.indexOf(':', at);
      lineEnd = text.indexOf('\n', at);
      if (colon <= at || colon > lineEnd) throw malformed('a header line without a name and a colon');
      let name = text.slice(at, colon);
      let value = text.slice(colon + 1, lineEnd);
      if (escaped) {
        name = unescapeHeader(version, name);
        value = unescapeHeader(version, value);
      }
      if (!headers.has(name)) headers.set(name, value);
    }
    if (dialect === '1.0' || (dialect === 'raw' && speaks10(headers))) {
      for (const [name, value] of headers) headers.set(name, trim(value));
    }
    // The head is done with: the body begins here.
    this.#start = this.#lineStart;
    this.#lines = 0;
    const digits = headers.get('content-length');
    if (digits === undefined) return new ReadFrame(command, headers, text.length);
    if (!/^\d+$/.test(digits)) throw malformed('content-length must be a number of octets');
    const length = Number(digits);
    this.#scanned += length;
    return new ReadFrame(command, headers, text.length, length);
  }

  #readBody(frame: ReadFrame): Frame | undefined {
    const { command, length } = frame;
    const start = this.#start;
    const end = this.#find(nul);
    mustFit(length ?? end - start, this.#limits.maxBody, 'a body');
    if (length === undefined) this.#scanned = end;
    if (this.#scanned >= this.#end) return undefined;
    if (end > this.#scanned) throw malformed('content-length octets are not followed by a NUL');
    if (end > start && !mayHaveBody(command) && this.version !== '1.0') {
      throw malformed(`${command} must not have a body`);
    }
    // A frame without a body refers to no chunk.
    if (end > start) frame.content = this.#cut(start, end);
    this.#frame = undefined;
    this.#start = this.#scanned = this.#lineStart = end + 1;
    return frame;
  }
}

function mustFit(length: number, limit: number, what: string): void {
  if (length > limit) throw new ProtocolError('tooLarge', `${what} of more than ${limit} bytes`);
}

function textOf(block: string | Uint8Array): string {
  try {
    return typeof block === 'string' ? block : decodeUtf8(block);
  } catch {
    throw malformed('headers that are not UTF-8');
  }
}

const commandOf = (text: string): string => text.slice(0, text.indexOf('\n'));

/** Only these may have one ([STOMP-9]). */
const mayHaveBody = (command: string): boolean => command === 'MESSAGE' || command === 'SEND' || command === 'ERROR';

/** Does a frame of the handshake come from, or lead to, 1.0? Only there padding was ever common ([STOMP-15]). */
const speaks10 = (headers: Headers): boolean =>
  !/1\.[12]/.test(headers.get('accept-version') ?? headers.get('version') ?? '');

/** Without the spaces and tabs around it; other white space is data. One pass: it does not go back for each space. */
const trim = (value: string): string => /^[ \t]*(.*[^ \t])?/s.exec(value)?.[1] ?? '';
