import { expect, test } from 'vitest';
import { Refusal, refuse } from '../../src/core/refuse.ts';

test('[CONN-52] a refusal has a code that can be sent, or none, and words', () => {
  expect(refuse({ reason: 'banned' })).toMatchObject({ code: undefined, closeCode: undefined, reason: 'banned' });
  expect(refuse({ code: 4426, reason: 'refresh' }).closeCode).toBe(4426);
  expect(refuse({ code: 429, reason: 'slow down' })).toMatchObject({ code: 429, closeCode: undefined });
  expect(refuse({ reason: '' })).toBeInstanceOf(Refusal);
});

test.each([
  [undefined, /^refuse\(\) needs words/],
  ['banned', /^refuse\(\) needs words/],
  [{ code: 4401 }, /^refuse\(\): reason must be text; got undefined/],
  [{ code: 1006, reason: 'x' }, /^refuse\(\): code must be a close code .* got 1006/],
  [{ code: 200, reason: 'x' }, /^refuse\(\): code must be/],
  [{ code: 4401.5, reason: 'x' }, /^refuse\(\): code must be/],
  [{ code: '4401', reason: 'x' }, /^refuse\(\): code must be/],
])('[CONN-10] refuse(%j) is a TypeError that says what was expected', (options, message) => {
  expect(() => refuse(options as never)).toThrow(TypeError);
  expect(() => refuse(options as never)).toThrow(message);
});
