import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { makeExecutableSchema } from '@graphql-tools/schema';
import { generate } from 'mqtt-packet';
import { afterEach, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { attach } from '../../src/adapters/attach.ts';
import { type Bus, createBus } from '../../src/bus/bus.ts';
import { topic } from '../../src/bus/topic.ts';
import type { Endpoint } from '../../src/core/endpoint.ts';
import { graphqlServer } from '../../src/graphql/index.ts';
import { mqttBroker } from '../../src/mqtt/index.ts';
import { stompBroker } from '../../src/stomp/index.ts';

/** How a reader reads: all that comes, 64 KiB every 5 ms or so, or nothing. */
type Pace = 'fast' | 'steady' | 'never';

const sockets: WebSocket[] = [];
let endpoint: Endpoint | undefined;

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.terminate();
  await endpoint?.close();
});

/** What a client says to hear the topic, by its subprotocol; and what it is answered last. */
const subscribing = {
  'v12.stomp': {
    says: [
      'CONNECT\naccept-version:1.2\nhost:here\nheart-beat:0,0\n\n\0',
      'SUBSCRIBE\nid:1\ndestination:/topic/a\nreceipt:r\n\n\0',
    ],
    answer: 'RECEIPT',
  },
  'v11.stomp': {
    says: [
      'CONNECT\naccept-version:1.1\nhost:here\nheart-beat:0,0\n\n\0',
      'SUBSCRIBE\nid:1\ndestination:/topic/*\nreceipt:r\n\n\0',
    ],
    answer: 'RECEIPT',
  },
  'graphql-transport-ws': {
    says: ['{"type":"connection_init"}', '{"type":"subscribe","id":"1","payload":{"query":"subscription { a }"}}'],
    answer: '{"type":"connection_ack"}',
  },
  mqtt: {
    says: [
      generate({ cmd: 'connect', clientId: '', clean: true, protocolId: 'MQTT', protocolVersion: 4, keepalive: 0 }),
      generate({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: '+', qos: 0 }] }),
    ],
    answer: '\x90',
  },
} as const;

type Subprotocol = keyof typeof subscribing;

const schema = (bus: Bus) =>
  makeExecutableSchema({
    typeDefs: 'type Query { a: String } type Subscription { a: String }',
    resolvers: {
      Subscription: {
        a: {
          subscribe: () => bus.subscribe(text),
          resolve: (value: string) => value,
        },
      },
    },
  });

const text = topic<string>('a', { clients: 'read' });

async function scene(paces: readonly Pace[], slowPublishers: boolean, subprotocol: Subprotocol = 'v12.stomp') {
  const bus = createBus({ open: true, slowPublishers, topics: [text] });
  const server = createServer();
  const protocols = [stompBroker({ bus }), mqttBroker({ bus }), graphqlServer({ schema: schema(bus) })];
  endpoint = attach(server, { path: '/ws', protocols });
  server.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  await Promise.all(paces.map((pace) => subscribe(port, pace, subprotocol)));
  return { bus, server };
}

/** A reader over a socket of its own. */
async function subscribe(port: number, pace: Pace, subprotocol: Subprotocol): Promise<void> {
  const { says, answer } = subscribing[subprotocol];
  const socket = new WebSocket(`ws://127.0.0.1:${port}/ws`, subprotocol, { perMessageDeflate: false });
  sockets.push(socket);
  socket.on('error', () => {});
  await new Promise((resolve) => socket.once('open', resolve));
  const answered = new Promise<void>((resolve) => {
    socket.on('message', (data: Buffer) => data.toString('latin1').startsWith(answer) && resolve());
  });
  for (const each of says) socket.send(each);
  await answered;
  if (pace === 'never') socket.pause();
  if (pace !== 'steady') return;
  socket.on('message', async () => {
    socket.pause();
    await wait(5);
    socket.resume();
  });
}

/** Publish for so many ms; how long each call took, in ms. */
async function publishFor(ms: number, publish: () => Promise<unknown>): Promise<number[]> {
  const waits: number[] = [];
  for (const end = performance.now() + ms; performance.now() < end; ) {
    const start = performance.now();
    await publish();
    waits.push(performance.now() - start);
    await wait(1);
  }
  return waits;
}

const sum = (values: readonly number[]): number => values.reduce((total, each) => total + each, 0);

describe('[BUS-38] over sockets', () => {
  const body = Buffer.from(JSON.stringify('x'.repeat(65_534)));

  test.each(Object.keys(subscribing) as Subprotocol[])(
    'publishers wait for a reader of %s that is slow and reads on, for so long and no longer; nobody is cut',
    async (subprotocol) => {
      const { bus } = await scene(['fast', 'fast', 'steady'], true, subprotocol);
      const waits = await publishFor(1_800, () => bus.publish('a', body));
      // The exact bounds are those of test/bus/slow-readers.test.ts: a machine that does other work is late itself.
      expect(Math.max(...waits)).toBeGreaterThan(40);
      expect(Math.max(...waits)).toBeLessThan(1_000);
      const waited = waits.filter((ms) => ms > 15);
      expect(sum(waited)).toBeGreaterThan(250);
      expect(sockets.map(({ readyState }) => readyState)).toEqual([1, 1, 1]);
    },
  );

  test.each([
    ['whom nobody waits for who reads nothing', ['fast', 'fast', 'never'], true],
    ['half of the readers being slow', ['fast', 'steady'], true],
    ['slowPublishers being false', ['fast', 'fast', 'steady'], false],
  ] as const)('publishers do not wait: %s', async (_, paces, slowPublishers) => {
    const { bus } = await scene(paces, slowPublishers);
    const waits = await publishFor(1_000, () => bus.publish('a', body));
    expect(waits.filter((ms) => ms > 200)).toEqual([]);
  });
});
