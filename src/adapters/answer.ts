import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';

/** Clients that are refused because there is no room are asked to come back after so many seconds. */
const comeBackAfter = 5;

/**
 * Answer an upgrade with an HTTP status and a line of text, and close. 429 and 503 carry Retry-After (RFC 9110 10.2.3).
 *
 * @example
 * answer(socket, 404, 'No WebSocket endpoint here');
 */
export function answer(socket: Duplex, status: number, text: string, retryAfter = comeBackAfter): void {
  socket.once('error', ignore);
  socket.once('finish', () => socket.destroy());
  const body = `${text}\n`;
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Refused'}\r\nConnection: close\r\n` +
      `Content-Type: text/plain; charset=utf-8\r\n${
        status === 503 || status === 429 ? `Retry-After: ${retryAfter}\r\n` : ''
      }Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}

/** Errors of a socket that is on its way out: the close that follows them is enough. */
export const ignore = (): void => {};
