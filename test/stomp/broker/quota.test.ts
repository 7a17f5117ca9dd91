import { expect, test } from 'vitest';
import { encodeUtf8 } from '../../../src/core/wire.ts';
import { Quota, storedSize, textLength } from '../../../src/stomp/broker/quota.ts';

test('[STOMP-91] a message weighs what its body, its content-type and its headers do, and what holds them', () => {
  const body = encodeUtf8('four');
  expect(storedSize({ body, contentType: undefined, headers: undefined })).toBe(504);
  const headers = new Map([
    ['a', '12'],
    ['bc', ''],
  ]);
  expect(textLength(headers)).toBe(5);
  expect(storedSize({ body, contentType: 'x/y', headers })).toBe(612);
});

test('what is taken from a part is taken from the whole, and so is what is given back', () => {
  const whole = new Quota('All keep', 2, 10);
  const parts = [new Quota('One keeps', 5, 8, whole), new Quota('Other keeps', 5, 8, whole)] as const;
  parts[0].check(1, 8);
  parts[0].take(8);
  expect([parts[0].messages, parts[1].messages, whole.messages]).toEqual([1, 0, 1]);
  expect(() => parts[0].check(1, 1)).toThrow('One keeps 8 bytes until they are consumed');
  expect(() => parts[1].check(1, 3)).toThrow('All keep 10 bytes until they are consumed');
  parts[1].take(2);
  expect(() => parts[1].check(1, 0)).toThrow('All keep 2 messages until they are consumed');
  parts[0].give(8);
  parts[1].check(1, 6);
});
