import { expect, test } from 'vitest';
import { createMessage, type Encoding } from '../../src/bus/message.ts';
import { encodeUtf8 } from '../../src/core/wire.ts';

const parts = { topic: 'prices', body: encodeUtf8('{"price":1}'), position: { epoch: 'e', offset: 1 } };

test('a form is encoded once, however many ask, and each form for itself', () => {
  let encoded = 0;
  const form: Encoding<object> = {
    encode: () => {
      encoded++;
      return {};
    },
  };
  const message = createMessage(parts);
  const first = message.encodedAs(form);
  expect([message.encodedAs(form) === first, encoded]).toEqual([true, 1]);
  expect(message.encodedAs({ encode: ({ topic }) => topic })).toBe('prices');
  expect(createMessage(parts).encodedAs(form)).not.toBe(first);
});

test('a form that encodes to undefined is encoded once as well', () => {
  let encoded = 0;
  const form: Encoding<undefined> = { encode: () => void encoded++ };
  const message = createMessage(parts);
  message.encodedAs(form);
  message.encodedAs(form);
  expect(encoded).toBe(1);
});

test('a form that throws throws the same error for everybody, and is tried once', () => {
  let tried = 0;
  const form: Encoding<never> = {
    encode() {
      throw new Error(`try ${++tried}`);
    },
  };
  const message = createMessage(parts);
  const caught = (): unknown => {
    try {
      return message.encodedAs(form);
    } catch (error) {
      return error;
    }
  };
  const error = caught();
  expect(error).toEqual(new Error('try 1'));
  expect(caught()).toBe(error);
});

test('a message without headers has none, and keeps what it is given', () => {
  expect(createMessage(parts).headers.size).toBe(0);
  const headers = new Map([['a', 'b']]);
  const message = createMessage({ ...parts, headers, contentType: 'text/plain' });
  expect(message).toMatchObject({ ...parts, headers, contentType: 'text/plain' });
});
