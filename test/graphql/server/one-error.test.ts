import { makeExecutableSchema } from '@graphql-tools/schema';
import { GraphQLError, versionInfo } from 'graphql';
import { describe, expect, test, vi } from 'vitest';
import { createBus } from '../../../src/bus/bus.ts';
import { topic } from '../../../src/bus/topic.ts';
import type { GraphqlOptions } from '../../../src/graphql/index.ts';
import { type GraphqlPeer, serveGraphql } from '../../support/graphql-peer.ts';
import { createTestSchema, ManualSource } from '../../support/graphql-schema.ts';

const internal = { message: 'Internal server error', extensions: { code: 'INTERNAL_SERVER_ERROR' } };

/** A good subscription is open beside what goes wrong: it must never notice. */
async function besideGoodOne(options: Partial<GraphqlOptions>, act: (peer: GraphqlPeer) => void) {
  const { schema, bus, counts, sources } = createTestSchema();
  const server = serveGraphql({ schema, isProd: true, ...options });
  const peer = server.connect();
  peer.subscribe('good', 'subscription { count }');
  await peer.take();
  act(peer);
  const messages = await peer.take();
  void bus.publish(counts, 7);
  expect(await peer.results('good')).toEqual([{ data: { count: 7 } }]);
  return { ...server, peer, messages, sources };
}

describe('one bad operation is one error', () => {
  test('[GQL-25] a resolver that opens no iterable', async () => {
    const schema = makeExecutableSchema({
      typeDefs: 'type Query { a: Int } type Subscription { nothing: Int, count: Int }',
      resolvers: {
        Subscription: {
          nothing: { subscribe: () => undefined as never },
          count: { subscribe: () => new ManualSource() },
        },
      },
    });
    const server = serveGraphql({ schema, isProd: false });
    const peer = server.connect();
    peer.subscribe('good', 'subscription { count }');
    peer.subscribe('bad', 'subscription { nothing }');
    const [message] = await peer.take();
    expect(message).toMatchObject({ id: 'bad', type: versionInfo.major === 16 ? 'error' : 'next' });
    expect(JSON.stringify(message)).toContain('must return Async Iterable');
    if (versionInfo.major === 16) expect(String(server.errors[0])).toContain('must return Async Iterable');
    expect(peer.socket.closing).toBeUndefined();
  });

  test('[GQL-30] a context that throws a GraphQLError: its extensions arrive, and nobody is told of a bug', async () => {
    const unauthenticated = new GraphQLError('Sign in', { extensions: { code: 'UNAUTHENTICATED' } });
    const context = (_: unknown, id: string): object => {
      if (id === 'bad') throw unauthenticated;
      return {};
    };
    const { messages, errors } = await besideGoodOne({ context }, (peer) => peer.subscribe('bad', '{ hello }'));
    const payload = [{ message: 'Sign in', extensions: { code: 'UNAUTHENTICATED' } }];
    expect(messages).toEqual([{ id: 'bad', type: 'error', payload }]);
    expect(errors).toEqual([]);
  });

  test('[GQL-51] a result that is no JSON is told to the application, and masked', async () => {
    const execute = () => ({ data: { hello: 1n } }) as never;
    const { messages, errors } = await besideGoodOne({ execute }, (peer) => peer.subscribe('bad', '{ hello }'));
    expect(messages).toEqual([{ id: 'bad', type: 'error', payload: [internal] }]);
    expect(errors.map(String)).toEqual(['TypeError: Do not know how to serialize a BigInt']);
  });

  test('[GQL-51] a shared result that is no JSON is told once, however many share it', async () => {
    const { schema, sources } = createTestSchema();
    const server = serveGraphql({
      schema,
      isProd: true,
      share: () => 'all',
      jsonMessageReplacer: (key, value) => (key === 'manual' ? 1n : value),
    });
    const peers = [server.connect(), server.connect()];
    for (const peer of peers) peer.subscribe('1', 'subscription { manual }');
    for (const peer of peers) await peer.take();
    const event = { manual: 'x' };
    for (const source of sources) source.push(event);
    for (const peer of peers) expect(peer.socket.closing).toBeUndefined();
    for (const peer of peers) await peer.take();
    expect(new Set(server.errors).size).toBe(server.errors.length);
  });

  test('[GQL-46] nothing that was not written for clients leaves in production, on any way', async () => {
    const secret = 'postgres://user:password@10.0.0.7';
    const breaks = (): never => {
      throw Object.assign(new Error(secret), { extensions: { stack: secret } });
    };
    const source = new ManualSource();
    const schema = makeExecutableSchema({
      typeDefs: 'type Query { field: Int } type Subscription { opening: Int, later: Int, event: Int }',
      resolvers: {
        Query: { field: breaks },
        Subscription: {
          opening: { subscribe: breaks },
          later: { subscribe: () => source },
          event: {
            subscribe: async function* () {
              yield 1;
            },
            resolve: breaks,
          },
        },
      },
    });
    const server = serveGraphql({ schema, isProd: true });
    const peer = server.connect();
    const fields = ['{ field }', 'subscription { opening }', 'subscription { later }', 'subscription { event }'];
    for (const [index, query] of fields.entries()) peer.subscribe(String(index), query);
    const messages = await peer.take();
    source.fail(new Error(secret));
    messages.push(...(await peer.take()));
    expect(messages.map(({ id, type }) => `${id} ${type}`).sort()).toEqual([
      ...['0 complete', '0 next', '1 complete', '1 next', '2 error', '3 complete', '3 next'],
    ]);
    expect(JSON.stringify(messages)).not.toContain('password');
    expect(server.errors).toHaveLength(4);
    for (const error of server.errors) expect((error as Error).message).toBe(secret);
  });

  test('[GQL-46] maskError: false tells everything, also in production', async () => {
    const server = serveGraphql({ schema: createTestSchema().schema, isProd: true, maskError: false });
    const peer = server.connect();
    peer.subscribe('1', '{ fail }');
    expect(JSON.stringify(await peer.take())).toContain('resolver failed');
    expect(server.errors).toEqual([]);
  });
});

describe('[GQL-47] hooks have hookTimeout', () => {
  const never = (): Promise<never> => new Promise(() => {});
  const limits = { hookTimeout: 1_000 };

  test.each(['onSubscribe', 'schema', 'context', 'onOperation', 'onNext', 'onEvent'] as const)(
    '%s of an operation that never answers is the error of that operation',
    async (hook) => {
      const { schema, bus, counts, sources } = createTestSchema();
      const server = serveGraphql({ schema, isProd: false, [hook]: never }, { limits });
      const peer = server.connect();
      peer.subscribe('1', hook === 'onEvent' ? 'subscription { count }' : 'subscription { manual }');
      await peer.take();
      if (hook === 'onEvent') void bus.publish(counts, 1);
      sources[0]?.push({ manual: 'x' });
      expect(await peer.take()).toEqual([]);
      server.clock.advance(999);
      expect(await peer.take()).toEqual([]);
      server.clock.advance(20);
      const message = expect.stringContaining('has not answered within 1000 ms');
      expect(await peer.take()).toEqual([{ id: '1', type: 'error', payload: [{ message }] }]);
      expect(server.errors).toHaveLength(1);
      expect(peer.socket.closing).toBeUndefined();
      // What it had opened is given back.
      expect(sources.map(({ returned }) => returned)).toEqual(sources.map(() => 1));
    },
  );

  test('onComplete that never answers does not keep its id for ever', async () => {
    const server = serveGraphql({ schema: createTestSchema().schema, onComplete: never }, { limits });
    const peer = server.connect();
    peer.subscribe('1', '{ hello }');
    expect((await peer.take()).map(({ type }) => type)).toEqual(['next']);
    server.clock.advance(1_020);
    expect((await peer.take()).map(({ type }) => type)).toEqual(['complete']);
  });

  test.each(['onConnect', 'onPing', 'onPong'])('%s that never answers ends the connection with 1013', async (hook) => {
    const server = serveGraphql({ schema: createTestSchema().schema, [hook]: never }, { limits });
    const peer = server.connect({ acknowledged: false });
    for (const type of ['connection_init', 'ping', 'pong']) peer.send({ type });
    server.clock.advance(1_020);
    await peer.take();
    expect(peer.socket.closing?.code).toBe(1013);
    expect(server.endpoint.stats().faults).toEqual({ unavailable: 1 });
  });

  test('a hook that is slow and not too slow changes nothing', async () => {
    let answer = (_: object): void => {};
    const context = () => new Promise<object>((resolve) => (answer = resolve));
    const server = serveGraphql({ schema: createTestSchema().schema, context }, { limits });
    const peer = server.connect();
    peer.subscribe('1', '{ me }');
    server.clock.advance(900);
    answer({ name: 'Ada' });
    await peer.take().then((messages) => expect(messages[0]?.payload).toEqual({ data: { me: 'Ada' } }));
    server.clock.advance(5_000);
    expect(await peer.take()).toEqual([]);
  });

  test('[GQL-48] pings cannot pile up hooks without end', async () => {
    const server = serveGraphql({ schema: createTestSchema().schema, onPing: never, limits: { maxOperations: 2 } });
    const peer = server.connect();
    for (let ping = 0; ping < 4; ping++) peer.send({ type: 'ping' });
    expect(peer.socket.closing).toBeUndefined();
    peer.send({ type: 'ping' });
    expect(peer.socket.closing?.code).toBe(1013);
  });
});

describe('[GQL-50] for each event', () => {
  const events = topic<string>('events');
  const serve = (options: Partial<GraphqlOptions>) => {
    const bus = createBus();
    const schema = makeExecutableSchema({
      typeDefs: 'type Query { a: Int } type Subscription { e: String }',
      resolvers: {
        Subscription: {
          e: {
            subscribe: () => bus.subscribe(events),
            resolve: (event: string, _: unknown, context: { number: number }) => `${event} ${context.number}`,
          },
        },
      },
    });
    return { bus, ...serveGraphql({ schema, isProd: false, ...options }) };
  };

  test.each([{}, { share: () => 'all' }, { onOperation: () => undefined }])(
    'the context is made anew, if that is wanted, before the hook and the execution: %j',
    async (more) => {
      for (const later of [false, true]) {
        let number = 0;
        const onEvent = vi.fn();
        const context = () => (later ? Promise.resolve({ number: ++number }) : { number: ++number });
        const { bus, connect } = serve({ context, contextPerEvent: true, onEvent, ...more });
        const peer = connect();
        peer.subscribe('1', 'subscription { e }');
        await peer.take();
        for (const event of ['a', 'b']) {
          void bus.publish(events, event);
          await peer.results('1').then((results) => expect(results).toEqual([{ data: { e: `${event} ${number}` } }]));
        }
        expect(number).toBe(3);
        const args = expect.objectContaining({ contextValue: { number: 3 } });
        expect(onEvent).toHaveBeenLastCalledWith(expect.anything(), '1', expect.anything(), args, 'b');
      }
    },
  );

  test('without it the context is made once', async () => {
    let number = 0;
    const { bus, connect } = serve({ context: () => ({ number: ++number }) });
    const peer = connect();
    peer.subscribe('1', 'subscription { e }');
    await peer.take();
    void bus.publish(events, 'a');
    void bus.publish(events, 'b');
    expect(await peer.results('1')).toEqual([{ data: { e: 'a 1' } }, { data: { e: 'b 1' } }]);
  });

  test('what cannot be is refused when the server is made', () => {
    const subscribe = () => ({ data: {} });
    expect(() => serve({ contextPerEvent: true })).toThrow('contextPerEvent needs context to be a function');
    expect(() => serve({ subscribe, onEvent: () => {} })).toThrow('leave out subscribe');
    expect(() => serve({ subscribe, context: () => 1, contextPerEvent: true })).toThrow('leave out subscribe');
  });
});

describe('what was wrong with a message', () => {
  const wrong = { type: 'subscribe', id: '1', payload: { query: '{ hello }', variables: 'text' } };
  const detail = 'subscribe payload: variables must be an object or null, got string';

  test.each([
    [false, `Invalid message received: ${detail}`],
    [true, 'Invalid message received'],
  ])(
    '[GQL-52] is the reason outside production, and told to the application always: isProd %s',
    async (isProd, reason) => {
      const server = serveGraphql({ schema: createTestSchema().schema, isProd });
      const peer = server.connect();
      peer.send(wrong);
      expect(peer.socket.closing).toEqual({ code: 4400, reason });
      expect(server.refused.map(({ message }) => message)).toEqual([detail]);
    },
  );

  test('[GQL-53] an empty operation name is none', async () => {
    const peer = serveGraphql({ schema: createTestSchema().schema }).connect();
    peer.subscribe('1', 'query A { hello }', { operationName: '' });
    expect(await peer.results('1')).toEqual([{ data: { hello: 'world' } }]);
  });
});

test('[GQL-49] onClose and onDisconnect come after what ran has let go', async () => {
  const log: string[] = [];
  const source = new ManualSource();
  source.return = async () => {
    for (let wait = 0; wait < 5; wait++) await Promise.resolve();
    log.push('returned');
    return { done: true, value: undefined };
  };
  const onComplete = async (): Promise<void> => {
    for (let wait = 0; wait < 5; wait++) await Promise.resolve();
    log.push('completed');
  };
  const server = serveGraphql({
    schema: createTestSchema().schema,
    subscribe: () => source as never,
    onComplete,
    onDisconnect: () => void log.push('disconnected'),
    onClose: () => void log.push('closed'),
  });
  const peer = server.connect();
  peer.subscribe('1', 'subscription { manual }');
  await peer.take();
  peer.socket.hangUp();
  for (let wait = 0; wait < 20; wait++) await Promise.resolve();
  await peer.take();
  expect(log).toEqual(['returned', 'completed', 'disconnected', 'closed']);
});
