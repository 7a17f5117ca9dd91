import { setImmediate } from 'node:timers/promises';
import { constants, deflateRawSync, inflateRawSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type HttpEndpoint, httpEndpoint } from '../support/http-endpoint.ts';
import {
  closePayload,
  type FrameToSend,
  frameBytes,
  Opcode,
  openRaw,
  type RawFrame,
  type RawWebSocket,
} from '../support/raw-websocket.ts';
import { echo } from '../support/scripted-session.ts';

let plain: HttpEndpoint;
let deflating: HttpEndpoint;
beforeAll(async () => {
  const options = { protocols: [echo(['echo'])], limits: { closeTimeout: 500 }, onError: () => {} };
  [plain, deflating] = await Promise.all([httpEndpoint(options), httpEndpoint({ ...options, deflate: true })]);
});
afterAll(() => Promise.all([plain.stop(), deflating.stop()]));

const open = async (): Promise<RawWebSocket> => {
  const raw = await openRaw({ port: plain.port, protocols: ['echo'] });
  raw.socket.setNoDelay(true);
  return raw;
};

const bytesOf = (size: number): Buffer => Buffer.from(Array.from({ length: size }, (_, index) => (index * 31) % 251));
const text = (payload: string | Uint8Array, fin = true): FrameToSend => ({ opcode: Opcode.text, payload, fin });
const more = (payload: string | Uint8Array, fin = true): FrameToSend => ({ opcode: Opcode.continuation, payload, fin });
const ping = (payload: string | Uint8Array = ''): FrameToSend => ({ opcode: Opcode.ping, payload });
const close = (payload: string | Uint8Array = ''): FrameToSend => ({ opcode: Opcode.close, payload });

/** Send frames on a connection of its own; after the last words it has to be closed with this code. */
async function refusedWith(code: number, ...frames: readonly FrameToSend[]): Promise<void> {
  const raw = await open();
  raw.sendBytes(Buffer.concat(frames.map(frameBytes)));
  const seen: RawFrame[] = [];
  for (let frame = await raw.frame(); ; frame = await raw.frame()) {
    seen.push(frame);
    if (frame.opcode === Opcode.close) break;
  }
  const last = seen.at(-1) as RawFrame;
  const words = code === 1009 ? 'tooLarge' : 'malformed';
  expect([last.payload.readUInt16BE(), last.text.slice(2)]).toEqual([code, words]);
  expect(seen.at(-2)?.text).toBe(`fault ${words}`);
  raw.destroy();
}

// ── 5.2 framing ──────────────────────────────────────────────────────────────────────────────────────────────────

const sizes = [0, 1, 125, 126, 127, 128, 65_535, 65_536, 200_000];
const chops = [1, 2, 7, 997, 65_536];
const framing = sizes.flatMap((size) => chops.filter((chop) => size / chop < 300).map((chop) => [size, chop] as const));

test.each(framing)('[RFC6455-7] [RFC6455-8] %i bytes, in chops of %i, come back as they were', async (size, chop) => {
  const raw = await open();
  for (const opcode of [Opcode.binary, Opcode.text]) {
    const payload = opcode === Opcode.text ? Buffer.alloc(size, 'x') : bytesOf(size);
    const bytes = frameBytes({ opcode, payload });
    for (let at = 0; at < bytes.length; at += chop) {
      raw.sendBytes(bytes.subarray(at, at + chop));
      if (chop < 997) await setImmediate();
    }
    const frame = await raw.frame();
    expect([frame.opcode, frame.fin, frame.rsv, Buffer.compare(frame.payload, payload)]).toEqual([opcode, true, 0, 0]);
  }
  raw.destroy();
});

test('[RFC6455-8] many frames in one read come back in order', async () => {
  const raw = await open();
  const numbers = Array.from({ length: 500 }, (_, index) => String(index));
  raw.sendBytes(Buffer.concat(numbers.map((number) => frameBytes(text(number)))));
  for (const number of numbers) expect(await raw.message()).toBe(number);
  raw.destroy();
});

test('[RFC6455-9] a server masks nothing', async () => {
  const raw = await open();
  raw.socket.removeAllListeners('data');
  const first = new Promise<Buffer>((resolve) => raw.socket.once('data', resolve));
  raw.send('hello');
  expect([...(await first)]).toEqual([0x81, 5, ...Buffer.from('hello')]);
  raw.destroy();
});

test.each([Opcode.text, Opcode.binary, Opcode.ping, Opcode.pong, Opcode.close])(
  '[RFC6455-10] an unmasked frame with opcode %i is a 1002',
  (opcode) => refusedWith(1002, { opcode, masked: false }),
);

test('[RFC6455-11] a length of more than 63 bits, or more than can be counted, is refused', async () => {
  await refusedWith(1009, { opcode: Opcode.binary, length: 2 ** 62 });
  await refusedWith(1009, { opcode: Opcode.binary, length: 2 ** 63 });
});

for (const rsv of [1, 2, 3, 4, 5, 6, 7]) {
  test.each([Opcode.text, Opcode.binary, Opcode.ping, Opcode.pong, Opcode.close])(
    `[RFC6455-12] reserved bits ${rsv} on opcode %i are a 1002`,
    (opcode) => refusedWith(1002, { opcode, rsv }),
  );
}

test.each([3, 4, 5, 6, 7, 11, 12, 13, 14, 15])('[RFC6455-13] opcode %i is a 1002', async (opcode) => {
  await refusedWith(1002, { opcode });
  await refusedWith(1002, text('before'), { opcode, payload: 'x' });
  await refusedWith(1002, text('be', false), { opcode, payload: 'x' }, more('fore'));
});

// ── 5.4 fragments ────────────────────────────────────────────────────────────────────────────────────────────────

test.each([
  ['two', [text('he', false), more('llo')]],
  ['empty ones', [text('', false), more('', false), more('hello', false), more('')]],
  ['one per byte', [text('h', false), more('e', false), more('l', false), more('l', false), more('o')]],
  ['a ping between', [text('he', false), ping('p'), more('llo')]],
  ['a pong between', [text('he', false), { opcode: Opcode.pong, payload: 'x' }, more('llo')]],
] as [string, FrameToSend[]][])('[RFC6455-14] [RFC6455-15] fragments, %s, make one message', async (_, frames) => {
  const raw = await open();
  for (const frame of frames) {
    raw.sendFrame(frame);
    await setImmediate();
  }
  if (frames.some(({ opcode }) => opcode === Opcode.ping)) {
    expect(await raw.frame()).toMatchObject({ opcode: Opcode.pong, text: 'p' });
  }
  expect(await raw.frame()).toMatchObject({ opcode: Opcode.text, fin: true, text: 'hello' });
  raw.destroy();
});

test('[RFC6455-14] the first fragment says what a message is', async () => {
  const raw = await open();
  raw.sendFrame({ opcode: Opcode.binary, fin: false, payload: Buffer.from([0xff]) });
  raw.sendFrame(more(Buffer.from([0xfe])));
  expect(await raw.frame()).toMatchObject({ opcode: Opcode.binary, payload: Buffer.from([0xff, 0xfe]) });
  raw.destroy();
});

test.each([
  ['a continuation of nothing', [more('x')]],
  ['an unfinished continuation of nothing', [more('x', false)]],
  ['a continuation after the end', [text('a', false), more('b'), more('c')]],
  ['a text inside a message', [text('a', false), text('b')]],
  ['a binary inside a message', [text('a', false), { opcode: Opcode.binary, payload: 'b' }]],
  ['an unfinished text inside a message', [text('a', false), text('b', false)]],
] as [string, FrameToSend[]][])('[RFC6455-16] %s is a 1002', (_, frames) => refusedWith(1002, ...frames));

test.each([64, 1_024, 65_536])('[RFC6455-14] 60 KiB and more in fragments of %i bytes', async (size) => {
  const raw = await open();
  const payload = bytesOf(Math.max(61_440, size * 10));
  for (let at = 0; at < payload.length; at += size) {
    const fin = at + size >= payload.length;
    raw.sendFrame({ opcode: at === 0 ? Opcode.binary : 0, fin, payload: payload.subarray(at, at + size) });
  }
  expect(Buffer.compare((await raw.frame()).payload, payload)).toBe(0);
  raw.destroy();
});

// ── 5.5 control frames ───────────────────────────────────────────────────────────────────────────────────────────

test.each([0, 1, 124, 125])('[RFC6455-17] a ping of %i bytes is answered with the same bytes', async (size) => {
  const raw = await open();
  for (const payload of [bytesOf(size), Buffer.alloc(size, 0xff)]) {
    raw.sendFrame(ping(payload));
    expect(await raw.frame()).toMatchObject({ opcode: Opcode.pong, fin: true, payload });
  }
  raw.destroy();
});

test('[RFC6455-17] ten pings are answered in order, also one that comes byte by byte', async () => {
  const raw = await open();
  for (let index = 0; index < 10; index++) raw.sendFrame(ping(String(index)));
  for (let index = 0; index < 10; index++) expect((await raw.frame()).text).toBe(String(index));
  for (const byte of frameBytes(ping('slowly'))) {
    raw.sendBytes(Buffer.from([byte]));
    await setImmediate();
  }
  expect((await raw.frame()).text).toBe('slowly');
  raw.destroy();
});

test('[RFC6455-18] pongs that nobody asked for are passed over', async () => {
  const raw = await open();
  for (const payload of ['', 'x', 'y'.repeat(125)]) raw.sendFrame({ opcode: Opcode.pong, payload });
  raw.send('on');
  expect((await raw.frame()).text).toBe('on');
  raw.destroy();
});

test.each([Opcode.ping, Opcode.pong, Opcode.close])(
  '[RFC6455-19] opcode %i with more than 125 bytes is a 1002',
  async (opcode) => {
    await refusedWith(1002, { opcode, payload: Buffer.alloc(126, 0x03) });
    await refusedWith(1002, { opcode, length: 65_536 });
  },
);

test.each([Opcode.ping, Opcode.pong, Opcode.close])('[RFC6455-20] opcode %i in fragments is a 1002', async (opcode) => {
  await refusedWith(1002, { opcode, fin: false }, more(''));
  await refusedWith(1002, text('a', false), { opcode, fin: false });
});

// ── 8.1 UTF-8 ────────────────────────────────────────────────────────────────────────────────────────────────────

const boundaryPoints = [
  0x0, 0x1, 0x7f, 0x80, 0x7ff, 0x800, 0xfff, 0x1000, 0xd7ff, 0xe000, 0xfdd0, 0xfeff, 0xfffd, 0xfffe, 0xffff, 0x1_0000,
  0x1_ffff, 0x3_ffff, 0x4_0000, 0xf_ffff, 0x10_0000, 0x10_fffe, 0x10_ffff,
];

test('[RFC6455-21] every boundary code point, whole and cut at every byte, comes back', async () => {
  const raw = await open();
  for (const point of boundaryPoints) {
    const payload = Buffer.from(`κ${String.fromCodePoint(point)}z`);
    const expected = payload.toString();
    raw.sendFrame(text(payload));
    expect(await raw.message()).toBe(expected);
    for (let cut = 0; cut <= payload.length; cut++) {
      raw.sendFrame(text(payload.subarray(0, cut), false));
      raw.sendFrame(more(payload.subarray(cut)));
      expect(await raw.message()).toBe(expected);
    }
  }
  raw.destroy();
});

/** A number in the form that RFC 3629 forbids for it, or that it has no form for. */
function utf8Form(point: number, bytes: number): number[] {
  const tail = Array.from({ length: bytes - 1 }, (_, index) => 0x80 | ((point >>> (6 * (bytes - 2 - index))) & 0x3f));
  const lead = bytes === 1 ? point : ((0xff00 >> bytes) & 0xff) | (point >>> (6 * (bytes - 1)));
  return [lead & 0xff, ...tail];
}

const badUtf8: readonly (readonly [string, readonly number[]])[] = [
  ...[0x80, 0xbf].map((byte) => [`a continuation ${byte.toString(16)} alone`, [byte]] as const),
  ...[0xc0, 0xc1, 0xf5, 0xf8, 0xfc, 0xfe, 0xff].map(
    (byte) => [`the octet ${byte.toString(16)}`, [byte, 0x80]] as const,
  ),
  ['a lead of two, cut', [0xc2]],
  ['a lead of three, cut', [0xe2, 0x82]],
  ['a lead of four, cut', [0xf0, 0x9f, 0x98]],
  ['a lead of two without a continuation', [0xc2, 0x41]],
  ['a lead of three without its second', [0xe2, 0x82, 0x41]],
  ['a lead of four without its third', [0xf0, 0x9f, 0x98, 0x41]],
  ...[2, 3, 4].map((bytes) => [`a slash in ${bytes} bytes`, utf8Form(0x2f, bytes)] as const),
  ...[2, 3, 4].map((bytes) => [`a NUL in ${bytes} bytes`, utf8Form(0, bytes)] as const),
  ['U+7FF in three bytes', utf8Form(0x7ff, 3)],
  ['U+FFFF in four bytes', utf8Form(0xffff, 4)],
  ...[0xd800, 0xdb7f, 0xdbff, 0xdc00, 0xdf80, 0xdfff].map(
    (point) => [`the surrogate ${point.toString(16)}`, utf8Form(point, 3)] as const,
  ),
  ['a pair of surrogates', [...utf8Form(0xd83d, 3), ...utf8Form(0xde00, 3)]],
  ['U+110000', utf8Form(0x11_0000, 4)],
  ['U+1FFFFF', utf8Form(0x1f_ffff, 4)],
];

test.each(badUtf8)('[RFC6455-22] %s is a 1007, whole and cut at every byte', async (_, bytes) => {
  const payload = Buffer.from([0x6b, ...bytes]);
  await Promise.all([
    refusedWith(1007, text(payload)),
    ...Array.from(payload, (__, cut) =>
      refusedWith(1007, text(payload.subarray(0, cut), false), more(payload.subarray(cut))),
    ),
  ]);
});

test('[RFC6455-22] what is no text in a binary message is nobody else’s business', async () => {
  const raw = await open();
  for (const [, bytes] of badUtf8) {
    raw.send(Buffer.from(bytes));
    expect((await raw.frame()).payload).toEqual(Buffer.from(bytes));
  }
  raw.destroy();
});

// ── 7 closing ────────────────────────────────────────────────────────────────────────────────────────────────────

test.each([1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999])(
  '[RFC6455-23] a close with %i is answered with the same code, then the server hangs up',
  async (code) => {
    const raw = await open();
    raw.close(code, 'bye');
    expect((await raw.closed()).code).toBe(code);
    expect(await raw.ended()).toBe('');
  },
);

test('[RFC6455-24] a close without a code is answered without one', async () => {
  const raw = await open();
  raw.sendFrame(close());
  expect(await raw.closed()).toEqual({ code: 1005, reason: '' });
  await raw.ended();
});

test.each([0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535])(
  '[RFC6455-25] a close with %i, which may not be sent, is a 1002',
  (code) => refusedWith(1002, close(closePayload(code, 'bye'))),
);

test('[RFC6455-26] a close with one byte is a 1002', () => refusedWith(1002, close(Buffer.from([3]))));

test.each(badUtf8)('[RFC6455-27] a close reason with %s is a 1007', (_, bytes) =>
  refusedWith(1007, close(Buffer.concat([closePayload(1000), Buffer.from(bytes)]))),
);

test('[RFC6455-28] a reason of 123 bytes is fine', async () => {
  const raw = await open();
  raw.close(4000, '漢'.repeat(41));
  expect((await raw.closed()).code).toBe(4000);
  raw.destroy();
});

test('[RFC6455-29] after a close nothing is answered any more', async () => {
  const raw = await open();
  raw.sendBytes(
    Buffer.concat([text('before'), close(closePayload(1000)), text('after'), ping('x'), close()].map(frameBytes)),
  );
  expect((await raw.frame()).text).toBe('before');
  expect((await raw.frame()).opcode).toBe(Opcode.close);
  expect(await raw.ended()).toBe('');
});

test('[RFC6455-29] after our close only the answer of the peer is waited for', async () => {
  const raw = await open();
  raw.send('fail!');
  expect((await raw.frame()).text).toBe('fault malformed');
  expect((await raw.frame()).opcode).toBe(Opcode.close);
  raw.send('after');
  raw.close(4400);
  expect(await raw.ended()).toBe('');
});

test('[RFC6455-30] the server hangs up first, once both close frames have passed', async () => {
  const raw = await open();
  raw.close(1000);
  await raw.closed();
  await raw.ended();
  expect(raw.socket.readableEnded).toBe(true);
});

test('[CONN-26] a peer that never answers a close is dropped', async () => {
  const raw = await open();
  const startedAt = performance.now();
  raw.send('fail!');
  await raw.closed();
  await raw.ended();
  expect(performance.now() - startedAt).toBeGreaterThan(400);
  expect(performance.now() - startedAt).toBeLessThan(5_000);
});

// ── 9 sizes ──────────────────────────────────────────────────────────────────────────────────────────────────────

test('[CONN-40] [RFC6455-31] a message of exactly maxPayload passes, one byte more is a 1009', async () => {
  const raw = await open();
  const payload = Buffer.alloc(4_194_304, 'x');
  raw.send(payload);
  expect((await raw.frame()).payload.length).toBe(payload.length);
  raw.destroy();
  await refusedWith(1009, { opcode: Opcode.binary, length: 4_194_305 });
  await refusedWith(1009, { opcode: Opcode.binary, fin: false, payload }, more('x'));
});

// ── RFC 7692 ─────────────────────────────────────────────────────────────────────────────────────────────────────

const flush = { finishFlush: constants.Z_SYNC_FLUSH };
const squeeze = (data: string | Uint8Array, windowBits = 15): Buffer =>
  deflateRawSync(data, { ...flush, windowBits }).subarray(0, -4);
const expand = (data: Uint8Array): Buffer =>
  inflateRawSync(Buffer.concat([data, Buffer.from([0, 0, 0xff, 0xff])]), flush);
const compressed = (opcode: number, data: string | Uint8Array, windowBits?: number): FrameToSend => ({
  opcode,
  rsv: 4,
  payload: squeeze(data, windowBits),
});

const openDeflate = (offer = 'permessage-deflate'): Promise<RawWebSocket> =>
  openRaw({ port: deflating.port, protocols: ['echo'], headers: { 'sec-websocket-extensions': offer } });

test('[RFC6455-32] deflate is off unless it was switched on, whatever a client offers', async () => {
  const raw = await openRaw({
    port: plain.port,
    protocols: ['echo'],
    headers: { 'sec-websocket-extensions': 'permessage-deflate' },
  });
  expect(raw.headers['sec-websocket-extensions']).toBeUndefined();
  raw.destroy();
});

const windows = ['', '; client_max_window_bits', '; client_max_window_bits=10', '; server_max_window_bits=9'];
const takeovers = ['', '; client_no_context_takeover', '; server_no_context_takeover'];
const product = windows.flatMap((window) => takeovers.map((takeover) => `permessage-deflate${window}${takeover}`));

test.each(product)('[RFC6455-33] [RFC6455-34] offered "%s", messages of all sizes come back', async (offer) => {
  const raw = await openDeflate(offer);
  expect(raw.headers['sec-websocket-extensions']).toMatch(/^permessage-deflate; /);
  const bits = /client_max_window_bits=(\d+)/.exec(raw.headers['sec-websocket-extensions'] ?? '')?.[1] ?? 15;
  for (const size of [0, 1, 125, 126, 1_023, 1_024, 65_536, 300_000]) {
    for (const payload of [Buffer.alloc(size, 'abcdefg'), bytesOf(size)]) {
      raw.sendFrame(compressed(Opcode.binary, payload, Number(bits)));
      const { rsv, payload: answer } = await raw.frame();
      // Short ones are not worth it.
      expect(rsv).toBe(size < 1_024 ? 0 : 4);
      expect(Buffer.compare(rsv === 4 ? expand(answer) : answer, payload)).toBe(0);
    }
  }
  raw.destroy();
});

test('[RFC6455-34] messages that are not compressed are read as well', async () => {
  const raw = await openDeflate();
  raw.send('as it is');
  expect(await raw.message()).toBe('as it is');
  raw.destroy();
});

test('[RFC6455-35] a compressed message in fragments has the bit on the first one only', async () => {
  const raw = await openDeflate();
  const bytes = squeeze('hello '.repeat(100));
  raw.sendFrame({ opcode: Opcode.text, fin: false, rsv: 4, payload: bytes.subarray(0, 5) });
  raw.sendFrame(ping('between'));
  raw.sendFrame(more(bytes.subarray(5)));
  expect((await raw.frame()).text).toBe('between');
  expect(await raw.message()).toBe('hello '.repeat(100));
  raw.sendFrame({ opcode: Opcode.text, fin: false, rsv: 4, payload: bytes.subarray(0, 5) });
  raw.sendFrame({ opcode: Opcode.continuation, rsv: 4, payload: bytes.subarray(5) });
  expect((await raw.closed()).code).toBe(1002);
  raw.destroy();
});

test.each([
  ['a ping', { opcode: Opcode.ping, rsv: 4 }, 1002],
  ['a close', { opcode: Opcode.close, rsv: 4 }, 1002],
  ['another reserved bit', { opcode: Opcode.text, rsv: 6 }, 1002],
  ['bytes that are no deflate', { opcode: Opcode.text, rsv: 4, payload: Buffer.from([0xff, 0xff, 0xff]) }, 1007],
  ['text that is not UTF-8', { opcode: Opcode.text, rsv: 4, payload: squeeze(Buffer.from([0xff, 0xfe])) }, 1007],
] as [string, FrameToSend, number][])('[RFC6455-36] under deflate, %s is refused', async (_, frame, code) => {
  const raw = await openDeflate();
  raw.sendFrame(frame);
  expect(await raw.message()).toBe('fault malformed');
  expect((await raw.closed()).code).toBe(code);
  raw.destroy();
});

test('[RFC6455-37] [CONN-40] a bomb is refused by what it would become', async () => {
  const raw = await openDeflate();
  raw.sendFrame(compressed(Opcode.binary, Buffer.alloc(50_000_000)));
  expect(await raw.message()).toBe('fault tooLarge');
  expect((await raw.closed()).code).toBe(1009);
  raw.destroy();
});

test.each(['permessage-deflate; x=1', 'permessage-deflate; server_max_window_bits=99', 'permessage-deflate; =', ';'])(
  '[RFC6455-39] an offer that is wrong, "%s", is no reason to guess',
  async (offer) => {
    const raw = await openDeflate(offer);
    expect(raw.status).toBe(400);
    raw.destroy();
  },
);

test('[RFC6455-39] extensions that nobody here knows are declined', async () => {
  const raw = await openDeflate('x-webkit-deflate-frame, foo; bar=1');
  expect([raw.status, raw.headers['sec-websocket-extensions']]).toEqual([101, undefined]);
  raw.destroy();
});
