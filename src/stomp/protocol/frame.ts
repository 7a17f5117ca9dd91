import { ProtocolError } from '../../core/fault.ts';

/** Header names and values, unescaped. Of a repeated header the first entry is here ([STOMP-22]). */
export type Headers = ReadonlyMap<string, string>;

/** One STOMP frame. `body` is a view of the received octets: whoever changes it changes it for all. */
export interface Frame {
  readonly command: string;
  readonly headers: Headers;
  readonly body: Uint8Array;
  /** The body as text, a BOM kept; octets that are not UTF-8 become U+FFFD. What came as bytes is decoded at each call. */
  readonly text: string;
  /** Of its command and all header lines, repeated ones too, in characters: what each header that is kept keeps in memory. */
  readonly headLength?: number | undefined;
}

export const malformed = (detail: string): ProtocolError => new ProtocolError('malformed', detail);
