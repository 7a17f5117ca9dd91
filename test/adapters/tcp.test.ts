import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, Socket as RawSocket } from 'node:net';
import { expect, test, vi } from 'vitest';
import { listenTcp, tcp } from '../../src/adapters/tcp.ts';
import type { Attempt, Socket } from '../../src/core/socket.ts';
import { echo, scripted } from '../support/scripted-session.ts';
import { adapterSuite } from './suite.ts';
import { ownStreamClient, rawStreamClient } from './suite-clients.ts';

adapterSuite('tcp', {
  framed: false,
  async serve(options) {
    const endpoint = await listenTcp({ ...options, port: 0 });
    return { port: endpoint.port, stats: endpoint.stats, stop: () => endpoint.drain({ deadline: 0 }) };
  },
  clients: {
    'our client': ownStreamClient(false),
    'a raw client': rawStreamClient(async (port) => {
      const socket = connect({ port, host: '127.0.0.1' });
      await once(socket, 'connect');
      return socket;
    }),
  },
});

const unnamed = { acceptsUnnamed: true };

test('[CONN-10] listenTcp names the option that is wrong', async () => {
  for (const port of [-1, 65_536, 1.5, '5' as never]) {
    await expect(listenTcp({ port, protocols: [echo()] })).rejects.toThrow(/^port must be a number from 0 to 65535/);
  }
  await expect(listenTcp({ port: 0, protocols: [echo()] })).rejects.toThrow(
    /^protocols must hold one that speaks over/,
  );
  await expect(listenTcp({ port: 0, protocols: [] })).rejects.toThrow(/^protocols must list/);
  for (const port of [0, 65_536, 1.5, '5' as never]) {
    expect(() => tcp({ port })).toThrow(/^tcp\(\): port must be a number from 1 to 65535/);
  }
});

test('[CONN-19] the system probes a stream that is silent, on either side', async () => {
  const endpoint = await listenTcp({ port: 0, protocols: [echo([], unnamed)] });
  const give = await new Promise<() => void>((resolve, reject) => {
    const attempt: Attempt = {
      failed: (_code, reason) => reject(new Error(reason)),
      opened: (socket) => {
        resolve(() => socket.terminate());
        return { received() {}, drained() {}, closed() {} };
      },
    };
    tcp({ port: endpoint.port })('', [], attempt);
  });
  const port = `:${endpoint.port.toString(16).toUpperCase().padStart(4, '0')}`;
  // The timer 02 is that of keep-alive (Linux, proc_net_tcp).
  const timers = (): string[] =>
    readFileSync('/proc/net/tcp', 'latin1')
      .split('\n')
      .map((line) => line.trim().split(/ +/))
      .filter(([, local = '', remote = '', state]) => state === '01' && `${local} ${remote}`.includes(port))
      .map((fields) => (fields[5] as string).slice(0, 2));
  await vi.waitFor(() => expect(timers()).toEqual(['02', '02']));
  give();
  await endpoint.drain({ deadline: 0 });
});

test('a port that is taken rejects', async () => {
  const first = await listenTcp({ port: 0, protocols: [echo([], unnamed)] });
  await expect(listenTcp({ port: first.port, protocols: [echo([], unnamed)] })).rejects.toThrow('EADDRINUSE');
  await first.drain();
});

test('[CONN-9] over maxConnections a stream is dropped and counted; after a drain nobody listens', async () => {
  const endpoint = await listenTcp({ port: 0, maxConnections: 1, protocols: [echo([], unnamed)] });
  const dial = (): ReturnType<typeof connect> => connect({ port: endpoint.port, host: '127.0.0.1' });
  const first = dial();
  first.write('x');
  await once(first, 'data');
  const second = dial();
  second.on('error', () => {});
  await once(second, 'close');
  expect(endpoint.stats()).toMatchObject({ open: 1, refused: 1 });
  const drained = endpoint.drain({ deadline: 0 });
  await once(first.resume(), 'close');
  await drained;
  const third = dial();
  const [error] = (await once(third, 'error')) as [NodeJS.ErrnoException];
  expect(error.code).toBe('ECONNREFUSED');
});

test('a client that nobody answers fails once; one that was given up says nothing', async () => {
  const endpoint = await listenTcp({ port: 0, protocols: [echo([], unnamed)] });
  const { port } = endpoint;
  await endpoint.drain();
  const calls: string[] = [];
  const end = new Promise<void>((resolve) => {
    const attempt: Attempt = {
      opened: () => {
        throw new Error('opened');
      },
      failed(code, reason) {
        calls.push(`${code} ${reason.includes('ECONNREFUSED')}`);
        resolve();
      },
    };
    tcp({ port, host: '127.0.0.1' })('', [], attempt);
    tcp({ port })('', [], { ...attempt, failed: () => calls.push('given up') })();
  });
  await end;
  expect(calls).toEqual(['1006 true']);
});

test('a session that throws when it opens costs its own connection only', async () => {
  const errors: unknown[] = [];
  const broken = scripted(
    [],
    () => {
      throw new Error('open');
    },
    unnamed,
  );
  const endpoint = await listenTcp({ port: 0, protocols: [broken], onError: (error) => errors.push(error) });
  const socket = connect({ port: endpoint.port, host: '127.0.0.1' });
  await once(socket.resume(), 'close');
  expect(errors).toHaveLength(1);
  await endpoint.drain();
  expect(endpoint.stats()).toMatchObject({ open: 0, faults: { internal: 1 } });
});

test('[CONN-24] an answer to octets that are read in one turn with the end of the stream still leaves', async () => {
  const protocol = echo([], unnamed);
  const endpoint = await listenTcp({ port: 0, protocols: [protocol] });
  const socket = connect({ port: endpoint.port, host: '127.0.0.1' });
  socket.write('x');
  await once(socket, 'data');
  const { connection } = protocol.sessions[0] ?? {};
  connection?.hold();
  // A whole read buffer, so that the reader looks once more at once, and finds the end.
  socket.end(Buffer.alloc(65_536, 'y'));
  await once(socket, 'finish');
  const other = connect({ port: endpoint.port, host: '127.0.0.1' });
  other.write('turn');
  await once(other, 'data');
  other.destroy();
  let answered = 0;
  socket.on('data', (bytes: Buffer) => {
    answered += bytes.length;
  });
  connection?.release();
  await once(socket, 'close');
  expect(answered).toBe(65_536);
  await endpoint.drain({ deadline: 0 });
});

test('[CONN-11] what a client sends in one turn leaves in one write', async () => {
  const endpoint = await listenTcp({ port: 0, protocols: [echo([], unnamed)] });
  let received = '';
  let resolve: () => void = () => {};
  const done = new Promise<void>((settle) => {
    resolve = settle;
  });
  const socket = await new Promise<Socket>((opened, failed) => {
    tcp({ port: endpoint.port })('', [], {
      failed: (_code, reason) => failed(new Error(reason)),
      opened(adapted) {
        opened(adapted);
        return {
          received(data) {
            received += Buffer.from(data as Uint8Array).toString();
            if (received.length === 4) resolve();
          },
          flush() {},
          drained() {},
          closed() {},
        };
      },
    });
  });
  const together = vi.spyOn(RawSocket.prototype as unknown as { _writev(): void }, '_writev');
  const alone = vi.spyOn(RawSocket.prototype as unknown as { _write(): void }, '_write');
  for (const head of ['a', 'b', 'c', 'd']) socket.write([{ head, binary: false }]);
  await Promise.resolve();
  await new Promise((turn) => process.nextTick(turn));
  expect([together.mock.calls.length, alone.mock.calls.length]).toEqual([1, 0]);
  vi.restoreAllMocks();
  await done;
  expect(received).toBe('abcd');
  socket.terminate();
  await endpoint.drain({ deadline: 0 });
});
