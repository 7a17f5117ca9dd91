import { describe, expect, test } from 'vitest';
import { createStompDesk, type StompDeskOptions } from '../../support/stomp-desk.ts';

async function mild(options: StompDeskOptions = {}) {
  const desk = createStompDesk({ strict: false, ...options });
  return { ...desk, peer: await desk.open().connect() };
}

const refusals: readonly (readonly [string, StompDeskOptions, string, string])[] = [
  ['authorize refuses', { authorize: ({ command }) => command === 'SUBSCRIBE' }, '/topic/a', 'Forbidden'],
  ['authorize refuses later', { authorize: async ({ command }) => command === 'SUBSCRIBE' }, '/topic/a', 'Forbidden'],
  ['it is closed', { open: false }, '/queue/a', 'Forbidden'],
  ['there is no such destination', {}, '/nowhere/a', 'Forbidden'],
  ['the queue is full', { limits: { maxQueueMessages: 1 } }, '/queue/full', 'Too many'],
  ['onSend throws', { onSend: () => Promise.reject(new Error('secret')) }, '/app/a', 'Internal error'],
  [
    'authorize throws',
    {
      authorize: ({ command }) => {
        if (command === 'SEND') throw new Error('secret');
        return true;
      },
    },
    '/topic/a',
    'Internal error',
  ],
  [
    'rewrite throws',
    {
      rewrite: () => {
        throw new Error('secret');
      },
    },
    '/topic/a',
    'Internal error',
  ],
];

describe.each(refusals)('[STOMP-41] a SEND, where %s', (_, options, destination, words) => {
  const fill = async (broker: ReturnType<typeof createStompDesk>['broker']) => broker.send('/queue/full', 'x');

  test('is dropped if it asked for no receipt, and its sender hears of it where it listens', async () => {
    const { peer, broker, clock } = await mild(options);
    await fill(broker);
    await peer.send('SUBSCRIBE', { id: 'e', destination: '/user/queue/errors', receipt: 's' });
    await peer.send('SEND', { destination, 'correlation-id': '7' }, 'x');
    await clock.settle();
    await peer.raw('\n');
    const [receipt, error] = peer.take();
    expect(receipt?.command).toBe('RECEIPT');
    expect(error).toMatchObject({
      command: 'MESSAGE',
      headers: { 'original-destination': destination, 'correlation-id': '7' },
    });
    expect(error?.body).toContain(words);
    expect(error?.body).not.toContain('secret');
    expect([peer.closed, broker.stats().refused]).toEqual([undefined, 1]);
    // What comes after it goes on.
    await peer.send('UNSUBSCRIBE', { id: 'e', receipt: 'u' });
    expect(peer.brief()).toEqual(['RECEIPT u']);
  });

  test('ends its connection if it asked for one, or belongs to a transaction', async () => {
    for (const headers of [{ receipt: 'r' }, { transaction: 't' }]) {
      const { peer, broker } = await mild(options);
      await fill(broker);
      await peer.send('BEGIN', { transaction: 't' });
      await peer.send('SEND', { destination, ...headers }, 'x');
      if ('transaction' in headers) await peer.send('COMMIT', headers);
      await peer.raw('\n');
      expect(peer.take().map(({ command }) => command)).toEqual(['ERROR']);
      expect([peer.closed === undefined, broker.stats().refused]).toEqual([false, 0]);
    }
  });

  test('ends its connection where the server is strict', async () => {
    const { peer, broker } = await mild({ ...options, strict: true });
    await fill(broker);
    await peer.send('SEND', { destination }, 'x');
    await peer.raw('\n');
    expect(peer.closed).toBeDefined();
  });
});

test('[STOMP-41] who waits for a reply hears it there; who listens nowhere hears nothing', async () => {
  const { peer } = await mild({ onSend: () => Promise.reject(new Error('secret')) });
  await peer.send('SEND', { destination: '/app/a', 'reply-to': '/temp-queue/r', 'correlation-id': '1' });
  await peer.raw('\n');
  expect(peer.take()).toMatchObject([
    { body: 'Internal error', headers: { 'correlation-id': '1', error: 'Internal error' } },
  ]);
  const other = await mild({ onSend: () => Promise.reject(new Error('secret')) });
  await other.peer.send('SEND', { destination: '/app/a' });
  expect([other.peer.take(), other.peer.closed]).toEqual([[], undefined]);
});

test('[STOMP-41] a SEND that is malformed ends its connection in any case', async () => {
  for (const headers of [{}, { destination: '/topic/a\u0007' }, { destination: '/topic/*' }]) {
    const { peer } = await mild();
    await peer.send('SEND', headers, 'x');
    expect(peer.closed?.code).toBe(1002);
  }
});

describe('[STOMP-100] as patient as Spring', () => {
  test.each(['1.0', '1.1', '1.2'] as const)(
    '%s: a second UNSUBSCRIBE and a late ACK are passed over',
    async (version) => {
      const { broker, open } = createStompDesk({ spring: true });
      const peer = await open().connect(version);
      await peer.send('SUBSCRIBE', { id: '0', destination: '/queue/a', ack: 'client' });
      await broker.send('/queue/a', 'x');
      await peer.raw('\n');
      const headers = peer.take()[0]?.headers ?? {};
      const ack = { id: headers['ack'] ?? '', subscription: '0', 'message-id': headers['message-id'] ?? '' };
      for (const receipt of ['1', '2']) await peer.send('ACK', { ...ack, receipt });
      for (const receipt of ['3', '4']) await peer.send('UNSUBSCRIBE', { id: '0', receipt });
      await peer.send('ACK', { ...ack, receipt: '5' });
      expect(peer.brief()).toEqual(['1', '2', '3', '4', '5'].map((id) => `RECEIPT ${id}`));
      expect(broker.stats().queued).toBe(0);
    },
  );
});

describe('[STOMP-101] what cannot mean anything is refused with words', () => {
  test.each([
    ['/topic/sto*', '"sto*" is no pattern here'],
    ['/topic/a.{id}', '"{id}" is no pattern here'],
    ['/topic/a?c', '"a?c" is no pattern here'],
    ['/topic/***', '"***" is no pattern here'],
  ])('SUBSCRIBE to %s', async (destination, words) => {
    const { peer } = await mild();
    await peer.send('SUBSCRIBE', { id: '0', destination });
    expect(peer.brief()).toEqual([expect.stringContaining(words)]);
  });

  test('a selector', async () => {
    const { peer } = await mild();
    await peer.send('SUBSCRIBE', { id: '0', destination: '/topic/a', selector: "colour = 'red'" });
    expect(peer.brief()).toEqual([expect.stringContaining('selectors are not supported here')]);
    const other = await mild();
    await other.peer.send('SUBSCRIBE', { id: '0', destination: '/topic/a', selector: '', receipt: 'r' });
    expect(other.peer.brief()).toEqual(['RECEIPT r']);
  });
});
