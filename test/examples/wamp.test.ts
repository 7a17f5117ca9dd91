import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import autobahn, { type Session } from 'autobahn';
import { attach, createBus } from 'subwire';
import { stompBroker } from 'subwire/stomp';
import { createStompClient } from 'subwire/stomp/client';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Wampy } from 'wampy';
import { MsgpackSerializer } from 'wampy/MsgpackSerializer.js';
import { WebSocket } from 'ws';
import { type WampOptions, wamp } from '../../examples/wamp/wamp.ts';

const stops: (() => unknown)[] = [];
// autobahn tells the console of each connection that ends.
beforeEach(() => {
  vi.spyOn(console, 'warn').mockImplementation(() => {});
});
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

async function serve(options: Partial<WampOptions> = {}) {
  const bus = createBus({ open: { 'com.app.*': 'readwrite', 'com.news.*': 'read' } });
  const server = createServer();
  const endpoint = attach(server, { protocols: [wamp({ bus, ...options }), stompBroker({ bus })] });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  stops.push(async () => {
    await endpoint.close();
    server.close();
  });
  return { endpoint, url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}/ws` };
}

async function wampy(url: string, packs = false, realm = 'realm1'): Promise<Wampy> {
  const client = new Wampy(url, {
    realm,
    ws: WebSocket,
    autoReconnect: false,
    ...(packs ? { serializer: new MsgpackSerializer() } : {}),
  } as never);
  await client.connect();
  stops.push(async () => client.disconnect().catch(() => {}));
  return client;
}

async function autobahnSession(url: string): Promise<Session> {
  const connection = new autobahn.Connection({ url, realm: 'realm1', max_retries: 0 });
  const session = new Promise<Session>((resolve) => {
    connection.onopen = resolve;
  });
  connection.open();
  stops.push(() => connection.close());
  return session;
}

async function raw(url: string, token = 'wamp.2.json') {
  const socket = new WebSocket(url, token);
  const heard: unknown[][] = [];
  socket.on('message', (data) => heard.push(JSON.parse(String(data))));
  const closed = once(socket, 'close').then(([code]) => code as number);
  await once(socket, 'open');
  const say = (...said: unknown[]): void => socket.send(JSON.stringify(said));
  return { socket, heard, closed, say };
}

describe('WAMP by foreign clients', () => {
  test('one topic: wampy in JSON and MessagePack, autobahn, and STOMP', async () => {
    const { url } = await serve();
    const heard: unknown[] = [];
    const [text, packed, other] = await Promise.all([wampy(url), wampy(url, true), autobahnSession(url)]);
    await text.subscribe('com.app.x', ({ argsList, argsDict }) => void heard.push(['text', argsList, argsDict]));
    await packed.subscribe('com.app.x', ({ argsList, argsDict }) => void heard.push(['packed', argsList, argsDict]));
    await other.subscribe('com.app.x', (positional, byName) => heard.push(['autobahn', positional, byName]));
    const stomp = createStompClient({ url });
    await stomp.connect();
    stops.push(() => stomp.disconnect());
    stomp.subscribe('/topic/com.app.x', ({ body }) => heard.push(['stomp', body]));
    await stomp.publish({
      destination: '/topic/com.app.x',
      headers: { 'content-type': 'application/json' },
      body: '{"a":1}',
      receipt: true,
    });
    await other.publish('com.app.x', [1, 2], { b: 3 }, { acknowledge: true });
    await packed.publish('com.app.x', [5]);
    await vi.waitFor(() => expect(heard).toHaveLength(10));
    for (const [who, ...said] of [
      ['text', [{ a: 1 }], {}],
      ['packed', [{ a: 1 }], {}],
      ['autobahn', [{ a: 1 }], {}],
      ['stomp', '{"a":1}'],
      ['text', [1, 2], { b: 3 }],
      ['packed', [1, 2], { b: 3 }],
      ['stomp', '[[1,2],{"b":3}]'],
      ['text', [5], {}],
      ['autobahn', [5], {}],
      ['stomp', '5'],
    ]) {
      expect(heard).toContainEqual([who, ...said]);
    }
  });

  test('calls across clients and tokens, and their errors', async () => {
    const { url } = await serve({ mayUse: (action, procedure) => action === 'call' || procedure !== 'com.app.root' });
    const [callee, caller] = await Promise.all([autobahnSession(url), wampy(url, true)]);
    await callee.register('com.app.sum', ([first = 0, second = 0]) => first + second);
    await callee.register('com.app.fails', () => {
      throw new Error('not today');
    });
    expect((await caller.call('com.app.sum', [1, 2])).argsList).toEqual([3]);
    await expect(caller.call('com.app.fails')).rejects.toThrow();
    await expect(caller.call('com.app.none')).rejects.toMatchObject({ errorUri: 'wamp.error.no_such_procedure' });
    await expect(callee.register('com.app.sum', () => 0)).rejects.toMatchObject({
      error: 'wamp.error.procedure_already_exists',
    });
    await expect(callee.register('com.app.root', () => 0)).rejects.toMatchObject({
      error: 'wamp.error.not_authorized',
    });
  });

  test('what the bus does not open is neither read nor written', async () => {
    const { url } = await serve();
    const session = await autobahnSession(url);
    await expect(session.subscribe('com.secret.x', () => {})).rejects.toMatchObject({
      error: 'wamp.error.not_authorized',
    });
    await expect(session.publish('com.news.x', [1], {}, { acknowledge: true })).rejects.toMatchObject({
      error: 'wamp.error.not_authorized',
    });
  });
});

describe('WAMP and hostile peers', () => {
  test.each([
    ['no JSON', '{'],
    ['no list', '{"0":1}'],
    ['no message of a client', '[36,1,1,{}]'],
    ['nothing before HELLO', '[32,1,{},"com.app.x"]'],
    ['an inherited name', '["constructor"]'],
    ['a code without a text', '[{"toString":1}]'],
    ['a code that is too deep to be written', `${'['.repeat(50_000)}${']'.repeat(50_000)}`],
    ['a HELLO without details', '[1,"realm1"]'],
    ['bytes where text is spoken', Buffer.from('[1,"realm1",{}]')],
  ])('%s: ABORT, and 1002', async (_, said) => {
    const { url } = await serve();
    const { socket, heard, closed } = await raw(url);
    socket.send(said);
    expect(await closed).toBe(1002);
    expect(heard).toEqual([[3, {}, 'wamp.error.protocol_violation']]);
  });

  test('another realm, a list too deep, a callee that leaves, more calls than may wait', async () => {
    const { url, endpoint } = await serve();
    const stranger = await raw(url);
    stranger.say(1, 'other', {});
    expect(await stranger.closed).toBe(1008);
    expect(stranger.heard).toEqual([[3, {}, 'wamp.error.no_such_realm']]);

    const callee = await raw(url);
    callee.say(1, 'realm1', {});
    callee.say(64, 1, {}, 'com.app.slow');
    await vi.waitFor(() => expect(callee.heard).toHaveLength(2));
    const caller = await raw(url);
    caller.say(1, 'realm1', {});
    for (let request = 1; request <= 101; request++) caller.say(48, request, {}, 'com.app.slow');
    await vi.waitFor(() => expect(caller.heard).toContainEqual([8, 48, 101, {}, 'wamp.error.too_many']));
    callee.socket.terminate();
    await vi.waitFor(() => expect(caller.heard).toHaveLength(102));
    expect(caller.heard.at(-1)).toEqual([8, 48, 100, {}, 'wamp.error.canceled']);
    caller.say(48, 102, {}, 'com.app.slow');
    await vi.waitFor(() => expect(caller.heard.at(-1)).toEqual([8, 48, 102, {}, 'wamp.error.no_such_procedure']));

    caller.socket.send(`[16,103,{},"com.app.x",${'['.repeat(50_000)}${']'.repeat(50_000)}]`);
    expect(await caller.closed).toBe(1002);
    await vi.waitFor(() => expect(endpoint.stats().faults).toEqual({ malformed: 1 }));
  });
});
