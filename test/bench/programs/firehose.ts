/** A server that sends one subscription as much as its client takes. The client is what is measured. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Socket } from 'node:net';
import { WebSocketServer } from 'ws';
import { freePort } from '../../support/programs/program.ts';
import { answer, startedWith } from '../ipc.ts';
import { createEvent, type EventKind, marker } from '../servers/events.ts';

const { kind, protocol } = startedWith<{ kind: EventKind; protocol: 'graphql' | 'stomp' }>();
const framesPerWrite = 64;

let raw: Socket | undefined;
let message = '';

const http = createServer();
const server = new WebSocketServer({ server: http, perMessageDeflate: false });
server.on('connection', (socket, request) => {
  socket.on('message', (data) => {
    const text = String(data);
    if (protocol === 'graphql') {
      if (text.includes('connection_init')) return socket.send('{"type":"connection_ack"}');
      if (!text.includes('"subscribe"')) return;
      const { id } = JSON.parse(text) as { id: string };
      message = JSON.stringify({ id, type: 'next', payload: { data: { [kind]: createEvent(kind) } } });
    } else {
      if (text.startsWith('CONNECT')) return socket.send('CONNECTED\nversion:1.2\nheart-beat:0,0\n\n\0');
      if (!text.startsWith('SUBSCRIBE')) return;
      const id = /\nid:(.*)\n/.exec(text)?.[1];
      const body = marker.padEnd(kind === 'tick' ? 100 : 2_000, '.');
      message = `MESSAGE\nsubscription:${id}\nmessage-id:0123abcd-1234\ndestination:/topic/prices\ncontent-length:${body.length}\n\n${body}\0`;
    }
    raw = request.socket;
  });
});

const port = await freePort();
http.listen(port, '127.0.0.1');
await once(http, 'listening');

/** Send for so long; returns how many messages that were. */
async function run(ms: number): Promise<number> {
  const payload = Buffer.from(message);
  const header = Buffer.from(
    payload.length < 126 ? [0x81, payload.length] : [0x81, 126, payload.length >> 8, payload.length & 0xff],
  );
  const frames = Buffer.concat(Array.from({ length: framesPerWrite }, () => [header, payload]).flat());
  const socket = raw as Socket;
  let sent = 0;
  for (const until = performance.now() + ms; performance.now() < until; sent += framesPerWrite) {
    if (!socket.write(frames)) await once(socket, 'drain');
  }
  return sent;
}

answer({ run, subscribed: () => raw !== undefined }, { port });
