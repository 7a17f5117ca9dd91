import fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import { decodeUtf8, decodeUtf8Lossy, detached, encodeUtf8, utf8Length, wireLength } from '../../src/core/wire.ts';

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
