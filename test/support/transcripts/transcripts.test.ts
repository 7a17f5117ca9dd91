import { expect, test } from 'vitest';
import { parseTranscripts } from './parse.ts';
import { cutAt, octetByOctet, runTranscript, whole } from './run.ts';
import { testedServer } from './tested-server.ts';

const handshake = 'C: CONNECT accept-version:1.2 host:here\nS: CONNECTED version:1.2\n';

async function play(dialogue: string): Promise<void> {
  for (const transcript of parseTranscripts('t.wire', `# [A-1] a title\n${dialogue}`)) {
    await runTranscript(transcript, testedServer(transcript.options, whole));
  }
}

test.each([
  ['C: CONNECT host:x', 't.wire:1: the first line of a transcript is its title'],
  ['# without an id', 't.wire:1: a title begins with rule ids'],
  ['# [A-1] title\nX: what', 't.wire:2: no line of a dialogue'],
  ['# [A-1] title\n@ colour red', 't.wire:2: no option'],
  ['# [A-1] title\n@ real mosquitto', 't.wire:2: no option'],
  ['# [A-1] title\nC: ping\n@ peer client', 't.wire:3: options stand before'],
  ['# [A-1] title\nC: {"type"', 't.wire:2: no JSON'],
  ['# [A-1] title\nC: SEND destination', 't.wire:2: "destination" is no header'],
  ['# [A-1] title\nC: 12', 't.wire:2: a frame begins with its command'],
  ['# [A-1] title\n@ real rabbitmq\n+ 10 ms', 't.wire:3: a transcript for real peers'],
  ['# [A-1] title\n\n# [A-2] title\nC: ping', 't.wire:1: nothing happens here'],
])('a transcript that does not parse fails with its line: %s', (text, message) => {
  expect(() => parseTranscripts('t.wire', text)).toThrow(message);
});

test.each([
  ['another frame', `${handshake}C: DISCONNECT receipt:1\nS: ERROR`, 't.wire:5: wanted: S: ERROR\ngot:    S: RECEIPT'],
  ['another header', 'C: CONNECT host:x\nS: CONNECTED version:1.1', 't.wire:3: wanted: S: CONNECTED version:1.1'],
  ['a header too many', 'C: CONNECT host:x\nS: CONNECTED !version', 't.wire:3'],
  ['nothing', `${handshake}S: RECEIPT receipt-id:1`, 't.wire:4: wanted: S: RECEIPT receipt-id:1\ngot:    nothing'],
  ['more than stands there', 'C: CONNECT host:x', 'before the end of t.wire:1 this came as well:\nS1: CONNECTED'],
  ['something before time passes', 'C: CONNECT host:x\n+ 10 ms', 'before t.wire:3 this came as well:\nS1: CONNECTED'],
  ['another close code', '+ 3000 ms\nS: ERROR\nS: close 1002 <any>', 'got:    S: close 4408'],
  ['another body', 'C: SEND x:y\nS: ERROR | no', 'got:    S: ERROR'],
])('a server that does %s is told with the line', async (_, dialogue, message) => {
  await expect(play(dialogue)).rejects.toThrow(message);
});

test('what was captured is compared later', async () => {
  const dialogue = 'C: CONNECT accept-version:1.2 host:x\nS: CONNECTED version:<v>\nC: DISCONNECT receipt:<v>\n';
  await play(`${dialogue}S: RECEIPT receipt-id:<v>\nS: close 1000`);
  await expect(play(`${dialogue}S: RECEIPT receipt-id:<v>2`)).rejects.toThrow('wanted: S: RECEIPT receipt-id:<v>2');
});

test('octets can be cut everywhere', () => {
  const bytes = Buffer.from('aöb');
  expect(whole.pieces(bytes)).toEqual(['aöb']);
  expect(whole.pieces(Buffer.of(0xff))).toEqual([Uint8Array.of(0xff)]);
  expect(octetByOctet.pieces(bytes)).toHaveLength(4);
  const cut = cutAt(6);
  expect(cut.pieces(bytes)).toHaveLength(1);
  expect(cut.pieces(bytes)).toEqual([Uint8Array.from([0x61, 0xc3]), Uint8Array.from([0xb6, 0x62])]);
  expect(cut.reached).toBe(true);
});
