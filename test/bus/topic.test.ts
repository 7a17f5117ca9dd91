import { expect, test } from 'vitest';
import { createMessage } from '../../src/bus/message.ts';
import { topic } from '../../src/bus/topic.ts';
import { decodeUtf8, encodeUtf8 } from '../../src/core/wire.ts';

const messageOf = (body: string | Uint8Array) =>
  createMessage({
    topic: 'prices',
    body: typeof body === 'string' ? encodeUtf8(body) : body,
    position: { epoch: 'e', offset: 1 },
  });

test('values travel as JSON, shaped by encode and decode', () => {
  const plain = topic<{ price: number }>('topic-test.plain');
  expect(decodeUtf8(plain.encode({ price: 1 }))).toBe('{"price":1}');
  expect(messageOf('{"price":1}').encodedAs(plain.value)).toEqual({ price: 1 });
  const dates = topic<Date>('topic-test.dates', {
    encode: (date) => date.getTime(),
    decode: (value, message) => {
      if (typeof value !== 'number') throw new TypeError(`no date in ${message.topic}`);
      return new Date(value);
    },
  });
  expect(decodeUtf8(dates.encode(new Date(5)))).toBe('5');
  expect(messageOf('5').encodedAs(dates.value)).toEqual(new Date(5));
  expect(() => messageOf('"x"').encodedAs(dates.value)).toThrow('no date in prices');
});

test.each(['', '{', 'undefined'])('a body of %j does not decode', (body) => {
  expect(() => messageOf(body).encodedAs(topic('topic-test.bad').value)).toThrow(SyntaxError);
});

test('a body that is not UTF-8 does not decode', () => {
  expect(() => messageOf(new Uint8Array([0x22, 0xff, 0x22])).encodedAs(topic('topic-test.bytes').value)).toThrow(
    TypeError,
  );
});

test.each([[undefined], [() => {}], [Symbol('x')]])('%o is no value that a topic can carry', (value) => {
  expect(() => topic<unknown>('topic-test.any').encode(value)).toThrow(/JSON cannot express/);
});

test.each([
  ['', {}, /needs a name/],
  [5, {}, /needs a name/],
  ['prices.*', {}, /must not be a pattern/],
  ['prices/**', {}, /must not be a pattern/],
  ['a', { clients: 'all' }, /clients must be 'none', 'read'.*got 'all'/],
  ['a', { clients: { stomp: 'all' } }, /clients.stomp must be 'none'/],
  ['a', { clients: ['read'] }, /clients must be .*got an array/],
  ['$a', { clients: 'read' }, /private/],
  ['a', { stomp: 'read' }, /no option "stomp"/],
  ['/topic/prices', {}, /does not begin with \//],
  ['a\nb', {}, /control characters/],
  ['x'.repeat(1_025), {}, /longer than 1024/],
  ['a.'.repeat(32), {}, /more than 32 segments/],
  ['a', { decode: 5 }, /decode must be a function; got number/],
  ['a', { encode: 'x' }, /encode must be a function; got string/],
])('[CONN-10] topic(%j, %j) is a TypeError that names the option', (name, options, message) => {
  expect(() => topic(name as string, options as never)).toThrow(TypeError);
  expect(() => topic(name as string, options as never)).toThrow(message);
});
