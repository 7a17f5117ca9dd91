import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { attach } from '../../src/adapters/attach.ts';
import { listenTcp } from '../../src/adapters/tcp.ts';
import { ProtocolError } from '../../src/core/fault.ts';
import type { Authenticate } from '../../src/core/subprotocol.ts';
import { type StompBrokerOptions, stompBroker } from '../../src/stomp/broker/stomp-broker.ts';
import { openBus } from '../support/open-bus.ts';

/** The embedded broker as a stranger meets it: octets over real sockets, and nothing of ours on the other end. */
const cleanUp: (() => void)[] = [];
afterEach(() => {
  for (const end of cleanUp.splice(0)) end();
});

interface Scene extends Omit<StompBrokerOptions, 'bus'> {
  readonly authenticate?: Authenticate | undefined;
}

function brokerOf({ authenticate, ...options }: Scene) {
  const bus = openBus();
  const sent: string[] = [];
  bus.listen('seen', ({ body }) => sent.push(Buffer.from(body).toString()));
  return { protocols: [stompBroker({ bus, open: true, strict: true, ...options })], authenticate, sent };
}

/** A TCP connection that keeps its own end open until it is told otherwise. */
async function overTcp(scene: Scene = {}) {
  const { sent, ...options } = brokerOf(scene);
  const endpoint = await listenTcp({ port: 0, ...options });
  const socket = connect({ port: endpoint.port, host: '127.0.0.1', allowHalfOpen: true });
  cleanUp.push(() => {
    socket.destroy();
    void endpoint.drain({ deadline: 0 });
  });
  let heard = '';
  let error: Error | undefined;
  socket.on('data', (data) => (heard += data));
  socket.on('error', (each) => (error = each));
  const ended = once(socket, 'end');
  await once(socket, 'connect');
  return {
    socket,
    sent,
    ended,
    heard: () => heard,
    failure: () => error,
    until: (pattern: RegExp) => until(socket, () => pattern.test(heard)),
  };
}

async function until(socket: Socket, true_: () => boolean): Promise<void> {
  while (!true_()) await once(socket, 'data');
}

async function overWebSocket(scene: Scene = {}, subprotocol = 'v12.stomp') {
  const { sent, ...options } = brokerOf(scene);
  const http = createServer();
  const endpoint = attach(http, { path: '/ws', ...options });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  const socket = new WebSocket(`ws://127.0.0.1:${(http.address() as AddressInfo).port}/ws`, [subprotocol]);
  cleanUp.push(() => {
    socket.terminate();
    void endpoint.drain({ deadline: 0 });
    http.close();
  });
  let heard = '';
  socket.on('message', (data) => (heard += data.toString()));
  const closed = once(socket, 'close').then(([code, reason]) => ({ code, reason: String(reason) }));
  await once(socket, 'open');
  return { socket, sent, closed, heard: () => heard, stats: endpoint.stats };
}

const hello = 'CONNECT\naccept-version:1.2\nhost:here\n\n\0';
const later = <T>(value: T): Promise<T> => new Promise((resolve) => setImmediate(() => setImmediate(resolve, value)));

describe('over TCP', () => {
  test('[STOMP-63] [STOMP-68] the ERROR arrives and the stream ends in order, though the client goes on writing', async () => {
    const { socket, heard, failure, sent, ended } = await overTcp();
    socket.write(hello);
    socket.write('FROB\nreceipt:r\n\n\0');
    socket.write(`SEND\ndestination:/topic/seen\n\n${'x'.repeat(900_000)}\0`);
    await ended;
    expect(heard()).toMatch(/^CONNECTED\n[\s\S]*\0ERROR\nmessage:Malformed frame[\s\S]*\nreceipt-id:r\n[\s\S]*\0$/);
    expect(failure()).toBeUndefined();
    expect(sent).toEqual([]);
  });

  test('[STOMP-61] [STOMP-62] who closes its half at once is still answered, also while the application thinks', async () => {
    const { socket, heard, sent, ended } = await overTcp({
      authenticate: () => later({ name: 'ann' }),
      authorize: () => later(true),
    });
    socket.end(
      `${hello}SEND\ndestination:/topic/seen\nreceipt:1\n\none\0SEND\ndestination:/topic/seen\nreceipt:2\n\ntwo\0`,
    );
    await ended;
    expect(sent).toEqual(['one', 'two']);
    expect(heard()).toMatch(/^CONNECTED\n[\s\S]*\0RECEIPT\nreceipt-id:1\n\n\0RECEIPT\nreceipt-id:2\n\n\0$/);
  });

  test('[STOMP-62] [STOMP-66] DISCONNECT and the end of the stream in one segment: all before it is processed', async () => {
    const { socket, heard, sent, ended } = await overTcp({ authorize: () => later(true) });
    socket.end(`${hello}SEND\ndestination:/topic/seen\n\none\0DISCONNECT\nreceipt:bye\n\n\0`);
    await ended;
    expect(sent).toEqual(['one']);
    expect(heard()).toMatch(/\0RECEIPT\nreceipt-id:bye\n\n\0$/);
  });

  test.each([
    ['with', 'DISCONNECT\nreceipt:2\n\n\0', /\0RECEIPT\nreceipt-id:1\n\n\0RECEIPT\nreceipt-id:2\n\n\0$/],
    ['without', '', /\0RECEIPT\nreceipt-id:1\n\n\0$/],
  ])(
    '[STOMP-61] [STOMP-62] who closes its half %s a DISCONNECT gets what it is owed, though that comes later',
    async (_, end, receipts) => {
      const { socket, heard, ended } = await overTcp({ onSend: () => later(undefined) });
      socket.end(`${hello}SEND\ndestination:/app/x\nreceipt:1\n\none\0${end}`);
      await ended;
      expect(heard()).toMatch(receipts);
    },
  );

  test('[STOMP-63] who closed its half is told of a failure, too', async () => {
    const { socket, heard, ended } = await overTcp({
      onSend: () => later(undefined).then(() => Promise.reject(new ProtocolError('forbidden', 'not you'))),
    });
    socket.end(`${hello}SEND\ndestination:/app/x\nreceipt:1\n\none\0`);
    await ended;
    expect(heard()).toMatch(/\0ERROR\nmessage:Forbidden\\c not you\n[\s\S]*\nreceipt-id:1\n/);
  });

  test('[STOMP-33] who closes its half before CONNECT is left alone', async () => {
    const { socket, heard, ended } = await overTcp();
    socket.end('\n');
    await ended;
    expect(heard()).toBe('');
  });

  test('[STOMP-33] [STOMP-62] what came before a reset is processed as far as it was read', async () => {
    const { socket, sent, until: untilHeard } = await overTcp();
    socket.write(`${hello}SEND\ndestination:/topic/seen\nreceipt:1\n\none\0`);
    await untilHeard(/RECEIPT/);
    socket.resetAndDestroy();
    expect(sent).toEqual(['one']);
  });

  test('[STOMP-23] before CONNECTED nobody makes us keep a body', async () => {
    const { socket, heard, ended } = await overTcp();
    socket.write(`CONNECT\naccept-version:1.2\ncontent-length:1000000\n\n`);
    await ended;
    expect(heard()).toMatch(/^ERROR\nmessage:Too large/);
  });

  test.each(['1.0', '1.1', '1.2'])('[STOMP-4] [STOMP-14] %s octet by octet is the same as whole', async (version) => {
    const id = version === '1.0' ? '' : 'id:0\n';
    const stream =
      `\n\nCONNECT\naccept-version:${version}\nhost:h\n\n\0\n` +
      `SUBSCRIBE\n${id}destination:/topic/seen\n\n\0\n\n` +
      'SEND\ndestination:/topic/seen\ncontent-length:5\n\nh\0\xc3\xbc\0\0DISCONNECT\nreceipt:bye\n\n\0\n';
    const octets = Buffer.from(stream, 'latin1');
    const heard: string[] = [];
    for (const pieces of [[octets], [...octets].map((octet) => Buffer.of(octet))]) {
      const peer = await overTcp();
      peer.socket.setNoDelay(true);
      for (const piece of pieces) {
        peer.socket.write(piece);
        if (pieces.length > 1) await later(undefined);
      }
      await peer.ended;
      heard.push(peer.heard().replace(/(session|message-id):.*/g, '$1'));
    }
    expect(heard[0]).toBe(heard[1]);
    expect(heard[0]).toContain('h\0ü\0\0RECEIPT\nreceipt-id:bye');
  });
});

describe('over WebSocket', () => {
  test.each([
    ['FROB\n\n\0', 1002, {}],
    ['SEND\ndestination:/nowhere\n\n\0', 1008, {}],
    ['SEND\ndestination:/topic/seen\n\ntoo long\0', 1009, { limits: { maxBody: 2 } }],
    [
      'SUBSCRIBE\nid:0\ndestination:/queue/a\n\n\0SUBSCRIBE\nid:1\ndestination:/queue/b\n\n\0',
      1013,
      { limits: { maxSubscriptions: 1 } },
    ],
    [
      'SEND\ndestination:/app/x\n\n\0',
      1011,
      { onSend: () => Promise.reject(new Error('a bug')), authenticate: undefined },
    ],
  ] as const)('[STOMP-63] %j: ERROR, then the close code %d', async (frames, code, scene) => {
    const { socket, heard, closed } = await overWebSocket(scene as Scene);
    socket.send(hello);
    socket.send(frames);
    expect(await closed).toMatchObject({ code });
    expect(heard()).toMatch(
      /^CONNECTED\n[\s\S]*\0ERROR\nmessage:.+\ncontent-type:text\/plain\ncontent-length:\d+\n\n[\s\S]*\0$/,
    );
  });

  test('[STOMP-62] a client that closes right behind its frames has sent them', async () => {
    const { socket, sent, closed } = await overWebSocket();
    socket.send(`${hello}SEND\ndestination:/topic/seen\n\none\0`);
    socket.send('SEND\ndestination:/topic/seen\n\ntwo\0');
    socket.close(1000);
    await closed;
    expect(sent).toEqual(['one', 'two']);
  });

  test('[STOMP-62] also if the application thinks about it: what follows is processed in order, and nothing is left', async () => {
    const { socket, sent, closed, stats } = await overWebSocket({
      authenticate: () => later({ name: 'ann' }),
      authorize: () => later(true),
    });
    socket.send(`${hello}SEND\ndestination:/topic/seen\n\none\0SEND\ndestination:/topic/seen\n\ntwo\0`);
    socket.send('SEND\ndestination:/topic/seen\n\nthree\0');
    socket.close(1000);
    await closed;
    while (stats().open > 0) await later(undefined);
    expect(sent).toEqual(['one', 'two', 'three']);
  });

  test('[STOMP-62] who was refused, or whose frame is bad, gets no further though nobody is there to hear it', async () => {
    const { socket, sent, closed, stats } = await overWebSocket({
      authorize: ({ headers }) => later(headers.get('good') === 'yes'),
    });
    const send = (good: string): void => socket.send(`SEND\ndestination:/topic/seen\ngood:${good}\n\n${good}\0`);
    socket.send(hello);
    for (const good of ['yes', 'no', 'yes']) send(good);
    socket.close(1000);
    await closed;
    while (stats().open > 0) await later(undefined);
    expect(sent).toEqual(['yes']);
    expect(stats().faults).toEqual({ forbidden: 1 });
  });

  test('[STOMP-14] text and binary messages, cut anywhere, also inside a character', async () => {
    const { socket, closed, sent } = await overWebSocket();
    const octets = Buffer.from(`${hello}SEND\ndestination:/topic/seen\n\nhü\0DISCONNECT\n\n\0`);
    for (const octet of octets) socket.send(octet < 128 ? String.fromCharCode(octet) : Buffer.of(octet));
    expect(await closed).toMatchObject({ code: 1000 });
    expect(sent).toEqual(['hü']);
  });
});
