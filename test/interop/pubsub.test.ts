import { createSchema, createYoga, createPubSub as createYogaPubSub } from 'graphql-yoga';
import { expect, test } from 'vitest';
import { createBus } from '../../src/bus/bus.ts';
import { createEventTarget } from '../../src/pubsub.ts';
import { serveGraphql } from '../support/graphql-peer.ts';
import { sharedLog } from '../support/shared-backbone.ts';

interface Price {
  readonly symbol: string;
  readonly price: number;
}

/** A server as its author wrote it for Yoga; one line is new: the event target. */
function server(log: ReturnType<typeof sharedLog>) {
  const bus = createBus({ backbone: log.backbone(), open: true });
  const pubSub = createYogaPubSub<{ price: [symbol: string, price: Price]; tick: [] }>({
    eventTarget: createEventTarget({ bus }),
  });
  const schema = createSchema({
    typeDefs: /* GraphQL */ `
      type Price { symbol: String! price: Float! }
      type Query { a: Int }
      type Mutation { trade(symbol: String!, price: Float!): Boolean tick: Boolean }
      type Subscription { price(symbol: String!): Price! tick: Boolean }
    `,
    resolvers: {
      Mutation: {
        trade(_root, price: Price) {
          pubSub.publish('price', price.symbol, price);
          return true;
        },
        tick() {
          pubSub.publish('tick');
          return true;
        },
      },
      Subscription: {
        price: {
          subscribe: (_root, { symbol }: Price) => pubSub.subscribe('price', symbol),
          resolve: (price: Price) => price,
        },
        tick: { subscribe: () => pubSub.subscribe('tick'), resolve: (payload: unknown) => payload === null },
      },
    },
  });
  return { bus, schema, yoga: createYoga({ schema, logging: false }) };
}

async function post(yoga: ReturnType<typeof server>['yoga'], query: string, accept: string): Promise<Response> {
  return yoga.fetch('http://localhost/graphql', {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept },
    body: JSON.stringify({ query }),
  });
}

test('[PUBSUB-4] a schema of Yoga: a mutation on one server reaches SSE of Yoga and WebSockets of ours on another', async () => {
  const log = sharedLog();
  const [one, other] = [server(log), server(log)];
  const stream = await post(other.yoga, 'subscription { price(symbol: "A") { symbol price } }', 'text/event-stream');
  const reader = stream.body?.pipeThrough(new TextDecoderStream() as never).getReader();
  const peer = serveGraphql({ schema: other.schema }).connect();
  peer.subscribe('1', 'subscription { price(symbol: "A") { price } }');
  peer.subscribe('2', 'subscription { tick }');
  await peer.take();
  let text = '';
  const heard = (async () => {
    while (!text.includes('"data"')) text += String((await reader?.read())?.value);
  })();
  await new Promise((resolve) => setTimeout(resolve, 20));
  await post(one.yoga, 'mutation { trade(symbol: "B", price: 7) }', 'application/json');
  await post(one.yoga, 'mutation { trade(symbol: "A", price: 8) }', 'application/json');
  await post(one.yoga, 'mutation { tick }', 'application/json');
  await heard;
  expect(text).toContain('"data":{"price":{"symbol":"A","price":8}}');
  expect(text).not.toContain('"B"');
  expect((await peer.take()).map(({ id, payload }) => [id, payload])).toEqual([
    ['1', { data: { price: { price: 8 } } }],
    ['2', { data: { tick: true } }],
  ]);
  await reader?.cancel();
  await other.bus.close();
});
