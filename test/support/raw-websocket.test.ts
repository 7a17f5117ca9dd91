import { createServer as createHttp } from 'node:http';
import { createServer as createHttps } from 'node:https';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { WebSocketServer } from 'ws';
import { certificate } from './certificate.ts';
import { frameBytes, Opcode, openRaw } from './raw-websocket.ts';

async function echo(tls: boolean): Promise<number> {
  const http = tls ? createHttps(await certificate()) : createHttp();
  const server = new WebSocketServer({
    server: http,
    path: '/ws',
    handleProtocols: (offered) => [...offered][0] ?? false,
  });
  server.on('connection', (socket) => {
    socket.on('message', (data, binary) => socket.send(data, { binary }));
    socket.on('error', () => {});
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    for (const each of server.clients) each.terminate();
    http.close();
  });
  return (http.address() as AddressInfo).port;
}

test.each([false, true])('messages of every length field go there and back (tls: %s)', async (tls) => {
  const raw = await openRaw({ port: await echo(tls), protocols: ['b', 'a'], tls });
  expect([raw.status, raw.protocol]).toEqual([101, 'b']);
  for (const length of [0, 125, 126, 65_535, 65_536]) {
    raw.send('x'.repeat(length));
    expect((await raw.message()).length).toBe(length);
  }
  raw.close(4999, 'enough');
  expect(await raw.closed()).toEqual({ code: 4999, reason: 'enough' });
  await raw.ended();
});

test('frames may be cut, unmasked or of a false length', async () => {
  const port = await echo(false);
  const cut = await openRaw({ port });
  for (const byte of frameBytes({ opcode: Opcode.text, payload: 'cut' })) cut.sendBytes(Buffer.of(byte));
  expect(await cut.frame()).toMatchObject({ opcode: Opcode.text, fin: true, rsv: 0, text: 'cut' });
  cut.sendFrame({ opcode: Opcode.text, payload: 'unmasked', masked: false });
  expect((await cut.closed()).code).toBe(1002);
});

test('a refused handshake shows status and body', async () => {
  const refused = await openRaw({ port: await echo(false), path: '/elsewhere' });
  expect(refused.status).toBe(400);
  expect(await refused.ended()).toContain('Bad Request');
});
