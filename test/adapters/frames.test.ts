import { once } from 'node:events';
import { connect as connectTcp, createServer, type Server, type Socket } from 'node:net';
import { connect as connectTls, createServer as createSecureServer } from 'node:tls';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { writeFrames } from '../../src/adapters/frames.ts';
import { encodeUtf8, type Wire } from '../../src/core/wire.ts';
import { certificate } from '../support/certificate.ts';
import { httpEndpoint } from '../support/http-endpoint.ts';
import { Opcode, openRaw } from '../support/raw-websocket.ts';
import { scripted } from '../support/scripted-session.ts';

/** What RFC 6455 5.2 says, in a few slow lines. */
function expected({ head, tail, binary }: Wire): Buffer {
  const payload = Buffer.concat([typeof head === 'string' ? Buffer.from(head) : head, tail ?? Buffer.alloc(0)]);
  const first = binary ? 0x82 : 0x81;
  if (payload.length < 126) return Buffer.concat([Buffer.from([first, payload.length]), payload]);
  if (payload.length < 65_536) {
    return Buffer.concat([Buffer.from([first, 126, payload.length >> 8, payload.length & 255]), payload]);
  }
  const length = Buffer.alloc(8);
  length.writeBigUInt64BE(BigInt(payload.length));
  return Buffer.concat([Buffer.from([first, 127]), length, payload]);
}

interface Pair {
  readonly from: Socket;
  readonly to: Socket;
}

const servers: Server[] = [];
const sockets: Socket[] = [];

async function pair(secure: boolean): Promise<Pair> {
  const server = secure ? createSecureServer(await certificate()) : createServer();
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const accepted = once(server, secure ? 'secureConnection' : 'connection');
  const to = secure
    ? connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false })
    : connectTcp({ port, host: '127.0.0.1' });
  const [from] = (await accepted) as [Socket];
  sockets.push(from, to);
  return { from, to };
}

let plain: Pair;
let secure: Pair;
beforeAll(async () => {
  [plain, secure] = await Promise.all([pair(false), pair(true)]);
});
afterAll(() => {
  for (const socket of sockets) socket.destroy();
  for (const server of servers) server.close();
});

async function read(socket: Socket, count: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  for (let have = 0; have < count; ) {
    const part = socket.read() as Buffer | null;
    if (part) {
      parts.push(part);
      have += part.length;
    } else await once(socket, 'readable');
  }
  return Buffer.concat(parts);
}

async function written(wires: readonly Wire[], { from, to }: Pair = plain): Promise<void> {
  const bytes = Buffer.concat(wires.map(expected));
  writeFrames(from, wires);
  expect(Buffer.compare(await read(to, bytes.length), bytes)).toBe(0);
}

const wire = (head: string | number, tail?: number, binary = false): Wire => ({
  head: typeof head === 'string' ? head : new Uint8Array(head).fill(7),
  tail: tail === undefined ? undefined : new Uint8Array(tail).fill(8),
  binary,
});

const boundaries = [0, 1, 124, 125, 126, 127, 16_383, 16_384, 16_385, 65_535, 65_536, 65_537, 200_000];

test.each(boundaries)('[RFC6455-7] [RFC6455-8] a message of %i bytes, as head, as tail and as both', async (size) => {
  await written([wire('x'.repeat(size))]);
  await written([wire(size, undefined, true)]);
  await written([wire('', size, true)]);
  await written([wire('x'.repeat(Math.min(size, 10)), Math.max(0, size - 10))]);
});

test('[RFC6455-7] text outside of ASCII is counted in bytes', async () => {
  for (const text of ['é', '漢字', '😀', '\ud800', 'é'.repeat(63), '漢'.repeat(42), 'é'.repeat(30_000)]) {
    await written([wire(text), wire(text, 5), wire('ascii')]);
  }
});

test('many messages in one write, below and above the size of the shared buffer', async () => {
  for (const count of [1, 10, 100, 700, 2_000]) {
    await written(Array.from({ length: count }, (_, index) => wire(`message ${index} é`, index % 90, index % 2 === 0)));
  }
});

test('a socket that holds bytes already gets its own buffer: nothing that waits is overwritten', async () => {
  const { from, to } = await pair(false);
  const batches = Array.from({ length: 3_000 }, (_, index) => [wire(`${index} `.repeat(200)), wire(1_000, 500, true)]);
  for (const wires of batches) writeFrames(from, wires);
  expect(from.writableLength).toBeGreaterThan(0);
  const bytes = Buffer.concat(batches.flat().map(expected));
  expect(Buffer.compare(await read(to, bytes.length), bytes)).toBe(0);
});

test('two sockets that share the buffer in one turn do not mix', async () => {
  const [one, two] = [await pair(false), await pair(false)];
  const [first, second] = [[wire('one'.repeat(5_000))], [wire('two'.repeat(5_000))]];
  // The first socket is full: what it holds must survive what the second one writes.
  const rounds = 800;
  for (let round = 0; round < rounds; round++) {
    writeFrames(one.from, first);
    writeFrames(two.from, second);
    if (round % 50 === 0) await read(two.to, 1);
  }
  const bytes = expected(first[0] as Wire);
  const got = await read(one.to, bytes.length * rounds);
  for (let round = 0; round < rounds; round++) {
    expect(Buffer.compare(got.subarray(round * bytes.length, (round + 1) * bytes.length), bytes)).toBe(0);
  }
});

test('over TLS', async () => {
  await written(
    boundaries.map((size) => wire('é', size, true)),
    secure,
  );
  for (let round = 0; round < 20; round++) await written([wire(`round ${round}`), wire(3)], secure);
});

test('whatever is written, a reader of RFC 6455 reads back', async () => {
  const head = fc.oneof(
    fc.string({ unit: 'grapheme' }),
    fc.uint8Array({ maxLength: 300 }),
    fc.constant('x'.repeat(20_000)),
  );
  const tail = fc.option(fc.uint8Array({ maxLength: 300 }), { nil: undefined });
  const wires = fc.array(fc.record({ head, tail, binary: fc.boolean() }), { maxLength: 20 });
  await fc.assert(
    fc.asyncProperty(wires, async (all) => written(all)),
    { numRuns: 60 },
  );
});

test('control frames of the connection never stand inside a message', async () => {
  const protocol = scripted(['plain']);
  const { port, stop } = await httpEndpoint({ protocols: [protocol], limits: { pingInterval: 20 } });
  const raw = await openRaw({ port, protocols: ['plain'] });
  const { connection } = protocol.sessions[0] ?? {};
  const tail = encodeUtf8('t'.repeat(100_000));
  for (let index = 0; index < 40; index++) {
    connection?.send({ head: `${index} `, tail, binary: false });
    // Answered by a pong, while data is on its way.
    raw.sendFrame({ opcode: Opcode.ping, payload: String(index) });
  }
  const messages: string[] = [];
  const pongs: string[] = [];
  while (messages.length < 40 || pongs.length < 40) {
    const { opcode, fin, text } = await raw.frame();
    expect(fin).toBe(true);
    if (opcode === Opcode.text) messages.push(text.slice(0, text.indexOf(' ')));
    else if (opcode === Opcode.pong) pongs.push(text);
    else expect(opcode).toBe(Opcode.ping);
    if (opcode === Opcode.text) expect(text.length).toBe(messages.length <= 10 ? 100_002 : 100_003);
  }
  const numbers = Array.from({ length: 40 }, (_, index) => String(index));
  expect([messages, pongs]).toEqual([numbers, numbers]);
  raw.destroy();
  await stop();
});
