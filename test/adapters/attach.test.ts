import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { connect } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { WebSocketServer } from 'ws';
import { type AttachOptions, attach } from '../../src/adapters/attach.ts';
import { type HttpEndpoint, httpEndpoint, listen, stop } from '../support/http-endpoint.ts';
import { frameBytes, Opcode, openRaw, type RawOptions, RawWebSocket } from '../support/raw-websocket.ts';
import { echo, scripted } from '../support/scripted-session.ts';

const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const each of stops.splice(0)) await each();
});

const graphql = () => echo(['graphql-transport-ws'], { advice: { 'graphql-ws': 'Use graphql-transport-ws' } });
const stomp = () => echo(['v12.stomp', 'v11.stomp'], { acceptsUnnamed: true });

async function serve(options: Partial<AttachOptions> = {}, secure = false): Promise<HttpEndpoint> {
  const made = await httpEndpoint({ protocols: [graphql(), stomp()], onError: () => {}, ...options }, secure);
  stops.push(made.stop);
  return made;
}

async function bareServer(): Promise<{ server: Server; port: number }> {
  const server = createServer((_, response) => response.end('page'));
  const port = await listen(server);
  stops.push(() => stop(server));
  return { server, port };
}

/** Shake hands with a request written by hand. */
async function handshake(
  port: number,
  lines: readonly string[],
  body: string | Uint8Array = '',
): Promise<RawWebSocket> {
  const raw = new RawWebSocket(connect({ port, host: '127.0.0.1' }));
  const request = `${lines.join('\r\n')}\r\n\r\n`;
  await raw.handshake(Buffer.concat([Buffer.from(request), Buffer.from(body)]) as never);
  return raw;
}

const upgrade = [
  'Host: x',
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Version: 13',
];

// ── negotiation ──────────────────────────────────────────────────────────────────────────────────────────────────

test("[CONN-1] [RFC6455-4] the client's order of preference decides, and the choice is echoed", async () => {
  const { port } = await serve();
  for (const [offered, name] of [
    [['v11.stomp', 'graphql-transport-ws'], 'v11.stomp'],
    [['graphql-transport-ws', 'v12.stomp'], 'graphql-transport-ws'],
    [['mqtt', 'v12.stomp'], 'v12.stomp'],
  ] as const) {
    const raw = await openRaw({ port, protocols: offered });
    expect([raw.status, raw.protocol]).toEqual([101, name]);
    raw.destroy();
  }
});

test('[CONN-1] a list over several header lines is one list', async () => {
  const { port } = await serve();
  const lines = ['Sec-WebSocket-Protocol: mqtt', 'Sec-WebSocket-Protocol:  v12.stomp ,v11.stomp'];
  const raw = await handshake(port, ['GET /ws HTTP/1.1', ...upgrade, ...lines]);
  expect([raw.status, raw.protocol]).toEqual([101, 'v12.stomp']);
  raw.destroy();
});

test('[CONN-2] [RFC6455-5] who offers nothing gets STOMP, without a header in the answer', async () => {
  const { port, endpoint } = await serve();
  const raw = await openRaw({ port });
  expect([raw.status, raw.headers['sec-websocket-protocol']]).toEqual([101, undefined]);
  raw.send('hi');
  expect(await raw.message()).toBe('hi');
  expect(endpoint.stats().subprotocols).toEqual({ '': 1 });
  raw.destroy();
});

test("[CONN-3] [RFC6455-5] an unknown list: the handshake completes with the client's first token, then 4406", async () => {
  const { port, endpoint } = await serve();
  const raw = await openRaw({ port, protocols: ['mqtt', 'wamp.2.json'] });
  expect([raw.status, raw.headers['sec-websocket-protocol']]).toEqual([101, 'mqtt']);
  expect(endpoint.stats().subprotocols).toEqual({ '': 1 });
  const reason = 'Subprotocol not acceptable. Spoken here: graphql-transport-ws, v12.stomp, v11.stomp';
  expect(await raw.closed()).toEqual({ code: 4406, reason });
  raw.close(4406);
  await endpoint.drain();
  expect(endpoint.stats().faults).toEqual({ unacceptable: 1 });
});

test('[CONN-3] nothing that such a client sends is looked at', async () => {
  const { port } = await serve({ protocols: [graphql()] });
  const raw = await openRaw({ port });
  raw.send('x');
  raw.sendFrame({ opcode: Opcode.ping, payload: 'x' });
  const reason = 'Subprotocol not acceptable. Spoken here: graphql-transport-ws';
  expect(await raw.closed()).toEqual({ code: 4406, reason });
  raw.destroy();
});

test('[CONN-4] the token of the predecessor is refused with what to use', async () => {
  const { port } = await serve();
  const raw = await openRaw({ port, protocols: ['graphql-ws'] });
  expect(await raw.closed()).toEqual({ code: 4406, reason: 'Use graphql-transport-ws' });
  raw.destroy();
});

test('[CONN-5] where only STOMP is mounted an unknown list is closed with 4406 as well', async () => {
  const { port, endpoint } = await serve({ protocols: [stomp()] });
  const raw = await openRaw({ port, protocols: ['mqtt'] });
  expect([raw.status, raw.protocol]).toEqual([101, 'mqtt']);
  const reason = 'Subprotocol not acceptable. Spoken here: v12.stomp, v11.stomp';
  expect(await raw.closed()).toEqual({ code: 4406, reason });
  raw.close(4406);
  await endpoint.drain();
  expect(endpoint.stats()).toMatchObject({ open: 0, faults: { unacceptable: 1 } });
});

test.each([
  'v12.stomp,',
  ',v12.stomp',
  'v12.stomp, v12.stomp',
  'v12 stomp',
  'v12.stomp, "x"',
  'v12.stomp;q=1',
  '\u007f',
])('[RFC6455-3] a malformed list of subprotocols, %j, is a 400', async (value) => {
  const { port, endpoint } = await serve();
  const raw = await openRaw({ port, headers: { 'sec-websocket-protocol': value } });
  expect(raw.status).toBe(400);
  await raw.ended();
  expect(endpoint.stats().open).toBe(0);
});

// ── the handshake ────────────────────────────────────────────────────────────────────────────────────────────────

test('[RFC6455-1] the accept value is computed from the key', async () => {
  const { port } = await serve();
  const raw = await handshake(port, ['GET /ws HTTP/1.1', ...upgrade]);
  expect(raw.headers).toMatchObject({
    upgrade: 'websocket',
    connection: 'Upgrade',
    'sec-websocket-accept': 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=',
  });
  raw.destroy();
});

test.each([
  ['a POST', { method: 'POST' }, 405],
  ['no key', { headers: { 'sec-websocket-key': undefined } }, 400],
  ['a short key', { headers: { 'sec-websocket-key': 'AAAA' } }, 400],
  ['another upgrade', { headers: { upgrade: 'h2c' } }, 400],
  ['no version', { headers: { 'sec-websocket-version': undefined } }, 400],
  ['version 12', { headers: { 'sec-websocket-version': '12' } }, 400],
] as [string, Partial<RawOptions>, number][])(
  '[RFC6455-2] a handshake with %s is refused with %3$i',
  async (_, options, status) => {
    const { port, endpoint } = await serve();
    const raw = await openRaw({ port, ...options });
    expect(raw.status).toBe(status);
    await raw.ended();
    expect(endpoint.stats()).toMatchObject({ open: 0, accepted: 0 });
  },
);

test('[RFC6455-2] the refusal of another version names the one that is spoken', async () => {
  const { port } = await serve();
  const raw = await openRaw({ port, headers: { 'sec-websocket-version': '99' } });
  expect(raw.headers['sec-websocket-version']).toContain('13');
  raw.destroy();
});

test('[RFC6455-2] HTTP/1.0 cannot be upgraded', async () => {
  const { port, endpoint } = await serve();
  const raw = await handshake(port, ['GET /ws HTTP/1.0', ...upgrade]);
  expect(raw.status).toBe(400);
  await raw.ended();
  expect(endpoint.stats()).toMatchObject({ open: 0, refused: 1 });
});

test('[RFC6455-6] frames that came together with the handshake are read', async () => {
  const { port } = await serve();
  const frames = ['one', 'two'].map((payload) => frameBytes({ opcode: Opcode.text, payload }));
  const raw = await handshake(
    port,
    ['GET /ws HTTP/1.1', ...upgrade],
    Buffer.concat([...frames, frameBytes({ opcode: 1, payload: 'three' }).subarray(0, 3)]),
  );
  expect([await raw.message(), await raw.message()]).toEqual(['one', 'two']);
  raw.destroy();
});

test('the handshake tells path, headers, address and whether it was secure, and forgets what is spent', async () => {
  for (const secure of [false, true]) {
    const protocol = scripted(['v12.stomp']);
    const { port } = await serve({ protocols: [protocol] }, secure);
    const raw = await openRaw({
      port,
      tls: secure,
      path: '/ws?room=1',
      protocols: ['v12.stomp'],
      headers: { cookie: 'a=b', 'x-empty': '' },
    });
    const { handshake: kept } = protocol.sessions[0]?.connection ?? {};
    expect(kept).toMatchObject({ url: '/ws?room=1', remoteAddress: '127.0.0.1', secure });
    expect(kept?.headers).toMatchObject({ cookie: 'a=b', 'x-empty': '' });
    expect(Object.keys(kept?.headers ?? {}).sort()).toEqual(['cookie', 'host', 'sec-websocket-protocol', 'x-empty']);
    raw.destroy();
  }
});

test('[CONN-39] a client that disconnects at any byte of the handshake harms nobody', async () => {
  const { port, endpoint } = await serve();
  const request = `GET /ws HTTP/1.1\r\n${upgrade.join('\r\n')}\r\n\r\n`;
  for (let cut = 1; cut <= request.length; cut += 7) {
    const socket = connect({ port, host: '127.0.0.1' });
    socket.on('error', () => {});
    await new Promise<void>((resolve) => socket.write(request.slice(0, cut), () => resolve()));
    if (cut % 2) socket.resetAndDestroy();
    else socket.destroy();
  }
  const raw = await openRaw({ port, protocols: ['v12.stomp'] });
  raw.send('still here');
  expect(await raw.message()).toBe('still here');
  raw.destroy();
  expect(endpoint.stats().faults).toEqual({});
});

// ── who answers ──────────────────────────────────────────────────────────────────────────────────────────────────

test('[CONN-7] several endpoints live on one server, each with its own path and numbers', async () => {
  const { server, port } = await bareServer();
  const one = attach(server, { path: '/one', protocols: [graphql()] });
  const two = attach(server, { path: '/two', protocols: [stomp()] });
  const raw = await openRaw({ port, path: '/two?x=1', protocols: ['graphql-transport-ws', 'v12.stomp'] });
  expect(raw.protocol).toBe('v12.stomp');
  expect([one.stats().open, two.stats().open]).toEqual([0, 1]);
  expect(server.listenerCount('upgrade')).toBe(1);
  raw.destroy();
});

test('[CONN-7] an unknown path gets 404 where nobody else listens, and pages are served as before', async () => {
  const { server, port } = await bareServer();
  attach(server, { protocols: [stomp()], onError: () => {} });
  for (const path of ['/', '/wsx', '/ws/x', '/WS', '//ws', '*']) {
    const raw = await openRaw({ port, path });
    expect([path, raw.status]).toEqual([path, 404]);
    expect(await raw.ended()).toBe('No WebSocket endpoint here\n');
  }
  expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe('page');
});

test('[CONN-7] the paths of other upgrade listeners are left alone, whoever came first', async () => {
  for (const first of [true, false]) {
    const { server, port } = await bareServer();
    const theirs = new WebSocketServer({ noServer: true });
    const other = (request: never, socket: never, head: never): void => {
      if ((request as { url: string }).url === '/theirs')
        theirs.handleUpgrade(request, socket, head, (peer) => peer.send('theirs'));
    };
    if (first) server.on('upgrade', other as never);
    attach(server, { protocols: [stomp()] });
    if (!first) server.on('upgrade', other as never);
    const raw = await openRaw({ port, path: '/theirs' });
    expect(await raw.message()).toBe('theirs');
    const ours = await openRaw({ port });
    ours.send('ours');
    expect(await ours.message()).toBe('ours');
    for (const each of [raw, ours]) each.destroy();
  }
});

test('[CONN-7] a path is taken once, and free again after its endpoint was drained', async () => {
  const { server, port } = await bareServer();
  const first = attach(server, { protocols: [stomp()] });
  expect(() => attach(server, { protocols: [stomp()] })).toThrow(/^path "\/ws" is taken/);
  await first.drain();
  const second = attach(server, { protocols: [graphql()] });
  const raw = await openRaw({ port, protocols: ['graphql-transport-ws'] });
  expect([raw.status, second.stats().open]).toEqual([101, 1]);
  raw.destroy();
});

test('[CONN-8] a foreign origin gets 403 and says which; our own and programs are let in', async () => {
  const { port, endpoint } = await serve();
  const foreign = await openRaw({ port, headers: { origin: 'https://evil.example' } });
  expect([foreign.status, await foreign.ended()]).toEqual([
    403,
    'Origin https://evil.example is not allowed here. If it is yours, add it to the option origin\n',
  ]);
  const hidden = await openRaw({ port, headers: { 'sec-fetch-site': 'cross-site' } });
  expect([hidden.status, await hidden.ended()]).toEqual([
    403,
    'Origin missing is not allowed here. If it is yours, add it to the option origin\n',
  ]);
  const own = await openRaw({ port, headers: { origin: `http://127.0.0.1:${port}` } });
  expect(own.status).toBe(101);
  own.destroy();
  expect(endpoint.stats()).toMatchObject({ refused: 2, accepted: 1 });
});

test('[CONN-8] [CONN-25] an origin function that throws is reported, and lets nobody in', async () => {
  const errors: unknown[] = [];
  const bug = new Error('origin');
  const { port } = await serve({
    onError: (error) => errors.push(error),
    origin() {
      throw bug;
    },
  });
  const raw = await openRaw({ port });
  expect([raw.status, errors]).toEqual([500, [bug]]);
  raw.destroy();
});

test('[CONN-9] over maxConnections, and while draining, 503 with Retry-After', async () => {
  const { port, endpoint } = await serve({ maxConnections: 1 });
  const first = await openRaw({ port });
  const second = await openRaw({ port });
  expect([second.status, second.headers['retry-after'], await second.ended()]).toEqual([
    503,
    '5',
    'Too many connections\n',
  ]);
  const drained = endpoint.drain({ deadline: 0, restart: true, retryWithin: 3_000 });
  expect(await first.closed()).toEqual({ code: 1012, reason: 'goingAway retry within 3000 ms' });
  const third = await openRaw({ port });
  expect([third.status, await third.ended()]).toEqual([503, 'The server is going away\n']);
  first.close(1012);
  await drained;
  const gone = await openRaw({ port });
  expect(gone.status).toBe(503);
  gone.destroy();
});

// ── while it is open ─────────────────────────────────────────────────────────────────────────────────────────────

test('a text message comes as text, or as its UTF-8 to a session that takes bytes', async () => {
  for (const takesBytes of [undefined, true]) {
    const received: unknown[] = [];
    const protocol = scripted(['v12.stomp'], (session) => {
      Object.assign(session, { takesBytes });
      session.on.receive = (data: string | Uint8Array) => received.push(typeof data, String(data));
    });
    const { port } = await serve({ protocols: [protocol] });
    const raw = await openRaw({ port, protocols: ['v12.stomp'] });
    raw.send('größe');
    raw.close(1000);
    await raw.closed();
    expect(received).toEqual([takesBytes ? 'object' : 'string', 'größe']);
  }
});

test('[CONN-40] [CONN-24] a message over maxPayload: last words, then 1009', async () => {
  const { port, endpoint } = await serve({ limits: { maxPayload: 1_000 } });
  for (const frames of [
    [{ opcode: Opcode.text, payload: 'x'.repeat(1_001) }],
    [
      { opcode: Opcode.binary, fin: false, payload: 'x'.repeat(600) },
      { opcode: Opcode.continuation, payload: 'x'.repeat(600) },
    ],
    [{ opcode: Opcode.text, payload: '', length: 2 ** 40 }],
  ]) {
    const raw = await openRaw({ port, protocols: ['v12.stomp'] });
    raw.send('x'.repeat(1_000));
    expect(await raw.message()).toHaveLength(1_000);
    for (const frame of frames) raw.sendFrame(frame);
    expect(await raw.message()).toBe('fault tooLarge');
    expect(await raw.closed()).toEqual({ code: 1009, reason: 'tooLarge' });
    raw.destroy();
  }
  expect(endpoint.stats().accepted).toBe(3);
});

test('[CONN-40] a message of very many tiny fragments is refused before it costs memory', async () => {
  const { port } = await serve();
  const raw = await openRaw({ port, protocols: ['v12.stomp'] });
  raw.sendFrame({ opcode: Opcode.text, fin: false, payload: '' });
  for (let index = 0; index < 1_100; index++) raw.sendFrame({ opcode: Opcode.continuation, fin: false, payload: 'x' });
  expect(await raw.message()).toBe('fault malformed');
  expect((await raw.closed()).code).toBe(1008);
  raw.destroy();
});

test('[CONN-18] [CONN-19] a peer is pinged, and one that answers nothing is closed with the code of its table', async () => {
  const { port, endpoint } = await serve({ limits: { pingInterval: 50, pongTimeout: 60 } });
  const raw = await openRaw({ port, protocols: ['v12.stomp'] });
  for (let pongs = 0; pongs < 3; pongs++) {
    const { opcode, payload } = await raw.frame();
    expect(opcode).toBe(Opcode.ping);
    raw.sendFrame({ opcode: Opcode.pong, payload });
  }
  expect(await raw.closed()).toEqual({ code: 4000, reason: 'heartbeat' });
  await raw.ended();
  await endpoint.drain();
  expect(endpoint.stats()).toMatchObject({ open: 0, faults: { heartbeat: 1 } });
});

test('[CONN-20] a long message that comes slowly keeps its peer alive', async () => {
  const { port, endpoint } = await serve({ limits: { pingInterval: 40, pongTimeout: 50 } });
  const raw = await openRaw({ port, protocols: ['v12.stomp'] });
  const bytes = frameBytes({ opcode: Opcode.text, payload: 'x'.repeat(300) });
  let pings = 0;
  let sent = 0;
  // One octet in answer to each ping, and never a pong.
  while (pings < 6) {
    const { opcode } = await raw.frame();
    expect(opcode).toBe(Opcode.ping);
    pings++;
    raw.sendBytes(bytes.subarray(sent, ++sent));
  }
  raw.sendBytes(bytes.subarray(sent));
  expect(await raw.message()).toBe('x'.repeat(300));
  expect(endpoint.stats().faults).toEqual({});
  raw.destroy();
});

test('[CONN-15] over the rate the socket is not read, and everything comes in order', async () => {
  const { port } = await serve({ limits: { messageRate: 200 } });
  const raw = await openRaw({ port, protocols: ['v12.stomp'] });
  for (let index = 0; index < 260; index++) raw.send(String(index));
  const startedAt = performance.now();
  for (let index = 0; index < 260; index++) expect(await raw.message()).toBe(String(index));
  expect(performance.now() - startedAt).toBeGreaterThan(200);
  raw.destroy();
});

test('[CONN-22] credentials that expire end the connection on time', async () => {
  const protocol = echo(['v12.stomp']);
  const { port } = await serve({ protocols: [protocol], authenticate: () => ({ expiresAt: Date.now() + 100 }) });
  const raw = await openRaw({ port, protocols: ['v12.stomp'] });
  protocol.sessions[0]?.connection.authenticate({}, () => {});
  const startedAt = performance.now();
  expect(await raw.message()).toBe('fault expired');
  expect(await raw.closed()).toEqual({ code: 4413, reason: 'expired' });
  expect(performance.now() - startedAt).toBeLessThan(1_100);
  raw.destroy();
});

test('[CONN-25] [CONN-39] a subprotocol that throws when it opens costs its own connection only', async () => {
  const errors: unknown[] = [];
  const bug = new Error('open');
  const broken = scripted(['broken'], () => {
    throw bug;
  });
  const { port } = await serve({ protocols: [broken, stomp()], onError: (error) => errors.push(error) });
  const raw = await openRaw({ port, protocols: ['broken'] });
  expect(await raw.closed()).toEqual({ code: 1011, reason: 'internal' });
  expect(errors).toEqual([bug]);
  raw.destroy();
});

test.each([
  [undefined, /^attach\(\) needs options/],
  [{}, /^protocols must list/],
  [{ protocols: [graphql(), graphql()] }, /^protocols: two of them speak/],
  [{ path: 'ws' }, /^path must begin with/],
  [{ path: '/ws?x' }, /^path must begin with/],
  [{ path: 5 }, /^path must begin with/],
  [{ origin: 'app.example' }, /^origin must be/],
  [{ origin: ['app.example'] }, /^origin must list/],
  [{ hosts: 'app.example' }, /^hosts must/],
  [{ trustProxy: true }, /^trustProxy must/],
  [{ upgrade: true }, /^upgrade must be a function/],
  [{ drainOnClose: 1 }, /^drainOnClose must/],
  [{ deflate: 'yes' }, /^deflate must be/],
  [{ deflate: null }, /^deflate must be/],
  [{ authenticate: true }, /^authenticate must be a function/],
  [{ onError: 'log' }, /^onError must be a function/],
  [{ maxConnections: -1 }, /^maxConnections must be/],
  [{ limits: { pongTimeout: '1s' } }, /^limits\.pongTimeout must be/],
  [{ limits: { pongTimeouts: 1 } }, /^limits\.pongTimeouts is not a limit/],
])('[CONN-10] attach with %j throws at once and names the option', (options, message) => {
  const server = createServer();
  const given = options && {
    ...('protocols' in options || Object.keys(options).length === 0 ? {} : { protocols: [stomp()] }),
    ...options,
  };
  expect(() => attach(server, given as never)).toThrow(TypeError);
  expect(() => attach(server, given as never)).toThrow(message);
  expect(server.listenerCount('upgrade')).toBe(0);
});

test('[CONN-10] attach needs a server', () => {
  expect(() => attach(undefined as never, { protocols: [stomp()] })).toThrow(
    /^attach\(\) needs an http or https server/,
  );
  // An application of Express or Koa hears events too, and no upgrade.
  const application = Object.assign(() => {}, { on() {}, listen() {} });
  expect(() => attach(application as never, { protocols: [stomp()] })).toThrow('attach(app.listen(4000), …)');
});

test('a socket of a refused handshake that resets is no error of the process', async () => {
  const { port } = await serve({ maxConnections: 1 });
  const first = await openRaw({ port });
  for (let round = 0; round < 20; round++) {
    const socket = connect({ port, host: '127.0.0.1' });
    socket.on('error', () => {});
    await once(socket, 'connect');
    socket.write(`GET /ws HTTP/1.1\r\n${upgrade.join('\r\n')}\r\n\r\n`, () => socket.resetAndDestroy());
    await once(socket, 'close');
  }
  first.send('x');
  expect(await first.message()).toBe('x');
  first.destroy();
});
