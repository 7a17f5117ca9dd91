import { expect, test } from 'vitest';
import { ProtocolError } from '../../../src/core/fault.ts';
import { encodeUtf8 } from '../../../src/core/wire.ts';
import { readServerMessage } from '../../../src/graphql/client/server-message.ts';
import { parseMessage } from '../../../src/graphql/protocol/messages.ts';

function problemOf(data: string | Uint8Array): string {
  try {
    readServerMessage(data);
    return 'none';
  } catch (error) {
    // Of what is shown, as much as a failed comparison can print.
    return (error as ProtocolError).message.slice(0, 500);
  }
}

const right = [
  { type: 'connection_ack' },
  { type: 'connection_ack', payload: null },
  { type: 'ping', payload: { a: 1 } },
  { type: 'pong' },
  { id: '1', type: 'next', payload: { data: {} }, more: 1 },
  { id: '1', type: 'error', payload: [{ message: 'no' }] },
  { id: '1', type: 'complete' },
];

test.each(right)('[GQL-66] %j is a message of a server, as the full check says', (message) => {
  const text = JSON.stringify(message);
  expect(readServerMessage(text)).toEqual(message);
  expect(readServerMessage(encodeUtf8(text))).toEqual(message);
  expect(parseMessage(text)).toEqual(message);
});

test('messages pass the reviver', () => {
  expect(readServerMessage('{"id":"1","type":"complete"}', (key, value) => (key === 'id' ? '2' : value))).toEqual({
    id: '2',
    type: 'complete',
  });
});

test.each([
  null,
  5,
  [],
  {},
  { type: 'shout' },
  { type: 'ping', payload: 5 },
  { type: 'connection_ack', payload: [] },
  { type: 'next', payload: {} },
  { id: '', type: 'complete' },
  { id: 1, type: 'complete' },
  { id: '1', type: 'next' },
  { id: '1', type: 'next', payload: [] },
  { id: '1', type: 'error', payload: {} },
  { id: '1', type: 'error', payload: [] },
  { id: '1', type: 'error', payload: [5] },
  { id: '1', type: 'error', payload: [{}] },
])('[GQL-66] %j is none, as the full check says', (message) => {
  const text = JSON.stringify(message);
  expect(() => readServerMessage(text)).toThrow(new ProtocolError('malformed', `Unexpected message: ${text}`));
  expect(() => parseMessage(text)).toThrow(ProtocolError);
});

test.each([{ id: '1', type: 'subscribe', payload: { query: '' } }, { type: 'connection_init' }])(
  '[GQL-87] %j comes from no server',
  (message) => {
    expect(() => readServerMessage(JSON.stringify(message))).toThrow(/^Unexpected message/);
  },
);

test('[GQL-66] what is not JSON, or not UTF-8, is no message', () => {
  for (const text of ['{', '']) expect(problemOf(text)).toBe(`Unexpected message: ${text}`);
  expect(problemOf(Uint8Array.of(0x22, 0xff, 0x22))).toBe('Unexpected message: not UTF-8');
});

test('[GQL-66] the error shows how a message begins, not all of it', () => {
  const long = '{"type":"shout"}'.padEnd(1_000_000);
  const shown = `Unexpected message: ${long.slice(0, 100)}`;
  expect([long, encodeUtf8(long)].map(problemOf)).toEqual([shown, shown]);
});
