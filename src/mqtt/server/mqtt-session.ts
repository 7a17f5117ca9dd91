import { never } from '../../core/clock.ts';
import { ProtocolError } from '../../core/fault.ts';
import { isPromise } from '../../core/promise-or.ts';
import type { Connection, Session } from '../../core/subprotocol.ts';
import { Decoder } from '../protocol/decoder.ts';
import { encodeAck, encodeConnack, encodeDisconnect, encodeUnsuback, pingresp } from '../protocol/encoder.ts';
import { MqttError, protocolError } from '../protocol/mqtt-error.ts';
import type {
  AckPacket,
  ClientPacket,
  ConnectPacket,
  DisconnectPacket,
  ProtocolLevel,
  Will,
} from '../protocol/packets.ts';
import { ReasonCode } from '../protocol/reason-codes.ts';
import type { Broker } from './broker.ts';
import { connackCode, disconnectReason } from './faults.ts';
import { connackProperties, shownBy } from './hello.ts';
import { Incoming } from './incoming.ts';
import type { SessionHost } from './session-host.ts';
import type { Link, SessionState } from './session-state.ts';
import { subscribe } from './subscribe.ts';

/** A client may be late by half of its keep-alive (section 3.1.2.10). */
const tolerance = 1_500;
/** No more QoS 1 and 2 messages can be under way than there are packet identifiers (section 2.2.1). */
const maxWindow = 65_535;
/** This session expiry means for ever (section 3.1.2.11.2). */
const forEver = 0xffffffff;

/**
 * One MQTT connection of a server: pulls packets, lets in, keeps time, and says why it ends. What outlives it is in its
 * {@link SessionState}.
 *
 * opened ──CONNECT──▶ connecting ──CONNACK──▶ connected ──DISCONNECT──▶ left
 */
export class MqttSession implements Session, Link, SessionHost {
  /** What it speaks over. */
  readonly connection: Connection;
  /** The version that is spoken; 3.1.1 before CONNECT. */
  level: ProtocolLevel = 4;
  /** How many QoS 1 and 2 messages may be on their way to the client. */
  window: number;
  /** The largest packet that the client takes, in bytes. */
  maxPacket: number | undefined;
  readonly #broker: Broker;
  readonly #decoder: Decoder;
  #phase: 'opened' | 'connecting' | 'connected' | 'left' = 'opened';
  #state: SessionState | undefined;
  #incoming: Incoming | undefined;
  #will: Will | undefined;
  #read: ClientPacket | undefined;
  #holds = 0;
  // In ms; undefined: nothing is awaited.
  #connectBy: number | undefined;
  #packetBy: number | undefined;
  #outcomeBy: number | undefined;
  #silence: number | undefined;
  #expiresIn = 0;

  constructor(connection: Connection, broker: Broker) {
    const { limits } = broker.parts;
    this.connection = connection;
    this.#broker = broker;
    this.#decoder = new Decoder(limits.maxConnect);
    this.window = limits.maxInflight;
    this.#connectBy = connection.now + limits.connectTimeout;
    this.maxPacket = undefined;
  }

  /** See {@link Session.sendBy}: the outcome that input is held back for is due while it is. */
  get sendBy(): number {
    return this.#outcomeBy ?? never;
  }

  /** See {@link Session.deadline}. */
  get deadline(): number {
    const silentBy = this.connection.receivedAt + (this.#silence ?? never);
    return Math.min(this.#connectBy ?? never, this.#packetBy ?? never, this.#outcomeBy ?? never, silentBy);
  }

  /** See {@link Session.awaiting}. */
  get awaiting(): boolean {
    return this.#outcomeBy !== undefined;
  }

  /** See {@link Session.idle}. */
  get idle(): boolean {
    return this.#outcomeBy === undefined && (this.#incoming?.pending ?? 0) === 0;
  }

  // ── in ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** See {@link Session.receive}. */
  receive(data: string | Uint8Array, now: number): void {
    // [MQTT-30] Packets come in binary messages.
    if (typeof data === 'string') throw protocolError('a text message of a WebSocket');
    if (this.#phase === 'left') return;
    this.#decoder.push(data);
    this.#pull(now);
  }

  /** See {@link Session.released}. */
  released(now: number): void {
    this.#pull(now);
  }

  #pull(now: number): void {
    let pulled = false;
    while (this.#holds === 0 && this.#phase !== 'left' && !this.connection.closing) {
      const packet = this.#read ?? this.#decoder.next();
      if (!packet) {
        if (!this.#decoder.partial) this.#packetBy = undefined;
        else if (pulled || this.#packetBy === undefined) this.#packetBy = now + this.#broker.parts.limits.packetTimeout;
        return;
      }
      pulled = true;
      // `released` is called when the others have had their turn.
      this.#read = this.connection.takeFrame() ? undefined : packet;
      if (this.#read) break;
      if (packet.type === 'connect') this.#connect(packet);
      else this.#process(packet);
    }
    this.#packetBy = undefined;
  }

  #process(packet: Exclude<ClientPacket, ConnectPacket>): void {
    const state = this.#state as SessionState;
    switch (packet.type) {
      case 'publish':
        return this.#publisher(state).publish(packet);
      case 'puback':
      case 'pubcomp':
        state.acknowledged(packet.packetId);
        return;
      case 'pubrec':
        return this.#arrived(state, packet);
      case 'pubrel':
        return this.#publisher(state).release(packet.packetId);
      case 'subscribe':
        return subscribe(this, this.#broker, state, packet);
      case 'unsubscribe': {
        const codes = packet.filters.map((filter) => this.#unsubscribe(state, filter));
        return this.connection.send(encodeUnsuback(this.level, packet.packetId, codes));
      }
      case 'pingreq':
        return this.connection.send(pingresp);
      case 'disconnect':
        return this.#leave(packet);
      case 'auth':
        throw new MqttError('malformed', ReasonCode.protocolError, 'AUTH: no authentication method was agreed on');
    }
  }

  /** Most connections only listen: what publishing needs is made when it is. */
  #publisher(state: SessionState): Incoming {
    this.#incoming ??= new Incoming(this, this.#broker, state);
    return this.#incoming;
  }

  #arrived(state: SessionState, { packetId, reasonCode }: AckPacket): void {
    if (reasonCode >= 0x80) {
      state.acknowledged(packetId);
      return;
    }
    const known = state.arrived(packetId);
    const answer = known ? ReasonCode.success : ReasonCode.packetIdNotFound;
    this.connection.send(encodeAck(this.level, 'pubrel', packetId, answer));
  }

  #unsubscribe(state: SessionState, filter: string): number {
    const known = state.subscriptions.get(filter);
    if (!known) return ReasonCode.noSubscription;
    known.stop();
    state.subscriptions.delete(filter);
    state.charge(-known.cost);
    return ReasonCode.success;
  }

  #leave({ reasonCode, properties }: DisconnectPacket): void {
    // [MQTT-51] Who says goodbye has no will, unless it asks for it.
    if (reasonCode !== ReasonCode.disconnectWithWill) this.#will = undefined;
    const expiry = properties?.sessionExpiry;
    if (expiry !== undefined) {
      if (this.#expiresIn === 0 && expiry > 0) throw protocolError('a session that was to end with its connection');
      this.#expiresIn = this.#expiryOf(expiry);
    }
    this.#phase = 'left';
    this.#silence = undefined;
    this.connection.finish();
  }

  // ── hello ──────────────────────────────────────────────────────────────────────────────────────────────────────

  #connect(packet: ConnectPacket): void {
    const { limits } = this.#broker.parts;
    this.level = packet.level;
    this.#connectBy = undefined;
    this.#phase = 'connecting';
    const shown = shownBy(packet, limits);
    this.hold();
    this.connection.authenticate(shown, (admitted) => {
      // Input stays on hold: nothing that follows a refused CONNECT is looked at.
      if (!admitted) throw new MqttError('unauthorized', ReasonCode.notAuthorized, 'not let in');
      this.#checkWill(packet, shown.clientId);
    });
  }

  /** [MQTT-50] A will is published when nobody can be told that it may not be: it is asked for now. */
  #checkWill(packet: ConnectPacket, id: string): void {
    const { will } = packet;
    if (!will) return this.#admit(packet, id);
    const { topic, qos, retain } = will;
    const request = this.#broker.requestOf(this.connection, id, { action: 'publish', topic, qos, retain });
    this.settle(this.#broker.verdict(request, 'write', false), (verdict) => {
      if (verdict === 'refused') throw new MqttError('forbidden', ReasonCode.notAuthorized, 'the will is not allowed');
      if (will.retain && !this.#broker.retained) {
        throw new MqttError('malformed', ReasonCode.retainNotSupported, 'retained messages are not kept here');
      }
      this.#admit(packet, id);
    });
  }

  #admit(packet: ConnectPacket, clientId: string): void {
    const { level, cleanStart, keepAlive, properties } = packet;
    const broker = this.#broker;
    const { limits, anonymousSessions } = broker.parts;
    const owner = this.connection.principal?.name;
    const wanted = level === 5 ? (properties?.sessionExpiry ?? 0) : cleanStart ? 0 : forEver;
    const mayOutlive = owner !== undefined || anonymousSessions;
    // [MQTT-36] Whoever knows the name could take what waits for somebody else.
    if (!mayOutlive && level === 4 && !cleanStart) {
      throw new MqttError(
        'unauthorized',
        ReasonCode.notAuthorized,
        'only who is authenticated can have a session kept',
      );
    }
    this.#expiresIn = mayOutlive ? this.#expiryOf(wanted) : 0;
    // There are no more packet identifiers.
    this.window = Math.min(limits.maxInflight, properties?.receiveMaximum ?? maxWindow, maxWindow);
    this.maxPacket = properties?.maximumPacketSize;
    if (keepAlive > 0) this.#silence = keepAlive * tolerance;
    const known = broker.sessions.find(owner, clientId);
    (known?.link as MqttSession | undefined)?.takenOver();
    const isPresent =
      !cleanStart && known !== undefined && !known.stopped && broker.sessions.find(owner, clientId) === known;
    if (!isPresent && known && !known.stopped) broker.sessions.end(known);
    const state = isPresent ? known : broker.sessions.create(owner, clientId);
    if (isPresent) broker.sessions.attach(state);
    this.#will = packet.will;
    this.#state = state;
    this.#phase = 'connected';
    this.#decoder.maxPacket = limits.maxPacket;
    this.connection.charge((packet.will?.payload.length ?? 0) + 2 * clientId.length);
    const said = connackProperties(packet, clientId, wanted * 1_000, this.#expiresIn, limits, !broker.retained);
    this.connection.send(encodeConnack(level, isPresent, ReasonCode.success, said));
    state.attach(this);
    this.release();
  }

  /** In ms. */
  #expiryOf(seconds: number): number {
    const { maxSessionExpiry } = this.#broker.parts.limits;
    return seconds === forEver ? maxSessionExpiry : Math.min(seconds * 1_000, maxSessionExpiry);
  }

  /** Another connection of the same principal has the session now ([MQTT-32]). */
  takenOver(): void {
    this.#detach();
    this.connection.close('duplicate');
  }

  // ── while it waits ─────────────────────────────────────────────────────────────────────────────────────────────

  /** Keep input back, until `release` was called as often. */
  hold(): void {
    this.#holds++;
    this.connection.hold();
  }

  /** Let input in again. */
  release(): void {
    this.#holds--;
    this.connection.release();
  }

  /** Go on with an outcome; the packets that follow wait for it. */
  settle<T>(outcome: T | Promise<T>, then: (value: T) => void): void {
    if (!isPromise(outcome)) return then(outcome);
    this.hold();
    this.#outcomeBy = this.connection.now + this.#broker.parts.limits.hookTimeout;
    this.connection.resume(outcome, (value) => {
      this.#outcomeBy = undefined;
      then(value);
      this.release();
    });
  }

  /** See {@link Link.charge}. */
  charge(bytes: number): void {
    try {
      this.connection.charge(bytes);
    } catch (error) {
      const { fault, detail } = error as ProtocolError;
      this.connection.close(fault, detail);
    }
  }

  /** See {@link Session.tick}. */
  tick(now: number): void {
    const { connectTimeout, packetTimeout, hookTimeout } = this.#broker.parts.limits;
    if (now >= (this.#connectBy ?? never))
      throw new ProtocolError('initTimeout', `no CONNECT within ${connectTimeout} ms`);
    if (now >= (this.#packetBy ?? never)) throw protocolError(`a packet that did not end within ${packetTimeout} ms`);
    if (now >= (this.#outcomeBy ?? never)) {
      throw new ProtocolError('unavailable', `the application has not answered within ${hookTimeout} ms`);
    }
    // [MQTT-37]
    if (now >= this.connection.receivedAt + (this.#silence ?? never)) {
      throw new ProtocolError('heartbeat', 'nothing came for one and a half times the keep-alive');
    }
  }

  /** See {@link Session.drained}. */
  drained(): void {
    this.#state?.pump();
  }

  /** See {@link Session.drain}. */
  drain(): void {}

  /** See {@link Session.peerEnded}. */
  peerEnded(): void {
    this.connection.finish();
  }

  /** See {@link Session.fail}: CONNACK before the client was let in, DISCONNECT of MQTT 5 after that ([MQTT-38]). */
  fail(error: ProtocolError): void {
    const { connection, level } = this;
    if (this.#phase === 'connected') {
      if (level === 5) connection.send(encodeDisconnect(disconnectReason(error), error.detail?.slice(0, 200)));
      return;
    }
    if (this.#phase === 'left') return;
    const code = connackCode(error, level);
    // Who said nothing that can be read is told nothing, but which versions are spoken.
    const isHeard = this.#phase === 'connecting' || error.fault === 'unacceptable';
    if (code === undefined || !isHeard) return;
    connection.send(encodeConnack(level, false, code, {}));
  }

  /** See {@link Session.end}. */
  end(): void {
    this.#detach();
  }

  #detach(): void {
    const state = this.#state;
    if (state?.link !== this) return;
    const will = this.#will;
    this.#will = undefined;
    state.detach();
    this.#broker.sessions.detach(state, this.#expiresIn, will, this.connection.now);
  }
}
