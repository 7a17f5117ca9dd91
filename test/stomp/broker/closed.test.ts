import { describe, expect, test } from 'vitest';
import { createBus } from '../../../src/bus/bus.ts';
import { stompBroker } from '../../../src/stomp/broker/stomp-broker.ts';
import { createStompDesk, type StompDeskOptions } from '../../support/stomp-desk.ts';

const authenticate: StompDeskOptions['authenticate'] = ({ login }) => ({ name: login });

/** A client of a server that opens nothing unless it is told so. */
async function ann(options: StompDeskOptions = {}) {
  const desk = createStompDesk({ authenticate, open: undefined, ...options });
  return { ...desk, peer: await desk.open().connect('1.2', { login: 'ann' }) };
}

async function outcome(options: StompDeskOptions, command: string, destination: string): Promise<string> {
  const { peer } = await ann(options);
  await peer.send(command, { id: '1', destination, receipt: 'r' });
  return peer.brief()[0] ?? '';
}

describe('[STOMP-89] closed unless opened', () => {
  test.each([
    ['SEND', '/queue/orders', 'may not write to it: open it with stompBroker({ open: {'],
    ['SUBSCRIBE', '/queue/orders', 'may not read it: open it with stompBroker({ open: {'],
    ['SEND', '/user/bob/queue/a', 'what other users get is for the application to send'],
    ['SEND', '/user/ann2/queue/a', 'what other users get is for the application to send'],
    ['SEND', '/queue/dead-letter', 'dead letters are for the application'],
    ['SUBSCRIBE', '/queue/dead-letter', 'dead letters are for the application'],
  ])('%s to %s is refused, and the error says the way out', async (command, destination, words) => {
    expect(await outcome({}, command, destination)).toContain(words);
    expect(await outcome({ authorize: () => undefined }, command, destination)).toContain(words);
    expect(await outcome({ authorize: () => true }, command, destination)).toBe('RECEIPT r');
    expect(await outcome({ authorize: () => false }, command, destination)).not.toContain(words);
  });

  test.each([
    ['SEND', '/user/ann/queue/a'],
    ['SUBSCRIBE', '/user/queue/a'],
    ['SUBSCRIBE', '/temp-queue/a'],
    ['SEND', '/reply-queue/somebody/a'],
  ])('%s to %s is open', async (command, destination) => {
    expect(await outcome({}, command, destination)).toBe('RECEIPT r');
  });

  test.each([
    [{ '/queue/orders': 'write' }, 'SEND', '/queue/orders', true],
    [{ '/queue/orders': 'write' }, 'SUBSCRIBE', '/queue/orders', false],
    [{ '/queue/orders': 'write' }, 'SEND', '/queue/orders.eu', false],
    [{ '/queue/**': 'readwrite' }, 'SUBSCRIBE', '/queue/orders.eu/x', true],
    [{ '/queue/**': 'readwrite' }, 'SUBSCRIBE', '/queue/dead-letter', false],
    [{ '/queue/*': 'read', '/queue/orders': 'none' }, 'SUBSCRIBE', '/queue/orders', false],
    [{ '/queue/*': 'read', '/queue/orders': 'none' }, 'SUBSCRIBE', '/queue/x', true],
    [true, 'SEND', '/queue/a', true],
    [true, 'SEND', '/queue/dead-letter', false],
    [false, 'SEND', '/queue/a', false],
  ] as const)('open: %j, %s to %s', async (open, command, destination, isOpen) => {
    expect((await outcome({ open }, command, destination)) === 'RECEIPT r').toBe(isOpen);
  });

  test('a reply-to of the client opens nothing', async () => {
    for (const to of ['/queue/orders', '/user/bob/a', '/queue/dead-letter']) {
      const { peer, broker } = await ann({ onSend: () => ({ body: 'x' }) });
      await peer.send('SEND', { destination: '/app/a', 'reply-to': to, receipt: 'r' });
      expect(peer.brief()[0]).toContain(`reply-to ${to} is not allowed`);
      expect(broker.stats().queued).toBe(0);
    }
  });

  test('authorize: true opens no name that begins with $', async () => {
    for (const destination of ['/topic/$user/bob/a', '/topic/$reply/x', '/topic/$=/queue/a']) {
      expect(await outcome({ authorize: () => true }, 'SUBSCRIBE', destination)).toContain('reserved');
    }
  });

  test.each([
    [{ '/topic/a': 'read' }, /open: "\/topic\/a" is no queue: they begin with \/queue\//],
    [{ '/queue/': 'read' }, /is no queue/],
    [{ '/queue/a': 'all' }, /must be 'none', 'read', 'write'/],
    ['/queue/a', /open must be true or names/],
    [['/queue/a'], /open must be true or names/],
  ])('open: %j is a TypeError', (open, words) => {
    expect(() => stompBroker({ bus: createBus(), open: open as never })).toThrow(words);
  });
});

test('[STOMP-89] dots of a user name are no segments: nobody reads what is for another', async () => {
  const desk = createStompDesk({ authenticate });
  const peers = [];
  for (const login of ['a.b', 'a', 'a/b', 'a%2Eb', 'a.*', '*']) {
    const peer = await desk.open().connect('1.2', { login });
    await peer.send('SUBSCRIBE', { id: '1', destination: '/user/b/queue' });
    await peer.send('SUBSCRIBE', { id: '2', destination: '/user/queue' });
    peers.push(peer);
  }
  await desk.broker.send('/user/a.b/queue', 'for a.b');
  await desk.clock.settle();
  expect(peers.map((peer) => peer.brief())).toEqual([['MESSAGE for a.b'], [], [], [], [], []]);
});
