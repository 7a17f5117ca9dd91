import { createServer, type Server } from 'node:http';
import { connect as connectHttp2, createSecureServer } from 'node:http2';
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { afterEach, expect, test, vi } from 'vitest';
import { WebSocketServer } from 'ws';
import { type AttachOptions, attach } from '../../src/adapters/attach.ts';
import { certificate } from '../support/certificate.ts';
import { createFakeClock } from '../support/fake-clock.ts';
import { listen, stop } from '../support/http-endpoint.ts';
import { openRaw } from '../support/raw-websocket.ts';
import { echo, scripted } from '../support/scripted-session.ts';

const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const each of stops.splice(0)) await each();
});

const stomp = () => echo(['v12.stomp'], { acceptsUnnamed: true });

async function started(server: Server): Promise<number> {
  const port = await listen(server);
  stops.push(() => stop(server));
  return port;
}

test.each([true, false])('[CONN-70] ws with { server, path } works beside us, first: %s', async (first) => {
  const server = createServer();
  const theirs = (): unknown =>
    new WebSocketServer({ server, path: '/theirs' }).on('connection', (peer) => peer.send('theirs'));
  if (first) theirs();
  attach(server, { protocols: [stomp()], onError: () => {} });
  if (!first) theirs();
  const port = await started(server);
  for (let round = 0; round < 2; round++) {
    const ours = await openRaw({ port });
    ours.send('ours');
    expect(await ours.message()).toBe('ours');
    const raw = await openRaw({ port, path: '/theirs' });
    expect(await raw.message()).toBe('theirs');
    ours.send('still ours');
    expect(await ours.message()).toBe('still ours');
    for (const each of [ours, raw]) each.destroy();
  }
  // What is nobody's is theirs to refuse.
  expect((await openRaw({ port, path: '/nobody' })).status).toBe(400);
});

test('[CONN-92] an upgrade that nobody answers gets 404 after half a minute, one that is taken is left alone', async () => {
  const clock = createFakeClock();
  const server = createServer();
  const complaints: string[] = [];
  attach(server, {
    protocols: [stomp()],
    clock,
    drainOnClose: false,
    onError: (error) => complaints.push(String(error)),
  });
  // As of a development server: it looks at its own path and passes over others.
  const taken: Duplex[] = [];
  server.on('upgrade', ({ url }, socket) => {
    if (url !== '/hmr') return;
    taken.push(socket);
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
  });
  const port = await started(server);
  const upgrades = vi.fn();
  server.on('upgrade', upgrades);
  const nobody = openRaw({ port, path: '/nobody' });
  const hmr = openRaw({ port, path: '/hmr' });
  const gone = connect(port, '127.0.0.1');
  gone.write('GET /gone HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
  await vi.waitFor(() => expect(upgrades).toHaveBeenCalledTimes(3));
  gone.destroy();
  clock.advance(29_000);
  expect(complaints).toEqual([]);
  clock.advance(2_000);
  expect((await nobody).status).toBe(404);
  expect(complaints).toEqual([expect.stringContaining('There is no endpoint at "/nobody", but at /ws')]);
  expect(taken[0]?.writable).toBe(true);
  (await hmr).destroy();
  for (const socket of taken) socket.destroy();
  clock.advance(60_000);
  expect([complaints.length, clock.armed]).toEqual([1, 0]);
});

test('[CONN-93] one endpoint at several paths: its limits and its drain are one, a plain GET is 426 at each', async () => {
  const server = createServer();
  const options: AttachOptions = { protocols: [stomp()], path: ['/graphql', '/rooms/:id'], maxConnections: 2 };
  const endpoint = attach(server, { ...options, onError: () => {} });
  const port = await started(server);
  const one = await openRaw({ port, path: '/graphql' });
  const other = await openRaw({ port, path: '/rooms/7' });
  expect([...endpoint.connections()].map(({ handshake }) => handshake.params)).toEqual([{}, { id: '7' }]);
  expect((await openRaw({ port, path: '/graphql' })).status).toBe(503);
  expect((await openRaw({ port, path: '/rooms/8' })).status).toBe(503);
  for (const path of ['/graphql', '/rooms/7'])
    expect((await fetch(`http://127.0.0.1:${port}${path}`)).status).toBe(426);
  // What cannot have all of its paths gets none.
  expect(() => attach(server, { protocols: [stomp()], path: ['/free', '/rooms/:name'] })).toThrow(
    'path "/rooms/:name" is taken by another endpoint on this server',
  );
  expect((await openRaw({ port, path: '/free' })).status).toBe(404);
  const left = endpoint.close();
  for (const raw of [one, other]) {
    expect((await raw.closed()).code).toBe(1001);
    raw.close(1001);
  }
  await left;
  // Both paths are free again.
  attach(server, options);
});

test.each([
  [[], 'at least one path'],
  [['/a', '/a/'], 'path lists "/a/" twice'],
  [['/a', 7], 'path must begin with "/"'],
])('[CONN-93] path: %j is refused with words', (path, words) => {
  expect(() => attach(createServer(), { protocols: [stomp()], path: path as string[] })).toThrow(words);
});

test('[CONN-70] ws with { server } and no path takes all but our paths', async () => {
  const server = createServer();
  new WebSocketServer({ server }).on('connection', (peer) => peer.send('theirs'));
  attach(server, { protocols: [stomp()] });
  const port = await started(server);
  const ours = await openRaw({ port });
  ours.send('ours');
  expect(await ours.message()).toBe('ours');
  const raw = await openRaw({ port, path: '/' });
  expect(await raw.message()).toBe('theirs');
  for (const each of [ours, raw]) each.destroy();
});

test('[CONN-70] other listeners hear of our upgrades, and can do no harm', async () => {
  const server = createServer();
  const errors: unknown[] = [];
  attach(server, { protocols: [stomp()], onError: (error) => errors.push(error) });
  const seen: unknown[] = [];
  server.on('upgrade', ({ url }, socket) => {
    seen.push(url, socket.destroyed);
    (socket as Socket).setTimeout(10).setNoDelay();
    socket.write('HTTP/1.1 400 Bad Request\r\n\r\n');
    socket.end('more');
    socket.destroy();
  });
  const everything = new WebSocketServer({ noServer: true });
  server.on('upgrade', (request, socket, head) =>
    everything.handleUpgrade(request, socket, head, () => seen.push('bad')),
  );
  server.on('upgrade', () => {
    throw new Error('theirs');
  });
  const port = await started(server);
  const raw = await openRaw({ port });
  raw.send('ours');
  expect(await raw.message()).toBe('ours');
  expect([seen, errors.map(String)]).toEqual([['/ws', true], ['Error: theirs']]);
  raw.destroy();
});

test('[CONN-71] a pattern serves many paths, a literal path goes before it, and hooks see the parameters', async () => {
  const server = createServer();
  const tenants = scripted(['v12.stomp']);
  attach(server, { path: '/tenants/:id/ws', protocols: [tenants] });
  const admin = attach(server, { path: '/tenants/admin/ws', protocols: [stomp()] });
  expect(() => attach(server, { path: '/tenants/:name/ws', protocols: [stomp()] })).toThrow(/is taken/);
  const port = await started(server);
  const raw = await openRaw({ port, path: '/tenants/a%20b/ws/?x=1', protocols: ['v12.stomp'] });
  expect(tenants.sessions[0]?.connection.handshake).toMatchObject({
    params: { id: 'a b' },
    url: '/tenants/a%20b/ws/?x=1',
  });
  const other = await openRaw({ port, path: '/tenants/admin/ws', protocols: ['v12.stomp'] });
  expect(admin.stats().open).toBe(1);
  for (const each of [raw, other]) each.destroy();
});

test('[CONN-72] a plain GET is answered where nobody else answers: 426 on our path, 404 elsewhere', async () => {
  const server = createServer();
  attach(server, { protocols: [stomp()] });
  const port = await started(server);
  const here = await fetch(`http://127.0.0.1:${port}/ws?x`);
  expect([here.status, here.headers.get('upgrade'), await here.text()]).toEqual([
    426,
    'websocket',
    'This is a WebSocket endpoint: connect with a WebSocket client.\n',
  ]);
  const there = await fetch(`http://127.0.0.1:${port}/`);
  expect([there.status, await there.text()]).toEqual([404, 'There is nothing here but WebSockets.\n']);
});

test('[CONN-72] a handler of requests answers alone, whenever it came, also one that wraps all others', async () => {
  const server = createServer();
  attach(server, { protocols: [stomp()] });
  const port = await started(server);
  const page = async (): Promise<string> => (await fetch(`http://127.0.0.1:${port}/ws`)).text();
  server.on('request', (_, response) => setImmediate(() => response.end('page')));
  expect(await page()).toBe('page');
  // As engine.io does it.
  const before = server.listeners('request');
  server.removeAllListeners('request');
  server.on('request', (request, response) => {
    for (const each of before) (each as (...details: unknown[]) => void).call(server, request, response);
  });
  expect(await page()).toBe('page');
});

test('[CONN-70] an http2 server with allowHTTP1: upgrades and plain requests of either version', async () => {
  const server = createSecureServer({ ...(await certificate()), allowHTTP1: true });
  attach(server, { protocols: [stomp()] });
  const port = await listen(server as never);
  const raw = await openRaw({ port, tls: true });
  expect(raw.status).toBe(101);
  raw.send('over TLS');
  expect(await raw.message()).toBe('over TLS');
  raw.destroy();
  const session = connectHttp2(`https://127.0.0.1:${port}`, { rejectUnauthorized: false });
  const stream = session.request({ ':path': '/ws' });
  const status = await new Promise((resolve) => stream.on('response', (headers) => resolve(headers[':status'])));
  expect(status).toBe(426);
  session.destroy();
  server.close();
});

// ── leaving ──────────────────────────────────────────────────────────────────────────────────────────────────────

async function closing(
  options: Partial<AttachOptions> = {},
): Promise<{ server: Server; port: number; stats: () => object }> {
  const server = createServer();
  const endpoint = attach(server, { protocols: [stomp()], ...options });
  return { server, port: await listen(server), stats: endpoint.stats };
}

test.each([0, 600])('[CONN-79] a server that is closed after %i ms is drained: close() ends in time', async (after) => {
  const { server, port, stats } = await closing();
  const raw = await openRaw({ port });
  await new Promise((resolve) => setTimeout(resolve, after));
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  expect((await raw.closed()).code).toBe(1001);
  raw.close(1001);
  await closed;
  await vi.waitFor(() => expect(stats()).toMatchObject({ open: 0, draining: true }));
});

test('[CONN-79] drainOnClose: false leaves that to the application', async () => {
  const { server, port, stats } = await closing({ drainOnClose: false });
  const raw = await openRaw({ port });
  await new Promise((resolve) => setTimeout(resolve, 600));
  server.close();
  await new Promise((resolve) => setTimeout(resolve, 700));
  expect(stats()).toMatchObject({ open: 1, draining: false });
  raw.destroy();
});

test('[CONN-79] a server that never listens, since its sockets are handed to it, is not drained', async () => {
  const { server: front, port } = await (async () => {
    const inner = createServer();
    const endpoint = attach(inner, { protocols: [stomp()] });
    const { createServer: createTcp } = await import('node:net');
    const tcpServer = createTcp((socket) => inner.emit('connection', socket));
    await new Promise<void>((resolve) => tcpServer.listen(0, '127.0.0.1', resolve));
    stops.push(() => endpoint.drain({ deadline: 0 }));
    return { server: tcpServer, port: (tcpServer.address() as { port: number }).port };
  })();
  const raw = await openRaw({ port });
  await new Promise((resolve) => setTimeout(resolve, 1_100));
  raw.send('still here');
  expect(await raw.message()).toBe('still here');
  raw.destroy();
  front.close();
});

test('[CONN-80] attach says once that headersTimeout is 0', () => {
  const errors: unknown[] = [];
  const server = createServer();
  const onError = (error: unknown): void => void errors.push(error);
  attach(server, { path: '/fine', protocols: [stomp()], onError });
  expect(errors).toEqual([]);
  server.headersTimeout = 0;
  for (const path of ['/one', '/two']) attach(server, { path, protocols: [stomp()], onError });
  expect(errors.map(String)).toEqual([expect.stringContaining('headersTimeout of the server is 0')]);
});

test('[CONN-81] a peer that floods with pings and reads nothing is cut, and that is counted', async () => {
  const server = createServer();
  const endpoint = attach(server, { protocols: [stomp()] });
  const port = await started(server);
  const raw = await openRaw({ port });
  raw.socket.pause();
  const ping = Buffer.from([0x89, 0xfd, 0, 0, 0, 0, ...new Array<number>(125).fill(1)]);
  const pings = Buffer.concat(new Array<Buffer>(2_000).fill(ping));
  raw.socket.on('error', () => {});
  for (let round = 0; round < 200 && endpoint.stats().open > 0; round++) {
    raw.socket.write(pings);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await vi.waitFor(() => expect(endpoint.stats()).toMatchObject({ open: 0, faults: { malformed: 1 } }));
  raw.destroy();
  connect(port).destroy();
});
