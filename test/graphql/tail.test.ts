import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeUtf8, encodeUtf8 } from '../../src/core/wire.ts';
import { encodeNextHead } from '../../src/graphql/codec.ts';
import { encodeTail } from '../../src/graphql/tail.ts';

/** What a tail has beside its payload. */
const frame = encodeTail('').length;
const framed = (payload: string): string => `"type":"next","payload":${payload}}`;

/** Begin a buffer and use all of it but so many bytes. */
function leave(room: number): Uint8Array {
  const take = (bytes: number): Uint8Array => encodeTail('x'.repeat(bytes - frame));
  let first = take(100);
  while (first.byteOffset !== 0) first = take(10_000);
  let left = first.buffer.byteLength - first.length - room;
  for (; left > 11_000; left -= 10_000) take(10_000);
  take(left);
  return first;
}

describe('tails', () => {
  test('follow a head', () => {
    const text = encodeNextHead('7') + decodeUtf8(encodeTail('{"data":{"a":"\u00fc"}}'));
    expect(JSON.parse(text)).toEqual({ id: '7', type: 'next', payload: { data: { a: '\u00fc' } } });
  });

  test('are the bytes of their text, and stay so whatever is encoded after them', () => {
    const units = fc.constantFrom('a', '\u00fc', '\u20ac', '\u{1f600}', '\ud800');
    const text = fc.tuple(units, fc.integer({ min: 0, max: 17_000 })).map(([unit, times]) => unit.repeat(times));
    fc.assert(
      fc.property(fc.array(text, { minLength: 20, maxLength: 40 }), (texts) => {
        const tails = texts.map(encodeTail);
        for (const [index, tail] of tails.entries()) {
          // By Buffer, which is quick: these are long.
          expect(Buffer.compare(tail, encodeUtf8(framed(texts[index] as string)))).toBe(0);
        }
      }),
      { numRuns: 20 },
    );
  });

  test.each([
    ['y'.repeat(9), frame + 9, true],
    ['y'.repeat(9), frame + 8, false],
    ['\u00fc', frame + 2, true],
    ['\u00fc', frame + 1, false],
    ['\u20ac', frame + 1, false],
  ])('with a payload like %s find room in the last %d bytes of a buffer: %s', (text, room, fits) => {
    const { buffer } = leave(room);
    const tail = encodeTail(text);
    expect(decodeUtf8(tail)).toBe(framed(text));
    expect(tail.buffer === buffer).toBe(fits);
    expect(tail.byteOffset).toBe(fits ? 65_536 - room : 0);
  });

  test('that are long have a buffer of their own', () => {
    const text = 'x'.repeat(16_385);
    expect(encodeTail(text).buffer.byteLength).toBe(frame + 16_385);
    expect(encodeTail('short').buffer.byteLength).toBe(65_536);
  });
});
