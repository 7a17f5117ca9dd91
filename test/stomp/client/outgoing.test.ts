import { expect, test } from 'vitest';
import { encodeUtf8, utf8Length } from '../../../src/core/wire.ts';
import { bodyOf, headersOf } from '../../../src/stomp/client/outgoing.ts';

test('[STOMP-118] a body of bytes is copied at the call: the caller may go on to use its buffer', () => {
  const buffer = new ArrayBuffer(4);
  const whole = new Uint8Array(buffer);
  const given = [whole, Buffer.from(buffer), new Uint16Array(buffer), new DataView(buffer), buffer];
  const bodies = given.map((each) => bodyOf(each));
  const shared = bodyOf(new SharedArrayBuffer(4) as never);
  whole.fill(7);
  for (const body of [...bodies, shared]) expect(body).toEqual(new Uint8Array(4));
});

test('[STOMP-118] memory that was transferred away, or can shrink, is refused with words', () => {
  const gone = new ArrayBuffer(4);
  const view = new Uint8Array(gone);
  structuredClone(gone, { transfer: [gone] });
  const shrinking: unknown = Reflect.construct(ArrayBuffer, [2, { maxByteLength: 9 }]);
  for (const given of [gone, view, new Uint8Array(shrinking as ArrayBuffer)]) {
    expect(() => bodyOf(given)).toThrow(TypeError);
    expect(() => bodyOf(given)).toThrow(/^body.*transferred away/);
  }
});

test('[STOMP-118] NaN is no header; a lone surrogate is U+FFFD, as long as was said', () => {
  expect(() => headersOf({ a: Number.NaN })).toThrow('header "a" must be text, a number or a boolean; got NaN');
  const [[, value] = ['', '']] = headersOf({ a: 'x\ud800y' });
  expect(utf8Length(value)).toBe(encodeUtf8(value).length);
  expect(encodeUtf8(value)).toEqual(encodeUtf8('x\ufffdy'));
});
