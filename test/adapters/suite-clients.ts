import type { Socket as RawSocket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { WebSocket } from 'ws';
import { webSocket } from '../../src/adapters/node-client.ts';
import { tcp } from '../../src/adapters/tcp.ts';
import { connect } from '../../src/connect/connect.ts';
import type { ConnectionLost } from '../../src/core/connection-lost.ts';
import type { Transport } from '../../src/core/socket.ts';
import { openRaw, type RawWebSocket } from '../support/raw-websocket.ts';
import { scriptedClient } from '../support/scripted-session.ts';
import type { ClientEnd, Served, SuiteClient } from './suite.ts';

type Message = string | Uint8Array;

/** Messages that came, and readers that wait for them. */
class Inbox {
  readonly #messages: Message[] = [];
  readonly #readers: ((message: Message) => void)[] = [];

  put(message: Message): void {
    const reader = this.#readers.shift();
    if (reader) reader(message);
    else this.#messages.push(message);
  }

  take(): Promise<Message> {
    const message = this.#messages.shift();
    if (message !== undefined) return Promise.resolve(message);
    return new Promise((resolve) => this.#readers.push(resolve));
  }
}

/** Bytes that came; read by count. */
class ByteInbox {
  readonly #inbox = new Inbox();
  #rest: Buffer = Buffer.alloc(0);

  put(bytes: Uint8Array): void {
    this.#inbox.put(Buffer.from(bytes));
  }

  async take(count: number): Promise<Uint8Array> {
    const parts: Buffer[] = [this.#rest];
    for (let have = this.#rest.length; have < count; ) {
      const part = (await this.#inbox.take()) as Buffer;
      parts.push(part);
      have += part.length;
    }
    const all = Buffer.concat(parts);
    this.#rest = all.subarray(count);
    return all.subarray(0, count);
  }
}

/** As abruptly as the socket can: TLS has no reset. */
const drop = (socket: RawSocket): void =>
  void (socket instanceof TLSSocket || !('resetAndDestroy' in socket) ? socket.destroy() : socket.resetAndDestroy());

class TrustingWebSocket extends WebSocket {
  constructor(url: string, protocols?: string[]) {
    super(url, protocols, { rejectUnauthorized: false });
  }
}

/** Our own client, over any transport. */
export function ownClient(
  url: (served: Served) => string,
  transportOf: (served: Served) => Transport,
  framed: boolean,
) {
  return async (served: Served): Promise<SuiteClient> => {
    const inbox = framed ? new Inbox() : new ByteInbox();
    const protocol = scriptedClient(framed ? ['echo'] : [], (session) => {
      session.on.receive = (data: Message) => inbox.put((typeof data === 'string' ? data : Buffer.from(data)) as never);
    });
    let finished: (end: ClientEnd) => void;
    const ended = new Promise<ClientEnd>((resolve) => {
      finished = resolve;
    });
    const dial = await new Promise<ReturnType<typeof connect>>((resolve, reject) => {
      const made = connect(url(served), {
        protocols: [protocol],
        transport: transportOf(served),
        retry: (end: ConnectionLost) => {
          if (protocol.sessions.length === 0) reject(end.cause);
          finished({ code: end.code, reason: end.reason });
          return false;
        },
      });
      const opening = protocol.open.bind(protocol);
      Object.assign(protocol, {
        open: (...args: Parameters<typeof opening>) => {
          resolve(made);
          return opening(...args);
        },
      });
      made.start();
    });
    const { connection } = dial;
    if (!connection) throw new Error('The client has no connection');
    return {
      send: (message) => connection.send({ head: message, binary: typeof message !== 'string' }),
      receive: (bytes) => inbox.take(bytes),
      close: (code, reason) => connection.finish(code, reason),
      destroy: () => connection.terminate(),
      ended,
    };
  };
}

export const ownWebSocketClient = (scheme: 'ws' | 'wss') =>
  ownClient(
    ({ port }) => `${scheme}://127.0.0.1:${port}/ws`,
    () => webSocket(TrustingWebSocket as never),
    true,
  );

export const ownStreamClient = (tls: boolean) =>
  ownClient(
    () => 'tcp:',
    ({ port }) => tcp({ port, tls: tls && { rejectUnauthorized: false } }),
    false,
  );

/** The raw client of the tests: RFC 6455 written down once more, independently. */
export const rawClient =
  (open: (served: Served) => Promise<RawWebSocket>) =>
  async (served: Served): Promise<SuiteClient> => {
    const raw = await open(served);
    const inbox = new Inbox();
    const read = async (): Promise<ClientEnd> => {
      try {
        for (;;) {
          const { opcode, payload } = await raw.frame();
          if (opcode === 1) inbox.put(payload.toString());
          else if (opcode === 2) inbox.put(Buffer.from(payload));
          else if (opcode === 8) {
            const end = {
              code: payload.length < 2 ? 1005 : payload.readUInt16BE(),
              reason: payload.toString('utf8', 2),
            };
            raw.sendFrame({ opcode: 8, payload });
            await raw.ended();
            return end;
          }
        }
      } catch {
        return { code: 1006, reason: '' };
      }
    };
    return {
      send: (message) => raw.send(message),
      receive: () => inbox.take(),
      close: (code, reason) => raw.close(code, reason),
      destroy: () => drop(raw.socket),
      pause: () => void raw.socket.pause(),
      resume: () => void raw.socket.resume(),
      readsToTheEnd: true,
      ended: read(),
    };
  };

export const rawWebSocketClient = (tls: boolean) =>
  rawClient(({ port }) => openRaw({ port, tls, protocols: ['echo'] }));

/** A bare socket. */
export const rawStreamClient =
  (open: (port: number) => Promise<RawSocket>) =>
  async ({ port }: Served): Promise<SuiteClient> => {
    const socket = await open(port);
    const inbox = new ByteInbox();
    socket.on('data', (bytes: Buffer) => inbox.put(bytes));
    socket.on('error', () => {});
    return {
      send: (message) => void socket.write(message),
      receive: (bytes) => inbox.take(bytes),
      close: () => void socket.end(),
      destroy: () => drop(socket),
      pause: () => void socket.pause(),
      resume: () => void socket.resume(),
      readsToTheEnd: true,
      ended: new Promise((resolve) => socket.once('close', () => resolve({ code: 1006, reason: '' }))),
    };
  };
