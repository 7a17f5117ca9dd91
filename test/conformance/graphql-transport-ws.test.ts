import { afterEach, describe, expect, test, vi } from 'vitest';
import type { Principal } from '../../src/core/subprotocol.ts';
import { type GraphqlOptions, graphqlServer } from '../../src/graphql/index.ts';
import { createTestSchema } from '../support/graphql-schema.ts';
import { type HttpEndpoint, httpEndpoint } from '../support/http-endpoint.ts';
import { frameBytes, Opcode, openRaw, type RawWebSocket } from '../support/raw-websocket.ts';

/** PROTOCOL.md of graphql-transport-ws, line by line, over real sockets: nothing here knows how the server is made. */
const world = createTestSchema();
const running: HttpEndpoint[] = [];
const raws: RawWebSocket[] = [];

afterEach(async () => {
  for (const raw of raws.splice(0)) raw.destroy();
  for (const each of running.splice(0)) await each.stop();
  // Nothing stays alive after the socket.
  expect(world.bus.stats().listeners).toBe(0);
  expect(world.sources.map(({ returned }) => returned)).toEqual(world.sources.map(() => 1));
  world.sources.length = 0;
});

async function serve(options: Partial<GraphqlOptions> = {}, more: Record<string, unknown> = {}): Promise<HttpEndpoint> {
  const served = await httpEndpoint({
    path: '/ws',
    protocols: [graphqlServer({ schema: world.schema, ...options })],
    ...more,
  });
  running.push(served);
  return served;
}

async function open({ port }: HttpEndpoint): Promise<RawWebSocket> {
  const raw = await openRaw({ port, protocols: ['graphql-transport-ws'] });
  raws.push(raw);
  return raw;
}

async function acknowledged(served: HttpEndpoint): Promise<RawWebSocket> {
  const raw = await open(served);
  send(raw, { type: 'connection_init' });
  expect(await hear(raw)).toEqual({ type: 'connection_ack' });
  return raw;
}

const send = (raw: RawWebSocket, message: unknown): void => raw.send(JSON.stringify(message));
const hear = async (raw: RawWebSocket): Promise<unknown> => JSON.parse(await raw.message());
const subscribe = (id: string, query: string, more = {}) => ({ type: 'subscribe', id, payload: { query, ...more } });
const next = (id: string, data: unknown) => ({ id, type: 'next', payload: { data } });
const complete = (id: string) => ({ id, type: 'complete' });

describe('what is no message', () => {
  const malformed = [
    '',
    ' ',
    'null',
    'true',
    '1',
    '"ping"',
    '[]',
    '[{"type":"ping"}]',
    '{}',
    '{"type":null}',
    '{"type":1}',
    '{"type":["ping"]}',
    '{"type":"PING"}',
    '{"type":"ping "}',
    '{"type":"__proto__"}',
    '{"type":"constructor"}',
    '{"type":"start","id":"1","payload":{"query":"{ hello }"}}',
    '{"type":"stop","id":"1"}',
    '{"type":"connection_terminate"}',
    '{"type":"ka"}',
    '{"type":"ping"}{"type":"ping"}',
    "{'type':'ping'}",
    '\ufeff{"type":"ping"}',
    '{"type":"ping","payload":[]}',
    '{"type":"ping","payload":"text"}',
    '{"type":"pong","payload":0}',
    '{"type":"pong","payload":false}',
    '{"type":"complete"}',
    '{"type":"complete","id":""}',
    '{"type":"complete","id":1}',
    '{"type":"complete","id":null}',
    '{"type":"subscribe"}',
    '{"type":"subscribe","id":"1"}',
    '{"type":"subscribe","id":"1","payload":null}',
    '{"type":"subscribe","id":"1","payload":[]}',
    '{"type":"subscribe","id":"1","payload":{}}',
    '{"type":"subscribe","id":"1","payload":{"query":null}}',
    '{"type":"subscribe","id":"1","payload":{"query":{}}}',
    '{"type":"subscribe","id":1,"payload":{"query":"{ hello }"}}',
    '{"type":"subscribe","payload":{"query":"{ hello }"}}',
    '{"type":"subscribe","id":"1","payload":{"query":"{ hello }","variables":[]}}',
    '{"type":"subscribe","id":"1","payload":{"query":"{ hello }","variables":"{}"}}',
    '{"type":"subscribe","id":"1","payload":{"query":"{ hello }","operationName":1}}',
    '{"type":"subscribe","id":"1","payload":{"query":"{ hello }","extensions":[]}}',
    '{"type":"connection_init","payload":"token"}',
    '{"type":"connection_ack"}',
    '{"type":"next","id":"1","payload":{"data":{}}}',
    '{"type":"error","id":"1","payload":[{"message":"x"}]}',
    `${'['.repeat(20_000)}`,
    `${'['.repeat(20_000)}${']'.repeat(20_000)}`,
  ];

  test('[GQL-3] [GQL-4] [GQL-5] [GQL-6] [GQL-8] closes at once with 4400, before the ack and after it', async () => {
    const served = await serve();
    for (const text of malformed) {
      for (const raw of [await open(served), await acknowledged(served)]) {
        raw.send(text);
        const { code, reason } = await raw.closed();
        expect([text, code]).toEqual([text, 4400]);
        expect(reason).not.toBe('');
        raw.destroy();
      }
    }
  }, 30_000);

  test('[GQL-7] [GQL-3] binary frames are read as text, and have to be text', async () => {
    const served = await serve();
    const raw = await acknowledged(served);
    raw.send(Buffer.from('{"type":"ping","payload":{"ü":"漢"}}'));
    expect(await hear(raw)).toEqual({ type: 'pong', payload: { ü: '漢' } });
    raw.send(Uint8Array.of(0x7b, 0xff, 0x7d));
    expect((await raw.closed()).code).toBe(4400);
  });

  test('[GQL-3] a message may come in fragments, octet by octet, with a ping between them', async () => {
    const raw = await acknowledged(await serve());
    const text = JSON.stringify(subscribe('漢', '{ hello }'));
    const bytes = Buffer.from(text);
    const middle = bytes.indexOf('漢') + 1;
    const frames = Buffer.concat([
      frameBytes({ opcode: Opcode.text, fin: false, payload: bytes.subarray(0, middle) }),
      frameBytes({ opcode: Opcode.ping, payload: 'between' }),
      frameBytes({ opcode: Opcode.continuation, payload: bytes.subarray(middle) }),
    ]);
    for (const octet of frames) raw.sendBytes(Uint8Array.of(octet));
    expect(await hear(raw)).toEqual(next('漢', { hello: 'world' }));
    expect(await hear(raw)).toEqual(complete('漢'));
  });

  test('[GQL-20] nothing that follows in the same chunk is executed, answered or echoed', async () => {
    const onSubscribe = vi.fn();
    const raw = await acknowledged(await serve({ onSubscribe }));
    const frame = (message: unknown): Buffer =>
      frameBytes({ opcode: Opcode.text, payload: typeof message === 'string' ? message : JSON.stringify(message) });
    raw.sendBytes(
      Buffer.concat([frame({ type: 'ping' }), frame('{'), frame(subscribe('1', '{ hello }')), frame({ type: 'ping' })]),
    );
    expect(await hear(raw)).toEqual({ type: 'pong' });
    const { opcode } = await raw.frame();
    expect(opcode).toBe(Opcode.close);
    expect(onSubscribe).not.toHaveBeenCalled();
  });
});

describe('ids', () => {
  test.each([
    '__proto__',
    'constructor',
    'toString',
    'hasOwnProperty',
    ' ',
    '"',
    '\\',
    '\u0000',
    '\u2028\ud83d\ude00',
    '\ud800',
    'x'.repeat(256),
  ])('[GQL-5] [GQL-15] any text is one, at once and again: %j', async (id) => {
    const raw = await acknowledged(await serve());
    for (let round = 0; round < 2; round++) {
      send(raw, subscribe(id, '{ hello }'));
      // A lone surrogate is no Unicode text; JSON escapes it both ways.
      expect(await hear(raw)).toEqual(next(id, { hello: 'world' }));
      expect(await hear(raw)).toEqual(complete(id));
    }
    send(raw, subscribe(id, 'subscription { manual }'));
    send(raw, subscribe(id, '{ hello }'));
    const { code, reason } = await raw.closed();
    expect(code).toBe(4409);
    expect(reason).toMatch(/^Subscriber for /);
    expect(Buffer.byteLength(reason)).toBeLessThanOrEqual(123);
  });
});

describe('operations', () => {
  test('[GQL-23] [GQL-15] [GQL-27] interleave and are cancelled at every point', async () => {
    const raw = await acknowledged(await serve());
    send(raw, subscribe('q', '{ slow(name: "first") }'));
    send(raw, subscribe('s', 'subscription { manual }'));
    send(raw, subscribe('m', 'mutation { add(a: 1, b: 2) }'));
    expect(await hear(raw)).toEqual(next('m', { add: 3 }));
    expect(await hear(raw)).toEqual(complete('m'));
    world.sources[0]?.push({ manual: 'one' });
    expect(await hear(raw)).toEqual(next('s', { manual: 'one' }));
    // Completed between two results, and begun again under the same id in the same chunk.
    send(raw, complete('s'));
    send(raw, subscribe('s', 'subscription { manual }'));
    send(raw, complete('q'));
    send(raw, subscribe('q', '{ slow(name: "second") }'));
    send(raw, { type: 'ping' });
    expect(await hear(raw)).toEqual({ type: 'pong' });
    world.sources[0]?.push({ manual: 'stale' });
    world.sources[1]?.push({ manual: 'fresh' });
    world.open('first');
    world.open('second');
    const heard = [await hear(raw), await hear(raw), await hear(raw)];
    expect(heard).toContainEqual(next('s', { manual: 'fresh' }));
    expect(heard).toContainEqual(next('q', { slow: 'second' }));
    expect(heard).toContainEqual(complete('q'));
    send(raw, complete('s'));
    send(raw, { type: 'ping' });
    expect(await hear(raw)).toEqual({ type: 'pong' });
  });

  test('[GQL-28] completes that cross are ignored', async () => {
    const raw = await acknowledged(await serve());
    send(raw, subscribe('1', '{ hello }'));
    send(raw, complete('1'));
    send(raw, complete('1'));
    send(raw, complete('never heard of'));
    send(raw, { type: 'ping' });
    const heard: unknown[] = [];
    do heard.push(await hear(raw));
    while (!heard.some((message) => (message as { type: string }).type === 'pong'));
    // The result of a query that needs no time may be out already; its complete is not sent twice.
    expect([[next('1', { hello: 'world' }), complete('1'), { type: 'pong' }], [{ type: 'pong' }]]).toContainEqual(
      heard,
    );
  });

  test('[GQL-29] whose sources hang, throw or reject as they are given back harm nobody', async () => {
    const returned: string[] = [];
    const odd = (name: string, leave: () => unknown): AsyncIterable<never> => ({
      [Symbol.asyncIterator]: () =>
        ({
          next: () => new Promise(() => {}),
          return() {
            returned.push(name);
            return leave();
          },
        }) as never,
    });
    const sources = [
      odd('hangs', () => new Promise(() => {})),
      odd('throws', () => {
        throw new Error('broken');
      }),
      odd('rejects', () => Promise.reject(new Error('broken'))),
      odd('answers nothing', () => undefined),
    ];
    const onError = vi.fn();
    const onClose = vi.fn();
    const served = await serve({ subscribe: () => sources.shift() as never, onClose }, { onError });
    const raw = await acknowledged(served);
    for (let id = 0; id < 4; id++) send(raw, subscribe(String(id), 'subscription { manual }'));
    send(raw, { type: 'ping' });
    expect(await hear(raw)).toEqual({ type: 'pong' });
    raw.destroy();
    await vi.waitFor(() => expect(onClose).toHaveBeenCalledTimes(1));
    expect(returned.sort()).toEqual(['answers nothing', 'hangs', 'rejects', 'throws']);
    expect(onError).toHaveBeenCalledTimes(2);
  });

  test('[GQL-26] a BigInt, a circle and a toJSON that throws end their operation with an error', async () => {
    const circle: Record<string, unknown> = {};
    circle['circle'] = circle;
    const results = [
      { data: { big: 1n } },
      { data: circle },
      {
        data: {
          toJSON() {
            throw new Error('no JSON');
          },
        },
      },
    ];
    const raw = await acknowledged(await serve({ execute: () => results.shift() as never }));
    for (let id = 0; id < 3; id++) {
      send(raw, subscribe(String(id), '{ hello }'));
      expect(await hear(raw)).toMatchObject({
        id: String(id),
        type: 'error',
        payload: [{ message: expect.any(String) }],
      });
    }
    send(raw, { type: 'ping' });
    expect(await hear(raw)).toEqual({ type: 'pong' });
  });

  test('[GQL-42] a server that drains lets queries end, starts nothing, and closes with 1001 and a hint', async () => {
    const served = await serve();
    const raw = await acknowledged(served);
    send(raw, subscribe('q', '{ slow(name: "drain") }'));
    send(raw, subscribe('s', 'subscription { price { price } }'));
    send(raw, { type: 'ping' });
    expect(await hear(raw)).toEqual({ type: 'pong' });
    const drained = served.endpoint.drain({ retryWithin: 1_000 });
    send(raw, subscribe('late', '{ hello }'));
    send(raw, { type: 'ping' });
    expect(await hear(raw)).toEqual({ type: 'pong' });
    world.open('drain');
    expect(await hear(raw)).toEqual(next('q', { slow: 'drain' }));
    expect(await hear(raw)).toEqual(complete('q'));
    expect(await raw.closed()).toEqual({
      code: 1001,
      reason: expect.stringMatching(/^Going away retry within \d+ ms$/),
    });
    raw.close(1001);
    await drained;
  });

  test('[GQL-41] [GQL-12] credentials that expire close with 4403, and give everything back', async () => {
    const authenticate = ({ connectionParams }: { connectionParams?: unknown }): Principal | false =>
      connectionParams ? { expiresAt: Date.now() + 50 } : false;
    const served = await serve({}, { authenticate });
    const stranger = await open(served);
    send(stranger, { type: 'connection_init' });
    expect(await stranger.closed()).toEqual({ code: 4403, reason: 'Forbidden' });
    const raw = await open(served);
    send(raw, { type: 'connection_init', payload: {} });
    expect(await hear(raw)).toEqual({ type: 'connection_ack' });
    send(raw, subscribe('1', 'subscription { price { price } }'));
    expect(await raw.closed()).toEqual({ code: 4403, reason: 'Credentials expired' });
    await vi.waitFor(() => expect(world.bus.stats().listeners).toBe(0));
  });

  test('[GQL-30] a hook that throws costs its own operation only', async () => {
    const onError = vi.fn();
    const onSubscribe = (_: unknown, id: string): undefined => {
      if (id === 'bad') throw new Error('a bug in a hook');
    };
    const served = await serve({ isProd: true, onSubscribe }, { onError });
    const raw = await acknowledged(served);
    const other = await acknowledged(served);
    send(other, subscribe('1', 'subscription { price { price } }'));
    send(raw, subscribe('bad', '{ hello }'));
    expect(await hear(raw)).toMatchObject({ id: 'bad', type: 'error' });
    expect(onError).toHaveBeenCalledTimes(1);
    await vi.waitFor(() => expect(world.bus.stats().listeners).toBe(1));
    await world.bus.publish(world.prices, { symbol: 'A', price: 1 });
    expect(await hear(other)).toEqual(next('1', { price: { price: 1 } }));
    other.destroy();
    await vi.waitFor(() => expect(world.bus.stats().listeners).toBe(0));
  });
});
