import { afterEach, expect, test, vi } from 'vitest';
import { onWake, type WebSocketConstructor, webSocket } from '../../src/adapters/browser.ts';
import { webSocket as webSocketOfNode } from '../../src/adapters/node-client.ts';
import type { Socket } from '../../src/core/socket.ts';
import { encodeUtf8 } from '../../src/core/wire.ts';

afterEach(() => {
  vi.unstubAllGlobals();
});

/** A WebSocket of the WHATWG that a test drives by hand. */
class FakeWebSocket {
  static last: FakeWebSocket;
  readonly url: string;
  readonly protocols: string[] | undefined;
  protocol = 'plain';
  readyState = 0;
  bufferedAmount = 0;
  binaryType = 'blob';
  readonly calls: unknown[] = [];
  readonly #listeners = new Map<string, (event: never) => void>();

  constructor(url: string, protocols?: string[]) {
    this.url = url;
    this.protocols = protocols;
    FakeWebSocket.last = this;
  }

  addEventListener(type: string, listener: (event: never) => void): void {
    this.#listeners.set(type, listener);
  }

  send(data: unknown): void {
    this.calls.push(data);
  }

  close(...args: unknown[]): void {
    // As the WHATWG says: a second one does nothing.
    if (this.readyState >= 2) return;
    this.readyState = 2;
    this.calls.push(['close', ...args]);
  }

  emit(type: string, event: object = {}): void {
    if (type === 'open') this.readyState = 1;
    if (type === 'close') this.readyState = 3;
    this.#listeners.get(type)?.(event as never);
  }
}

function dial(constructor: unknown = FakeWebSocket) {
  const log: string[] = [];
  let socket: Socket | undefined;
  const abandon = webSocket(constructor as WebSocketConstructor)('ws://x', ['plain'], {
    opened(opened) {
      socket = opened;
      log.push('opened');
      return {
        received: (data) => log.push(typeof data === 'string' ? `text ${data}` : `bytes ${data.join(' ')}`),
        pinged() {},
        ponged() {},
        flush() {},
        drained() {},
        refused: () => '',
        closed: (code, reason) => log.push(`closed ${code} ${reason}`.trim()),
      };
    },
    failed: (code, reason, error) => log.push(`failed ${code} ${reason} ${error instanceof Error}`),
  });
  return { log, abandon, fake: FakeWebSocket.last, socket: () => socket as Socket };
}

test('it opens with the offered subprotocols and wants binary messages as buffers', () => {
  const { fake, log, socket } = dial();
  expect([fake.url, fake.protocols, fake.binaryType, log]).toEqual(['ws://x', ['plain'], 'arraybuffer', []]);
  fake.emit('open');
  expect([log, socket().protocol]).toEqual([['opened'], 'plain']);
});

test('messages come as text or bytes', () => {
  const { fake, log } = dial();
  fake.emit('open');
  fake.emit('message', { data: 'hello' });
  fake.emit('message', { data: new Uint8Array([1, 2]).buffer });
  expect(log.slice(1)).toEqual(['text hello', 'bytes 1 2']);
});

test('text goes out as text and bytes as bytes, whatever their parts are', () => {
  const { fake, socket } = dial();
  fake.emit('open');
  const tail = encodeUtf8('é}');
  socket().write([
    { head: 'a', binary: false },
    { head: '{', tail, binary: false },
    { head: encodeUtf8('ü'), binary: false },
    { head: 'ü', tail: new Uint8Array([255]), binary: true },
    { head: new Uint8Array([1]), binary: true },
    { head: '', tail: new Uint8Array([255]), binary: false },
  ]);
  expect(fake.calls).toEqual(['a', '{é}', 'ü', new Uint8Array([0xc3, 0xbc, 255]), new Uint8Array([1]), '\ufffd']);
  fake.bufferedAmount = 7;
  expect(socket().bufferedAmount).toBe(7);
});

test('nothing is sent unless the state is OPEN', () => {
  const { fake, socket } = dial();
  fake.emit('open');
  fake.readyState = 2;
  socket().write([{ head: 'a', binary: false }]);
  socket().close(1000, '');
  expect(fake.calls).toEqual([]);
});

test.each([
  [1000, 1000],
  [3000, 3000],
  [4499, 4499],
  [1001, 4500],
  [1009, 4500],
])('[CONN-28] a close with %i goes out as %i, since scripts may not send all codes', (code, sent) => {
  const { fake, socket } = dial();
  fake.emit('open');
  socket().close(code, 'why');
  socket().close(code, 'again');
  expect(fake.calls).toEqual([['close', sent, 'why']]);
});

test('[CONN-27] an error and the close after it are told once', () => {
  const { fake, log } = dial();
  fake.emit('open');
  fake.emit('error');
  fake.emit('close', { code: 1006, reason: '' });
  fake.emit('close', { code: 1006, reason: '' });
  fake.emit('message', { data: 'late' });
  expect(log).toEqual(['opened', 'closed 1006']);
});

test('[CONN-82] a socket that never opened has the code 1006, also where the runtime says 0', () => {
  const deno = dial();
  deno.fake.emit('error');
  deno.fake.emit('close', { code: 0, reason: '' });
  expect(deno.log).toEqual(['failed 1006 The WebSocket could not be opened false']);
  const lost = dial();
  lost.fake.emit('open');
  lost.fake.emit('close', { code: 0, reason: '' });
  expect(lost.log).toEqual(['opened', 'closed 1006']);
});

test('a socket that never opens has failed, with the reason where one is known', () => {
  const browser = dial();
  browser.fake.emit('error');
  browser.fake.emit('close', { code: 1006, reason: '' });
  expect(browser.log).toEqual(['failed 1006 The WebSocket could not be opened false']);
  const node = dial();
  node.fake.emit('error', { error: new Error('ECONNREFUSED') });
  node.fake.emit('close', { code: 1006, reason: 'refused' });
  expect(node.log).toEqual(['failed 1006 refused true']);
});

test('an attempt that was given up closes, and says nothing, even if it opens later', () => {
  const { fake, log, abandon } = dial();
  abandon();
  abandon();
  fake.emit('open');
  fake.emit('close', { code: 1006, reason: '' });
  expect(log).toEqual([]);
  expect(fake.calls).toEqual([['close'], ['close']]);
});

test('terminate() does not wait for a dead peer; `ws` can do it by itself', () => {
  const { fake, log, socket, abandon } = dial();
  fake.emit('open');
  socket().terminate();
  socket().terminate();
  fake.emit('close', { code: 1000, reason: 'late' });
  abandon();
  expect([log, fake.calls]).toEqual([['opened', 'closed 1006'], [['close']]]);
  let terminated = 0;
  const node = dial(
    class extends FakeWebSocket {
      terminate(): void {
        terminated++;
      }
    },
  );
  node.fake.emit('open');
  node.socket().terminate();
  expect([terminated, node.log]).toEqual([1, ['opened', 'closed 1006']]);
});

test('without a WebSocket it says so; with a global one it uses that', () => {
  vi.stubGlobal('WebSocket', undefined);
  const attempt = { opened: () => ({}) as never, failed() {} };
  expect(() => webSocket()('ws://x', [], attempt)).toThrow(/^webSocketImpl must be a WebSocket class/);
  vi.stubGlobal('WebSocket', FakeWebSocket);
  webSocket()('ws://global', [], attempt);
  expect(FakeWebSocket.last.url).toBe('ws://global');
});

test('in Node a URL that is none throws when it is dialled', () => {
  const attempt = { opened: () => ({}) as never, failed() {} };
  expect(() => webSocketOfNode()('no url', [], attempt)).toThrow(SyntaxError);
});

test('[CONN-37] online, pageshow and a visible tab wake; offline and a hidden one do not', () => {
  const target = new EventTarget();
  const document = { hidden: true };
  vi.stubGlobal('addEventListener', target.addEventListener.bind(target));
  vi.stubGlobal('document', document);
  const tell = (...events: string[]): void => {
    for (const event of events) target.dispatchEvent(new Event(event));
  };
  let woken = 0;
  const stop = onWake(() => woken++);
  tell('online', 'pageshow', 'offline', 'visibilitychange');
  expect(woken).toBe(2);
  document.hidden = false;
  tell('visibilitychange');
  expect(woken).toBe(3);
  stop();
  tell('online', 'visibilitychange');
  expect(woken).toBe(3);
});

test('where there are no such events nothing is listened for', () => {
  vi.stubGlobal('addEventListener', undefined);
  expect(() => onWake(() => {})()).not.toThrow();
});
