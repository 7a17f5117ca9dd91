import { expect, test } from 'vitest';
import { type OriginRule, originCheck } from '../../src/adapters/origin.ts';

const check = (rule: OriginRule, headers: Record<string, string>): boolean =>
  originCheck(rule)(headers, { url: '/ws', headers, remoteAddress: '', secure: false });

test.each([
  ['same', { host: 'app.example', origin: 'https://app.example' }, true],
  ['same', { host: 'App.Example:8080', origin: 'http://app.example:8080' }, true],
  ['same', { host: 'app.example', origin: 'https://evil.example' }, false],
  ['same', { host: 'app.example:8080', origin: 'https://app.example' }, false],
  ['same', { host: 'app.example', origin: 'null' }, false],
  ['same', { origin: 'null' }, false],
  ['same', { host: 'app.example', origin: 'not a url' }, false],
  ['same', { host: 'app.example' }, true],
  ['same', { host: 'app.example', 'sec-fetch-site': 'cross-site' }, false],
  ['*', { origin: 'https://evil.example' }, true],
  ['*', { 'sec-fetch-site': 'cross-site' }, true],
  [['https://app.example'], { origin: 'https://app.example' }, true],
  [['https://app.example/'], { origin: 'HTTPS://APP.example' }, true],
  [['https://app.example'], { origin: 'http://app.example' }, false],
  [['https://app.example'], { origin: 'https://app.example.evil.example' }, false],
  [['https://app.example'], { origin: 'null' }, false],
  [['https://app.example'], {}, true],
  [['https://app.example'], { 'sec-fetch-site': 'none' }, false],
  [[], { origin: 'https://app.example' }, false],
] as [OriginRule, Record<string, string>, boolean][])('[CONN-8] rule %j, headers %j: %s', (rule, headers, allowed) => {
  expect(check(rule, headers)).toBe(allowed);
});

test('[CONN-8] a function decides, with the origin or without one; only true lets in', () => {
  const seen: unknown[] = [];
  const rule = (origin: string | undefined, { url }: { url: string }): boolean => {
    seen.push(origin, url);
    return origin === undefined;
  };
  expect([check(rule, { origin: 'x' }), check(rule, {})]).toEqual([false, true]);
  expect(seen).toEqual(['x', '/ws', undefined, '/ws']);
  expect(check((() => Promise.resolve(false)) as never, {})).toBe(false);
});

test.each([['app.example'], ['any'], [5], [null], [['app.example']], [['null']], [['file:///x']], [[5]]])(
  '[CONN-10] an origin rule of %j is a TypeError that names the option',
  (rule) => {
    expect(() => originCheck(rule as never)).toThrow(TypeError);
    expect(() => originCheck(rule as never)).toThrow(/^origin must/);
  },
);
