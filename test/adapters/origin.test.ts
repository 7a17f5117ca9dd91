import { expect, test } from 'vitest';
import { hostCheck, type OriginRule, originCheck } from '../../src/adapters/origin.ts';
import type { PromiseOr } from '../../src/core/promise-or.ts';

interface Asked {
  readonly host?: string;
  readonly origin?: string;
  readonly 'sec-fetch-site'?: string;
  readonly secure?: boolean;
}

const check = (rule: OriginRule, { host, origin, secure = false, ...rest }: Asked): PromiseOr<boolean> =>
  originCheck(rule)(
    { host, origin, fetchSite: rest['sec-fetch-site'] },
    { url: '/ws', headers: {}, remoteAddress: '', secure },
  );

test.each([
  ['same', { host: 'app.example', origin: 'https://app.example' }, true],
  ['same', { host: 'App.Example:8080', origin: 'http://app.example:8080' }, true],
  ['same', { host: 'app.example:443', origin: 'https://app.example' }, true],
  ['same', { host: 'app.example:80', origin: 'http://app.example' }, true],
  ['same', { host: 'app.example', origin: 'https://app.example:443' }, true],
  ['same', { host: 'app.example:443', origin: 'http://app.example' }, false],
  ['same', { host: '[::1]:4000', origin: 'http://[::1]:4000' }, true],
  ['same', { host: 'app.example', origin: 'https://evil.example' }, false],
  ['same', { host: 'app.example:8080', origin: 'https://app.example' }, false],
  ['same', { host: 'app.example', origin: 'http://app.example', secure: true }, false],
  ['same', { host: 'app.example', origin: 'https://app.example', secure: true }, true],
  ['same', { host: 'app.example', origin: 'https://app.example@evil.example' }, false],
  ['same', { host: 'app.example', origin: 'null' }, false],
  ['same', { origin: 'null' }, false],
  ['same', { host: '', origin: 'file://' }, false],
  ['same', { host: 'app.example', origin: 'not a url' }, false],
  ['same', { host: 'app.example' }, true],
  ['same', { host: 'app.example', 'sec-fetch-site': 'cross-site' }, false],
  ['*', { origin: 'https://evil.example' }, true],
  ['*', { 'sec-fetch-site': 'cross-site' }, true],
  [['https://app.example'], { origin: 'https://app.example' }, true],
  [['https://app.example/'], { origin: 'HTTPS://APP.example' }, true],
  [['https://app.example:443'], { origin: 'https://app.example' }, true],
  [['https://app.example'], { origin: 'https://app.example:443' }, true],
  [['https://bücher.example'], { origin: 'https://xn--bcher-kva.example' }, true],
  [['https://app.example'], { origin: 'http://app.example' }, false],
  [['https://app.example'], { origin: 'https://app.example.evil.example' }, false],
  [['https://app.example'], { origin: 'null' }, false],
  [['https://app.example'], {}, true],
  [['https://app.example'], { 'sec-fetch-site': 'none' }, false],
  [[], { origin: 'https://app.example' }, false],
  [['capacitor://localhost'], { origin: 'capacitor://localhost' }, true],
  [['ionic://localhost'], { origin: 'capacitor://localhost' }, false],
  [['tauri://localhost', 'app://.'], { origin: 'app://.' }, true],
  [['chrome-extension://abcdefgh'], { origin: 'chrome-extension://abcdefgh' }, true],
  [['moz-extension://0f-1'], { origin: 'moz-extension://0f-2' }, false],
  [['file://'], { origin: 'file://' }, true],
  [['null'], { origin: 'null' }, true],
  [['null'], { origin: 'https://app.example' }, false],
  [['https://*.example.com'], { origin: 'https://a.example.com' }, true],
  [['https://*.example.com'], { origin: 'https://a.b.example.com:443' }, true],
  [['https://*.example.com:8443'], { origin: 'https://a.example.com:8443' }, true],
  [['https://*.example.com'], { origin: 'https://example.com' }, false],
  [['https://*.example.com'], { origin: 'https://.example.com' }, false],
  [['https://*.example.com'], { origin: 'https://evilexample.com' }, false],
  [['https://*.example.com'], { origin: 'http://a.example.com' }, false],
  [['https://*.example.com'], { origin: 'https://evil.example/.example.com' }, false],
  [['https://*.example.com'], { origin: 'https://evil.example:1.example.com' }, false],
  [['http://*.localhost'], { origin: 'http://app.localhost' }, true],
] as [OriginRule, Asked, boolean][])('[CONN-8] rule %j, headers %j: %s', (rule, asked, allowed) => {
  expect(check(rule, asked)).toBe(allowed);
});

test('[CONN-8] a function decides, with the origin or without one; only true lets in, at once or later', async () => {
  const seen: unknown[] = [];
  const rule = (origin: string | undefined, { url }: { url: string }): boolean => {
    seen.push(origin, url);
    return origin === undefined;
  };
  expect([check(rule, { origin: 'x' }), check(rule, {})]).toEqual([false, true]);
  expect(seen).toEqual(['x', '/ws', undefined, '/ws']);
  for (const answer of [1, 'yes', {}, null, undefined, false]) {
    expect(check((() => answer) as never, {})).toBe(false);
    expect(await check((async () => answer) as never, {})).toBe(false);
  }
  expect(await check(async () => true, {})).toBe(true);
  await expect(check(() => Promise.reject(new Error('down')), {})).rejects.toThrow('down');
});

test.each([
  ['app.example'],
  ['any'],
  [5],
  [null],
  [['app.example']],
  [['*.example.com']],
  [['https://app.example/path']],
  [['https://user@app.example']],
  [['https://']],
  [['https://*']],
  [['https://*.com']],
  [['https://app.*.example']],
  [['https://*app.example.com']],
  [['https://app.example:*']],
  [['file:///x']],
  [[5]],
  [['']],
])('[CONN-10] an origin rule of %j is a TypeError that names the option', (rule) => {
  expect(() => originCheck(rule as never)).toThrow(TypeError);
  expect(() => originCheck(rule as never)).toThrow(/^origin/);
});

test.each([
  [['app.example'], 'app.example', true],
  [['app.example'], 'APP.example:8080', true],
  [['app.example:4000'], 'app.example:4000', true],
  [['app.example:4000'], 'app.example', false],
  [['*.app.example'], 'a.b.app.example:1', true],
  [['*.app.example'], 'app.example', false],
  [['[::1]'], '[::1]:4000', true],
  [['app.example'], 'app.example.evil.example', false],
  [['app.example'], 'evil.example', false],
  [['app.example'], 'x@app.example', false],
  [['app.example'], undefined, false],
] as [string[], string | undefined, boolean][])('[CONN-75] hosts %j, asked for %s: %s', (hosts, host, served) => {
  expect(hostCheck(hosts)(host)).toBe(served);
});

test('[CONN-75] without the option every host is served', () => {
  expect(hostCheck(undefined)(undefined)).toBe(true);
});

test.each(['app.example', [''], ['https://app.example'], ['*'], ['*.[::1]'], [5], null])(
  '[CONN-10] hosts of %j is a TypeError that names the option',
  (hosts) => {
    expect(() => hostCheck(hosts as never)).toThrow(/^hosts must/);
  },
);
