import { describe, expect, test } from 'vitest';
import { ProtocolError } from '../../../src/core/fault.ts';
import { encodeUtf8 } from '../../../src/core/wire.ts';
import {
  encodeComplete,
  encodeControl,
  encodeMessageHead,
  encodeNextHead,
  encodePayload,
  idOfSubscribe,
  isObject,
  MessageType,
  parseMessage,
  validateMessage,
} from '../../../src/graphql/protocol/messages.ts';

/** Why a value is no message. */
function refusal(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(ProtocolError);
    expect((error as ProtocolError).fault).toBe('malformed');
    return (error as ProtocolError).message;
  }
  throw new Error('It was taken');
}

describe('messages', () => {
  test.each([
    { type: 'connection_init' },
    { type: 'connection_init', payload: null },
    { type: 'connection_ack', payload: { a: 1 } },
    { type: 'ping', payload: {} },
    { type: 'pong' },
    { type: 'subscribe', id: '1', payload: { query: '' } },
    { type: 'subscribe', id: '1', payload: { query: '{a}', operationName: null, variables: null, extensions: null } },
    { type: 'subscribe', id: '1', payload: { query: '{a}', operationName: 'A', variables: {}, extensions: {} } },
    { type: 'next', id: '1', payload: {} },
    { type: 'error', id: '1', payload: [{ message: 'no' }] },
    { type: 'complete', id: '__proto__' },
  ])('[GQL-3] [GQL-5] [GQL-6] %j is one', (message) => {
    expect(parseMessage(JSON.stringify(message))).toEqual(message);
  });

  test.each([
    ['', 'A message must be JSON'],
    ['nonsense', 'A message must be JSON'],
    ['null', 'A message must be an object, got null'],
    ['[]', 'A message must be an object, got array'],
    ['7', 'A message must be an object, got number'],
    ['{}', "A message's type must be a string, got undefined"],
    ['{"type":null}', "A message's type must be a string, got null"],
    ['{"type":"start"}', 'There is no message type "start"'],
    ['{"type":"__proto__"}', 'There is no message type "__proto__"'],
  ])('[GQL-3] %s is none', (text, why) => {
    expect(refusal(() => parseMessage(text))).toBe(why);
  });

  test.each(['connection_init', 'connection_ack', 'ping', 'pong'])('[GQL-4] the payload of %s', (type) => {
    expect(refusal(() => validateMessage({ type, payload: [] }))).toBe(
      `${type}: payload must be an object or null, got array`,
    );
    expect(refusal(() => validateMessage({ type, payload: 'text' }))).toContain('got string');
  });

  test.each([
    [{ payload: { query: '' } }, 'subscribe: id must be a non-empty string, got undefined'],
    [{ id: '', payload: { query: '' } }, 'subscribe: id must be a non-empty string, got ""'],
    [{ id: 1, payload: { query: '' } }, 'subscribe: id must be a non-empty string, got number'],
    [{ id: '1' }, 'subscribe: payload must be an object, got undefined'],
    [{ id: '1', payload: {} }, 'subscribe payload: query must be a string, got undefined'],
    [
      { id: '1', payload: { query: '', operationName: 1 } },
      'subscribe payload: operationName must be a string or null, got number',
    ],
    [
      { id: '1', payload: { query: '', variables: [] } },
      'subscribe payload: variables must be an object or null, got array',
    ],
    [
      { id: '1', payload: { query: '', extensions: true } },
      'subscribe payload: extensions must be an object or null, got boolean',
    ],
  ])('[GQL-5] subscribe %j is refused', (parts, why) => {
    expect(refusal(() => validateMessage({ type: 'subscribe', ...parts }))).toBe(why);
  });

  test.each([
    [{ type: 'next', payload: {} }, 'next: id'],
    [{ type: 'next', id: '1', payload: null }, 'next: payload must be an object, got null'],
    [{ type: 'error', payload: [] }, 'error: id'],
    [{ type: 'error', id: '1', payload: [] }, 'error: payload must be a non-empty array of GraphQL errors, got array'],
    [{ type: 'error', id: '1', payload: {} }, 'error: payload'],
    [{ type: 'error', id: '1', payload: ['no'] }, 'error: payload'],
    [{ type: 'error', id: '1', payload: [{}] }, 'error: payload'],
    [{ type: 'complete' }, 'complete: id'],
  ])('[GQL-6] %j is refused', (message, why) => {
    expect(refusal(() => validateMessage(message))).toContain(why);
  });

  test('[GQL-7] further properties and binary frames are taken', () => {
    expect(parseMessage(encodeUtf8('{"type":"ping","more":1}'))).toEqual({ type: 'ping', more: 1 });
    expect(refusal(() => parseMessage(new Uint8Array([0xff])))).toBe('A message must be JSON');
  });

  test('a reviver sees what JSON.parse hands it', () => {
    const message = parseMessage('{"type":"ping","payload":{"at":"1"}}', (key, value) =>
      key === 'at' ? Number(value) : value,
    );
    expect(message).toEqual({ type: 'ping', payload: { at: 1 } });
  });
});

describe('encoding', () => {
  test('a head, the rest and a brace make one message', () => {
    const id = '7"\u2028';
    const text = `${encodeNextHead(id)}"type":"next","payload":${encodePayload({ data: { a: 'ü' } })}}`;
    expect(JSON.parse(text)).toEqual({ id, type: 'next', payload: { data: { a: 'ü' } } });
    expect(encodeMessageHead('1', 'error')).toBe('{"id":"1","type":"error","payload":');
  });

  test('control messages leave an absent payload out', () => {
    expect(encodeControl('connection_ack')).toBe('{"type":"connection_ack"}');
    expect(encodeControl('pong', null)).toBe('{"type":"pong"}');
    expect(encodeControl('ping', { a: 1 })).toBe('{"type":"ping","payload":{"a":1}}');
    expect(encodeComplete('1')).toBe('{"id":"1","type":"complete"}');
  });

  test('a replacer sees a control message whole; one that makes it vanish leaves the type', () => {
    const replacer = (key: string, value: unknown): unknown => (key === 'token' ? 'hidden' : value);
    expect(encodeControl('pong', { token: 'x' }, replacer)).toBe('{"type":"pong","payload":{"token":"hidden"}}');
    expect(encodeControl('pong', null, replacer)).toBe('{"type":"pong"}');
    expect(encodeControl('ping', { a: 1 }, () => undefined)).toBe('{"type":"ping"}');
  });

  test('a replacer sees the payload, and null stays if it takes all of it away', () => {
    const replacer = (_: string, value: unknown): unknown => (typeof value === 'number' ? String(value) : value);
    expect(encodePayload({ a: 1 }, replacer)).toBe('{"a":"1"}');
    expect(encodePayload({ a: 1 }, () => undefined)).toBe('null');
  });

  test('the types have the names of graphql-ws', () => {
    expect(MessageType.ConnectionInit).toBe('connection_init');
    expect([{}, null, [], 'a'].map(isObject)).toEqual([true, false, false, false]);
  });
});

test('the id of a subscribe that is too long to be parsed is read from its beginning, whatever its order', () => {
  const long = 'x'.repeat(5_000);
  expect(idOfSubscribe(`{"id":"7","type":"subscribe","payload":{"query":"${long}`)).toBe('7');
  expect(idOfSubscribe(encodeUtf8(`{ "type" : "subscribe", "id": "a\\"b", "payload": ${long}`))).toBe('a"b');
  expect(idOfSubscribe(`{"id":"7","payload":{"type":"subscribe"`)).toBeUndefined();
  expect(idOfSubscribe(`{"type":"ping","payload":${long}`)).toBeUndefined();
  expect(idOfSubscribe(`{"payload":${long},"id":"7","type":"subscribe"}`)).toBeUndefined();
  expect(idOfSubscribe(String.raw`{"id":"\x","type":"subscribe","payload":{`)).toBeUndefined();
});
