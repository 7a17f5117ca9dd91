import type { MessageOptions } from '../bus/backbone.ts';
import type { MessageHeaders } from '../bus/message.ts';

/** What travels over a broker with a body: version, content type, headers and id. */
export interface Envelope {
  /** MIME type of the body, if it has one. */
  readonly contentType: string | undefined;
  /** Names and values as the publisher gave them. */
  readonly headers: MessageHeaders;
  /** The id of the publish, where the backbone does not keep ids itself. */
  readonly id: string | undefined;
  /** A view into the bytes that were opened. */
  readonly body: Uint8Array;
}

/**
 * An envelope begins with this byte, so that what a foreign writer puts on our channels (text, JSON, MessagePack maps)
 * is told apart at once; then comes the version.
 */
const mark = 0xb5;
const version = 1;
const hasType = 1;
const hasId = 2;
const fixed = 5;
const noHeaders: MessageHeaders = new Map();
const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Version 1: `b5 01 flags(1) headers(2)`, then content type and id where the flags say so and name and value of each
 * header, each as its length in bytes (4) and UTF-8; then the body. Numbers are big-endian.
 *
 * @example
 * const bytes = sealEnvelope(encodeUtf8('{}'), { contentType: 'application/json' });
 */
export function sealEnvelope(
  body: Uint8Array,
  { contentType, headers = noHeaders, id }: Pick<MessageOptions, 'contentType' | 'headers' | 'id'>,
): Buffer {
  const texts: string[] = [];
  if (contentType !== undefined) texts.push(contentType);
  if (id !== undefined) texts.push(id);
  for (const [name, value] of headers) texts.push(name, value);
  let length = fixed + body.length;
  for (const text of texts) length += 4 + Buffer.byteLength(text);
  const bytes = Buffer.allocUnsafe(length);
  bytes[0] = mark;
  bytes[1] = version;
  bytes[2] = (contentType === undefined ? 0 : hasType) | (id === undefined ? 0 : hasId);
  bytes.writeUInt16BE(headers.size, 3);
  let at = fixed;
  for (const text of texts) {
    const written = bytes.write(text, at + 4);
    bytes.writeUInt32BE(written, at);
    at += 4 + written;
  }
  bytes.set(body, at);
  return bytes;
}

/**
 * Throws an `Error` that says what is wrong: the bytes are none of ours, of another version, or cut.
 *
 * @example
 * const { contentType, body } = openEnvelope(bytes);
 */
export function openEnvelope(bytes: Uint8Array): Envelope {
  if (bytes[0] !== mark) throw new Error('it was not written by subwire');
  if (bytes[1] !== version) {
    throw new Error(`its version is ${bytes[1] ?? 'missing'}, and this server reads version ${version}: update it`);
  }
  if (bytes.length < fixed) throw new Error('it is cut');
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const flags = bytes[2] as number;
  let left = view.readUInt16BE(3);
  let at = fixed;
  function text(): string {
    if (at + 4 > view.length) throw new Error('it is cut');
    const end = at + 4 + view.readUInt32BE(at);
    if (end > view.length) throw new Error('it is cut');
    const found = strict.decode(view.subarray(at + 4, end));
    at = end;
    return found;
  }
  const contentType = flags & hasType ? text() : undefined;
  const id = flags & hasId ? text() : undefined;
  if (left === 0) return { contentType, headers: noHeaders, id, body: view.subarray(at) };
  const headers = new Map<string, string>();
  for (; left > 0; left--) {
    const name = text();
    headers.set(name, text());
  }
  return { contentType, headers, id, body: view.subarray(at) };
}
