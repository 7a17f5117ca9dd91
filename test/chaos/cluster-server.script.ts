import { createServer } from 'node:http';
import { makeExecutableSchema } from '@graphql-tools/schema';
import { attach } from '../../src/adapters/attach.ts';
import { tcp } from '../../src/adapters/tcp.ts';
import { localBackbone } from '../../src/backbones/local.ts';
import { natsBackbone, natsCoreBackbone } from '../../src/backbones/nats.ts';
import { redisBackbone } from '../../src/backbones/redis.ts';
import { stompBackbone } from '../../src/backbones/stomp.ts';
import type { Backbone } from '../../src/bus/backbone.ts';
import { createBus } from '../../src/bus/bus.ts';
import { topic } from '../../src/bus/topic.ts';
import { graphqlServer } from '../../src/graphql/index.ts';
import { stompBroker } from '../../src/stomp/index.ts';
import { answer, startedWith } from '../bench/ipc.ts';
import { natsPackage } from '../support/nats-clients.ts';
import { nodeRedisClient } from '../support/redis-clients.ts';

/** Where a server of a cluster finds the others. */
export type BackboneAddress =
  | { readonly kind: 'local'; readonly address: string }
  | { readonly kind: 'redis'; readonly port: number; readonly host?: string; readonly durable: boolean }
  | { readonly kind: 'nats' | 'nats-core'; readonly port: number }
  | { readonly kind: 'rabbitmq' | 'activemq'; readonly port: number; readonly host?: string };

/** What one server of a cluster is started with. */
export interface ClusterServerOptions {
  readonly port: number;
  readonly backbone: BackboneAddress;
}

async function backboneOf(given: BackboneAddress): Promise<Backbone> {
  switch (given.kind) {
    case 'local':
      return localBackbone({ address: given.address });
    case 'redis':
      return redisBackbone({ client: (await nodeRedisClient(given))(), durable: given.durable });
    case 'nats':
    case 'nats-core': {
      const { connect, headers } = await natsPackage();
      const servers = `127.0.0.1:${given.port}`;
      const options = { servers, maxReconnectAttempts: -1, reconnectTimeWait: 50, waitOnFirstConnect: true };
      const connection = await connect(options);
      if (given.kind === 'nats-core') return natsCoreBackbone({ connection });
      return natsBackbone({ connection, headers, ackWait: 2_000 });
    }
    default: {
      const connectHeaders = { login: 'guest', passcode: 'guest' };
      const backoff = { base: 50, cap: 200 };
      const client = { transport: tcp({ port: given.port, host: given.host }), connectHeaders, backoff };
      return stompBackbone({ broker: given.kind, client });
    }
  }
}

const { port, backbone } = startedWith<ClusterServerOptions>();
const numbers = topic<{ readonly number: number }>('numbers', { clients: 'readwrite' });
const bus = createBus({ backbone: await backboneOf(backbone), topics: [numbers], onError() {} });
const schema = makeExecutableSchema({
  typeDefs: 'type Entry { number: Int! } type Query { hello: String } type Subscription { entry: Entry! }',
  resolvers: {
    Subscription: { entry: { subscribe: () => bus.subscribe(numbers), resolve: (entry: unknown) => entry } },
  },
});
const http = createServer();
const endpoint = attach(http, {
  bus,
  path: '/ws',
  onError() {},
  protocols: [
    graphqlServer({ schema }),
    stompBroker({ bus, authorize: () => true, heartbeat: { outgoing: 1_000, incoming: 1_000 } }),
  ],
});
process.once('SIGTERM', async () => {
  http.close();
  await endpoint.drain({ deadline: 3_000, retryWithin: 200 });
  await bus.close();
  process.exit(0);
});
http.listen({ port, host: '127.0.0.1' }, () => answer({ gaps: () => bus.stats().gaps }));
