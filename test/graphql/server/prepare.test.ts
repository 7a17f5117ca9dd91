import { type ExecutionArgs, type GraphQLSchema, parse } from 'graphql';
import { describe, expect, test, vi } from 'vitest';
import type { GraphqlContext, GraphqlOptions } from '../../../src/graphql/server/options.ts';
import { serveGraphql } from '../../support/graphql-peer.ts';
import { createTestSchema } from '../../support/graphql-schema.ts';

const data = (id: string, value: unknown) => ({ id, type: 'next', payload: { data: value } });
const complete = (id: string) => ({ id, type: 'complete' });

test('[GQL-31] every hook of an operation gets the context, the id and the payload, and what was made so far', async () => {
  const { schema } = createTestSchema();
  const calls: [string, unknown[]][] = [];
  const spy =
    <Answer>(name: string, answer: Answer) =>
    (...args: unknown[]): Answer => {
      calls.push([name, args]);
      return answer;
    };
  const { connect } = serveGraphql({
    onSubscribe: spy('onSubscribe', undefined),
    schema: spy('schema', schema),
    context: spy('context', 'the context'),
    onOperation: spy('onOperation', undefined),
    onNext: spy('onNext', undefined),
    onError: spy('onError', undefined),
    onComplete: spy('onComplete', undefined),
    roots: { query: 'root' },
  });
  const peer = connect();
  const payload = { query: 'query Q { hello }', operationName: 'Q', variables: { a: 1 }, extensions: { b: 2 } };
  peer.send({ type: 'subscribe', id: 'i', payload });
  await peer.take();
  expect(calls.map(([name]) => name)).toEqual([
    'onSubscribe',
    'schema',
    'context',
    'onOperation',
    'onNext',
    'onComplete',
  ]);
  const context = calls[0]?.[1][0] as GraphqlContext;
  expect(context.acknowledged).toBe(true);
  for (const [, args] of calls) expect(args.slice(0, 3)).toEqual([context, 'i', payload]);
  const document = parse('query Q { hello }');
  const args = { document, operationName: 'Q', variableValues: { a: 1 } };
  const full = { ...args, schema, rootValue: 'root', contextValue: 'the context' };
  const result = { data: { hello: 'world' } };
  const further = calls.map(([, [, , , ...more]]) => more);
  expect(further[1]).toEqual([expect.objectContaining(args)]);
  expect(further[3]).toEqual([expect.objectContaining(full), result]);
  expect(further[4]).toEqual([expect.objectContaining(full), result]);
  expect(further[5]).toEqual([]);
  calls.length = 0;
  peer.subscribe('e', '{ nothing }');
  await peer.take();
  expect(calls.map(([name]) => name)).toEqual(['onSubscribe', 'schema', 'onError']);
  expect(calls[2]?.[1].slice(0, 3)).toEqual([context, 'e', { query: '{ nothing }' }]);
  expect(calls[2]?.[1][3]).toEqual([expect.objectContaining({ message: expect.stringContaining('nothing') })]);
});

describe('[GQL-31] arguments of onSubscribe', () => {
  const { schema } = createTestSchema();
  const document = parse('query A { me } query B { hello }');

  function answerOf(given: object, more: Partial<GraphqlOptions> = {}) {
    const peer = serveGraphql({
      onSubscribe: () => given as ExecutionArgs,
      context: { name: 'default' },
      ...more,
    }).connect();
    peer.subscribe('1', 'not even a document');
    return peer.take();
  }

  test('are executed as they are; the text of the client is not looked at', async () => {
    const parsed = vi.fn();
    const answer = await answerOf(Object.freeze({ schema, document, operationName: 'A' }), { parse: parsed as never });
    expect(answer).toEqual([data('1', { me: 'default' }), complete('1')]);
    expect(parsed).not.toHaveBeenCalled();
  });

  test('their context and root value win, also where they are undefined', async () => {
    const given = { schema, document, operationName: 'A', contextValue: undefined, rootValue: undefined };
    expect(await answerOf(given)).toEqual([data('1', { me: null }), complete('1')]);
    expect(await answerOf({ ...given, contextValue: { name: 'own' } })).toEqual([
      data('1', { me: 'own' }),
      complete('1'),
    ]);
  });

  test('[GQL-24] that name no operation of their document are an error', async () => {
    expect(await answerOf({ schema, document })).toEqual([
      { id: '1', type: 'error', payload: [{ message: 'Unable to identify operation' }] },
    ]);
  });

  test('[GQL-30] without a document are a bug', async () => {
    const server = serveGraphql({ isProd: false, onSubscribe: () => ({ schema }) as unknown as ExecutionArgs });
    const peer = server.connect();
    peer.subscribe('1', '{ hello }');
    const message = expect.stringContaining('arguments without a document');
    expect(await peer.take()).toEqual([{ id: '1', type: 'error', payload: [{ message }] }]);
    expect(server.errors).toHaveLength(1);
  });
});

test('the schema may be another one for each operation', async () => {
  const { schema } = createTestSchema();
  const other = createTestSchema().schema;
  const asked: GraphQLSchema[] = [schema, other];
  const used: unknown[] = [];
  const peer = serveGraphql({
    schema: async () => asked.shift() as GraphQLSchema,
    execute: ({ schema: known }) => {
      used.push(known);
      return { data: {} };
    },
  }).connect();
  peer.subscribe('1', '{ hello }');
  peer.subscribe('2', '{ hello }');
  await peer.take();
  expect(used).toEqual([schema, other]);
});

describe('[GQL-24] documents that are short and deep', () => {
  test.each([
    ['selections', `${'{a'.repeat(4_900)}${'}'.repeat(4_900)}`],
    ['values', `{ hello(a: ${'['.repeat(4_900)}${']'.repeat(4_900)}) }`],
    ['types', `query ($a: ${'['.repeat(4_900)}Int${']'.repeat(4_900)}) { hello }`],
    ['fragments', `{ ${'... { '.repeat(2_400)}hello${' }'.repeat(2_400)} }`],
  ])('%s are an error of the operation, and no bug of ours', async (_, query) => {
    const server = serveGraphql({ schema: createTestSchema().schema });
    const peer = server.connect();
    peer.subscribe('1', query);
    peer.subscribe('2', '{ hello }');
    const [first, ...rest] = await peer.take();
    expect(['error', 'next']).toContain(first?.type);
    expect(rest.slice(-2)).toEqual([data('2', { hello: 'world' }), complete('2')]);
    expect(server.errors).toEqual([]);
    expect(peer.socket.closing).toBeUndefined();
  });
});

test('[GQL-5] variables that are deep, many or odd reach the executor as they came', async () => {
  const seen: unknown[] = [];
  const peer = serveGraphql({
    schema: createTestSchema().schema,
    execute: ({ variableValues }) => {
      seen.push(variableValues);
      return { data: {} };
    },
  }).connect();
  const many = Object.fromEntries(Array.from({ length: 20_000 }, (_, index) => [`v${index}`, index]));
  peer.subscribe('1', '{ hello }', { variables: many });
  peer.socket.receiver?.received(
    '{"type":"subscribe","id":"2","payload":{"query":"{ hello }","variables":{"__proto__":{"admin":true},"constructor":1}}}',
  );
  expect(await peer.take()).toHaveLength(4);
  expect(seen[0]).toEqual(many);
  expect(Object.keys(seen[1] as object)).toEqual(['__proto__', 'constructor']);
  expect((seen[1] as { admin?: unknown }).admin).toBeUndefined();
});

test('[GQL-39] a copy of the arguments has the signal as well', async () => {
  const { schema } = createTestSchema();
  const signals: unknown[] = [];
  const execute = (args: ExecutionArgs): Promise<never> => {
    signals.push(({ ...args } as { abortSignal?: AbortSignal }).abortSignal);
    return new Promise(() => {});
  };
  for (const onSubscribe of [undefined, () => ({ schema, document: parse('{ hello }') })]) {
    const peer = serveGraphql({ schema, execute, ...(onSubscribe && { onSubscribe }) }).connect();
    peer.subscribe('1', '{ hello }');
    const signal = signals.pop() as AbortSignal;
    expect(signal.aborted).toBe(false);
    peer.complete('1');
    expect(signal.aborted).toBe(true);
  }
});
