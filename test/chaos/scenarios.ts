import { setTimeout } from 'node:timers/promises';
import { each } from '../attacks/attack.ts';
import { frame, openGraphql, openStomp, type Peer, stomp } from '../attacks/peer.ts';
import { type Child, startChild } from '../bench/ipc.ts';
import { stompStreams } from '../fuzz/corpus.ts';
import { bundle } from '../support/bundle.ts';
import { freePort } from '../support/programs/program.ts';
import { graphqlReader, publisher, type Reader, stompReader } from './clients.ts';
import { type Balance, Ledger, type Seen } from './ledger.ts';
import type { ChaosServerOptions } from './server.script.ts';
import { startSwallowingProxy } from './swallowing-proxy.ts';

/** A bad day. `scale`: 1 in `npm run chaos`, less in `npm test`. */
export interface Scenario {
  readonly name: string;
  /** Its scale in `npm test`; absent: it takes too long there. */
  readonly short?: number;
  /** May receivers be told that something is missing? Default: no. */
  readonly tells?: boolean;
  run(scale: number): Promise<Balance>;
}

export type ChaosServer = Child<unknown>;

export const startServer = async (options: ChaosServerOptions): Promise<ChaosServer> =>
  startChild(await bundle('test/chaos/server.script.ts'), options, ['--expose-gc']);

const urlOf = (port: number): string => `ws://127.0.0.1:${port}/ws`;

/** Half by STOMP, half by GraphQL; resolves when all of them are live. */
export async function readersOf(url: string, ledger: Ledger, count: number, beat = 500): Promise<Reader[]> {
  const readers = Array.from({ length: count }, (_, index) =>
    (index % 2 ? graphqlReader : stompReader)(url, ledger, beat),
  );
  await Promise.all(readers.map(({ live }) => live));
  return readers;
}

interface LoadOptions {
  readonly readers: number;
  readonly limits?: Readonly<Record<string, number>>;
  /** How often the clients want to hear something, in ms. Default: 500. */
  readonly beat?: number;
}

/** A server, readers and a publisher; something happens to the server meanwhile. */
async function underLoad(
  { readers: count, limits, beat = 500 }: LoadOptions,
  happens: (server: ChaosServer, port: number) => Promise<ChaosServer>,
): Promise<Balance> {
  const port = await freePort();
  const ledger = new Ledger();
  let server = await startServer({ port, ...(limits ? { limits } : {}) });
  try {
    const readers = await readersOf(urlOf(port), ledger, count, beat);
    const source = publisher(urlOf(port), ledger, 5, beat);
    await setTimeout(500);
    server = await happens(server, port);
    await setTimeout(1_500);
    await source.end();
    await setTimeout(300);
    await Promise.all(readers.map((reader) => reader.end()));
    return ledger.balance();
  } finally {
    await server.stop();
  }
}

export const scenarios: readonly Scenario[] = [
  {
    name: 'kill -9 of the server, and a new one on its port',
    short: 0.1,
    tells: true,
    run: (scale) =>
      underLoad({ readers: Math.max(6, 100 * scale) }, async (server, port) => {
        process.kill(server.pid, 'SIGKILL');
        await setTimeout(200);
        return startServer({ port });
      }),
  },
  {
    name: 'SIGSTOP of the server for some seconds',
    short: 0.2,
    run: (scale) =>
      underLoad({ readers: Math.max(6, 50 * scale), beat: 20_000 }, async (server) => {
        process.kill(server.pid, 'SIGSTOP');
        await setTimeout(Math.max(400, 5_000 * scale));
        process.kill(server.pid, 'SIGCONT');
        return server;
      }),
  },
  {
    name: 'a loop that stalls for three times its own limits',
    short: 0.2,
    run: (scale) =>
      underLoad(
        { readers: Math.max(6, 100 * scale), beat: 20_000, limits: { pingInterval: 300, pongTimeout: 300 } },
        async (server) => {
          await server.ask('stall', 1_000);
          return server;
        },
      ),
  },
  {
    name: 'SIGTERM under load: what was confirmed to a queue is delivered',
    short: 0.3,
    tells: true,
    run: drainUnderLoad,
  },
  { name: 'one reader in ten never reads', short: 0.05, run: slowReaders },
  { name: 'peers that are half open, by a proxy that swallows', short: 0.3, tells: true, run: halfOpen },
  { name: 'a cut after every byte of every transcript', short: 0.02, run: cutAfterEveryByte },
  { name: 'clients that sleep for seconds', short: 0.3, tells: true, run: sleepingClients },
  { name: '100,000 times connect, subscribe, close', short: 0.02, run: cycles },
];

async function drainUnderLoad(scale: number): Promise<Balance> {
  const port = await freePort();
  const ledger = new Ledger();
  const server = await startServer({ port });
  try {
    const destination = '/queue/drained';
    const note = ledger.receiver();
    const consumers = await each(3, 3, () => openStomp(port));
    for (const consumer of consumers) {
      consumer.onMessage = (text) => {
        if (!text.startsWith('MESSAGE')) return;
        note(Number(text.slice(text.indexOf('\n\n') + 2, -1)));
        const [, id] = /\nack:(.*)\n/.exec(text) ?? [];
        void consumer.send(frame(stomp('ACK', { id: String(id) })));
      };
      const headers = { id: 1, destination, ack: 'client-individual', 'prefetch-count': 5 };
      await consumer.send(frame(stomp('SUBSCRIBE', headers)));
    }
    const publishers = await each(Math.max(4, 50 * scale), 10, () => openStomp(port));
    let isOver = false;
    const publishing = publishers.map(async (peer) => {
      while (!isOver && !peer.ending) {
        const number = ledger.next();
        const receipt = await confirmed(peer, number, destination);
        if (receipt) ledger.confirm(number);
        else ledger.refuse(number);
      }
    });
    await setTimeout(500);
    process.kill(server.pid, 'SIGTERM');
    await Promise.all([...consumers, ...publishers].map(({ ended }) => ended));
    isOver = true;
    await Promise.all(publishing);
    return { ...ledger.queueBalance(), swapped: 0 };
  } finally {
    await server.stop();
  }
}

/** SEND, and wait for what the server says: its receipt, or its end. */
async function confirmed(peer: Peer, number: number, destination: string): Promise<boolean> {
  const receipt = new Promise<boolean>((resolve) => {
    peer.onMessage = (text) => {
      if (text.startsWith('RECEIPT') && text.includes(`receipt-id:${number}\n`)) resolve(true);
    };
    void peer.ended.then(() => resolve(false));
  });
  await peer.send(frame(stomp('SEND', { destination, receipt: number }, String(number))));
  return receipt;
}

async function slowReaders(scale: number): Promise<Balance> {
  const port = await freePort();
  const ledger = new Ledger();
  const server = await startServer({ port });
  try {
    const count = Math.round(1_000 * scale);
    const all = await each(count, 40, (index) => (index % 2 ? openGraphql(port) : openStomp(port)));
    for (const [index, peer] of all.entries()) {
      if (index % 10 === 9) peer.socket.pause();
      else {
        const note = ledger.receiver();
        peer.onMessage = (text) => {
          for (const [, number] of text.matchAll(/"number":(\d+)/g)) note(Number(number));
        };
        void peer.ended.then(() => note('told'));
      }
      const query = '{"id":"1","type":"subscribe","payload":{"query":"subscription { entry { number } }"}}';
      await peer.send(frame(index % 2 ? query : stomp('SUBSCRIBE', { id: 1, destination: '/topic/numbers' })));
    }
    await setTimeout(300);
    const source = await openStomp(port);
    const padding = 'x'.repeat(20_000);
    for (let sent = 0; sent < Math.max(150, 400 * scale); sent++) {
      const number = ledger.next();
      const body = JSON.stringify({ number, padding });
      const receipt = source.wait(`receipt-id:${number}\n`);
      await source.send(frame(stomp('SEND', { destination: '/topic/numbers', receipt: number }, body)));
      await receipt;
      ledger.confirm(number);
    }
    await setTimeout(1_000);
    const { sent } = ledger;
    const deadline = performance.now() + 10_000;
    while (performance.now() < deadline && ledger.balance().received < sent * Math.floor(count * 0.9))
      await setTimeout(100);
    for (const peer of [...all, source]) peer.destroy();
    return ledger.balance();
  } finally {
    await server.stop();
  }
}

async function halfOpen(scale: number): Promise<Balance> {
  const port = await freePort();
  const ledger = new Ledger();
  const server = await startServer({ port, limits: { pingInterval: 400, pongTimeout: 400, closeTimeout: 300 } });
  const proxy = await startSwallowingProxy(port);
  try {
    const readers = await readersOf(urlOf(proxy.port), ledger, Math.max(6, 50 * scale));
    const source = publisher(urlOf(port), ledger, 10);
    await setTimeout(500);
    proxy.swallow();
    await setTimeout(4_000);
    await source.end();
    await setTimeout(300);
    const { open } = await server.ask<{ open: number }>('stats');
    // Those that were swallowed are gone, or the server would keep them for ever.
    if (open > readers.length) throw new Error(`${open} connections are open for ${readers.length} readers`);
    await Promise.all(readers.map((reader) => reader.end()));
    return ledger.balance();
  } finally {
    await proxy.stop();
    await server.stop();
  }
}

async function cutAfterEveryByte(scale: number): Promise<Balance> {
  const port = await freePort();
  const ledger = new Ledger();
  const server = await startServer({ port, limits: { closeTimeout: 300 } });
  try {
    const note = ledger.receiver();
    const honest = await openStomp(port);
    honest.onMessage = (text) => {
      const [, number] = /"number":(\d+)/.exec(text) ?? [];
      if (number !== undefined) note(Number(number));
    };
    await honest.send(frame(stomp('SUBSCRIBE', { id: 1, destination: '/topic/numbers' })));
    const cuts = stompStreams.flatMap((stream) =>
      Array.from({ length: stream.length }, (_, end) => stream.subarray(0, end)),
    );
    const step = Math.max(1, Math.round(1 / scale));
    const chosen = cuts.filter((_, index) => index % step === 0);
    await each(chosen.length, 20, async (index) => {
      const peer = await openStomp(port);
      await peer.send(frame(chosen[index] as Buffer));
      if (index % 3 === 0) peer.socket.resetAndDestroy();
      else peer.destroy();
      if (index % 20 !== 0) return;
      const number = ledger.next();
      await honest.send(frame(stomp('SEND', { destination: '/topic/numbers' }, JSON.stringify({ number }))));
      ledger.confirm(number);
    });
    await setTimeout(500);
    const { open } = await server.ask<{ open: number }>('stats');
    if (open !== 1) throw new Error(`${open} connections are open, one should be`);
    honest.destroy();
    return ledger.balance();
  } finally {
    await server.stop();
  }
}

async function sleepingClients(scale: number): Promise<Balance> {
  const port = await freePort();
  const ledger = new Ledger();
  const server = await startServer({ port, limits: { pingInterval: 300, pongTimeout: 300, closeTimeout: 300 } });
  const sleeper = await startChild<unknown>(await bundle('test/chaos/sleeper.script.ts'), {
    url: urlOf(port),
    readers: Math.max(4, Math.round(20 * scale)),
  });
  try {
    const source = publisher(urlOf(port), ledger, 10);
    await setTimeout(500);
    process.kill(sleeper.pid, 'SIGSTOP');
    await setTimeout(Math.max(2_000, 10_000 * scale));
    process.kill(sleeper.pid, 'SIGCONT');
    await setTimeout(2_500);
    await source.end();
    await setTimeout(300);
    for (const seen of await sleeper.ask<readonly (readonly Seen[])[]>('seen')) {
      const note = ledger.receiver();
      for (const one of seen) note(one);
    }
    return ledger.balance();
  } finally {
    await sleeper.stop();
    await server.stop();
  }
}

async function cycles(scale: number): Promise<Balance> {
  const port = await freePort();
  const ledger = new Ledger();
  const server = await startServer({ port });
  const query = '{"id":"1","type":"subscribe","payload":{"query":"subscription { entry { number } }"}}';
  const some = (count: number): Promise<unknown> =>
    each(count, 20, async (index) => {
      const peer = await (index % 2 ? openGraphql(port) : openStomp(port));
      await peer.send(frame(index % 2 ? query : stomp('SUBSCRIBE', { id: 1, destination: '/topic/numbers' })));
      if (index % 3 === 0) peer.socket.resetAndDestroy();
      else if (index % 3 === 1) await peer.send(frame('', 8));
      else peer.socket.end();
      if (index % 3 === 1) await peer.ended;
      peer.destroy();
    });
  try {
    // What is made once, such as compiled code, is made before the first look.
    await some(500);
    await setTimeout(300);
    const before = await server.ask<number>('heap');
    await some(Math.round(100_000 * scale));
    await setTimeout(500);
    const grown = ((await server.ask<number>('heap')) - before) / 1_048_576;
    if (grown > 2) throw new Error(`the heap grew by ${grown.toFixed(1)} MiB`);
    const { open } = await server.ask<{ open: number }>('stats');
    if (open > 0) throw new Error(`${open} connections are open`);
    // One more works as the first.
    const last = await openStomp(port);
    const note = ledger.receiver();
    last.onMessage = (text) => note(Number(/"number":(\d+)/.exec(text)?.[1]));
    const number = ledger.next();
    await last.send(frame(stomp('SUBSCRIBE', { id: 1, destination: '/topic/numbers' })));
    await last.send(frame(stomp('SEND', { destination: '/topic/numbers' }, JSON.stringify({ number }))));
    await setTimeout(300);
    ledger.confirm(number);
    last.destroy();
    return ledger.balance();
  } finally {
    await server.stop();
  }
}
