/**
 * One outgoing message: its own short head and, where many receivers share the rest, one shared tail.
 *
 * `head` is text or UTF-8 bytes, `tail` is bytes that are encoded once per message and protocol and must not be
 * changed by anyone. `binary` chooses the WebSocket opcode (RFC 6455 5.6); byte streams such as TCP ignore it.
 *
 * @example
 * const wire: Wire = { head: '{"id":"7","type":"next","payload":', tail: encodeUtf8('{"data":{}}}'), binary: false };
 */
export interface Wire {
  /** What this receiver alone gets: text, or UTF-8. */
  readonly head: string | Uint8Array;
  /** What many receivers share; absent where there is nothing. Nobody may change it. */
  readonly tail?: Uint8Array | undefined;
  /** Is it a binary message (RFC 6455 5.6)? */
  readonly binary: boolean;
}

const encoder = /* @__PURE__ */ new TextEncoder();
const scratch = /* @__PURE__ */ new Uint8Array(4_096);
const strict = /* @__PURE__ */ new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const lenient = /* @__PURE__ */ new TextDecoder('utf-8', { ignoreBOM: true });

/**
 * UTF-8 bytes of a string; lone surrogates become U+FFFD.
 *
 * @internal Its type needs TypeScript 5.7, and the declarations are to work with 5.6.
 */
export const encodeUtf8 = (text: string): Uint8Array<ArrayBuffer> => encoder.encode(text);

/** Text of UTF-8 bytes, a BOM kept. Throws a `TypeError` on bytes that are not UTF-8. */
export const decodeUtf8 = (bytes: Uint8Array): string => strict.decode(bytes);

/** Text of UTF-8 bytes, a BOM kept; what is not UTF-8 becomes U+FFFD. Never throws. */
export const decodeUtf8Lossy = (bytes: Uint8Array): string => lenient.decode(bytes);

/**
 * Copies a string so that it no longer shares memory with the string it was sliced from, or with those it was put
 * together from. Use it for what is cut out of a message and kept.
 */
export const detached = (text: string): string => decodeUtf8Lossy(encodeUtf8(text));

/** Length of a string in UTF-8, in bytes. */
export function utf8Length(text: string): number {
  // Node counts without encoding.
  if (globalThis.Buffer) return globalThis.Buffer.byteLength(text);
  let bytes = 0;
  // Encoding into a buffer that is there already is several times faster than looking at each unit.
  for (let rest = text; rest !== ''; ) {
    const { read, written } = encoder.encodeInto(rest, scratch);
    bytes += written;
    rest = rest.slice(read);
  }
  return bytes;
}

const typedArray: object = /* @__PURE__ */ Object.getPrototypeOf(Uint8Array.prototype);
const ownGetter = (name: PropertyKey) => Object.getOwnPropertyDescriptor(typedArray, name)?.get;
const realLength = /* @__PURE__ */ ownGetter('length');
const realTag = /* @__PURE__ */ ownGetter(Symbol.toStringTag);

/**
 * Is it a `Uint8Array`, of whatever realm, that can be copied as it says? One whose `length` lies, or whose memory was
 * transferred away or can shrink, would break what is written for others long after the call ([BUS-7] [STOMP-81]). Never throws.
 */
export function isBytes(value: unknown): value is Uint8Array {
  if (!ArrayBuffer.isView(value) || realTag?.call(value) !== 'Uint8Array') return false;
  try {
    const { length, byteLength, buffer } = value as Uint8Array;
    const real: unknown = realLength?.call(value);
    if (length !== real || byteLength !== real) return false;
    // Memory that can shrink is no message: it could be shorter than it was when it was counted.
    if ((buffer as { readonly resizable?: boolean }).resizable) return false;
    // Only what is empty can have lost its memory: a view on that throws.
    return length > 0 || new Uint8Array(buffer).length >= 0;
  } catch {
    return false;
  }
}

/** Text or bytes, as bytes. */
export const bytesOf = (data: string | Uint8Array): Uint8Array => (typeof data === 'string' ? encodeUtf8(data) : data);

/** How many bytes text or bytes are. */
export const byteLength = (data: string | Uint8Array): number =>
  typeof data === 'string' ? utf8Length(data) : data.length;

/** Length of a wire, in bytes, without any transport framing. */
export const wireLength = ({ head, tail }: Wire): number => byteLength(head) + (tail?.length ?? 0);
