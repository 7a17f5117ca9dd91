import { type ExecutionResult, execute, GraphQLError, type GraphQLSchema, parse } from 'graphql';
import { describe, expect, test, vi } from 'vitest';
import { type Compile, CompiledDocuments } from '../../../src/graphql/execution/compile.ts';
import type { GraphqlOptions } from '../../../src/graphql/server/options.ts';
import { serveGraphql } from '../../support/graphql-peer.ts';
import { createTestSchema } from '../../support/graphql-schema.ts';

const next = (id: string, payload: unknown) => ({ id, type: 'next', payload });
const data = (id: string, value: unknown) => next(id, { data: value });
const complete = (id: string) => ({ id, type: 'complete' });

/** A compiler that keeps a list of what it was asked, and leaves the work to the `graphql` package. */
function createCompiler(instead?: (query: string) => unknown) {
  const log: string[] = [];
  const compile: Compile = (schema, document, operationName) => {
    const query = document.loc?.source.body ?? '';
    log.push(`compile ${query}`);
    if (instead) return instead(query) as ReturnType<Compile>;
    return {
      query(rootValue, contextValue, variableValues) {
        log.push('query');
        return execute({ schema, document, operationName, rootValue, contextValue, variableValues }) as ExecutionResult;
      },
      // What the document does not select is not there, as in a serialiser that was made of it.
      stringify(result) {
        log.push('stringify');
        return JSON.stringify({ data: result.data, stringified: true });
      },
    };
  };
  return { compile, take: () => log.splice(0) };
}

/** A server with such a compiler and one client. */
function serve(options: Omit<GraphqlOptions, 'schema'> = {}, compiler = createCompiler()) {
  const scene = createTestSchema();
  const server = serveGraphql({ schema: scene.schema, compile: compiler.compile, ...options } as GraphqlOptions);
  return { ...scene, ...server, peer: server.connect(), log: compiler.take };
}

describe('[GQL-45] a compiled document', () => {
  test('runs queries and mutations, with root, context and variables, and makes their JSON', async () => {
    const query = vi.fn((..._: unknown[]) => ({ data: { hello: 'compiled' } }));
    const { peer } = serve({
      compile: () => ({ query }),
      roots: { query: 'root' },
      context: () => 'context',
    });
    peer.subscribe('1', 'query Q($a: String) { slow(name: $a) }', { variables: { a: 'b' } });
    expect(await peer.take()).toEqual([data('1', { hello: 'compiled' }), complete('1')]);
    expect(query.mock.calls).toEqual([['root', 'context', { a: 'b' }]]);
    const { peer: other, log } = serve();
    other.subscribe('2', 'mutation { add(a: 1, b: 2) }');
    expect(await other.take()).toEqual([next('2', { data: { add: 3 }, stringified: true }), complete('2')]);
    expect(log()).toEqual(['compile mutation { add(a: 1, b: 2) }', 'query', 'stringify']);
  });

  test('runs each event as it is pushed; what opens the source is the resolver', async () => {
    const { peer, bus, counts, clock, log } = serve();
    peer.subscribe('1', 'subscription { count }');
    await clock.settle();
    expect(log()).toEqual(['compile subscription { count }']);
    void bus.publish(counts, 1);
    void bus.publish(counts, 2);
    // At once: nothing is awaited between an event and its message.
    clock.flushTurn();
    expect(peer.socket.take().map((text) => JSON.parse(String(text)))).toEqual([
      next('1', { data: { count: 1 }, stringified: true }),
      next('1', { data: { count: 2 }, stringified: true }),
    ]);
    expect(log()).toEqual(['query', 'stringify', 'query', 'stringify']);
    peer.complete('1');
    expect(bus.stats().listeners).toBe(0);
  });

  test('runs what a source gives that is pulled, and results may take their time', async () => {
    const { peer, sources } = serve();
    peer.subscribe('1', 'subscription { manual }');
    await peer.take();
    sources[0]?.push({ manual: Promise.resolve('late') });
    sources[0]?.end();
    expect(await peer.take()).toEqual([next('1', { data: { manual: 'late' }, stringified: true }), complete('1')]);
  });

  test('[GQL-25] is not asked where no source is opened', async () => {
    const { peer, log } = serve();
    peer.subscribe('1', 'subscription { broken }');
    expect(await peer.take()).toEqual([
      next('1', expect.objectContaining({ errors: [expect.anything()] })),
      complete('1'),
    ]);
    expect(log()).toEqual(['compile subscription { broken }']);
  });

  test('[GQL-26] that rejects ends its operation', async () => {
    const { peer, bus, counts } = serve({ compile: () => ({ query: () => Promise.reject(new Error('broken')) }) });
    peer.subscribe('1', 'subscription { count }');
    await peer.take();
    void bus.publish(counts, 1);
    expect(await peer.take()).toEqual([{ id: '1', type: 'error', payload: [{ message: 'broken' }] }]);
    expect(bus.stats().listeners).toBe(0);
  });

  test('[GQL-38] is run once for all that share', async () => {
    const { peer, connect, bus, counts, clock, log } = serve({ share: () => 'all' });
    const peers = [peer, connect()];
    for (const each of peers) each.subscribe('1', 'subscription { count }');
    await clock.settle();
    void bus.publish(counts, 7);
    for (const each of peers) expect(await each.take()).toEqual([next('1', { data: { count: 7 }, stringified: true })]);
    expect(log()).toEqual(['compile subscription { count }', 'query', 'stringify']);
  });

  test('is that of the document which onSubscribe answers with', async () => {
    const { schema } = createTestSchema();
    const document = parse('{ hello }');
    const { peer, log } = serve({ onSubscribe: () => ({ schema, document }) });
    for (const id of ['1', '2']) {
      peer.subscribe(id, 'persisted');
      expect(await peer.take()).toEqual([next(id, { data: { hello: 'world' }, stringified: true }), complete(id)]);
    }
    expect(log().filter((entry) => entry.startsWith('compile'))).toEqual(['compile { hello }']);
  });
});

describe('[GQL-45] what a compiled serialiser cannot know', () => {
  test('is in errors: JSON.stringify writes them', async () => {
    const result = { data: null, errors: [new GraphQLError('no', { extensions: { code: 'NO' } })] };
    const { peer } = serve({ compile: () => ({ query: () => result, stringify: () => '{}' }) });
    peer.subscribe('1', '{ hello }');
    expect(await peer.take()).toEqual([
      next('1', { data: null, errors: [{ message: 'no', extensions: { code: 'NO' } }] }),
      complete('1'),
    ]);
  });

  test.each<[string, Omit<GraphqlOptions, 'schema'>, unknown]>([
    [
      'onNext',
      { onNext: (_, __, ___, ____, result) => void Object.assign(result, { extensions: 'onNext' }) },
      { extensions: 'onNext' },
    ],
    [
      'onOperation',
      { onOperation: (_, __, ___, ____, result) => void Object.assign(result, { extensions: 'onOperation' }) },
      { extensions: 'onOperation' },
    ],
    ['jsonMessageReplacer', { jsonMessageReplacer: (key, value) => (key === 'hello' ? 'replaced' : value) }, {}],
  ])('may come from %s', async (name, options, extensions) => {
    const { peer, log } = serve(options);
    peer.subscribe('1', '{ hello }');
    const hello = name === 'jsonMessageReplacer' ? 'replaced' : 'world';
    expect(await peer.take()).toEqual([next('1', { data: { hello }, ...(extensions as object) }), complete('1')]);
    expect(log()).toEqual(['compile { hello }', 'query']);
  });
});

describe('[GQL-45] a subscription that onOperation sees', () => {
  const onOperation = () => undefined;

  test('is one of results', async () => {
    const { peer, sources, log } = serve({ onOperation });
    peer.subscribe('1', 'subscription { manual }');
    await peer.take();
    sources[0]?.push({ manual: 'a' });
    sources[0]?.end();
    expect(await peer.take()).toEqual([data('1', { manual: 'a' }), complete('1')]);
    expect(log()).toEqual(['compile subscription { manual }', 'query']);
    expect(sources[0]?.returned).toBe(0);
  });

  test('[GQL-29] gives its source back, whoever ends it', async () => {
    const { peer, sources } = serve({ onOperation });
    peer.subscribe('1', 'subscription { manual }');
    await peer.take();
    peer.complete('1');
    await peer.take();
    expect(sources.map(({ returned }) => returned)).toEqual([1]);
    const failing = serve({ onOperation, compile: () => ({ query: () => Promise.reject(new Error('broken')) }) });
    failing.peer.subscribe('1', 'subscription { manual }');
    await failing.peer.take();
    failing.sources[0]?.push({});
    expect(await failing.peer.take()).toEqual([{ id: '1', type: 'error', payload: [{ message: 'broken' }] }]);
    expect(failing.sources.map(({ returned }) => returned)).toEqual([1]);
  });

  test('[GQL-25] may not have been opened', async () => {
    const { peer } = serve({ onOperation });
    peer.subscribe('1', 'subscription { broken }');
    expect((await peer.take()).map(({ type }) => type)).toEqual(['next', 'complete']);
  });
});

const internal = { message: 'Internal server error', extensions: { code: 'INTERNAL_SERVER_ERROR' } };

describe('[GQL-45] a compiler', () => {
  test('is asked once per document, schema and operation name, whichever connection it is', async () => {
    const { peer, connect, log } = serve();
    const other = connect();
    const query = 'query A { hello } query B { me }';
    for (const each of [peer, other]) {
      each.subscribe('1', query, { operationName: 'A' });
      each.subscribe('2', query, { operationName: 'B' });
      each.subscribe('3', '{ hello }', { operationName: null });
      await each.take();
    }
    expect(log().filter((entry) => entry.startsWith('compile'))).toEqual([
      `compile ${query}`,
      `compile ${query}`,
      'compile { hello }',
    ]);
  });

  test('gets the operation name, or undefined', () => {
    const compile = vi.fn(() => undefined);
    const compiled = new CompiledDocuments(compile, (result) => JSON.stringify(result), true);
    const document = parse('{ hello }');
    const schemas = [{}, {}] as GraphQLSchema[];
    for (const schema of schemas) {
      compiled.of({ schema, document });
      compiled.of({ schema, document, operationName: null });
      compiled.of({ schema, document, operationName: 'A' });
    }
    expect(compile.mock.calls).toEqual(
      schemas.flatMap((schema) => [
        [schema, document, undefined],
        [schema, document, 'A'],
      ]),
    );
  });

  test.each([
    ['undefined', undefined],
    ['errors', { errors: [new GraphQLError('unsupported')] }],
  ])('that answers with %s leaves the document to the graphql package, and is not asked again', async (_, answer) => {
    const { peer, bus, counts, log } = serve(
      {},
      createCompiler(() => answer),
    );
    for (const id of ['1', '2']) {
      peer.subscribe(id, '{ hello }');
      expect(await peer.take()).toEqual([data(id, { hello: 'world' }), complete(id)]);
    }
    peer.subscribe('3', 'subscription { count }');
    await peer.take();
    void bus.publish(counts, 1);
    expect(await peer.take()).toEqual([data('3', { count: 1 })]);
    expect(log()).toEqual(['compile { hello }', 'compile subscription { count }']);
  });

  test.each([
    ['null', null],
    ['a promise', Promise.resolve()],
    ['a function', () => ({ data: {} })],
    ['no query', { stringify: JSON.stringify }],
    ['a wrong stringify', { query: () => ({ data: {} }), stringify: true }],
  ])('[GQL-30] that answers with %s has a bug', async (_, answer) => {
    const { peer, errors } = serve(
      { isProd: true },
      createCompiler(() => answer),
    );
    peer.subscribe('1', '{ hello }');
    expect(await peer.take()).toEqual([{ id: '1', type: 'error', payload: [internal] }]);
    expect(errors).toEqual([expect.any(TypeError)]);
    expect(String(errors[0])).toContain('compile must return { query, stringify }');
  });

  test('[GQL-30] that throws has a bug', async () => {
    const { peer, errors } = serve(
      { isProd: true },
      createCompiler(() => {
        throw new Error('no compiler');
      }),
    );
    peer.subscribe('1', '{ hello }');
    expect(await peer.take()).toEqual([{ id: '1', type: 'error', payload: [internal] }]);
    expect(errors).toEqual([new Error('no compiler')]);
  });
});
