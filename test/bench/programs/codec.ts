/** The STOMP codec beside that of stompjs, in one process: CPU per frame, in interleaved rounds. */
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { Decoder, encodeFrame } from 'subwire/stomp';
import { answer } from '../ipc.ts';

interface StompJs {
  readonly Parser: new (
    onFrame: (frame: unknown) => void,
    onPing: () => void,
  ) => { parseChunk(bytes: ArrayBuffer | string, appendMissingNull?: boolean): void };
  readonly FrameImpl: {
    fromRawFrame(raw: unknown, escapes: boolean): unknown;
    marshall(parts: object): string | ArrayBuffer;
  };
}

// Its codec is no public part of it: it is reached by its files.
const folder = new URL('../esm6/', pathToFileURL(createRequire(import.meta.url).resolve('@stomp/stompjs')));
const load = (file: string): Promise<StompJs> => import(new URL(file, folder).href) as Promise<StompJs>;
const { Parser } = await load('parser.js');
const { FrameImpl } = await load('frame-impl.js');

const headers = {
  destination: '/topic/prices',
  'message-id': '0123abcd-1234',
  subscription: 'sub-0',
  'content-type': 'text/plain',
};
const limits = { maxHeaders: 64, maxHeaderLine: 8_192, maxHeaderBytes: 65_536, maxBody: 4_194_304 };
const pieceBytes = 64;

export interface CodecRow {
  readonly what: string;
  readonly bytes: number;
  /** µs of CPU per frame. */
  readonly subwire: readonly number[];
  readonly stompjs: readonly number[];
}

let sink: unknown;

function parsers(body: Uint8Array, pieces: boolean): [() => void, () => void] {
  const head = `MESSAGE\n${Object.entries(headers)
    .map(([name, value]) => `${name}:${value}\n`)
    .join('')}`;
  const frame = new Uint8Array(
    Buffer.concat([Buffer.from(`${head}content-length:${body.length}\n\n`), body, Buffer.from([0])]),
  );
  const chunks: Uint8Array[] = [];
  const step = pieces ? pieceBytes : frame.length;
  for (let at = 0; at < frame.length; at += step) chunks.push(frame.slice(at, at + step));
  const decoder = new Decoder(limits);
  const parser = new Parser(
    (raw) => {
      sink = FrameImpl.fromRawFrame(raw, true);
    },
    () => {},
  );
  return [
    () => {
      // Pulled after each piece, as by a session.
      for (const chunk of chunks) {
        decoder.push(chunk);
        sink = decoder.next();
      }
      if (sink === undefined) throw new Error('No frame');
    },
    () => {
      for (const chunk of chunks) parser.parseChunk(chunk.buffer as ArrayBuffer);
    },
  ];
}

function encoders(body: string): [() => void, () => void] {
  return [
    () => {
      sink = encodeFrame('1.2', 'SEND', headers, body);
    },
    () => {
      sink = FrameImpl.marshall({ command: 'SEND', headers, body, escapeHeaderValues: true });
    },
  ];
}

/** µs of CPU per call, over about `ms`. */
function measure(run: () => void, ms: number): number {
  let calls = 0;
  let batch = 1;
  const until = performance.now() + ms;
  const before = process.cpuUsage();
  do {
    for (let left = batch; left > 0; left--) run();
    calls += batch;
    batch = Math.min(batch * 2, 1_024);
  } while (performance.now() < until);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / calls;
}

answer({
  measure({ rounds, stretch }: { rounds: number; stretch: number }): CodecRow[] {
    const rows: CodecRow[] = [];
    for (const bytes of [100, 10_000, 1_000_000]) {
      const body = 'x'.repeat(bytes);
      const octets = Buffer.from(body);
      const cases = {
        'parse, whole': parsers(octets, false),
        'parse, 64-byte pieces': parsers(octets, true),
        serialise: encoders(body),
      };
      for (const [what, [ours, theirs]] of Object.entries(cases)) {
        const row = { what, bytes, subwire: [] as number[], stompjs: [] as number[] };
        measure(ours, stretch);
        measure(theirs, stretch);
        for (let round = 0; round < rounds; round++) {
          row.subwire.push(measure(ours, stretch));
          row.stompjs.push(measure(theirs, stretch));
        }
        rows.push(row);
      }
    }
    return rows;
  },
});
