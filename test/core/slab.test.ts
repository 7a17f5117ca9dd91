import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Slab, takeBytes, takeUtf8 } from '../../src/core/slab.ts';
import { decodeUtf8, encodeUtf8 } from '../../src/core/wire.ts';

const before = encodeUtf8('<');
const after = encodeUtf8('>>');
const size = 1_024;
const fresh = (): Slab => ({ size, used: 0 });

/** A slab of which all is used but so many bytes. */
function almostUsed(room: number): Slab {
  const slab = fresh();
  let left = size - room;
  for (; left > 256; left -= 256) takeBytes(slab, 256);
  takeBytes(slab, left);
  return slab;
}

describe('what is cut from a slab', () => {
  test('is the text or the zeros that were asked for, and stays so whatever is cut after it', () => {
    const units = fc.constantFrom('a', '\u00fc', '\u20ac', '\u{1f600}', '\ud800');
    const text = fc.tuple(units, fc.integer({ min: 0, max: 300 })).map(([unit, times]) => unit.repeat(times));
    const length = fc.integer({ min: 0, max: 300 });
    fc.assert(
      fc.property(fc.array(fc.oneof(text, length), { minLength: 20, maxLength: 40 }), (wishes) => {
        const slab = fresh();
        const pieces = wishes.map((wish) =>
          typeof wish === 'number' ? takeBytes(slab, wish) : takeUtf8(slab, wish, before, after),
        );
        for (const [index, piece] of pieces.entries()) {
          const wish = wishes[index] as string | number;
          const wanted = typeof wish === 'number' ? new Uint8Array(wish) : encodeUtf8(`<${wish}>>`);
          expect(Buffer.compare(piece, wanted)).toBe(0);
        }
        // Who writes to a piece writes to nobody else's.
        for (const piece of pieces) {
          expect(piece.every((byte) => byte !== 0xff)).toBe(true);
          piece.fill(0xff);
        }
      }),
      { numRuns: 50 },
    );
  });

  test.each([
    ['y'.repeat(9), 12, true],
    ['y'.repeat(9), 11, false],
    ['\u00fc', 5, true],
    ['\u00fc', 4, false],
    ['\u20ac', 4, false],
  ])('finds room for %s in the last %d bytes: %s', (text, room, fits) => {
    const slab = almostUsed(room);
    const { buffer } = slab;
    const piece = takeUtf8(slab, text, before, after);
    expect(decodeUtf8(piece)).toBe(`<${text}>>`);
    expect(piece.buffer === buffer?.buffer).toBe(fits);
    expect(piece.byteOffset).toBe(fits ? size - room : 0);
  });

  test('is at most a quarter of it: what is longer has a buffer of its own', () => {
    const slab = fresh();
    expect(takeUtf8(slab, 'x'.repeat(257), before, after).buffer.byteLength).toBe(260);
    expect(takeBytes(slab, 257).buffer.byteLength).toBe(257);
    expect(takeUtf8(slab, '\u20ac'.repeat(256)).buffer.byteLength).toBe(size);
    expect(takeBytes(slab, 256).buffer.byteLength).toBe(size);
    expect(slab.used).toBe(1_024);
  });
});
