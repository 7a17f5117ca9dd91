import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { attach } from '../../src/adapters/attach.ts';
import { scripted } from '../support/scripted-session.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Clients in a process of their own that read as fast as they can; it prints `open`, then how many bytes each got. */
const readers = (url: string, count: number, bytes: number): string => `
  import { WebSocket } from 'ws';
  let open = 0, done = 0;
  for (let index = 0; index < ${count}; index++) {
    let got = 0, told = false;
    const tell = () => {
      if (told) return;
      told = true;
      console.log('got ' + got);
      if (++done === ${count}) process.exit();
    };
    const socket = new WebSocket('${url}', 'plain');
    socket.on('open', () => { if (++open === ${count}) console.log('open'); });
    socket.on('message', (data) => { got += data.length; if (got >= ${bytes}) tell(); });
    socket.on('close', tell);
    socket.on('error', () => {});
  }
`;

test.each([
  [8, 20],
  [16, 10],
])('[CONN-16] a burst of %i MB to %i readers of another process cuts none of them', async (megabytes, count) => {
  const plain = scripted();
  const http = createServer();
  const endpoint = attach(http, { protocols: [plain], origin: '*' });
  await once(http.listen(0, '127.0.0.1'), 'listening');
  const url = `ws://127.0.0.1:${(http.address() as AddressInfo).port}/ws`;
  const tail = new Uint8Array(20_000);
  const messages = (megabytes * 1_000_000) / tail.length;
  const script = readers(url, count, messages * tail.length);
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const got: number[] = [];
  let peak = 0;
  for await (const line of createInterface({ input: child.stdout })) {
    if (line !== 'open') {
      got.push(Number(line.slice(4)));
      continue;
    }
    for (let sent = 0; sent < messages; sent++) {
      for (const { connection } of plain.sessions) connection.send({ head: '', tail, binary: true });
    }
    peak = endpoint.stats().budgets.memory.used;
  }
  expect(got).toEqual(Array.from({ length: count }, () => messages * tail.length));
  expect(endpoint.stats().faults).toEqual({});
  // What all of them wait for is kept once.
  expect(peak).toBeLessThan(16_000_000);
  http.close();
  await endpoint.close();
});
