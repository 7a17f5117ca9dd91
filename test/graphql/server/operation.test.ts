import { type ExecutionResult, GraphQLError } from 'graphql';
import { describe, expect, test, vi } from 'vitest';
import { createSubscription, type Sink } from '../../../src/bus/subscription.ts';
import type { GraphqlOptions } from '../../../src/graphql/server/options.ts';
import { serveGraphql } from '../../support/graphql-peer.ts';
import { createTestSchema, ManualSource } from '../../support/graphql-schema.ts';

const data = (id: string, value: unknown) => ({ id, type: 'next', payload: { data: value } });
const complete = (id: string) => ({ id, type: 'complete' });
type Hook = 'onSubscribe' | 'schema' | 'context' | 'onOperation' | 'onNext' | 'onError' | 'onComplete';

/** A server on which one hook waits until `open()`. */
function waitingIn(hook: Hook, more: Partial<GraphqlOptions> = {}) {
  const made = createTestSchema();
  const answers: ((value?: unknown) => void)[] = [];
  const wait = (): Promise<unknown> => new Promise((resolve) => answers.push(resolve));
  const server = serveGraphql({
    schema: made.schema,
    ...more,
    [hook]: hook === 'schema' ? () => wait().then(() => made.schema) : wait,
  });
  return {
    ...made,
    ...server,
    waits: () => answers.length,
    proceed(value?: unknown): void {
      for (const answer of answers.splice(0)) answer(value);
    },
  };
}

describe('a client that completes', () => {
  test.each<Hook>(['onSubscribe', 'schema', 'context', 'onOperation', 'onNext', 'onComplete'])(
    '[GQL-27] [GQL-15] while %s is pending gets nothing more, and its id is free',
    async (hook) => {
      const { connect, waits, proceed, errors } = waitingIn(hook);
      const peer = connect();
      peer.subscribe('1', '{ hello }');
      const before = await peer.take();
      expect(before).toEqual(hook === 'onComplete' ? [data('1', { hello: 'world' })] : []);
      expect(waits()).toBe(1);
      peer.complete('1');
      peer.subscribe('1', 'mutation { add(a: 1, b: 1) }');
      const after = await peer.take();
      proceed();
      after.push(...(await peer.take()));
      proceed();
      after.push(...(await peer.take()));
      expect(after).toEqual([data('1', { add: 2 }), complete('1')]);
      expect(peer.socket.closing).toBeUndefined();
      expect(errors).toEqual([]);
    },
  );

  test.each<Hook>(['onSubscribe', 'schema', 'context', 'onOperation', 'onNext', 'onComplete'])(
    '[GQL-29] while %s of a subscription is pending: what was opened is given back once, and nothing is opened later',
    async (hook) => {
      for (const ends of ['complete', 'hangUp', 'fault'] as const) {
        const { connect, proceed, sources, errors } = waitingIn(hook);
        const peer = connect();
        peer.subscribe('1', 'subscription { odd }');
        await peer.take();
        sources[0]?.push('a');
        sources[0]?.end();
        await peer.take();
        const opened = sources.length;
        if (ends === 'complete') peer.complete('1');
        else if (ends === 'hangUp') peer.socket.hangUp();
        else peer.send({ type: 'next' });
        proceed();
        expect(await peer.take()).toEqual([]);
        expect(sources.length).toBe(opened);
        // One that had ended by itself is not given back.
        expect(sources.map(({ returned }) => returned)).toEqual(sources.map(() => (hook === 'onComplete' ? 0 : 1)));
        expect(errors).toEqual([]);
      }
    },
  );

  test('[GQL-27] while onError is pending is told nothing, and onComplete is called once', async () => {
    const onComplete = vi.fn();
    const { connect, proceed, sources } = waitingIn('onError', { onComplete });
    const peer = connect();
    peer.subscribe('1', 'subscription { manual }');
    await peer.take();
    sources[0]?.fail(new Error('broken'));
    await peer.take();
    peer.complete('1');
    proceed();
    expect(await peer.take()).toEqual([]);
    expect(onComplete).toHaveBeenCalledTimes(1);
  });

  test('[GQL-14] while onComplete is pending the id is in use: the client has not heard of the end', async () => {
    const { connect } = waitingIn('onComplete');
    const peer = connect();
    peer.subscribe('1', '{ hello }');
    await peer.take();
    peer.subscribe('1', '{ hello }');
    expect(peer.socket.closing?.code).toBe(4409);
  });

  test('[GQL-28] after the server’s own complete is ignored', async () => {
    const onComplete = vi.fn();
    const peer = serveGraphql({ schema: createTestSchema().schema, onComplete }).connect();
    peer.subscribe('1', '{ hello }');
    await peer.take();
    peer.complete('1');
    peer.complete('1');
    peer.send({ type: 'ping' });
    expect(await peer.take()).toEqual([{ type: 'pong' }]);
    expect(onComplete).toHaveBeenCalledTimes(1);
  });

  test('[GQL-27] in the same chunk as its subscribe gets nothing of what had to wait', async () => {
    const { connect, sources } = waitingIn('onNext');
    const peer = connect();
    peer.subscribe('1', 'subscription { manual }');
    peer.complete('1');
    peer.subscribe('2', '{ slow }');
    peer.complete('2');
    expect(await peer.take()).toEqual([]);
    expect(sources.map(({ returned }) => returned)).toEqual([1]);
  });
});

describe('onOperation', () => {
  const result = (hello: string): ExecutionResult => ({ data: { hello } });

  test('[GQL-29] the stream that it answers with is given back, though the client left meanwhile', async () => {
    for (const ends of ['complete', 'hangUp'] as const) {
      const { connect, proceed, sources } = waitingIn('onOperation');
      const peer = connect();
      peer.subscribe('1', 'subscription { manual }');
      await peer.take();
      if (ends === 'complete') peer.complete('1');
      else peer.socket.hangUp();
      const replacement = new ManualSource();
      proceed(replacement);
      await peer.take();
      expect(replacement.returned).toBe(1);
      expect(sources.map(({ returned }) => returned)).toEqual([1]);
    }
  });

  const quota = { errors: [new GraphQLError('quota')] };
  const broken = (): never => {
    throw new Error('hook failed');
  };

  test.each([
    ['with a result', () => quota, false],
    ['with a result, later', async () => quota, false],
    ['with a text', () => 'quota', true],
    ['with a text, later', async () => 'quota', true],
    ['by throwing', broken, true],
    ['by rejecting', async () => broken(), true],
  ])('[GQL-29] the stream that it answers %s is given back once, however the client ends', async (_, answer, fails) => {
    for (const ends of ['complete', 'hangUp'] as const) {
      const onComplete = vi.fn();
      const { schema, sources } = createTestSchema();
      const peer = serveGraphql({ schema, onOperation: answer as never, onComplete }).connect();
      peer.subscribe('1', 'subscription { manual }');
      const messages = await peer.take();
      expect(sources.map(({ returned }) => returned)).toEqual([1]);
      expect(peer.socket.closing).toBeUndefined();
      const payload = { errors: [{ message: 'quota' }] };
      expect(messages).toEqual(
        fails
          ? [{ id: '1', type: 'error', payload: [{ message: expect.any(String) }] }]
          : [{ id: '1', type: 'next', payload }, complete('1')],
      );
      if (ends === 'complete') peer.complete('1');
      else peer.socket.hangUp();
      await peer.take();
      expect(sources.map(({ returned }) => returned)).toEqual([1]);
      expect(onComplete).toHaveBeenCalledTimes(1);
    }
  });

  test('[GQL-29] a stream that breaks while it gives way to a result is reported, and harms nobody', async () => {
    const source = new ManualSource();
    source.return = () => Promise.reject(new Error('return failed'));
    const server = serveGraphql({
      schema: createTestSchema().schema,
      subscribe: () => source as AsyncIterable<ExecutionResult>,
      onOperation: () => quota,
    });
    const peer = server.connect();
    peer.subscribe('1', 'subscription { manual }');
    expect((await peer.take()).map(({ type }) => type)).toEqual(['next', 'complete']);
    expect(server.errors).toEqual([new Error('return failed')]);
  });

  test('[GQL-29] a stream that it wraps is read on, and given back by the wrapper alone', async () => {
    const { schema, sources } = createTestSchema();
    const peer = serveGraphql({
      schema,
      async *onOperation(_: unknown, __: unknown, ___: unknown, ____: unknown, stream: unknown) {
        for await (const each of stream as AsyncIterable<ExecutionResult>)
          yield { ...each, extensions: { wrapped: 1 } };
      },
    } as GraphqlOptions).connect();
    peer.subscribe('1', 'subscription { manual }');
    await peer.take();
    expect(sources.map(({ returned }) => returned)).toEqual([0]);
    for (const manual of ['a', 'b']) {
      sources[0]?.push({ manual });
      expect(await peer.results('1')).toEqual([{ data: { manual }, extensions: { wrapped: 1 } }]);
    }
    peer.complete('1');
    sources[0]?.push({ manual: 'late' });
    expect(await peer.take()).toEqual([]);
    expect(sources.map(({ returned }) => returned)).toEqual([1]);
  });

  test('[GQL-21] may turn one result into many, and many into one', async () => {
    const peer = serveGraphql({
      schema: createTestSchema().schema,
      onOperation(_, __, { query }) {
        if (query.startsWith('subscription')) return result('one');
        return (async function* () {
          yield result('first');
          yield result('second');
        })();
      },
    }).connect();
    peer.subscribe('1', '{ hello }');
    expect(await peer.take()).toEqual([data('1', { hello: 'first' }), data('1', { hello: 'second' }), complete('1')]);
    peer.subscribe('2', 'subscription { count }');
    expect(await peer.take()).toEqual([data('2', { hello: 'one' }), complete('2')]);
  });
});

describe('an executor', () => {
  test('may answer with an object of a class of its own, at once or later', async () => {
    class Compiled {
      get data() {
        return { hello: 'compiled' };
      }
      toJSON() {
        return { data: this.data, extensions: { compiled: true } };
      }
    }
    const compiled = Object.assign(Object.create(null), { data: Object.assign(Object.create(null), { hello: 'jit' }) });
    const { schema } = createTestSchema();
    const answers = [compiled, Promise.resolve(compiled), new Compiled()];
    const peer = serveGraphql({ schema, execute: () => answers.shift() as ExecutionResult }).connect();
    peer.subscribe('1', '{ hello }');
    peer.subscribe('2', '{ hello }');
    expect(await peer.take()).toEqual([
      data('1', { hello: 'jit' }),
      complete('1'),
      data('2', { hello: 'jit' }),
      complete('2'),
    ]);
    peer.subscribe('3', '{ hello }');
    expect(await peer.take()).toEqual([
      { id: '3', type: 'next', payload: { data: { hello: 'compiled' }, extensions: { compiled: true } } },
      complete('3'),
    ]);
  });

  test('[GQL-21] executes queries and mutations; the events of subscriptions are not its', async () => {
    const { schema, bus, counts } = createTestSchema();
    const peer = serveGraphql({ schema, execute: () => ({ data: { hello: 'executed' } }) }).connect();
    peer.subscribe('1', '{ hello }');
    expect(await peer.take()).toEqual([data('1', { hello: 'executed' }), complete('1')]);
    peer.subscribe('2', 'subscription { count }');
    await peer.take();
    void bus.publish(counts, 7);
    expect(await peer.take()).toEqual([data('2', { count: 7 })]);
  });

  test.each([
    ['undefined', undefined],
    ['null', null],
    ['a text', 'data'],
    ['a promise of nothing', Promise.resolve()],
  ])('[GQL-30] that answers with %s has a bug: the client does not wait for ever', async (_, answer) => {
    for (const [name, query] of [
      ['execute', '{ hello }'],
      ['subscribe', 'subscription { manual }'],
    ] as const) {
      const server = serveGraphql({
        schema: createTestSchema().schema,
        isProd: false,
        [name]: () => answer,
      });
      const peer = server.connect();
      peer.subscribe('1', query);
      const message = 'execute and subscribe must return a result or an async iterable of results';
      expect(await peer.take()).toEqual([{ id: '1', type: 'error', payload: [{ message }] }]);
      expect(server.errors).toHaveLength(1);
    }
  });

  test('[GQL-32] [GQL-29] may deliver in parts, and is given back when the client leaves between them', async () => {
    const initialResult = { data: { a: 1 }, hasNext: true };
    const last = { incremental: [{ data: { b: 2 }, path: [] }], hasNext: false };
    const parts: ManualSource[] = [];
    const { connect } = serveGraphql({
      schema: createTestSchema().schema,
      execute() {
        const subsequentResults = new ManualSource();
        parts.push(subsequentResults);
        return { initialResult, subsequentResults } as unknown as ExecutionResult;
      },
    });
    const peer = connect();
    peer.subscribe('1', '{ hello }');
    peer.subscribe('2', '{ hello }');
    expect(await peer.results('2')).toEqual([initialResult]);
    parts[0]?.push(last);
    parts[0]?.end();
    expect(await peer.take()).toEqual([{ id: '1', type: 'next', payload: last }, complete('1')]);
    peer.complete('2');
    expect(await peer.take()).toEqual([]);
    expect(parts.map(({ returned }) => returned)).toEqual([0, 1]);
  });

  test('[GQL-39] hears of the abort: one that rejects then is no bug', async () => {
    const server = serveGraphql({
      schema: createTestSchema().schema,
      execute: (args) =>
        new Promise((_, reject) => {
          const { abortSignal } = args as unknown as { abortSignal: AbortSignal };
          abortSignal.addEventListener('abort', () => reject(abortSignal.reason));
        }),
    });
    const peer = server.connect();
    peer.subscribe('1', '{ hello }');
    peer.complete('1');
    peer.subscribe('2', '{ hello }');
    peer.socket.hangUp();
    expect(await peer.take()).toEqual([]);
    expect(server.errors).toEqual([]);
  });

  test.each([
    ['an error', Object.assign(new Error('broken'), { extensions: { code: 'DOWN' } }), 'broken', { code: 'DOWN' }],
    ['a plain error of a gateway', { message: 'broken', extensions: { code: 'DOWN' } }, 'broken', { code: 'DOWN' }],
    [
      'an error that would tell too much of itself',
      Object.assign(new Error('broken'), { toJSON: () => ({ secret: 1 }) }),
      'broken',
    ],
    ['an error whose JSON is none', Object.assign(new Error('broken'), { toJSON: () => null }), 'broken'],
    ['an error of the package', new GraphQLError('broken', { path: ['manual'] }), 'broken', undefined, ['manual']],
    ['an object', { reason: 1n }, '[object Object]'],
    ['a text', 'broken', 'broken'],
    ['nothing', undefined, 'undefined'],
  ])(
    '[GQL-26] a source that throws %s: hooks get a GraphQL error, clients what may be told of it',
    async (_, thrown, message, extensions?, path?) => {
      const source = new ManualSource();
      const onError = vi.fn();
      const peer = serveGraphql({
        schema: createTestSchema().schema,
        onError,
        subscribe: () => source as AsyncIterable<ExecutionResult>,
      }).connect();
      peer.subscribe('1', 'subscription { manual }');
      await peer.take();
      source.fail(thrown);
      const error = { message, ...(extensions && { extensions }), ...(path && { path }) };
      expect(await peer.take()).toEqual([{ id: '1', type: 'error', payload: [error] }]);
      const told = onError.mock.calls[0]?.[3][0];
      expect(told).toBeInstanceOf(GraphQLError);
      if (thrown instanceof Error) expect([told, told?.originalError]).toContain(thrown);
    },
  );

  test('[GQL-26] a stream that yields no result ends with an error', async () => {
    for (const value of [undefined, null, 'data', 7, [{ data: {} }]]) {
      const source = new ManualSource();
      const peer = serveGraphql({
        schema: createTestSchema().schema,
        subscribe: () => source as AsyncIterable<ExecutionResult>,
      } as GraphqlOptions).connect();
      peer.subscribe('1', 'subscription { manual }');
      source.push(value);
      expect((await peer.take()).map(({ type }) => type)).toEqual(['error']);
      expect(source.returned).toBe(1);
    }
  });

  test('[GQL-26] [GQL-29] a result that is still being made may fail: that ends its operation, shared or not', async () => {
    for (const share of [undefined, () => 'all']) {
      const source = new ManualSource();
      const server = serveGraphql({
        schema: createTestSchema().schema,
        subscribe: () => source as AsyncIterable<ExecutionResult>,
        share,
      });
      const peer = server.connect();
      peer.subscribe('1', 'subscription { manual }');
      source.push(Promise.resolve({ data: { manual: 'made' } }));
      expect(await peer.results('1')).toEqual([{ data: { manual: 'made' } }]);
      source.push(Promise.reject(new Error('not made')));
      expect(await peer.take()).toEqual([{ id: '1', type: 'error', payload: [{ message: 'not made' }] }]);
      expect(source.returned).toBe(1);
      expect(server.errors).toEqual([new Error('not made')]);
    }
  });

  test('[GQL-26] an iterator that does not answer with an iterator result ends its operation, not the connection', async () => {
    const broken = { [Symbol.asyncIterator]: () => ({ next: async () => undefined }) };
    const server = serveGraphql({
      schema: createTestSchema().schema,
      subscribe: () => broken as unknown as AsyncIterable<ExecutionResult>,
    });
    const peer = server.connect();
    peer.subscribe('1', 'subscription { manual }');
    expect((await peer.take()).map(({ type }) => type)).toEqual(['error']);
    expect(peer.socket.closing).toBeUndefined();
  });
});

describe('generators', () => {
  test('[GQL-29] run their finally once, whether they wait or yield as the client leaves', async () => {
    const log: string[] = [];
    let wake = (): void => {};
    async function* waiting(name: string) {
      try {
        yield result(name);
        await new Promise<void>((resolve) => (wake = resolve));
        yield result('never sent');
      } finally {
        log.push(name);
      }
    }
    const result = (hot: string): ExecutionResult => ({ data: { hot } });
    const { connect } = serveGraphql({ schema: createTestSchema().schema, subscribe: () => waiting('generator') });
    const peer = connect();
    peer.subscribe('1', 'subscription { hot }');
    expect(await peer.take()).toEqual([data('1', { hot: 'generator' })]);
    peer.complete('1');
    expect(await peer.take()).toEqual([]);
    expect(log).toEqual([]);
    wake();
    expect(await peer.take()).toEqual([]);
    expect(log).toEqual(['generator']);
  });

  test('[GQL-29] that were never begun hold nothing, and are ended all the same', async () => {
    const { connect, proceed } = waitingIn('onOperation', {
      subscribe: async function* () {
        yield { data: {} };
      } as never,
    });
    const peer = connect();
    peer.subscribe('1', 'subscription { hot }');
    await peer.take();
    peer.socket.hangUp();
    proceed();
    await peer.take();
    expect(peer.socket.terminated).toBe(false);
  });
});

describe('a pushed source', () => {
  test('[GQL-26] that breaks sends first what had been pushed before', async () => {
    const waiting: ((result: ExecutionResult) => void)[] = [];
    let sink: Sink<ExecutionResult> | undefined;
    const source = createSubscription<ExecutionResult>((to) => {
      sink = to;
      return () => {};
    });
    const peer = serveGraphql({
      schema: createTestSchema().schema,
      subscribe: () => source,
      onNext: () => new Promise((resolve) => waiting.push(resolve)),
    }).connect();
    peer.subscribe('1', 'subscription { count }');
    sink?.next({ data: { count: 1 } });
    sink?.next({ data: { count: 2 } });
    sink?.error(new Error('broken'));
    sink?.complete();
    expect(await peer.take()).toEqual([]);
    waiting.shift()?.({ data: { count: 'one' } });
    expect(await peer.take()).toEqual([data('1', { count: 'one' })]);
    waiting.shift()?.({ data: { count: 'two' } });
    expect(await peer.take()).toEqual([
      data('1', { count: 'two' }),
      { id: '1', type: 'error', payload: [{ message: 'broken' }] },
    ]);
  });
});
