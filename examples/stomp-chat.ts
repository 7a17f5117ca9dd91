/**
 * A STOMP broker with two people in a room and a queue of work, in one process. Run: npx tsx examples/stomp-chat.ts
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { attach, createBus } from 'subwire';
import { stompBroker } from 'subwire/stomp';
import { createStompClient } from 'subwire/stomp/client';

// What clients may do with topics is said by name or family; nothing else is open to them.
const bus = createBus({ open: { room: 'readwrite', lobby: 'write' } });
const http = createServer();
const endpoint = attach(http, {
  path: '/ws',
  authenticate: ({ login, passcode }) => passcode === 'secret' && { name: login },
  protocols: [stompBroker({ bus, open: { '/queue/dishes': 'readwrite' } })],
});
http.listen(0, '127.0.0.1');
await once(http, 'listening');
const url = `ws://127.0.0.1:${(http.address() as AddressInfo).port}/ws`;

const [ada, bob] = ['ada', 'bob'].map((login) =>
  createStompClient({ url, connectHeaders: { login, passcode: 'secret' } }),
) as [ReturnType<typeof createStompClient>, ReturnType<typeof createStompClient>];
await Promise.all([ada.connect(), bob.connect()]);

const heard = new Promise<void>((resolve) => {
  bob.subscribe('/topic/room', (message) => {
    console.log(`bob hears ${message.headers.get('from')}: ${message.body}`);
    if (message.body === 'bye') resolve();
  });
});
// The receipt of a frame also says that everything before it was read: bob is in the room.
await bob.publish({ destination: '/topic/lobby', body: 'bob is here', receipt: true });

for (const body of ['hello', 'is this thing on?', 'bye']) {
  await ada.publish({ destination: '/topic/room', headers: { from: 'ada' }, body, receipt: true });
}
await heard;

// A queue keeps messages until somebody takes them, and gives each to one consumer only.
await ada.publish({ destination: '/queue/dishes', body: 'wash', receipt: true });
await ada.publish({ destination: '/queue/dishes', body: 'dry', receipt: true });
await new Promise<void>((resolve) => {
  let left = 2;
  bob.subscribe(
    '/queue/dishes',
    (message) => {
      console.log(`bob does: ${message.body}`);
      message.ack();
      if (--left === 0) resolve();
    },
    { ack: 'client-individual' },
  );
});

await Promise.all([ada.disconnect(), bob.disconnect()]);
await endpoint.drain();
http.close();
