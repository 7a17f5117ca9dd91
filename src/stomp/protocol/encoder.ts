import { takeBytes, takeUtf8 } from '../../core/slab.ts';
import { byteLength, decodeUtf8, type Wire } from '../../core/wire.ts';
import { dialectOf, type HeaderInput, headerLines } from './headers.ts';
import { slab } from './slab.ts';
import type { Version } from './versions.ts';

/** An empty line: a heart-beat ([STOMP-36]). */
export const endOfLine: Wire = { head: '\n', binary: false };

/**
 * The command and headers, without the blank line: the part of a MESSAGE that differs from subscriber to subscriber.
 * Follow it with an {@link encodeFrameTail}. Throws as {@link encodeFrame}.
 *
 * @example
 * encodeHead('1.2', 'MESSAGE', { subscription: '7' }); // 'MESSAGE\nsubscription:7\n'
 */
export const encodeFrameHead = (version: Version, command: string, headers: HeaderInput = []): string =>
  `${command}\n${headerLines(dialectOf(version, command), headers)}`;

/**
 * The rest of a frame in bytes, encoded once for all its receivers: more headers, content-length, blank line, body, NUL.
 * `binary`: the body is not UTF-8, so the frame must not leave in a text message of a WebSocket.
 *
 * @example
 * const { tail, binary } = encodeTail('1.2', { destination: '/topic/a' }, body);
 * connection.send({ head: 'MESSAGE\nsubscription:7\n', tail, binary });
 */
export function encodeFrameTail(
  version: Version,
  headers: HeaderInput,
  body: Uint8Array,
): { readonly tail: Uint8Array; readonly binary: boolean } {
  const lines = headerLines(version, headers);
  const { length } = body;
  const head = takeUtf8(slab, length > 0 ? `${lines}content-length:${length}\n\n` : `${lines}\n`);
  // The NUL is there already.
  const tail = takeBytes(slab, head.length + length + 1);
  tail.set(head);
  tail.set(body, head.length);
  return { tail, binary: !isUtf8(body) };
}

/**
 * One whole frame. `content-length` is added for a body and for nothing else ([STOMP-12]). A body that is text leaves in
 * a text message of a WebSocket, bytes leave in a binary one, whatever they are; see {@link isUtf8}. Without
 * `contentLength` a text goes without it, unless there is a NUL in it.
 *
 * Throws a `TypeError` that names the header if the version cannot carry it ([STOMP-20]): it is never injected.
 *
 * @example
 * connection.send(encodeFrame('1.2', 'SEND', { destination: '/topic/a' }, 'hello'));
 */
export function encodeFrame(
  version: Version,
  command: string,
  headers: HeaderInput = [],
  body: string | Uint8Array = '',
  contentLength = true,
): Wire {
  const bytes = typeof body !== 'string';
  const measured = body.length > 0 && (bytes || contentLength || body.includes('\0'));
  const head = `${encodeFrameHead(version, command, headers)}${measured ? `content-length:${byteLength(body)}\n` : ''}\n`;
  if (!bytes) return { head: `${head}${body}\0`, binary: false };
  // The NUL is there already.
  const tail = new Uint8Array(body.length + 1);
  tail.set(body);
  return { head, tail, binary: body.length > 0 };
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
