import { expect, test } from 'vitest';
import { listenTcp } from '../../../src/adapters/tcp.ts';
import { createBus } from '../../../src/index.ts';
import { type StompBrokerOptions, stompBroker } from '../../../src/stomp/index.ts';
import { openBus } from '../../support/open-bus.ts';
import { createStompDesk } from '../../support/stomp-desk.ts';

const bus = openBus();

test('offers the registered tokens, the highest version first, and speaks to clients that offer none', () => {
  const broker = stompBroker({ bus });
  expect(broker.names).toEqual(['v12.stomp', 'v11.stomp', 'v10.stomp', 'stomp']);
  expect(broker.acceptsUnnamed).toBe(true);
});

test.each([
  [{ bus: {} }, 'needs a bus'],
  [{ authorize: true }, 'authorize must be a function; got boolean'],
  [{ onSend: 1 }, 'onSend must be a function; got number'],
  [{ onSubscribe: {} }, 'onSubscribe must be a function; got object'],
  [{ hosts: 'a' }, 'hosts must be a list of names or a function; got string'],
  [{ slowSubscriber: 'drop' }, "slowSubscriber must be 'disconnect', 'dropOldest' or 'latest'; got drop"],
  [{ deadLetter: 'a b' }, 'deadLetter must be printable ASCII without spaces; got a b'],
  [{ deadLetter: '/topic/dead' }, 'deadLetter must be a queue'],
  [{ server: '' }, 'server must be printable ASCII'],
  [{ heartbeat: { outgoing: -1 } }, 'heartbeat.outgoing must be a whole number of ms, 0 for none; got -1'],
  [{ heartbeat: { out: 1 } }, 'heartbeat has no option "out". There are: outgoing, incoming'],
  [{ prefixes: { topics: '/t/' } }, 'prefixes.topics is no kind of destination'],
  [{ prefixes: { topic: '' } }, 'prefixes.topic must be the beginning of a destination'],
  [{ prefixes: { topic: '/q', queue: '/queue/' } }, 'prefixes.topic "/q" also begins prefixes.queue "/queue/"'],
  [{ limits: { maxQueues: 0 } }, 'limits.maxQueues must be a number above 0'],
])('a bad option is named at once: %j', (options, message) => {
  expect(() => stompBroker({ bus, ...options } as unknown as StompBrokerOptions)).toThrow(message);
});

test('prefixes are free', async () => {
  const desk = createStompDesk({
    prefixes: { topic: 'jms.topic.', queue: 'jms.queue.', application: undefined },
    deadLetter: 'jms.queue.dead',
    heartbeat: { incoming: 5, outgoing: undefined },
  });
  const peer = await desk.open().connect();
  await peer.send('SUBSCRIBE', { id: '0', destination: 'jms.topic.a' });
  await peer.send('SUBSCRIBE', { id: '1', destination: 'jms.queue.a' });
  await peer.send('SEND', { destination: 'jms.topic.a' }, 'topic');
  await peer.send('SEND', { destination: 'jms.queue.a' }, 'queue');
  expect(peer.brief()).toEqual(['MESSAGE topic', 'MESSAGE queue']);
});

test('one broker on several endpoints shares its queues', async () => {
  const broker = stompBroker({ bus });
  const endpoints = await Promise.all([1, 2].map(() => listenTcp({ port: 0, protocols: [broker] })));
  expect(endpoints[0]?.port).not.toBe(endpoints[1]?.port);
  await broker.send('/queue/a', 'x');
  await endpoints[0]?.drain();
  expect(broker.stats()).toMatchObject({ queues: 1, queued: 1 });
  await endpoints[1]?.drain();
});

test('[STOMP-121] the topics of users and of temporary queues belong to STOMP alone', () => {
  const bus = createBus({ open: true });
  stompBroker({ bus });
  expect(() => stompBroker({ bus })).not.toThrow();
  for (const prefix of ['$user/', '$reply/', '$user/ann/', '$reply/x']) {
    expect(() => bus.claim(prefix, 'mqtt')).toThrow(/belongs to stomp on this bus/);
  }
  const taken = createBus();
  taken.claim('$user/', 'mqtt');
  expect(() => stompBroker({ bus: taken })).toThrow(/belongs to mqtt on this bus/);
  for (const protocol of ['stomp', 'mqtt']) {
    for (const topic of ['$user/ann/queue/a', '$reply/session/a']) {
      expect([bus.permits(topic, protocol, 'read'), bus.permits(topic, protocol, 'write')]).toEqual([false, false]);
    }
  }
});

test('[STOMP-124] a broker counts subscriptions by destination, messages by queue, connections by user', async () => {
  const desk = createStompDesk({ authenticate: ({ login }) => (login === undefined ? true : { name: login }) });
  const [one, two] = [
    await desk.open().connect('1.2', { login: 'ann' }),
    await desk.open().connect('1.2', { login: 'ann' }),
  ];
  const nobody = await desk.open().connect();
  for (const peer of [one, two, nobody]) await peer.send('SUBSCRIBE', { id: '1', destination: '/topic/a' });
  await one.send('SUBSCRIBE', { id: '2', destination: '/queue/q', ack: 'client', 'prefetch-count': '1' });
  for (const body of ['x', 'y', 'z']) await desk.broker.send('/queue/q', body);
  await desk.broker.send('/queue/unread', 'x');
  await desk.clock.settle();
  const seen = () => {
    const { byDestination, byQueue, byUser } = desk.broker.stats();
    return [byDestination, byQueue, byUser].map((each) => Object.fromEntries<unknown>(each));
  };
  expect(seen()).toEqual([
    { '/topic/a': 3, '/queue/q': 1 },
    {
      '/queue/q': { waiting: 2, delivered: 1, consumers: 1 },
      '/queue/unread': { waiting: 1, delivered: 0, consumers: 0 },
    },
    { ann: 2 },
  ]);
  await two.send('UNSUBSCRIBE', { id: '1' });
  await one.send('DISCONNECT');
  expect(seen()).toEqual([
    { '/topic/a': 1 },
    {
      '/queue/q': { waiting: 3, delivered: 0, consumers: 0 },
      '/queue/unread': { waiting: 1, delivered: 0, consumers: 0 },
    },
    { ann: 1 },
  ]);
});
