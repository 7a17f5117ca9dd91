import { isIP, type Socket as RawSocket } from 'node:net';
import type { Clock, Timed } from '../core/clock.ts';

/** What the PROXY protocol said: the address of the client, or nothing, as for a health check of the proxy itself. */
export interface ProxyHeader {
  /** The address of the client; undefined where the proxy speaks for itself or does not know it. */
  readonly address: string | undefined;
  /** How many bytes the header has. */
  readonly length: number;
}

/** How long a proxy may take to send its header, in ms. It is the first thing that it sends. */
const patience = 5_000;

/** The longest header of version 2 that is read, in bytes: addresses, and fields that proxies add for certificates. */
const longest = 4_096;

/** The longest line of version 1, with its CR LF (PROXY protocol 2.1). */
const longestLine = 107;

const signature = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
const start = Buffer.from('PROXY ', 'latin1');
const port = /^(0|[1-9]\d{0,4})$/;

/**
 * Read a header of the PROXY protocol, version 1 or 2, at the begin of a stream; undefined while it is not complete.
 *
 * Throws an `Error` that says what is wrong when the bytes cannot be one.
 *
 * @example
 * readProxyHeader(Buffer.from('PROXY TCP4 203.0.113.7 10.0.0.1 4711 61613\r\n')); // address 203.0.113.7, length 46
 */
export function readProxyHeader(bytes: Buffer): ProxyHeader | undefined {
  if (begins(bytes, signature)) return bytes.length < 16 ? undefined : readVersion2(bytes);
  if (begins(bytes, start)) return readVersion1(bytes);
  throw new Error('the stream does not begin with a header of the PROXY protocol');
}

/** As far as there are bytes, are they those? */
function begins(bytes: Buffer, wanted: Buffer): boolean {
  const length = Math.min(bytes.length, wanted.length);
  return bytes.compare(wanted, 0, length, 0, length) === 0;
}

function readVersion1(bytes: Buffer): ProxyHeader | undefined {
  const line = bytes.subarray(0, longestLine).toString('latin1');
  const end = line.indexOf('\r\n');
  if (end < 0) {
    if (line.length < longestLine) return undefined;
    throw new Error(`the line of the PROXY protocol has more than ${longestLine} bytes`);
  }
  const [, family = '', address = '', to = '', ...ports] = line.slice(0, end).split(' ');
  const length = end + 2;
  if (family === 'UNKNOWN') return { address: undefined, length };
  const version = family === 'TCP4' ? 4 : family === 'TCP6' ? 6 : 0;
  const valid =
    version !== 0 &&
    isIP(address) === version &&
    isIP(to) === version &&
    ports.length === 2 &&
    ports.every((each) => port.test(each) && Number(each) <= 65_535);
  if (!valid) throw new Error('the line of the PROXY protocol names no addresses');
  return { address, length };
}

function readVersion2(bytes: Buffer): ProxyHeader | undefined {
  const versionAndCommand = bytes.readUInt8(12);
  const command = versionAndCommand & 0x0f;
  if (versionAndCommand >> 4 !== 2 || command > 1) {
    throw new Error('the header of the PROXY protocol has an unknown version or command');
  }
  const length = 16 + bytes.readUInt16BE(14);
  if (length > longest) throw new Error(`the header of the PROXY protocol has more than ${longest} bytes`);
  if (bytes.length < length) return undefined;
  const family = bytes.readUInt8(13) >> 4;
  const addressBytes = family === 1 ? 4 : family === 2 ? 16 : 0;
  // LOCAL, sockets of a file system, and families of the future.
  if (command === 0 || addressBytes === 0) return { address: undefined, length };
  if (length < 16 + 2 * addressBytes + 4)
    throw new Error('the header of the PROXY protocol is too short for its addresses');
  const address = bytes.subarray(16, 16 + addressBytes);
  return { address: addressBytes === 4 ? address.join('.') : textOf(address), length };
}

/** An address of version 6, as Node writes those of sockets: the longest run of zeros left out (RFC 5952). */
function textOf(address: Buffer): string {
  const groups = Array.from({ length: 8 }, (_, index) => address.readUInt16BE(index * 2).toString(16));
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1);
}

/**
 * Wait for the header at the begin of a stream. What follows it is put back, the socket is paused, and `then` gets what
 * the header said; `failed` is called instead when it is malformed or does not come in time. Neither is called if the
 * peer goes away.
 *
 * @example
 * awaitProxyHeader(socket, clock, ({ address }) => serve(socket, address), ({ message }) => socket.destroy());
 */
export function awaitProxyHeader(
  socket: RawSocket,
  clock: Clock,
  then: (header: ProxyHeader) => void,
  failed: (error: Error) => void,
): void {
  let bytes: Buffer = Buffer.alloc(0);
  const timer: Timed = {
    deadline: clock.now() + patience,
    tick() {
      leave();
      failed(new Error('the header of the PROXY protocol did not come in time'));
    },
  };
  function leave(): void {
    clock.forget(timer);
    socket.off('data', heard);
    socket.off('close', leave);
  }
  function heard(data: Buffer): void {
    bytes = bytes.length === 0 ? data : Buffer.concat([bytes, data]);
    let header: ProxyHeader | undefined;
    try {
      header = readProxyHeader(bytes);
    } catch (error) {
      leave();
      failed(error as Error);
      return;
    }
    if (!header) return;
    leave();
    socket.pause();
    if (bytes.length > header.length) socket.unshift(bytes.subarray(header.length));
    then(header);
  }
  clock.watch(timer);
  socket.on('data', heard);
  socket.on('close', leave);
}
