import { createServer } from 'node:http';
import { buildSchema } from 'graphql';
import { attach, type Bus, CloseCode, createBus, type Endpoint, topic } from 'subwire';
import { tcp } from 'subwire/adapters/tcp';
import { graphqlServer } from 'subwire/graphql';
import { createClient } from 'subwire/graphql/client';
import { makeServer } from 'subwire/graphql-ws';
import { createPubSub } from 'subwire/pubsub';
import * as rxjs from 'subwire/rxjs';
import { stompBroker } from 'subwire/stomp';
import { createStompClient } from 'subwire/stomp/client';
import { createTestClock, createTestEndpoint, type TestEndpoint } from 'subwire/testing';

interface Price {
  readonly symbol: string;
  readonly price: number;
}

const prices = topic<Price>('prices', { clients: 'readwrite' });
const bus: Bus = createBus({ topics: [prices] });
const schema = buildSchema('type Query { hello: String }');
export const endpoint: Endpoint = attach(createServer(), {
  protocols: [graphqlServer({ schema }), stompBroker({ bus })],
});
export const published: Promise<unknown> = bus.publish(prices, { symbol: 'EUR', price: 1.1 });
export const server = makeServer({ schema });

export const tested: TestEndpoint = createTestEndpoint({ protocols: [stompBroker({ bus })], clock: createTestClock() });
export const iterator: AsyncIterable<Price> = createPubSub({ bus }).asyncIterableIterator<Price>('PRICE');

const client = createClient({ url: 'ws://localhost/ws' });
const stomp = createStompClient({ brokerURL: 'ws://localhost/ws', transport: tcp({ port: 61_613 }) });

export async function show(): Promise<number> {
  for await (const { symbol } of bus.subscribe(prices)) console.log(symbol.toUpperCase());
  for await (const { data } of client.iterate<{ hello: string }>({ query: '{ hello }' })) console.log(data?.hello);
  stomp.subscribe('/topic/prices', (message) => console.log(message.body.length));
  await stomp.publish({ destination: '/topic/prices', body: '{}', receipt: true });
  console.log(Object.keys(rxjs));
  return CloseCode.goingAway;
}
