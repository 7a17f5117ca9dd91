import { ProtocolError } from '../../core/fault.ts';

/** Header names and values, unescaped. Of a repeated header the first entry is here ([STOMP-22]). */
export type Headers = ReadonlyMap<string, string>;

/** One STOMP frame. `body` is a view of the received octets: whoever changes it changes it for all. */
export interface Frame {
  /** SEND, MESSAGE and so on, as it came: commands are case sensitive ([STOMP-5]). */
  readonly command: string;
  /** Unescaped; of a repeated header the first entry ([STOMP-22]). */
  readonly headers: Headers;
  /** The octets of the body: a view of what came. */
  readonly body: Uint8Array;
  /** The body as text, a BOM kept; octets that are not UTF-8 become U+FFFD. What came as bytes is decoded at each call. */
  readonly text: string;
  /** Of its command and all header lines, repeated ones too, in characters: what each header that is kept keeps in memory. */
  readonly headLength?: number | undefined;
}

/** The fault of a frame that breaks the grammar, with what is wrong about it. */
export const malformed = (detail: string): ProtocolError => new ProtocolError('malformed', detail);
