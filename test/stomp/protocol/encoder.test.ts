import { expect, test } from 'vitest';
import { decodeUtf8, encodeUtf8, type Wire } from '../../../src/core/wire.ts';
import { Decoder } from '../../../src/stomp/protocol/decoder.ts';
import {
  encodeFrame,
  encodeFrameHead,
  encodeFrameTail,
  endOfLine,
  isUtf8,
} from '../../../src/stomp/protocol/encoder.ts';
import type { Frame } from '../../../src/stomp/protocol/frame.ts';

const bytesOf = ({ head, tail }: Wire): Uint8Array =>
  new Uint8Array(Buffer.concat([typeof head === 'string' ? encodeUtf8(head) : head, tail ?? encodeUtf8('')]));
const textOf = (frame: Frame): string => decodeUtf8(frame.body);

/** The one frame that these octets are, as STOMP 1.2 reads them. */
function decoded(data: Uint8Array): Frame {
  const decoder = new Decoder({ maxHeaders: 8, maxHeaderLine: 100, maxHeaderBytes: 400, maxBody: 100_000 });
  decoder.push(data);
  const frame = decoder.next();
  expect([frame === undefined, decoder.next()]).toEqual([false, undefined]);
  return frame!;
}

test('[STOMP-12] a body gets its content-length in octets, and nothing else has one', () => {
  expect(encodeFrame('1.2', 'SEND', { destination: '/a' }, '漢\0')).toEqual({
    head: 'SEND\ndestination:/a\ncontent-length:4\n\n漢\0\0',
    binary: false,
  });
  expect(encodeFrame('1.1', 'BEGIN', [['transaction', 't']])).toEqual({
    head: 'BEGIN\ntransaction:t\n\n\0',
    binary: false,
  });
  expect(encodeFrame('1.1', 'SEND')).toEqual({ head: 'SEND\n\n\0', binary: false });
  const given = encodeFrame('1.2', 'SEND', { 'content-length': '99' }, 'ab');
  expect(given.head).toBe('SEND\ncontent-length:2\n\nab\0');
});

test('[STOMP-12] text goes without its length where that is wanted, unless there is a NUL in it', () => {
  const bodies = ['漢', 'a\0b', '', encodeUtf8('x'), encodeUtf8('')];
  const frames = bodies.map((body) => Buffer.from(bytesOf(encodeFrame('1.2', 'SEND', {}, body, false))).toString());
  expect(frames).toEqual([
    'SEND\n\n漢\0',
    'SEND\ncontent-length:3\n\na\0b\0',
    'SEND\n\n\0',
    'SEND\ncontent-length:1\n\nx\0',
    'SEND\n\n\0',
  ]);
});

test('a long text is counted right, lone surrogates too', () => {
  for (const body of ['x'.repeat(5_000), '漢'.repeat(5_000), `${'\u{1f600}'.repeat(3_000)}\ud800`, '\ud83d']) {
    const wire = encodeFrame('1.2', 'SEND', {}, body);
    expect(textOf(decoded(bytesOf(wire)))).toBe(decodeUtf8(encodeUtf8(body)));
  }
});

test('bytes leave as bytes, in a binary message', () => {
  const body = Uint8Array.of(0xff, 0, 0x0a);
  const wire = encodeFrame('1.2', 'SEND', { destination: '/a' }, body);
  expect(wire.binary).toBe(true);
  expect([...decoded(bytesOf(wire)).body]).toEqual([...body]);
  expect(isUtf8(body)).toBe(false);
  expect(isUtf8(encodeUtf8('漢'))).toBe(true);
});

test('a MESSAGE is a head of its own and a tail that is shared', () => {
  const { tail, binary } = encodeFrameTail(
    '1.2',
    { destination: '/topic/a:b', 'message-id': '7' },
    encodeUtf8('hello'),
  );
  expect(binary).toBe(false);
  const frames = ['1', '2'].map((subscription) =>
    decoded(bytesOf({ head: encodeFrameHead('1.2', 'MESSAGE', { subscription }), tail, binary })),
  );
  expect(frames.map(({ headers }) => headers.get('subscription'))).toEqual(['1', '2']);
  expect(frames.map(({ headers }) => headers.get('destination'))).toEqual(['/topic/a:b', '/topic/a:b']);
  expect(frames.map(textOf)).toEqual(['hello', 'hello']);
  expect(encodeFrameTail('1.2', {}, Uint8Array.of(0xff)).binary).toBe(true);
  expect(decodeUtf8(encodeFrameTail('1.2', { a: 'b' }, encodeUtf8('')).tail)).toBe('a:b\n\n\0');
  expect(encodeFrameHead('1.2', 'MESSAGE')).toBe('MESSAGE\n');
});

test('[STOMP-36] a heart-beat is one LF', () => {
  expect(endOfLine).toEqual({ head: '\n', binary: false });
});
