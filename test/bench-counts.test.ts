/** What the bench measures in µs, counted: encodings per message, writes per socket and turn, bytes per frame, timers. */
import type { Socket as RawSocket } from 'node:net';
import { buildSchema } from 'graphql';
import { expect, test } from 'vitest';
import { writeFrames } from '../src/adapters/frames.ts';
import { createBus } from '../src/bus/bus.ts';
import { topic } from '../src/bus/topic.ts';
import { createEndpoint } from '../src/core/endpoint.ts';
import { encodeUtf8, type Wire, wireLength } from '../src/core/wire.ts';
import { graphqlServer } from '../src/graphql/server/graphql-server.ts';
import { stompBroker } from '../src/stomp/broker/stomp-broker.ts';
import { ownStorm } from './bench/storm.ts';
import { crash, drain, stormGoals } from './bench/workloads/storm.ts';
import { createFakeClock } from './support/fake-clock.ts';
import { FakeSocket } from './support/fake-socket.ts';

const handshake = { url: '/ws', headers: {}, remoteAddress: '', secure: false };

/** An endpoint with both protocols over one bus, and counters where work is done. */
function createScene() {
  const counts = { decoded: 0, executed: 0 };
  const prices = topic<{ price: number }>('counted-prices', {
    clients: 'readwrite',
    decode(value) {
      counts.decoded++;
      return value as { price: number };
    },
  });
  const bus = createBus({ topics: [prices] });
  const schema = buildSchema('type Query { a: Int } type Subscription { price: Float! }');
  const field = schema.getSubscriptionType()?.getFields()['price'];
  Object.assign(field ?? {}, {
    subscribe: () => bus.subscribe(prices),
    resolve({ price }: { price: number }) {
      counts.executed++;
      return price;
    },
  });
  const clock = createFakeClock();
  const endpoint = createEndpoint({
    clock,
    protocols: [
      graphqlServer({ schema, share: () => 'everybody' }),
      stompBroker({ bus, open: true, heartbeat: { outgoing: 0, incoming: 0 } }),
    ],
  });

  function connect(protocol: string, ...messages: string[]): FakeSocket {
    const socket = new FakeSocket({ protocol });
    const choice = endpoint.choose([protocol]);
    if (choice.kind !== 'speak') throw new Error(`Nobody speaks ${protocol}`);
    socket.receiver = endpoint.accept(socket, handshake, choice.subprotocol);
    for (const message of messages) {
      socket.receiver.received(message);
      clock.flushTurn();
    }
    return socket;
  }

  const subscribe = {
    graphql: () =>
      connect(
        'graphql-transport-ws',
        '{"type":"connection_init"}',
        '{"id":"7","type":"subscribe","payload":{"query":"subscription { price }"}}',
      ),
    stomp: (version: '1.1' | '1.2') =>
      connect(
        `v${version.replace('.', '')}.stomp`,
        `CONNECT\naccept-version:${version}\nhost:h\n\n\0`,
        'SUBSCRIBE\nid:7\ndestination:/topic/counted-prices\n\n\0',
      ),
  };

  return { counts, clock, subscribe, publish: (price: number) => bus.publish(prices, { price }) };
}

/** Subscribers of all three kinds; what they were told so far is taken. */
async function subscribed(scene: ReturnType<typeof createScene>, count: number): Promise<FakeSocket[]> {
  const kinds = [scene.subscribe.graphql, () => scene.subscribe.stomp('1.2'), () => scene.subscribe.stomp('1.1')];
  const sockets = Array.from({ length: count }, (_, index) => (kinds[index % 3] as () => FakeSocket)());
  await scene.clock.settle();
  for (const socket of sockets) socket.writes.length = 0;
  return sockets;
}

test('one message to 10,000 subscribers in three wire forms is decoded and executed once and encoded three times', async () => {
  const scene = createScene();
  const sockets = await subscribed(scene, 10_000);
  await scene.publish(101.25);
  scene.clock.flushTurn();
  const tails = new Set<Uint8Array | undefined>();
  for (const { writes } of sockets) {
    expect(writes.length).toBe(1);
    expect(writes[0]?.length).toBe(1);
    tails.add(writes[0]?.[0]?.tail);
  }
  expect(tails).not.toContain(undefined);
  expect(tails.size).toBe(3);
  expect(scene.counts).toEqual({ decoded: 1, executed: 1 });
});

test('ten messages in one turn leave in one write per socket', async () => {
  const scene = createScene();
  const sockets = await subscribed(scene, 30);
  for (let price = 1; price <= 10; price++) void scene.publish(price);
  scene.clock.flushTurn();
  for (const { writes } of sockets) expect(writes.map((wires) => wires.length)).toEqual([10]);
  expect(scene.counts).toEqual({ decoded: 10, executed: 10 });
});

test('ten small frames cost two bytes each beside their payload, and one write', () => {
  const written: Uint8Array[] = [];
  const socket = {
    writableLength: 0,
    write: (bytes: Uint8Array) => written.push(bytes.slice()),
  } as unknown as RawSocket;
  const wire: Wire = {
    head: '{"id":"7","type":"next","payload":',
    tail: encodeUtf8('{"data":{"price":1}}}'),
    binary: false,
  };
  writeFrames(
    socket,
    Array.from({ length: 10 }, () => wire),
  );
  expect(written.map(({ length }) => length)).toEqual([10 * (2 + wireLength(wire))]);
});

test('a thousand idle connections share one timer', async () => {
  const scene = createScene();
  await subscribed(scene, 1_000);
  expect(scene.clock.armed).toBe(1);
});

test('10,000 clients that are dropped at once come back without a crowd, and none gives up', () => {
  const drained = ownStorm(drain());
  expect(drained.givenUp).toBe(0);
  expect(drained.allBack).toBeLessThanOrEqual(stormGoals.withHint);
  expect(drained.peak).toBeLessThanOrEqual(stormGoals.peak);
  const crashed = ownStorm(crash());
  expect(crashed.givenUp).toBe(0);
  expect(crashed.allBack).toBeLessThanOrEqual(stormGoals.withoutHint);
  expect(crashed.peak).toBeLessThanOrEqual(stormGoals.peak);
});
