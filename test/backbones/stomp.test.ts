import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { tcp } from '../../src/adapters/tcp.ts';
import { stompBackbone } from '../../src/backbones/stomp.ts';
import { subjectOf } from '../../src/backbones/subjects.ts';
import { createStompClient } from '../../src/stomp/client/client.ts';
import { startFaultProxy } from '../support/fault-proxy.ts';
import { startActiveMq } from '../support/programs/activemq.ts';
import { freePort } from '../support/programs/program.ts';
import { startRabbitMq } from '../support/programs/rabbitmq.ts';
import { describeContract } from './contract.ts';
import type { SmallHistory, World } from './world.ts';

const abilities = {
  ids: true,
  positions: false,
  patterns: 'broker',
  queues: true,
  history: false,
  maxBody: 8_388_608,
} as const;

const login = { login: 'guest', passcode: 'guest' };

interface RunningBroker {
  readonly port: number;
  kill(): Promise<void>;
  stop(): Promise<void>;
  signal(name: 'SIGSTOP' | 'SIGCONT'): Promise<void>;
}

async function world(
  broker: 'rabbitmq' | 'activemq',
  { hasty = false }: SmallHistory,
  start: (options?: { readonly port?: number; readonly storeIn?: string }) => Promise<RunningBroker>,
): Promise<World> {
  const storeIn = await mkdtemp(join(tmpdir(), `subwire-${broker}-`));
  let running = await start({ storeIn });
  const { port } = running;
  const proxyPort = await freePort();
  const proxy = await startFaultProxy(proxyPort, port);
  const transport = tcp({ port: proxyPort });
  const backoff = { base: 50, cap: 100 };
  const beats = hasty ? { heartbeatIncoming: 500, heartbeatOutgoing: 500 } : {};
  return {
    backbone: ({ prefix, clock } = {}) =>
      stompBackbone({ broker, prefix, clock, client: { transport, connectHeaders: login, backoff, ...beats } }),
    async writeForeign(topic, bytes) {
      const writer = createStompClient({ transport, connectHeaders: login });
      const destination = `/topic/subwire.${subjectOf(topic, '#')}`;
      await writer.publish({ destination, body: bytes, receipt: true });
      await writer.dispose();
    },
    faults: {
      kill: () => running.kill(),
      async restart() {
        running = await start({ port, storeIn });
      },
      stop: () => void running.signal('SIGSTOP'),
      resume: () => void running.signal('SIGCONT'),
      cut: proxy.cut,
      swallowAnswers: proxy.swallowAnswers,
      freeze: proxy.freeze,
      thaw: proxy.thaw,
    },
    async close() {
      await proxy.close();
      await running.stop();
      await rm(storeIn, { recursive: true, force: true });
    },
  };
}

const inOrderOfPublishers = 'the broker keeps the order of each publisher alone';

describeContract({
  name: 'stomp, ActiveMQ',
  program: 'activemq',
  abilities,
  durable: false,
  shared: true,
  world: (options = {}) => world('activemq', options, startActiveMq),
  unclaimed: { 16: inOrderOfPublishers, 30: 'it takes more than 10 s for so many topics' },
});

describeContract({
  name: 'stomp, RabbitMQ',
  program: 'rabbitmq',
  abilities,
  durable: false,
  shared: true,
  world: (options = {}) => world('rabbitmq', options, startRabbitMq),
  unclaimed: { 16: inOrderOfPublishers },
  slow: {
    cases: [30, 47, 48, 49, 50, 51, 53, 54, 55, 56, 76, 77],
    because: 'they begin with a broker of their own, which takes 7 s to start, or with 10,000 topics',
  },
});

test('what is wrong names itself', () => {
  const client = { transport: tcp({ port: 1 }) };
  expect(() => stompBackbone({ broker: 'qpid', client } as never)).toThrow("broker must be 'rabbitmq' or 'activemq'");
  expect(() => stompBackbone({ broker: 'rabbitmq', client: undefined as never })).toThrow('client must be options of');
  expect(() => stompBackbone({ broker: 'rabbitmq', client, prefix: 'a.b' })).toThrow('prefix must be made of letters');
});
