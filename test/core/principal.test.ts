import { EventEmitter } from 'node:events';
import { createServer, IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { expect, test } from 'vitest';
import { checkPrincipal, expiryOf, readAnswer } from '../../src/core/principal.ts';
import { refuse } from '../../src/core/refuse.ts';
import { createFakeClock } from '../support/fake-clock.ts';

test.each([Number.NaN, '2030-01-01', null])('[CONN-22] an expiresAt of %s is none', (expiresAt) => {
  expect(() => checkPrincipal({ expiresAt } as never)).toThrow('expiresAt must be a number of ms since 1970');
});

test('[CONN-22] a principal expires at a date, or never', () => {
  const clock = createFakeClock();
  expect(expiryOf({ expiresAt: clock.wall() + 5_000 }, clock)).toBe(clock.now() + 5_000);
  expect([expiryOf({}, clock), expiryOf(undefined, clock)]).toEqual([Infinity, Infinity]);
});

class User {
  readonly name = 'ada';
}

test('[CONN-52] an object is a principal, true lets in as nobody, false, undefined and null refuse', () => {
  const ada = new User();
  const words = refuse({ reason: 'banned' });
  for (const same of [ada, {}, Object.create(null), true, words]) expect(readAnswer(same)).toBe(same);
  for (const refused of [false, undefined, null]) expect(readAnswer(refused)).toBe(false);
});

test.each([
  ['denied', 'a string'],
  ['', 'a string'],
  [1, 'a number'],
  [0, 'a number'],
  [5n, 'a bigint'],
  [Symbol('x'), 'a symbol'],
  [() => true, 'a function'],
  [[], 'an array'],
  [[false], 'an array'],
  [new Error('no'), 'an Error'],
  [new Response('', { status: 401 }), 'a Response'],
  [new EventEmitter(), 'an EventEmitter'],
  [setTimeout(() => {}).unref(), 'a Timeout'],
  [await import('../../src/core/principal.ts'), 'a Module'],
  [Promise.resolve(true), 'a Promise'],
  [Object(true), 'a Boolean'],
  [new Date(), 'a Date'],
  [new Map(), 'a Map'],
  [new Set(), 'a Set'],
  [new Uint8Array(2), 'a Uint8Array'],
  [Buffer.from('ada'), 'a Uint8Array'],
  [new ArrayBuffer(2), 'a ArrayBuffer'],
  [/ada/, 'a RegExp'],
  [new Blob(['ada']), 'a Blob'],
  [new URLSearchParams('name=ada'), 'a URLSearchParams'],
  [new Headers(), 'a Headers'],
  [(function* () {})(), 'a Generator'],
  [(async function* () {})(), 'a AsyncGenerator'],
  [new Map().entries(), 'a Map Iterator'],
  [new WeakRef({}), 'a WeakRef'],
  [Math, 'a Math'],
  [new IncomingMessage(new Socket()), 'an IncomingMessage'],
  [createServer(), 'a Server'],
  [setImmediate(() => {}), 'an Immediate'],
  [Object.assign(new Date(), { [Symbol.toStringTag]: 'User' }), 'a Date'],
])('[CONN-52] %s as an answer of authenticate is a bug of the hook', (answer, kind) => {
  expect(() => readAnswer(answer)).toThrow(TypeError);
  expect(() => readAnswer(answer)).toThrow(kind);
});

const trap = (): never => {
  throw new Error('trap');
};

test.each([
  ['a tag that throws', Object.defineProperty({}, Symbol.toStringTag, { get: trap })],
  ['a property that throws', Object.defineProperty({}, 'emit', { get: trap })],
  ['a Proxy that throws', new Proxy({}, { getPrototypeOf: trap })],
])('[CONN-52] %s is refused with words', (_, answer) => {
  expect(() => readAnswer(answer)).toThrow(/^authenticate must answer .* got an object that throws/);
});

test('[CONN-52] a Proxy hides nothing that the runtime made', () => {
  expect(() => readAnswer(new Proxy(new Date(), {}))).toThrow(/got a Date$/);
  expect(() => readAnswer(new Proxy(Promise.resolve(true), {}))).toThrow(/got a Promise$/);
  expect(() => readAnswer(new Proxy(new Error('no'), {}))).toThrow(/got an Error/);
});
