import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { useServer } from 'graphql-ws/use/ws';
import { WebSocket, WebSocketServer } from 'ws';
import { createBus } from '../../../src/bus/bus.ts';
import { FrameReader, type Observed, readJson, show } from './observed.ts';
import type { Options } from './parse.ts';
import { bytesOf, type Tested } from './run.ts';
import { transcriptSchema } from './schema.ts';

/** How long a real peer may take for its next word, in ms. */
const patience = 5_000;

interface Line {
  send(bytes: Buffer): void;
  close(code: number, reason: string): void;
  destroy(): void;
}

/** How to open a line to a real peer; `heard` is told what it says, `ended` how it closed. */
export type Opener = (
  subprotocol: string,
  heard: (data: string | Buffer) => void,
  ended: (code: number, reason: string) => void,
) => Promise<Line>;

export const overWebSocket =
  (url: string): Opener =>
  async (subprotocol, heard, ended) => {
    const socket = new WebSocket(url, [subprotocol]);
    socket.on('message', (data: Buffer, binary: boolean) => heard(binary ? data : data.toString()));
    socket.on('close', (code, reason) => ended(code, reason.toString()));
    await once(socket, 'open');
    return {
      send: (bytes) => socket.send(bytes.toString()),
      close: (code, reason) => socket.close(code, reason),
      destroy: () => socket.terminate(),
    };
  };

export const overTcp =
  (port: number): Opener =>
  async (_, heard, ended) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('data', heard);
    socket.on('error', () => {});
    socket.on('close', () => ended(1006, ''));
    await once(socket, 'connect');
    return {
      send: (bytes) => void socket.write(bytes),
      close: () => void socket.end(),
      destroy: () => void socket.destroy(),
    };
  };

/** The server of graphql-ws with the schema of the transcripts. */
export async function startGraphqlWs(): Promise<{ readonly url: string; stop(): Promise<void> }> {
  const bus = createBus();
  const http = createServer();
  const sockets = new WebSocketServer({ server: http, path: '/graphql' });
  const running = useServer({ schema: transcriptSchema(bus) }, sockets);
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  return {
    url: `ws://127.0.0.1:${(http.address() as AddressInfo).port}/graphql`,
    async stop() {
      await running.dispose();
      http.close();
      await bus.close();
    },
  };
}

/** A foreign server, over a real socket and in real time. */
export function testedPeer(options: Options, open: Opener): Tested {
  const isStomp = options.subprotocol !== 'graphql-transport-ws';
  const queue: Observed[] = [];
  const frames = new FrameReader();
  let wake: () => void = () => {};
  let line: Line | undefined;
  let sending: Promise<void> = Promise.resolve();
  let failure: Error | undefined;

  async function opened(): Promise<Line> {
    line ??= await open(
      options.subprotocol,
      (data) => {
        const heard = isStomp ? frames.read(data) : [readJson(data)];
        // A peer may beat whenever it likes.
        queue.push(...heard.filter((each) => each.kind !== 'raw'));
        wake();
      },
      (code, reason) => {
        queue.push({ kind: 'close', code, reason });
        wake();
      },
    );
    return line;
  }

  return {
    play(peer, what, captures) {
      if (peer !== 1) throw new Error('a real peer has one connection');
      // What was captured may stand for something else by the time that the line is open.
      const bytes = bytesOf(what, captures);
      sending = sending
        .then(opened)
        .then((own) => {
          if (bytes) own.send(bytes);
          else if (what.kind === 'close') own.close(what.code ?? 1000, what.reason);
          else if (what.kind === 'gone') own.destroy();
          else throw new Error(`a real peer is not played ${what.kind}`);
        })
        .catch((error: Error) => {
          failure = error;
          wake();
        });
    },
    async next() {
      const late = new AbortController();
      const timeout = setTimeout(patience, undefined, { signal: late.signal }).catch(() => {});
      let isLate = false;
      void timeout.then(() => {
        isLate = true;
        wake();
      });
      while (queue.length === 0 && !failure && !isLate) await new Promise<void>((resolve) => (wake = resolve));
      late.abort();
      if (failure) throw failure;
      return queue.shift();
    },
    seen: () => undefined,
    act() {
      throw new Error('the application of a real peer is not ours');
    },
    settle: () => sending,
    async wait() {
      throw new Error('a real peer has its own time');
    },
    rest: async () => queue.map((each) => `S: ${show(each)}`),
    async end() {
      line?.destroy();
    },
  };
}
