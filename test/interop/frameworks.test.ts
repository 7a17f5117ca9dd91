import { once } from 'node:events';
import type { AddressInfo, Server as NetServer } from 'node:net';
import { serve } from '@hono/node-server';
import express from 'express';
import { fastify } from 'fastify';
import { Hono } from 'hono';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { attach } from '../../src/adapters/attach.ts';
import type { HttpServer } from '../../src/adapters/server-types.ts';
import { createBus } from '../../src/bus/bus.ts';
import { topic } from '../../src/bus/topic.ts';
import type { Endpoint } from '../../src/core/endpoint.ts';
import { createClient } from '../../src/graphql/client/client.ts';
import { graphqlServer } from '../../src/graphql/index.ts';
import { createStompClient } from '../../src/stomp/client/client.ts';
import { stompBroker } from '../../src/stomp/index.ts';
import { createTestSchema } from '../support/graphql-schema.ts';

/** An application of a framework, with a page of its own. */
interface Application {
  readonly server: HttpServer;
  listen(): Promise<number>;
  /** The way of this framework to leave; resolves when it has left. */
  leave(): Promise<void>;
}

const portOf = (server: object): number => ((server as NetServer).address() as AddressInfo).port;
const closed = (server: { close(then: (error?: Error) => void): unknown }): Promise<void> =>
  new Promise((resolve, reject) => server.close((error) => (error ? reject(error) : resolve())));

const frameworks: Readonly<Record<string, () => Application>> = {
  'Fastify, by app.close()'() {
    const app = fastify();
    app.get('/page', async () => 'page');
    return {
      server: app.server,
      async listen() {
        await app.listen({ host: '127.0.0.1', port: 0 });
        return portOf(app.server);
      },
      leave: () => app.close(),
    };
  },
  'Express, by server.close()'() {
    const app = express();
    app.get('/page', (_, response) => void response.send('page'));
    const server = app.listen(0, '127.0.0.1');
    return {
      server,
      async listen() {
        if (!server.listening) await once(server, 'listening');
        return portOf(server);
      },
      leave: () => closed(server),
    };
  },
  'Hono, by server.close()'() {
    const app = new Hono();
    app.get('/page', (context) => context.text('page'));
    const server = serve({ fetch: app.fetch, hostname: '127.0.0.1', port: 0 });
    return {
      server,
      async listen() {
        if (!server.listening) await once(server, 'listening');
        return portOf(server);
      },
      leave: () => closed(server),
    };
  },
};

const stops: (() => unknown)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

/** With both protocols on it, a page that was read, and whoever its connections belong to. */
async function serving(application: Application): Promise<{ readonly endpoint: Endpoint; readonly port: number }> {
  const { schema } = createTestSchema();
  const bus = createBus({ topics: [topic('news', { clients: 'readwrite' })] });
  const endpoint = attach(application.server, {
    path: '/ws',
    protocols: [graphqlServer({ schema }), stompBroker({ bus, authorize: () => true })],
  });
  stops.push(() => endpoint.close());
  const port = await application.listen();
  // Its connection stays open, as browsers keep theirs.
  expect(await (await fetch(`http://127.0.0.1:${port}/page`)).text()).toBe('page');
  return { endpoint, port };
}

const quiet = { warn: false, onError() {} };

describe.each(Object.entries(frameworks))('%s', (_name, make) => {
  test('[CONN-79] subscriptions end with 1001 and a hint, confirmed messages are delivered, and the shutdown ends', async () => {
    const application = make();
    const { endpoint, port } = await serving(application);
    const url = `ws://127.0.0.1:${port}/ws`;
    const ends: string[] = [];
    const closed = ({ code, reason }: { readonly code: number; readonly reason: string }): void =>
      void ends.push(`${code} ${reason}`);
    const graphql = createClient({ url, retry: () => false, on: { closed }, ...quiet });
    const stomp = createStompClient({ url, retry: () => false, on: { closed }, ...quiet });
    const publisher = createStompClient({ url, retry: () => false, on: { closed }, ...quiet });
    stops.push(() => Promise.all([graphql.dispose(), stomp.dispose(), publisher.dispose()]));
    await new Promise<void>((onLive, error) => {
      graphql.subscribe(
        { query: 'subscription { price(symbol: "A") { symbol } }' },
        { next() {}, error, complete() {}, onLive },
      );
    });
    await Promise.all([stomp.connect(), publisher.connect()]);
    const receipts = Array.from({ length: 200 }, (_, number) =>
      publisher.publish({ destination: '/queue/orders', body: String(number), receipt: true }),
    );
    await Promise.all(receipts);
    const received: string[] = [];
    const consumer = stomp.subscribe(
      '/queue/orders',
      async (message) => {
        received.push(message.body);
        await new Promise((resolve) => setTimeout(resolve, 2));
        message.ack();
      },
      { ack: 'client-individual', 'prefetch-count': 5 },
    );
    await consumer.active;
    await application.leave();
    expect(received).toEqual(Array.from({ length: 200 }, (_, number) => String(number)));
    // The application has left before each client has heard of it.
    const told = Array.from({ length: 3 }, () => expect.stringMatching(/^1001 .*retry within \d+ ms$/));
    await vi.waitFor(() => expect(ends).toEqual(told));
    await vi.waitFor(() => expect(endpoint.stats()).toMatchObject({ open: 0, draining: true }));
  });

  test('[CONN-79] who comes while it leaves is refused, and it ends without a client as well', async () => {
    const application = make();
    const { endpoint, port } = await serving(application);
    await application.leave();
    await expect(fetch(`http://127.0.0.1:${port}/page`)).rejects.toThrow();
    await vi.waitFor(() => expect(endpoint.stats()).toMatchObject({ open: 0, draining: true }));
  });
});
