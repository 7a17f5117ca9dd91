import { expect, test } from 'vitest';
import { createStompDesk } from '../../support/stomp-desk.ts';

/** A consumer that owes ACKs for three messages, beside one that waits for its turn. */
async function scene(subscriptions: readonly string[] = ['0']) {
  const desk = createStompDesk();
  const peer = await desk.open().connect();
  const other = await desk.open().connect();
  for (const id of subscriptions) {
    await peer.send('SUBSCRIBE', { id, destination: '/queue/a', ack: 'client-individual' });
  }
  for (const body of ['m1', 'm2', 'm3', 'm4']) await desk.broker.send('/queue/a', body);
  await peer.raw('\n');
  const acks = new Map(peer.take().map(({ body, headers }) => [body, headers['ack'] ?? '']));
  await other.send('SUBSCRIBE', { id: '0', destination: '/queue/a' });
  const answer = (command: 'ACK' | 'NACK', body: string, transaction?: string) =>
    peer.send(command, { id: acks.get(body) ?? '', ...(transaction ? { transaction } : {}) });
  return { ...desk, peer, other, answer };
}

test('[STOMP-85] ABORT after UNSUBSCRIBE: what was acknowledged goes back in the order of its queue', async () => {
  const { peer, other, answer } = await scene();
  await peer.send('BEGIN', { transaction: 't' });
  for (const body of ['m1', 'm2', 'm3']) await answer('ACK', body, 't');
  await peer.send('UNSUBSCRIBE', { id: '0' });
  expect(other.brief()).toEqual(['MESSAGE m4']);
  await peer.send('ABORT', { transaction: 't' });
  expect(other.brief()).toEqual(['MESSAGE m1', 'MESSAGE m2', 'MESSAGE m3']);
});

test('[STOMP-85] ABORT, whatever order the acknowledgements came in', async () => {
  const { peer, other, answer } = await scene();
  await peer.send('BEGIN', { transaction: 't' });
  for (const body of ['m3', 'm1', 'm2']) await answer('ACK', body, 't');
  await peer.send('UNSUBSCRIBE', { id: '0' });
  await peer.send('ABORT', { transaction: 't' });
  expect(other.brief()).toEqual(['MESSAGE m4', 'MESSAGE m1', 'MESSAGE m2', 'MESSAGE m3']);
});

test('[STOMP-85] ABORT over two subscriptions of a queue that have ended', async () => {
  const { peer, other, answer } = await scene(['0', '1']);
  await peer.send('BEGIN', { transaction: 't' });
  for (const body of ['m1', 'm2', 'm3', 'm4']) await answer('ACK', body, 't');
  await peer.send('UNSUBSCRIBE', { id: '0' });
  await peer.send('UNSUBSCRIBE', { id: '1' });
  await peer.send('ABORT', { transaction: 't' });
  expect(other.brief()).toEqual(['MESSAGE m1', 'MESSAGE m2', 'MESSAGE m3', 'MESSAGE m4']);
});

test('[STOMP-85] a COMMIT of several NACKs, whatever order they came in', async () => {
  const { peer, other, answer } = await scene();
  await peer.send('BEGIN', { transaction: 't' });
  for (const body of ['m3', 'm1', 'm2', 'm4']) await answer('NACK', body, 't');
  await peer.send('COMMIT', { transaction: 't' });
  const bodies = [...other.take(), ...peer.take()].map(({ body }) => body);
  expect(bodies.toSorted()).toEqual(['m1', 'm2', 'm3', 'm4']);
  // Two consumers take turns: each sees its share in the order of the queue.
  expect(bodies).toEqual([...bodies.slice(0, 2).toSorted(), ...bodies.slice(2).toSorted()]);
});

test('[STOMP-85] the end of a connection with two subscriptions of a queue and an open transaction', async () => {
  const { peer, other, answer } = await scene(['0', '1']);
  await peer.send('BEGIN', { transaction: 't' });
  await answer('ACK', 'm2', 't');
  peer.connection.closed(1006, '');
  await other.raw('\n');
  expect(other.brief()).toEqual(['MESSAGE m1', 'MESSAGE m2', 'MESSAGE m3', 'MESSAGE m4']);
});

test('[STOMP-86] deliveries that a transaction has acknowledged count for the prefetch until it ends', async () => {
  const { broker, open } = createStompDesk();
  const peer = await open().connect();
  const headers = { id: '0', destination: '/queue/a', ack: 'client-individual', 'prefetch-count': '2' };
  await peer.send('SUBSCRIBE', headers);
  for (const body of ['1', '2', '3', '4']) await broker.send('/queue/a', body);
  await peer.raw('\n');
  const [first, second] = peer.take();
  await peer.send('BEGIN', { transaction: 't' });
  await peer.send('ACK', { id: first?.headers['ack'] ?? '', transaction: 't' });
  expect(peer.brief()).toEqual([]);
  // One place is free, not two: the first still counts.
  await peer.send('ACK', { id: second?.headers['ack'] ?? '' });
  expect(peer.brief()).toEqual(['MESSAGE 3']);
  await peer.send('COMMIT', { transaction: 't' });
  expect(peer.brief()).toEqual(['MESSAGE 4']);
});
