import { connect } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { frame, openPeer, openStomp } from '../attacks/peer.ts';
import { freePort, requireProgram } from '../support/programs/program.ts';
import { type ProxyName, startProxy } from '../support/programs/proxies.ts';
import { openRaw } from '../support/raw-websocket.ts';
import { publisher } from './clients.ts';
import { judge } from './judge.ts';
import { Ledger, lineOf } from './ledger.ts';
import { type ChaosServer, readersOf, startServer } from './scenarios.ts';

let server: ChaosServer;
let port: number;
beforeAll(async () => {
  port = await freePort();
  server = await startServer({ port, limits: { pingInterval: 400, pongTimeout: 400, closeTimeout: 300 } });
});
afterAll(() => server.stop());

describe.each(['nginx', 'haproxy'] satisfies ProxyName[])('behind %s', (name) => {
  const proxyTest = requireProgram(name, test);

  proxyTest('a connection that is silent for longer than the proxy waits stays open by its pings', async () => {
    const proxy = await startProxy(name, { to: port, idle: 1 });
    try {
      const quiet = await openStomp(proxy.port);
      // It answers pings, as every WebSocket does.
      quiet.socket.on('data', (bytes: Buffer) => bytes.includes(0x89) && quiet.send(frame('', 10)));
      await setTimeout(3_000);
      expect(quiet.ending).toBeUndefined();
      quiet.destroy();
    } finally {
      await proxy.stop();
    }
  });

  proxyTest('a peer that is half open is noticed through it', async () => {
    const proxy = await startProxy(name, { to: port, idle: 30 });
    try {
      const silent = await openPeer({ port: proxy.port, protocol: 'graphql-transport-ws' });
      await silent.send(frame('{"type":"connection_init"}'));
      await setTimeout(200);
      // It is connected and answers nothing any more.
      await silent.ended;
      expect(silent.ending?.code).not.toBe(0);
    } finally {
      await proxy.stop();
    }
  });

  proxyTest('clients are back after it is restarted, and every gap was told', async () => {
    const ledger = new Ledger();
    let proxy = await startProxy(name, { to: port, idle: 30 });
    try {
      const url = `ws://127.0.0.1:${proxy.port}/ws`;
      const readers = await readersOf(url, ledger, 6);
      const source = publisher(`ws://127.0.0.1:${port}/ws`, ledger, 10);
      await setTimeout(400);
      await proxy.kill();
      await setTimeout(300);
      proxy = await startProxy(name, { to: port, idle: 30, port: proxy.port });
      await setTimeout(1_500);
      const last = ledger.sent;
      await setTimeout(500);
      await source.end();
      await setTimeout(200);
      const balance = ledger.balance();
      expect(judge({ tells: true }, balance), lineOf(balance)).toEqual([]);
      for (const seen of ledger.seen) expect(seen.some((each) => typeof each === 'number' && each > last)).toBe(true);
      await Promise.all(readers.map((reader) => reader.end()));
    } finally {
      await proxy.stop();
    }
  });

  proxyTest('the address is that of the client, and not what a stranger says that it is', async () => {
    const own = await freePort();
    const trusting = await startServer({ port: own, trustProxy: 1 });
    const proxy = await startProxy(name, { to: own, idle: 30 });
    try {
      // Connects from another address of this machine, and lies about it.
      const socket = connect({ port: proxy.port, host: '127.0.0.1', localAddress: '127.0.0.2' });
      const raw = await openRaw({
        port: proxy.port,
        socket,
        protocols: ['graphql-transport-ws'],
        headers: { 'x-forwarded-for': '203.0.113.7' },
      });
      raw.send('{"type":"connection_init"}');
      await raw.message();
      raw.send('{"id":"1","type":"subscribe","payload":{"query":"{ address }"}}');
      expect(await raw.message()).toContain('"address":"127.0.0.2"');
      raw.destroy();
    } finally {
      await proxy.stop();
      await trusting.stop();
    }
  });
});
