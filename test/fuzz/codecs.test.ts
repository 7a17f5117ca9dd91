import { expect, test } from 'vitest';
import { Decoder } from '../../src/stomp/protocol/decoder.ts';
import { codecFuzz } from './codecs.ts';
import { firstSeed, runFuzz } from './fuzz.ts';

const seed = firstSeed();

test.each(codecFuzz)('$name', { timeout: 60_000 }, async (fuzz) => {
  const { count } = await runFuzz(fuzz, fuzz.short, seed);
  expect(count).toBeGreaterThanOrEqual(fuzz.short);
});

/** Inputs that would show work which grows faster than they do: each is said `times` times. */
const families: readonly (readonly [name: string, make: (times: number) => readonly string[]])[] = [
  ['one long header line', (times) => ['SEND\na:', 'x'.repeat(times)]],
  ['a header line, octet by octet', (times) => ['SEND\na:', ...Array<string>(times).fill('x')]],
  ['a body, octet by octet', (times) => ['SEND\n\n', ...Array<string>(times).fill('x')]],
  [
    'a body of a known length',
    (times) => [`SEND\ncontent-length:${times}\n\n`, ...Array<string>(times).fill('x'), '\0'],
  ],
  ['many header lines', (times) => ['SEND\n', ...Array<string>(times >> 2).fill('a:b\n')]],
  ['escapes in a header', (times) => ['SEND\na:', '\\n'.repeat(times >> 1), '\n\n\0']],
  ['spaces around values of 1.0', (times) => ['CONNECT\na:', ' '.repeat(times), 'x', ' '.repeat(times), '\n\n\0']],
  ['ends of lines', (times) => Array<string>(times).fill('\r\n')],
  ['many small frames in one piece', (times) => ['ACK\nid:1\n\n\0'.repeat(times >> 3)]],
];

const unlimited = { maxHeaders: 1e9, maxHeaderLine: 1e9, maxHeaderBytes: 1e9, maxBody: 1e9 };

/** Processor time in ms: others may have the machine meanwhile. */
function timeOf(parts: readonly string[]): number {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 3; round++) {
    const began = process.cpuUsage().user;
    const decoder = new Decoder(unlimited);
    for (const part of parts) {
      decoder.push(part);
      while (decoder.next());
    }
    best = Math.min(best, (process.cpuUsage().user - began) / 1_000);
  }
  return best;
}

test.each(families)('the work is linear: %s', (_, make) => {
  timeOf(make(4_096));
  const [small, big] = [timeOf(make(4_096)), timeOf(make(65_536))];
  // Sixteen times as much; were it quadratic, it would take 256 times as long.
  expect(big).toBeLessThan(64 * Math.max(small, 1));
});
