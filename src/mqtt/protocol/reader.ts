import { decodeUtf8 } from '../../core/wire.ts';
import { malformed } from './mqtt-error.ts';

/**
 * Reads the fields of one packet, from `at` to `end`. Throws a `ProtocolError` where the packet ends before a field does,
 * and where a field is none ([MQTT-3] [MQTT-4]).
 *
 * @example
 * new Reader(Uint8Array.of(0, 1, 97), 0, 3).text(); // 'a'
 */
export class Reader {
  /** Where the next field begins. */
  at: number;
  readonly #bytes: Uint8Array;
  readonly #end: number;

  constructor(bytes: Uint8Array, at: number, end: number) {
    this.#bytes = bytes;
    this.at = at;
    this.#end = end;
  }

  /** How many bytes are left. */
  get left(): number {
    return this.#end - this.at;
  }

  /** One byte. */
  byte(): number {
    if (this.at >= this.#end) throw malformed('a packet that ends within a field');
    return this.#bytes[this.at++] as number;
  }

  /** A number of two bytes. */
  uint16(): number {
    return this.byte() * 256 + this.byte();
  }

  /** A number of four bytes. */
  uint32(): number {
    return this.uint16() * 65_536 + this.uint16();
  }

  /** A number of one to four bytes, in as few as it takes (section 1.5.5). */
  varint(): number {
    let value = 0;
    for (let factor = 1; factor <= 2_097_152; factor *= 128) {
      const byte = this.byte();
      value += (byte & 127) * factor;
      if (byte < 128) {
        if (byte === 0 && factor > 1) throw malformed('a number in more bytes than it takes');
        return value;
      }
    }
    throw malformed('a number of more than four bytes');
  }

  /** A view of so many bytes. */
  take(length: number): Uint8Array {
    if (length > this.left) throw malformed('a packet that ends within a field');
    this.at += length;
    return this.#bytes.subarray(this.at - length, this.at);
  }

  /** Bytes behind their length, in memory of their own. */
  binary(): Uint8Array {
    return this.take(this.uint16()).slice();
  }

  /** Text behind its length: UTF-8 without U+0000 (section 1.5.4). */
  text(): string {
    const bytes = this.take(this.uint16());
    let text: string;
    try {
      text = decodeUtf8(bytes);
    } catch {
      throw malformed('text that is not UTF-8');
    }
    if (text.includes('\0')) throw malformed('text with U+0000');
    return text;
  }

  /** What is left, as a reader of so many bytes; the fields go on behind them. */
  inner(length: number): Reader {
    const start = this.at;
    this.take(length);
    return new Reader(this.#bytes, start, start + length);
  }
}
