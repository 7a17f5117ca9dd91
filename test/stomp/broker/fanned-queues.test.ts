import { describe, expect, test } from 'vitest';
import { createBus } from '../../../src/bus/bus.ts';
import { createDestinations } from '../../../src/stomp/server/destinations.ts';
import { createStompDesk, type StompDeskOptions } from '../../support/stomp-desk.ts';

const name = ({ login }: { readonly login?: string | undefined }) => ({ name: login ?? '' });

async function tabs(options: StompDeskOptions, destination = '/queue/alerts') {
  const desk = createStompDesk({ authenticate: name, ...options });
  const both = [];
  for (const login of ['ann', 'bob']) {
    const peer = await desk.open().connect('1.2', { login });
    await peer.send('SUBSCRIBE', { id: 's', destination });
    both.push(peer);
  }
  return { ...desk, both };
}

describe('[STOMP-127] queues that fan out', () => {
  test.each([{ queues: 'fanout' }, { spring: true }] as const)('%j: each of two tabs gets a copy', async (options) => {
    const { broker, both, clock } = await tabs(options);
    await broker.send('/queue/alerts', 'one');
    await both[0]?.send('SEND', { destination: '/queue/alerts' }, 'two');
    await clock.settle();
    for (const peer of both) {
      const messages = peer.take();
      expect(messages.map(({ body }) => body)).toEqual(['one', 'two']);
      expect(messages[0]?.headers['destination']).toBe('/queue/alerts');
    }
    expect(broker.stats().queued).toBe(0);
  });

  test.each([{}, { spring: true, queues: 'local' }] as const)('%j: consumers compete', async (options) => {
    const { broker, both, clock } = await tabs(options);
    await broker.send('/queue/alerts', 'one');
    await clock.settle();
    expect(both.flatMap((peer) => peer.brief())).toEqual(['MESSAGE one']);
  });

  test('who may use it is as for queues, whatever is open on the bus', async () => {
    const bus = createBus({ open: true });
    const open = { '/queue/alerts': 'read' } as const;
    const { both } = await tabs({ queues: 'fanout', bus, open });
    await both[0]?.send('SEND', { destination: '/queue/alerts', receipt: 'r' }, 'x');
    expect(both[0]?.brief()[0]).toMatch(/^ERROR Forbidden: .*may not write to it: open it with .*'\/queue\/alerts'/);
    const closed = await tabs({ queues: 'fanout', bus, open }, '/queue/other');
    expect(closed.both[0]?.brief()[0]).toMatch(/^ERROR .*may not read it/);
    const dead = await tabs({ queues: 'fanout', bus, open: true }, '/queue/dead-letter');
    expect(dead.both[0]?.brief()[0]).toMatch(/^ERROR .*dead letters/);
    // Under its name on the bus nobody reaches it.
    const topic = await tabs({ queues: 'fanout', bus, open: true }, '/topic/$queue/alerts');
    expect(topic.both[0]?.brief()[0]).toMatch(/^ERROR .*reserved/);
  });

  test.each(['/queue/*', '/queue/a.*', '/queue/**', '/queue/a.>', '/queue/a?', '/queue/{id}'])(
    '%s is refused with words',
    async (pattern) => {
      const { both } = await tabs({ queues: 'fanout' }, pattern);
      expect(both[0]?.brief()[0]).toMatch(/^ERROR .*(queues have no patterns here|is no pattern here)/);
    },
  );

  test('a name is a name: what is shown is what was sent to', () => {
    const destinations = createDestinations(undefined, true);
    for (const queue of ['/queue/a', '/queue/a/b.c', '/queue/50%', '/queue/a%2Ab', '/queue/$x']) {
      const route = destinations.toSend(queue);
      expect(route.kind === 'topic' && destinations.shown(route.topic)).toBe(queue);
      expect(destinations.toSubscribe(queue, { user: 'u', session: 's' })).toEqual(route);
    }
  });

  test('another word is a TypeError', () => {
    expect(() => createStompDesk({ queues: 'fan' as never })).toThrow(/^queues must be 'local' or 'fanout'/);
  });
});
