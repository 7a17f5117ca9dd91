import { expect, test } from 'vitest';
import { createBus } from '../../../src/bus/bus.ts';
import { topic } from '../../../src/bus/topic.ts';
import { encodeUtf8 } from '../../../src/core/wire.ts';
import { createStompDesk, type StompDeskOptions } from '../../support/stomp-desk.ts';

/** A desk whose bus is as an application makes it: nothing is open. */
async function closedDesk(options: StompDeskOptions = {}) {
  const desk = createStompDesk({ bus: createBus(), ...options });
  return { ...desk, peer: await desk.open().connect() };
}

test.each([
  ['SUBSCRIBE', 'read'],
  ['SEND', 'write'],
] as const)(
  '[BUS-1] %s to a topic that nobody declared is forbidden, with the three ways out',
  async (command, does) => {
    const { peer } = await closedDesk();
    await peer.send(command, { id: '0', destination: '/topic/prices' });
    const [error = ''] = peer.brief();
    expect(error).toMatch(`ERROR Forbidden: ${command} to /topic/prices is not allowed`);
    for (const way of [`declare it with { clients: '${does}' }`, 'createBus({ open:', 'let authorize answer true']) {
      expect(error).toContain(way);
    }
    expect(peer.closed?.code).toBe(1008);
  },
);

test('[BUS-1] a wildcard sees what may be read, and nothing else', async () => {
  const prices = topic('prices', { clients: { stomp: 'read', mqtt: 'none' } });
  const { bus, peer } = await closedDesk({ bus: createBus({ topics: [prices], open: { 'chat.*': 'read' } }) });
  await peer.send('SUBSCRIBE', { id: '0', destination: '/topic/**' });
  for (const name of ['audit', 'prices', 'chat.1', 'chat', '$user/x/y']) await bus.publish(name, encodeUtf8(name));
  await peer.raw('\n');
  expect(peer.brief()).toEqual(['MESSAGE prices', 'MESSAGE chat.1']);
});

test('[BUS-3] a topic that is declared as closed is closed for those who subscribed before', async () => {
  const bus = createBus({ open: true });
  const { peer } = await closedDesk({ bus });
  await peer.send('SUBSCRIBE', { id: 'exact', destination: '/topic/payroll' });
  await peer.send('SUBSCRIBE', { id: 'wild', destination: '/topic/*' });
  const publish = async (): Promise<string[]> => {
    await bus.publish('payroll', encodeUtf8('x'));
    await peer.raw('\n');
    return peer.take().map(({ headers }) => headers['subscription'] ?? '');
  };
  expect(await publish()).toEqual(['exact', 'wild']);
  bus.declare(topic('payroll'));
  expect(await publish()).toEqual([]);
});

test('[BUS-3] the same where authorize leaves it to the topic; what it allowed itself stays', async () => {
  const bus = createBus({ open: true });
  const allowed = new Set<string>();
  const { open } = await closedDesk({ bus, authorize: ({ destination }) => allowed.has(destination) || undefined });
  const [left, own] = [await open().connect(), await open().connect()];
  const subscribe = async (peer: typeof left): Promise<void> => {
    await peer.send('SUBSCRIBE', { id: 'exact', destination: '/topic/pay' });
    await peer.send('SUBSCRIBE', { id: 'wild', destination: '/topic/*' });
  };
  await subscribe(left);
  const publish = async (): Promise<string[][]> => {
    await bus.publish('pay', encodeUtf8('x'));
    return Promise.all(
      [left, own].map(async (peer) => {
        await peer.raw('\n');
        return peer.take().map(({ headers }) => headers['subscription'] ?? '');
      }),
    );
  };
  await publish();
  allowed.add('/topic/pay');
  await subscribe(own);
  expect(await publish()).toEqual([
    ['exact', 'wild'],
    ['exact', 'wild'],
  ]);
  bus.declare(topic('pay'));
  expect(await publish()).toEqual([[], ['exact', 'wild']]);
});

test('[BUS-2] authorize that says true to everything opens no private topic', async () => {
  for (const [command, destination] of [
    ['SEND', '/topic/$user/ann/x'],
    ['SUBSCRIBE', '/topic/$user/ann/x'],
    ['SUBSCRIBE', '/topic/$user/**'],
    ['SUBSCRIBE', '/topic/$**'],
  ] as const) {
    const { peer } = await closedDesk({ bus: createBus({ open: true }), authorize: () => true });
    await peer.send(command, { id: '0', destination });
    expect(peer.closed?.code).toBe(1008);
  }
  const { broker, peer } = await closedDesk({ bus: createBus({ open: true }), authorize: () => true });
  await peer.send('SUBSCRIBE', { id: '0', destination: '/topic/**' });
  await broker.send('/user/ann/x', 'private');
  await peer.raw('\n');
  expect(peer.take()).toEqual([]);
});

test.each([
  ['SEND', `/topic/${'a.'.repeat(40)}a`],
  ['SUBSCRIBE', `/topic/${'*/'.repeat(40)}a`],
  ['SUBSCRIBE', `/topic/${'a'.repeat(1_025)}`],
  ['SUBSCRIBE', `/user/${'a/'.repeat(40)}a`],
  ['SUBSCRIBE', `/temp-queue/${'a/'.repeat(40)}a`],
  ['SEND', `/user/ann/${'a.'.repeat(40)}a`],
])('[BUS-4] %s to a destination of too many segments or characters is malformed: %s', async (command, destination) => {
  const { peer } = await closedDesk({ bus: createBus({ open: true }), authorize: () => true });
  await peer.send(command, { id: '0', destination });
  expect(peer.brief()[0]).toMatch(/a destination whose topic (has more than 32 segments|is longer than 1024)/);
  expect(peer.closed?.code).toBe(1002);
});

test('[BUS-4] a reply-to of too many segments is malformed too', async () => {
  const { peer } = await closedDesk({ bus: createBus({ open: true }) });
  await peer.send('SEND', { destination: '/queue/a', 'reply-to': `/temp-queue/${'a/'.repeat(40)}a` });
  expect(peer.closed?.code).toBe(1002);
});

test('[BUS-10] a bus that was closed: SUBSCRIBE and SEND are told to come back later', async () => {
  for (const command of ['SUBSCRIBE', 'SEND']) {
    const { bus, peer } = await closedDesk({ bus: createBus({ open: true }) });
    await bus.close();
    await peer.send(command, { id: '0', destination: '/topic/a' });
    expect(peer.closed?.code).toBe(1013);
  }
});
