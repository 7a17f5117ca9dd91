import { connect, type Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import { setTimeout } from 'node:timers/promises';
import { deflateRawSync } from 'node:zlib';
import { listenTcp, type TcpEndpoint } from '../../src/adapters/tcp.ts';
import { createBus } from '../../src/bus/bus.ts';
import { ProtocolError } from '../../src/core/fault.ts';
import { graphqlServer } from '../../src/graphql/index.ts';
import { stompBroker } from '../../src/stomp/index.ts';
import { type HttpEndpoint, httpEndpoint } from '../support/http-endpoint.ts';
import { closePayload, frameBytes, Opcode, openRaw, type RawWebSocket } from '../support/raw-websocket.ts';
import { transcriptSchema } from '../support/transcripts/schema.ts';
import { graphqlMessages, mutated, stompStreams } from './corpus.ts';
import type { Fuzz } from './fuzz.ts';
import type { Random } from './random.ts';

/** Connections that are fed at the same time. */
const side = 8;
const connectFrame = Buffer.from('CONNECT\naccept-version:1.0,1.1,1.2\nhost:localhost\n\n\0');
const initMessage = Buffer.from('{"type":"connection_init"}');

/** A client that does everything right, sees each of its own messages, and answers no question of ours wrongly. */
interface Honest {
  /** Send one, and wait for it to come back. */
  turn(): Promise<void>;
  end(): void;
}

/** Everything that is listened to. */
interface Live {
  readonly plain: HttpEndpoint;
  readonly deflating: HttpEndpoint;
  readonly tcp: TcpEndpoint;
  readonly escaped: unknown[];
  readonly honest: readonly Honest[];
}

/** Frames that are wrong in every way over real sockets, while honest clients lose nothing. */
export function createLiveFuzz(): Fuzz {
  let live: Live | undefined;
  const note = (error: unknown): void => void live?.escaped.push(error);
  return {
    name: 'live servers: bad frames harm nobody else',
    unit: 'frames',
    short: 6_000,
    long: 1_000_000,
    async start() {
      // What a peer got wrong may be told to the application; a hook, a body or a bug of ours is none of it.
      live = await startLive((error) => void (error instanceof ProtocolError || note(error)));
      process.on('uncaughtException', note);
      process.on('unhandledRejection', note);
    },
    async once(random) {
      const { honest, escaped } = live as Live;
      const attacks = Array.from({ length: side }, () => attack(random, live as Live));
      const [frames] = await Promise.all([Promise.all(attacks), ...honest.map((each) => each.turn())]);
      if (escaped.length > 0) throw new Error(`this escaped, or was reported: ${escaped.map(String).join('\n')}`);
      return frames.reduce((sum, count) => sum + count, 0);
    },
    async stop() {
      if (!live) return;
      const { plain, deflating, tcp, honest } = live;
      for (const each of honest) each.end();
      const open = (): number =>
        [plain.endpoint, deflating.endpoint, tcp].reduce((all, each) => all + each.stats().open, 0);
      const deadline = performance.now() + 5_000;
      while (open() > 0 && performance.now() < deadline) await setTimeout(10);
      const left = open();
      await Promise.all([plain.stop(), deflating.stop(), tcp.drain({ deadline: 0 })]);
      process.off('uncaughtException', note);
      process.off('unhandledRejection', note);
      if (left > 0) throw new Error(`${left} connections are left open`);
    },
  };
}

async function startLive(onError: (error: unknown) => void): Promise<Live> {
  const limits = { closeTimeout: 300, maxPayload: 100_000 };
  const server = () => {
    const bus = createBus();
    const broker = stompBroker({ bus, authorize: () => true, limits: { connectTimeout: 1_000 } });
    return { limits, onError, protocols: [graphqlServer({ schema: transcriptSchema(bus) }), broker] };
  };
  const bus = createBus();
  const plain = await httpEndpoint(server());
  const deflating = await httpEndpoint({ ...server(), deflate: true });
  const tcp = await listenTcp({
    limits,
    onError,
    port: 0,
    protocols: [stompBroker({ bus, authorize: () => true, limits: { connectTimeout: 1_000 } })],
  });
  const honest = [
    await honestStomp(await openRaw({ port: plain.port, protocols: ['v12.stomp'] })),
    await honestStomp(await openRaw({ port: deflating.port, protocols: ['v12.stomp'] })),
    await honestGraphql(await openRaw({ port: plain.port, protocols: ['graphql-transport-ws'] })),
  ];
  return { plain, deflating, tcp, escaped: [], honest };
}

async function honestStomp(raw: RawWebSocket): Promise<Honest> {
  let sent = 0;
  raw.send(connectFrame.toString());
  await raw.message();
  raw.send('SUBSCRIBE\nid:0\ndestination:/topic/honest\nreceipt:live\n\n\0');
  await raw.message();
  return {
    async turn() {
      raw.send(`SEND\ndestination:/topic/honest\n\n${++sent}\0`);
      let message = '\n';
      while (/^\n*$/.test(message)) message = await raw.message();
      if (!message.endsWith(`\n\n${sent}\0`)) throw new Error(`the honest client wanted ${sent}, got ${message}`);
    },
    end: () => raw.destroy(),
  };
}

async function honestGraphql(raw: RawWebSocket): Promise<Honest> {
  let sent = 0;
  raw.send(initMessage.toString());
  await raw.message();
  return {
    async turn() {
      const id = String(++sent);
      raw.send(JSON.stringify({ type: 'subscribe', id, payload: { query: `{ hello(name: "${id}") }` } }));
      const [next, complete] = [await raw.message(), await raw.message()];
      if (!next.includes(`"hello ${id}"`) || !complete.includes('complete')) {
        throw new Error(`the honest client wanted ${id}, got ${next} ${complete}`);
      }
    },
    end: () => raw.destroy(),
  };
}

/** One connection of somebody who means no good. Returns how many frames it sent. */
async function attack(random: Random, { plain, deflating, tcp }: Live): Promise<number> {
  if (random.chance(0.3)) return attackStream(random, tcp.port);
  const isStomp = random.chance(0.5);
  const deflates = random.chance(0.5);
  const raw = await openRaw({
    port: deflates ? deflating.port : plain.port,
    protocols: [isStomp ? random.pick(['v10.stomp', 'v11.stomp', 'v12.stomp']) : 'graphql-transport-ws'],
    headers: deflates ? { 'sec-websocket-extensions': 'permessage-deflate' } : {},
  });
  if (random.chance(0.9)) raw.send(isStomp ? connectFrame.toString() : initMessage.toString());
  const frames = 1 + random.below(40);
  const corpus = isStomp ? stompStreams : graphqlMessages;
  for (let sent = 0; sent < frames; sent++) raw.sendBytes(badFrame(random, corpus, deflates));
  await finish(random, raw.socket);
  return frames;
}

/** Sound most of the time: one that breaks RFC 6455 ends the connection before what it holds is read. */
function badFrame(random: Random, corpus: readonly Uint8Array[], deflates: boolean): Buffer {
  const payload = new Uint8Array(mutated(random, random.pick(corpus), corpus));
  const choice = random.below(100);
  if (choice < 50) return frameBytes({ opcode: Opcode.text, payload: Buffer.from(payload).toString('utf8') });
  if (choice < 75) return frameBytes({ opcode: Opcode.binary, payload });
  if (choice < 85 && deflates) {
    const packed = deflateRawSync(payload);
    if (random.chance(0.3)) packed[random.below(packed.length)] = random.below(256);
    return frameBytes({ opcode: Opcode.text, rsv: 4, payload: packed });
  }
  if (choice < 90) {
    const half = payload.length >> 1;
    return Buffer.concat([
      frameBytes({ opcode: Opcode.text, fin: false, payload: payload.subarray(0, half) }),
      frameBytes({ opcode: Opcode.ping, payload: 'p' }),
      frameBytes({ opcode: Opcode.continuation, payload: payload.subarray(half) }),
    ]);
  }
  if (choice < 93) return frameBytes({ opcode: Opcode.close, payload: closePayload(random.below(5_000)) });
  return frameBytes({
    opcode: random.below(16),
    rsv: random.below(8),
    fin: random.chance(0.5),
    masked: random.chance(0.9),
    payload: payload.subarray(0, random.below(200)),
  });
}

async function attackStream(random: Random, port: number): Promise<number> {
  const socket = connect(port, '127.0.0.1');
  // A reset is an end as well.
  socket.on('error', () => {});
  await new Promise((resolve) => socket.once('connect', resolve));
  if (random.chance(0.9)) socket.write(connectFrame);
  const frames = 1 + random.below(40);
  for (let sent = 0; sent < frames; sent++) {
    socket.write(Buffer.from(mutated(random, random.pick(stompStreams), stompStreams)));
  }
  await finish(random, socket);
  return frames;
}

/** Ends as clients do: gently, suddenly, or by waiting for the server to end it. */
async function finish(random: Random, socket: Socket): Promise<void> {
  const over = new Promise<void>((resolve) => {
    if (socket.closed) resolve();
    else socket.once('close', () => resolve());
  });
  socket.resume();
  if (random.chance(0.3)) socket.resetAndDestroy();
  else socket.end();
  await over;
}
