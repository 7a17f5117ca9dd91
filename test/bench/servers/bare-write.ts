/**
 * The floor of a fan-out in Node: one write of a prepared buffer per socket and event, and nothing else. What any server
 * costs above it is its own work; what is below it belongs to the operating system.
 */
import type { Socket } from 'node:net';
import { WebSocketServer } from 'ws';
import { startedWith } from '../ipc.ts';
import { type FanOutOptions, nextMessage } from './events.ts';
import { serve } from './harness.ts';

const { kind, burst } = startedWith<FanOutOptions>();
const subscribers = new Set<Socket>();

/** An unmasked text frame (RFC 6455 5.2) of less than 64 KiB. */
function frame(text: string): Buffer {
  const { length } = Buffer.from(text);
  const header = length < 126 ? [0x81, length] : [0x81, 126, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from(header), Buffer.from(text)]);
}

function publish(): void {
  const frames = Buffer.concat(Array.from({ length: burst }, () => frame(nextMessage(kind))));
  for (const socket of subscribers) socket.write(frames);
}

const http = await serve(publish);
const server = new WebSocketServer({ noServer: true, perMessageDeflate: false });
http.on('upgrade', (request, socket: Socket, head) => {
  server.handleUpgrade(request, socket, head, (webSocket) => {
    webSocket.on('message', () => subscribers.add(socket));
  });
});
