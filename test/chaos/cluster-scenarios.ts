import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { startLocalHub } from '../../src/backbones/local.ts';
import { type Child, startChild } from '../bench/ipc.ts';
import { bundle } from '../support/bundle.ts';
import { startActiveMq } from '../support/programs/activemq.ts';
import { startNats } from '../support/programs/nats.ts';
import { freePort, type ProgramName } from '../support/programs/program.ts';
import { startRabbitMq } from '../support/programs/rabbitmq.ts';
import { startRedis } from '../support/programs/redis.ts';
import { consumerOf, inTurn, publisherOf, readersOfCluster } from './cluster-clients.ts';
import type { BackboneAddress, ClusterServerOptions } from './cluster-server.script.ts';
import { type Balance, Ledger } from './ledger.ts';
import { startPartitionedRabbitMq, startPartitionedRedis } from './partition.ts';

/** What the servers of a cluster share, and what can be done to it. */
export interface ClusterBroker {
  readonly address: BackboneAddress;
  /** kill -9, and started again with what it kept. */
  crash(): Promise<void>;
  /** It stands still for so many ms. */
  freeze(ms: number): Promise<void>;
  close(): Promise<void>;
}

interface Running {
  readonly port: number;
  kill(): Promise<void>;
  stop(): Promise<void>;
  signal(name: 'SIGSTOP' | 'SIGCONT'): Promise<void>;
}

/** A program that keeps what it confirmed in a directory. */
async function brokerOf(
  start: (options: { readonly port?: number; readonly storeIn: string }) => Promise<Running>,
  address: (port: number) => BackboneAddress,
): Promise<ClusterBroker> {
  const storeIn = await mkdtemp(join(tmpdir(), 'subwire-cluster-'));
  let running = await start({ storeIn });
  const { port } = running;
  return {
    address: address(port),
    async crash() {
      await running.kill();
      await setTimeout(100);
      running = await start({ port, storeIn });
    },
    async freeze(ms) {
      await running.signal('SIGSTOP');
      await setTimeout(ms);
      await running.signal('SIGCONT');
    },
    async close() {
      await running.stop();
      await rm(storeIn, { recursive: true, force: true });
    },
  };
}

/** The hub in this process: it cannot be killed alone. */
async function localHub(): Promise<ClusterBroker> {
  const hub = await startLocalHub();
  const nothing = async (): Promise<void> => {};
  return {
    address: { kind: 'local', address: hub.address },
    crash: nothing,
    freeze: nothing,
    close: () => hub.close(),
  };
}

interface Brokers {
  readonly start: () => Promise<ClusterBroker>;
  readonly program?: ProgramName;
}

const brokers = {
  local: { start: localHub },
  'redis on disk': {
    start: () =>
      brokerOf(
        ({ storeIn, ...rest }) => startRedis({ ...rest, appendTo: storeIn }),
        (port) => ({ kind: 'redis', port, durable: true }),
      ),
    program: 'redis',
  },
  'redis in memory': {
    start: () =>
      brokerOf(
        ({ storeIn: _, ...rest }) => startRedis(rest),
        (port) => ({ kind: 'redis', port, durable: false }),
      ),
    program: 'redis',
  },
  nats: { start: () => brokerOf(startNats, (port) => ({ kind: 'nats', port })), program: 'nats' },
  'nats without a stream': {
    start: () => brokerOf(startNats, (port) => ({ kind: 'nats-core', port })),
    program: 'nats',
  },
  activemq: { start: () => brokerOf(startActiveMq, (port) => ({ kind: 'activemq', port })), program: 'activemq' },
  rabbitmq: { start: () => brokerOf(startRabbitMq, (port) => ({ kind: 'rabbitmq', port })), program: 'rabbitmq' },
} as const satisfies Readonly<Record<string, Brokers>>;

type BrokerName = keyof typeof brokers;

/** Three servers on one broker. */
export class Cluster {
  readonly broker: ClusterBroker;
  readonly ports: number[] = [];
  readonly #servers: Child<unknown>[] = [];

  constructor(broker: ClusterBroker) {
    this.broker = broker;
  }

  get urls(): string[] {
    return this.ports.map((port) => `ws://127.0.0.1:${port}/ws`);
  }

  async start(): Promise<this> {
    for (let index = 0; index < 3; index++) this.ports.push(await freePort());
    await Promise.all(this.ports.map((_, index) => this.startServer(index)));
    return this;
  }

  async startServer(index: number): Promise<void> {
    const options: ClusterServerOptions = { port: this.ports[index] as number, backbone: this.broker.address };
    this.#servers[index] = await startChild(await bundle('test/chaos/cluster-server.script.ts'), options);
  }

  signal(index: number, name: NodeJS.Signals): void {
    process.kill((this.#servers[index] as Child<unknown>).pid, name);
  }

  /** kill -9 of one server, and a new one on its port. */
  async crashServer(index: number): Promise<void> {
    this.signal(index, 'SIGKILL');
    await setTimeout(200);
    await this.startServer(index);
  }

  async close(): Promise<void> {
    await Promise.all(this.#servers.map((server) => server.stop()));
    await this.broker.close();
  }
}

type Fault = (cluster: Cluster) => Promise<void>;

const killServers: Fault = async (cluster) => {
  for (const index of [0, 1]) {
    await cluster.crashServer(index);
    await setTimeout(500);
  }
};
const faults = {
  'kill -9 of a server': (cluster) => cluster.crashServer(0),
  'kill -9 of two servers, one after the other': killServers,
  'SIGSTOP of a server for 2 s': async (cluster) => {
    cluster.signal(1, 'SIGSTOP');
    await setTimeout(2_000);
    cluster.signal(1, 'SIGCONT');
  },
  'a rolling restart': async (cluster) => {
    for (const index of [0, 1, 2]) {
      cluster.signal(index, 'SIGTERM');
      await setTimeout(1_000);
      await cluster.startServer(index);
    }
  },
  'kill -9 of the broker': ({ broker }) => broker.crash(),
  'SIGSTOP of the broker for 2 s': ({ broker }) => broker.freeze(2_000),
} as const satisfies Readonly<Record<string, Fault>>;

type FaultName = keyof typeof faults;

/** Readers of four kinds and a publisher on three servers, while something happens to them. */
export async function topicsUnder(start: () => Promise<ClusterBroker>, fault: Fault, readers = 8): Promise<Balance> {
  const cluster = new Cluster(await start());
  try {
    await cluster.start();
    const ledger = new Ledger();
    const all = readersOfCluster(cluster.urls, ledger, readers);
    await Promise.all(all.map(({ live }) => live));
    const source = publisherOf(inTurn(cluster.urls, 0), ledger, 5);
    await setTimeout(500);
    await fault(cluster);
    await setTimeout(1_500);
    await source.end();
    await setTimeout(500);
    await Promise.all(all.map((reader) => reader.end()));
    return ledger.balance();
  } finally {
    await cluster.close();
  }
}

/** Consumers and publishers of one queue on three servers. */
async function queueUnder(start: () => Promise<ClusterBroker>, fault: Fault): Promise<Balance> {
  const cluster = new Cluster(await start());
  try {
    await cluster.start();
    const ledger = new Ledger();
    const known = new Set<number>();
    const all = [0, 1, 2].map((index) => consumerOf(inTurn(cluster.urls, index), ledger, '/queue/work', known));
    await Promise.all(all.map(({ live }) => live));
    const sources = [0, 1].map((index) => publisherOf(inTurn(cluster.urls, index), ledger, 8, '/queue/work'));
    await setTimeout(500);
    await fault(cluster);
    await setTimeout(1_500);
    await Promise.all(sources.map((source) => source.end()));
    // What a server had that was killed comes when its time is over.
    const deadline = performance.now() + 15_000;
    while (ledger.queueBalance().lost > 0 && performance.now() < deadline) await setTimeout(100);
    await Promise.all(all.map((reader) => reader.end()));
    return { ...ledger.queueBalance(), swapped: 0 };
  } finally {
    await cluster.close();
  }
}

/** A bad day of three servers. */
export interface ClusterScenario {
  readonly name: string;
  /** What has to be installed. */
  readonly program?: ProgramName | undefined;
  /** A message may come again to somebody else, though nobody says so: the broker forgot that it handed it out. */
  readonly again: boolean;
  /** It is part of `npm test`. */
  readonly short: boolean;
  run(): Promise<Balance>;
}

function scenario(broker: BrokerName, fault: FaultName, short = false): ClusterScenario {
  const { start, program }: Brokers = brokers[broker];
  return {
    name: `three servers on ${broker}: ${fault}`,
    program,
    short,
    again: false,
    run: () => topicsUnder(start, faults[fault]),
  };
}

function queue(broker: BrokerName, fault: FaultName, short = false): ClusterScenario {
  const { start, program }: Brokers = brokers[broker];
  return {
    name: `a queue of three servers on ${broker}: ${fault}`,
    program,
    short,
    again: true,
    run: () => queueUnder(start, faults[fault]),
  };
}

function partition(
  program: ProgramName,
  broker: BrokerName,
  start: () => Promise<ClusterBroker>,
  ms: number,
): ClusterScenario {
  return {
    name: `three servers on ${broker}: the network is gone for ${ms / 1_000} s`,
    ...{ program, short: false, again: false },
    run: () =>
      topicsUnder(start, async (cluster) => {
        await cluster.broker.freeze(ms);
        // TCP comes back when it tries again.
        await setTimeout(Math.min(8_000, 2_000 + ms));
      }),
  };
}

const ofServers = [
  'kill -9 of two servers, one after the other',
  'SIGSTOP of a server for 2 s',
  'a rolling restart',
] as const;
const ofBrokers = ['kill -9 of the broker', 'SIGSTOP of the broker for 2 s'] as const;
const withBrokers = [
  'redis on disk',
  'redis in memory',
  'nats',
  'nats without a stream',
  'activemq',
  'rabbitmq',
] as const;

/** The bad days of clusters: `npm run chaos` runs all of them. */
export const clusterScenarios: readonly ClusterScenario[] = [
  // These are a part of `npm test`.
  scenario('local', 'kill -9 of a server', true),
  scenario('redis on disk', 'kill -9 of a server', true),
  queue('nats', 'kill -9 of a server', true),
  ...ofServers.map((fault) => scenario('local', fault)),
  ...withBrokers.flatMap((broker) => [
    ...ofServers.map((fault) => scenario(broker, fault)),
    ...ofBrokers.map((fault) => scenario(broker, fault)),
  ]),
  ...(['nats', 'activemq', 'rabbitmq'] as const).flatMap((broker) => [
    queue(broker, ofServers[0]),
    queue(broker, ofBrokers[0]),
  ]),
  ...[1_000, 5_000, 30_000, 130_000].flatMap((ms) => [
    partition('redis', 'redis on disk', startPartitionedRedis, ms),
    partition('rabbitmq', 'rabbitmq', startPartitionedRabbitMq, ms),
  ]),
];
