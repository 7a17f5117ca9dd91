import { createEndpoint } from '../../src/core/endpoint.ts';
import type { ConnectionLimits } from '../../src/core/limits.ts';
import type { Authenticate } from '../../src/core/subprotocol.ts';
import { type StompRelay, type StompRelayOptions, stompRelay } from '../../src/stomp/relay/stomp-relay.ts';
import { createFakeClock, type FakeClock } from './fake-clock.ts';
import { FakeSocket, type SentMessage } from './fake-socket.ts';
import { type FakeDial, FakeTransport } from './fake-transport.ts';

export interface RelaySceneOptions extends Partial<StompRelayOptions> {
  readonly authenticate?: Authenticate | undefined;
  readonly connection?: Partial<ConnectionLimits> | undefined;
}

/** One side of a relay: its socket, and what was said on it. */
export class Peer {
  readonly socket: FakeSocket;
  readonly #clock: FakeClock;

  constructor(socket: FakeSocket, clock: FakeClock) {
    this.socket = socket;
    this.#clock = clock;
  }

  /** Say this, and end the turn. */
  say(...frames: (string | Uint8Array)[]): void {
    for (const frame of frames) this.socket.receiver?.received(frame);
    this.#clock.flushTurn();
  }

  /** What came since the last time, heart-beats left out. */
  heard(): SentMessage[] {
    this.#clock.flushTurn();
    return this.socket.take().filter((message) => message !== '\n');
  }
}

/**
 * A relay between clients and brokers that exist in the test only.
 *
 * @example
 * const scene = new RelayScene();
 * const { client, broker } = scene.connected();
 * client.say('SEND\ndestination:/queue/a\n\nx\0');
 * broker.heard();
 */
export class RelayScene {
  readonly clock = createFakeClock();
  readonly transport = new FakeTransport();
  readonly reported: unknown[] = [];
  readonly relay: StompRelay;
  readonly endpoint;

  constructor({ authenticate, connection, ...options }: RelaySceneOptions = {}) {
    const onError = (error: unknown): void => void this.reported.push(error);
    this.relay = stompRelay({ strict: true, broker: this.transport.transport, clock: this.clock, onError, ...options });
    this.endpoint = createEndpoint({
      protocols: [this.relay],
      authenticate,
      clock: this.clock,
      limits: connection,
      onError,
    });
  }

  /** A client that has sent nothing yet. */
  client(protocol = ''): Peer {
    const socket = new FakeSocket({ protocol });
    const handshake = { url: '/ws', headers: {}, remoteAddress: '127.0.0.1', secure: false };
    socket.receiver = this.endpoint.accept(socket, handshake, this.relay);
    return new Peer(socket, this.clock);
  }

  /** The broker accepts the connection that was tried last. */
  accept(dial: FakeDial = this.transport.last, answersClose = true): Peer {
    const socket = dial.open('', answersClose);
    this.clock.flushTurn();
    return new Peer(socket, this.clock);
  }

  /** A client that the broker has let in; nothing of that is left to be heard. */
  connected({
    version = '1.2',
    brokerVersion = '1.2',
    brokerHeaders = '',
    clientHeaders = '',
    answersClose = true,
  } = {}) {
    const client = this.client();
    client.say(`CONNECT\naccept-version:${version}\nhost:here\n${clientHeaders}\n\0`);
    const broker = this.accept(this.transport.last, answersClose);
    broker.say(`CONNECTED\nversion:${brokerVersion}\n${brokerHeaders}\n\0`);
    client.heard();
    broker.heard();
    return { client, broker };
  }
}
