import { createServer } from 'node:http';
import { GraphQLFloat, GraphQLNonNull, GraphQLObjectType, GraphQLSchema, GraphQLString } from 'graphql';
import { attach, createBus, topic } from 'subwire';
import { graphqlServer } from 'subwire/graphql';
import { createClient } from 'subwire/graphql/client';
import { stompBroker } from 'subwire/stomp';
import { createStompClient } from 'subwire/stomp/client';

const prices = topic('prices', { clients: 'readwrite' });
const bus = createBus({ topics: [prices] });
const Price = new GraphQLObjectType({
  name: 'Price',
  fields: { symbol: { type: new GraphQLNonNull(GraphQLString) }, price: { type: new GraphQLNonNull(GraphQLFloat) } },
});
const schema = new GraphQLSchema({
  query: new GraphQLObjectType({
    name: 'Query',
    fields: { hello: { type: GraphQLString, resolve: () => 'world' } },
  }),
  subscription: new GraphQLObjectType({
    name: 'Subscription',
    fields: { price: { type: Price, subscribe: () => bus.subscribe(prices), resolve: (price) => price } },
  }),
});

const http = createServer();
attach(http, { path: '/ws', protocols: [graphqlServer({ schema }), stompBroker({ bus })] });
await new Promise((resolve) => http.listen(0, '127.0.0.1', resolve));
const url = `ws://127.0.0.1:${http.address().port}/ws`;

const client = createClient({ url });
const stomp = createStompClient({ brokerURL: url });

let hello;
for await (const result of client.iterate({ query: '{ hello }' })) hello = result.data.hello;

const overStomp = new Promise((resolve) => {
  stomp.subscribe('/topic/prices', (message) => resolve(message.json()));
});
const overGraphql = new Promise((resolve, reject) => {
  client.subscribe(
    { query: 'subscription { price { symbol price } }' },
    { next: ({ data }) => resolve(data.price), error: reject, complete() {} },
  );
});
await stomp.connect();
// Both are subscribed when their servers have seen as many frames.
while (bus.stats().listeners < 2) await new Promise((resolve) => setImmediate(resolve));
await stomp.publish({ destination: '/topic/prices', body: '{"symbol":"EUR","price":1.1}', receipt: true });

console.log(JSON.stringify({ hello, overGraphql: await overGraphql, overStomp: await overStomp }));
process.exit();
