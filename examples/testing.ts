/**
 * Tests of an application without sockets and ports: resolvers, subscriptions, who may what, reconnects, and minutes that
 * pass at once. Run: npx tsx examples/testing.ts
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeExecutableSchema } from '@graphql-tools/schema';
import { type Credentials, createBus, refuse, topic } from 'subwire';
import { field, graphqlServer } from 'subwire/graphql';
import { createClient } from 'subwire/graphql/client';
import { stompBroker } from 'subwire/stomp';
import { createStompClient } from 'subwire/stomp/client';
import { createTestClock, createTestEndpoint } from 'subwire/testing';

// The application: what production hands to attach().
const chat = topic<{ readonly text: string }>('chat', { clients: 'readwrite' });
const createApplication = () => {
  const bus = createBus({ topics: [chat] });
  const schema = makeExecutableSchema({
    typeDefs: 'type Query { hello: String! } type Subscription { said: Said! } type Said { text: String! }',
    resolvers: { Query: { hello: () => 'world' }, Subscription: { said: field(bus, chat) } },
  });
  return {
    protocols: [graphqlServer({ schema }), stompBroker({ bus })],
    authenticate: ({ connectionParams, login }: Credentials) => {
      const name = connectionParams?.['name'] ?? login;
      return typeof name === 'string' ? { name } : refuse({ code: 4401, reason: 'Who are you?' });
    },
  };
};

test('what STOMP sends, a subscription gets', async () => {
  await using endpoint = createTestEndpoint(createApplication());
  const { transport } = endpoint;
  await using reader = createClient({ url: 'ws://test', transport, connectionParams: { name: 'ada' } });
  await using writer = createStompClient({ url: 'ws://test', transport, connectHeaders: { login: 'bob' } });
  const result = await new Promise((next, error) => {
    reader.subscribe(
      { query: 'subscription { said { text } }' },
      {
        next,
        error,
        complete() {},
        // The subscription is live: whatever is sent from here on reaches it.
        onLive: () => void writer.publish({ destination: '/topic/chat', body: '{"text":"hi"}' }),
      },
    );
  });
  assert.deepEqual(result, { data: { said: { text: 'hi' } } });
});

test('nobody without a name is let in', async () => {
  await using endpoint = createTestEndpoint(createApplication());
  await using client = createClient({ url: 'ws://test', transport: endpoint.transport });
  await assert.rejects(client.iterate({ query: '{ hello }' }).next(), { code: 4401, reason: 'Who are you?' });
});

test('a client comes back after the network was gone', async () => {
  await using endpoint = createTestEndpoint(createApplication());
  await using client = createClient({
    url: 'ws://test',
    transport: endpoint.transport,
    lazy: false,
    connectionParams: { name: 'ada' },
    backoff: { base: 1 },
  });
  const connected = (): Promise<unknown> => new Promise((resolve) => client.on('connected', resolve));
  await connected();
  endpoint.cut();
  await connected();
  assert.equal(endpoint.stats().accepted, 2);
});

test('a client that says nothing is cut after three seconds, which take no time', async () => {
  const clock = createTestClock();
  const endpoint = createTestEndpoint({ ...createApplication(), clock });
  const ends: unknown[] = [];
  endpoint.transport('ws://test', ['graphql-transport-ws'], {
    opened: () => ({ received() {}, drained() {}, closed: (code) => void ends.push(code) }),
    failed: assert.fail,
  });
  clock.advance(3_100);
  assert.deepEqual(ends, [4408]);
});
