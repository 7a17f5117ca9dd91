import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { graphqlServer } from '../../src/graphql/index.ts';
import { createTestSchema } from '../support/graphql-schema.ts';
import { type Chromium, startChromium } from '../support/programs/chromium.ts';
import { requireProgram } from '../support/programs/program.ts';
import { openScene, type Scene } from './scene.ts';

const browserTest = requireProgram('chromium', test);
let chromium: Chromium;
let world: ReturnType<typeof createTestSchema>;
let scene: Scene;

beforeAll(async () => {
  if (browserTest === test) chromium = await startChromium();
});
afterAll(() => chromium?.stop());
beforeEach(async () => {
  world = createTestSchema();
  if (browserTest === test) {
    scene = await openScene(chromium.browser, { protocols: [graphqlServer({ schema: world.schema, isProd: false })] });
  }
});
afterEach(() => scene?.close());

const listeners = (count: number): Promise<void> =>
  vi.waitFor(() => expect(world.bus.stats().listeners).toBe(count), { timeout: 5_000 });

const price = (value: number): Promise<unknown> => world.bus.publish(world.prices, { symbol: 'é', price: value });

browserTest('our client: operations, errors, large results, an iterator that is left', async () => {
  const { page, url, complaints } = scene;
  const told = await page.evaluate(async (url) => {
    const client = window.peers.createClient({ url, lazyCloseTimeout: 10_000 });
    const all = async (query: string): Promise<unknown[]> => {
      const results: unknown[] = [];
      for await (const result of client.iterate({ query })) results.push(result);
      return results;
    };
    const hello = await all('{ hello }');
    const sum = await all('mutation { add(a: 1, b: 2) }');
    const errors = await all('{ nothing }').catch(String);
    const [large] = (await all('{ bytes(n: 900000) }')) as { data: { bytes: string } }[];
    const hot: unknown[] = [];
    for await (const { data } of client.iterate<{ hot: number }>({ query: 'subscription { hot }' })) {
      if (hot.push(data?.hot) === 3) break;
    }
    const { status, subprotocol } = client.state.getSnapshot();
    await client.dispose();
    return { hello, sum, errors, large: large?.data.bytes.length, hot, status, subprotocol };
  }, url);
  expect(told).toMatchObject({
    hello: [{ data: { hello: 'world' } }],
    sum: [{ data: { add: 3 } }],
    large: 900_000,
    hot: [0, 1, 2],
    status: 'connected',
    subprotocol: 'graphql-transport-ws',
  });
  expect(complaints).toEqual([]);
});

browserTest('[GQL-77] our client: a subscription goes on over the next connection', async () => {
  const { page, url } = scene;
  const first = await page.evaluateHandle((url) => {
    const client = window.peers.createClient({ url, backoff: { base: 10 } });
    const prices = new window.peers.Mailbox<unknown>();
    client.subscribe(
      { query: 'subscription { price { price } }' },
      { next: ({ data }) => prices.put(data), error: (error) => prices.put(String(error)), complete() {} },
    );
    return prices;
  }, url);
  const next = (): Promise<unknown> => first.evaluate((prices) => prices.next());
  await listeners(1);
  await price(1);
  expect(await next()).toEqual({ price: { price: 1 } });
  await scene.cut();
  await listeners(1);
  await price(2);
  expect(await next()).toEqual({ price: { price: 2 } });
});

browserTest('[CONN-37] our client: back online, it does not wait any longer', async () => {
  const { page, url, sockets } = scene;
  const states = await page.evaluateHandle((url) => {
    // Left alone it would wait for ever.
    const client = window.peers.createClient({ url, lazy: false, retryWait: () => new Promise(() => {}) });
    const states = new window.peers.Mailbox<string>();
    client.state.subscribe(() => states.put(client.state.getSnapshot().status));
    return states;
  }, url);
  const until = async (wanted: string): Promise<void> => {
    while ((await states.evaluate((states) => states.next())) !== wanted);
  };
  await until('connected');
  for (const socket of sockets) socket.destroy();
  await until('waiting');
  await page.context().setOffline(true);
  await page.context().setOffline(false);
  await until('connected');
  for (const socket of sockets) socket.destroy();
  await until('waiting');
  // A headless tab is always visible; this is what it hears when it becomes so. It bubbles (HTML, page visibility).
  await page.evaluate(() => document.dispatchEvent(new Event('visibilitychange', { bubbles: true })));
  await until('connected');
});

browserTest.each(['createClient', 'createGraphqlWsClient'] as const)(
  "Apollo's GraphQLWsLink over %s",
  async (create) => {
    const { page, url, complaints } = scene;
    const hello = await page.evaluate(
      async ({ url, create }) => {
        const { ApolloClient, GraphQLWsLink, InMemoryCache, gql } = window.peers;
        const apollo = new ApolloClient({
          link: new GraphQLWsLink(window.peers[create]({ url })),
          cache: new InMemoryCache(),
        });
        const seen = new window.peers.Mailbox<unknown>();
        apollo
          .subscribe({ query: gql('subscription { price { price } }') })
          .subscribe({ next: ({ data }) => seen.put(data), error: (error) => seen.put(String(error)) });
        Object.assign(window, { seen });
        const { data } = await apollo.query({ query: gql('{ hello }') });
        const error = await apollo.query({ query: gql('{ nothing }') }).catch(String);
        return { data, error };
      },
      { url, create },
    );
    expect(hello).toEqual({ data: { hello: 'world' }, error: expect.stringContaining('nothing') });
    await listeners(1);
    await price(4);
    const seen = await page.evaluate(() => (window as unknown as { seen: { next(): unknown } }).seen.next());
    expect(seen).toMatchObject({ price: { price: 4 } });
    expect(complaints).toEqual([]);
  },
);

browserTest(
  "graphql-ws's own client: operations, and a subscription that survives the loss of its socket",
  async () => {
    const { page, url } = scene;
    const prices = await page.evaluateHandle(async (url) => {
      const client = window.peers.createGraphqlWsClient({ url, retryWait: async () => {}, keepAlive: 1_000 });
      const prices = new window.peers.Mailbox<unknown>();
      for await (const result of client.iterate({ query: '{ hello }' })) prices.put(result);
      client.subscribe(
        { query: 'subscription { price { price } }' },
        { next: ({ data }) => prices.put(data), error: (error) => prices.put(String(error)), complete() {} },
      );
      return prices;
    }, url);
    const next = (): Promise<unknown> => prices.evaluate((prices) => prices.next());
    expect(await next()).toEqual({ data: { hello: 'world' } });
    await listeners(1);
    await scene.cut();
    await listeners(1);
    await price(5);
    expect(await next()).toEqual({ price: { price: 5 } });
  },
);
