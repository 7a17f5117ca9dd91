/**
 * Two processes behind one port act as one: what a client of one sends, the clients of both hear. There is no broker,
 * only a hub in the primary. Run: npx tsx examples/cluster-local.ts
 */
import cluster, { type Worker } from 'node:cluster';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { attach, createBus } from 'subwire';
import { localBackbone, startLocalHub } from 'subwire/backbones/local';
import { stompBroker } from 'subwire/stomp';
import { createStompClient } from 'subwire/stomp/client';

if (cluster.isPrimary) await tryIt();
else serve();

/** What each process does. It finds the address of the hub in its environment. */
function serve(): void {
  const bus = createBus({ backbone: localBackbone(), open: { room: 'read', lobby: 'write' } });
  const http = createServer();
  const onSend = async (): Promise<void> => {
    await bus.publish('room', Buffer.from(`from process ${cluster.worker?.id}`));
  };
  attach(http, { path: '/ws', protocols: [stompBroker({ bus, onSend })] });
  http.listen(0, '127.0.0.1');
}

/** What the primary does: it starts the hub and two processes, and here it plays their clients too. */
async function tryIt(): Promise<void> {
  const hub = await startLocalHub();
  const workers: Worker[] = [cluster.fork(hub.env), cluster.fork(hub.env)];
  // All processes listen on the same port, and the primary hands the connections out in turn.
  const [[{ port }]] = (await Promise.all(workers.map((worker) => once(worker, 'listening')))) as [[{ port: number }]];
  const clients = [1, 2, 3, 4].map(() => createStompClient({ url: `ws://127.0.0.1:${port}/ws` }));
  const heard = clients.map(
    (client, index) =>
      new Promise<void>((resolve) => {
        let count = 0;
        client.subscribe('/topic/room', ({ body }) => {
          console.log(`client ${index + 1} hears: ${body}`);
          if (++count === 2) resolve();
        });
      }),
  );
  for (const client of clients) {
    await client.connect();
    await client.publish({ destination: '/topic/lobby', body: '', receipt: true });
  }
  // The first two connections went to different processes.
  for (const client of clients.slice(0, 2))
    await client.publish({ destination: '/app/hello', body: '', receipt: true });
  await Promise.all(heard);
  await Promise.all(clients.map((client) => client.disconnect()));
  for (const worker of workers) worker.kill();
  await hub.close();
}
