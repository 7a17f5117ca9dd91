import { makeExecutableSchema } from '@graphql-tools/schema';
import { createBus } from '../../src/bus/bus.ts';
import { topic } from '../../src/bus/topic.ts';

export interface Price {
  readonly symbol: string;
  readonly price: number;
}

/** An async iterable that a test feeds, and that counts how it is read and given back. */
export class ManualSource implements AsyncIterableIterator<unknown> {
  asked = 0;
  returned = 0;
  /** Does `return()` settle? */
  hangs = false;
  readonly #values: IteratorResult<unknown>[] = [];
  readonly #readers: { resolve(result: IteratorResult<unknown>): void; reject(error: unknown): void }[] = [];

  [Symbol.asyncIterator](): this {
    return this;
  }

  push(value: unknown): void {
    this.#give({ done: false, value });
  }

  end(): void {
    this.#give({ done: true, value: undefined });
  }

  fail(error: unknown): void {
    this.#readers.shift()?.reject(error);
  }

  #give(result: IteratorResult<unknown>): void {
    const reader = this.#readers.shift();
    if (reader) reader.resolve(result);
    else this.#values.push(result);
  }

  next(): Promise<IteratorResult<unknown>> {
    this.asked++;
    const result = this.#values.shift();
    if (result) return Promise.resolve(result);
    return new Promise((resolve, reject) => this.#readers.push({ resolve, reject }));
  }

  return(): Promise<IteratorResult<unknown>> {
    this.returned++;
    return this.hangs ? new Promise(() => {}) : Promise.resolve({ done: true, value: undefined });
  }
}

/** A schema with everything that a test of a server wants to happen, and what makes it happen. */
export function createTestSchema() {
  const bus = createBus();
  const prices = topic<Price>('prices');
  const counts = topic<number>('counts');
  const gates = new Map<string, (value: unknown) => void>();
  const sources: ManualSource[] = [];
  const calls = { price: 0 };
  const gate = (name: string): Promise<unknown> => new Promise((resolve) => gates.set(name, resolve));
  const manual = (): ManualSource => {
    const source = new ManualSource();
    sources.push(source);
    return source;
  };
  const schema = makeExecutableSchema({
    typeDefs: `
      type Query { hello: String, slow(name: String = "slow"): String, me: String, fail: String, big(n: Int!): Int, bytes(n: Int!): String, live: String }
      type Mutation { add(a: Int!, b: Int!): Int }
      type Price { symbol: String, price: Float, late: Float }
      type Subscription { price(symbol: String): Price, count: Int, manual: String, opening: String, broken: String, hot: Int, odd: String }
    `,
    resolvers: {
      Query: {
        hello: () => 'world',
        slow: (_, { name }: { name: string }) => gate(name),
        me: (_, __, context: { name?: string }) => context?.name,
        fail: () => {
          throw new Error('resolver failed');
        },
        big: (_, { n }: { n: number }) => n,
        bytes: (_, { n }: { n: number }) => 'x'.repeat(n),
      },
      Mutation: { add: (_, { a, b }: { a: number; b: number }) => a + b },
      Price: { late: async ({ price }: Price) => price },
      Subscription: {
        price: {
          subscribe: (_, { symbol }: { symbol?: string }) =>
            bus.subscribe(prices, symbol ? { filter: (price) => price.symbol === symbol } : {}),
          resolve: (price: Price) => {
            calls.price++;
            return price;
          },
        },
        count: { subscribe: () => bus.subscribe(counts), resolve: (count: number) => count },
        manual: { subscribe: manual },
        opening: { subscribe: () => gate('opening').then(manual) },
        broken: {
          subscribe: () => {
            throw new Error('no source');
          },
        },
        hot: {
          async *subscribe() {
            for (let hot = 0; ; hot++) yield { hot };
          },
        },
        odd: { subscribe: manual, resolve: (value: unknown) => value },
      },
    },
  });
  return {
    schema,
    bus,
    prices,
    counts,
    sources,
    calls,
    /** Let a waiting resolver go on. */
    open(name: string, value: unknown = name): void {
      gates.get(name)?.(value);
    },
  };
}
