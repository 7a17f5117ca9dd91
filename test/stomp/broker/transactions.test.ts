import { describe, expect, test } from 'vitest';
import type { Backbone } from '../../../src/bus/backbone.ts';
import { memoryBackbone } from '../../../src/bus/memory-backbone.ts';
import { createGate } from '../../support/gate.ts';
import { openBus } from '../../support/open-bus.ts';
import { createStompDesk, type StompDeskOptions } from '../../support/stomp-desk.ts';

describe('[STOMP-58] a COMMIT, where the bus or the application fails', () => {
  /** A backbone that takes so many messages and then fails, or that says that it is away. */
  function failing(takes: number, state: Backbone['state'] = 'up') {
    const taken: string[] = [];
    const backbone: Backbone = {
      ...memoryBackbone(),
      state,
      async publish(topic, body) {
        await undefined;
        if (taken.length >= takes) throw new Error('the backbone is away');
        taken.push(Buffer.from(body).toString());
        return { epoch: topic, offset: 1 };
      },
    };
    return { taken, bus: openBus({ backbone, onError() {} }) };
  }

  /** A transaction that consumes a message, sends three to topics and one to a queue; and what became of it. */
  async function commit(options: StompDeskOptions, ...more: string[]) {
    const desk = createStompDesk(options);
    const { broker } = desk;
    const peer = await desk.open().connect();
    await broker.send('/queue/in', 'in');
    await peer.send('SUBSCRIBE', { id: '0', destination: '/queue/in', ack: 'client' });
    const [message] = peer.take();
    await peer.send('BEGIN', { transaction: 't' });
    await peer.send('ACK', { id: message!.headers['ack']!, transaction: 't' });
    await peer.send('SEND', { destination: '/queue/out', transaction: 't' }, 'out');
    for (const body of ['1', '2', '3']) await peer.send('SEND', { destination: '/topic/a', transaction: 't' }, body);
    for (const destination of more) await peer.send('SEND', { destination, transaction: 't' });
    peer.put('COMMIT', { transaction: 't', receipt: 'c' });
    peer.put('SEND', { destination: '/topic/a' }, 'after');
    await peer.raw('\n');
    return { ...desk, peer, kept: broker.stats().queued };
  }

  test('a bus that is away: nothing of it is done', async () => {
    const { taken, bus } = failing(9, 'down');
    const { peer, kept } = await commit({ bus });
    expect(peer.brief()).toEqual(['ERROR Unavailable: the message bus cannot be reached']);
    expect([taken, kept, peer.closed?.code]).toEqual([[], 1, 1013]);
  });

  test('a bus that fails on the way: what comes after is not published, nothing is acknowledged or queued', async () => {
    const { taken, bus } = failing(1);
    const { open, broker, peer, kept } = await commit({ bus });
    expect(peer.take()).toMatchObject([{ command: 'ERROR', headers: { 'receipt-id': 'c' } }]);
    expect([taken, kept]).toEqual([['1'], 1]);
    const heir = await open().connect();
    await heir.send('SUBSCRIBE', { id: '0', destination: '/queue/in' });
    expect(heir.take()).toMatchObject([{ body: 'in', headers: { redelivered: 'true' } }]);
    expect(broker.stats().queued).toBe(0);
  });

  test('an application that throws: nothing is acknowledged or queued', async () => {
    const { peer, kept } = await commit({ onSend: () => Promise.reject(new Error('no')) }, '/app/x');
    expect([kept, peer.closed?.code]).toEqual([1, 1011]);
  });

  test('an application that throws: the queues that it was looked at for are forgotten', async () => {
    const { broker, open } = createStompDesk({ onSend: () => Promise.reject(new Error('no')) });
    for (const name of ['a', 'b']) {
      const peer = await open().connect();
      await peer.send('BEGIN', { transaction: 't' });
      await peer.send('SEND', { destination: `/queue/${name}`, transaction: 't' }, 'x');
      await peer.send('SEND', { destination: '/app/x', transaction: 't' });
      await peer.send('COMMIT', { transaction: 't' });
      expect(peer.closed?.code).toBe(1011);
    }
    expect(broker.stats()).toMatchObject({ queues: 0, queued: 0 });
  });

  test('a queue that others fill meanwhile: nothing is acknowledged or queued', async () => {
    const gate = createGate();
    const { broker, clock, peer } = await commit(
      { limits: { maxQueueMessages: 1 }, onSend: () => gate.opened },
      '/app/x',
    );
    await broker.send('/queue/out', 'first');
    gate.open();
    await clock.settle();
    expect(peer.brief().at(-1)).toContain('/queue/out is full');
    expect(broker.stats().queued).toBe(2);
  });

  test('a client that is gone meanwhile: what it committed is done', async () => {
    const gate = createGate();
    const { broker, clock, peer, open } = await commit({ onSend: () => gate.opened }, '/app/x');
    peer.socket.hangUp();
    gate.open();
    await clock.settle();
    const heir = await open().connect();
    for (const name of ['in', 'out']) await heir.send('SUBSCRIBE', { id: name, destination: `/queue/${name}` });
    expect(heir.brief()).toEqual(['MESSAGE out']);
    expect(broker.stats().queued).toBe(0);
  });

  test.each(['later', 'never', 'with an error'])(
    '[STOMP-53] [STOMP-59] [STOMP-64] an application that answers after hookTimeout, %s: nothing is acknowledged or queued',
    async (answers) => {
      const gate = createGate();
      const late = gate.opened.then(() => (answers === 'later' ? undefined : Promise.reject(new Error('late'))));
      const asked: string[] = [];
      const { broker, clock, open, peer } = await commit(
        {
          connection: { pingInterval: Number.POSITIVE_INFINITY },
          limits: { hookTimeout: 300 },
          onSend: ({ destination }) => (asked.push(destination) === 1 ? late : undefined),
        },
        '/app/x',
        '/app/y',
      );
      clock.advance(310);
      expect(peer.take()).toMatchObject([{ command: 'ERROR', headers: { 'receipt-id': 'c' } }]);
      // What was claimed is there for others at once, whatever the hook does.
      const heir = await open().connect();
      await heir.send('SUBSCRIBE', { id: '0', destination: '/queue/in', ack: 'client' });
      expect(heir.take()).toMatchObject([{ body: 'in', headers: { redelivered: 'true' } }]);
      if (answers !== 'never') gate.open();
      await clock.settle();
      await heir.send('SUBSCRIBE', { id: '1', destination: '/queue/out' });
      expect([heir.take(), broker.stats().queued, asked]).toEqual([[], 1, ['/app/x']]);
    },
  );

  test('[STOMP-59] [STOMP-77] a client that is gone, and an application that does not answer: nothing is done', async () => {
    const gate = createGate();
    const { broker, clock, peer, open } = await commit(
      { limits: { hookTimeout: 300 }, connection: { pingInterval: 1e6 }, onSend: () => gate.opened },
      '/app/x',
    );
    peer.socket.hangUp();
    clock.advance(310);
    gate.open();
    await clock.settle();
    const heir = await open().connect();
    for (const name of ['in', 'out']) await heir.send('SUBSCRIBE', { id: name, destination: `/queue/${name}` });
    expect([heir.brief(), broker.stats().queued]).toEqual([['MESSAGE in'], 0]);
  });

  test('and where none fails: all of it, in order, before what follows; a drain waits for it', async () => {
    const gate = createGate();
    const bus = openBus();
    const seen: string[] = [];
    bus.listen('a', ({ body }) => seen.push(Buffer.from(body).toString()));
    const { clock, peer } = await commit({ bus, onSend: () => gate.opened }, '/app/x');
    expect([seen, peer.connection.session.idle]).toEqual([['1', '2', '3'], false]);
    gate.open();
    await clock.settle();
    expect(seen).toEqual(['1', '2', '3', 'after']);
    expect(peer.brief()).toEqual(['RECEIPT c']);
    expect(peer.connection.session.idle).toBe(true);
  });
});

test('[STOMP-56] ACKs that a COMMIT carries out make room for the other subscriptions of the connection', async () => {
  const { broker, open } = createStompDesk({ limits: { maxUnacknowledged: 1 } });
  const peer = await open().connect();
  for (const id of ['a', 'b']) await peer.send('SUBSCRIBE', { id, destination: `/queue/${id}`, ack: 'client' });
  for (const name of ['a', 'b']) await broker.send(`/queue/${name}`, name);
  await peer.raw('\n');
  const [message] = peer.take();
  await peer.send('BEGIN', { transaction: 't' });
  await peer.send('ACK', { id: message!.headers['ack']!, transaction: 't' });
  expect(peer.take()).toEqual([]);
  await peer.send('COMMIT', { transaction: 't', receipt: 'c' });
  expect(peer.brief().sort()).toEqual(['MESSAGE b', 'RECEIPT c']);
});
