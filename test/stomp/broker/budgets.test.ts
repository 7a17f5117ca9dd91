import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { createMessage } from '../../../src/bus/message.ts';
import { systemClock } from '../../../src/core/clock.ts';
import { encodeUtf8 } from '../../../src/core/wire.ts';
import { Queue } from '../../../src/stomp/broker/queue.ts';
import { Quota } from '../../../src/stomp/broker/quota.ts';
import { Decoder } from '../../../src/stomp/protocol/decoder.ts';
import { createStompDesk } from '../../support/stomp-desk.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

const connected = async (options: Parameters<typeof createStompDesk>[0] = {}) => {
  const desk = createStompDesk(options);
  return { ...desk, peer: await desk.open().connect() };
};

test('[STOMP-91] subscriptions are charged with their patterns, and given back', async () => {
  const { peer } = await connected({ limits: { maxSubscriptions: 1e6 }, connection: { maxKept: 50_000 } });
  const destination = `/topic/${Array(30).fill('*').join('.')}`;
  for (let round = 0; round < 20; round++) {
    for (const id of ['0', '1', '2']) await peer.send('SUBSCRIBE', { id, destination });
    for (const id of ['0', '1', '2']) await peer.send('UNSUBSCRIBE', { id });
  }
  expect([peer.closed, peer.connection.heldBytes]).toEqual([undefined, 0]);
  for (let id = 0; id < 7; id++) await peer.send('SUBSCRIBE', { id: String(id), destination });
  expect(peer.brief()).toEqual([expect.stringMatching(/^ERROR Too large: more than 50000 bytes would be kept/)]);
});

test('[STOMP-91] frames of a transaction are charged at what they cost, and given back', async () => {
  const { peer } = await connected({ connection: { maxKept: 10_000 } });
  for (const end of ['COMMIT', 'ABORT', 'COMMIT', 'ABORT']) {
    await peer.send('BEGIN', { transaction: 't' });
    for (let n = 0; n < 10; n++) await peer.send('SEND', { destination: '/topic/a', transaction: 't' }, 'x');
    await peer.send(end, { transaction: 't' });
    expect(peer.connection.heldBytes).toBe(0);
  }
  await peer.send('BEGIN', { transaction: 't' });
  for (let n = 0; n < 20; n++) await peer.send('SEND', { destination: '/topic/a', transaction: 't' }, 'x');
  expect(peer.closed?.code).toBe(1009);
});

test('[STOMP-91] deliveries that wait for their ACK are charged, and given back', async () => {
  const { bus, broker, peer } = await connected();
  for (const destination of ['/queue/a', '/topic/a']) {
    await peer.send('SUBSCRIBE', { id: destination, destination, ack: 'client' });
  }
  const before = peer.connection.heldBytes;
  for (let n = 0; n < 10; n++) {
    await bus.publish('a', encodeUtf8('x'));
    await broker.send('/queue/a', 'x');
  }
  await peer.raw('\n');
  expect(peer.connection.heldBytes - before).toBe(20 * 250);
  const last = new Map(peer.take().map(({ headers }) => [headers['subscription'], headers['ack'] ?? '']));
  await peer.send('ACK', { id: last.get('/topic/a') ?? '' });
  expect(peer.connection.heldBytes - before).toBe(10 * 250);
  await peer.send('UNSUBSCRIBE', { id: '/queue/a' });
  await peer.send('UNSUBSCRIBE', { id: '/topic/a' });
  expect(peer.connection.heldBytes).toBe(0);
});

test('[STOMP-91] the backlogs of all subscriptions of a connection have one bound', async () => {
  const { bus, peer } = await connected({ connection: { maxKept: 100_000 } });
  for (let id = 0; id < 10; id++) {
    await peer.send('SUBSCRIBE', { id: String(id), destination: '/topic/a', ack: 'client', 'prefetch-count': '1' });
  }
  const one = peer.connection.heldBytes;
  for (let n = 0; n < 5; n++) await bus.publish('a', encodeUtf8('x'.repeat(1_000)));
  expect([peer.closed, peer.connection.heldBytes - one > 60_000]).toEqual([undefined, true]);
  for (let n = 0; n < 5; n++) await bus.publish('a', encodeUtf8('x'.repeat(1_000)));
  await peer.raw('\n');
  expect(peer.closed?.code).toBe(1009);
});

test('[STOMP-92] small messages that are kept keep no slab alive', async () => {
  const { bus, broker, open, peer } = await connected({ limits: { prefetch: 1e6, maxUnacknowledged: 1e6 } });
  // One subscription owes ACKs, one has a backlog, and one takes all at once, so that all is encoded.
  const other = await open().connect();
  await other.send('SUBSCRIBE', { id: '0', destination: '/topic/a' });
  await peer.send('SUBSCRIBE', { id: 'q', destination: '/queue/a', ack: 'client' });
  await peer.send('SUBSCRIBE', { id: 't', destination: '/topic/a', ack: 'client', 'prefetch-count': '1' });
  collect();
  const before = process.memoryUsage().arrayBuffers;
  const traffic = 'y'.repeat(2_000);
  for (let n = 0; n < 900; n++) {
    await broker.send('/queue/a', 'x');
    await bus.publish('a', encodeUtf8('x'));
    for (let more = 0; more < 4; more++) await bus.publish('b', encodeUtf8(traffic));
    await other.send('SEND', { destination: '/topic/c' }, traffic);
    if (n % 100 === 0) for (const each of [peer, other]) each.take();
  }
  for (const each of [peer, other]) {
    each.take();
    each.socket.take?.();
  }
  await peer.raw('\n');
  for (let round = 0; round < 3; round++) collect();
  // A slab of 8 KiB for each of either kind would be 4,096 a message. Node 26 itself keeps some 2,500.
  expect((process.memoryUsage().arrayBuffers - before) / 1_800).toBeLessThan(3_500);
});

test('[STOMP-96] a queue keeps nothing of what was consumed, however long it lives', () => {
  const queue = new Queue({
    topic: 'q',
    allowance: new Quota('full', 1e6, 1e9),
    maxDeliveries: 5,
    clock: systemClock,
    isOver: () => false,
    expired() {},
    dead() {},
    unused() {},
  });
  const consumed: WeakRef<object>[] = [];
  let ready = true;
  queue.add({
    get ready() {
      return ready;
    },
    take(item) {
      consumed.push(new WeakRef(item));
      ready = false;
      queue.consumed(item);
    },
  });
  const put = (): void => {
    ready = false;
    queue.put(createMessage({ topic: 'q', body: encodeUtf8('x'), position: { epoch: 'e', offset: 0 } }));
  };
  const consumer = { ready: true, take: (item: object) => void consumed.push(new WeakRef(item)) };
  for (let n = 0; n < 100; n++) put();
  // There is always something that waits, so that the queue is never empty.
  queue.add(consumer);
  for (let n = 0; n < 1_000; n++) put();
  expect(consumed.length).toBeGreaterThan(1_000);
  return new Promise<void>((resolve) => setTimeout(resolve)).then(() => {
    collect();
    expect(consumed.filter((each) => each.deref() !== undefined).length).toBeLessThan(100);
  });
});

test('[STOMP-97] a decoder that waits for nothing keeps no buffer', async () => {
  const decoder = new Decoder({ maxHeaders: 10, maxHeaderLine: 100, maxHeaderBytes: 1_000, maxBody: 1e6 });
  let chunk: Uint8Array | undefined = new Uint8Array(1e6);
  chunk.fill(10);
  chunk.set(encodeUtf8('SEND\n\nx\0'));
  const buffer = new WeakRef(chunk.buffer);
  decoder.push(chunk);
  chunk = undefined;
  expect(decoder.next()?.command).toBe('SEND');
  expect(decoder.next()).toBeUndefined();
  await new Promise((resolve) => setTimeout(resolve));
  collect();
  expect([buffer.deref() === undefined, decoder.partial]).toEqual([true, false]);
});
