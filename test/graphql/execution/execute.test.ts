import { parse } from 'graphql';
import { describe, expect, test, vi } from 'vitest';
import { chain, flatten, isAsyncIterable, operationKind } from '../../../src/graphql/execution/execute.ts';

describe('operationKind', () => {
  test.each([
    ['{ a }', undefined, 'query'],
    ['mutation { a }', null, 'mutation'],
    ['subscription S { a } query Q { a }', 'S', 'subscription'],
    ['query A { a } query B { a }', undefined, undefined],
    ['query A { a }', 'B', undefined],
    ['{ a }', 'B', undefined],
    ['fragment F on Q { a }', undefined, undefined],
  ])('%s by the name %s is a %s', (text, name, kind) => {
    expect(operationKind(parse(text), name)).toBe(kind);
  });
});

describe('incremental results', () => {
  const initialResult = { data: { a: 1 }, hasNext: true };

  test('[GQL-32] are one iterable, the initial result first', async () => {
    async function* subsequentResults() {
      yield { hasNext: false };
    }
    const flat = flatten({ initialResult, subsequentResults: subsequentResults() });
    const seen: unknown[] = [];
    for await (const result of flat as AsyncIterable<unknown>) seen.push(result);
    expect(seen).toEqual([initialResult, { hasNext: false }]);
  });

  test('[GQL-29] give their source back though nobody began to read', async () => {
    const give = vi.fn(async () => ({ done: true as const, value: undefined }));
    const iterator = { next: async () => ({ done: true as const, value: undefined }), return: give };
    const subsequentResults = { [Symbol.asyncIterator]: () => iterator };
    const flat = flatten({ initialResult, subsequentResults }) as AsyncIterableIterator<unknown>;
    await flat.return?.();
    expect(give).toHaveBeenCalledTimes(1);
    expect(await flat.next()).toEqual({ done: true, value: undefined });
  });

  test('other results are what they were', () => {
    const result = { data: {} };
    expect(flatten(result)).toBe(result);
  });
});

test('chain goes on at once where it can', async () => {
  expect(chain(1, (value) => value + 1)).toBe(2);
  expect(await chain(Promise.resolve(1), (value) => value + 1)).toBe(2);
  expect([null, undefined, {}, 'text'].map(isAsyncIterable)).toEqual([false, false, false, false]);
});
