/** Rooms beside STOMP on one endpoint, and two clients that talk. Run: npx tsx examples/own-protocol/server.ts */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import * as msgpack from '@msgpack/msgpack';
import { attach, createBus } from 'subwire';
import { stompBroker } from 'subwire/stomp';
import { WebSocket } from 'ws';
import { rooms } from './rooms.ts';

const bus = createBus();
const http = createServer();
const endpoint = attach(http, {
  protocols: [rooms({ bus, mayJoin: (user, room) => room !== 'staff' || user === 'ada' }), stompBroker({ bus })],
  // In earnest: a cookie or a token. Here everybody is who they say.
  authenticate: ({ handshake }) => ({
    name: new URL(handshake.url, 'ws://here').searchParams.get('user') ?? undefined,
  }),
});
http.listen(0, '127.0.0.1');
await once(http, 'listening');
const { port } = http.address() as AddressInfo;

// A client of ten lines, which any language has.
async function join(user: string, token: 'json' | 'msgpack') {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/ws?user=${user}`, `rooms.v1+${token}`);
  const heard: unknown[] = [];
  socket.on('message', (data: Buffer, isBinary) =>
    heard.push(isBinary ? msgpack.decode(data) : JSON.parse(String(data))),
  );
  await once(socket, 'open');
  return {
    say: (said: object) => socket.send(token === 'msgpack' ? msgpack.encode(said) : JSON.stringify(said)),
    async hears(count: number) {
      while (heard.length < count) await once(socket, 'message');
      for (const each of heard.splice(0, count)) console.log(`${user} hears ${JSON.stringify(each)}`);
    },
    leave: () => socket.close(),
  };
}

const ada = await join('ada', 'json');
ada.say({ type: 'join', room: 'lobby' });
await ada.hears(2);
const bob = await join('bob', 'msgpack');
bob.say({ type: 'join', room: 'lobby' });
await bob.hears(2);
bob.say({ type: 'chat', room: 'lobby', text: 'Hello' });
await ada.hears(2);
bob.say({ type: 'join', room: 'staff' });
bob.say({ type: 'shout' });
bob.say({ type: 'chat', room: 'lobby' });
bob.say({ type: 'ping' });
await bob.hears(5);
bob.leave();
await ada.hears(1);
ada.leave();
await endpoint.close();
http.close();
