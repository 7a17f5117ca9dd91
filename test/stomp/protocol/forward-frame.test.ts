import { expect, test } from 'vitest';
import { encodeUtf8 } from '../../../src/core/wire.ts';
import { expressibleHeaders, forwardFrame } from '../../../src/stomp/protocol/forward-frame.ts';
import type { Frame } from '../../../src/stomp/protocol/frame.ts';
import { contentOf } from '../../support/fake-socket.ts';

const frame = (command: string, body: string | Uint8Array = '', headers: [string, string][] = []): Frame => ({
  command,
  headers: new Map(headers),
  body: typeof body === 'string' ? encodeUtf8(body) : body,
  text: '',
});

const entries: [string, string][] = [
  ['plain', 'value'],
  ['with:colon', 'x'],
  ['feed', 'a\nb'],
  ['return', 'a\rb'],
];

test('[RELAY-4] a receiver whose frames know no escapes gets the headers that it can read', () => {
  expect([...expressibleHeaders('1.2', entries)]).toEqual(entries);
  expect([...expressibleHeaders('1.1', entries)]).toEqual(entries);
  expect([...expressibleHeaders('1.0', entries)]).toEqual([['plain', 'value']]);
  expect([...expressibleHeaders('raw', entries)]).toEqual([['plain', 'value']]);
});

test('[STOMP-79] a header with a NUL goes on to nobody', () => {
  const bad: [string, string][] = [
    ['na\0me', 'x'],
    ['value', 'a\0ERROR'],
  ];
  for (const version of ['1.2', '1.1', '1.0', 'raw'] as const) {
    expect([...expressibleHeaders(version, [...bad, ['plain', 'value']])]).toEqual([['plain', 'value']]);
  }
  expect(contentOf(forwardFrame('1.2', bad, frame('MESSAGE')))).toBe('MESSAGE\n\n\0');
});

test('[RELAY-4] headers are written for the version of the receiver', () => {
  const wire = (version: '1.0' | '1.1' | '1.2') => contentOf(forwardFrame(version, entries, frame('MESSAGE')));
  expect(wire('1.2')).toBe('MESSAGE\nplain:value\nwith\\ccolon:x\nfeed:a\\nb\nreturn:a\\rb\n\n\0');
  expect(wire('1.1')).toBe('MESSAGE\nplain:value\nwith\\ccolon:x\nfeed:a\\nb\nreturn:a\rb\n\n\0');
  expect(wire('1.0')).toBe('MESSAGE\nplain:value\n\n\0');
});

test('[RELAY-15] content-length goes on if it came, and counts octets', () => {
  const length: [string, string][] = [['content-length', '2']];
  expect(contentOf(forwardFrame('1.2', [], frame('SEND', 'ü')))).toBe('SEND\n\nü\0');
  expect(contentOf(forwardFrame('1.2', length, frame('SEND', 'ü', length)))).toBe('SEND\ncontent-length:2\n\nü\0');
  const none: [string, string][] = [['content-length', '0']];
  expect(contentOf(forwardFrame('1.2', none, frame('SEND', '', none)))).toBe('SEND\ncontent-length:0\n\n\0');
});

test('[RELAY-15] octets that are not UTF-8 go on as they are, in a binary message', () => {
  const body = Uint8Array.of(0, 255, 1);
  const wire = forwardFrame('1.2', [], frame('MESSAGE', body, [['content-length', '3']]));
  expect(wire.binary).toBe(true);
  expect(Buffer.from(contentOf(wire) as Uint8Array).toString('latin1')).toBe(
    'MESSAGE\ncontent-length:3\n\n\0\xff\x01\0',
  );
  body.fill(7);
  expect(wire.tail).toEqual(Uint8Array.of(0, 255, 1, 0));
});

test('[RELAY-4] the body that 1.0 allows a SUBSCRIBE does not go on', () => {
  expect(contentOf(forwardFrame('1.2', [['id', '1']], frame('SUBSCRIBE', 'ignored')))).toBe('SUBSCRIBE\nid:1\n\n\0');
});
