import { type ExecutionResult, GraphQLError } from 'graphql';
import { describe, expect, test } from 'vitest';
import {
  encoder,
  formatError,
  formatResult,
  masking,
  toGraphQLError,
  unmasked,
} from '../../../src/graphql/execution/errors.ts';

const secret = 'postgres://user:password@10.0.0.7';
const hidden = { message: 'Internal server error', extensions: { code: 'INTERNAL_SERVER_ERROR' } };

function reporting() {
  const reported: unknown[] = [];
  return { reported, reporter: { report: (error: unknown) => void reported.push(error) } };
}

test('errors are formatted, whoever made them', () => {
  expect(formatError(new GraphQLError('g', { extensions: { code: 'C' } }))).toEqual({
    message: 'g',
    extensions: { code: 'C' },
  });
  expect(formatError({ message: 'plain', extra: 1 })).toEqual({ message: 'plain', extra: 1 });
  expect(formatError(new TypeError('t'))).toEqual({ message: 't' });
  expect([{ message: 1 }, null, undefined, 'text'].map(formatError).map(({ message }) => message)).toEqual([
    '[object Object]',
    'null',
    'undefined',
    'text',
  ]);
});

describe('masking', () => {
  const thrown: readonly (readonly [string, unknown])[] = [
    ['an Error', new Error(secret)],
    ['a text', secret],
    ['an object', { message: secret, extensions: { stack: secret } }],
    ['an Error with extensions', Object.assign(new Error(secret), { extensions: { stack: secret } })],
    ['nothing', undefined],
    [
      'an Error in a GraphQLError in a GraphQLError',
      toGraphQLError(new GraphQLError(secret, { originalError: new Error(secret) })),
    ],
  ];

  test.each(thrown)('[GQL-46] %s that was thrown is told as an internal error, and reported', (_, error) => {
    const { reported, reporter } = reporting();
    const told = masking()(toGraphQLError(error), reporter);
    expect(told).toEqual(hidden);
    expect(reported).toHaveLength(1);
    expect(JSON.stringify(told)).not.toContain('password');
  });

  test('[GQL-46] GraphQLErrors, and plain objects that an executor formatted, are told as they are', () => {
    const { reported, reporter } = reporting();
    const mask = masking();
    const inner = new GraphQLError('Sign in', { extensions: { code: 'UNAUTHENTICATED' } });
    expect(mask(inner, reporter)).toEqual({ message: 'Sign in', extensions: { code: 'UNAUTHENTICATED' } });
    expect(mask(new GraphQLError('outer', { originalError: inner }), reporter).message).toBe('outer');
    expect(mask({ message: 'plain' }, reporter)).toEqual({ message: 'plain' });
    expect(reported).toEqual([]);
  });

  test('[GQL-46] where an error happened is told, and what threw is what is reported', () => {
    const { reported, reporter } = reporting();
    const cause = new Error(secret);
    const error = new GraphQLError(secret, { path: ['a', 0], originalError: cause });
    expect(masking()(error, reporter)).toEqual({ ...hidden, path: ['a', 0] });
    expect(reported).toEqual([cause]);
  });

  test('[GQL-46] maskError decides: the error itself, another one, or nothing that can be used', () => {
    const { reported, reporter } = reporting();
    const answers: unknown[] = [];
    const mask = masking((error) => (answers.length > 0 ? answers.shift() : error));
    const error = new Error(secret);
    expect(mask(error, reporter)).toEqual({ message: secret });
    expect(reported).toEqual([]);
    answers.push(new GraphQLError('Sorry'), { message: 'plain' }, 'text', undefined, Promise.resolve(error), {});
    const told = Array.from({ length: 6 }, () => mask(error, reporter));
    expect(told.map(({ message }) => message)).toEqual(['Sorry', 'plain', ...Array(4).fill('Internal server error')]);
    expect(reported).toEqual(Array(6).fill(error));
  });

  test('[GQL-46] a maskError that throws masks, and is reported itself', () => {
    const { reported, reporter } = reporting();
    const bug = new Error('bug');
    const mask = masking(() => {
      throw bug;
    });
    const error = new GraphQLError('public');
    expect(mask(error, reporter).message).toBe('Internal server error');
    expect(reported).toEqual([bug, error]);
  });
});

describe('results', () => {
  test('without errors are what they were', () => {
    const clean = { data: null };
    expect(formatResult(clean, unmasked, reporting().reporter)).toBe(clean);
    expect(() => formatResult(undefined as never, unmasked, reporting().reporter)).toThrow(
      'A result must be an object',
    );
  });

  test('[GQL-46] errors of all parts are masked, those that come late too', () => {
    const { reported, reporter } = reporting();
    const errors = [new GraphQLError(secret, { originalError: new Error(secret) })];
    const late = { errors, data: null, path: ['a'] };
    const result = { errors, data: null, incremental: [late, { items: [] }], completed: [{ id: '0', errors }] };
    const text = encoder(undefined, masking())(result as ExecutionResult, reporter);
    expect(text).not.toContain('password');
    expect(JSON.parse(text)).toEqual({
      errors: [hidden],
      data: null,
      incremental: [{ errors: [hidden], data: null, path: ['a'] }, { items: [] }],
      completed: [{ id: '0', errors: [hidden] }],
    });
    expect(reported).toHaveLength(3);
  });
});
