import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client as Stompjs } from '@stomp/stompjs';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import { attach } from '../../src/adapters/attach.ts';
import { localBackbone, startLocalHub } from '../../src/backbones/local.ts';
import { redisBackbone } from '../../src/backbones/redis.ts';
import type { Backbone } from '../../src/bus/backbone.ts';
import type { Bus, BusOptions } from '../../src/bus/bus.ts';
import { encodeUtf8 } from '../../src/core/wire.ts';
import { createStompClient } from '../../src/stomp/client/client.ts';
import { stompBroker } from '../../src/stomp/index.ts';
import { startCuttableProxy } from '../support/cuttable-proxy.ts';
import { openBus } from '../support/open-bus.ts';
import { requireProgram } from '../support/programs/program.ts';
import { startRedis } from '../support/programs/redis.ts';
import { nodeRedisClient } from '../support/redis-clients.ts';

const stops: (() => unknown)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

/** A server, and a proxy before it. */
async function served(options: BusOptions = {}) {
  const bus = openBus({ onError: () => {}, ...options });
  const server = createServer();
  const endpoint = attach(server, { protocols: [stompBroker({ bus, open: true })], onError: () => {} });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const proxy = await startCuttableProxy((server.address() as AddressInfo).port);
  stops.push(async () => {
    proxy.close();
    await endpoint.drain({ deadline: 0 });
    server.closeAllConnections();
    server.close();
    await bus.close();
  });
  return { bus, cut: proxy.cut, url: `ws://127.0.0.1:${proxy.port}/ws` };
}

const publishTo = (bus: Bus, value: number, topic = 'n'): Promise<unknown> =>
  bus.publish(topic, encodeUtf8(String(value)));

/** What a reader has had, in its order; where it was told that something may be missing there is a NaN. */
class Ledger {
  readonly seen: number[] = [];
  recoveries = 0;

  readonly recovered = (all: boolean): void => {
    this.recoveries++;
    if (!all) this.seen.push(Number.NaN);
  };

  get told(): number {
    return this.seen.filter(Number.isNaN).length;
  }

  get values(): number[] {
    return this.seen.filter((value) => !Number.isNaN(value));
  }
}

interface Reader {
  readonly ledger: Ledger;
  /** It is there. */
  readonly live: Promise<unknown>;
}

const ways = [
  { to: '/topic/n', headers: {} },
  { to: '/topic/n', headers: { ack: 'client', 'prefetch-count': 7 } },
  { to: '/topic/*', headers: {} },
] as const;

/** Our client, which does it by itself: called, iterated, acknowledging, by a pattern. */
function ours(url: () => string, index: number, wildcards: boolean): Reader {
  const ledger = new Ledger();
  const retry = (): number => 5 + ((index * 7) % 40);
  const client = createStompClient({ url, warn: false, retry, onError: (error) => ledger.seen.push(Number(error)) });
  stops.push(() => client.dispose());
  const { to, headers } = ways[index % (wildcards ? 3 : 2)] as (typeof ways)[number];
  const options = { ...headers, onRecovery: ledger.recovered };
  if (index % 5 === 4) {
    const messages = client.subscribe(to, undefined, options);
    void (async () => {
      for await (const message of messages) {
        ledger.seen.push(message.json() as number);
        if ('ack' in headers) message.ack();
      }
    })();
    return { ledger, live: messages.active };
  }
  const { active } = client.subscribe(
    to,
    (message) => {
      ledger.seen.push(message.json() as number);
      if ('ack' in headers) message.ack();
    },
    options,
  );
  return { ledger, live: active };
}

/** stompjs, whose user keeps the last message-id by hand; every other one asks for no receipt when it is back. */
function byHand(url: () => string, index: number): Reader {
  const ledger = new Ledger();
  let last = 'now';
  let connections = 0;
  let begun: (value?: unknown) => void;
  const live = new Promise((resolve) => {
    begun = resolve;
  });
  const client = new Stompjs({
    webSocketFactory: () => new WebSocket(url(), ['v12.stomp', 'v11.stomp']) as never,
    reconnectDelay: 5 + ((index * 7) % 40),
    onConnect() {
      const back = connections++ > 0;
      const receipt = `r${connections}`;
      const asks = !back || index % 2 === 0;
      if (!asks) ledger.recoveries++;
      client.watchForReceipt(receipt, ({ headers }) => {
        if (last === 'now') last = headers['position'] as string;
        if (back) ledger.recovered(headers['recovered'] === 'true');
        begun();
      });
      client.subscribe(
        '/topic/n',
        ({ headers, body }) => {
          if (headers['messages-lost'] === 'true') ledger.seen.push(Number.NaN);
          last = headers['message-id'] as string;
          ledger.seen.push(Number(body));
        },
        { since: last, ...(asks && { receipt }) },
      );
    },
  });
  client.activate();
  stops.push(() => client.deactivate({ force: true }));
  return { ledger, live };
}

/** 30 of ours and 6 of stompjs, on these servers in turn. */
async function readersOf(urls: readonly string[], wildcards: boolean): Promise<Ledger[]> {
  const inTurn = (index: number) => {
    let turn = index;
    return () => urls[turn++ % urls.length] as string;
  };
  const readers = Array.from({ length: 36 }, (_, index) =>
    index < 30 ? ours(inTurn(index), index, wildcards) : byHand(inTurn(index), index),
  );
  await Promise.all(readers.map(({ live }) => live));
  return readers.map(({ ledger }) => ledger);
}

/** Numbers are published, and everybody is cut, again and again. Answers how many there were. */
async function publishAndCut(
  ledgers: readonly Ledger[],
  servers: readonly { readonly bus: Bus; cut(): void }[],
  rounds = 8,
): Promise<number> {
  let sent = 0;
  const next = (): Promise<unknown> => publishTo((servers[sent % servers.length] as { bus: Bus }).bus, ++sent);
  for (let round = 0; round < rounds; round++) {
    for (let index = 0; index < 60; index++) {
      await next();
      if (index % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 2));
    }
    for (const { cut } of servers) cut();
    for (let index = 0; index < 20; index++) await next();
    await vi.waitFor(() => {
      for (const { recoveries } of ledgers) expect(recoveries).toBeGreaterThan(round);
    }, 20_000);
  }
  return sent;
}

/** Lost 0, doubled 0, swapped 0, and nothing was said to be missing. */
async function judge(ledgers: readonly Ledger[], sent: number): Promise<void> {
  const all = Array.from({ length: sent }, (_, index) => index + 1);
  await vi.waitFor(() => {
    for (const { values } of ledgers) expect(values.length).toBeGreaterThanOrEqual(sent);
  }, 15_000);
  for (const { seen } of ledgers) expect(seen).toEqual(all);
}

describe('the ledger', () => {
  test('[STOMP-130] [STOMP-133] 36 clients, stompjs among them, cut 8 times while numbers are published: lost 0, doubled 0, swapped 0', async () => {
    const server = await served();
    const ledgers = await readersOf([server.url], true);
    const sent = await publishAndCut(ledgers, [server]);
    await judge(ledgers, sent);
  }, 60_000);

  test('[STOMP-130] [STOMP-133] where less is kept than was missed, every loss is said', async () => {
    const server = await served({ history: { maxMessages: 15 } });
    const ledgers = await readersOf([server.url], true);
    const sent = await publishAndCut(ledgers, [server], 4);
    // Those that lost the last ones hear of it with the next one.
    await new Promise((resolve) => setTimeout(resolve, 200));
    await publishTo(server.bus, sent + 1);
    await vi.waitFor(() => {
      for (const { values } of ledgers) expect(values.at(-1)).toBe(sent + 1);
    }, 15_000);
    let losses = 0;
    for (const { seen, told } of ledgers) {
      let last = 0;
      let said = false;
      for (const value of seen) {
        if (Number.isNaN(value)) {
          said = true;
          continue;
        }
        expect(value).toBeGreaterThan(last);
        if (value > last + 1) {
          losses++;
          expect(said).toBe(true);
        }
        last = value;
        said = false;
      }
      expect(told).toBeLessThanOrEqual(5);
    }
    expect(losses).toBeGreaterThan(36);
  }, 60_000);

  const acrossServers = async (backbone: () => Backbone): Promise<void> => {
    const servers = [await served({ backbone: backbone() }), await served({ backbone: backbone() })] as const;
    // A pattern is not recovered over a broker.
    const ledgers = await readersOf(
      servers.map(({ url }) => url),
      false,
    );
    const sent = await publishAndCut(ledgers, servers);
    await judge(ledgers, sent);
  };

  test('[STOMP-130] [STOMP-133] two servers on a local hub, each client at another one after each cut: lost 0, doubled 0, swapped 0', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'subwire-resume-'));
    const hub = await startLocalHub({ address: `a-token-of-tests@${join(directory, 'hub')}` });
    stops.push(async () => {
      await hub.close();
      await rm(directory, { recursive: true });
    });
    await acrossServers(() => localBackbone({ address: hub.address }));
  }, 60_000);

  requireProgram('redis', test)(
    '[STOMP-130] [STOMP-133] two servers on redis: lost 0, doubled 0, swapped 0',
    {
      timeout: 60_000,
    },
    async () => {
      const redis = await startRedis();
      stops.push(() => redis.stop());
      const client = await nodeRedisClient({ port: redis.port });
      await acrossServers(() => {
        const opened = client();
        stops.push(() => opened.end());
        return redisBackbone({ client: opened });
      });
    },
  );
});
