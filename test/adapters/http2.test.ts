import { once } from 'node:events';
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  createSecureServer,
  type Http2SecureServer,
  type IncomingHttpHeaders,
} from 'node:http2';
import type { Socket } from 'node:net';
import { afterEach, expect, test, vi } from 'vitest';
import { type AttachOptions, attach } from '../../src/adapters/attach.ts';
import type { Endpoint } from '../../src/core/endpoint.ts';
import { certificate } from '../support/certificate.ts';
import { listen } from '../support/http-endpoint.ts';
import { openRaw, RawWebSocket } from '../support/raw-websocket.ts';
import { scripted } from '../support/scripted-session.ts';
import { adapterSuite } from './suite.ts';
import { rawClient } from './suite-clients.ts';

interface Served {
  readonly server: Http2SecureServer;
  readonly endpoint: Endpoint;
  readonly port: number;
}

async function serve(options: AttachOptions): Promise<Served> {
  const server = createSecureServer({ ...(await certificate()), allowHTTP1: true });
  const endpoint = attach(server, options);
  return { server, endpoint, port: await listen(server as never) };
}

const sessions: ClientHttp2Session[] = [];

/** A session of a client that knows what the server speaks. */
async function sessionTo(port: number): Promise<ClientHttp2Session> {
  const session = connect(`https://127.0.0.1:${port}`, { rejectUnauthorized: false });
  session.on('error', () => {});
  sessions.push(session);
  await once(session, 'remoteSettings');
  return session;
}

interface Opened {
  readonly stream: ClientHttp2Stream;
  readonly headers: IncomingHttpHeaders & { readonly ':status'?: number };
}

async function extendedConnect(session: ClientHttp2Session, headers: Record<string, string> = {}): Promise<Opened> {
  const asked = {
    ':method': 'CONNECT',
    ':protocol': 'websocket',
    ':scheme': 'https',
    ':path': '/ws',
    'sec-websocket-version': '13',
    ...headers,
  };
  const stream = session.request(asked, { endStream: false });
  stream.on('error', () => {});
  // As TCP sockets of Node do by themselves.
  stream.on('end', () => stream.end());
  const [answer] = (await once(stream, 'response')) as [IncomingHttpHeaders];
  return { stream, headers: answer };
}

async function open(port: number, headers?: Record<string, string>): Promise<RawWebSocket> {
  const opened = await extendedConnect(await sessionTo(port), headers);
  expect(opened.headers[':status']).toBe(200);
  return new RawWebSocket(opened.stream as unknown as Socket);
}

const echo = () =>
  scripted(['echo'], (session) => {
    session.on.receive = (data: string | Uint8Array) =>
      session.connection.send({ head: data, binary: typeof data !== 'string' });
  });

const servers: Served[] = [];

async function started(options: Partial<AttachOptions> = {}): Promise<Served> {
  const served = await serve({ protocols: [echo()], ...options });
  servers.push(served);
  return served;
}

afterEach(async () => {
  for (const session of sessions.splice(0)) session.destroy();
  for (const { server, endpoint } of servers.splice(0)) {
    await endpoint.drain({ deadline: 0 });
    server.close();
  }
});

adapterSuite('[CONN-90] http2', {
  framed: true,
  async serve(options) {
    const { server, endpoint, port } = await serve(options);
    return {
      port,
      stats: endpoint.stats,
      async stop() {
        await endpoint.drain({ deadline: 0 });
        for (const session of sessions.splice(0)) session.destroy();
        await new Promise((resolve) => server.close(resolve));
      },
    };
  },
  clients: { 'a raw client': rawClient(({ port }) => open(port, { 'sec-websocket-protocol': 'echo' })) },
});

test('[CONN-90] an answer names the token that was chosen, and nothing that HTTP/2 forbids', async () => {
  const { port } = await started();
  const { headers, stream } = await extendedConnect(await sessionTo(port), { 'sec-websocket-protocol': 'other, echo' });
  expect({ ...headers }).toMatchObject({ ':status': 200, 'sec-websocket-protocol': 'echo' });
  for (const name of ['connection', 'upgrade', 'sec-websocket-accept']) expect(headers).not.toHaveProperty(name);
  stream.destroy();
});

test('[CONN-90] many WebSockets, and requests, share one session', async () => {
  const { server, port } = await started();
  server.on('request', (_, response) => response.end('a page'));
  const session = await sessionTo(port);
  const raws = await Promise.all(
    Array.from({ length: 20 }, async () => {
      const { stream } = await extendedConnect(session, { 'sec-websocket-protocol': 'echo' });
      return new RawWebSocket(stream as unknown as Socket);
    }),
  );
  for (const [index, raw] of raws.entries()) raw.send(`number ${index}`);
  expect(await Promise.all(raws.map((raw) => raw.message()))).toEqual(raws.map((_, index) => `number ${index}`));
  const page = session.request({ ':path': '/' });
  const body = await page.toArray();
  expect(Buffer.concat(body).toString()).toBe('a page');
});

test('[CONN-90] one server takes upgrades of HTTP/1.1 beside the CONNECT of HTTP/2', async () => {
  const { endpoint, port } = await started();
  const old = await openRaw({ port, tls: true, protocols: ['echo'] });
  const young = await open(port, { 'sec-websocket-protocol': 'echo' });
  for (const raw of [old, young]) {
    raw.send('both');
    expect(await raw.message()).toBe('both');
  }
  expect(endpoint.stats().open).toBe(2);
  old.destroy();
});

test.each<[string, Partial<AttachOptions>, Record<string, string>, number, RegExp]>([
  ['a foreign origin', {}, { origin: 'https://evil.example' }, 403, /Origin https:\/\/evil.example is not allowed/],
  ['a foreign host', { hosts: ['app.example'] }, {}, 403, /This host is not served here/],
  ['the hook', { upgrade: () => false }, {}, 401, /Unauthorized/],
  ['a late hook', { upgrade: async () => false }, {}, 401, /Unauthorized/],
  ['another path', {}, { ':path': '/other' }, 404, /No WebSocket endpoint here/],
  ['another version', {}, { 'sec-websocket-version': '1' }, 400, /Sec-WebSocket-Version/],
])('[CONN-90] %s is refused with its status and words', async (_, options, headers, status, words) => {
  const { endpoint, port } = await started({ ...options, onError: () => {} });
  const session = await sessionTo(port);
  const refused = await extendedConnect(session, { 'sec-websocket-protocol': 'echo', ...headers });
  expect([refused.headers[':status'], endpoint.stats().open]).toEqual([status, 0]);
  expect(Buffer.concat(await refused.stream.toArray()).toString()).toMatch(words);
  // The session lives on.
  const { headers: next } = await extendedConnect(session, { 'sec-websocket-protocol': 'echo' });
  expect([200, status]).toContain(next[':status']);
});

test('[CONN-90] a hook sees the request: path, host, cookies, address', async () => {
  const seen: unknown[] = [];
  const { port } = await started({
    path: '/ws/:room',
    upgrade({ method, url, headers, socket }) {
      seen.push([method, url, headers['host'], headers['cookie'], socket.remoteAddress]);
      return { user: 'ann' };
    },
  });
  const raw = await open(port, { ':path': '/ws/red?a=1', cookie: 'session=7', 'sec-websocket-protocol': 'echo' });
  raw.send('in');
  expect(await raw.message()).toBe('in');
  expect(seen).toEqual([['GET', '/ws/red?a=1', `127.0.0.1:${port}`, 'session=7', '127.0.0.1']]);
});

test('[CONN-90] whose stream is reset while a hook is asked leaves nothing behind', async () => {
  let answer: (value: boolean) => void = () => {};
  const { endpoint, port } = await started({ upgrade: () => new Promise((resolve) => (answer = resolve)) });
  const session = await sessionTo(port);
  const stream = session.request(
    {
      ':method': 'CONNECT',
      ':protocol': 'websocket',
      ':scheme': 'https',
      ':path': '/ws',
      'sec-websocket-version': '13',
    },
    { endStream: false },
  );
  stream.on('error', () => {});
  await new Promise((resolve) => setTimeout(resolve, 50));
  stream.close(8);
  await new Promise((resolve) => setTimeout(resolve, 50));
  answer(true);
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(endpoint.stats().open).toBe(0);
});

test('[CONN-90] a lost session ends all of its connections', async () => {
  const { endpoint, port } = await started();
  const session = await sessionTo(port);
  for (let index = 0; index < 3; index++) await extendedConnect(session, { 'sec-websocket-protocol': 'echo' });
  expect(endpoint.stats().open).toBe(3);
  session.destroy();
  await vi.waitFor(() => expect(endpoint.stats().open).toBe(0));
});

test('[CONN-90] a large message that comes slowly counts as a sign of life', async () => {
  const limits = { pingInterval: 150, pongTimeout: 150, closeTimeout: 100 };
  const { port } = await started({ limits });
  const raw = await open(port, { 'sec-websocket-protocol': 'echo' });
  const head = Buffer.from([0x82, 0x80 | 126, 0, 200, 0, 0, 0, 0]);
  raw.sendBytes(head);
  // Pings are not answered meanwhile.
  for (let sent = 0; sent < 200; sent += 20) {
    await new Promise((resolve) => setTimeout(resolve, 60));
    raw.sendBytes(Buffer.alloc(20, 65));
  }
  for (;;) {
    const { opcode, payload } = await raw.frame();
    if (opcode === 9) continue;
    expect([opcode, payload.toString()]).toEqual([2, 'A'.repeat(200)]);
    break;
  }
});

test('[CONN-90] messages are deflated where both sides want it', async () => {
  const { port } = await started({ deflate: { threshold: 0 } });
  const raw = await open(port, {
    'sec-websocket-protocol': 'echo',
    'sec-websocket-extensions': 'permessage-deflate',
  });
  raw.send('a'.repeat(1_000));
  const { rsv, payload } = await raw.frame();
  expect(rsv).toBe(4);
  expect(payload.length).toBeLessThan(100);
});

test('[CONN-90] closing the server drains it, and lets its sessions go', async () => {
  const { server, endpoint, port } = await started();
  const session = await sessionTo(port);
  const { stream } = await extendedConnect(session, { 'sec-websocket-protocol': 'echo' });
  const raw = new RawWebSocket(stream as unknown as Socket);
  await new Promise((resolve) => setTimeout(resolve, 600));
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  expect((await raw.closed()).code).toBe(1001);
  raw.close(1001);
  await closed;
  expect(endpoint.stats()).toMatchObject({ open: 0, draining: true });
});

test("[CONN-90] a CONNECT that is none of ours is left to the application's own listeners", async () => {
  const { server, port } = await started();
  server.on('stream', (stream, headers) => {
    if (headers[':path'] === '/theirs') stream.respond({ ':status': 418 }, { endStream: true });
  });
  const session = await sessionTo(port);
  const { headers } = await extendedConnect(session, { ':path': '/theirs' });
  expect(headers[':status']).toBe(418);
  const { headers: ours } = await extendedConnect(session, { 'sec-websocket-protocol': 'echo' });
  expect(ours[':status']).toBe(200);
});
