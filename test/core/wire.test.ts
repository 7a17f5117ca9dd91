import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import { checkedBody } from '../../src/bus/backbone.ts';
import {
  decodeUtf8,
  decodeUtf8Lossy,
  detached,
  encodeUtf8,
  isBytes,
  utf8Length,
  wireLength,
} from '../../src/core/wire.ts';
import { bodyOf } from '../../src/stomp/client/outgoing.ts';
import { checkedMessage } from '../../src/stomp/server/checked-message.ts';

const anyText = fc.oneof(fc.string({ unit: 'binary' }), fc.string({ unit: 'grapheme' }), fc.string());
const anyUnits = fc.array(fc.integer({ min: 0, max: 0xffff })).map((units) => String.fromCharCode(...units));

test.each(['Node', 'a browser'])(
  'in %s the UTF-8 length of any text is the length of its bytes, lone surrogates included',
  (host) => {
    if (host === 'a browser') vi.stubGlobal('Buffer', undefined);
    try {
      fc.assert(fc.property(fc.oneof(anyText, anyUnits), (text) => utf8Length(text) === encodeUtf8(text).length));
      expect(utf8Length('漢'.repeat(5_000))).toBe(15_000);
    } finally {
      vi.unstubAllGlobals();
    }
  },
);

test.each([
  ['', 0],
  ['a', 1],
  ['\u007f', 1],
  ['\u0080', 2],
  ['\u07ff', 2],
  ['\u0800', 3],
  ['\uffff', 3],
  ['😀', 4],
  ['\ud800', 3],
  ['\udc00\ud800', 6],
  ['\ud800a', 4],
])('%j has %i bytes', (text, bytes) => {
  expect(utf8Length(text)).toBe(bytes);
});

test('what is encoded decodes to itself, a byte order mark included', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (text) => decodeUtf8(encodeUtf8(`\ufeff${text}`)) === `\ufeff${text}`),
  );
});

test('bytes that are not UTF-8 throw a TypeError, or become U+FFFD', () => {
  const bytes = new Uint8Array([0x61, 0xff, 0x62]);
  expect(() => decodeUtf8(bytes)).toThrow(TypeError);
  expect(decodeUtf8Lossy(bytes)).toBe('a\ufffdb');
});

test('the length of a wire counts head and tail in bytes', () => {
  expect(wireLength({ head: 'é', binary: false })).toBe(2);
  expect(wireLength({ head: new Uint8Array(3), tail: new Uint8Array(4), binary: true })).toBe(7);
  expect(wireLength({ head: '', tail: undefined, binary: true })).toBe(0);
});

test('a detached text is the same text', () => {
  fc.assert(fc.property(fc.string({ unit: 'grapheme' }), (text) => detached(text) === text));
});

function moved(): Uint8Array {
  const bytes = new Uint8Array(3);
  structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
  return bytes;
}
class Lying extends Uint8Array {
  override get length() {
    return -5;
  }
}
test.each<[string, unknown]>([
  ['a length of its own', Object.defineProperty(new Uint8Array(3), 'length', { value: Number.NaN })],
  ['a byteLength of its own', Object.defineProperty(new Uint8Array(3), 'byteLength', { value: 1e9 })],
  ['a class whose length lies', new Lying(3)],
  ['memory that was transferred away', moved()],
  ['only the prototype', Object.create(Uint8Array.prototype)],
  ['a proxy', new Proxy(new Uint8Array(3), {})],
  ['other elements', new Uint16Array(2)],
  ['the tag of another', Object.defineProperty(new Uint16Array(2), Symbol.toStringTag, { value: 'Uint8Array' })],
])('[BUS-7] [STOMP-81] [STOMP-118] bytes with %s are refused at the call', (_, given) => {
  expect(isBytes(given)).toBe(false);
  expect(() => checkedBody('prices', given)).toThrow(TypeError);
  expect(() => checkedMessage('send("/topic/a")', { body: given })).toThrow(TypeError);
  if (!(given instanceof Uint16Array)) expect(() => bodyOf(given as Uint8Array)).toThrow(TypeError);
});

test.each<[string, unknown]>([
  ['an empty array', new Uint8Array(0)],
  ['a Buffer', Buffer.from('x')],
  ['shared memory', new Uint8Array(new SharedArrayBuffer(0))],
  ['another realm', runInNewContext('new Uint8Array(2)')],
])('[BUS-7] %s is bytes', (_, given) => {
  expect(isBytes(given)).toBe(true);
});
