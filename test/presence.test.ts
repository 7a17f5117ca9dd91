import { makeExecutableSchema } from '@graphql-tools/schema';
import { expect, test } from 'vitest';
import { type Bus, createBus } from '../src/bus/bus.ts';
import { presence } from '../src/bus/presence.ts';
import type { PresenceOptions } from '../src/bus/presence-types.ts';
import { createFakeClock } from './support/fake-clock.ts';
import { serveGraphql } from './support/graphql-peer.ts';
import { sharedLog } from './support/shared-backbone.ts';
import { createStompDesk } from './support/stomp-desk.ts';

type Desk = ReturnType<typeof createStompDesk>;

function serverOn(bus: Bus, options: PresenceOptions) {
  const clock = createFakeClock();
  const present = presence(bus, { clock, ...options });
  const desk = createStompDesk({
    bus,
    ...present.stomp,
    authenticate: ({ login }) => (login === undefined ? true : { name: login }),
  });
  return { desk, present, clock, bus };
}

function servers(count: number, options: PresenceOptions = {}) {
  const log = sharedLog();
  return Array.from({ length: count }, () => serverOn(createBus({ backbone: log.backbone(), open: true }), options));
}

async function pass(all: readonly ReturnType<typeof serverOn>[], ms = 500): Promise<void> {
  for (let left = ms; left > 0; left -= 50) {
    for (const { clock, desk } of all) {
      clock.advance(50);
      await clock.settle();
      await desk.clock.settle();
    }
  }
}

const enter = async (desk: Desk, login: string, destination: string) => {
  const peer = await desk.open().connect('1.2', { login });
  await peer.send('SUBSCRIBE', { id: '1', destination });
  return peer;
};

test('[PRESENCE-6] STOMP: who subscribes where is tracked, and readers get who is there, then each change, once', async () => {
  const all = servers(2, { clients: 'read', info: ({ principal }) => ({ short: principal?.name?.slice(0, 1) }) });
  const [one, two] = all as [ReturnType<typeof serverOn>, ReturnType<typeof serverOn>];
  await pass(all);
  const ada = await enter(one.desk, 'ada', '/topic/room.1');
  await enter(two.desk, 'ada', '/topic/room.1');
  await pass(all);
  const readers = [
    await enter(one.desk, 'reader', '/topic/presence/room.1'),
    await enter(two.desk, 'reader', '/topic/presence/room.1'),
  ];
  const state = { type: 'state', topic: 'room.1', present: [{ user: 'ada', info: { short: 'a' } }] };
  for (const reader of readers) {
    const frames = reader.take();
    expect(frames.map(({ body }) => JSON.parse(body))).toEqual([state]);
    expect(frames[0]?.headers).toMatchObject({
      destination: '/topic/presence/room.1',
      'content-type': 'application/json',
    });
  }
  await enter(two.desk, 'bob', '/topic/room.1');
  await enter(two.desk, 'eve', '/topic/room.2');
  await pass(all);
  for (const reader of readers) {
    expect(reader.take().map(({ body }) => JSON.parse(body))).toEqual([
      { type: 'join', topic: 'room.1', user: 'bob', info: { short: 'b' } },
    ]);
  }
  await ada.send('UNSUBSCRIBE', { id: '1' });
  await pass(all, 12_000);
  expect(readers.map((reader) => reader.take())).toEqual([[], []]);
  // Readers of a presence are in no topic themselves.
  expect(one.present.list('presence/room.1')).toEqual([]);
});

test('[PRESENCE-6] a wildcard reads all that changes; one connection twice in a topic is there until the second leaves', async () => {
  const all = servers(1, { clients: { stomp: 'read' } });
  const [one] = all as [ReturnType<typeof serverOn>];
  await pass(all);
  const reader = await enter(one.desk, 'reader', '/topic/presence/**');
  const ada = await enter(one.desk, 'ada', '/topic/a');
  await ada.send('SUBSCRIBE', { id: '2', destination: '/topic/a' });
  await ada.send('SUBSCRIBE', { id: '3', destination: '/topic/*' });
  await ada.send('UNSUBSCRIBE', { id: '1' });
  await pass(all, 12_000);
  ada.connection.closed(1006, '');
  await pass(all, 12_000);
  expect(reader.take().map(({ body }) => JSON.parse(body))).toEqual([
    { type: 'join', topic: 'a', user: 'ada' },
    { type: 'leave', topic: 'a', user: 'ada' },
  ]);
  expect(one.present.stats()).toMatchObject({ entries: 0, topics: 0 });
});

test('[PRESENCE-4] presence is closed to clients unless it says so, to read as to write, though the bus is open', async () => {
  for (const options of [{}, { clients: 'read' as const }]) {
    const [one] = servers(1, options) as [ReturnType<typeof serverOn>];
    const peer = await one.desk.open().connect();
    await peer.send('SEND', { destination: '/topic/presence/room', receipt: '1' }, '{"type":"join","user":"forged"}');
    expect(peer.brief().join()).toContain('clients may not write the topic "presence/room"');
    const reader = await enter(one.desk, 'eve', '/topic/presence/room');
    const words = reader.brief().join();
    if ('clients' in options) expect(words).toContain('"type":"state"');
    else expect(words).toContain('clients may not read the topic "presence/room"');
    for (const destination of ['/topic/$presence/presence', '/topic/$presence/**']) {
      const spy = await enter(one.desk, 'eve', destination);
      expect(spy.brief().join()).toMatch(/ERROR .*reserved/);
    }
  }
});

test('[PRESENCE-6] nobody is sent away for presence: no room, an info that throws, nobody by name', async () => {
  const errors: string[] = [];
  const [one] = servers(1, {
    maxEntries: 1,
    onError: (error) => errors.push((error as Error).message),
    info: ({ principal }) => {
      if (principal?.name === 'bug') throw new Error('info has a bug');
      if (principal?.name === 'promise') return Promise.resolve({ name: 'too late' });
      return undefined;
    },
  }) as [ReturnType<typeof serverOn>];
  const peers = [await enter(one.desk, 'bug', '/topic/a'), await enter(one.desk, 'promise', '/topic/a')];
  peers.push(await enter(one.desk, 'ada', '/topic/a'));
  peers.push(await enter(one.desk, 'bob', '/topic/a'));
  const nobody = await one.desk.open().connect();
  await nobody.send('SUBSCRIBE', { id: '1', destination: '/topic/a' });
  expect(peers.map(({ closed }) => closed)).toEqual([undefined, undefined, undefined, undefined]);
  expect(errors).toEqual([
    'info has a bug',
    expect.stringContaining('info must be JSON'),
    'presence: too many presences: see maxEntries and maxBytes',
  ]);
  expect(one.present.list('a')).toEqual([{ user: 'ada', info: undefined }]);
});

test('[PRESENCE-6] GraphQL: a resolver returns the subscription, and an endpoint tracks who is connected', async () => {
  const clock = createFakeClock();
  const bus = createBus({ clock });
  const present = presence(bus, { clock });
  const schema = makeExecutableSchema({
    typeDefs: /* GraphQL */ `
      type Present { user: String! }
      type Change { type: String! user: String present: [Present!] }
      type Query { users: [Present!]! }
      type Subscription { present: Change! }
    `,
    resolvers: {
      Query: { users: () => present.list('connected') },
      Subscription: {
        present: { subscribe: () => present.subscribe('connected'), resolve: (change: unknown) => change },
      },
    },
  });
  const { connect } = serveGraphql(
    { schema },
    { ...present.endpoint, authenticate: ({ connectionParams }) => ({ name: String(connectionParams?.['user']) }) },
  );
  const enterGraphql = (user: string) => {
    const peer = connect({ acknowledged: false });
    peer.send({ type: 'connection_init', payload: { user } });
    return peer;
  };
  const ada = enterGraphql('ada');
  await ada.take();
  ada.subscribe('1', 'subscription { present { type user present { user } } }');
  const bob = enterGraphql('bob');
  await bob.take();
  expect(await ada.results('1')).toEqual([
    { data: { present: { type: 'state', user: null, present: [{ user: 'ada' }] } } },
    { data: { present: { type: 'join', user: 'bob', present: null } } },
  ]);
  bob.socket.receiver?.closed(1006, '');
  clock.advance(11_000);
  await clock.settle();
  expect(await ada.results('1')).toEqual([{ data: { present: { type: 'leave', user: 'bob', present: null } } }]);
});
