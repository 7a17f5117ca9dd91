/**
 * One endpoint, two protocols, one topic: what a STOMP client sends, a GraphQL subscription receives, and a GraphQL
 * mutation reaches the STOMP client. Run: npx tsx examples/bridge.ts
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { makeExecutableSchema } from '@graphql-tools/schema';
import { attach, createBus, topic } from 'subwire';
import { graphqlServer } from 'subwire/graphql';
import { createClient } from 'subwire/graphql/client';
import { stompBroker } from 'subwire/stomp';
import { createStompClient } from 'subwire/stomp/client';

interface Reading {
  readonly sensor: string;
  readonly celsius: number;
}

const readings = topic<Reading>('readings', { decode: parseReading, clients: 'readwrite' });
const bus = createBus({
  topics: [readings],
  onError: (error) => console.log('passed over:', (error as Error).message),
});

/** Sensors are not trusted: what is no reading is reported, and no subscription sees it. */
function parseReading(value: unknown): Reading {
  const { sensor, celsius } = (value ?? {}) as Record<string, unknown>;
  if (typeof sensor !== 'string' || typeof celsius !== 'number') throw new TypeError('not a reading');
  return { sensor, celsius };
}

const schema = makeExecutableSchema({
  typeDefs: /* GraphQL */ `
    type Reading { sensor: String! celsius: Float! }
    type Query { topics: [String!]! }
    type Mutation { calibrate(sensor: String!): Boolean! }
    type Subscription { readings: Reading! }
  `,
  resolvers: {
    Query: { topics: () => [readings.name] },
    Mutation: {
      async calibrate(_root: unknown, { sensor }: { sensor: string }) {
        await bus.publish(readings, { sensor, celsius: 0 });
        return true;
      },
    },
    Subscription: { readings: { subscribe: () => bus.subscribe(readings), resolve: (reading: Reading) => reading } },
  },
});

const http = createServer();
const endpoint = attach(http, { path: '/ws', protocols: [graphqlServer({ schema }), stompBroker({ bus })] });
http.listen(0, '127.0.0.1');
await once(http, 'listening');
const url = `ws://127.0.0.1:${(http.address() as AddressInfo).port}/ws`;

const web = createClient({ url });
const sensor = createStompClient({ url });
await sensor.connect();

const toStomp = new Promise<void>((resolve) => {
  sensor.subscribe('/topic/readings', (message) => {
    console.log(`STOMP    ${message.body}`);
    if (message.headers.get('content-type') === 'application/json') resolve();
  });
});
const toGraphql = (async () => {
  for await (const { data } of web.iterate<{ readings: Reading }>({
    query: 'subscription { readings { sensor celsius } }',
  })) {
    console.log(`GraphQL  ${JSON.stringify(data?.readings)}`);
    if (data?.readings.celsius === 0) break;
  }
})();
// A query on the same socket is read after the subscription: once it is answered, both are there.
for await (const { data } of web.iterate({ query: '{ topics }' })) console.log('topics  ', JSON.stringify(data));

const destination = '/topic/readings';
await sensor.publish({ destination, body: JSON.stringify({ sensor: 'roof', celsius: 21.5 }), receipt: true });
await sensor.publish({ destination, body: 'not JSON at all', receipt: true });
for await (const { data } of web.iterate({ query: 'mutation { calibrate(sensor: "roof") }' }))
  console.log('mutation', JSON.stringify(data));
await Promise.all([toStomp, toGraphql]);

await Promise.all([sensor.disconnect(), web.dispose()]);
await endpoint.drain();
http.close();
