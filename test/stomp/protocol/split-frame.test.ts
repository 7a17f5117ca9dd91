import { expect, test } from 'vitest';
import { encodeUtf8 } from '../../../src/core/wire.ts';
import { splitFrame } from '../../../src/stomp/protocol/split-frame.ts';

test('[STOMP-14] what is binary stays so, and a short wire is not cut at all', () => {
  const text = '漢'.repeat(10);
  for (const wire of [
    { head: text, binary: true },
    { head: encodeUtf8(text.slice(0, 3)), tail: encodeUtf8(text.slice(3)), binary: true },
  ]) {
    const pieces = splitFrame(wire, 7);
    expect(pieces.every(({ head, binary }) => binary && Buffer.from(head).length <= 7)).toBe(true);
    expect(Buffer.concat(pieces.map(({ head }) => Buffer.from(head))).toString()).toBe(text);
    expect(splitFrame(wire, 30)).toEqual([wire]);
  }
});

test('[STOMP-14] text is cut between characters, and stays text', () => {
  for (const [text, maxBytes] of [
    ['漢'.repeat(10), 7],
    ['a😀b'.repeat(20), 5],
    ['😀'.repeat(3), 1],
    ['x'.repeat(1_000), 64],
  ] as const) {
    const pieces = splitFrame({ head: text, binary: false }, maxBytes);
    const most = Math.max(4, maxBytes);
    expect(pieces.every(({ head, binary }) => !binary && Buffer.byteLength(head) <= most)).toBe(true);
    // A half of a character would come back as U+FFFD.
    expect(pieces.map(({ head }) => Buffer.from(head as string).toString()).join('')).toBe(text);
  }
});
