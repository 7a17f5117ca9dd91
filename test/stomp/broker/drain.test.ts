import { expect, test } from 'vitest';
import { createStompDesk } from '../../support/stomp-desk.ts';

/** Both sides of a queue, whose server is about to leave. */
async function scene(ack = 'client-individual', prefetch = '1') {
  const desk = createStompDesk();
  const consumer = await desk.open().connect();
  const publisher = await desk.open().connect();
  const all = { id: '0', destination: '/queue/a', ack, 'prefetch-count': prefetch };
  await consumer.send('SUBSCRIBE', all);
  const idle = (): boolean => consumer.connection.session.idle;
  const drain = (): void => {
    for (const each of [consumer, publisher]) each.connection.drain();
  };
  return { ...desk, consumer, publisher, idle, drain };
}

test('[STOMP-90] what was confirmed before a drain is delivered, and its consumer stays until it has all of it', async () => {
  const { consumer, publisher, idle, drain } = await scene();
  for (const body of ['1', '2', '3']) await publisher.send('SEND', { destination: '/queue/a', receipt: body }, body);
  expect(publisher.brief()).toEqual(['RECEIPT 1', 'RECEIPT 2', 'RECEIPT 3']);
  drain();
  expect(publisher.connection.session.idle).toBe(true);
  for (const body of ['1', '2', '3']) {
    const [message] = consumer.take();
    expect([message?.body, idle()]).toEqual([body, false]);
    await consumer.send('ACK', { id: message?.headers['ack'] ?? '' });
  }
  expect(idle()).toBe(true);
});

test.each([
  ['a SEND', false],
  ['a transaction', true],
])(
  '[STOMP-90] %s to a queue during a drain is refused, with its receipt, and its client comes back',
  async (_, inTransaction) => {
    const { consumer, publisher, drain, broker } = await scene();
    if (inTransaction) {
      await publisher.send('BEGIN', { transaction: 't' });
      await publisher.send('SEND', { destination: '/queue/a', transaction: 't' }, 'x');
      drain();
      await publisher.send('COMMIT', { transaction: 't', receipt: 'r' });
    } else {
      drain();
      await publisher.send('SEND', { destination: '/queue/a', receipt: 'r' }, 'x');
    }
    expect(publisher.take()).toMatchObject([{ command: 'ERROR', headers: { 'receipt-id': 'r' } }]);
    expect(publisher.closed?.code).toBe(1001);
    expect([consumer.take(), broker.stats().queued, consumer.closed]).toEqual([[], 0, undefined]);
  },
);

test('[STOMP-90] topics, the application and acknowledgements go on during a drain', async () => {
  const { consumer, publisher, drain, broker, idle } = await scene('client', '5');
  await consumer.send('SUBSCRIBE', { id: 't', destination: '/topic/a' });
  await broker.send('/queue/a', 'x');
  drain();
  await publisher.send('SEND', { destination: '/topic/a', receipt: '1' }, 'live');
  expect(publisher.brief()).toEqual(['RECEIPT 1']);
  const [message, live] = consumer.take();
  expect([message?.body, live?.body, idle()]).toEqual(['x', 'live', false]);
  await consumer.send('NACK', { id: message?.headers['ack'] ?? '' });
  const [again] = consumer.take();
  expect([again?.body, idle()]).toEqual(['x', false]);
  await consumer.send('ACK', { id: again?.headers['ack'] ?? '' });
  expect([idle(), broker.stats().queued]).toEqual([true, 0]);
});
