import { describe, expect, test } from 'vitest';
import { createStompDesk, type StompDeskOptions } from '../../support/stomp-desk.ts';

const named = (options: StompDeskOptions = {}) =>
  createStompDesk({ authenticate: ({ login }) => ({ name: login }), ...options });

describe('[STOMP-93] one user or connection has a share of what queues keep', () => {
  test.each([
    [{ maxUserQueues: 2 }, 'queues of one user'],
    [{ maxUserMessages: 2 }, 'One user keeps in queues at most 2 messages'],
    [{ maxUserBytes: 1_100 }, 'One user keeps in queues at most 1100 bytes'],
  ])('%j: over it a SEND is refused, and others go on', async (limits, words) => {
    const { open, broker } = named({ limits });
    const greedy = await open().connect('1.2', { login: 'eve' });
    for (const name of ['a', 'b', 'c'])
      await greedy.send('SEND', { destination: `/queue/${name}`, receipt: name }, 'x');
    expect(greedy.brief()).toEqual(['RECEIPT a', 'RECEIPT b', expect.stringContaining(words)]);
    // Coming back under the same name does not help; another name has a share of its own.
    const again = await open().connect('1.2', { login: 'eve' });
    await again.send('SEND', { destination: '/queue/d', receipt: 'd' }, 'x');
    expect(again.brief()).toEqual([expect.stringContaining(words)]);
    const honest = await open().connect('1.2', { login: 'bob' });
    await honest.send('SEND', { destination: '/queue/e', receipt: 'e' }, 'x');
    expect(honest.brief()).toEqual(['RECEIPT e']);
    // What is consumed makes room.
    const consumer = await open().connect('1.2', { login: 'carl' });
    for (const name of ['a', 'b']) await consumer.send('SUBSCRIBE', { id: name, destination: `/queue/${name}` });
    const freed = await open().connect('1.2', { login: 'eve' });
    await freed.send('SEND', { destination: '/queue/a', receipt: 'f' }, 'x');
    expect(freed.brief()).toEqual(['RECEIPT f']);
    expect(broker.stats().queued).toBe(1);
  });

  test('a COMMIT is looked at as a whole', async () => {
    const { open, broker } = named({ limits: { maxUserMessages: 2 } });
    const peer = await open().connect('1.2', { login: 'eve' });
    await peer.send('BEGIN', { transaction: 't' });
    for (let n = 0; n < 3; n++) await peer.send('SEND', { destination: '/queue/a', transaction: 't' }, 'x');
    await peer.send('COMMIT', { transaction: 't' });
    expect(peer.brief()).toEqual([expect.stringContaining('One user keeps')]);
    expect(broker.stats()).toMatchObject({ queues: 0, queued: 0 });
  });

  test.each([
    [{ maxQueues: 10 }, 10],
    [{ maxStoredMessages: 10 }, 10],
    [{ maxStoredBytes: 5_010 }, 10],
  ])(
    '%j: where all is full, who holds most gives way to who holds less, not to who holds more',
    async (limits, full) => {
      const { open, broker } = createStompDesk({ limits });
      const consumer = await open().connect();
      await broker.send('/queue/own', 'x');
      for (let n = 1; n < full; n++) {
        // Each is a connection of its own, and leaves.
        const greedy = await open().connect();
        await greedy.send('SEND', { destination: `/queue/${n}` }, 'x');
        if (n < 4) await greedy.send('SEND', { destination: '/queue/own', receipt: 'r' }, '');
        greedy.socket.hangUp();
      }
      expect(consumer.closed).toBeUndefined();
      const { queued } = broker.stats();
      const honest = await open().connect();
      await honest.send('SEND', { destination: '/queue/new', receipt: 'r' }, 'x');
      await honest.send('SUBSCRIBE', { id: '1', destination: '/queue/new' });
      const said = honest.brief();
      expect([said, broker.stats().queued <= queued]).toEqual([['RECEIPT r', 'MESSAGE x'], true]);
    },
  );
});

describe('[STOMP-94] what nobody wants expires', () => {
  test('messages of a queue that nobody consumes and nobody uses', async () => {
    const { open, broker, clock } = createStompDesk({ limits: { queueExpires: 10_000 } });
    const peer = await open().connect('1.0');
    await peer.send('SEND', { destination: '/queue/a' }, 'x');
    clock.advance(9_000);
    await peer.send('SEND', { destination: '/queue/a' }, 'y');
    clock.advance(9_000);
    expect(broker.stats()).toMatchObject({ queues: 1, queued: 2, expired: 0 });
    clock.advance(20_000);
    expect(broker.stats()).toMatchObject({ queues: 0, queued: 0, queuedBytes: 0, expired: 2 });
  });

  test('and not while somebody consumes it', async () => {
    const { open, broker, clock } = createStompDesk({ limits: { queueExpires: 10_000 } });
    const peer = await open().connect('1.0');
    await peer.send('SUBSCRIBE', { id: '1', destination: '/queue/a', ack: 'client', 'prefetch-count': '1' });
    for (const body of ['x', 'y']) await peer.send('SEND', { destination: '/queue/a' }, body);
    clock.advance(20_000);
    expect(broker.stats()).toMatchObject({ queues: 1, queued: 2, expired: 0 });
  });
});

describe('[STOMP-95] expires and priority of a message', () => {
  test('what is over is not delivered', async () => {
    const { open, broker, clock } = createStompDesk();
    const peer = await open().connect('1.0');
    const soon = String(clock.wall() + 5_000);
    for (const expires of ['0', soon, String(clock.wall() - 1)]) {
      await peer.send('SEND', { destination: '/queue/a', expires }, expires);
    }
    clock.advance(5_000);
    await peer.send('SUBSCRIBE', { id: '1', destination: '/queue/a' });
    expect(peer.brief()).toEqual(['MESSAGE 0']);
    expect(broker.stats()).toMatchObject({ queued: 0, expired: 2 });
  });

  test('what is over makes room where nobody consumes', async () => {
    const { broker, clock } = createStompDesk();
    await broker.send('/queue/a', 'x', { headers: { expires: clock.wall() + 1_000 } });
    clock.advance(120_000);
    expect(broker.stats()).toMatchObject({ queues: 0, queued: 0, expired: 1 });
  });

  test('the highest priority comes first, equal ones in their order, also after they went back', async () => {
    const { open, broker } = createStompDesk();
    for (const [priority, body] of [
      [1, 'low'],
      [undefined, 'usual'],
      [9, 'high'],
      [4, 'usual too'],
      [9, 'high too'],
    ] as const) {
      await broker.send('/queue/a', body, { headers: { priority } });
    }
    const order = ['high', 'high too', 'usual', 'usual too', 'low'].map((body) => `MESSAGE ${body}`);
    const first = await open().connect();
    await first.send('SUBSCRIBE', { id: '1', destination: '/queue/a', ack: 'client' });
    expect(first.brief()).toEqual(order);
    await first.send('UNSUBSCRIBE', { id: '1' });
    await first.send('SUBSCRIBE', { id: '2', destination: '/queue/a' });
    expect(first.brief()).toEqual(order);
  });

  test.each([
    [{ expires: 'tomorrow' }, 'expires must be'],
    [{ expires: '-1' }, 'expires must be'],
    [{ priority: '10' }, 'priority must be'],
    [{ priority: 'high' }, 'priority must be'],
  ])('%j is malformed', async (headers, words) => {
    const { open, broker } = createStompDesk();
    const peer = await open().connect();
    await peer.send('SEND', { destination: '/queue/a', receipt: 'r', ...headers }, 'x');
    expect(peer.brief()).toEqual([expect.stringContaining(words)]);
    await expect(broker.send('/queue/a', 'x', { headers })).rejects.toThrow(words);
    expect(broker.stats()).toMatchObject({ queues: 0, queued: 0 });
  });
});
