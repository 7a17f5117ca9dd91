import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { makeExecutableSchema } from '@graphql-tools/schema';
import { attach } from '../../src/adapters/attach.ts';
import { createBus } from '../../src/bus/bus.ts';
import { topic } from '../../src/bus/topic.ts';
import { connectionLimits } from '../../src/core/limits.ts';
import type { ShownCredentials } from '../../src/core/subprotocol.ts';
import { graphqlServer } from '../../src/graphql/index.ts';
import { graphqlLimits } from '../../src/graphql/server/limits.ts';
import { brokerLimits } from '../../src/stomp/broker/limits.ts';
import { stompBroker } from '../../src/stomp/index.ts';
import { answer, startedWith } from '../bench/ipc.ts';

/** What an attack may ask of the server that it is run against; otherwise all options are the defaults. */
export interface AttackedOptions {
  /** Of any table; names that a table does not have (yet) are left out. */
  readonly limits?: Readonly<Record<string, number>>;
  /** How many files and sockets the process may have open. */
  readonly descriptors?: number;
  /** `authenticate` never answers some. */
  readonly silent?: boolean;
}

/** What the server process saw since it was asked to begin. */
export interface ServerReport {
  /** The worst delay of the event loop, in ms. */
  readonly delay: number;
  /** The most processor time that was used between two ticks of 5 ms: the longest turn, in ms. */
  readonly turn: number;
  /** Above what it was at the beginning, at its highest, and after a collection at the end; MiB. */
  readonly peak: number;
  readonly kept: number;
  readonly rss: number;
  /** How often the application's `onError` was called. */
  readonly reports: number;
  readonly firstReport: string;
  readonly open: number;
  readonly faults: Readonly<Record<string, number>>;
  /** What escaped: there must be nothing. */
  readonly escaped: readonly string[];
}

const { limits = {}, silent = false } = startedWith<AttackedOptions>();
const escaped: string[] = [];
for (const event of ['uncaughtException', 'unhandledRejection']) {
  process.on(event, (error: Error) => void escaped.push(String(error.stack ?? error)));
}

const known = (table: object): Record<string, number> =>
  Object.fromEntries(Object.entries(limits).filter(([name]) => Object.hasOwn(table, name)));

interface Tick {
  readonly text: string;
}
const ticks = topic<Tick>('ticks', { clients: 'readwrite' });
let reports = 0;
let firstReport = '';
function onError(error: unknown): void {
  reports++;
  firstReport ||= String(error);
}
const bus = createBus({ topics: [ticks], onError });
const schema = makeExecutableSchema({
  typeDefs: `type Tick { text: String! }
    type Query { hello(name: String): String! a: Query }
    type Subscription { tick: Tick! idle: Int }`,
  resolvers: {
    Query: { hello: (_: unknown, { name = 'world' }: { name?: string }) => `hello ${name}`, a: () => ({}) },
    Subscription: {
      tick: { subscribe: () => bus.subscribe(ticks), resolve: (tick: Tick) => tick },
      idle: { subscribe: () => bus.subscribe(topic('idle')) },
    },
  },
});
const broker = stompBroker({ bus, authorize: () => true, limits: known(brokerLimits) });
const http = createServer();
const endpoint = attach(http, {
  path: '/ws',
  protocols: [graphqlServer({ schema, limits: known(graphqlLimits) }), broker],
  limits: known(connectionLimits),
  ...(silent ? { authenticate: isHeard } : {}),
  onError,
});

/** Who names the host `silent`, or sends an init without a payload, is never answered. */
function isHeard({ host, connectionParams }: ShownCredentials): true | Promise<true> {
  return host === 'silent' || (host === undefined && !connectionParams) ? new Promise<true>(() => {}) : true;
}

const delays = monitorEventLoopDelay({ resolution: 5 });
delays.enable();
const memory = { heap: 0, rss: 0, peakHeap: 0, peakRss: 0 };
const used = (): number => process.memoryUsage().heapUsed + process.memoryUsage().external;
// What the process itself used between two ticks: unlike a delay it does not grow when others have the processor.
const turn = { used: 0, longest: 0 };
const cpu = (): number => process.cpuUsage().user + process.cpuUsage().system;
setInterval(() => {
  const now = cpu();
  turn.longest = Math.max(turn.longest, now - turn.used);
  turn.used = now;
}, 5).unref();
setInterval(sample, 20).unref();

function sample(): void {
  try {
    memory.peakHeap = Math.max(memory.peakHeap, used());
    memory.peakRss = Math.max(memory.peakRss, process.memoryUsage.rss());
  } catch {
    // It is read from a file, and there may be no descriptor left.
  }
}

const portOf = (server: Server): number => (server.address() as AddressInfo).port;
const mib = (bytes: number): number => Math.round(bytes / 104_857.6) / 10;

/** What the application does when an attack asks for it. */
const deeds = {
  /** So many messages of so many characters as fast as they are taken. Resolves with the longest that one took, in ms. */
  async publish({ count, size }: { readonly count: number; readonly size: number }) {
    const text = 'x'.repeat(size);
    let longest = 0;
    for (let sent = 0; sent < count; sent++) {
      const began = performance.now();
      await bus.publish(ticks, { text });
      longest = Math.max(longest, performance.now() - began);
      // Publishers live in turns of the loop.
      if (sent % 8 === 7) await new Promise((resolve) => setImmediate(resolve));
    }
    return longest;
  },
  /** Everything that an application can get wrong when it hands something over. */
  async misuse() {
    const encoder = new TextEncoder();
    const wrong: readonly unknown[] = [undefined, null, 5, -1, Number.NaN, {}, [], () => {}, Symbol('s'), new Map()];
    const attempt = async (run: () => unknown): Promise<void> => {
      try {
        await run();
      } catch {
        // That is what it is for.
      }
    };
    const send = broker.send as (destination: unknown, message: unknown) => unknown;
    for (const each of wrong) {
      await attempt(() => send('/topic/ticks', { body: each }));
      await attempt(() => send('/topic/ticks', { body: '{"text":"a"}', headers: { 'x-wrong': each } }));
      await attempt(() => send('/topic/ticks', { body: '{"text":"a"}', contentType: each }));
      await attempt(() => send(each, { body: 'a' }));
      await attempt(() => send('/topic/ticks', each));
      await attempt(() => bus.publish('ticks', each as never));
      await attempt(() =>
        bus.publish('ticks', encoder.encode('{"text":"a"}'), { headers: { 'x-wrong': each } } as never),
      );
      await attempt(() => bus.publish('ticks', encoder.encode('{"text":"a"}'), { contentType: each } as never));
      await attempt(() => bus.publish(each as never, '{"text":"a"}'));
    }
    await bus.publish(ticks, { text: 'good' });
  },
};

const control = createServer(async (request, response) => {
  let text = '';
  for await (const part of request) text += part;
  const deed = deeds[(request.url ?? '').slice(1) as keyof typeof deeds];
  response.end(JSON.stringify((await deed(JSON.parse(text) as never)) ?? null));
});
await new Promise<void>((resolve) => control.listen(0, '127.0.0.1', resolve));

http.listen({ port: 0, host: '127.0.0.1', backlog: 4_096 }, () => {
  answer(
    {
      begin() {
        globalThis.gc?.();
        delays.reset();
        turn.longest = 0;
        turn.used = cpu();
        reports = 0;
        firstReport = '';
        memory.heap = memory.peakHeap = used();
        memory.peakRss = 0;
        sample();
      },
      end(): ServerReport {
        sample();
        const delay = Math.round(delays.max / 1e6);
        const { open, faults } = endpoint.stats();
        globalThis.gc?.();
        return {
          delay,
          turn: Math.round(turn.longest / 1_000),
          peak: mib(memory.peakHeap - memory.heap),
          kept: mib(used() - memory.heap),
          rss: mib(memory.peakRss),
          reports,
          firstReport,
          open,
          faults,
          escaped,
        };
      },
    },
    { port: portOf(http), controlPort: portOf(control) },
  );
});
