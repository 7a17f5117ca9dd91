import { createClient as createUrqlClient, subscriptionExchange } from '@urql/core';
import { createClient as createGraphqlWsClient } from 'graphql-ws';
import { type GraphQLResponse, Network, Observable } from 'relay-runtime';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import { createClient } from '../../src/graphql/client/client.ts';
import { graphqlServer } from '../../src/graphql/index.ts';
import { createTestSchema } from '../support/graphql-schema.ts';
import { type HttpEndpoint, httpEndpoint } from '../support/http-endpoint.ts';
import { Mailbox } from '../support/mailbox.ts';

type Sink = Parameters<ReturnType<typeof createGraphqlWsClient>['subscribe']>[1];

let world: ReturnType<typeof createTestSchema>;
let served: HttpEndpoint;

beforeEach(async () => {
  world = createTestSchema();
  served = await httpEndpoint({ protocols: [graphqlServer({ schema: world.schema, isProd: false })] });
});
afterEach(() => served.stop());

const listeners = (count: number): Promise<void> =>
  vi.waitFor(() => expect(world.bus.stats().listeners).toBe(count), { timeout: 5_000 });

describe.each([
  ["graphql-ws's client", (url: string) => createGraphqlWsClient({ url, webSocketImpl: WebSocket })],
  ['our client', (url: string) => createClient({ url })],
])('our server, %s', (_, create) => {
  function forward(payload: { query: string; variables?: Record<string, unknown> }, sink: Sink): () => void {
    const client = create(`ws://127.0.0.1:${served.port}/ws`);
    const stop = client.subscribe(payload, sink);
    return () => {
      stop();
      client.dispose();
    };
  }

  test('urql: queries, mutations, errors, subscriptions that are left', async () => {
    const urql = createUrqlClient({
      url: 'http://127.0.0.1',
      preferGetMethod: false,
      exchanges: [
        subscriptionExchange({
          enableAllOperations: true,
          forwardSubscription: ({ query = '', variables }) => ({
            subscribe: (sink) => ({
              unsubscribe: forward({ query, variables: variables as Record<string, unknown> }, sink as Sink),
            }),
          }),
        }),
      ],
    });
    expect((await urql.query('{ hello }', {})).data).toEqual({ hello: 'world' });
    const sum = await urql.mutation('mutation ($a: Int!, $b: Int!) { add(a: $a, b: $b) }', { a: 1, b: 2 });
    expect(sum.data).toEqual({ add: 3 });
    expect((await urql.query('{ fail }', {})).error?.graphQLErrors).toMatchObject([{ message: 'resolver failed' }]);
    expect((await urql.query('{ nothing }', {})).error?.message).toContain('nothing');
    const prices = new Mailbox<unknown>();
    const { unsubscribe } = urql
      .subscription('subscription ($symbol: String) { price(symbol: $symbol) { price } }', { symbol: 'A' })
      .subscribe(({ data }) => prices.put(data?.price));
    await listeners(1);
    await world.bus.publish(world.prices, { symbol: 'B', price: 1 });
    for (const price of [2, 3]) await world.bus.publish(world.prices, { symbol: 'A', price });
    expect([await prices.next(), await prices.next()]).toMatchObject([{ price: 2 }, { price: 3 }]);
    unsubscribe();
    await listeners(0);
  });

  test('Relay: the network layer, observables that are left', async () => {
    const observe = ({ text }: { text: string | null }, variables: Record<string, unknown>) =>
      Observable.create<GraphQLResponse>((sink) => forward({ query: text ?? '', variables }, sink as unknown as Sink));
    const network = Network.create(observe, observe);
    const execute = (operationKind: 'query' | 'mutation' | 'subscription', text: string, variables = {}) =>
      network.execute({ id: null, cacheID: text, name: 'Any', operationKind, text, metadata: {} }, variables, {
        force: true,
      });
    expect(await execute('query', '{ hello }').toPromise()).toEqual({ data: { hello: 'world' } });
    const sum = execute('mutation', 'mutation ($a: Int!) { add(a: $a, b: 2) }', { a: 1 });
    expect(await sum.toPromise()).toEqual({ data: { add: 3 } });
    await expect(execute('query', '{ nothing }').toPromise()).rejects.toMatchObject([
      { message: expect.stringContaining('nothing') },
    ]);
    const prices = new Mailbox<unknown>();
    const subscription = execute('subscription', 'subscription { price { price } }').subscribe({
      next: (result) => prices.put(result),
    });
    await listeners(1);
    await world.bus.publish(world.prices, { symbol: 'A', price: 7 });
    expect(await prices.next()).toEqual({ data: { price: { price: 7 } } });
    subscription.unsubscribe();
    await listeners(0);
  });
});
