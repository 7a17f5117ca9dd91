import { makeExecutableSchema } from '@graphql-tools/schema';
import fc from 'fast-check';
import { execute, GraphQLError, parse, subscribe, versionInfo } from 'graphql';
import { describe, expect, test, vi } from 'vitest';
import { graphqlServer } from '../../../src/graphql/index.ts';
import type { GraphqlContext, GraphqlOptions } from '../../../src/graphql/server/options.ts';
import { serveGraphql } from '../../support/graphql-peer.ts';
import { createTestSchema, ManualSource } from '../../support/graphql-schema.ts';

const data = (id: string, value: unknown) => ({ id, type: 'next', payload: { data: value } });
const complete = (id: string) => ({ id, type: 'complete' });

describe('the connection', () => {
  test('[GQL-1] [GQL-2] speaks graphql-transport-ws, and sends users of the legacy token there', () => {
    const { names, advice } = graphqlServer({ schema: createTestSchema().schema });
    expect(names).toEqual(['graphql-transport-ws']);
    const reason = advice?.['graphql-ws'] ?? '';
    expect(reason).toContain('use graphql-transport-ws');
    expect(Buffer.byteLength(reason)).toBeLessThanOrEqual(123);
  });

  test('[GQL-11] is acknowledged, with what onConnect returned', async () => {
    const { schema } = createTestSchema();
    const peer = serveGraphql({ schema }).connect({ acknowledged: false });
    peer.send({ type: 'connection_init' });
    expect(await peer.take()).toEqual([{ type: 'connection_ack' }]);
    const server = serveGraphql({ schema, onConnect: async ({ connectionParams }) => ({ seen: connectionParams }) });
    const told = server.connect({ acknowledged: false });
    told.send({ type: 'connection_init', payload: { a: 1 } });
    expect(await told.take()).toEqual([{ type: 'connection_ack', payload: { seen: { a: 1 } } }]);
  });

  test('[GQL-12] is refused by onConnect and by authenticate with 4403', async () => {
    const { schema } = createTestSchema();
    const byHook = serveGraphql({ schema, onConnect: () => false }).connect();
    expect(byHook.socket.closing).toEqual({ code: 4403, reason: 'Forbidden' });
    const asked = vi.fn(() => false as const);
    const byEndpoint = serveGraphql({ schema }, { authenticate: asked }).connect({ acknowledged: false });
    byEndpoint.send({ type: 'connection_init', payload: { token: 't' } });
    await byEndpoint.take();
    expect(byEndpoint.socket.closing?.code).toBe(4403);
    expect(asked).toHaveBeenCalledWith(expect.objectContaining({ connectionParams: { token: 't' } }));
  });

  test('[GQL-9] [GQL-13] waits for a slow onConnect, but not for connection_init', async () => {
    const { schema } = createTestSchema();
    let admit = (_: boolean): void => {};
    const server = serveGraphql({ schema, onConnect: () => new Promise<boolean>((resolve) => (admit = resolve)) });
    const silent = server.connect({ acknowledged: false });
    const slow = server.connect({ acknowledged: false });
    slow.send({ type: 'connection_init' });
    server.clock.advance(3_000);
    expect(silent.socket.closing).toEqual({ code: 4408, reason: 'Connection initialisation timeout' });
    expect(slow.socket.closing).toBeUndefined();
    admit(true);
    expect(await slow.take()).toEqual([{ type: 'connection_ack' }]);
  });

  test('[GQL-9] connectionInitWaitTimeout: 0 waits for ever', () => {
    const server = serveGraphql({ schema: createTestSchema().schema, connectionInitWaitTimeout: 0 });
    const peer = server.connect({ acknowledged: false });
    server.clock.advance(20_000);
    expect(peer.socket.closing).toBeUndefined();
  });

  test('[GQL-16] [GQL-17] ping is answered with its payload; hooks see ping and pong', async () => {
    const heard: unknown[] = [];
    const { connect } = serveGraphql({
      schema: createTestSchema().schema,
      onPing: async (_, payload) => void heard.push('ping', payload),
      onPong: (_, payload) => void heard.push('pong', payload),
    });
    const peer = connect({ acknowledged: false });
    peer.send({ type: 'ping', payload: { at: 1 } });
    peer.send({ type: 'ping' });
    peer.send({ type: 'pong', payload: { at: 2 } });
    expect(await peer.take()).toEqual([{ type: 'pong', payload: { at: 1 } }, { type: 'pong' }]);
    expect(heard).toEqual(['ping', { at: 1 }, 'ping', undefined, 'pong', { at: 2 }]);
  });

  test('[GQL-41] credentials are refreshed by a ping, and lead out when they are bad', async () => {
    const { schema } = createTestSchema();
    const server = serveGraphql(
      { schema, context: ({ principal }) => ({ name: principal?.name }) },
      {
        authenticate: async ({ connectionParams }) =>
          typeof connectionParams?.['name'] === 'string' ? { name: connectionParams['name'] } : false,
      },
    );
    const peer = server.connect({ acknowledged: false });
    peer.send({ type: 'connection_init', payload: { name: 'ann' } });
    await peer.take();
    peer.send({ type: 'ping', payload: { subwire: { credentials: { name: 'bob' } } } });
    expect(await peer.take()).toEqual([{ type: 'pong', payload: { subwire: { refreshed: true } } }]);
    peer.subscribe('1', '{ me }');
    expect(await peer.take()).toEqual([data('1', { me: 'bob' }), complete('1')]);
    peer.send({ type: 'ping', payload: { subwire: { credentials: {} } } });
    await peer.take();
    expect(peer.socket.closing?.code).toBe(4403);
  });

  test('[GQL-41] before the ack such a ping is a ping', async () => {
    const peer = serveGraphql({ schema: createTestSchema().schema }).connect({ acknowledged: false });
    peer.send({ type: 'ping', payload: { subwire: { credentials: {} } } });
    expect(await peer.take()).toEqual([{ type: 'pong', payload: { subwire: { credentials: {} } } }]);
  });

  test('[GQL-20] [GQL-3] nothing is executed after a message that was refused', async () => {
    const { schema } = createTestSchema();
    const onSubscribe = vi.fn();
    const peer = serveGraphql({ schema, onSubscribe }).connect();
    peer.socket.receiver?.received('nonsense');
    peer.subscribe('1', '{ hello }');
    expect(await peer.take()).toEqual([]);
    expect(peer.socket.closing).toEqual({ code: 4400, reason: 'Invalid message received: A message must be JSON' });
    expect(onSubscribe).not.toHaveBeenCalled();
  });

  test('[GQL-14] [GQL-19] a duplicate id closes with a reason that fits', async () => {
    const { connect } = serveGraphql({ schema: createTestSchema().schema });
    const peer = connect();
    const id = '漢'.repeat(85);
    peer.subscribe(id, '{ slow }');
    peer.subscribe(id, '{ hello }');
    expect(peer.socket.closing?.code).toBe(4409);
    expect(peer.socket.closing?.reason).toMatch(/^Subscriber for 漢+/);
  });
});

describe('operations', () => {
  test('[GQL-21] [GQL-22] queries and mutations have one result', async () => {
    const peer = serveGraphql({ schema: createTestSchema().schema }).connect();
    peer.subscribe('1', '{ hello }');
    peer.subscribe('2', 'mutation ($a: Int!) { add(a: $a, b: 2) }', { variables: { a: 1 } });
    expect(await peer.take()).toEqual([
      data('1', { hello: 'world' }),
      complete('1'),
      data('2', { add: 3 }),
      complete('2'),
    ]);
    // All of one turn leaves in one write.
    expect(peer.socket.writes.length).toBe(2);
  });

  test('[GQL-23] run side by side; the quick one does not wait', async () => {
    const { schema, open } = createTestSchema();
    const peer = serveGraphql({ schema }).connect();
    peer.subscribe('1', '{ slow }');
    peer.subscribe('2', '{ hello }');
    expect((await peer.take()).map(({ id }) => id)).toEqual(['2', '2']);
    open('slow', 'done');
    expect(await peer.take()).toEqual([data('1', { slow: 'done' }), complete('1')]);
  });

  test('[GQL-24] syntax, validation and unknown names are errors of the operation alone', async () => {
    const peer = serveGraphql({ schema: createTestSchema().schema }).connect();
    peer.subscribe('1', `{ "${'漢'.repeat(60)}" }`);
    peer.subscribe('2', '{ nothing }');
    peer.subscribe('3', 'query A { hello } query B { hello }');
    peer.subscribe('4', 'query A { hello } query B { hello }', { operationName: 'C' });
    peer.subscribe('5', 'query A { hello } query B { hello }', { operationName: 'B' });
    peer.subscribe('6', 'fragment F on Query { hello }');
    const messages = await peer.take();
    expect(messages.map(({ id, type }) => `${id} ${type}`)).toEqual([
      '1 error',
      '2 error',
      '3 error',
      '4 error',
      '5 next',
      '5 complete',
      '6 error',
    ]);
    expect(messages[0]?.payload).toEqual([
      expect.objectContaining({ message: expect.stringContaining('Syntax Error') }),
    ]);
    expect(messages[1]?.payload).toEqual([expect.objectContaining({ locations: [{ line: 1, column: 3 }] })]);
    expect(messages[2]?.payload).toEqual([{ message: 'Unable to identify operation' }]);
    expect(peer.socket.closing).toBeUndefined();
  });

  test('errors of resolvers are part of the result', async () => {
    const peer = serveGraphql({ schema: createTestSchema().schema }).connect();
    peer.subscribe('1', '{ fail hello }');
    const [next] = await peer.take();
    expect(next?.payload).toEqual({
      data: { fail: null, hello: 'world' },
      errors: [{ message: 'resolver failed', locations: [{ line: 1, column: 3 }], path: ['fail'] }],
    });
  });

  test('plain errors of a gateway and thrown ones of a library are formatted', async () => {
    const peer = serveGraphql({
      schema: createTestSchema().schema,
      execute: () => ({ errors: [{ message: 'plain' }, new Error('thrown'), 'odd'] as unknown as GraphQLError[] }),
    }).connect();
    peer.subscribe('1', '{ hello }');
    const [next] = await peer.take();
    expect(next?.payload).toEqual({ errors: [{ message: 'plain' }, { message: 'thrown' }, { message: 'odd' }] });
  });

  test('[GQL-27] the result of a completed query is dropped', async () => {
    const { schema, open } = createTestSchema();
    const onComplete = vi.fn();
    const peer = serveGraphql({ schema, onComplete }).connect();
    peer.subscribe('1', '{ slow }');
    peer.complete('1');
    expect(onComplete).toHaveBeenCalledTimes(1);
    open('slow');
    expect(await peer.take()).toEqual([]);
    expect(onComplete).toHaveBeenCalledTimes(1);
  });

  test('[GQL-15] an id that is used again never mixes two operations', async () => {
    const { schema, open } = createTestSchema();
    const peer = serveGraphql({ schema }).connect();
    peer.subscribe('1', '{ slow(name: "first") }');
    peer.complete('1');
    peer.subscribe('1', '{ slow(name: "second") }');
    open('first');
    expect(await peer.take()).toEqual([]);
    open('second');
    expect(await peer.take()).toEqual([data('1', { slow: 'second' }), complete('1')]);
    peer.subscribe('1', '{ hello }');
    expect(await peer.take()).toEqual([data('1', { hello: 'world' }), complete('1')]);
  });

  test('[GQL-39] the abort signal tells resolvers that nobody waits', async () => {
    const { schema } = createTestSchema();
    const signals: AbortSignal[] = [];
    const { connect } = serveGraphql({ schema, context: (_, __, ___, args) => void signals.push(args.abortSignal) });
    const peer = connect();
    peer.subscribe('1', '{ slow }');
    peer.subscribe('2', '{ slow }');
    peer.subscribe('3', '{ hello }');
    await peer.take();
    expect(signals.map(({ aborted }) => aborted)).toEqual([false, false, false]);
    peer.complete('1');
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, false, false]);
    peer.socket.hangUp();
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, true, false]);
  });

  test('[GQL-39] a signal that is asked for late is aborted already', async () => {
    const { schema } = createTestSchema();
    let kept: { readonly abortSignal: AbortSignal } | undefined;
    const { connect } = serveGraphql({
      schema,
      context(_, __, ___, args) {
        kept = args;
      },
    });
    const peer = connect();
    peer.subscribe('1', 'subscription { manual }');
    await peer.take();
    peer.complete('1');
    expect(kept?.abortSignal.aborted).toBe(true);
  });

  test.each([
    ['at once', (source: ManualSource) => source],
    ['late', (source: ManualSource) => new Promise((resolve) => setImmediate(() => resolve(source)))],
  ])(
    '[GQL-39] [GQL-29] where graphql has a signal for resolvers, that of a source which opens %s is aborted too',
    async (_, open) => {
      for (const more of [{}, { onOperation: () => undefined }, { share: () => 'all' }]) {
        for (const early of [false, true]) {
          const source = new ManualSource();
          let signal: AbortSignal | undefined;
          const subscribe = (_: unknown, __: unknown, ___: unknown, info: object) => {
            signal = (info as { getAbortSignal?(): AbortSignal }).getAbortSignal?.();
            return open(source);
          };
          const schema = makeExecutableSchema({
            typeDefs: 'type Query { a: Int } type Subscription { tick: Int }',
            resolvers: { Subscription: { tick: { subscribe } } },
          });
          const peer = serveGraphql({ schema, ...more }).connect();
          peer.subscribe('1', 'subscription { tick }');
          if (!early) await peer.take();
          expect(signal?.aborted).toBe(versionInfo.major < 17 ? undefined : false);
          peer.complete('1');
          await peer.take();
          expect(signal?.aborted).toBe(versionInfo.major < 17 ? undefined : true);
          expect(source.returned).toBe(1);
        }
      }
    },
  );

  test('[GQL-33] at most maxOperations run at a time', async () => {
    const { schema } = createTestSchema();
    const peer = serveGraphql({ schema, limits: { maxOperations: 1 } }).connect();
    peer.subscribe('1', '{ slow }');
    peer.subscribe('2', '{ hello }');
    expect((await peer.take()).map(({ id, type }) => `${id} ${type}`)).toEqual(['2 error']);
  });

  test('maxTokens and validationRules refuse documents', async () => {
    const { schema } = createTestSchema();
    const noHello = (context: { reportError(error: GraphQLError): void }) => ({
      Field(node: { readonly name: { readonly value: string } }) {
        if (node.name.value === 'hello') context.reportError(new GraphQLError('no hello'));
      },
    });
    const peer = serveGraphql({ schema, limits: { maxTokens: 6 }, validationRules: [noHello] }).connect();
    peer.subscribe('1', '{ a b c d e f }');
    peer.subscribe('2', '{ hello }');
    peer.subscribe('3', '{ nothing }');
    const messages = await peer.take();
    expect(JSON.stringify(messages[0]?.payload)).toMatch(/more tha[nt] 6 tokens/);
    expect(JSON.stringify(messages[1]?.payload)).toContain('no hello');
    expect(messages[2]?.type).toBe('error');
  });

  test('[GQL-37] parse and validate run once per document', async () => {
    const { schema } = createTestSchema();
    const parsed = vi.fn(parse);
    const validated = vi.fn(() => []);
    const peer = serveGraphql({ schema, parse: parsed, validate: validated }).connect();
    for (const id of ['1', '2', '3']) peer.subscribe(id, '{ hello }');
    expect(await peer.take()).toHaveLength(6);
    expect(parsed).toHaveBeenCalledTimes(1);
    expect(validated).toHaveBeenCalledTimes(1);
  });
});

describe('hooks', () => {
  test('[GQL-31] persisted operations: onSubscribe answers with arguments, or with errors', async () => {
    const { schema } = createTestSchema();
    const documents = new Map([['hello', parse('{ hello }')]]);
    const peer = serveGraphql({
      onSubscribe(_, __, { extensions }) {
        const document = documents.get(String(extensions?.['persisted']));
        return document ? { schema, document } : [new GraphQLError('Not on the list')];
      },
    }).connect();
    peer.subscribe('1', '', { extensions: { persisted: 'hello' } });
    peer.subscribe('2', '{ hello }');
    expect(await peer.take()).toEqual([
      data('1', { hello: 'world' }),
      complete('1'),
      { id: '2', type: 'error', payload: [{ message: 'Not on the list' }] },
    ]);
  });

  test('are called in order, with the context of their connection', async () => {
    const { schema } = createTestSchema();
    const log: string[] = [];
    const contexts = new Set<unknown>();
    const note =
      (name: string) =>
      (context: unknown): undefined => {
        log.push(name);
        contexts.add(context);
      };
    const { connect } = serveGraphql({
      schema: (context) => {
        note('schema')(context);
        return schema;
      },
      context: (context) => {
        note('context')(context);
        return { name: 'ann' };
      },
      onConnect: note('onConnect'),
      onSubscribe: note('onSubscribe'),
      onOperation: note('onOperation'),
      onNext: note('onNext'),
      onError: note('onError'),
      onComplete: note('onComplete'),
      onDisconnect: note('onDisconnect'),
      onClose: note('onClose'),
    });
    const peer = connect();
    peer.subscribe('1', '{ me }');
    expect(await peer.take()).toEqual([data('1', { me: 'ann' }), complete('1')]);
    peer.subscribe('2', '{ nothing }');
    await peer.take();
    peer.socket.hangUp();
    await peer.take();
    expect(log).toEqual([
      'onConnect',
      'onSubscribe',
      'schema',
      'context',
      'onOperation',
      'onNext',
      'onComplete',
      'onSubscribe',
      'schema',
      'onError',
      'onDisconnect',
      'onClose',
    ]);
    expect(contexts.size).toBe(1);
    const [context] = [...contexts] as GraphqlContext[];
    expect(context).toMatchObject({ connectionInitReceived: true, acknowledged: true, extra: {} });
    expect(context?.handshake.headers['cookie']).toBe('c');
  });

  test('may replace results, errors and whole operations, at once or later', async () => {
    const { schema } = createTestSchema();
    const peer = serveGraphql({
      schema,
      onOperation: async () => ({ data: { replaced: 1 } }),
      onNext: async (_, __, ___, ____, result) => ({ ...result, extensions: { more: 1 } }),
      onError: async () => [{ message: 'something' }],
    }).connect();
    peer.subscribe('1', '{ hello }');
    peer.subscribe('2', '{ nothing }');
    const messages = await peer.take();
    expect(messages).toContainEqual({
      id: '1',
      type: 'next',
      payload: { data: { replaced: 1 }, extensions: { more: 1 } },
    });
    expect(messages).toContainEqual({ id: '2', type: 'error', payload: [{ message: 'something' }] });
  });

  test('roots and rootValue, context values and the default context', async () => {
    const { schema } = createTestSchema();
    const seen: unknown[] = [];
    const execute = (args: { rootValue?: unknown; contextValue?: unknown }) => {
      seen.push(args.rootValue, args.contextValue);
      return { data: {} };
    };
    serveGraphql({ schema, execute, roots: { query: 'root' }, context: 'value' })
      .connect()
      .subscribe('1', '{ hello }');
    serveGraphql({ schema, execute }).connect().subscribe('1', '{ hello }');
    const document = parse('{ hello }');
    const given = { schema, document, rootValue: 'own root', contextValue: 'own context' };
    serveGraphql({ execute, onSubscribe: () => given })
      .connect()
      .subscribe('1', '');
    expect(seen).toEqual([
      'root',
      'value',
      undefined,
      expect.objectContaining({ acknowledged: true }),
      'own root',
      'own context',
    ]);
  });

  const throwing = [
    () => {
      throw new Error('a bug');
    },
    () => Promise.reject(new Error('a bug')),
  ];

  test.each(['onConnect', 'onPing', 'onPong'])(
    '[GQL-30] %s that throws closes with 4500 and harms nobody else',
    async (hook) => {
      for (const throws of throwing) {
        const server = serveGraphql({ schema: createTestSchema().schema, isProd: false, [hook]: throws });
        const bystander = server.connect({ acknowledged: false });
        const peer = server.connect({ acknowledged: false });
        peer.send({ type: 'ping' });
        peer.send({ type: 'pong' });
        peer.send({ type: 'connection_init' });
        await peer.take();
        expect(peer.socket.closing).toEqual({ code: 4500, reason: 'a bug' });
        expect(server.errors[0]).toEqual(new Error('a bug'));
        expect(bystander.socket.closing).toBeUndefined();
      }
    },
  );

  test.each([
    ...['schema', 'context', 'onSubscribe', 'onOperation', 'onNext', 'onEvent'],
    ...['parse', 'validate', 'execute', 'share', 'subscribe', 'compile'],
  ])('[GQL-30] %s that throws is one error of its operation, and harms no other', async (hook) => {
    // Those that have to answer at once are tried with a throw only.
    const atOnce = ['parse', 'validate', 'share', 'compile'];
    for (const throws of atOnce.includes(hook) ? throwing.slice(0, 1) : throwing) {
      const { schema, bus, counts } = createTestSchema();
      let broken = false;
      const given: Readonly<Record<string, unknown>> = {
        schema: () => schema,
        validate: () => [],
        parse,
        execute,
        subscribe,
      };
      const server = serveGraphql({
        schema,
        isProd: false,
        [hook]: (...args: unknown[]) => {
          if (broken) return throws();
          return (given[hook] as ((...args: unknown[]) => unknown) | undefined)?.(...args);
        },
      });
      const peer = server.connect();
      const subscription = 'subscription Good { count }';
      peer.subscribe('good', subscription);
      await peer.take();
      broken = true;
      const query = ['share', 'subscribe', 'onEvent'].includes(hook) ? 'subscription Bad { count }' : '{ hello }';
      peer.subscribe('bad', query);
      if (hook === 'onEvent') void bus.publish(counts, 1);
      const messages = (await peer.take()).filter(({ id }) => id === 'bad');
      expect(messages).toEqual([
        { id: 'bad', type: 'error', payload: [expect.objectContaining({ message: 'a bug' })] },
      ]);
      // [CONN-59] The good subscription has the same event: one cause is told once.
      expect(server.errors).toEqual([new Error('a bug')]);
      broken = false;
      void bus.publish(counts, 2);
      if (hook !== 'onEvent') expect(await peer.results('good')).toEqual([{ data: { count: 2 } }]);
      peer.subscribe('bad', '{ hello }');
      expect(await peer.results('bad')).toEqual([{ data: { hello: 'world' } }]);
      expect(peer.socket.closing).toBeUndefined();
    }
  });

  test('[GQL-30] onComplete that throws is reported, and its operation ends as it would', async () => {
    for (const onComplete of throwing) {
      const server = serveGraphql({ schema: createTestSchema().schema, isProd: false, onComplete });
      const peer = server.connect();
      peer.subscribe('1', '{ hello }');
      peer.subscribe('2', 'subscription { broken }');
      expect((await peer.take()).map(({ id, type }) => `${id} ${type}`).sort()).toEqual([
        ...['1 complete', '1 next', '2 complete', '2 next'],
      ]);
      // [CONN-59] One cause is told once in a minute.
      expect(server.errors).toEqual([new Error('a bug')]);
      expect(peer.socket.closing).toBeUndefined();
    }
  });

  test('[GQL-30] onError that throws is reported, and the errors are told as if there were none', async () => {
    for (const onError of throwing) {
      const server = serveGraphql({ schema: createTestSchema().schema, isProd: false, onError: onError as never });
      const peer = server.connect();
      peer.subscribe('1', '{ nothing }');
      expect(await peer.take()).toEqual([{ id: '1', type: 'error', payload: [expect.any(Object)] }]);
      expect(server.errors).toEqual([new Error('a bug')]);
    }
  });

  test('[GQL-30] [GQL-46] in production the client is told nothing of a hook’s error, but what a GraphQLError says', async () => {
    const { schema } = createTestSchema();
    const thrown: unknown[] = [new Error('secret'), 'secret', new GraphQLError('Sign in')];
    const throwNext = () => {
      throw thrown.shift();
    };
    const server = serveGraphql({ schema, isProd: true, context: throwNext });
    const peer = server.connect();
    for (const id of ['1', '2', '3']) peer.subscribe(id, '{ hello }');
    const texts = (await peer.take()).map(({ payload }) => (payload as [{ message: string }])[0].message);
    expect(texts).toEqual(['Internal server error', 'Internal server error', 'Sign in']);
    expect(server.errors.map(String)).toEqual(['Error: secret', 'ThrownValue: secret']);
    for (const [error, reason] of [
      [new Error('secret'), 'Internal server error'],
      [new GraphQLError('Banned'), 'Banned'],
    ] as const) {
      const closing = serveGraphql({ schema, isProd: true, onConnect: () => Promise.reject(error) });
      const refused = closing.connect({ acknowledged: false });
      refused.send({ type: 'connection_init' });
      await refused.take();
      expect(refused.socket.closing).toEqual({ code: 4500, reason });
    }
  });

  test('[GQL-30] [GQL-19] an error whose message is no text is one error of its operation', async () => {
    const odd = Object.assign(new Error(), { message: { status: 503 } as unknown as string });
    for (const onSubscribe of [() => Promise.reject(odd), () => Promise.reject(Object.create(null))]) {
      const peer = serveGraphql({ schema: createTestSchema().schema, isProd: false, onSubscribe }).connect();
      peer.subscribe('1', '{ hello }');
      expect(await peer.take()).toEqual([{ id: '1', type: 'error', payload: [{ message: expect.any(String) }] }]);
      expect(peer.socket.closing).toBeUndefined();
    }
  });

  test('[GQL-30] onSubscribe that answers nonsense, and a missing schema, are bugs', async () => {
    const empty = serveGraphql({ isProd: false, onSubscribe: () => [] }).connect();
    empty.subscribe('1', '{ hello }');
    expect(await empty.take()).toEqual([
      { id: '1', type: 'error', payload: [{ message: expect.stringContaining('onSubscribe must return') }] },
    ]);
    const missing = serveGraphql({ isProd: false, onSubscribe: () => undefined }).connect();
    missing.subscribe('1', '{ hello }');
    expect(await missing.take()).toEqual([
      { id: '1', type: 'error', payload: [{ message: 'The GraphQL schema is not provided' }] },
    ]);
  });

  test.each([[[]], [[5]], [{ message: 'alone' }], ['text']])(
    '[GQL-30] [GQL-6] onError that answers %j, which is no list of errors, is a bug',
    async (answer) => {
      const onError = () => answer as never;
      const server = serveGraphql({ schema: createTestSchema().schema, isProd: false, onError });
      const peer = server.connect();
      peer.subscribe('1', '{ nothing }');
      expect(await peer.take()).toEqual([{ id: '1', type: 'error', payload: [expect.any(Object)] }]);
      expect(server.refused[0]?.message).toContain('payload must be a non-empty array of GraphQL errors');
    },
  );

  test('onClose and onDisconnect that throw are reported', async () => {
    const server = serveGraphql({
      schema: createTestSchema().schema,
      onClose: () => Promise.reject(new Error('late bug')),
    });
    const peer = server.connect();
    peer.socket.hangUp();
    await peer.take();
    expect(server.errors).toEqual([new Error('late bug')]);
  });

  test('onDisconnect is for clients that were let in', async () => {
    const onDisconnect = vi.fn();
    const onClose = vi.fn();
    const peer = serveGraphql({ schema: createTestSchema().schema, onDisconnect, onClose }).connect({
      acknowledged: false,
    });
    peer.socket.hangUp(1001, 'bye');
    await peer.take();
    expect(onDisconnect).not.toHaveBeenCalled();
    expect(onClose).toHaveBeenCalledWith(expect.anything(), 1001, 'bye');
  });

  test('revivers and replacers are used', async () => {
    const peer = serveGraphql({
      schema: createTestSchema().schema,
      jsonMessageReviver: (key, value) => (key === 'n' ? Number(value) : value),
      jsonMessageReplacer: (_, value) => (typeof value === 'number' ? `${value}!` : value),
    }).connect();
    peer.subscribe('1', 'query ($n: Int!) { big(n: $n) }', { variables: { n: '7' } });
    expect((await peer.take())[0]).toEqual(data('1', { big: '7!' }));
  });

  test('a reviver may freeze what it reads', async () => {
    const { schema } = createTestSchema();
    const peer = serveGraphql({ schema, jsonMessageReviver: (_, value) => Object.freeze(value) }).connect();
    for (const id of ['1', '2']) peer.subscribe(id, '{ hello }');
    const world = { hello: 'world' };
    expect(await peer.take()).toEqual(expect.arrayContaining([data('1', world), data('2', world)]));
  });
});

describe('whatever comes in', () => {
  const ids = fc.constantFrom('1', '2', '__proto__');
  const payload = fc.record({
    query: fc.constantFrom('{ hello }', '{ slow }', '{', 'subscription { manual }', 'subscription { price { late } }'),
    extensions: fc.constantFrom(null, { subwire: { confirm: true } }, { subwire: 1 }),
  });
  const message = fc.oneof(
    fc.record({ type: fc.constant('subscribe'), id: ids, payload }),
    fc.record({ type: fc.constant('complete'), id: ids }),
    fc.record({
      type: fc.constantFrom('ping', 'pong'),
      payload: fc.constantFrom({}, { subwire: { credentials: {} } }),
    }),
    fc.record({ type: fc.constantFrom('connection_init', 'next', 'error'), id: ids }),
    fc.jsonValue(),
  );

  test('[GQL-3] [GQL-20] [GQL-29] ends in answers or in a close code, never in an exception or a leak', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(message, { maxLength: 20 }), fc.boolean(), async (messages, acknowledged) => {
        const { schema, sources, bus } = createTestSchema();
        const server = serveGraphql({ schema });
        const peer = server.connect({ acknowledged });
        for (const each of messages) peer.send(each);
        await peer.take();
        const { closing } = peer.socket;
        if (closing) expect([4400, 4401, 4409, 4429]).toContain(closing.code);
        peer.socket.hangUp();
        await peer.take();
        expect(server.errors).toEqual([]);
        expect(bus.stats().listeners).toBe(0);
        expect(sources.map(({ returned }) => returned)).toEqual(sources.map(() => 1));
      }),
      { numRuns: 100 },
    );
  });

  test('[GQL-3] bytes that are no text close with 4400', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 50 }), (bytes) => {
        const peer = serveGraphql({ schema: createTestSchema().schema }).connect();
        peer.socket.receiver?.received(bytes);
        expect(peer.socket.closing?.code).toBe(4400);
      }),
      { numRuns: 50 },
    );
  });
});

describe('options', () => {
  test.each([
    [undefined, 'graphqlServer() needs options'],
    [{}, 'schema must be a GraphQLSchema'],
    [{ schema: null }, 'schema must be'],
    [{ schema: 'type Query' }, 'schema must be'],
    [{ schema: {}, onNext: 1 }, 'onNext must be a function; got number'],
    [{ schema: {}, compile: 'jit' }, 'compile must be a function; got string'],
    [{ schema: {}, compile() {}, execute() {} }, 'compile takes the place of execute and subscribe'],
    [{ schema: {}, compile() {}, subscribe() {} }, 'compile takes the place of execute and subscribe'],
    [{ schema: {}, trustedDocuments: 'all' }, 'trustedDocuments must be a Map or an object'],
    [{ schema: {}, validationRules: 1 }, 'validationRules must be an array'],
    [{ schema: {}, slowSubscriber: 'wait' }, "slowSubscriber must be 'disconnect'"],
    [{ schema: {}, connectionInitWaitTimeout: -1 }, 'connectionInitWaitTimeout must be'],
    [{ schema: {}, limits: { maxOperations: 0 } }, 'limits.maxOperations must be'],
    [{ schema: {}, limits: { maxFun: 1 } }, 'limits.maxFun is not a limit'],
    [
      { schema: {}, onConect: () => false },
      'graphqlServer() has no option "onConect": did you mean "onConnect"? There are: ',
    ],
    [createTestSchema().schema, 'graphqlServer({ schema }): you passed the schema itself'],
    [{ schema: {}, keepAlive: 5 }, 'graphqlServer() has no option "keepAlive": the time between pings is limits.ping'],
    [{ schema: {}, rootValue: {} }, 'graphqlServer() has no option "rootValue": give it per kind of operation'],
    [{ schema: {}, authenticate() {} }, 'has no option "authenticate": that is an option of attach()'],
    [{ schema: {}, path: '/' }, 'has no option "path": that is an option of attach(): attach(http, { path: … })'],
    [{ shema: {} }, 'graphqlServer() has no option "shema": did you mean "schema"? There are: '],
  ])('%j throws and says what is wrong', (options, why) => {
    expect(() => graphqlServer(options as never)).toThrow(TypeError);
    expect(() => graphqlServer(options as never)).toThrow(why);
  });

  test('each that there is may be given, undefined as well', () => {
    const hook = (): undefined => undefined;
    const { schema } = createTestSchema();
    const options: Required<Omit<GraphqlOptions, 'compile'>> = {
      schema,
      context: 1,
      contextPerEvent: false,
      bus: { position: () => undefined },
      maskError: false,
      trustedDocuments: {},
      onEvent: hook,
      roots: {},
      parse,
      validate: hook as never,
      execute: hook as never,
      subscribe: hook as never,
      validationRules: [],
      limits: {},
      connectionInitWaitTimeout: 0,
      share: hook,
      slowSubscriber: 'latest',
      isProd: true,
      onConnect: hook,
      onDisconnect: hook as never,
      onClose: hook as never,
      onPing: hook as never,
      onPong: hook as never,
      onSubscribe: hook,
      onOperation: hook,
      onNext: hook,
      onError: hook,
      onComplete: hook as never,
      jsonMessageReviver: hook,
      jsonMessageReplacer: hook,
    };
    expect(() => graphqlServer({ ...options, onEvent: undefined, compile: undefined })).not.toThrow();
    const none = Object.fromEntries(Object.keys(options).map((name) => [name, undefined]));
    expect(() => graphqlServer({ ...none, schema })).not.toThrow();
  });
});
