import type { IncomingMessage } from 'node:http';
import type { IncomingHttpHeaders, OutgoingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import type { Duplex } from 'node:stream';

/** An upgrade of HTTP/1.1, as the gate and `ws` take it. */
export interface Upgrade {
  /** What was asked for. */
  readonly request: IncomingMessage;
  /** What is answered on, in the words of HTTP/1.1. */
  readonly socket: Duplex;
}

/** Does this stream of HTTP/2 ask for a WebSocket (RFC 8441 4)? */
export const asksForWebSocket = (headers: IncomingHttpHeaders): boolean =>
  headers[':method'] === 'CONNECT' && headers[':protocol'] === 'websocket';

/** Headers of an answer in HTTP/1.1 that HTTP/2 does not have (RFC 9113 8.2.2, RFC 8441 5). */
const connectionHeaders = new Set(['connection', 'upgrade', 'sec-websocket-accept', 'content-length']);

/** There is no key in HTTP/2, since nothing has to be proved; `ws` asks for one. */
const anyKey = 'AAAAAAAAAAAAAAAAAAAAAA==';

/**
 * A WebSocket over HTTP/2 differs from one over HTTP/1.1 in how hands are shaken, and in nothing else: an extended CONNECT
 * comes in place of GET with Upgrade, and 200 goes in place of 101 (RFC 8441 5). So the stream is handed on as the upgrade
 * that it stands for, and the one answer to that leaves as the headers of the stream ([CONN-90]).
 *
 * @example
 * const { request, socket } = upgradeOver(stream, headers);
 * webSocketServer.handleUpgrade(request, socket, none, accept);
 */
export function upgradeOver(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): Upgrade {
  const kept: Record<string, string | readonly string[] | undefined> = {
    host: headers[':authority'],
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-key': anyKey,
  };
  for (const name in headers) if (!name.startsWith(':')) kept[name] = headers[name];
  const request = {
    httpVersion: '2.0',
    httpVersionMajor: 2,
    httpVersionMinor: 0,
    method: 'GET',
    url: headers[':path'] ?? '',
    headers: kept,
    socket: stream.session?.socket ?? {},
    stream,
  };
  answerByHeaders(stream);
  countBytes(stream);
  return { request: request as unknown as IncomingMessage, socket: stream };
}

/** The first thing that is written is an answer of HTTP/1.1; a refusal is the last as well. */
function answerByHeaders(stream: ServerHttp2Stream): void {
  const own = stream as { write?: unknown; end?: unknown };
  function respond(answer: string): string {
    const endOfHeaders = answer.indexOf('\r\n\r\n');
    const [statusLine = '', ...lines] = answer.slice(0, endOfHeaders).split('\r\n');
    const status = Number(statusLine.split(' ')[1]);
    const headers: OutgoingHttpHeaders = { ':status': status === 101 ? 200 : status };
    for (const line of lines) {
      const colon = line.indexOf(':');
      const name = line.slice(0, colon).toLowerCase();
      if (!connectionHeaders.has(name)) headers[name] = line.slice(colon + 1).trim();
    }
    stream.respond(headers);
    return answer.slice(endOfHeaders + 4);
  }
  own.write = (answer: string): boolean => {
    delete own.write;
    delete own.end;
    respond(answer);
    return true;
  };
  own.end = (answer?: string): ServerHttp2Stream => {
    delete own.write;
    delete own.end;
    // Node ends it as well, when the peer has reset it: then nobody is there to be answered.
    return answer === undefined || stream.closed ? stream.end() : stream.end(respond(answer));
  };
}

/** A socket counts what it reads, a stream does not: without that nobody sees that a large message goes on coming. */
function countBytes(stream: ServerHttp2Stream): void {
  let bytesRead = 0;
  const count = (chunk: Buffer): void => {
    bytesRead += chunk.length;
  };
  // Not before: a listener of data would let come what nobody reads yet.
  stream.once('resume', () => stream.on('data', count));
  Object.defineProperty(stream, 'bytesRead', { get: () => bytesRead });
}
