import type { IncomingMessage } from 'node:http';
import type { Socket as RawSocket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { AcceptingEndpoint } from '../core/endpoint.ts';
import { noProtocol } from '../core/negotiate.ts';
import type { Socket } from '../core/socket.ts';
import type { Handshake } from '../core/subprotocol.ts';
import { type Complaints, quoted } from './complaints.ts';
import { loadWs } from './load-ws.ts';
import type { DeflateOptions } from './server-types.ts';
import { serverWebSocketOver } from './server-websocket.ts';

/** Completes a handshake and hands the socket to the endpoint. */
export type Acceptor = (request: IncomingMessage, raw: Duplex, handshake: Handshake) => void;

/**
 * What completes the handshakes of an endpoint, by `ws`. A client that offers nothing that is spoken here is answered
 * with its own first token, because browsers fail a connection whose offer is not answered, and is closed in the same
 * turn with 4406 and the tokens that are spoken ([CONN-3]).
 *
 * Throws a `TypeError` when `ws` is not installed.
 *
 * @example
 * const accept = createAcceptor(endpoint, false, complaints);
 */
export function createAcceptor(
  endpoint: AcceptingEndpoint,
  deflate: boolean | DeflateOptions,
  complaints: Complaints,
): Acceptor {
  const { WebSocket, WebSocketServer } = loadWs('attach()');
  // Of the handshake that is being completed.
  let chosen: string | false = false;
  const server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    autoPong: true,
    maxPayload: Number.isFinite(endpoint.limits.maxPayload) ? endpoint.limits.maxPayload : 0,
    // Many tiny fragments cost more memory than they hold bytes.
    maxFragments: 1_024,
    perMessageDeflate:
      deflate === true ? { threshold: 1_024, serverNoContextTakeover: true, clientNoContextTakeover: true } : deflate,
    WebSocket: serverWebSocketOver(WebSocket),
    handleProtocols: () => chosen,
  });
  return (request, raw, handshake) => {
    const offered = offeredBy(request);
    const choice = endpoint.choose(offered);
    chosen = choice.kind === 'speak' ? choice.name : (offered[0] ?? false);
    server.handleUpgrade(request, raw, nothing, (socket) => {
      if (choice.kind === 'speak') {
        socket.open(raw as RawSocket, (adapted) => endpoint.accept(adapted, handshake, choice.subprotocol));
        return;
      }
      complaints.tell('subprotocol', () => `A client offered ${quoted(offered.join(', '))}: ${choice.reason}`);
      const refused = socket.open(raw as RawSocket, (adapted) =>
        endpoint.accept(unnamed(adapted), handshake, noProtocol),
      );
      refused.close('unacceptable', choice.reason);
    });
  };
}

/** What came behind the request was put back into its socket. */
const nothing = Buffer.alloc(0);

/** A socket whose token was only echoed so that browsers take the answer: it is no name to count connections by. */
const unnamed = (socket: Socket): Socket => ({
  protocol: '',
  get bufferedAmount() {
    return socket.bufferedAmount;
  },
  write: (wires) => socket.write(wires),
  close: (code, reason) => socket.close(code, reason),
  terminate: () => socket.terminate(),
});

/** The tokens of the request, as `ws` is going to parse them; a malformed header is refused by `ws` itself. */
function offeredBy({ headers }: IncomingMessage): string[] {
  const offered: string[] = [];
  for (const part of (headers['sec-websocket-protocol'] ?? '').split(',')) {
    const token = part.trim();
    if (token !== '') offered.push(token);
  }
  return offered;
}
