import { EventEmitter, on } from 'node:events';
import { makeExecutableSchema } from '@graphql-tools/schema';
import { PubSub, withFilter } from 'graphql-subscriptions';
import { createPubSub } from 'graphql-yoga';
import { filter, Subject } from 'rxjs';
import { describe, expect, test } from 'vitest';
import { createBus } from '../../src/bus/bus.ts';
import * as pubsub from '../../src/pubsub.ts';
import { toAsyncIterable } from '../../src/rxjs.ts';
import { serveGraphql } from '../support/graphql-peer.ts';

interface Price {
  readonly symbol: string;
  readonly price: number;
}

/** Where prices come from: what a resolver returns, how one is published, and how many listen. */
interface Prices {
  subscribe(args: { readonly symbol: string }, context: { readonly signal: AbortSignal }): AsyncIterable<unknown>;
  publish(price: Price): unknown;
  listeners(): number;
}

const isOf =
  (symbol: string) =>
  (price: Price): boolean =>
    price.symbol === symbol;

/** An EventTarget that counts its listeners. */
class CountingTarget extends EventTarget {
  listeners = 0;

  override addEventListener(...details: Parameters<EventTarget['addEventListener']>): void {
    this.listeners++;
    super.addEventListener(...details);
  }
  override removeEventListener(...details: Parameters<EventTarget['removeEventListener']>): void {
    this.listeners--;
    super.removeEventListener(...details);
  }
}

const sources: Readonly<Record<string, () => Prices>> = {
  'PubSub of graphql-subscriptions'() {
    const eventEmitter = new EventEmitter();
    const pubsub = new PubSub({ eventEmitter });
    return {
      subscribe: ({ symbol }) => pubsub.asyncIterableIterator(`price.${symbol}`),
      publish: (price) => pubsub.publish(`price.${price.symbol}`, price),
      listeners: () => eventEmitter.listenerCount('price.A'),
    };
  },
  'withFilter of graphql-subscriptions'() {
    const eventEmitter = new EventEmitter();
    const pubsub = new PubSub({ eventEmitter });
    const resolver = withFilter(
      () => pubsub.asyncIterableIterator('price'),
      async (price?: Price, args?: { readonly symbol: string }) => price?.symbol === args?.symbol,
    );
    return {
      subscribe: (args) => resolver(undefined, args) as AsyncIterableIterator<unknown>,
      publish: (price) => pubsub.publish('price', price),
      listeners: () => eventEmitter.listenerCount('price'),
    };
  },
  'createPubSub of graphql-yoga'() {
    const eventTarget = new CountingTarget();
    const pubSub = createPubSub<{ price: [symbol: string, price: Price] }>({ eventTarget: eventTarget as never });
    return {
      subscribe: ({ symbol }) => pubSub.subscribe('price', symbol),
      publish: (price) => pubSub.publish('price', price.symbol, price),
      listeners: () => eventTarget.listeners,
    };
  },
  'createPubSub() over a bus'() {
    const bus = createBus();
    const engine = pubsub.createPubSub({ bus });
    return {
      subscribe: ({ symbol }) => engine.asyncIterableIterator(`price.${symbol}`),
      publish: (price) => engine.publish(`price.${price.symbol}`, price),
      listeners: () => bus.stats().listeners,
    };
  },
  'createPubSub() over a bus, of two triggers, through withFilter of graphql-subscriptions'() {
    const bus = createBus();
    const engine = pubsub.createPubSub({ bus });
    const resolver = withFilter(
      () => engine.asyncIterableIterator(['price', 'other']),
      async (price?: Price, args?: { readonly symbol: string }) => price?.symbol === args?.symbol,
    );
    return {
      subscribe: (args) => resolver(undefined, args) as AsyncIterableIterator<unknown>,
      publish: (price) => engine.publish('price', price),
      listeners: () => bus.stats().listeners / 2,
    };
  },
  'createPubSub of graphql-yoga over an event target of a bus'() {
    const bus = createBus();
    const eventTarget = pubsub.createEventTarget({ bus });
    const pubSub = createPubSub<{ price: [symbol: string, price: Price] }>({ eventTarget });
    return {
      subscribe: ({ symbol }) => pubSub.subscribe('price', symbol),
      publish: (price) => pubSub.publish('price', price.symbol, price),
      listeners: () => bus.stats().listeners,
    };
  },
  'an async generator that ends by the signal of its operation'() {
    const events = new EventEmitter();
    return {
      async *subscribe({ symbol }, { signal }) {
        try {
          for await (const [price] of on(events, 'price', { signal })) {
            if (isOf(symbol)(price)) yield price;
          }
        } catch (error) {
          if (!signal.aborted) throw error;
        }
      },
      publish: (price) => events.emit('price', price),
      listeners: () => events.listenerCount('price'),
    };
  },
  'an observable of rxjs'() {
    const prices = new Subject<Price>();
    return {
      subscribe: ({ symbol }) => toAsyncIterable(prices.pipe(filter(isOf(symbol)))),
      publish: (price) => prices.next(price),
      listeners: () => Number(prices.observed),
    };
  },
};

const query = 'subscription { price(symbol: "A") { price } }';

function serve({ subscribe }: Prices) {
  const schema = makeExecutableSchema({
    typeDefs: `type Price { symbol: String, price: Int } type Query { hello: String }
               type Subscription { price(symbol: String!): Price }`,
    resolvers: {
      Subscription: {
        price: {
          subscribe: (_root, args, context) => subscribe(args, context),
          resolve: (price: Price) => price,
        },
      },
    },
  });
  return serveGraphql({ schema, context: (_context, _id, _payload, { abortSignal }) => ({ signal: abortSignal }) });
}

describe.each(Object.entries(sources))('[GQL-29] resolvers may return %s', (_name, open) => {
  test('its values arrive, and it is left when the client completes', async () => {
    const prices = open();
    const peer = serve(prices).connect();
    peer.subscribe('1', query);
    expect(await peer.take()).toEqual([]);
    expect(prices.listeners()).toBe(1);
    for (const price of [1, 2]) {
      await prices.publish({ symbol: 'A', price });
      await prices.publish({ symbol: 'B', price });
      expect(await peer.results('1')).toEqual([{ data: { price: { price } } }]);
    }
    peer.complete('1');
    expect(await peer.take()).toEqual([]);
    expect(prices.listeners()).toBe(0);
  });

  test('it is left when the connection is lost', async () => {
    const prices = open();
    const { connect, clock, errors } = serve(prices);
    const peer = connect();
    peer.subscribe('1', query);
    await clock.settle();
    expect(prices.listeners()).toBe(1);
    peer.socket.receiver?.closed(1006, '');
    await clock.settle();
    expect(prices.listeners()).toBe(0);
    expect(errors).toEqual([]);
  });
});
