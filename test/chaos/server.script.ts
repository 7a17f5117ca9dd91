import { createServer } from 'node:http';
import { makeExecutableSchema } from '@graphql-tools/schema';
import { attach } from '../../src/adapters/attach.ts';
import { createBus } from '../../src/bus/bus.ts';
import { topic } from '../../src/bus/topic.ts';
import { graphqlServer } from '../../src/graphql/index.ts';
import { stompBroker } from '../../src/stomp/index.ts';
import { answer, startedWith } from '../bench/ipc.ts';

/** What a server that is to be maltreated is started with. */
export interface ChaosServerOptions {
  readonly port: number;
  readonly limits?: Readonly<Record<string, number>>;
  /** Of our own proxies in front of it. */
  readonly trustProxy?: number;
}

const { port, limits = {}, trustProxy } = startedWith<ChaosServerOptions>();
const numbers = topic<{ readonly number: number }>('numbers', { clients: 'readwrite' });
const bus = createBus({ topics: [numbers] });
const schema = makeExecutableSchema({
  typeDefs: `type Entry { number: Int! }
    type Query { hello: String! address: String }
    type Subscription { entry: Entry! }`,
  resolvers: {
    Query: { hello: () => 'hello', address: (_: unknown, _args: unknown, { address }: { address: string }) => address },
    Subscription: { entry: { subscribe: () => bus.subscribe(numbers), resolve: (entry: unknown) => entry } },
  },
});
const http = createServer();
const endpoint = attach(http, {
  path: '/ws',
  limits,
  ...(trustProxy === undefined ? {} : { trustProxy }),
  protocols: [
    graphqlServer({ schema, context: ({ handshake }) => ({ address: handshake.remoteAddress }) }),
    stompBroker({ bus, authorize: () => true, heartbeat: { outgoing: 500, incoming: 500 } }),
  ],
});
process.once('SIGTERM', async () => {
  http.close();
  await endpoint.drain({ deadline: 4_000, retryWithin: 300 });
  process.exit(0);
});
http.listen({ port, host: '127.0.0.1', backlog: 4_096 }, () => {
  answer({
    stats: () => endpoint.stats(),
    /** Nothing else runs for so many ms. */
    stall(ms: number) {
      const until = performance.now() + ms;
      while (performance.now() < until);
    },
    heap() {
      globalThis.gc?.();
      globalThis.gc?.();
      return process.memoryUsage().heapUsed;
    },
  });
});
