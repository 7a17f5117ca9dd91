import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test, vi } from 'vitest';
import { createClient } from '../../../src/graphql/client/client.ts';
import { createStompClient } from '../../../src/stomp/client/client.ts';

/** A server that refuses each upgrade so; returns its address. */
async function refusing(answer: string): Promise<{ url: string; [Symbol.asyncDispose](): Promise<void> }> {
  const http = createServer();
  http.on('upgrade', (_request, socket) => {
    // A client that was refused may reset the connection.
    socket.on('error', () => {});
    socket.end(`HTTP/1.1 ${answer}\r\nContent-Length: 0\r\n\r\n`);
  });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  return {
    url: `ws://127.0.0.1:${(http.address() as AddressInfo).port}/graphql`,
    async [Symbol.asyncDispose]() {
      http.closeAllConnections();
      http.close();
    },
  };
}

test.each(['404 Not Found', '403 Forbidden'])(
  '[CONN-43] the %s of a handshake is in the words of the error',
  async (answer) => {
    const code = answer.slice(0, 3);
    await using server = await refusing(answer);
    await using client = createClient({ url: server.url, retryAttempts: 0 });
    const error = await new Promise((resolve) =>
      client.subscribe({ query: '{ a }' }, { next() {}, error: resolve, complete() {} }),
    );
    expect(String(error)).toBe(
      `ConnectionLost: The connection ended: 1006 The WebSocket could not be opened (Unexpected server response: ${code})`,
    );
    expect(client.state.getSnapshot().error).toBe(error);
    await using stomp = createStompClient({ url: server.url, retry: () => false });
    await expect(stomp.connect()).rejects.toThrow(`Unexpected server response: ${code}`);
  },
);

test('[CONN-44] both clients say once on the console what they are trying', async () => {
  const warn = vi.spyOn(console, 'warn').mockImplementation(() => {});
  await using server = await refusing('404 Not Found');
  const { url } = server;
  const backoff = { base: 1 };
  await using client = createClient({ url, lazy: false, backoff });
  await using stomp = createStompClient({ url, backoff });
  await using silent = createClient({ url, lazy: false, backoff, warn: false });
  const failed = (): boolean => [client, stomp, silent].every(({ state }) => state.getSnapshot().attempt > 4);
  stomp.connect().catch(() => {});
  await vi.waitFor(() => expect(failed()).toBe(true));
  expect(warn.mock.calls.map(([text]) => text)).toEqual(
    Array(2).fill(
      expect.stringMatching(/^subwire: ws:.*\/graphql: .*response: 404\)\. Still trying; listen to "closed"/),
    ),
  );
  warn.mockRestore();
});
