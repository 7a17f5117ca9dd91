import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeUtf8, encodeUtf8, type Wire } from '../../../src/core/wire.ts';
import { Decoder, type DecoderLimits } from '../../../src/stomp/protocol/decoder.ts';
import { encodeFrame, encodeFrameHead, encodeFrameTail } from '../../../src/stomp/protocol/encoder.ts';
import type { Frame } from '../../../src/stomp/protocol/frame.ts';
import { escapeHeader } from '../../../src/stomp/protocol/headers.ts';
import { type Version, versions } from '../../../src/stomp/protocol/versions.ts';

const limits: DecoderLimits = { maxHeaders: 8, maxHeaderLine: 100, maxHeaderBytes: 400, maxBody: 1_000 };
const large: DecoderLimits = { maxHeaders: 64, maxHeaderLine: 8_192, maxHeaderBytes: 65_536, maxBody: 4_000_000 };

function decoderOf(version: Version, use: DecoderLimits = limits): Decoder {
  const decoder = new Decoder(use);
  decoder.version = version;
  return decoder;
}

function pull(decoder: Decoder): Frame[] {
  const frames: Frame[] = [];
  for (let frame = decoder.next(); frame; frame = decoder.next()) frames.push(frame);
  return frames;
}

function decode(version: Version, data: string | Uint8Array, use?: DecoderLimits): Frame[] {
  const decoder = decoderOf(version, use);
  decoder.push(data);
  return pull(decoder);
}

function one(version: Version, data: string | Uint8Array): Frame {
  const frames = decode(version, data);
  expect(frames).toHaveLength(1);
  return frames[0]!;
}

const headersOf = (version: Version, lines: string, command = 'SEND'): [string, string][] => [
  ...one(version, `${command}\n${lines}\n\0`).headers,
];
const textOf = (frame: Frame): string => decodeUtf8(frame.body);
const bytesOf = ({ head, tail }: Wire): Uint8Array =>
  new Uint8Array(Buffer.concat([typeof head === 'string' ? encodeUtf8(head) : head, tail ?? encodeUtf8('')]));
const plain = (frames: readonly Frame[]): unknown[] =>
  frames.map(({ command, headers, body }) => [command, [...headers], [...body]]);

function fails(
  fault: 'malformed' | 'tooLarge',
  version: Version,
  data: string | Uint8Array,
  use?: DecoderLimits,
): void {
  expect(() => decode(version, data, use), String(data)).toThrow(
    expect.objectContaining({ name: 'ProtocolError', fault }),
  );
}

describe('framing', () => {
  test('[STOMP-1] a frame is a command, headers, a blank line, a body and a NUL', () => {
    for (const version of versions) {
      const frame = one(version, 'SEND\ndestination:/queue/a\ncontent-type:text/plain\n\nhello queue a\0');
      expect(frame.command).toBe('SEND');
      expect([...frame.headers]).toEqual([
        ['destination', '/queue/a'],
        ['content-type', 'text/plain'],
      ]);
      expect(textOf(frame)).toBe('hello queue a');
    }
  });

  test('[STOMP-2] only 1.2 ends lines with CR LF, and it takes LF as well', () => {
    const frame = one('1.2', 'SEND\r\ndestination:/a\nother:x\r\n\r\nbody\0');
    expect([...frame.headers.values()]).toEqual(['/a', 'x']);
    expect(frame.command).toBe('SEND');
    expect(textOf(frame)).toBe('body');
    for (const version of ['1.0', '1.1'] as const) fails('malformed', version, 'SEND\ndestination:/a\n\r\nbody\0');
  });

  test('[STOMP-2] the frames of the handshake may end lines with CR LF before a version is known', () => {
    for (const version of versions) {
      expect(headersOf(version, 'accept-version:1.2\r\nhost:a\r\n', 'CONNECT\r')).toEqual([
        ['accept-version', '1.2'],
        ['host', 'a'],
      ]);
    }
  });

  test('[STOMP-3] a CR is data in 1.0 and 1.1', () => {
    for (const version of ['1.0', '1.1'] as const) {
      expect(headersOf(version, 'a:x\ry\r\n')).toEqual([['a', 'x\ry\r']]);
      expect(one(version, 'SEND\r\n\n\0').command).toBe('SEND\r');
    }
    expect(escapeHeader('1.1', 'x\ry')).toBe('x\ry');
  });

  test('[STOMP-7] a CR within a line of 1.2 is malformed, in a name or in a value', () => {
    fails('malformed', '1.2', 'SEND\na:x\ry\n\n\0');
    fails('malformed', '1.2', 'SEND\nx\ry:a\n\n\0');
  });

  test('[STOMP-4] ends of lines between frames are skipped', () => {
    expect(decode('1.1', '\n\nSEND\n\na\0\n\n\nSEND\n\nb\0\n').map(textOf)).toEqual(['a', 'b']);
    expect(decode('1.2', '\r\n\nSEND\n\na\0\r\n\r\nSEND\n\nb\0\r\n').map(textOf)).toEqual(['a', 'b']);
    const decoder = decoderOf('1.2');
    for (const piece of ['\n', '\r', '\n', '\n\r', '\nSEND\n\n\0\r']) decoder.push(piece);
    expect(pull(decoder)).toHaveLength(1);
    expect(decoder.partial).toBe(true);
    decoder.push('\n');
    expect(decoder.next()).toBeUndefined();
    expect(decoder.partial).toBe(false);
  });

  test('[STOMP-4] a CR between frames that no LF follows begins a bad frame', () => {
    const decoder = decoderOf('1.2');
    decoder.push('\r');
    expect(decoder.next()).toBeUndefined();
    decoder.push('SEND\n\n\0');
    expect(decoder.next()?.command).toBe('\rSEND');
  });

  test('[STOMP-5] commands and names are case sensitive', () => {
    expect(one('1.2', 'send\nA:1\na:2\n\n\0').command).toBe('send');
    expect(headersOf('1.2', 'A:1\na:2\nContent-Length:99\n')).toEqual([
      ['A', '1'],
      ['a', '2'],
      ['Content-Length', '99'],
    ]);
  });

  test('[STOMP-6] [STOMP-70] commands and headers are UTF-8, and what is not is malformed', () => {
    for (const version of versions) {
      expect(headersOf(version, 'größe:漢字 \u{1f600}x\n')).toEqual([['größe', '漢字 \u{1f600}x']]);
      fails('malformed', version, Buffer.from('SEND\na:\xff\n\n\0', 'latin1'));
      fails('malformed', version, Buffer.from('SE\xc3ND\n\n\0', 'latin1'));
    }
    expect(headersOf('1.2', '\ufeffa:\ufeffb\n')).toEqual([['\ufeffa', '\ufeffb']]);
  });

  test('[STOMP-7] a header line without a colon or without a name is malformed', () => {
    for (const version of versions) {
      for (const line of ['nocolon', ':value', 'nocolon\nk:v', ' ']) fails('malformed', version, `SEND\n${line}\n\n\0`);
    }
  });

  test('[STOMP-79] a NUL in a command, a name or a value is malformed, in any version', () => {
    for (const version of versions) {
      for (const head of [
        'SE\0ND\n',
        '\0SEND\n',
        'SEND\na:b\0ERROR\n',
        'SEND\na\0:b\n',
        'SEND\nk:v\nk:\0\n',
        'CONNECT\na:\0\n',
      ]) {
        for (const data of [`${head}\n\0`, encodeUtf8(`${head}\n\0`)]) fails('malformed', version, data);
      }
    }
  });

  test('[STOMP-7] [STOMP-8] the first colon splits; later ones are taken, and never made', () => {
    for (const version of versions)
      expect(headersOf(version, 'a:b:c\nempty:\n')).toEqual([
        ['a', 'b:c'],
        ['empty', ''],
      ]);
    expect(encodeFrameHead('1.2', 'SEND', { 'a:b': 'c:d' })).toBe('SEND\na\\cb:c\\cd\n');
  });

  test('[STOMP-9] only SEND, MESSAGE and ERROR have a body; in 1.0 it is not minded', () => {
    for (const command of ['SEND', 'MESSAGE', 'ERROR']) expect(textOf(one('1.2', `${command}\n\nbody\0`))).toBe('body');
    for (const command of ['SUBSCRIBE', 'CONNECT', 'RECEIPT']) {
      fails('malformed', '1.2', `${command}\n\nbody\0`);
      fails('malformed', '1.1', `${command}\n\nbody\0`);
      expect(one('1.0', `${command}\n\nbody\0`).command).toBe(command);
    }
  });

  test('[STOMP-10] content-length octets are read whatever NULs are among them, and a NUL has to follow', () => {
    for (const version of versions) {
      expect([...one(version, 'SEND\ncontent-length:4\n\n\0a\0b\0').body]).toEqual([0, 97, 0, 98]);
      expect(textOf(one(version, 'SEND\ncontent-length:3\n\n漢\0'))).toBe('漢');
      expect(one(version, 'BEGIN\ntransaction:t\ncontent-length:0\n\n\0').body).toHaveLength(0);
      fails('malformed', version, 'SEND\ncontent-length:3\n\nhello\0');
    }
  });

  test('[STOMP-10] content-length is digits and nothing else', () => {
    for (const bad of ['-1', '1e3', '0x10', '', 'NaN', '5.0', '٣', '+5', '5 ']) {
      fails('malformed', '1.2', `SEND\ncontent-length:${bad}\n\nhello\0`);
    }
    expect(textOf(one('1.2', 'SEND\ncontent-length:0005\n\nhello\0'))).toBe('hello');
    // [STOMP-15] Padding is common in 1.0.
    expect(textOf(one('1.0', 'SEND\ncontent-length: 5\n\nhello\0'))).toBe('hello');
  });

  test('[STOMP-11] without content-length the first NUL ends the body', () => {
    expect(decode('1.2', 'SEND\n\na\0SEND\n\nb\0').map(textOf)).toEqual(['a', 'b']);
  });

  test('[STOMP-14] [STOMP-37] any cut of the stream gives the same frames, octet by octet too', () => {
    const stream = encodeUtf8(
      '\r\nCONNECT\r\naccept-version:1.2\r\nhost: x \r\n\r\n\0\nSEND\ndestination:/a\nk\\cß:漢\\n\ncontent-length:9\n\nx\0漢y\0\n\n\0\r\n\nSEND\n\nlast\0\n',
    );
    const whole = plain(decode('1.2', stream));
    expect(whole).toHaveLength(3);
    for (let cut = 0; cut <= stream.length; cut++) {
      const decoder = decoderOf('1.2');
      decoder.push(stream.slice(0, cut));
      const frames = pull(decoder);
      decoder.push(stream.slice(cut));
      expect(plain([...frames, ...pull(decoder)]), `cut at ${cut}`).toEqual(whole);
    }
    const decoder = decoderOf('1.2');
    const frames: Frame[] = [];
    for (const octet of stream) {
      decoder.push(Uint8Array.of(octet));
      frames.push(...pull(decoder));
    }
    expect(plain(frames)).toEqual(whole);
  });

  test('[STOMP-15] values are trimmed in 1.0 and in no other version', () => {
    expect(headersOf('1.0', 'destination: /queue/a \t\nempty: \n')).toEqual([
      ['destination', '/queue/a'],
      ['empty', ''],
    ]);
    for (const version of ['1.1', '1.2'] as const) expect(headersOf(version, 'a: b \n')).toEqual([['a', ' b ']]);
  });

  test('[STOMP-15] frames of the handshake are trimmed when they speak of no version but 1.0', () => {
    for (const version of versions) {
      expect(headersOf(version, 'login: me \npasscode:p\n', 'CONNECT')).toEqual([
        ['login', 'me'],
        ['passcode', 'p'],
      ]);
      expect(headersOf(version, 'session: 7\n', 'CONNECTED')).toEqual([['session', '7']]);
      expect(headersOf(version, 'version:1.1\nsession: 7\n', 'CONNECTED')[1]).toEqual(['session', ' 7']);
      expect(headersOf(version, 'accept-version:1.0,1.2\npasscode: p \n', 'STOMP')[1]).toEqual(['passcode', ' p ']);
      expect(headersOf(version, 'accept-version:1.0\nlogin: p\n', 'CONNECT')[1]).toEqual(['login', 'p']);
    }
  });

  test('[STOMP-22] of a repeated header the first entry counts', () => {
    for (const version of versions) expect(headersOf(version, 'foo:World\nfoo:Hello\n')).toEqual([['foo', 'World']]);
    expect(headersOf('1.2', '__proto__:a\nconstructor:b\n')).toEqual([
      ['__proto__', 'a'],
      ['constructor', 'b'],
    ]);
  });
});

describe('escapes', () => {
  test('[STOMP-16] 1.1 and 1.2 unescape names and values', () => {
    expect(headersOf('1.1', 'a\\cb:x\\ny\\\\z\n')).toEqual([['a:b', 'x\ny\\z']]);
    expect(headersOf('1.2', 'a\\cb:x\\ny\\\\z\\r\n')).toEqual([['a:b', 'x\ny\\z\r']]);
    expect(escapeHeader('1.2', 'a:b\nc\\d\re')).toBe('a\\cb\\nc\\\\d\\re');
    expect(escapeHeader('1.1', 'a:b\nc\\d\re')).toBe('a\\cb\\nc\\\\d\re');
    expect(escapeHeader('1.2', 'plain')).toBe('plain');
  });

  test('[STOMP-69] RECEIPT, MESSAGE and ERROR are escaped like any other frame', () => {
    for (const command of ['RECEIPT', 'MESSAGE', 'ERROR']) {
      const wire = encodeFrame('1.2', command, { 'receipt-id': 'a\nb:c\r' });
      expect(wire.head).toBe(`${command}\nreceipt-id:a\\nb\\cc\\r\n\n\0`);
      expect([...one('1.2', bytesOf(wire)).headers]).toEqual([['receipt-id', 'a\nb:c\r']]);
    }
  });

  test('[STOMP-17] any other escape is fatal, a lone backslash at the end too', () => {
    for (const bad of ['\\t', '\\', 'a\\x', '\\N', '\\\u{1f600}', 'x\\\\\\']) {
      fails('malformed', '1.1', `SEND\na:${bad}\n\n\0`);
      fails('malformed', '1.2', `SEND\na:${bad}\n\n\0`);
      fails('malformed', '1.2', `SEND\n${bad}:a\n\n\0`);
    }
    fails('malformed', '1.1', 'SEND\na:\\r\n\n\0');
    fails('malformed', '1.1', 'SEND\na:\\\r\n\n\0');
  });

  test('[STOMP-18] the frames of the handshake have no escapes', () => {
    for (const version of versions) {
      for (const command of ['CONNECT', 'STOMP', 'CONNECTED']) {
        expect(headersOf(version, 'version:1.2\naccept-version:1.2\na:\\t\\n:\n', command)[2]).toEqual([
          'a',
          '\\t\\n:',
        ]);
        expect(encodeFrameHead(version, command, { a: 'C\\new:x' })).toBe(`${command}\na:C\\new:x\n`);
      }
    }
  });

  test('[STOMP-19] decoding is one pass from left to right', () => {
    expect(headersOf('1.2', 'path:C\\\\new\\\\\\\\c\n')).toEqual([['path', 'C\\new\\\\c']]);
  });

  test('[STOMP-8] 1.0 has no escapes', () => {
    expect(headersOf('1.0', 'a:\\n\\c\\t\\\n')).toEqual([['a', '\\n\\c\\t\\']]);
    expect(escapeHeader('1.0', 'a\\b:c')).toBe('a\\b:c');
  });

  test('[STOMP-20] what a version cannot carry is refused and never injected', () => {
    for (const bad of ['x\ninjected:y', 'x\ry']) {
      expect(() => encodeFrame('1.0', 'SEND', { custom: bad })).toThrow(/"custom"/);
      for (const version of versions) expect(() => encodeFrame(version, 'CONNECT', { login: bad })).toThrow(/"login"/);
      expect(() => encodeFrameTail('1.0', { custom: bad }, encodeUtf8(''))).toThrow(TypeError);
    }
    expect(() => encodeFrame('1.0', 'SEND', { 'a:b': 'c' })).toThrow(/"a:b"/);
    for (const version of versions) expect(() => encodeFrame(version, 'SEND', { '': 'c' })).toThrow(/""/);
  });

  test('[STOMP-20] [STOMP-79] a NUL, which no version can say, is refused everywhere', () => {
    for (const version of versions) {
      for (const command of ['SEND', 'CONNECT']) {
        expect(() => encodeFrame(version, command, { custom: 'a\0ERROR' })).toThrow(/"custom"/);
        expect(() => encodeFrame(version, command, { 'a\0b': 'c' })).toThrow(TypeError);
      }
      expect(() => encodeFrameTail(version, { custom: '\0' }, encodeUtf8(''))).toThrow(TypeError);
    }
  });

  test('[STOMP-21] the same header is encoded for the version of each receiver', () => {
    const headers = new Map([['k', 'a:b']]);
    expect(versions.map((version) => encodeFrameHead(version, 'MESSAGE', headers))).toEqual([
      'MESSAGE\nk:a\\cb\n',
      'MESSAGE\nk:a\\cb\n',
      'MESSAGE\nk:a:b\n',
    ]);
  });
});

describe('limits', () => {
  test('[STOMP-23] the number of headers is limited, repeated ones included', () => {
    const lines = (count: number): string => 'a:b\n'.repeat(count);
    expect(one('1.2', `SEND\n${lines(8)}\n\0`).headers.size).toBe(1);
    fails('tooLarge', '1.2', `SEND\n${lines(9)}\n\0`);
    fails('tooLarge', '1.2', `SEND\n${lines(9)}`);
  });

  test('[STOMP-23] a header line and the whole block are limited before they have ended', () => {
    expect(headersOf('1.2', `a:${'x'.repeat(98)}\n`)[0]?.[1]).toHaveLength(98);
    expect(headersOf('1.2', `a:${'x'.repeat(98)}\r\n`)[0]?.[1]).toHaveLength(98);
    fails('tooLarge', '1.2', `SEND\na:${'x'.repeat(99)}\n\n\0`);
    fails('tooLarge', '1.2', `SEND\na:${'x'.repeat(99)}`);
    fails('tooLarge', '1.2', `SEND\na:${'x'.repeat(99)}\r`);
    fails('tooLarge', '1.2', 'S'.repeat(101));
    fails('tooLarge', '1.2', `SEND\n${`a:${'x'.repeat(90)}\n`.repeat(5)}`);
    const decoder = decoderOf('1.2');
    let pushed = 0;
    expect(() => {
      for (; ; pushed += 7) {
        decoder.push('aaaaaaa');
        decoder.next();
      }
    }).toThrow(expect.objectContaining({ fault: 'tooLarge' }));
    expect(pushed).toBeLessThan(120);
  });

  test('[STOMP-23] a body is limited: as announced, and as it comes', () => {
    expect(textOf(one('1.2', `SEND\n\n${'x'.repeat(1_000)}\0`))).toHaveLength(1_000);
    fails('tooLarge', '1.2', 'SEND\ncontent-length:1001\n\n');
    fails('tooLarge', '1.2', `SEND\ncontent-length:${'9'.repeat(90)}\n\n`);
    fails('tooLarge', '1.2', `SEND\n\n${'x'.repeat(1_001)}`);
  });
});

describe('buffers', () => {
  test('a frame that lies whole in a chunk is not copied', () => {
    const chunk = encodeUtf8('SEND\n\nfirst\0SEND\ncontent-length:6\n\nsecond\0');
    for (const { body } of decode('1.2', chunk)) expect(body.buffer).toBe(chunk.buffer);
    expect(one('1.2', encodeUtf8('ACK\nid:1\n\n\0')).body.buffer.byteLength).toBe(0);
  });

  test('the body of a frame is there as text and as bytes, however it came', () => {
    const [first, second] = decode('1.2', 'SEND\n\nfirst\0SEND\ncontent-length:6\n\nsec\0nd\0') as [Frame, Frame];
    expect([first.text, second.text]).toEqual(['first', 'sec\0nd']);
    expect([first, second].map(textOf)).toEqual(['first', 'sec\0nd']);
    expect(first.body).toBe(first.body);
    expect(first.text).toBe('first');
    expect(one('1.2', encodeUtf8('SEND\n\n\ufefffirst\0')).text).toBe('\ufefffirst');
    expect(one('1.2', 'SEND\n\n漢\0').text).toBe('漢');
    expect(one('1.2', Buffer.from('SEND\n\n\xff\0', 'latin1')).text).toBe('\ufffd');
  });

  test('a body may begin with a message of its own, as text or as bytes, and have a NUL at its end', () => {
    for (const body of ['abc', encodeUtf8('abc'), '漢', '\0\0\0']) {
      const decoder = decoderOf('1.2');
      decoder.push('SEND\ncontent-length:3\n\n');
      expect(decoder.next()).toBeUndefined();
      expect(decoder.partial).toBe(true);
      decoder.push(body);
      expect(decoder.next()).toBeUndefined();
      decoder.push('\0');
      expect(pull(decoder).map(textOf)).toEqual([typeof body === 'string' ? body : 'abc']);
      expect(decoder.partial).toBe(false);
    }
  });

  test('bodies stay what they are when more is pushed', () => {
    const decoder = decoderOf('1.2');
    decoder.push('SEND\n\nab');
    expect(decoder.next()).toBeUndefined();
    decoder.push('c\0SE');
    const first = decoder.next();
    expect(decoder.next()).toBeUndefined();
    decoder.push('ND\n\ndef\0');
    const second = decoder.next();
    decoder.push('SEND\n\nxyz\0');
    decoder.push('SEND\n\n123\0');
    expect(pull(decoder).map(textOf)).toEqual(['xyz', '123']);
    expect([first!, second!].map(textOf)).toEqual(['abc', 'def']);
  });

  test('a long body in small pieces comes out whole, with and without content-length', () => {
    const body = Uint8Array.from({ length: 100_000 }, (_, index) => (index % 255) + 1);
    for (const head of ['SEND\n\n', 'SEND\ncontent-length:100000\n\n']) {
      const stream = Buffer.concat([encodeUtf8(head), body, Uint8Array.of(0)]);
      const decoder = decoderOf('1.2', large);
      const frames: Frame[] = [];
      for (let at = 0; at < stream.length; at += 64) {
        decoder.push(stream.subarray(at, at + 64));
        frames.push(...pull(decoder));
      }
      expect(frames).toHaveLength(1);
      expect(Buffer.compare(frames[0]!.body, body)).toBe(0);
    }
  });

  test('text is read as its UTF-8, short or long, whatever was read before', () => {
    const bodies = ['a', '漢'.repeat(10), 'x'.repeat(700), '\u{1f600}'.repeat(300), 'y'.repeat(5_000), 'z'];
    const decoder = decoderOf('1.2', large);
    const frames = [...bodies, ...bodies, ...bodies].flatMap((body) => {
      decoder.push(`SEND\n\n${body}\0`);
      return pull(decoder);
    });
    expect(frames.map(textOf)).toEqual([...bodies, ...bodies, ...bodies]);
  });

  test('a pushed empty piece changes nothing', () => {
    const decoder = decoderOf('1.2');
    decoder.push('');
    expect(decoder.next()).toBeUndefined();
    decoder.push('SEND\n\na');
    decoder.push('');
    decoder.push('\0');
    expect(pull(decoder).map(textOf)).toEqual(['a']);
  });

  test('the work is linear in the length, whatever the pieces', () => {
    const time = (length: number): number => {
      const decoder = decoderOf('1.2', large);
      const began = process.cpuUsage().user;
      decoder.push('SEND\n\n');
      for (let at = 0; at < length; at++) {
        decoder.push('x');
        decoder.next();
      }
      decoder.push('\0');
      expect(decoder.next()?.body).toHaveLength(length);
      return process.cpuUsage().user - began;
    };
    time(20_000);
    // Quadratic work would make this 256 times as much.
    expect(time(640_000)).toBeLessThan(100 * Math.max(time(40_000), 1_000));
  });
});

describe('what was encoded', () => {
  test('[STOMP-16] [STOMP-19] [STOMP-22] what was encoded is decoded to the same, in any pieces', () => {
    const text = fc.string({ unit: 'grapheme' }).filter((each) => !each.includes('\0'));
    const name = text.filter((each) => each !== '' && each !== 'content-length');
    const headers = fc.uniqueArray(fc.tuple(name, text), { selector: ([key]) => key });
    fc.assert(
      fc.property(
        fc.constantFrom<Version>('1.1', '1.2'),
        headers,
        fc.uint8Array(),
        fc.integer({ min: 1, max: 40 }),
        (version, entries, body, size) => {
          const stream = bytesOf(encodeFrame(version, 'SEND', entries, body));
          const decoder = decoderOf(version, large);
          const frames: Frame[] = [];
          for (let at = 0; at < stream.length; at += size) {
            decoder.push(stream.slice(at, at + size));
            frames.push(...pull(decoder));
          }
          expect(frames).toHaveLength(1);
          const received = new Map(frames[0]!.headers);
          received.delete('content-length');
          expect([...received]).toEqual(entries);
          expect([...frames[0]!.body]).toEqual([...body]);
        },
      ),
      { numRuns: 300 },
    );
  });

  test('[STOMP-14] text or bytes, and any cut of either: the same frames, or the same fault', () => {
    const words = [
      '\n',
      '\n\n',
      '\0',
      '\r\n',
      '\r',
      ':',
      '\\',
      '\\c',
      'SEND\n',
      'CONNECT\n',
      'ACK\n',
      'a:b\n',
      'ß',
      '漢',
      ' ',
    ];
    const frame = fc
      .tuple(
        fc.constantFrom('SEND', 'ERROR', 'CONNECT', 'BEGIN'),
        fc.constantFrom('', 'a:b\n', 'a: b\nc:\\n\n'),
        fc.string(),
      )
      .map(([command, lines, body]) => `${command}\n${lines}content-length:${encodeUtf8(body).length}\n\n${body}\0`);
    const stream = fc
      .array(fc.oneof(frame, fc.constantFrom(...words)), { maxLength: 12 })
      .map((parts) => parts.join(''));
    const pieces = fc.array(fc.tuple(fc.integer({ min: 1, max: 90 }), fc.boolean(), fc.boolean()), { minLength: 1 });
    const read = (version: Version, chunks: Iterable<readonly [string | Uint8Array, boolean]>): unknown[] => {
      const decoder = decoderOf(version);
      const frames: Frame[] = [];
      const take = (): void => {
        for (let next = decoder.next(); next; next = decoder.next()) frames.push(next);
      };
      try {
        for (const [chunk, pulled] of chunks) {
          decoder.push(chunk);
          if (pulled) take();
        }
        take();
        return [...plain(frames), decoder.partial];
      } catch (error) {
        return [...plain(frames), String(error)];
      }
    };
    fc.assert(
      fc.property(fc.constantFrom(...versions), stream, pieces, (version, text, cuts) => {
        const characters = [...text];
        const chunks: [string | Uint8Array, boolean][] = [];
        for (let at = 0, turn = 0; at < characters.length; turn++) {
          const [size, asText, pulled] = cuts[turn % cuts.length]!;
          const piece = characters.slice(at, at + size).join('');
          chunks.push([asText ? piece : encodeUtf8(piece), pulled]);
          at += size;
        }
        expect(read(version, chunks)).toEqual(read(version, [[encodeUtf8(text), true]]));
      }),
      { numRuns: 1_000, seed: 14 },
    );
  });

  test('no octets make the decoder throw anything but a ProtocolError', () => {
    const octet = fc.oneof(fc.constantFrom(0, 10, 13, 58, 92, 65, 255), fc.integer({ min: 0, max: 255 }));
    fc.assert(
      fc.property(fc.array(octet, { maxLength: 200 }), fc.constantFrom(...versions), (octets, version) => {
        try {
          decode(version, Uint8Array.from(octets));
        } catch (error) {
          expect(error).toMatchObject({
            name: 'ProtocolError',
            fault: expect.stringMatching(/^(malformed|tooLarge)$/),
          });
        }
      }),
      { numRuns: 500 },
    );
  });
});
