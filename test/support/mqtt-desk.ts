import { generate, type IConnectPacket, type Packet, parser } from 'mqtt-packet';
import type { Bus } from '../../src/bus/bus.ts';
import type { Principal, Session } from '../../src/core/subprotocol.ts';
import { type MqttBroker, type MqttBrokerOptions, mqttBroker } from '../../src/mqtt/index.ts';
import { createTestClock, type TestClock } from '../../src/testing/index.ts';
import { openBus } from './open-bus.ts';
import { RecordingConnection } from './recording-connection.ts';

/** A packet with whatever it has, as tests look at it. */
export type AnyPacket = Packet & { readonly [name: string]: unknown };

/** One client of a broker, without a socket: packets of mqtt-packet go in and come out. */
export class MqttPeer {
  readonly connection: RecordingConnection;
  readonly session: Session;
  readonly level: 4 | 5;
  readonly #packets: AnyPacket[] = [];
  readonly #parser: ReturnType<typeof parser>;
  readonly #clock: TestClock;

  constructor(broker: MqttBroker, clock: TestClock, level: 4 | 5, principal: Principal | boolean) {
    this.level = level;
    this.#clock = clock;
    this.connection = new RecordingConnection('mqtt');
    this.connection.now = this.connection.receivedAt = clock.now();
    this.connection.authenticated = principal;
    this.session = broker.open(this.connection, 'mqtt');
    this.#parser = parser({ protocolVersion: level });
    this.#parser.on('packet', (packet) => this.#packets.push(packet as AnyPacket));
  }

  /** Say this, and wait until everything has come of it. What the session throws ends it, as it does on a connection. */
  async say(packet: Packet | Uint8Array): Promise<AnyPacket[]> {
    const bytes = packet instanceof Uint8Array ? packet : generate(packet, { protocolVersion: this.level });
    this.connection.now = this.connection.receivedAt = this.#clock.now();
    this.#enter(() => this.session.receive(bytes, this.connection.now));
    await settled();
    return this.heard();
  }

  /** Time has come to `now`. */
  tick(now: number): void {
    this.connection.now = now;
    this.#enter(() => {
      if (now >= this.session.deadline) this.session.tick(now);
    });
  }

  /** What the server said since the last time; the last words of a fault too. */
  heard(): AnyPacket[] {
    for (const { head, tail } of this.connection.wires.splice(0)) {
      this.#parser.parse(Buffer.from(head as Uint8Array));
      if (tail) this.#parser.parse(Buffer.from(tail));
    }
    return this.#packets.splice(0);
  }

  /** The transport is lost. */
  lose(): void {
    this.connection.now = this.#clock.now();
    this.session.end(1006, '');
  }

  #enter(run: () => void): void {
    try {
      run();
    } catch (error) {
      const { fault, detail } = error as { fault: never; detail: string };
      if (fault === undefined) throw error;
      this.session.fail(error as never);
      this.connection.close(fault, detail);
    }
  }
}

/** Everything that was promised has happened. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 4; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
}

/** A broker and its clients, on a clock that stands. */
export interface MqttDesk {
  readonly bus: Bus;
  readonly broker: MqttBroker;
  readonly clock: TestClock;
  /** Let a client in. `hello` changes its CONNECT; `who` is what `authenticate` answers. */
  connect(
    level: 4 | 5,
    hello?: Partial<IConnectPacket>,
    who?: Principal | boolean,
  ): Promise<MqttPeer & { readonly connack: AnyPacket; readonly welcome: readonly AnyPacket[] }>;
}

/** A broker whose topics are all open, unless `options` says otherwise. */
export function createMqttDesk(options: Partial<MqttBrokerOptions> = {}): MqttDesk {
  const bus = options.bus ?? openBus({ onError: () => {} });
  const clock = createTestClock();
  const broker = mqttBroker({ onError: () => {}, ...options, bus, clock });
  let count = 0;
  return {
    bus,
    broker,
    clock,
    async connect(level, hello = {}, who = true) {
      const peer = new MqttPeer(broker, clock, level, who);
      const [connack, ...welcome] = await peer.say({
        ...{ cmd: 'connect', protocolId: 'MQTT', protocolVersion: level, clean: true, keepalive: 0 },
        clientId: `client-${++count}`,
        ...hello,
      } as IConnectPacket);
      return Object.assign(peer, { connack: connack as AnyPacket, welcome });
    },
  };
}
