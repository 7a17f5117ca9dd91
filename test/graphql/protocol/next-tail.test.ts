import { expect, test } from 'vitest';
import { decodeUtf8 } from '../../../src/core/wire.ts';
import { encodeNextHead } from '../../../src/graphql/protocol/messages.ts';
import { encodeNextTail } from '../../../src/graphql/protocol/next-tail.ts';

test.each(['{"data":{"a":"\u00fc"}}', `{"data":"${'x'.repeat(20_000)}"}`])('a tail follows a head', (payload) => {
  const text = encodeNextHead('7') + decodeUtf8(encodeNextTail(payload));
  expect(JSON.parse(text)).toEqual({ id: '7', type: 'next', payload: JSON.parse(payload) });
});

test('short tails are cut from one buffer, and stay as they are', () => {
  const tails = Array.from({ length: 1_000 }, (_, index) => encodeNextTail(`"${index}"`));
  expect(tails.map((tail) => decodeUtf8(tail))).toEqual(tails.map((_, index) => `"type":"next","payload":"${index}"}`));
  expect(new Set(tails.map(({ buffer }) => buffer)).size).toBeLessThanOrEqual(2);
});
