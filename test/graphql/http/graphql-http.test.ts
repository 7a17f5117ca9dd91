import { createServer, type IncomingMessage, type Server } from 'node:http';
import { connect as connectHttp2, createServer as createHttp2Server } from 'node:http2';
import { type AddressInfo, connect } from 'node:net';
import { ApolloClient, ApolloLink, gql, HttpLink, InMemoryCache } from '@apollo/client';
import { makeExecutableSchema } from '@graphql-tools/schema';
import { createClient } from 'graphql-sse';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { type AttachOptions, attach } from '../../../src/adapters/attach.ts';
import { createBus } from '../../../src/bus/bus.ts';
import { topic } from '../../../src/bus/topic.ts';
import { refuse } from '../../../src/core/refuse.ts';
import { type GraphqlHttpOptions, graphqlHttp } from '../../../src/graphql/http/graphql-http.ts';
import { graphqlServer } from '../../../src/graphql/server/graphql-server.ts';
import { scripted } from '../../support/scripted-session.ts';

const prices = topic<number>('prices');

function createScene() {
  const bus = createBus();
  const returned: string[] = [];
  let secret = 0;
  const schema = makeExecutableSchema({
    typeDefs: `
      type Query { hello: String secret: Int who: String }
      type Mutation { set(value: Int!): Int }
      type Subscription { price: Int endless: Int two: Int broken: Int }
    `,
    resolvers: {
      Query: {
        hello: () => 'wörld',
        secret: () => secret,
        who: (_: unknown, __: unknown, { principal }: { principal?: { name?: string } }) => principal?.name,
      },
      Mutation: { set: (_: unknown, { value }: { value: number }) => (secret = value) },
      Subscription: {
        price: { subscribe: () => bus.subscribe(prices), resolve: (value: number) => value },
        endless: {
          subscribe: async function* () {
            try {
              for (let count = 0; ; count++) yield await new Promise((resolve) => setTimeout(() => resolve(count), 5));
            } finally {
              returned.push('endless');
            }
          },
          resolve: (value: number) => value,
        },
        two: {
          subscribe: async function* () {
            yield 1;
            yield 2;
          },
          resolve: (value: number) => value,
        },
      },
    },
  });
  return { bus, schema, returned, secret: () => secret };
}

const servers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of servers.splice(0)) await stop();
});

async function started(options: Partial<AttachOptions> = {}, http: Partial<GraphqlHttpOptions> = {}) {
  const scene = createScene();
  const errors: unknown[] = [];
  const server: Server = createServer();
  const endpoint = attach(server, {
    protocols: [graphqlServer({ schema: scene.schema, share: () => 'all', limits: { maxNodes: 100 } })],
    onError: (error) => errors.push(error),
    ...options,
  });
  const stream = graphqlHttp({ endpoint, ...http });
  server.on('request', (request, response) => {
    if (!stream(request, response)) response.writeHead(404).end('the application');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  servers.push(async () => {
    await endpoint.drain({ deadline: 0 });
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  const url = `http://127.0.0.1:${port}/graphql/stream`;
  const post = (body: unknown, headers: Record<string, string> = {}, init: RequestInit = {}) =>
    fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'text/event-stream', ...headers },
      body: typeof body === 'string' ? body : JSON.stringify(body),
      ...init,
    });
  const publish = async (value: number, subscribers = 1) => {
    await vi.waitFor(() =>
      expect(endpoint.stats().protocols['graphql-transport-ws']).toMatchObject({ subscriptions: subscribers }),
    );
    await scene.bus.publish(prices, value);
  };
  return { ...scene, server, endpoint, url, port, post, publish, errors };
}

describe('distinct connections', () => {
  test('[GQL-120] a subscription is a stream of events, and ends with one', async () => {
    const { post, endpoint } = await started();
    const response = await post({ query: 'subscription { two }' });
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
    expect(response.headers.get('cache-control')).toBe('no-store, no-transform');
    expect(await response.text()).toBe(
      ':\n\nevent: next\ndata: {"data":{"two":1}}\n\nevent: next\ndata: {"data":{"two":2}}\n\nevent: complete\ndata: \n\n',
    );
    await vi.waitFor(() => expect(endpoint.stats().open).toBe(0));
  });

  test('[GQL-120] an operation that is refused is a result with errors', async () => {
    const { post } = await started();
    const text = await (await post({ query: '{ nothing }' })).text();
    expect(text).toMatch(/^:\n\nevent: next\ndata: \{"errors":\[\{"message":"Cannot query field/);
    expect(text).toMatch(/\n\nevent: complete\ndata: \n\n$/);
  });

  test('[GQL-120] a client that goes away ends its operation', async () => {
    const { post, returned, endpoint } = await started();
    const abort = new AbortController();
    const response = await post({ query: 'subscription { endless }' }, {}, { signal: abort.signal });
    const reader = response.body?.getReader();
    await reader?.read();
    await reader?.read();
    abort.abort();
    await vi.waitFor(() => expect(returned).toEqual(['endless']));
    expect(endpoint.stats().open).toBe(0);
  });

  test('[GQL-121] a GET runs queries and subscriptions, and no mutation', async () => {
    const { url, secret } = await started();
    const get = async (query: string, accept = 'text/event-stream') =>
      (await fetch(`${url}?query=${encodeURIComponent(query)}`, { headers: { accept } })).text();
    expect(await get('{ hello }')).toContain('data: {"data":{"hello":"wörld"}}');
    expect(await get('{ hello }', '*/*')).toBe('{"data":{"hello":"wörld"}}');
    expect(await get('mutation { set(value: 7) }')).toContain('OPERATION_NOT_ALLOWED');
    expect(await get('mutation { set(value: 7) }', '*/*')).toContain('OPERATION_NOT_ALLOWED');
    // The kind is that of the operation which is named, wherever it stands.
    const named = encodeURIComponent('query A { hello } mutation B { set(value: 7) }');
    const answer = await fetch(`${url}?query=${named}&operationName=B`, { headers: { accept: 'text/event-stream' } });
    expect(await answer.text()).toContain('OPERATION_NOT_ALLOWED');
    expect(secret()).toBe(0);
  });

  test('[GQL-121] variables and the name of the operation come with either method', async () => {
    const { url, post, secret } = await started();
    const variables = encodeURIComponent('{"yes":true}');
    const query = encodeURIComponent('query A { secret } query B($yes: Boolean!) { hello @include(if: $yes) }');
    const got = await fetch(`${url}?query=${query}&operationName=B&variables=${variables}`);
    expect(await got.json()).toEqual({ data: { hello: 'wörld' } });
    await (await post({ query: 'mutation M($v: Int!) { set(value: $v) }', variables: { v: 9 } })).text();
    expect(secret()).toBe(9);
  });
});

describe('what cannot be served', () => {
  test.each<[string, unknown, Record<string, string>, number, RegExp]>([
    ['no JSON', '{"query":', {}, 400, /The body is not JSON/],
    ['a list', [{ query: '{ hello }' }], {}, 400, /must be one object/],
    ['no query', { variables: {} }, {}, 400, /There is no query/],
    ['a query that is none', { query: 7 }, {}, 400, /There is no query/],
    ['null', 'null', {}, 400, /must be one object/],
    [
      'a form, which any page can send',
      'query={hello}',
      { 'content-type': 'application/x-www-form-urlencoded' },
      415,
      /must be JSON/,
    ],
    ['text, which any page can send', '{"query":"{hello}"}', { 'content-type': 'text/plain' }, 415, /must be JSON/],
    ['too much', { query: `{ hello }${' '.repeat(5_000)}` }, {}, 413, /more than 4096 bytes/],
    [
      'too many objects',
      `{"query":"{ hello }","variables":{"a":[${'{},'.repeat(110)}{}]}}`,
      {},
      413,
      /100 objects, lists/,
    ],
    ['no such token', { query: '{ hello }' }, { 'x-graphql-event-stream-token': 'x' }, 404, /no stream of this token/],
    ['a foreign page', { query: '{ hello }' }, { origin: 'https://evil.example' }, 403, /Origin/],
  ])('[GQL-122] %s', async (_, body, headers, status, words) => {
    const { post, endpoint } = await started({ limits: { maxPayload: 4_096 } });
    const response = await post(body, headers);
    expect(response.status).toBe(status);
    expect(await response.text()).toMatch(words);
    expect(endpoint.stats().accepted).toBe(0);
  });

  test('[GQL-122] bytes that are no UTF-8, and another method', async () => {
    const { url } = await started();
    const headers = { 'content-type': 'application/json' };
    const broken = await fetch(url, { method: 'POST', headers, body: Buffer.from([0x7b, 0xff, 0x7d]) });
    expect([broken.status, await broken.text()]).toEqual([400, 'The body is not UTF-8\n']);
    const patched = await fetch(url, { method: 'PATCH' });
    expect([patched.status, patched.headers.get('allow')]).toEqual([405, 'GET, POST, PUT, DELETE']);
  });

  test('[GQL-122] a body that drips ends in 408, one that is cut in nothing', async () => {
    const { port, endpoint } = await started({ limits: { messageTimeout: 200 } });
    const head =
      'POST /graphql/stream HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{';
    const dripping = connect(port, '127.0.0.1');
    dripping.write(head);
    const [answer] = (await new Promise((resolve) => dripping.once('data', (data) => resolve([data.toString()])))) as [
      string,
    ];
    expect(answer).toMatch(/^HTTP\/1.1 408/);
    dripping.destroy();
    const cut = connect(port, '127.0.0.1');
    cut.write(head);
    await new Promise((resolve) => setTimeout(resolve, 50));
    cut.destroy();
    await new Promise((resolve) => setTimeout(resolve, 250));
    expect(endpoint.stats()).toMatchObject({ accepted: 0, open: 0 });
  });

  test('[GQL-122] bodies that are never whole cannot take all memory together', async () => {
    const { port, post } = await started({ limits: { maxPayload: 1_000 } });
    const length = 900;
    const sockets = Array.from({ length: 30 }, () => {
      const socket = connect(port, '127.0.0.1');
      socket.on('error', () => {});
      socket.write(
        `POST /graphql/stream HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${length}\r\n\r\n${' '.repeat(length - 1)}`,
      );
      return socket;
    });
    const answers = await Promise.all(
      sockets.slice(0, 30).map(
        (socket) =>
          new Promise<string>((resolve) => {
            socket.once('data', (data) => resolve(data.toString().slice(9, 12)));
            setTimeout(() => resolve('reads'), 300);
          }),
      ),
    );
    expect(answers.filter((answer) => answer === '503').length).toBeGreaterThan(10);
    expect(answers.filter((answer) => answer === 'reads').length).toBeLessThanOrEqual(17);
    for (const socket of sockets) socket.destroy();
    await vi.waitFor(async () => expect((await post({ query: '{ hello }' })).status).toBe(200));
  });

  test('[GQL-123] who is refused by authenticate reads a status and words, before any stream begins', async () => {
    const seen: unknown[] = [];
    const { post, url } = await started({
      authenticate({ connectionParams, handshake }) {
        seen.push([connectionParams, handshake.headers['x-tenant']]);
        if (connectionParams?.['authorization'] === 'Bearer good') return { name: 'ann' };
        return connectionParams ? refuse({ code: 4401, reason: 'The token is old' }) : false;
      },
    });
    const refused = await post({ query: '{ hello }' }, { authorization: 'Bearer bad' });
    expect([refused.status, await refused.text()]).toEqual([401, 'The token is old\n']);
    const nobody = await post({ query: '{ hello }' });
    expect(nobody.status).toBe(403);
    const reserved = await fetch(url, { method: 'PUT' });
    expect(reserved.status).toBe(403);
    const known = await post({ query: '{ who }' }, { authorization: 'Bearer good', 'x-tenant': 't', accept: '*/*' });
    expect(await known.json()).toEqual({ data: { who: 'ann' } });
    expect(seen.at(-1)).toEqual([{ authorization: 'Bearer good' }, 't']);
  });

  test('[GQL-123] the hook sees the request, and a full server says when to come back', async () => {
    const { post, endpoint } = await started({}, { upgrade: ({ headers }) => headers['x-key'] === 'let me in' });
    expect((await post({ query: '{ hello }' })).status).toBe(401);
    expect((await post({ query: '{ hello }' }, { 'x-key': 'let me in' })).status).toBe(200);
    void endpoint.drain({ deadline: 0 });
    const late = await post({ query: '{ hello }' }, { 'x-key': 'let me in' });
    expect([late.status, late.headers.get('retry-after')]).toEqual([503, '5']);
  });
});

describe('pages of other origins', () => {
  test('[GQL-124] what origin lets in can read, with cookies; what it does not sees nothing', async () => {
    const { url, post } = await started({}, { origin: ['https://app.example'] });
    const origin = 'https://app.example';
    const preflight = await fetch(url, {
      method: 'OPTIONS',
      headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'content-type' },
    });
    expect(preflight.status).toBe(204);
    expect(Object.fromEntries(preflight.headers)).toMatchObject({
      'access-control-allow-origin': origin,
      'access-control-allow-credentials': 'true',
      'access-control-allow-methods': 'GET, POST, PUT, DELETE',
      'access-control-allow-headers': 'content-type',
      vary: 'Origin',
    });
    const answer = await post({ query: '{ hello }' }, { origin });
    expect(answer.headers.get('access-control-allow-origin')).toBe(origin);
    const foreign = await fetch(url, { method: 'OPTIONS', headers: { origin: 'https://evil.example' } });
    expect([foreign.status, foreign.headers.get('access-control-allow-origin')]).toEqual([403, null]);
  });

  test('[GQL-124] where all may connect, nobody may send cookies along', async () => {
    const { post } = await started({}, { origin: '*' });
    const { headers } = await post({ query: '{ hello }' }, { origin: 'https://any.example' });
    expect(headers.get('access-control-allow-origin')).toBe('https://any.example');
    expect(headers.get('access-control-allow-credentials')).toBeNull();
  });
});

describe('one connection for many operations', () => {
  test('[GQL-125] reserve, fetch, start, stop', async () => {
    const { url, publish, endpoint } = await started();
    const reserved = await fetch(url, { method: 'PUT' });
    expect(reserved.status).toBe(201);
    const token = await reserved.text();
    const headers = { 'x-graphql-event-stream-token': token, 'content-type': 'application/json' };
    const stream = await fetch(url, { headers });
    expect(stream.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
    const start = (body: object) => fetch(url, { method: 'POST', headers, body: JSON.stringify(body) });
    expect((await start({ query: '{ hello }' })).status).toBe(400);
    const subscribed = await start({ query: 'subscription { price }', extensions: { operationId: 'p' } });
    expect(subscribed.status).toBe(202);
    expect((await start({ query: '{ hello }', extensions: { operationId: 'p' } })).status).toBe(409);
    expect((await fetch(url, { headers })).status).toBe(409);
    await publish(5);
    await start({ query: '{ hello }', extensions: { operationId: 'q"' } });
    const stopped = await fetch(`${url}?operationId=p`, { method: 'DELETE', headers });
    expect(stopped.status).toBe(200);
    await start({ query: '{ bad }', extensions: { operationId: 'r' } });
    const reader = stream.body?.pipeThrough(new TextDecoderStream()).getReader();
    let text = '';
    while (!text.includes('"id":"r"}')) text += (await reader?.read())?.value;
    expect(text).toContain(':\n\nevent: next\ndata: {"id":"p","payload":{"data":{"price":5}}}\n\n');
    expect(text).toContain(
      'event: next\ndata: {"id":"q\\"","payload":{"data":{"hello":"wörld"}}}\n\nevent: complete\ndata: {"id":"q\\""}\n\n',
    );
    expect(text).toContain('{"id":"r","payload":{"errors":[{"message":"Cannot query field');
    await reader?.cancel();
    await vi.waitFor(() =>
      expect(endpoint.stats()).toMatchObject({ open: 0, protocols: { 'graphql-transport-ws': { operations: 0 } } }),
    );
    expect((await start({ query: '{ hello }', extensions: { operationId: 's' } })).status).toBe(404);
  });

  test('[GQL-125] results that come before the stream is fetched wait for it', async () => {
    const { url } = await started();
    const token = await (await fetch(url, { method: 'PUT' })).text();
    const headers = { 'x-graphql-event-stream-token': token, 'content-type': 'application/json' };
    const body = JSON.stringify({ query: '{ hello }', extensions: { operationId: 'early' } });
    await fetch(url, { method: 'POST', headers, body });
    await new Promise((resolve) => setTimeout(resolve, 30));
    const stream = await fetch(`${url}?token=${token}`);
    const { value } = (await stream.body?.getReader().read()) ?? {};
    expect(Buffer.from(value as Uint8Array).toString()).toContain(
      '{"id":"early","payload":{"data":{"hello":"wörld"}}}',
    );
  });

  test('[GQL-125] a stream that nobody fetches is given up', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'setInterval', 'clearTimeout', 'clearInterval', 'performance', 'Date'] });
    try {
      const { url, endpoint } = await started();
      const reserved = await fetch(url, { method: 'PUT' });
      expect([reserved.status, endpoint.stats().open]).toEqual([201, 1]);
      await vi.advanceTimersByTimeAsync(11_000);
      expect(endpoint.stats().open).toBe(0);
    } finally {
      vi.useRealTimers();
    }
  });
});

describe('life of a stream', () => {
  test('[GQL-126] a silent stream carries signs of life, and lives', async () => {
    const { post, endpoint } = await started({ limits: { pingInterval: 60, pongTimeout: 60 } });
    const response = await post({ query: 'subscription { price }' });
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    let text = '';
    while (text.length < 9) text += (await reader?.read())?.value;
    expect(text).toMatch(/^(:\n\n){3}/);
    await new Promise((resolve) => setTimeout(resolve, 150));
    expect(endpoint.stats().open).toBe(1);
    await reader?.cancel();
  });

  test('[GQL-126] a drain ends the streams, without an event that says complete', async () => {
    const { post, endpoint } = await started();
    const response = await post({ query: 'subscription { price }' });
    await vi.waitFor(() => expect(endpoint.stats().open).toBe(1));
    void endpoint.drain({ deadline: 50 });
    expect(await response.text()).toBe(':\n\n');
  });

  test('[GQL-126] who does not read is cut, and keeps nobody else waiting', async () => {
    const limits = { maxUnread: 262_144, highWaterMark: 65_536, stallTimeout: 300, closeTimeout: 200 };
    const scene = createScene();
    const words = topic<string>('words');
    const schema = makeExecutableSchema({
      typeDefs: 'type Query { a: Int } type Subscription { word: String }',
      resolvers: {
        Subscription: { word: { subscribe: () => scene.bus.subscribe(words), resolve: (value: string) => value } },
      },
    });
    const { port, post, endpoint } = await started({ limits, protocols: [graphqlServer({ schema, share: () => 1 })] });
    const body = '{"query":"subscription { word }"}';
    const dead = connect(port, '127.0.0.1');
    dead.pause();
    dead.write(
      `POST /graphql/stream HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\ncontent-type: application/json\r\naccept: text/event-stream\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    );
    const live = await post(JSON.parse(body));
    let received = 0;
    void (async () => {
      for await (const piece of live.body as unknown as AsyncIterable<Uint8Array>) received += piece.length;
    })().catch(() => {});
    await vi.waitFor(() => expect(endpoint.stats().open).toBe(2));
    const word = 'x'.repeat(50_000);
    for (let round = 0; round < 200; round++) {
      await scene.bus.publish(words, word);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await vi.waitFor(() => expect(endpoint.stats().faults.tooSlow).toBe(1), 3_000);
    await vi.waitFor(() => expect(received).toBeGreaterThan(200 * 50_000));
    expect(endpoint.stats().open).toBe(1);
    dead.destroy();
  });
});

describe('options', () => {
  const make = graphqlHttp as unknown as (options: unknown) => unknown;

  test.each<[string, (endpoint: unknown) => unknown, RegExp]>([
    ['nothing', () => undefined, /graphqlHttp\(\) takes an object of options; got undefined/],
    ['no endpoint', () => ({}), /needs the endpoint that attach\(\) returned/],
    ['a promise', (endpoint) => ({ endpoint: Promise.resolve(endpoint) }), /a promise: await it/],
    ['a mistyped name', (endpoint) => ({ endpoint, pth: '/x' }), /no option "pth": did you mean "path"/],
    ['a path that is none', (endpoint) => ({ endpoint, path: 'x' }), /path must begin with "\/"/],
    ['a rule that is none', (endpoint) => ({ endpoint, origin: 7 }), /origin must be/],
    ['a hook that is none', (endpoint) => ({ endpoint, upgrade: true }), /upgrade must be a function/],
  ])('[GQL-127] %s is refused with words', async (_, options, words) => {
    const { endpoint } = await started();
    expect(() => make(options(endpoint))).toThrow(words);
  });

  test('[GQL-127] an endpoint without GraphQL cannot have it', () => {
    const endpoint = attach(createServer(), { protocols: [scripted(['echo'])], drainOnClose: false });
    expect(() => graphqlHttp({ endpoint })).toThrow(/needs an endpoint with a GraphQL server/);
  });

  test('[GQL-127] what is not for it is left to the application', async () => {
    const { port } = await started();
    const other = await fetch(`http://127.0.0.1:${port}/other`);
    expect(await other.text()).toBe('the application');
  });

  test('[GQL-127] a body that a middleware has parsed is taken from there', async () => {
    const scene = createScene();
    const server = createServer();
    const endpoint = attach(server, { protocols: [graphqlServer({ schema: scene.schema })] });
    const stream = graphqlHttp({ endpoint });
    server.on('request', async (request: IncomingMessage & { body?: unknown }, response) => {
      const parts: Buffer[] = [];
      for await (const part of request) parts.push(part as Buffer);
      request.body = JSON.parse(Buffer.concat(parts).toString());
      stream(request, response);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    servers.push(async () => {
      await endpoint.drain({ deadline: 0 });
      server.close();
    });
    const { port } = server.address() as AddressInfo;
    const answer = await fetch(`http://127.0.0.1:${port}/graphql/stream`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"query":"{ hello }"}',
    });
    expect(await answer.json()).toEqual({ data: { hello: 'wörld' } });
  });

  test('[GQL-127] it stands on a server of HTTP/2 as well', async () => {
    const scene = createScene();
    const server = createHttp2Server();
    const endpoint = attach(server, { protocols: [graphqlServer({ schema: scene.schema })] });
    const stream = graphqlHttp({ endpoint });
    server.on('request', (request, response) => void stream(request, response));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const session = connectHttp2(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    const headers = {
      ':method': 'POST',
      ':path': '/graphql/stream',
      'content-type': 'application/json',
      accept: 'text/event-stream',
    };
    const request = session.request(headers);
    request.end('{"query":"subscription { two }"}');
    const answer = Buffer.concat(await request.toArray()).toString();
    expect(answer).toMatch(/"two":1.*"two":2.*event: complete/s);
    session.destroy();
    await endpoint.drain({ deadline: 0 });
    server.close();
  });
});

describe('clients that people have', () => {
  test.each([true, false])('[GQL-128] graphql-sse, one connection: %s', async (singleConnection) => {
    const { url, publish, endpoint } = await started();
    const client = createClient({ url, singleConnection, retryAttempts: 0 });
    const results: unknown[] = [];
    const over = new Promise<void>((resolve, reject) => {
      const dispose = client.subscribe(
        { query: 'subscription { price }' },
        {
          next(result) {
            results.push(result.data);
            if (results.length === 2) dispose();
          },
          error: reject,
          complete: resolve,
        },
      );
    });
    await publish(1);
    await publish(2);
    await over;
    expect(results).toEqual([{ price: 1 }, { price: 2 }]);
    const query = await new Promise((resolve, reject) => {
      let last: unknown;
      client.subscribe(
        { query: 'query Q { hello }' },
        { next: (result) => (last = result.data), error: reject, complete: () => resolve(last) },
      );
    });
    expect(query).toEqual({ hello: 'wörld' });
    client.dispose();
    await vi.waitFor(() => expect(endpoint.stats().open).toBe(0));
  });

  test("[GQL-128] Apollo Client's own HttpLink: queries, mutations, subscriptions, errors", async () => {
    const { url, publish, endpoint } = await started();
    const client = new ApolloClient({
      link: ApolloLink.from([new HttpLink({ uri: url })]),
      cache: new InMemoryCache(),
    });
    const { data } = await client.query({ query: gql`query Q { hello }` });
    expect(data).toEqual({ hello: 'wörld' });
    const set = await client.mutate({ mutation: gql`mutation M { set(value: 3) }` });
    expect(set.data).toEqual({ set: 3 });
    const seen: unknown[] = [];
    const subscription = client.subscribe({ query: gql`subscription S { price }` }).subscribe({
      next: (result) => seen.push(result.data),
      error: (error) => seen.push(error),
    });
    await publish(11);
    await publish(12);
    await vi.waitFor(() => expect(seen).toEqual([{ price: 11 }, { price: 12 }]));
    subscription.unsubscribe();
    const completed = await new Promise((resolve) => {
      const values: unknown[] = [];
      client.subscribe({ query: gql`subscription T { two }` }).subscribe({
        next: (result) => values.push(result.data),
        complete: () => resolve(values),
      });
    });
    expect(completed).toEqual([{ two: 1 }, { two: 2 }]);
    const wrong = await client.query({ query: gql`query W { nothing }`, errorPolicy: 'all' });
    expect(String(wrong.error)).toContain('Cannot query field');
    client.stop();
    await vi.waitFor(() => expect(endpoint.stats().open).toBe(0));
  });
});
