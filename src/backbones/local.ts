import { connect, type Socket } from 'node:net';
import {
  type Backbone,
  BackboneError,
  type BackboneSink,
  type BackboneState,
  type MessageOptions,
} from '../bus/backbone.ts';
import { createMessage, type Message, type Position } from '../bus/message.ts';
import { backoff } from '../core/backoff.ts';
import { type Clock, never, systemClock, type Timed } from '../core/clock.ts';
import { messageOf } from '../core/fault.ts';
import { assertOption, checkNames } from '../core/options.ts';
import { randomId } from '../core/random.ts';
import { openEnvelope, sealEnvelope } from './envelope.ts';
import { markEvery, readAddress } from './local-hub.ts';
import { controlFrame, FrameKind, FrameReader, FrameWriter, frame, maxFrame, readMessage } from './local-wire.ts';
import { Names } from './names.ts';
import { type Batch, Outbox } from './outbox.ts';
import { isPosition, noSink, openedSink } from './sink.ts';
import { Wishes } from './wishes.ts';

export { type LocalHub, type LocalHubOptions, startLocalHub } from './local-hub.ts';

/** How a process finds its hub. */
export interface LocalBackboneOptions {
  /** The address of a {@link LocalHub}. @defaultValue the variable `SUBWIRE_HUB` of the environment */
  readonly address?: string | undefined;
  /** What keeps time. @defaultValue the clock of this process */
  readonly clock?: Clock | undefined;
}

/** The largest body, in bytes: a frame has to hold it with its topic and headers. */
const maxBody = maxFrame - 1_048_576;
/** A hub that was silent for so many ms does not hear, or its process is frozen. */
const patience = 3 * markEvery;
/** Pauses between attempts, in ms. */
const pauses = { base: 50, cap: 1_000 };
const longestTopic = 65_535;

/** What the hub says in control frames. */
interface Control {
  readonly do: 'welcome' | 'refused' | 'gap' | 'live' | 'subscribed' | 'notSubscribed' | 'mark';
  readonly epoch: string;
  readonly offset: number;
  readonly name: string;
  readonly request: number;
  readonly why: string;
}

/**
 * Many processes of one machine act as one, without any server: each connects to the hub that one of them, usually the
 * primary of `node:cluster`, has started with {@link startLocalHub}.
 *
 * A publish resolves when the hub has the message. It is kept in the hub's memory: a hub that is killed takes its
 * messages along, the next one says so (`gap`), and publishes whose outcome is unknown are rejected as such.
 *
 * Throws a `TypeError` if there is no address.
 *
 * @example
 * if (cluster.isPrimary) cluster.fork((await startLocalHub()).env);
 * else attach(server, { protocols: [stompBroker({ bus: createBus({ backbone: localBackbone() }) })] });
 */
export function localBackbone(options: LocalBackboneOptions = {}): Backbone {
  checkNames(
    options,
    { address: true, clock: true } satisfies Record<keyof LocalBackboneOptions, true>,
    'localBackbone()',
  );
  const { address = process.env['SUBWIRE_HUB'], clock = systemClock } = options;
  assertOption(
    typeof address === 'string' && address !== '',
    'localBackbone(): address',
    'the address of a hub; start this process with the `env` of startLocalHub(), or give its `address`',
    typeof address,
  );
  return new LocalBackbone(readAddress(address as string), clock);
}

interface Answer<T> {
  resolve(value: T): void;
  reject(error: unknown): void;
}

class LocalBackbone implements Backbone, Timed {
  readonly name = 'local';
  readonly abilities = {
    ids: true,
    positions: true,
    patterns: 'broker',
    queues: false,
    history: true,
    maxBody,
  } as const;
  state: BackboneState = 'connecting';
  deadline: number = never;
  keepsAlive = true;
  readonly #hub: { readonly token: string; readonly path: string };
  readonly #clock: Clock;
  readonly #client = randomId();
  readonly #outbox: Outbox;
  readonly #wishes: Wishes;
  readonly #wanted = new Names<true>();
  readonly #questions = new Map<number, Answer<readonly Message[] | undefined>>();
  /** Subscribes whose answer is awaited: the last one of each name. */
  readonly #asked = new Map<string, number>();
  #sink: BackboneSink = noSink;
  #socket: Socket | undefined;
  #writer: FrameWriter | undefined;
  #stored: (Answer<readonly Position[]> & { readonly sequence: number }) | undefined;
  /** Where the batch was sent that is under way: another hub knows nothing of it. */
  #sentTo: { readonly sequence: number; readonly epoch: string } | undefined;
  #epoch: string | undefined;
  #last = 0;
  #count = 0;
  #attempt = 0;
  /** The hub has let us in and was told what we want. */
  #joined = false;

  constructor(hub: { readonly token: string; readonly path: string }, clock: Clock) {
    this.#hub = hub;
    this.#clock = clock;
    this.#outbox = new Outbox({ name: this.name, timers: clock, send: (batch) => this.#send(batch) });
    this.#wishes = new Wishes(this.name, clock);
    this.#dial();
  }

  get position(): Position | undefined {
    return this.#epoch === undefined ? undefined : { epoch: this.#epoch, offset: this.#last };
  }

  open(sink: BackboneSink): void {
    this.#sink = openedSink(this.#sink, sink);
  }

  async publish(topic: string, body: Uint8Array, options: MessageOptions): Promise<Position | undefined> {
    if (body.length > maxBody) {
      throw new BackboneError('tooLarge', `local: a body of ${body.length} bytes for "${topic}"; at most ${maxBody}`);
    }
    const { id, timeout } = options;
    if (Buffer.byteLength(topic) > longestTopic || Buffer.byteLength(id ?? '') > longestTopic) {
      throw new BackboneError('tooLarge', `local: a topic or an id of more than ${longestTopic} bytes`);
    }
    return this.#outbox.publish(topic, sealEnvelope(body, { ...options, id: undefined }), id, timeout);
  }

  subscribe(name: string): Promise<Position | undefined> {
    if (this.state === 'closed') return Promise.reject(new BackboneError('closed', 'local: the backbone is closed'));
    const known = this.#wishes.has(name);
    const live = this.#wishes.want(name);
    if (!known) {
      this.#wanted.add(name, true);
      if (this.state === 'up') this.#ask(name);
    }
    return live;
  }

  async unsubscribe(name: string): Promise<void> {
    if (!this.#wishes.drop(name)) return;
    this.#wanted.delete(name, true);
    this.#asked.delete(name);
    if (this.#joined) this.#control({ do: 'unsubscribe', name });
  }

  since(name: string, after: Position, limit: number): Promise<readonly Message[] | undefined> {
    if (!isPosition(after) || this.state !== 'up') return Promise.resolve(undefined);
    const request = ++this.#count;
    this.#control({ do: 'since', request, name, epoch: after.epoch, after: after.offset, limit });
    return new Promise((resolve, reject) => this.#questions.set(request, { resolve, reject }));
  }

  async close(): Promise<void> {
    if (this.state === 'closed') return;
    this.#clock.forget(this);
    this.#enter('closed');
    this.#outbox.close();
    this.#wishes.close();
    this.#ended();
    this.#socket?.destroy();
  }

  /** Time to try again, or the hub was silent for too long. */
  tick(): void {
    this.deadline = never;
    if (this.#socket) this.#socket.destroy();
    else this.#dial();
  }

  #dial(): void {
    const socket = connect(this.#hub.path);
    const writer = new FrameWriter(socket, this.#clock);
    const reader = new FrameReader((kind, payload) => this.#received(kind, payload));
    this.#socket = socket;
    let reason: unknown;
    socket.on('connect', () => {
      this.#writer = writer;
      this.#heard();
      this.#control({ do: 'hello', version: 1, token: this.#hub.token, client: this.#client });
    });
    socket.on('data', (chunk: Buffer) => {
      this.#heard();
      try {
        reader.push(chunk);
      } catch (error) {
        reason = error;
        socket.destroy();
      }
    });
    socket.on('error', (error) => {
      reason = error;
    });
    socket.on('close', () => {
      this.#socket = undefined;
      this.#writer = undefined;
      if (this.state === 'closed') return;
      this.#ended();
      this.#enter(this.state === 'connecting' ? 'connecting' : 'down', reason ?? new Error('local: the hub went away'));
      this.deadline = this.#clock.now() + backoff(this.#attempt++, pauses);
      this.#clock.watch(this);
    });
  }

  #heard(): void {
    this.deadline = this.#clock.now() + patience;
    this.#clock.watch(this);
  }

  /** What waits for an answer of this connection gets none. */
  #ended(): void {
    this.#joined = false;
    this.#outbox.up = false;
    this.#wishes.lost();
    this.#asked.clear();
    this.#stored?.reject(new Error('the connection to the hub was lost'));
    this.#stored = undefined;
    for (const { resolve } of this.#questions.values()) resolve(undefined);
    this.#questions.clear();
  }

  #enter(state: BackboneState, error?: unknown): void {
    if (state === this.state && error === undefined) return;
    this.state = state;
    this.#sink.state(state, error);
  }

  #control(value: object): void {
    this.#writer?.send(controlFrame(value));
  }

  #ask(name: string): void {
    const request = ++this.#count;
    this.#asked.set(name, request);
    this.#control({ do: 'subscribe', name, request });
  }

  #received(kind: number, payload: Buffer): void {
    if (kind === FrameKind.message) this.#message(payload);
    else if (kind === FrameKind.stored) this.#answered(payload);
    else if (kind === FrameKind.history) this.#past(payload);
    else if (kind === FrameKind.control) this.#controlled(JSON.parse(payload.toString()) as Control);
  }

  #controlled(control: Control): void {
    const { offset, name } = control;
    switch (control.do) {
      case 'welcome':
        return this.#welcome(control.epoch);
      case 'refused':
        throw new BackboneError('unavailable', `local: the hub refuses this process: ${control.why}`);
      case 'gap':
        this.#last = offset;
        return this.#sink.gap(undefined, this.position);
      case 'live':
        return this.#live(offset);
      case 'mark':
        this.#last = offset;
        return;
      case 'subscribed':
        this.#last = offset;
        if (this.#asked.get(name) !== control.request) return;
        this.#asked.delete(name);
        return this.#wishes.becameLive(name, this.position);
      case 'notSubscribed':
        if (this.#asked.get(name) !== control.request) return;
        this.#asked.delete(name);
        return this.#wishes.refuse(name, new BackboneError('full', `local: "${name}": ${control.why}`));
    }
  }

  /** Names that were live before are resumed where this process stopped hearing; the others begin now. */
  #welcome(epoch: string): void {
    const names = this.#wishes.names().filter((name) => this.#wishes.wasLive(name));
    const past = this.#epoch === undefined || names.length === 0 ? {} : { epoch: this.#epoch, last: this.#last };
    this.#epoch = epoch;
    this.#control({ do: 'resume', ...past, names });
    this.#joined = true;
  }

  #live(offset: number): void {
    this.#attempt = 0;
    this.#last = offset;
    for (const name of this.#wishes.names()) {
      if (this.#wishes.wasLive(name)) this.#wishes.becameLive(name, this.position);
      else this.#ask(name);
    }
    this.#enter('up');
    this.#outbox.up = true;
  }

  #message(payload: Buffer): void {
    const { offset, topic, envelope } = readMessage(payload);
    if (offset <= this.#last) return;
    this.#last = offset;
    for (const _ of this.#wanted.match(topic)) {
      const message = this.#opened(topic, offset, envelope);
      if (message) this.#sink.message(message);
      return;
    }
  }

  #opened(topic: string, offset: number, envelope: Buffer): Message | undefined {
    try {
      const { contentType, headers, body } = openEnvelope(envelope);
      return createMessage({ topic, body, contentType, headers, position: { epoch: this.#epoch as string, offset } });
    } catch (error) {
      this.#sink.unreadable(new Error(`local: a message of "${topic}" cannot be read: ${messageOf(error)}`));
      return undefined;
    }
  }

  #send({ sequence, messages }: Batch): Promise<readonly Position[]> {
    const epoch = this.#epoch as string;
    if (this.#sentTo?.sequence === sequence && this.#sentTo.epoch !== epoch) {
      const words = 'local: the hub went away with the message, and another one does not know it';
      return Promise.reject(new BackboneError('unavailable', words, 'unknown'));
    }
    this.#sentTo = { sequence, epoch };
    const parts: Buffer[] = [];
    const field = (bytes: Uint8Array, lengthBytes: number): void => {
      const head = Buffer.allocUnsafe(lengthBytes);
      head.writeUIntBE(bytes.length, 0, lengthBytes);
      parts.push(head, bytes as Buffer);
    };
    const head = Buffer.allocUnsafe(6);
    head.writeUInt32BE(sequence, 0);
    head.writeUInt16BE(messages.length, 4);
    parts.push(head);
    for (const { topic, id = '', envelope } of messages) {
      field(Buffer.from(topic), 2);
      field(Buffer.from(id), 2);
      field(envelope, 4);
    }
    return new Promise((resolve, reject) => {
      this.#stored = { sequence, resolve, reject };
      this.#writer?.send(frame(FrameKind.batch, Buffer.concat(parts)));
    });
  }

  #answered(payload: Buffer): void {
    const stored = this.#stored;
    if (stored?.sequence !== payload.readUInt32BE(0)) return;
    this.#stored = undefined;
    const epoch = this.#epoch as string;
    const positions: Position[] = [];
    for (let at = 4; at < payload.length; at += 8) positions.push({ epoch, offset: payload.readDoubleBE(at) });
    stored.resolve(positions);
  }

  #past(payload: Buffer): void {
    const request = payload.readUInt32BE(0);
    const question = this.#questions.get(request);
    this.#questions.delete(request);
    if (!question) return;
    if (payload[4] !== 1) return question.resolve(undefined);
    const messages: Message[] = [];
    const reader = new FrameReader((_kind, each) => {
      const { offset, topic, envelope } = readMessage(each);
      const message = this.#opened(topic, offset, envelope);
      if (message) messages.push(message);
    });
    if (payload.length > 5) reader.push(payload.subarray(5));
    question.resolve(messages);
  }
}
