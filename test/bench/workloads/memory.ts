import { setTimeout as wait } from 'node:timers/promises';
import { startServer } from '../arena.ts';
import { startChild } from '../ipc.ts';
import type { Dialect } from '../load/dialect.ts';
import { program } from '../peers.ts';
import { queries } from '../servers/events.ts';
import { digits, median, type Table } from '../table.ts';
import { type Contender, present, type Workload } from '../workload.ts';
import { graphqlGreeting, subscribeMessage } from './graphql-fan-out.ts';
import { stompGreeting } from './stomp-topic.ts';

interface Idler extends Contender {
  readonly server: string;
  readonly options?: object;
  readonly dialect: Omit<Dialect, 'port'>;
}

const idle = { kind: 'tick', burst: 1 };
const graphql = { ...graphqlGreeting, subscribe: subscribeMessage(queries.tick) };
const stomp = { path: '/ws', ...stompGreeting, subscribe: 'SUBSCRIBE\nid:$id\ndestination:/topic/prices\n\n\0' };

const contenders: readonly Idler[] = [
  {
    label: 'subwire',
    server: 'subwire-graphql',
    needs: ['graphql'],
    options: { ...idle, share: true },
    dialect: graphql,
  },
  { label: 'subwire stomp', server: 'subwire-stomp', needs: [], dialect: stomp },
  { label: 'raw ws', server: 'raw-ws', needs: ['ws'], options: idle, dialect: { path: '/ws', subscribe: 'subscribe' } },
  {
    label: 'graphql-ws',
    server: 'graphql-ws',
    needs: ['graphql-ws', 'ws', 'graphql'],
    options: idle,
    dialect: graphql,
  },
  { label: 'mercurius', server: 'mercurius', needs: ['mercurius', 'fastify'], options: idle, dialect: graphql },
  { label: 'stomp-broker-js', server: 'stomp-broker-js', needs: ['stomp-broker-js'], dialect: stomp },
  { label: 'RabbitMQ', server: 'rabbitmq', needs: ['rabbitmq-server'], dialect: stomp },
];

/** What the issue allows, in KiB. */
const allowed = 9;
const warmUp = 200;
/** With fewer, the figure is that of V8's young generation, which their arrival makes grow by about 10 MiB in all. */
const many = 10_000;

export const memory: Workload = {
  name: 'memory',
  async run(scale): Promise<Table> {
    const sockets = scale.quick ? 100 : many;
    const taking = present(contenders, scale);
    const rows: string[][] = [];
    for (const contender of taking.present) {
      const figures: number[] = [];
      // Each round is a new process, so that none is measured on the heap that another one left.
      for (let round = 0; round < Math.min(3, scale.rounds); round++)
        figures.push(await perConnection(contender, sockets));
      const kib = median(figures);
      const verdict = contender.label === 'subwire' ? ` (${kib <= allowed ? 'reached' : 'MISSED'}: ≤ ${allowed})` : '';
      rows.push([contender.label, `${digits(kib)}${verdict}`]);
    }
    const title = `Memory of an idle connection with init/ack and one subscription, of ${sockets}`;
    return { title, columns: ['', 'KiB RSS'], rows, notes: taking.notes };
  },
};

async function perConnection(contender: Idler, sockets: number): Promise<number> {
  const server = await startServer(contender);
  const load = await startChild(program('load/load'), {});
  const dialect = { port: server.port, ...contender.dialect };
  const rss = async (): Promise<number> => {
    await wait(300);
    await server.collect();
    await wait(100);
    await server.collect();
    return (await server.usage()).rss;
  };
  try {
    // What the first connections load and compile is not theirs.
    await load.ask('idle', { dialect, sockets: warmUp });
    const before = await rss();
    await load.ask('idle', { dialect, sockets });
    return ((await rss()) - before) / sockets / 1_024;
  } finally {
    await Promise.all([load.stop(), server.stop()]);
  }
}
