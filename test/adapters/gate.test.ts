import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { PassThrough } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test, vi } from 'vitest';
import type { AttachOptions } from '../../src/adapters/attach.ts';
import { Complaints } from '../../src/adapters/complaints.ts';
import { createGate, gateRules } from '../../src/adapters/gate.ts';
import type { AcceptingEndpoint } from '../../src/core/endpoint.ts';
import { refuse } from '../../src/core/refuse.ts';
import { createFakeClock } from '../support/fake-clock.ts';
import { type HttpEndpoint, httpEndpoint } from '../support/http-endpoint.ts';
import { frameBytes, Opcode, openRaw } from '../support/raw-websocket.ts';
import { echo, scripted } from '../support/scripted-session.ts';

const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const each of stops.splice(0)) await each();
});

const stomp = () => echo(['v12.stomp'], { acceptsUnnamed: true });

async function serve(options: Partial<AttachOptions> = {}): Promise<HttpEndpoint & { readonly errors: Error[] }> {
  const errors: Error[] = [];
  const onError = (error: unknown): void => void errors.push(error as Error);
  const made = await httpEndpoint({ protocols: [stomp()], onError, ...options });
  stops.push(made.stop);
  return { ...made, errors };
}

// ── the hook ─────────────────────────────────────────────────────────────────────────────────────────────────────

test.each([
  ['true', () => true, 101, undefined],
  ['nothing', () => undefined, 101, undefined],
  ['an object', () => ({ session: 1 }), 101, undefined],
  ['false', () => false, 401, 'Unauthorized\n'],
  ['a refusal', () => refuse({ code: 403, reason: 'Banned' }), 403, 'Banned\n'],
  ['a refusal without a code', () => refuse({ reason: 'Log in' }), 401, 'Log in\n'],
  ['a refusal that is thrown', () => Promise.reject(refuse({ code: 403, reason: 'Banned' })), 403, 'Banned\n'],
  ['a refusal with a close code', () => refuse({ code: 4426, reason: 'Refresh' }), 426, 'Refresh\n'],
  ['too many', () => refuse({ code: 429, reason: 'Slow down' }), 429, 'Slow down\n'],
] as [string, () => never, number, string | undefined][])(
  '[CONN-73] the hook upgrade answers %s, at once or later: %3$i',
  async (_, hook, status, text) => {
    for (const upgrade of [hook, async () => hook()]) {
      const { port, endpoint, errors } = await serve({ upgrade });
      const raw = await openRaw({ port, protocols: ['v12.stomp'] });
      expect([raw.status, errors]).toEqual([status, []]);
      expect(raw.headers['retry-after']).toBe(status === 429 ? '5' : undefined);
      if (text !== undefined) expect(await raw.ended()).toBe(text);
      expect(endpoint.stats()).toMatchObject(text === undefined ? { accepted: 1, refused: 0 } : { refused: 1 });
      raw.destroy();
    }
  },
);

test.each([
  ['a text', () => 'yes', /got a string/],
  ['a number', () => 1, /got a number/],
  ['null', () => null, /got null/],
  ['a list', () => [], /got an array/],
  ['an Error', () => new Error('no'), /got an Error/],
  ['a Response', () => new Response(''), /got a Response/],
  ['a function', () => () => true, /got a function/],
  ['a code that is no status', () => refuse({ code: 1008, reason: 'x' }), /HTTP status from 400 to 599/],
  ['a throw', () => Promise.reject(new Error('down')), /down/],
] as [string, () => never, RegExp][])(
  '[CONN-73] [CONN-25] the hook upgrade answers %s: reported, and nobody is let in',
  async (_, hook, message) => {
    for (const upgrade of [hook, async () => hook()]) {
      const { port, errors } = await serve({ upgrade });
      const raw = await openRaw({ port });
      expect([raw.status, await raw.ended()]).toEqual([500, 'The upgrade could not be checked\n']);
      expect(errors).toHaveLength(1);
      expect(String(errors[0])).toMatch(message);
    }
  },
);

test('[CONN-73] middleware of the express kind works on the request, and what it found comes to authenticate', async () => {
  type Request = IncomingMessage & { session?: { readonly id: string; readonly secure: boolean } };
  const middleware = (request: Request, _response: object, next: (error?: unknown) => void): void => {
    const id = /sid=(\w+)/.exec(request.headers.cookie ?? '')?.[1] ?? '';
    request.session = { id, secure: 'encrypted' in request.socket };
    setImmediate(next);
  };
  const protocol = scripted(['v12.stomp']);
  const { port } = await serve({
    protocols: [protocol],
    upgrade: async (request: Request) => {
      await new Promise<void>((resolve, reject) =>
        middleware(request, {}, (error) => (error ? reject(error) : resolve())),
      );
      return request.session?.id ? { session: request.session } : false;
    },
  });
  const stranger = await openRaw({ port, protocols: ['v12.stomp'] });
  expect(stranger.status).toBe(401);
  const raw = await openRaw({ port, protocols: ['v12.stomp'], headers: { cookie: 'sid=abc' } });
  expect(raw.status).toBe(101);
  expect(protocol.sessions[0]?.connection.handshake.extra).toEqual({ session: { id: 'abc', secure: false } });
  raw.destroy();
});

test('[CONN-74] what the client sends while a hook is awaited is not lost', async () => {
  let answer: (letIn: boolean) => void = () => {};
  const { port } = await serve({ upgrade: () => new Promise<boolean>((resolve) => (answer = resolve)) });
  const socket = connect({ port, host: '127.0.0.1' });
  const request = [
    'GET /ws HTTP/1.1',
    'Host: x',
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    'Sec-WebSocket-Version: 13',
  ].join('\r\n');
  socket.write(Buffer.concat([Buffer.from(`${request}\r\n\r\n`), frameBytes({ opcode: Opcode.text, payload: 'one' })]));
  await sleep(50);
  socket.write(frameBytes({ opcode: Opcode.text, payload: 'two' }));
  await sleep(50);
  answer(true);
  let heard = '';
  socket.on('data', (data: Buffer) => {
    heard += data.toString('latin1');
  });
  await vi.waitFor(() => expect(heard).toMatch(/101 Switching.*one.*two$/s));
  socket.destroy();
});

test('[CONN-74] a client that goes away while a hook is awaited leaves nothing behind', async () => {
  const answers: ((letIn: boolean) => void)[] = [];
  const { port, endpoint, errors } = await serve({
    upgrade: () => new Promise<boolean>((resolve) => answers.push(resolve)),
  });
  for (const reset of [true, false]) {
    const socket = connect({ port, host: '127.0.0.1' });
    socket.on('error', () => {});
    socket.write(
      'GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n',
    );
    await vi.waitFor(() => expect(answers).toHaveLength(1));
    if (reset) socket.resetAndDestroy();
    else socket.destroy();
    await once(socket, 'close');
    await sleep(20);
    answers.pop()?.(true);
    await vi.waitFor(() => expect(endpoint.stats().open).toBe(0));
  }
  expect(errors).toEqual([]);
});

test('[CONN-74] a hook that takes longer than hookTimeout: 503, and its late answer lets nobody in', async () => {
  let answer: (letIn: boolean) => void = () => {};
  const { port, endpoint, errors } = await serve({
    limits: { hookTimeout: 50 },
    upgrade: () => new Promise<boolean>((resolve) => (answer = resolve)),
  });
  const raw = await openRaw({ port });
  expect([raw.status, raw.headers['retry-after'], await raw.ended()]).toEqual([
    503,
    '5',
    'The server took too long to answer\n',
  ]);
  answer(true);
  await sleep(10);
  expect(endpoint.stats()).toMatchObject({ accepted: 0, refused: 1 });
  expect(errors.map(String)).toEqual(['RefusedHandshake: An upgrade was refused: a hook took longer than hookTimeout']);
});

test('[CONN-74] [CONN-9] a drain that began while a hook was awaited lets nobody in', async () => {
  let answer: (letIn: boolean) => void = () => {};
  const { port, endpoint } = await serve({ upgrade: () => new Promise<boolean>((resolve) => (answer = resolve)) });
  const opening = openRaw({ port });
  await sleep(50);
  const drained = endpoint.drain();
  answer(true);
  expect((await opening).status).toBe(503);
  await drained;
});

test('[CONN-74] at most 1,000 upgrades of an endpoint wait for hooks', async () => {
  let waiting = 0;
  const upgrade = (): Promise<boolean> => {
    waiting++;
    return new Promise<boolean>(() => {});
  };
  const { port } = await serve({ upgrade });
  const sockets = Array.from({ length: 1_000 }, () => {
    const socket = connect({ port, host: '127.0.0.1' });
    socket.on('error', () => {});
    socket.write(
      'GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n',
    );
    return socket;
  });
  await vi.waitFor(() => expect(waiting).toBe(1_000), { timeout: 8_000 });
  const raw = await openRaw({ port });
  expect([raw.status, await raw.ended()]).toEqual([503, 'Too many upgrades are waiting\n']);
  for (const socket of sockets) socket.destroy();
});

// ── origins, hosts, proxies ──────────────────────────────────────────────────────────────────────────────────────

test('[CONN-8] [CONN-25] an origin function that rejects is reported, lets nobody in and ends nothing', async () => {
  const { port, errors } = await serve({ origin: () => Promise.reject(new Error('database')) });
  const raw = await openRaw({ port });
  expect(raw.status).toBe(500);
  expect(errors.map(String)).toEqual(['Error: database']);
  const { port: slow } = await serve({ origin: async () => true });
  const letIn = await openRaw({ port: slow });
  expect(letIn.status).toBe(101);
  letIn.destroy();
});

test('[CONN-78] a refused origin is told to onError with the way out, once a minute', async () => {
  const { port, errors } = await serve();
  for (const origin of ['http://localhost:5173', 'http://localhost:5174', 'null']) {
    const raw = await openRaw({ port, headers: { origin } });
    expect(raw.status).toBe(403);
    expect(await raw.ended()).toContain(`Origin ${origin} is not allowed here`);
  }
  expect(errors.map(String)).toEqual([
    `RefusedHandshake: Origin "http://localhost:5173" is not allowed for the host "127.0.0.1:${port}". To let it in: ` +
      "origin: ['http://localhost:5173'], or let the proxy before this server pass Host on",
  ]);
});

test('[CONN-78] wrong paths and tokens are told as well, and what strangers sent is quoted', async () => {
  const { port, errors } = await serve();
  await (await openRaw({ port, path: `/graphql${'x'.repeat(200)}` })).ended();
  const raw = await openRaw({ port, protocols: ['mqtt'] });
  await raw.closed();
  raw.destroy();
  expect(errors.map(String)).toEqual([
    `RefusedHandshake: There is no endpoint at "/graphql${'x'.repeat(92)}"…, but at /ws`,
    'RefusedHandshake: A client offered "mqtt": Subprotocol not acceptable. Spoken here: v12.stomp',
  ]);
});

test('[CONN-75] a host that is not listed gets 403, and DNS rebinding with it', async () => {
  const { port, errors } = await serve({ hosts: ['app.example'] });
  const host = `evil.example:${port}`;
  const raw = await openRaw({ port, headers: { host, origin: `http://${host}` } });
  expect([raw.status, await raw.ended()]).toEqual([403, 'This host is not served here\n']);
  expect(errors.map(String)).toEqual([`RefusedHandshake: The host "${host}" was asked for and is not one of hosts`]);
  const own = await openRaw({ port, headers: { host: 'app.example', origin: 'http://app.example' } });
  expect(own.status).toBe(101);
  own.destroy();
});

test('[CONN-76] behind a proxy the origin rule same sees the host that the client asked for, if the proxy is trusted', async () => {
  const headers = {
    host: 'backend:4000',
    origin: 'https://app.example',
    'x-forwarded-host': 'app.example',
    'x-forwarded-proto': 'https',
    'x-forwarded-for': '1.1.1.1, 203.0.113.7',
  };
  const { port: closed } = await serve();
  expect((await openRaw({ port: closed, headers })).status).toBe(403);
  const protocol = scripted(['v12.stomp']);
  const { port } = await serve({ protocols: [protocol], trustProxy: ['127.0.0.1'] });
  const raw = await openRaw({ port, headers, protocols: ['v12.stomp'] });
  expect(raw.status).toBe(101);
  expect(protocol.sessions[0]?.connection.handshake).toMatchObject({
    remoteAddress: '203.0.113.7',
    secure: true,
    trusted: true,
  });
  raw.destroy();
});

test('[CONN-98] upgrades that come all at once are let in in shares, in their order; who leaves meanwhile is passed over', () => {
  const still = createFakeClock();
  let spent = 0;
  const clock = { ...still, now: () => still.now() + spent };
  const endpoint = {
    limits: { hookTimeout: 10_000 },
    unavailable: () => undefined,
    refused() {},
    admits: () => ({ admitted: true }),
    report() {},
  } as unknown as AcceptingEndpoint;
  const accepted: string[] = [];
  const door = {
    accept(request: IncomingMessage) {
      accepted.push(request.url ?? '');
      // The handshake and the session take their time.
      spent += 2;
    },
    answer() {},
  };
  const gate = createGate<PassThrough>(
    endpoint,
    gateRules({ origin: '*' }),
    door,
    new Complaints(() => {}, clock),
    clock,
  );
  const carriers = Array.from({ length: 12 }, (_, number) => {
    const carrier = new PassThrough();
    const request = { httpVersion: '1.1', headers: { host: 'x' }, url: String(number), socket: {} };
    gate(request as unknown as IncomingMessage, carrier, {});
    return carrier;
  });
  const atOnce = accepted.length;
  expect(atOnce).toBeLessThan(6);
  carriers[10]?.emit('close');
  clock.turn();
  expect(accepted.length).toBeGreaterThan(atOnce);
  clock.flushTurn();
  expect(accepted.map(Number)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11]);
});
