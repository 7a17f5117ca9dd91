import { expect, test } from 'vitest';
import { createBus } from '../../../src/bus/bus.ts';
import type { StompBrokerOptions } from '../../../src/stomp/broker/stomp-broker.ts';
import { sharedLog } from '../../support/shared-backbone.ts';
import { sharedQueues } from '../../support/shared-queues.ts';
import { createStompDesk, openAll } from '../../support/stomp-desk.ts';

type Desk = ReturnType<typeof createStompDesk>;

function servers(count: number, options: Partial<StompBrokerOptions> = {}) {
  const log = sharedLog();
  const queues = sharedQueues();
  const desks = Array.from({ length: count }, () => {
    const backbone = Object.assign(log.backbone(), { queues });
    return createStompDesk({ bus: createBus({ backbone, open: true }), ...options });
  });
  const settle = async (): Promise<void> => {
    for (const { clock } of [...desks, ...desks]) await clock.settle();
  };
  return { queues, desks: desks as [Desk, Desk], settle };
}

const consumer = async (desk: Desk, headers: Record<string, string> = {}) => {
  const peer = await desk.open().connect();
  await peer.send('SUBSCRIBE', { id: '1', destination: '/queue/a', receipt: 's', ...headers });
  return peer;
};

test('[CLUSTER-5] a message of a queue goes to one consumer of all servers; RECEIPT means that the broker has it', async () => {
  const { desks, settle, queues } = servers(2);
  const consumers = [await consumer(desks[0]), await consumer(desks[1])];
  await settle();
  for (const peer of consumers) expect(peer.brief()).toEqual(['RECEIPT s']);
  const sender = await desks[0].open().connect();
  for (const text of ['1', '2', '3', '4']) {
    await sender.send('SEND', { destination: '/queue/a', receipt: text, 'x-own': 'y' }, text);
  }
  await settle();
  expect(sender.brief()).toEqual(['RECEIPT 1', 'RECEIPT 2', 'RECEIPT 3', 'RECEIPT 4']);
  const [one, other] = consumers.map((peer) => peer.take());
  expect([one?.map(({ body }) => body), other?.map(({ body }) => body)]).toEqual([
    ['1', '3'],
    ['2', '4'],
  ]);
  expect(one?.[0]?.headers).toMatchObject({ destination: '/queue/a', 'x-own': 'y' });
  expect(queues.waiting('/queue/a')).toEqual([]);
  await desks[1].broker.send('/queue/a', '5');
  await settle();
  expect(consumers.flatMap((peer) => peer.brief())).toEqual(['MESSAGE 5']);
});

test('[CLUSTER-5] ACK, NACK, the end of a consumer, a transaction: what is not consumed goes to others', async () => {
  const { desks, settle } = servers(2);
  const one = await consumer(desks[0], { ack: 'client-individual' });
  for (const text of ['1', '2', '3', '4', '5']) await desks[0].broker.send('/queue/a', text);
  await settle();
  const got = one.take().filter(({ command }) => command === 'MESSAGE');
  expect(got.map(({ body }) => body)).toEqual(['1', '2', '3', '4', '5']);
  const ack = (index: number) => ({ id: got[index]?.headers['ack'] ?? '' });
  await one.send('ACK', { ...ack(0), receipt: 'a' });
  await one.send('NACK', ack(1));
  await settle();
  const again = one.take();
  expect(again.map(({ command, body, headers }) => [command, body, headers['redelivered']])).toEqual([
    ['RECEIPT', '', undefined],
    ['MESSAGE', '2', 'true'],
  ]);
  await one.send('ACK', { id: again[1]?.headers['ack'] ?? '' });
  await one.send('BEGIN', { transaction: 't' });
  await one.send('ACK', { ...ack(2), transaction: 't' });
  await one.send('ACK', { ...ack(3), transaction: 't' });
  await one.send('COMMIT', { transaction: 't' });
  await one.send('BEGIN', { transaction: 'u' });
  await one.send('ACK', { ...ack(4), transaction: 'u' });
  await one.send('UNSUBSCRIBE', { id: '1' });
  await settle();
  const other = await consumer(desks[1]);
  await settle();
  // What an open transaction has acknowledged waits for its end.
  expect(other.brief()).toEqual(['RECEIPT s']);
  await one.send('ABORT', { transaction: 'u' });
  await settle();
  expect(other.brief()).toEqual(['MESSAGE 5']);
});

test('[CLUSTER-5] a connection that is lost counts as a failure, and what fails too often is a dead letter', async () => {
  const { desks, settle, queues } = servers(2, {
    limits: { maxDeliveries: 3 },
    deadLetter: '/queue/dead',
    authorize: openAll,
  });
  await desks[0].broker.send('/queue/a', 'poison', { headers: { own: 'kept' } });
  for (let times = 0; times < 3; times++) {
    const victim = await consumer(desks[times % 2] as Desk, { ack: 'client' });
    await settle();
    expect(victim.brief()).toEqual(['MESSAGE poison', 'RECEIPT s']);
    victim.connection.closed(1006, '');
    await settle();
  }
  expect([queues.waiting('/queue/a'), queues.waiting('/queue/dead')]).toEqual([[], ['poison']]);
  const reader = await desks[0].open().connect();
  await reader.send('SUBSCRIBE', { id: 'd', destination: '/queue/dead' });
  await settle();
  expect(reader.take()[0]?.headers).toMatchObject({
    ...{ own: 'kept', 'original-destination': '/queue/a', 'delivery-count': '3' },
  });
  expect(desks.map(({ broker }) => broker.stats().deadLettered)).toEqual([1, 0]);
});

test('[CLUSTER-5] a slow consumer holds as many as it may have, charged to it, and they go back with it', async () => {
  const { desks, settle, queues } = servers(1, { limits: { prefetch: 4 }, slowSubscriber: 'latest' });
  const [desk] = desks;
  const slow = await consumer(desk, { 'prefetch-count': '999999' });
  await settle();
  expect(queues.credits('/queue/a')).toEqual([4]);
  slow.socket.bufferedAmount = 900_000;
  for (let count = 0; count < 10; count++) await desk.broker.send('/queue/a', String(count));
  await settle();
  const before = desk.broker.stats().byQueue.get('/queue/a');
  expect([before, queues.waiting('/queue/a').length]).toEqual([{ waiting: 4, delivered: 0, consumers: 1 }, 6]);
  slow.connection.closed(1006, '');
  await settle();
  expect([queues.waiting('/queue/a').length, desk.broker.stats().byQueue.size]).toEqual([10, 0]);
});

test('[CLUSTER-5] without the broker a SEND gets ERROR, and so does a SUBSCRIBE; queues are as closed as ever', async () => {
  const { desks, settle, queues } = servers(1);
  queues.down = true;
  const sender = await desks[0].open().connect();
  await sender.send('SEND', { destination: '/queue/a', receipt: '1' }, 'x');
  await settle();
  expect([sender.brief(), sender.closed?.code]).toEqual([
    ['ERROR Unavailable: the message bus cannot be reached'],
    1013,
  ]);
  const reader = await consumer(desks[0]);
  await settle();
  expect([reader.brief(), reader.closed?.code]).toEqual([
    ['ERROR Unavailable: the message bus cannot be reached'],
    1013,
  ]);
  await expect(desks[0].broker.send('/queue/a', 'x')).rejects.toThrow('the message bus cannot be reached');
  const closed = servers(1, { open: false });
  const stranger = await consumer(closed.desks[0]);
  expect(stranger.brief().join()).toContain('ERROR');
  expect(closed.queues.credits('/queue/a')).toEqual([]);
});

test('[CLUSTER-5] what expired is not handed out; in a drain queues of all servers take messages', async () => {
  const { desks, settle } = servers(1);
  const [desk] = desks;
  const past = String(desk.clock.wall() - 1);
  const future = String(desk.clock.wall() + 60_000);
  await desk.broker.send('/queue/a', 'old', { headers: { expires: past } });
  await desk.broker.send('/queue/a', 'new', { headers: { expires: future } });
  const peer = await consumer(desk);
  await settle();
  expect([peer.brief(), desk.broker.stats().expired]).toEqual([['MESSAGE new', 'RECEIPT s'], 1]);
  peer.connection.drain();
  await peer.send('SEND', { destination: '/queue/b', receipt: '1' }, 'x');
  await settle();
  expect(peer.brief()).toEqual(['RECEIPT 1']);
});

test('[CLUSTER-5] a COMMIT sends to queues of all servers first, in order; where one fails nothing is acknowledged', async () => {
  const { desks, settle, queues } = servers(1);
  const [desk] = desks;
  await desk.broker.send('/queue/a', 'request');
  const worker = await consumer(desk, { ack: 'client' });
  await settle();
  const request = worker.take().find(({ command }) => command === 'MESSAGE');
  const commit = async (transaction: string): Promise<void> => {
    await worker.send('BEGIN', { transaction });
    await worker.send('ACK', { id: request?.headers['ack'] ?? '', transaction });
    await worker.send('SEND', { destination: '/queue/b', transaction }, '1');
    await worker.send('SEND', { destination: '/queue/b', transaction }, '2');
    await worker.send('COMMIT', { transaction, receipt: transaction });
    await settle();
  };
  queues.down = true;
  await commit('t');
  expect(worker.brief().join()).toContain('ERROR Unavailable');
  expect([queues.waiting('/queue/a'), queues.waiting('/queue/b')]).toEqual([['request'], []]);
});
