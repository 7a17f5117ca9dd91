import type { Bus } from '../../src/bus/bus.ts';
import { connectionLimits, type LimitOptions, resolveLimits } from '../../src/core/limits.ts';
import { ServerConnection } from '../../src/core/server-connection.ts';
import type { Authenticate } from '../../src/core/subprotocol.ts';
import { encodeUtf8 } from '../../src/core/wire.ts';
import { type StompBroker, type StompBrokerOptions, stompBroker } from '../../src/stomp/broker/stomp-broker.ts';
import { Decoder } from '../../src/stomp/protocol/decoder.ts';
import { encodeFrame } from '../../src/stomp/protocol/encoder.ts';
import type { Frame } from '../../src/stomp/protocol/frame.ts';
import type { HeaderInput } from '../../src/stomp/protocol/headers.ts';
import type { Version } from '../../src/stomp/protocol/versions.ts';
import { createFakeClock, type FakeClock } from './fake-clock.ts';
import { contentOf, FakeSocket } from './fake-socket.ts';
import { openBus } from './open-bus.ts';

const limits = { maxHeaders: 1e3, maxHeaderLine: 1e6, maxHeaderBytes: 1e6, maxBody: 1e8 };

/** What a test sees of a frame that the server sent. */
export interface SeenFrame {
  readonly command: string;
  readonly headers: Record<string, string>;
  readonly body: string;
  readonly binary: boolean;
}

/** A client's side of a STOMP connection without sockets: the real connection core over a fake socket and a fake clock. */
export class StompPeer {
  readonly socket: FakeSocket;
  readonly connection: ServerConnection;
  readonly reported: unknown[] = [];
  version: Version = '1.2';
  readonly #clock: FakeClock;
  #seen = 0;

  constructor(
    broker: StompBroker,
    clock: FakeClock,
    protocol: string,
    authenticate: Authenticate | undefined,
    connection: LimitOptions<typeof connectionLimits>,
  ) {
    this.#clock = clock;
    this.socket = new FakeSocket({ protocol });
    this.connection = new ServerConnection(
      this.socket,
      { url: '/ws', headers: {}, remoteAddress: '', secure: false },
      {
        clock,
        limits: resolveLimits(connectionLimits, connection),
        faultTable: broker.faults,
        authenticate,
        cutsSlowReader: true,
        report: (error) => this.reported.push(error),
      },
    );
    this.socket.receiver = this.connection;
    this.connection.start((opened) => broker.open(opened, protocol));
  }

  /** Octets as they are; then everything settles. */
  async raw(data: string | Uint8Array): Promise<this> {
    this.connection.received(data);
    await this.#clock.settle();
    return this;
  }

  /** One frame in the agreed version; then everything settles. */
  async send(command: string, headers: HeaderInput = {}, body: string | Uint8Array = ''): Promise<this> {
    this.put(command, headers, body);
    await this.#clock.settle();
    return this;
  }

  /** One frame, and nothing is waited for. */
  put(command: string, headers: HeaderInput = {}, body: string | Uint8Array = ''): void {
    const content = contentOf(encodeFrame(this.version, command, headers, body));
    this.connection.received(typeof content === 'string' ? encodeUtf8(content) : content);
  }

  async connect(version: Version = '1.2', headers: Record<string, string> = {}): Promise<this> {
    const said = version === '1.0' ? {} : { 'accept-version': version, host: 'localhost' };
    await this.send('CONNECT', { ...said, ...headers });
    const [connected] = this.take();
    if (connected?.command !== 'CONNECTED') throw new Error(`No CONNECTED but ${JSON.stringify(connected)}`);
    this.version = version;
    return this;
  }

  /** The frames since the last `take()`. */
  take(): SeenFrame[] {
    const sent = this.socket.sent;
    const frames: SeenFrame[] = [];
    for (const message of sent.slice(this.#seen)) {
      const decoder = new Decoder(limits);
      decoder.version = this.version;
      decoder.push(message);
      for (let frame = decoder.next(); frame; frame = decoder.next())
        frames.push(seen(frame, typeof message !== 'string'));
    }
    this.#seen = sent.length;
    return frames;
  }

  /** As `take`, in short: `MESSAGE hello`, `RECEIPT 7`, `ERROR the message`. */
  brief(): string[] {
    return this.take().map(({ command, headers, body }) => {
      if (command === 'RECEIPT') return `RECEIPT ${headers['receipt-id']}`;
      if (command === 'ERROR') return `ERROR ${headers['message']}`;
      return `${command} ${body}`;
    });
  }

  get closed(): { readonly code: number; readonly reason: string } | undefined {
    return this.socket.closing;
  }
}

const seen = ({ command, headers, body }: Frame, binary: boolean): SeenFrame => ({
  command,
  headers: Object.fromEntries(headers),
  body: Buffer.from(body).toString(binary ? 'hex' : 'utf8'),
  binary,
});

/**
 * For `authorize`: opens what only that can open, other users and dead letters, and leaves the rest to the destination.
 * Dead letters of tests are in `/queue/dead`.
 */
export const openAll = ({ destination }: { readonly destination: string }): true | undefined =>
  destination.startsWith('/user/') || destination === '/queue/dead' ? true : undefined;

export interface StompDeskOptions extends Omit<StompBrokerOptions, 'bus'> {
  readonly bus?: Bus | undefined;
  readonly authenticate?: Authenticate | undefined;
  readonly connection?: LimitOptions<typeof connectionLimits> | undefined;
}

/**
 * A broker with as many peers as a test opens.
 *
 * @example
 * const desk = createStompDesk();
 * const peer = await desk.open().connect('1.2');
 * await peer.send('SEND', { destination: '/topic/a', receipt: '1' }, 'hello');
 * peer.brief(); // ['RECEIPT 1']
 */
export function createStompDesk({ authenticate, connection = {}, ...options }: StompDeskOptions = {}) {
  const clock = createFakeClock();
  const bus = options.bus ?? openBus();
  const broker = stompBroker({ clock, open: true, strict: true, ...options, bus });
  return {
    clock,
    bus,
    broker,
    open: (protocol = ''): StompPeer => new StompPeer(broker, clock, protocol, authenticate, connection),
  };
}
