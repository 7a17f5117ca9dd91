import { createHash } from 'node:crypto';
import { versionInfo } from 'graphql';
import { describe, expect, test, vi } from 'vitest';
import type { GraphqlOptions } from '../../../src/graphql/index.ts';
import { type GraphqlPeer, serveGraphql } from '../../support/graphql-peer.ts';
import { createTestSchema } from '../../support/graphql-schema.ts';

const { schema } = createTestSchema();
const serve = (options: Partial<GraphqlOptions> = {}, maxKept?: number) =>
  serveGraphql({ schema, ...options }, { limits: { maxKept } });
const emptyObjects = (bytes: number): unknown[] => Array.from({ length: Math.floor(bytes / 3) }, () => ({}));
const codes = async (peer: GraphqlPeer): Promise<unknown[]> =>
  (await peer.take())
    .filter(({ type }) => type === 'error')
    .map(({ payload }) => (payload as [{ extensions?: { code?: string } }])[0].extensions?.code);
const hello = '{ hello }';

describe('[GQL-57] what running operations keep is charged at what it costs', () => {
  test('variables that nobody declared, in any part of the payload, are refused over maxKept', async () => {
    for (const part of ['variables', 'extensions', 'anything']) {
      const server = serve({}, 4_194_304);
      const peer = server.connect();
      for (let id = 0; id < 10; id++) {
        peer.subscribe(String(id), 'subscription { count }', { [part]: { list: emptyObjects(60_000) } });
      }
      // Each is 21 times its text, and three of them fit.
      expect(await codes(peer)).toEqual(Array(7).fill('TOO_MUCH_KEPT'));
      expect(peer.socket.closing).toBeUndefined();
      peer.complete('0');
      peer.subscribe('again', 'subscription { count }', { [part]: { list: emptyObjects(60_000) } });
      expect(await codes(peer)).toEqual([]);
      expect(server.endpoint.stats().budgets.memory.used).toBeGreaterThan(3_000_000);
      peer.socket.hangUp();
      await peer.take();
      expect(server.endpoint.stats().budgets.memory.used).toBeLessThan(1_000);
    }
  });

  test('all of it is given back, however an operation ends', async () => {
    const server = serve();
    const peer = server.connect();
    const idle = server.endpoint.stats().budgets.memory.used;
    for (const query of [hello, '{ nothing }', '{ fail }', 'subscription { broken }', 'subscription { count }']) {
      peer.subscribe('1', query);
      peer.complete('1');
      await peer.take();
    }
    expect(server.endpoint.stats().budgets.memory.used).toBe(idle);
  });

  test('who brings a document that nobody else has pays for its syntax tree', async () => {
    const server = serve();
    const peer = server.connect();
    const { memory } = server.endpoint.stats().budgets;
    peer.subscribe('1', `query A { ${Array.from({ length: 500 }, (_, field) => `a${field}: slow`).join(' ')} }`);
    await peer.take();
    expect(server.endpoint.stats().budgets.memory.used - memory.used).toBeGreaterThan(500 * 512);
  });
});

describe('[GQL-107] what was completed and still runs', () => {
  test.each([
    // graphql 17 lets go of a resolver's work at the abort: its execution has ended then.
    ['a resolver', '{ slow }', {}, versionInfo.major === 16 ? 4 : 0],
    ['subscribe', 'subscription { opening }', {}, 4],
    ['a context', hello, { context: () => new Promise(() => {}) }, 4],
    ['onComplete', 'subscription { count }', { onComplete: () => new Promise<void>(() => {}) }, 0],
    ['a hook that is given up', hello, { onSubscribe: () => new Promise<never>(() => {}) }, 4],
    ['nothing', 'subscription { count }', {}, 0],
  ])('keeps its place: %s', async (_, query, options, refused) => {
    const server = serve({ limits: { maxOperations: 16 }, ...options } as Partial<GraphqlOptions>);
    const peer = server.connect();
    for (let round = 0; round < 20; round++) {
      peer.subscribe('1', query);
      await server.clock.settle();
      peer.complete('1');
    }
    expect(await codes(peer)).toEqual(Array(refused).fill('TOO_MANY_OPERATIONS'));
    expect(peer.socket.closing).toBeUndefined();
  });

  test('keeps its charge, and gives both back once it has ended', async () => {
    const { schema, open } = createTestSchema();
    const server = serveGraphql({ schema, limits: { maxOperations: 1 } });
    const peer = server.connect();
    const used = () => server.endpoint.stats().budgets.memory.used;
    const idle = used();
    peer.subscribe('1', '{ slow }', { variables: { list: emptyObjects(60_000) } });
    await server.clock.settle();
    peer.complete('1');
    await server.clock.settle();
    if (versionInfo.major === 16) expect(used() - idle).toBeGreaterThan(1_000_000);
    open('slow');
    await server.clock.settle();
    expect(used()).toBe(idle);
    peer.subscribe('1', hello);
    expect(await peer.results('1')).toHaveLength(1);
  });

  test('of a source that is slow to return only the charge stays', async () => {
    const { schema, sources } = createTestSchema();
    const server = serveGraphql({ schema, limits: { maxOperations: 1 } });
    const peer = server.connect();
    for (let round = 0; round < 5; round++) {
      peer.subscribe('1', 'subscription { manual }', { variables: { list: emptyObjects(60_000) } });
      await server.clock.settle();
      for (const source of sources) source.hangs = true;
      peer.complete('1');
    }
    expect(await codes(peer)).toEqual([]);
    expect(server.endpoint.stats().budgets.memory.used).toBeGreaterThan(5_000_000);
    peer.socket.hangUp();
    await server.clock.settle();
    expect(server.endpoint.stats().budgets.memory.used).toBeLessThan(1_000);
  });
});

describe('[GQL-103] what is shown by connection_init', () => {
  test('may not cost much more than its text may have', () => {
    const server = serve();
    const peer = server.connect({ acknowledged: false });
    peer.send({ type: 'connection_init', payload: { list: emptyObjects(60_000) } });
    expect(peer.socket.closing?.code).toBe(1009);
    const honest = server.connect({ acknowledged: false });
    honest.send({ type: 'connection_init', payload: { token: 'x'.repeat(60_000) } });
    expect(honest.socket.closing).toBeUndefined();
    expect(server.endpoint.stats().budgets.memory.used).toBeGreaterThan(60_000);
  });

  test('so it is with fresh credentials, and the old ones are given back', async () => {
    const server = serveGraphql({ schema }, { authenticate: () => ({ name: 'Ada' }) });
    const peer = server.connect({ acknowledged: false });
    peer.send({ type: 'connection_init' });
    await peer.take();
    const refresh = (credentials: unknown) => peer.send({ type: 'ping', payload: { subwire: { credentials } } });
    const used: number[] = [];
    for (let round = 0; round < 3; round++) {
      refresh({ token: 'x'.repeat(50_000) });
      await peer.take();
      used.push(server.endpoint.stats().budgets.memory.used);
    }
    expect(new Set(used).size).toBe(1);
    refresh({ list: emptyObjects(60_000) });
    expect(peer.socket.closing?.code).toBe(1009);
  });
});

describe('[GQL-58] an id', () => {
  test.each([
    ['a', 256, undefined],
    ['a', 257, 'An id may have 256 bytes; this one has 257'],
    ['é', 128, undefined],
    ['é', 129, 'An id may have 256 bytes; this one has 258'],
  ])('of %s, %i times: %s', async (letter, times, reason) => {
    const peer = serve().connect();
    peer.subscribe(letter.repeat(times), hello);
    expect(peer.socket.closing).toEqual(reason ? { code: 1009, reason } : undefined);
  });
});

describe('[GQL-104] a message over maxMessage', () => {
  const limits = { maxMessage: 1_000 };
  const long = `{ hello #${'x'.repeat(1_000)}\n }`;

  test('is the error of its operation, and the others go on', async () => {
    const peer = serve({ limits }).connect();
    peer.subscribe('good', 'subscription { count }');
    for (const message of [
      { id: 'a', type: 'subscribe', payload: { query: long } },
      { type: 'subscribe', id: 'b', payload: { query: long } },
    ]) {
      peer.send(message);
      const [error] = await peer.take();
      expect(error).toMatchObject({
        id: message.id,
        type: 'error',
        payload: [{ extensions: { code: 'MESSAGE_TOO_LARGE' } }],
      });
    }
    expect(peer.socket.closing).toBeUndefined();
  });

  test('or with more objects, lists and names than maxNodes, is too', async () => {
    const peer = serve({ limits: { maxNodes: 100 } }).connect();
    const variables = (count: number) => ({ list: Array.from({ length: count }, () => ({ a: '{{{' })) });
    peer.send({ id: 'a', type: 'subscribe', payload: { query: '{ hello }', variables: variables(40) } });
    expect((await peer.take())[0]).toMatchObject({ id: 'a', type: 'next' });
    peer.send({ id: 'b', type: 'subscribe', payload: { query: '{ hello }', variables: variables(60) } });
    expect((await peer.take()).at(-1)).toMatchObject({
      id: 'b',
      type: 'error',
      payload: [{ message: 'A message may have 100 objects, lists and names' }],
    });
    peer.send({ type: 'pong', payload: variables(60) });
    expect(peer.socket.closing).toMatchObject({ code: 4400, reason: expect.stringContaining('100 objects, lists') });
  });

  test.each([
    ['no subscribe', { type: 'ping', payload: { long } }, 1009],
    ['an id behind the payload', { type: 'subscribe', payload: { query: long }, id: 'a' }, 1009],
    ['an id that is in use', { id: 'used', type: 'subscribe', payload: { query: long } }, 4409],
    ['an id that is too long', { id: 'x'.repeat(300), type: 'subscribe', payload: { query: long } }, 1009],
  ])('that is %s ends the connection', (_, message, code) => {
    const peer = serve({ limits }).connect();
    peer.subscribe('used', 'subscription { count }');
    peer.send(message);
    expect(peer.socket.closing?.code).toBe(code);
  });
});

describe('[GQL-59] documents', () => {
  test('over maxDocument are not parsed', async () => {
    const parse = vi.fn();
    const peer = serve({ parse, limits: { maxDocument: 100 } }).connect();
    peer.subscribe('1', `{ hello #${'é'.repeat(50)}\n }`);
    expect(await codes(peer)).toEqual(['DOCUMENT_TOO_LARGE']);
    expect(parse).not.toHaveBeenCalled();
  });

  test('over maxTokens are a syntax error, by default over 2,500', async () => {
    const peer = serve().connect();
    peer.subscribe('1', `{ ${'hello '.repeat(2_500)} }`);
    expect(JSON.stringify(await peer.take())).toContain('2500 tokens');
    peer.subscribe('2', `{ ${Array.from({ length: 800 }, (_, field) => `a${field}: hello`).join(' ')} }`);
    expect(await peer.results('2')).toHaveLength(1);
  });

  test('[GQL-101] that are refused are validated once, and told the same again', async () => {
    const validate = vi.fn((): never[] => [{ message: 'no' } as never]);
    const peer = serve({ validate: validate as never }).connect();
    const told: unknown[] = [];
    for (let id = 0; id < 5; id++) {
      peer.subscribe(String(id), hello);
      told.push(...(await peer.take()).map(({ payload }) => payload));
    }
    expect(told).toEqual(Array(5).fill([{ message: 'no' }]));
    expect(validate).toHaveBeenCalledTimes(1);
  });

  test('[GQL-101] of a client that has many refused are not looked at for a while; known ones go on', async () => {
    const server = serve({ limits: { refusedDocuments: 5 } });
    const peer = server.connect();
    peer.subscribe('known', hello);
    await peer.take();
    for (let id = 0; id < 8; id++) peer.subscribe(String(id), `{ nothing${id} }`);
    const refused = await codes(peer);
    expect(refused.filter((code) => code === 'TOO_MANY_REFUSED')).toHaveLength(2);
    peer.subscribe('known', hello);
    expect(await peer.results('known')).toEqual([{ data: { hello: 'world' } }]);
    server.clock.advance(1_000);
    peer.subscribe('later', '{ me }');
    expect((await peer.take()).map(({ type }) => type)).toEqual(['next', 'complete']);
  });

  test('[GQL-101] and who goes on with it is cut', async () => {
    const server = serve({ limits: { refusedDocuments: 2 } });
    const peer = server.connect();
    for (let round = 0; round < 60 && !peer.socket.closing; round++) {
      for (let id = 0; id < 20; id++) peer.subscribe(String(id), `{ nothing${round}x${id} }`);
      await peer.take();
      server.clock.advance(500);
    }
    expect(peer.socket.closing?.code).toBe(1013);
  });
});

describe('[GQL-102] trusted documents', () => {
  const hash = createHash('sha256').update(hello).digest('hex');
  const persisted = { extensions: { persistedQuery: { version: 1, sha256Hash: hash } } };

  test.each<[string, GraphqlOptions['trustedDocuments']]>([
    ['a Map', new Map([[hash, hello]])],
    ['an object', { [hash]: hello }],
    ['a function', (given) => (given === hash ? hello : undefined)],
    ['an asynchronous function', async (given) => (given === hash ? hello : null)],
  ])('by %s: these are executed, whatever the query says, and nothing else', async (_, trustedDocuments) => {
    const peer = serve({ trustedDocuments }).connect();
    for (const more of [persisted, { documentId: hash }, { id: hash }, { extensions: { documentId: hash } }]) {
      peer.subscribe('1', '{ me }', more);
      expect(await peer.results('1')).toEqual([{ data: { hello: 'world' } }]);
    }
    for (const name of ['other', '__proto__', 'constructor']) peer.subscribe(name, hello, { documentId: name });
    expect(await codes(peer)).toEqual(Array(3).fill('PERSISTED_QUERY_NOT_FOUND'));
    peer.subscribe('text', hello);
    expect(await codes(peer)).toEqual(['PERSISTED_QUERY_REQUIRED']);
  });
});

test('[GQL-104] by default it may have four times maxMessage: maxPayload is higher', async () => {
  const server = serve();
  const peer = server.connect();
  expect(server.endpoint.limits.maxPayload).toBe(4 * 1_048_576);
  peer.subscribe('long', `{ hello #${'x'.repeat(3_000_000)}\n }`);
  expect(await codes(peer)).toEqual(['MESSAGE_TOO_LARGE']);
  expect(peer.socket.closing).toBeUndefined();
});
