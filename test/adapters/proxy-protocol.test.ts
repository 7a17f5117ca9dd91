import { once } from 'node:events';
import { connect as connectPlain, type Socket as RawSocket } from 'node:net';
import { connect as connectSecure } from 'node:tls';
import fc from 'fast-check';
import { afterEach, expect, test, vi } from 'vitest';
import { readProxyHeader } from '../../src/adapters/proxy-protocol.ts';
import { type ListenTcpOptions, listenTcp } from '../../src/adapters/tcp.ts';
import { certificate } from '../support/certificate.ts';
import { createFakeClock } from '../support/fake-clock.ts';
import { echo } from '../support/scripted-session.ts';

/** A header of version 2: command, family, and what follows the length. */
function version2(command: number, family: number, ...rest: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(rest);
  const head = Buffer.from([
    0x0d,
    0x0a,
    0x0d,
    0x0a,
    0,
    0x0d,
    0x0a,
    0x51,
    0x55,
    0x49,
    0x54,
    0x0a,
    command,
    family,
    0,
    0,
  ]);
  head.writeUInt16BE(body.length, 14);
  return Buffer.concat([head, body]);
}

const four = Buffer.from([203, 0, 113, 7, 10, 0, 0, 1, 0x12, 0x67, 0xf0, 0xad]);
const six = Buffer.concat([
  Buffer.from('20010db8000000000000000000000001', 'hex'),
  Buffer.from('fd000000000000000000000000000001', 'hex'),
  Buffer.from([0, 80, 0, 81]),
]);

const headers: readonly (readonly [what: string, bytes: Buffer, address: string | undefined])[] = [
  ['version 1 over IPv4', Buffer.from('PROXY TCP4 203.0.113.7 10.0.0.1 4711 61613\r\n'), '203.0.113.7'],
  ['version 1 over IPv6', Buffer.from('PROXY TCP6 2001:db8::1 ::1 65535 0\r\n'), '2001:db8::1'],
  ['version 1, unknown', Buffer.from('PROXY UNKNOWN\r\n'), undefined],
  ['version 1, unknown with words', Buffer.from('PROXY UNKNOWN ffff:f..: ffff 65535 65535\r\n'), undefined],
  ['version 2 over IPv4', version2(0x21, 0x11, four), '203.0.113.7'],
  ['version 2 over IPv6', version2(0x21, 0x21, six), '2001:db8::1'],
  ['version 2 with more fields', version2(0x21, 0x11, four, Buffer.from([0x04, 0, 1, 0])), '203.0.113.7'],
  ['version 2, local', version2(0x20, 0x00), undefined],
  ['version 2, a socket of a file system', version2(0x21, 0x31, Buffer.alloc(216)), undefined],
];

test.each(headers)('[CONN-77] %s is read, however it is cut', (_, bytes, address) => {
  for (let cut = 0; cut < bytes.length; cut++) expect(readProxyHeader(bytes.subarray(0, cut))).toBeUndefined();
  expect(readProxyHeader(Buffer.concat([bytes, Buffer.from('CONNECT')]))).toEqual({ address, length: bytes.length });
});

test.each([
  ['none', Buffer.from('CONNECT\n'), /does not begin with/],
  ['TLS', Buffer.from([0x16, 0x03, 0x01]), /does not begin with/],
  ['a line without an end', Buffer.from(`PROXY ${'x'.repeat(200)}`), /more than 107 bytes/],
  ['an end that comes too late', Buffer.from(`PROXY UNKNOWN ${'x'.repeat(92)}\r\n`), /more than 107 bytes/],
  ['another family', Buffer.from('PROXY UDP4 1.1.1.1 1.1.1.1 1 1\r\n'), /names no addresses/],
  ['an address of another family', Buffer.from('PROXY TCP4 ::1 ::1 1 1\r\n'), /names no addresses/],
  ['a name', Buffer.from('PROXY TCP4 localhost 1.1.1.1 1 1\r\n'), /names no addresses/],
  ['a port that is none', Buffer.from('PROXY TCP4 1.1.1.1 1.1.1.1 65536 1\r\n'), /names no addresses/],
  ['a port with a zero before it', Buffer.from('PROXY TCP4 1.1.1.1 1.1.1.1 01 1\r\n'), /names no addresses/],
  ['too many words', Buffer.from('PROXY TCP4 1.1.1.1 1.1.1.1 1 1 1\r\n'), /names no addresses/],
  ['no words', Buffer.from('PROXY \r\n'), /names no addresses/],
  ['version 3', version2(0x31, 0x11, four), /unknown version or command/],
  ['an unknown command', version2(0x22, 0x11, four), /unknown version or command/],
  ['too few bytes for its addresses', version2(0x21, 0x21, four), /too short/],
  ['more than 4,096 bytes', version2(0x21, 0x11, Buffer.alloc(5_000)), /more than 4096 bytes/],
])('[CONN-77] a header with %s is refused', (_, bytes, message) => {
  expect(() => readProxyHeader(bytes)).toThrow(message);
});

test('[CONN-77] bytes of any kind are refused, or more is wanted, within the bounds', () => {
  const begins = fc.constantFrom('PROXY ', 'PROXY TCP4 ', '\r\n\r\n\0\r\nQUIT\n', '\r\n\r\n\0\r\nQUIT\n!', '');
  fc.assert(
    fc.property(begins, fc.uint8Array({ maxLength: 300 }), (start, bytes) => {
      const all = Buffer.concat([Buffer.from(start, 'latin1'), bytes]);
      try {
        const header = readProxyHeader(all);
        if (header) expect(header.length).toBeLessThanOrEqual(all.length);
        else expect(all.length).toBeLessThan(4_096);
      } catch (error) {
        expect((error as Error).message).toMatch(/PROXY protocol/);
      }
    }),
  );
});

// ── over real sockets ────────────────────────────────────────────────────────────────────────────────────────────

const stops: (() => unknown)[] = [];
afterEach(async () => {
  for (const each of stops.splice(0).reverse()) await each();
});

async function serve(options: Partial<ListenTcpOptions> = {}) {
  const errors: unknown[] = [];
  const protocol = echo([], { acceptsUnnamed: true });
  const endpoint = await listenTcp({
    port: 0,
    proxyProtocol: true,
    protocols: [protocol],
    onError: (error) => errors.push(String(error)),
    ...options,
  });
  stops.push(() => endpoint.drain({ deadline: 0 }));
  return { endpoint, protocol, errors };
}

function dial(port: number): RawSocket {
  const socket = connectPlain({ port, host: '127.0.0.1' });
  socket.on('error', () => {});
  stops.push(() => socket.destroy());
  return socket;
}

async function heard(socket: RawSocket, text: string): Promise<void> {
  let all = '';
  socket.on('data', (data: Buffer) => {
    all += String(data);
  });
  await vi.waitFor(() => expect(all).toBe(text));
}

test.each([
  ['with what follows', [Buffer.from('PROXY TCP4 203.0.113.7 10.0.0.1 4711 61613\r\nhello')]],
  [
    'in pieces',
    [
      Buffer.from('PRO'),
      version2(0x21, 0x11, four).subarray(0, 0),
      Buffer.from('XY TCP4 203.0.113.7 10.0.0.1 4711 61613\r'),
      Buffer.from('\nhel'),
      Buffer.from('lo'),
    ],
  ],
  [
    'as version 2',
    [version2(0x21, 0x11, four).subarray(0, 20), version2(0x21, 0x11, four).subarray(20), Buffer.from('hello')],
  ],
])('[CONN-77] behind a proxy the address is the one that its header names, sent %s', async (_, pieces) => {
  const { endpoint, protocol } = await serve();
  const socket = dial(endpoint.port);
  for (const piece of pieces) {
    socket.write(piece);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await heard(socket, 'hello');
  expect(protocol.sessions[0]?.connection.handshake).toMatchObject({ remoteAddress: '203.0.113.7', trusted: true });
});

test('[CONN-77] a proxy that speaks for itself is who it is', async () => {
  const { endpoint, protocol } = await serve();
  const socket = dial(endpoint.port);
  socket.write(Buffer.concat([version2(0x20, 0x00), Buffer.from('hi')]));
  await heard(socket, 'hi');
  expect(protocol.sessions[0]?.connection.handshake).toMatchObject({ remoteAddress: '127.0.0.1', trusted: false });
});

test('[CONN-77] the header goes before TLS', async () => {
  const { endpoint, protocol } = await serve({ tls: await certificate() });
  const socket = dial(endpoint.port);
  await once(socket, 'connect');
  socket.write('PROXY TCP6 2001:db8::1 ::1 4711 61614\r\n');
  const secure = connectSecure({ socket, rejectUnauthorized: false });
  await once(secure, 'secureConnect');
  secure.write('over TLS');
  await heard(secure, 'over TLS');
  expect(protocol.sessions[0]?.connection.handshake).toMatchObject({ remoteAddress: '2001:db8::1', secure: true });
});

test('[CONN-77] a header and the begin of TLS in one piece', async () => {
  const { endpoint } = await serve({ tls: await certificate() });
  const socket = dial(endpoint.port);
  await once(socket, 'connect');
  socket.cork();
  socket.write(version2(0x21, 0x11, four));
  const secure = connectSecure({ socket, rejectUnauthorized: false });
  setImmediate(() => socket.uncork());
  await once(secure, 'secureConnect');
  secure.write('x');
  await heard(secure, 'x');
});

test('[CONN-77] without the option such a header is what the peer says', async () => {
  const { endpoint, protocol } = await serve({ proxyProtocol: false });
  const socket = dial(endpoint.port);
  socket.write('PROXY UNKNOWN\r\n');
  await heard(socket, 'PROXY UNKNOWN\r\n');
  expect(protocol.sessions[0]?.connection.handshake.remoteAddress).toBe('127.0.0.1');
});

test('[CONN-77] [CONN-78] a peer with no header is dropped and told of once; one that sends none in time too', async () => {
  const clock = createFakeClock();
  const { endpoint, errors } = await serve({ clock });
  for (const bytes of ['CONNECT\n', 'GET / HTTP/1.1\r\n\r\n']) {
    const socket = dial(endpoint.port);
    socket.write(bytes);
    await once(socket.resume(), 'close');
  }
  const silent = dial(endpoint.port);
  await once(silent, 'connect');
  const gone = dial(endpoint.port);
  await once(gone, 'connect');
  gone.resetAndDestroy();
  await new Promise((resolve) => setTimeout(resolve, 50));
  const closed = once(silent.resume(), 'close');
  clock.advance(5_010);
  await closed;
  expect(endpoint.stats()).toMatchObject({ open: 0, accepted: 0, refused: 3 });
  expect(errors).toEqual([
    'RefusedHandshake: A connection was dropped: the stream does not begin with a header of the PROXY protocol',
  ]);
});
