/** `ws` alone, as the floor: `ws.send(string)` per subscriber, or an echo. Everything that speaks nothing. */
import { type WebSocket, WebSocketServer } from 'ws';
import { startedWith } from '../ipc.ts';
import { bursts, type FanOutOptions, nextMessage } from './events.ts';
import { serve } from './harness.ts';

interface Options extends FanOutOptions {
  /** Answer every message with itself. */
  readonly echo?: boolean;
  /** Send this to everybody, instead of a `next` message. */
  readonly text?: string;
}

const options = startedWith<Options>();
const subscribers = new Set<WebSocket>();

function publish(): void {
  const text = options.text ?? nextMessage(options.kind);
  for (const socket of subscribers) socket.send(text);
}

const http = await serve(bursts(options, publish));
const server = new WebSocketServer({ server: http, perMessageDeflate: false });
server.on('connection', (socket) => {
  socket.on('message', (data) => {
    const text = String(data);
    if (options.echo) socket.send(text);
    else if (text === 'subscribe') subscribers.add(socket);
    else publish();
  });
});
