import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect as connectTcp, createServer as createTcpServer, type Socket } from 'node:net';
import { makeExecutableSchema } from '@graphql-tools/schema';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { attach } from '../../src/adapters/attach.ts';
import type { Backbone, BackboneSink } from '../../src/bus/backbone.ts';
import { type BusOptions, createBus } from '../../src/bus/bus.ts';
import { positionText } from '../../src/bus/history.ts';
import { memoryBackbone } from '../../src/bus/memory-backbone.ts';
import type { Position } from '../../src/bus/message.ts';
import { topic } from '../../src/bus/topic.ts';
import { createClient } from '../../src/graphql/client/client.ts';
import { graphqlServer } from '../../src/graphql/server/graphql-server.ts';
import { openRaw, type RawWebSocket } from '../support/raw-websocket.ts';

interface Count {
  readonly value: number;
}

const counts = topic<Count>('counts');
const quiet = topic<Count>('quiet');

const stops: (() => Promise<unknown> | undefined)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

async function started(options: BusOptions & { readonly share?: boolean; readonly pingInterval?: number } = {}) {
  const { share = true, pingInterval = 25_000, ...busOptions } = options;
  const bus = createBus({ onError: () => {}, ...busOptions });
  let executions = 0;
  const schema = makeExecutableSchema({
    typeDefs: `type Query { hello: String }
      type Subscription { count: Int odd: Int slow: Int none: Int made: Int }`,
    resolvers: {
      Query: { hello: () => 'world' },
      Subscription: {
        count: {
          subscribe: () => bus.subscribe(counts),
          resolve: ({ value }: Count) => {
            executions++;
            return value;
          },
        },
        odd: {
          subscribe: () => bus.subscribe(counts, { filter: async ({ value }) => value % 2 === 1 }),
          resolve: ({ value }: Count) => value,
        },
        slow: {
          subscribe: () => bus.subscribe(counts, { filter: () => new Promise((pass) => setTimeout(pass, 70, true)) }),
          resolve: async ({ value }: Count) => new Promise((resolve) => setTimeout(resolve, 70, value)),
        },
        none: {
          subscribe: () => bus.subscribe(quiet),
          resolve: ({ value }: Count) => value,
        },
        made: {
          subscribe: async function* () {
            yield 1;
          },
          resolve: (value: number) => value,
        },
      },
    },
  });
  const server: Server = createServer();
  const endpoint = attach(server, {
    protocols: [graphqlServer({ schema, bus, ...(share && { share: () => 'all' }) })],
    limits: { pingInterval },
    onError: () => {},
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  stops.push(async () => {
    await endpoint.drain({ deadline: 0 });
    server.closeAllConnections();
    server.close();
  });
  const publish = (value: number): Promise<unknown> => bus.publish(counts, { value });
  return { bus, port, url: `ws://127.0.0.1:${port}/ws`, publish, endpoint, executions: () => executions };
}

async function openPeer(port: number): Promise<RawWebSocket & { json(): Promise<Record<string, unknown>> }> {
  const raw = await openRaw({ port, protocols: ['graphql-transport-ws'] });
  stops.push(async () => raw.destroy());
  raw.send('{"type":"connection_init"}');
  await raw.message();
  return Object.assign(raw, { json: async () => JSON.parse(await raw.message()) as Record<string, unknown> });
}

const ask = (id: string, resume: unknown, query = 'subscription { count }'): string =>
  JSON.stringify({ id, type: 'subscribe', payload: { query, extensions: { subwire: { resume } } } });

interface Live {
  readonly payload: { readonly subwire: { readonly live: string; readonly at: string; readonly recovered?: boolean } };
}

describe('on the wire', () => {
  test('[GQL-110] [GQL-111] who asks is told where it is, then the offset of each result; who does not sees nothing', async () => {
    const { port, publish } = await started();
    const plain = await openPeer(port);
    plain.send('{"id":"1","type":"subscribe","payload":{"query":"subscription { count }"}}');
    const asking = await openPeer(port);
    asking.send(ask('7', true));
    const told = (await asking.json()) as unknown as Live;
    expect(told).toEqual({ type: 'ping', payload: { subwire: { live: '7', at: expect.stringMatching(/^\w+:0$/) } } });
    await publish(5);
    expect(await asking.json()).toEqual({ id: '7', type: 'next', payload: { data: { count: 5 } }, at: 1 });
    expect(await plain.message()).toBe('{"id":"1","type":"next","payload":{"data":{"count":5}}}');
  });

  test('[GQL-111] what was missed comes after a ping that says so, then what comes', async () => {
    const { port, publish } = await started();
    const first = await openPeer(port);
    first.send(ask('1', true));
    const { payload } = (await first.json()) as unknown as Live;
    await publish(1);
    await first.json();
    first.destroy();
    await publish(2);
    await publish(3);
    const [epoch] = payload.subwire.at.split(':');
    const second = await openPeer(port);
    second.send(ask('1', `${epoch}:1`));
    expect(await second.json()).toEqual({
      type: 'ping',
      payload: { subwire: { live: '1', at: `${epoch}:1`, recovered: true } },
    });
    await publish(4);
    const seen = [await second.json(), await second.json(), await second.json()];
    expect(seen.map(({ at, payload: result }) => [at, (result as { data: { count: number } }).data.count])).toEqual([
      [2, 2],
      [3, 3],
      [4, 4],
    ]);
  });

  test.each(['', 'x', 'x:1', ':5', 5, {}, [], 'e:99999999999999999999', '-1'])(
    '[GQL-111] a position that is none or foreign (%j) is not recovered, ends nothing, and the subscription is live',
    async (position) => {
      const { port, publish } = await started();
      await publish(1);
      const peer = await openPeer(port);
      peer.send(ask('1', position));
      expect(await peer.json()).toMatchObject({ type: 'ping', payload: { subwire: { live: '1', recovered: false } } });
      await publish(2);
      expect(await peer.json()).toMatchObject({ type: 'next', payload: { data: { count: 2 } }, at: 2 });
    },
  );

  test('[GQL-111] a source without positions says that it has none', async () => {
    const { port } = await started();
    const peer = await openPeer(port);
    peer.send(ask('1', 'e:5', 'subscription { made }'));
    expect(await peer.json()).toEqual({
      type: 'ping',
      payload: { subwire: { live: '1', at: null, recovered: false } },
    });
    expect(await peer.json()).toEqual({ id: '1', type: 'next', payload: { data: { made: 1 } } });
  });

  test('[GQL-111] a gap, and a new epoch, while it is connected are told, and the subscription goes on', async () => {
    const inner = memoryBackbone();
    let sink: BackboneSink | undefined;
    const backbone: Backbone = {
      ...inner,
      open(opened) {
        sink = opened;
        inner.open(opened);
      },
    };
    const { port, publish, bus } = await started({ backbone });
    const peer = await openPeer(port);
    peer.send(ask('1', true));
    const { payload } = (await peer.json()) as unknown as Live;
    const [epoch] = payload.subwire.at.split(':');
    await publish(1);
    await peer.json();
    sink?.gap('counts', undefined);
    expect(await peer.json()).toEqual({ type: 'ping', payload: { subwire: { live: '1', recovered: false } } });
    await publish(2);
    // The place is told anew before the next result.
    expect(await peer.json()).toEqual({ type: 'ping', payload: { subwire: { live: '1', at: `${epoch}:1` } } });
    expect(await peer.json()).toMatchObject({ at: 2 });
    expect(bus.stats().gaps).toBe(1);
  });

  test('[GQL-115] a mark waits for filters and resolvers', async () => {
    const { port, publish } = await started({ pingInterval: 20, share: false });
    const asking = await openPeer(port);
    asking.send(ask('7', true, 'subscription { slow }'));
    await asking.json();
    for (const value of [1, 2, 3]) await publish(value);
    for (const at of [1, 2, 3]) expect(await asking.json()).toMatchObject({ type: 'next', at });
  });

  test('[GQL-115] a mark says where a filter has let nothing pass, and says nothing twice', async () => {
    const { port, publish, bus } = await started({ pingInterval: 20 });
    const asking = await openPeer(port);
    asking.send(ask('7', true, 'subscription { odd }'));
    const { payload } = (await asking.json()) as unknown as Live;
    const [epoch] = payload.subwire.at.split(':');
    await publish(2);
    expect(await asking.json()).toEqual({ type: 'ping', payload: { subwire: { live: '7', at: `${epoch}:1` } } });
    await publish(1);
    expect(await asking.json()).toMatchObject({ type: 'next', at: 2 });
    await new Promise((resolve) => setTimeout(resolve, 60));
    await bus.publish('elsewhere', new Uint8Array(1));
    expect(await asking.json()).toEqual({ type: 'ping', payload: { subwire: { live: '7', at: `${epoch}:3` } } });
    await publish(3);
    expect(await asking.json()).toMatchObject({ type: 'next', at: 4 });
  });

  test('[GQL-112] a storm of readers with the same past is one execution for each event', async () => {
    const { port, publish, bus, executions } = await started();
    const position = bus.position() as Position;
    for (let value = 1; value <= 200; value++) await publish(value);
    const peers = await Promise.all(Array.from({ length: 20 }, () => openPeer(port)));
    for (const peer of peers) peer.send(ask('1', positionText(position)));
    for (const peer of peers) {
      await peer.json();
      for (let value = 1; value <= 200; value++) {
        expect(await peer.json()).toMatchObject({ payload: { data: { count: value } }, at: value });
      }
    }
    expect(executions()).toBe(200);
  });

  test('[GQL-113] a query says where it stands, and a subscription that begins there has no hole', async () => {
    const { port, publish } = await started();
    const peer = await openPeer(port);
    peer.send(ask('q', true, '{ hello }'));
    const { payload } = await peer.json();
    const { data, extensions } = payload as { data: object; extensions: { subwire: { at: string } } };
    expect(data).toEqual({ hello: 'world' });
    await peer.json();
    await publish(1);
    peer.send(ask('1', extensions.subwire.at));
    expect(await peer.json()).toMatchObject({ payload: { subwire: { recovered: true } } });
    expect(await peer.json()).toMatchObject({ at: 1, payload: { data: { count: 1 } } });
    peer.send('{"id":"p","type":"subscribe","payload":{"query":"{ hello }"}}');
    expect(await peer.message()).toBe('{"id":"p","type":"next","payload":{"data":{"hello":"world"}}}');
  });
});

/** A proxy whose connections a test can cut, all at once. */
async function cuttable(port: number) {
  const sockets = new Set<Socket>();
  const target = { port };
  const proxy = createTcpServer((near) => {
    const far = connectTcp(target.port, '127.0.0.1');
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        sockets.delete(socket);
        near.destroy();
        far.destroy();
      });
    }
    near.pipe(far).pipe(near);
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  stops.push(async () => {
    cut();
    proxy.close();
  });
  return { url: `ws://127.0.0.1:${(proxy.address() as AddressInfo).port}/ws`, cut, target };
}

describe('our client', () => {
  test('[GQL-114] the ledger: 30 clients, cut 8 times while numbers are published: lost 0, doubled 0, swapped 0', async () => {
    const { port, publish } = await started();
    const { url, cut } = await cuttable(port);
    const ledgers = await Promise.all(
      Array.from({ length: 30 }, async (_, index) => {
        const client = createClient({ url, warn: false, retry: () => 5 + ((index * 7) % 40) });
        stops.push(() => client.dispose());
        const ledger = { values: [] as number[], recoveries: 0, lost: 0, field: index % 2 === 0 ? 'count' : 'odd' };
        await new Promise<void>((resolve) => {
          client.subscribe<Record<string, number>>(
            { query: `subscription { ${ledger.field} }` },
            {
              next: ({ data }) => ledger.values.push(data?.[ledger.field] as number),
              error: (error) => ledger.values.push(Number.NaN, error as never),
              complete() {},
              onLive: resolve,
              onRecovery(recovered) {
                ledger.recoveries++;
                if (!recovered) ledger.lost++;
              },
            },
          );
        });
        return ledger;
      }),
    );
    let sent = 0;
    for (let round = 0; round < 8; round++) {
      for (let index = 0; index < 60; index++) {
        await publish(++sent);
        if (index % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 2));
      }
      cut();
      for (let index = 0; index < 20; index++) await publish(++sent);
      // Those that come back first hear the others' past as their present.
      await vi.waitFor(
        () => expect(ledgers.filter(({ recoveries }) => recoveries === round + 1)).toHaveLength(30),
        5_000,
      );
    }
    const all = Array.from({ length: sent }, (_, index) => index + 1);
    const odd = all.filter((value) => value % 2 === 1);
    await vi.waitFor(() => {
      for (const { field, values } of ledgers) expect(values.length).toBe(field === 'odd' ? odd.length : all.length);
    }, 5_000);
    for (const { field, values, lost, recoveries } of ledgers) {
      expect(values).toEqual(field === 'odd' ? odd : all);
      expect([lost, recoveries]).toEqual([0, 8]);
    }
  });

  test('[GQL-115] the ledger of those for whom nothing comes: filters that let nothing pass, quiet topics', async () => {
    const { bus, port, publish } = await started({ history: { maxMessages: 100 }, pingInterval: 20 });
    const { url, cut } = await cuttable(port);
    const ledgers = await Promise.all(
      Array.from({ length: 20 }, async (_, index) => {
        const client = createClient({ url, warn: false, retry: () => 5 + index });
        stops.push(() => client.dispose());
        const field = ['odd', 'count', 'none'][index % 3] as string;
        const ledger = { values: [] as unknown[], recoveries: [] as boolean[], field };
        await new Promise<void>((resolve) => {
          client.subscribe<Record<string, number>>(
            { query: `subscription { ${field} }` },
            {
              next: ({ data }) => ledger.values.push(data?.[field]),
              error: (error) => ledger.values.push(error),
              complete() {},
              onLive: resolve,
              onRecovery: (recovered) => ledger.recoveries.push(recovered),
            },
          );
        });
        return ledger;
      }),
    );
    const due: number[] = [];
    const send = async (value: number): Promise<void> => {
      due.push(value);
      await publish(value);
    };
    const recovered: boolean[] = [];
    for (let round = 0; round < 4; round++) {
      // Far more than is kept, of which half of them want nothing.
      for (let part = 0; part < 6; part++) {
        for (let index = 0; index < 60; index++) {
          await send(1_000 * round + 200 * part + 2 * index);
          await bus.publish('elsewhere', new Uint8Array(1));
        }
        await new Promise((resolve) => setTimeout(resolve, 60));
      }
      cut();
      await send(1_000 * round + 999);
      recovered.push(true);
      await vi.waitFor(() => {
        for (const { recoveries } of ledgers) expect(recoveries).toEqual(recovered);
      }, 5_000);
    }
    const odd = due.filter((value) => value % 2 === 1);
    const expected: Record<string, number[]> = { odd, count: due, none: [] };
    await vi.waitFor(() => {
      for (const { values, field } of ledgers) expect(values).toEqual(expected[field]);
    }, 5_000);
  });

  test('[GQL-114] after a new server, what is not known any more is said, once', async () => {
    const first = await started();
    const { url, cut, target } = await cuttable(first.port);
    const client = createClient({ url, warn: false, retry: () => 5 });
    stops.push(() => client.dispose());
    const told: unknown[] = [];
    await new Promise<void>((resolve) => {
      client.subscribe(
        { query: 'subscription { count }' },
        {
          next: ({ data }) => told.push(data),
          error() {},
          complete() {},
          onLive: resolve,
          onRecovery: (ok) => told.push(ok),
        },
      );
    });
    await first.publish(1);
    await vi.waitFor(() => expect(told).toHaveLength(1));
    const second = await started();
    await second.publish(1);
    target.port = second.port;
    cut();
    await vi.waitFor(() => expect(told).toEqual([{ count: 1 }, false]));
    await second.publish(2);
    await vi.waitFor(() => expect(told).toEqual([{ count: 1 }, false, { count: 2 }]));
  });

  test('[GQL-114] iterate comes back as well; since closes the hole behind a query', async () => {
    const { url, publish, bus } = await started();
    const client = createClient({ url });
    stops.push(() => client.dispose());
    const since = positionText(bus.position() as Position);
    await publish(1);
    const told: boolean[] = [];
    const results = client.iterate<{ count: number }>(
      { query: 'subscription { count }' },
      { since, onRecovery: (recovered) => told.push(recovered) },
    );
    expect((await results.next()).value?.data).toEqual({ count: 1 });
    await publish(2);
    expect((await results.next()).value?.data).toEqual({ count: 2 });
    expect(told).toEqual([true]);
  });

  test.each<[object, RegExp]>([
    [{ onRecovery: true }, /onRecovery must be a function/],
    [{ since: 'e:1' }, /since must be the text of a position, beside onRecovery/],
    [{ since: 5, onRecovery() {} }, /since must be the text of a position/],
  ])('[GQL-114] a sink that cannot come back is told why (%#)', (options, words) => {
    const client = createClient({ url: 'ws://127.0.0.1:1' });
    const errors: unknown[] = [];
    const sink = { next() {}, error: (error: unknown) => errors.push(error), complete() {}, ...options };
    client.subscribe({ query: 'subscription { count }' }, sink as never);
    expect(String(errors[0])).toMatch(words);
  });
});
