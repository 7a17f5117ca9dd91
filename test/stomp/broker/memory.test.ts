import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import { encodeUtf8 } from '../../../src/core/wire.ts';
import { RelayScene } from '../../support/relay-scene.ts';
import { createStompDesk } from '../../support/stomp-desk.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Memory in use, in bytes. */
function used(): number {
  collect();
  return process.memoryUsage().heapUsed;
}

/** Of a repeated header only the first entry is kept: these are 56 KB of nothing. */
const padding = `x:${'y'.repeat(7_000)}\n`.repeat(8);
const frames = 100;
const transaction = 'a transaction';
const name = 'a name that is longer than a few letters';

const sending = (headers: string) => (): string => `SEND\nx:1\n${headers}${padding}\n\0`;
const subscribing =
  (headers: (index: number) => string) =>
  (index: number): string =>
    `SUBSCRIBE\nid:${name} ${index}\nx:1\n${headers(index)}${padding}\n\0`;

const cases: readonly (readonly [string, (index: number) => string])[] = [
  ['messages of a queue', sending(`destination:/queue/${name}\n`)],
  ['their names', sending(`destination:/queue/a\n${name}:1\n`)],
  ['their types', sending('destination:/queue/a\ncontent-type:application/octet-stream\n')],
  ['their replies', sending(`destination:/queue/a\nreply-to:/temp-queue/${name}\n`)],
  ['messages of a transaction', sending(`destination:/topic/a name that is long\ntransaction:${transaction}\n`)],
  ['reply queues', (index) => sending(`destination:/topic/a\nreply-to:/temp-queue/${name} ${index}\n`)()],
  ['transactions', (index) => `BEGIN\ntransaction:${name} ${index}\nx:1\n${padding}\n\0`],
  ['subscriptions of topics', subscribing((index) => `destination:/topic/${name} ${index}\nack:client-individual\n`)],
  ['subscriptions of queues', subscribing((index) => `destination:/queue/${name} ${index}\nack:client-individual\n`)],
  ['subscriptions of users', subscribing(() => `destination:/user/queue/${name}\nack:client-individual\n`)],
  [
    'messages among others',
    () => `SEND\ndestination:/queue/${name}\nx:${name}\n\n\0SEND\ndestination:/topic/a\n\n${'y'.repeat(50_000)}\0`,
  ],
  ['subscriptions of patterns', subscribing((index) => `destination:/topic/*.${name} ${index}\n`)],
];

const forms = [
  ['octets', encodeUtf8],
  ['text', (text: string) => text],
] as const;

describe.each(forms)('what is kept of a frame that came as %s does not keep the frame in memory', (_form, formOf) => {
  test.each(cases)('%s', async (_kept, frameOf) => {
    const { clock, open } = createStompDesk({
      authorize: () => true,
      limits: { maxTransactions: frames + 1, maxSubscriptions: frames },
    });
    const peer = await open().connect();
    await peer.send('BEGIN', { transaction });
    // What is made once is made.
    await open().connect();
    const before = used();
    for (let index = 0; index < frames; index++) {
      peer.connection.received(formOf(frameOf(index)));
      await clock.settle();
    }
    expect([peer.closed, peer.take()]).toEqual([undefined, []]);
    expect((used() - before) / frames).toBeLessThan(8_192);
  });
});

test('the name of a queue is kept once, however many messages it keeps', async () => {
  const { broker, clock, open } = createStompDesk();
  const peer = await open().connect();
  const destination = `/queue/${'q'.repeat(7_000)}`;
  const before = used();
  for (let index = 0; index < frames; index++) {
    peer.put('SEND', { destination }, 'x');
    await clock.settle();
  }
  expect(broker.stats().queued).toBe(frames);
  expect((used() - before) / frames).toBeLessThan(4_096);
});

test.each(cases.filter(([kept]) => kept === 'transactions' || kept === 'subscriptions of topics'))(
  'a relay does not keep frames in memory either: %s',
  (_kept, frameOf) => {
    const { client, broker } = new RelayScene().connected();
    const before = used();
    for (let index = 0; index < frames; index++) {
      client.say(encodeUtf8(frameOf(index)));
      expect(broker.heard()).toHaveLength(1);
      // What was written is read.
      broker.socket.writes.length = 0;
      broker.socket.take();
    }
    expect((used() - before) / frames).toBeLessThan(8_192);
    expect(client.socket.closing).toBeUndefined();
  },
);
