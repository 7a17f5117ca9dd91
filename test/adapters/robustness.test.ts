import { once } from 'node:events';
import { connect } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { listenTcp, type TcpEndpoint } from '../../src/adapters/tcp.ts';
import { type HttpEndpoint, httpEndpoint } from '../support/http-endpoint.ts';
import { closePayload, frameBytes, Opcode, openRaw, type RawWebSocket } from '../support/raw-websocket.ts';
import { echo } from '../support/scripted-session.ts';

const escaped: unknown[] = [];
const note = (error: unknown): void => void escaped.push(error);

let http: HttpEndpoint;
let stream: TcpEndpoint;
let honest: RawWebSocket;
beforeAll(async () => {
  process.on('uncaughtException', note);
  process.on('unhandledRejection', note);
  const options = {
    protocols: [echo(['echo'], { acceptsUnnamed: true })],
    limits: { closeTimeout: 200, maxPayload: 70_000 },
    // Garbage is refused, and that is told.
    onError: (error: unknown) => void ((error as Error).name === 'RefusedHandshake' || note(error)),
  };
  http = await httpEndpoint({ ...options, deflate: true });
  stream = await listenTcp({ ...options, port: 0 });
  honest = await openRaw({ port: http.port, protocols: ['echo'] });
});
afterAll(async () => {
  honest.destroy();
  await http.stop();
  await stream.drain({ deadline: 0 });
  process.off('uncaughtException', note);
  process.off('unhandledRejection', note);
});

/** The process lives, nothing escaped, and a peer that did nothing wrong is served as before. */
async function unharmed(): Promise<void> {
  honest.send('still here');
  expect(await honest.message()).toBe('still here');
  expect(escaped).toEqual([]);
}

const dialogue = Buffer.concat([
  frameBytes({ opcode: Opcode.text, payload: 'hello' }),
  frameBytes({ opcode: Opcode.text, fin: false, payload: 'fra' }),
  frameBytes({ opcode: Opcode.ping, payload: 'p' }),
  frameBytes({ opcode: Opcode.continuation, payload: 'gment' }),
  frameBytes({ opcode: Opcode.binary, payload: Buffer.alloc(200) }),
  frameBytes({ opcode: Opcode.close, payload: closePayload(1000, 'bye') }),
]);

test('[CONN-39] a reset at any byte of a dialogue harms nobody', async () => {
  const cuts = Array.from({ length: 60 }, (_, index) => index * 5).filter((cut) => cut <= dialogue.length);
  for (const cut of cuts) {
    const raw = await openRaw({ port: http.port, protocols: ['echo'] });
    raw.sendBytes(dialogue.subarray(0, cut));
    if (cut % 2) await setImmediate();
    raw.socket.resetAndDestroy();
  }
  await unharmed();
});

test('[CONN-39] garbage in place of frames ends its own connection only', async () => {
  const frame = fc.record({
    opcode: fc.nat(15),
    rsv: fc.nat(7),
    fin: fc.boolean(),
    masked: fc.boolean(),
    payload: fc.uint8Array({ maxLength: 140 }),
  });
  const input = fc.oneof(
    fc.uint8Array({ minLength: 1, maxLength: 400 }),
    fc.array(frame, { minLength: 1, maxLength: 6 }).map((frames) => Buffer.concat(frames.map(frameBytes))),
  );
  await fc.assert(
    fc.asyncProperty(input, fc.boolean(), async (bytes, deflate) => {
      const headers = deflate ? { 'sec-websocket-extensions': 'permessage-deflate' } : {};
      const raw = await openRaw({ port: http.port, protocols: ['echo'], headers });
      raw.sendBytes(bytes);
      raw.socket.end();
      await raw.ended();
    }),
    { numRuns: 150 },
  );
  await unharmed();
});

test('[CONN-39] garbage in place of a handshake harms nobody', async () => {
  const lines = [
    'GET /ws HTTP/1.1',
    'Host: x',
    'Upgrade: websocket',
    'Connection: upgrade',
    'Sec-WebSocket-Version: 13',
  ];
  const header = fc.tuple(
    fc.constantFrom('Sec-WebSocket-Key', 'Sec-WebSocket-Protocol', 'Sec-WebSocket-Extensions', 'Origin', 'Host', 'X'),
    fc.string({ maxLength: 30 }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(header, { maxLength: 6 }), fc.boolean(), async (headers, cut) => {
      const socket = connect({ port: http.port, host: '127.0.0.1' });
      socket.on('error', () => {});
      const request = [...lines, ...headers.map(([name, value]) => `${name}: ${value}`), '', ''].join('\r\n');
      socket.end(cut ? request.slice(0, request.length / 2) : request);
      await once(socket.resume(), 'close');
    }),
    { numRuns: 100 },
  );
  await unharmed();
});

test('[CONN-39] bytes of any kind on a stream, and resets, harm nobody', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 300 }), fc.boolean(), async (bytes, reset) => {
      const socket = connect({ port: stream.port, host: '127.0.0.1' });
      socket.on('error', () => {});
      socket.write(bytes);
      if (reset) {
        await once(socket, 'connect');
        socket.resetAndDestroy();
      } else socket.end();
      await once(socket.resume(), 'close');
    }),
    { numRuns: 100 },
  );
  await unharmed();
});

test('[CONN-39] a flood of pings that reads no pongs is cut', async () => {
  const raw = await openRaw({ port: http.port, protocols: ['echo'] });
  raw.socket.pause();
  const pings = Buffer.concat(
    Array.from({ length: 500 }, () => frameBytes({ opcode: Opcode.ping, payload: Buffer.alloc(125) })),
  );
  // The cut may come as a reset, which has to be awaited without an error.
  const over = new Promise<void>((resolve) => raw.socket.once('close', () => resolve()));
  for (let round = 0; round < 2_000 && !raw.socket.destroyed; round++) {
    if (raw.socket.write(pings)) continue;
    // What the server does not take waits here: it is a client that pays for its flood.
    await Promise.race([new Promise<void>((resolve) => raw.socket.once('drain', resolve)), over, setImmediate()]);
  }
  raw.socket.resume();
  await over;
  await unharmed();
  expect(http.endpoint.stats().open).toBe(1);
});

test('[CONN-38] after many connections of all fates nothing is left', async () => {
  for (let round = 0; round < 40; round++) {
    const all = await Promise.all([1, 2, 3, 4].map(() => openRaw({ port: http.port, protocols: ['echo'] })));
    const [closing, dropped, failing, reset] = all as [RawWebSocket, RawWebSocket, RawWebSocket, RawWebSocket];
    closing.close(1000);
    dropped.destroy();
    failing.send('fail!');
    reset.socket.resetAndDestroy();
    await closing.ended();
    failing.destroy();
  }
  await unharmed();
  honest.close(1000);
  await honest.ended();
  const drained = http.endpoint.drain({ deadline: 0 });
  await drained;
  expect(http.endpoint.stats().open).toBe(0);
  await stream.drain({ deadline: 0 });
  expect(stream.stats().open).toBe(0);
});
