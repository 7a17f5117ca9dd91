import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { attach } from '../../../src/adapters/attach.ts';
import { createBus } from '../../../src/bus/bus.ts';
import { createStompClient, type StompClientOptions } from '../../../src/stomp/client/client.ts';
import { stompBroker } from '../../../src/stomp/index.ts';

const cut = (data: unknown): unknown => (typeof data === 'string' ? data.split('\0')[0] : data);

/** As React Native's: text loses everything from its first NUL on, in both directions. */
class CuttingWebSocket {
  readonly #socket: WebSocket;

  constructor(url: string, protocols: string[]) {
    this.#socket = new WebSocket(url, protocols);
  }

  get protocol(): string {
    return this.#socket.protocol;
  }
  get readyState(): number {
    return this.#socket.readyState;
  }
  get bufferedAmount(): number {
    return this.#socket.bufferedAmount;
  }
  set binaryType(type: 'arraybuffer') {
    this.#socket.binaryType = type;
  }

  send(data: string | Uint8Array): void {
    this.#socket.send(cut(data) as string);
  }

  close(code?: number, reason?: string): void {
    this.#socket.close(code, reason);
  }

  addEventListener(type: string, listener: (event: unknown) => void): void {
    this.#socket.addEventListener(type as 'message', (event) =>
      listener(type === 'message' ? { data: cut(event.data) } : event),
    );
  }
}

test('[STOMP-119] over a WebSocket that cuts text at its first NUL, as React Native has it', async () => {
  const http = createServer();
  const endpoint = attach(http, { path: '/ws', protocols: [stompBroker({ bus: createBus({ open: true }) })] });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  const url = `ws://127.0.0.1:${(http.address() as AddressInfo).port}/ws`;
  const options: StompClientOptions = { url, webSocketImpl: CuttingWebSocket, warn: false, heartbeatOutgoing: 20 };
  await using without = createStompClient({
    ...options,
    connectionTimeout: 100,
    retry: () => false,
    onError: () => {},
  });
  await expect(without.connect()).rejects.toMatchObject({ name: 'ConnectionLost' });
  await using client = createStompClient({ ...options, forceBinary: true, appendMissingNul: true });
  const bodies: string[] = [];
  const subscription = client.subscribe('/topic/a', ({ body }) => bodies.push(body));
  await subscription.active;
  for (const body of ['first', '', 'zweite Zeile\nmit Ümlaut']) {
    await client.publish({ destination: '/topic/a', body, receipt: true });
  }
  await client.publish({ destination: '/topic/a', body: Uint8Array.of(0xff, 0, 1), receipt: true });
  expect(bodies).toEqual(['first', '', 'zweite Zeile\nmit Ümlaut', '\ufffd\0\x01']);
  await client.dispose();
  await endpoint.drain({ deadline: 0 });
  http.close();
});
