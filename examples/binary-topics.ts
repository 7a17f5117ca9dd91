/**
 * Topics whose bodies are not JSON: MessagePack, CBOR and Protocol Buffers by their own libraries, checked by schemas of zod and
 * valibot. Clients of any protocol get the bytes, with their content type; GraphQL gets the values.
 * Run: npx tsx examples/binary-topics.ts
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { makeExecutableSchema } from '@graphql-tools/schema';
import * as msgpack from '@msgpack/msgpack';
import * as cbor from 'cbor2';
import protobuf from 'protobufjs';
import { attach, type Codec, createBus, topic } from 'subwire';
import { field, graphqlServer } from 'subwire/graphql';
import { createClient } from 'subwire/graphql/client';
import { stompBroker } from 'subwire/stomp';
import { createStompClient } from 'subwire/stomp/client';
import * as valibot from 'valibot';
import { z } from 'zod';

const messagePack: Codec = {
  contentType: 'application/msgpack',
  encode: (value) => msgpack.encode(value),
  decode: (bytes) => msgpack.decode(bytes),
};
const cborCodec: Codec = {
  contentType: 'application/cbor',
  encode: (value) => cbor.encode(value),
  decode: (bytes) => cbor.decode(bytes),
};
const { root } = protobuf.parse('syntax = "proto3"; message Tick { string symbol = 1; double price = 2; }');
const Tick = root.lookupType('Tick');
const protocolBuffers: Codec = {
  contentType: 'application/x-protobuf',
  encode: (value) => Tick.encode(value as protobuf.Message).finish(),
  decode: (bytes) => Tick.toObject(Tick.decode(bytes)),
};

const byZod = z.object({ symbol: z.string(), price: z.number().positive() });
const byValibot = valibot.object({ symbol: valibot.string(), price: valibot.number() });
const packed = topic('packed', { codec: messagePack, schema: byZod, clients: 'readwrite' });
const concise = topic('concise', { codec: cborCodec, schema: byValibot, clients: 'readwrite' });
const buffers = topic('buffers', { codec: protocolBuffers, schema: byZod, clients: 'readwrite' });

const bus = createBus({
  topics: [packed, concise, buffers],
  onError: (error) => console.log('passed over:', (error as Error).message),
});
const schema = makeExecutableSchema({
  typeDefs: `type Tick { symbol: String! price: Float! } type Query { hello: String }
    type Subscription { packed: Tick! concise: Tick! buffers: Tick! }`,
  resolvers: {
    Subscription: { packed: field(bus, packed), concise: field(bus, concise), buffers: field(bus, buffers) },
  },
});
const http = createServer();
const endpoint = attach(http, { protocols: [graphqlServer({ schema }), stompBroker({ bus })] });
http.listen(0, '127.0.0.1');
await once(http, 'listening');
const url = `ws://127.0.0.1:${(http.address() as AddressInfo).port}/ws`;

const stomp = createStompClient({ url });
const graphql = createClient({ url });
for (const { name } of [packed, concise, buffers]) {
  const heard = stomp.subscribe(`/topic/${name}`, ({ headers, bytes }) => {
    console.log(`STOMP ${name}: ${bytes.length} bytes of ${headers.get('content-type')}`);
  });
  await heard.active;
  const values = graphql.iterate({ query: `subscription { ${name} { symbol price } }` });
  const first = values.next();
  // What a client sends as JSON is read as JSON, whatever the topic's own codec is.
  const send = (body: string | Uint8Array, contentType: string): Promise<void> =>
    stomp.publish({ destination: `/topic/${name}`, body, headers: { 'content-type': contentType }, receipt: true });
  await new Promise((resolve) => setTimeout(resolve, 50));
  await send('{"symbol":"ACME","price":"much"}', 'application/json');
  await send('{"symbol":"ACME","price":10.5}', 'application/json');
  console.log(`GraphQL ${name}:`, JSON.stringify((await first).value?.data));
  const second = values.next();
  for (const each of [packed, concise, buffers])
    if (each.name === name) await bus.publish(each, { symbol: 'UMBR', price: 2 });
  console.log(`GraphQL ${name}:`, JSON.stringify((await second).value?.data));
  await values.return?.();
}
await bus
  .publish(packed, { symbol: 'ACME', price: -1 })
  .catch((error: Error) => console.log('refused:', error.message));

await Promise.all([stomp.dispose(), graphql.dispose()]);
await endpoint.close();
http.close();
