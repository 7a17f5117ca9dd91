import { timingSafeEqual } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { idWindow } from '../bus/backbone.ts';
import { idKey, RecentIds } from '../bus/recent-ids.ts';
import { type Clock, never, systemClock, type Timed } from '../core/clock.ts';
import { messageOf } from '../core/fault.ts';
import { assertOption, checkNames, numberOptions } from '../core/options.ts';
import { randomId } from '../core/random.ts';
import { MessageLog } from './local-log.ts';
import { controlFrame, FrameKind, FrameReader, FrameWriter, frame, maxFrame, messageFrame } from './local-wire.ts';
import { matcher, Names } from './names.ts';

/** How a hub is made. */
export interface LocalHubOptions {
  /**
   * Where processes find it: `<token>@<path>`. Give back the `address` of a hub that has ended to take its place.
   *
   * @defaultValue a new one, in a directory of its own that nobody else may enter
   */
  readonly address?: string | undefined;
  /** How long a message is kept for those who come back, in ms. @defaultValue 120_000 */
  readonly maxAge?: number | undefined;
  /** How many bytes of messages are kept. @defaultValue 67_108_864 */
  readonly maxBytes?: number | undefined;
  /** How many messages are kept. @defaultValue 100_000 */
  readonly maxMessages?: number | undefined;
  /** What keeps time. @defaultValue the clock of this process */
  readonly clock?: Clock | undefined;
}

/** The hub of one machine. */
export interface LocalHub {
  /** What {@link LocalHubOptions.address} says. Whoever knows it can read and write everything: it is a secret. */
  readonly address: string;
  /** The address as a variable of the environment, for `cluster.fork(hub.env)` or `fork(file, { env })`. */
  readonly env: { readonly SUBWIRE_HUB: string };
  /** How many processes are connected. */
  readonly size: number;
  /** Let go of all processes, and of the directory. */
  close(): Promise<void>;
}

/** A peer must show the token within so many ms, and until then says no more than so many bytes. */
const introduction = 5_000;
const maxIntroduction = 4_096;
/** A process that reads nothing loses its connection when so many bytes wait for it; it comes back and catches up. */
const maxWaiting = 67_108_864;
/** Each process hears from the hub at least every so many ms. */
export const markEvery = 5_000;
/** A process that is away keeps the outcome of its last batch for so many ms. */
const batchWindow = 60_000;
const maxIds = 100_000;
const optionNames = { address: true, maxAge: true, maxBytes: true, maxMessages: true, clock: true } as const;

/** What a connected process says in control frames, once it is let in. */
type Request =
  | { readonly do: 'resume'; readonly epoch?: string; readonly last?: number; readonly names: readonly string[] }
  | { readonly do: 'subscribe' | 'unsubscribe'; readonly name: string; readonly request: number }
  | {
      readonly do: 'since';
      readonly request: number;
      readonly name: string;
      readonly epoch: string;
      readonly after: number;
      readonly limit: number;
    };

interface Outcome {
  readonly sequence: number;
  readonly answer: Buffer;
}

/** What a hub knows, apart from its processes. */
class HubState {
  readonly epoch = randomId().slice(0, 12);
  offset = 0;
  readonly log: MessageLog;
  readonly names = new Names<Peer>();
  readonly peers = new Set<Peer>();
  /** By process: what became of its last batch. */
  readonly outcomes = new RecentIds<Outcome>(batchWindow, maxIds);
  readonly clock: Clock;
  readonly token: Buffer;
  readonly #ids = new RecentIds<number>(idWindow, maxIds);

  constructor(log: MessageLog, clock: Clock, token: string) {
    this.log = log;
    this.clock = clock;
    this.token = Buffer.from(token);
  }

  /** Store one message and send it to whoever wants it. */
  store(topic: string, id: string, envelope: Buffer): number {
    const now = this.clock.now();
    const key = id === '' ? undefined : idKey(topic, id);
    const known = key === undefined ? undefined : this.#ids.get(key, now);
    if (known !== undefined) return known;
    const offset = ++this.offset;
    if (key !== undefined) this.#ids.set(key, offset, now);
    const bytes = messageFrame(offset, topic, envelope);
    this.log.append({ offset, at: now, topic, frame: bytes });
    for (const peer of this.names.match(topic)) peer.deliver(bytes);
    return offset;
  }
}

/** One process. */
class Peer implements Timed {
  deadline: number;
  readonly #state: HubState;
  readonly #socket: Socket;
  readonly #writer: FrameWriter;
  readonly #reader: FrameReader;
  readonly #names = new Set<string>();
  #client: string | undefined;

  constructor(state: HubState, socket: Socket) {
    this.#state = state;
    this.#socket = socket;
    this.#writer = new FrameWriter(socket, state.clock);
    this.#reader = new FrameReader((kind, payload) => this.#received(kind, payload));
    this.#reader.limit = maxIntroduction;
    this.deadline = state.clock.now() + introduction;
    state.clock.watch(this);
    socket.on('data', (chunk: Buffer) => {
      try {
        this.#reader.push(chunk);
      } catch (error) {
        // What it says is none of ours: it costs this process its connection, and nobody else anything.
        this.refuse(messageOf(error));
      }
    });
    socket.on('error', () => {});
    socket.on('close', () => this.#closed());
  }

  deliver(bytes: Buffer): void {
    if (this.#writer.waiting > maxWaiting) this.#socket.destroy();
    else this.#writer.send(bytes);
  }

  refuse(why: string): void {
    this.#writer.send(controlFrame({ do: 'refused', why }));
    this.#writer.turnEnded();
    this.#socket.destroySoon();
  }

  end(): void {
    this.#writer.turnEnded();
    this.#socket.destroySoon();
  }

  tick(now: number): void {
    if (this.#client === undefined) {
      this.#socket.destroy();
      return;
    }
    this.#writer.send(controlFrame({ do: 'mark', offset: this.#state.offset }));
    this.deadline = now + markEvery;
  }

  #closed(): void {
    this.deadline = never;
    this.#state.clock.forget(this);
    this.#state.peers.delete(this);
    for (const name of this.#names) this.#state.names.delete(name, this);
    this.#names.clear();
  }

  #received(kind: number, payload: Buffer): void {
    if (this.#client === undefined) return this.#introduced(kind, payload);
    if (kind === FrameKind.batch) return this.#store(payload);
    if (kind !== FrameKind.control) throw new Error(`a frame of kind ${kind}`);
    const request = JSON.parse(payload.toString()) as Request;
    if (request.do === 'resume') this.#resume(request);
    else if (request.do === 'subscribe') this.#subscribe(request.name, request.request);
    else if (request.do === 'unsubscribe') this.#unsubscribe(request.name);
    else if (request.do === 'since') this.#since(request);
  }

  #introduced(kind: number, payload: Buffer): void {
    if (kind !== FrameKind.control) throw new Error('the first frame is no introduction');
    const { version, token, client } = JSON.parse(payload.toString()) as Record<string, unknown>;
    const shown = Buffer.from(String(token));
    if (shown.length !== this.#state.token.length || !timingSafeEqual(shown, this.#state.token)) {
      throw new Error('the token is not the one of this hub');
    }
    if (version !== 1) throw new Error(`the hub speaks version 1, and the process ${String(version)}: update it`);
    if (typeof client !== 'string') throw new Error('a process without a name');
    this.#client = client;
    this.#reader.limit = maxFrame;
    this.deadline = this.#state.clock.now() + markEvery;
    this.#state.peers.add(this);
    this.#writer.send(controlFrame({ do: 'welcome', epoch: this.#state.epoch }));
  }

  /** Names that were live before: what came meanwhile is sent first, or it is said that it is gone. */
  #resume({ epoch, last, names }: Extract<Request, { do: 'resume' }>): void {
    const { log, offset } = this.#state;
    for (const name of names) this.#add(name);
    if (epoch !== undefined && last !== undefined) {
      const wanted = new Names<true>();
      for (const name of names) wanted.add(name, true);
      const isWanted = (topic: string): boolean => [...wanted.match(topic)].length > 0;
      const known = epoch === this.#state.epoch && last <= offset;
      const missed = known ? log.after(last, isWanted, Infinity) : undefined;
      if (missed) for (const entry of missed) this.#writer.send(entry.frame);
      else this.#writer.send(controlFrame({ do: 'gap', offset }));
    }
    this.#writer.send(controlFrame({ do: 'live', offset }));
  }

  #add(name: string): void {
    this.#state.names.add(name, this);
    this.#names.add(name);
  }

  #subscribe(name: string, request: number): void {
    try {
      this.#add(name);
    } catch (error) {
      this.#writer.send(controlFrame({ do: 'notSubscribed', name, request, why: messageOf(error) }));
      return;
    }
    this.#writer.send(controlFrame({ do: 'subscribed', name, request, offset: this.#state.offset }));
  }

  #unsubscribe(name: string): void {
    if (this.#names.delete(name)) this.#state.names.delete(name, this);
  }

  #since({ request, name, epoch, after, limit }: Extract<Request, { do: 'since' }>): void {
    const { log, clock, offset } = this.#state;
    log.forget(clock.now());
    const known = epoch === this.#state.epoch && after <= offset;
    const found = known ? log.after(after, matcher(name), limit) : undefined;
    const head = Buffer.allocUnsafe(5);
    head.writeUInt32BE(request, 0);
    head[4] = found ? 1 : 0;
    const frames = (found ?? []).map((entry) => entry.frame);
    const length = frames.reduce((sum, each) => sum + each.length, head.length);
    // An answer that is too long for a frame is one that the hub does not have.
    if (length > maxFrame) head[4] = 0;
    const parts = length > maxFrame ? [head] : [head, ...frames];
    this.#writer.send(frame(FrameKind.history, Buffer.concat(parts)));
  }

  /** `sequence(4) count(2)`, then for each message `length(2) topic length(2) id length(4) envelope`. */
  #store(payload: Buffer): void {
    const { outcomes, clock } = this.#state;
    const client = this.#client as string;
    const sequence = payload.readUInt32BE(0);
    const known = outcomes.get(client, clock.now());
    // The answer was lost, and the batch comes again.
    if (known?.sequence === sequence) return this.#writer.send(known.answer);
    const count = payload.readUInt16BE(4);
    const answer = Buffer.allocUnsafe(4 + 8 * count);
    answer.writeUInt32BE(sequence, 0);
    let at = 6;
    function field(lengthBytes: number): Buffer {
      const length = payload.readUIntBE(at, lengthBytes);
      at += lengthBytes + length;
      if (at > payload.length) throw new Error('a batch that is cut');
      return payload.subarray(at - length, at);
    }
    for (let index = 0; index < count; index++) {
      const topic = field(2).toString();
      const id = field(2).toString();
      answer.writeDoubleBE(this.#state.store(topic, id, field(4)), 4 + 8 * index);
    }
    const outcome = { sequence, answer: frame(FrameKind.stored, answer) };
    outcomes.set(client, outcome, clock.now());
    this.#writer.send(outcome.answer);
  }
}

/**
 * The hub of one machine: processes that use {@link localBackbone} with its address act as one. It is a server on a UNIX
 * socket in a directory that only this user may enter (mode 0700), or on a named pipe of Windows; whoever does not show
 * the token is refused. Messages are kept for a while, so that a process that comes back misses nothing.
 *
 * Rejects when the address cannot be used, for instance because another hub has it; throws a `TypeError` that names an
 * option that is wrong.
 *
 * @example
 * const hub = await startLocalHub();
 * for (const _ of availableCores) cluster.fork(hub.env);
 */
export async function startLocalHub(options: LocalHubOptions = {}): Promise<LocalHub> {
  checkNames(options, optionNames, 'startLocalHub()');
  const { maxAge, maxBytes, maxMessages } = numberOptions(
    options,
    { maxAge: 120_000, maxBytes: 67_108_864, maxMessages: 100_000 },
    0,
    'startLocalHub(): ',
  );
  const { clock = systemClock } = options;
  let directory: string | undefined;
  let { address } = options;
  if (address === undefined) {
    const token = randomId() + randomId();
    if (process.platform === 'win32') address = `${token}@\\\\.\\pipe\\subwire-${randomId()}`;
    else {
      // mkdtemp makes it with mode 0700.
      directory = await mkdtemp(join(tmpdir(), 'subwire-hub-'));
      address = `${token}@${join(directory, 'hub')}`;
    }
  }
  const { token, path } = readAddress(address);
  const state = new HubState(new MessageLog({ age: maxAge, bytes: maxBytes, messages: maxMessages }), clock, token);
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    new Peer(state, socket);
  });
  const listen = (): Promise<void> =>
    new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(path, () => {
        server.off('error', reject);
        resolve();
      });
    });
  try {
    await listen();
  } catch (error) {
    // The socket of a hub that was killed stays in the file system. One that answers belongs to a hub that lives.
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE' || (await answers(path))) throw error;
    await rm(path, { force: true });
    await listen();
  }
  server.on('error', () => {});
  return {
    address,
    env: { SUBWIRE_HUB: address },
    get size() {
      return state.peers.size;
    },
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const peer of state.peers) peer.end();
      for (const socket of sockets) socket.destroySoon();
      await closed;
      if (directory !== undefined) await rm(directory, { recursive: true, force: true });
    },
  };
}

/** The parts of an address. Throws a `TypeError` if it is none; the address is a secret and not shown. */
export function readAddress(address: string): { readonly token: string; readonly path: string } {
  const at = String(address).indexOf('@');
  assertOption(at > 0 && at < address.length - 1, 'address', 'the address of a hub, <token>@<path>', '(hidden)');
  return { token: address.slice(0, at), path: address.slice(at + 1) };
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
