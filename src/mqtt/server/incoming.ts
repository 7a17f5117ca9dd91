import { ProtocolError } from '../../core/fault.ts';
import { encodeAck } from '../protocol/encoder.ts';
import { MqttError } from '../protocol/mqtt-error.ts';
import type { PublishPacket } from '../protocol/packets.ts';
import { ReasonCode } from '../protocol/reason-codes.ts';
import { isTopicName } from '../protocol/topic-names.ts';
import type { Broker, Verdict } from './broker.ts';
import { problemOnBus } from './names.ts';
import { entryCost } from './outgoing.ts';
import type { SessionHost } from './session-host.ts';
import type { SessionState } from './session-state.ts';

/** A message of QoS 1 or 2 whose outcome is awaited; acknowledgements leave in the order in which messages came. */
interface Owed {
  readonly packet: PublishPacket;
  /** Undefined: the outcome is not known. */
  reasonCode: number | undefined;
}

/** What a client publishes on one connection. */
export class Incoming {
  /** Messages that the bus has not taken yet. */
  pending = 0;
  readonly #session: SessionHost;
  readonly #broker: Broker;
  readonly #state: SessionState;
  #owed: Owed[] | undefined;
  #aliases: Map<number, string> | undefined;
  #isHeld = false;

  constructor(session: SessionHost, broker: Broker, state: SessionState) {
    this.#session = session;
    this.#broker = broker;
    this.#state = state;
  }

  /** PUBLISH. What it throws is the client's last. */
  publish(packet: PublishPacket): void {
    const { qos, packetId, retain } = packet;
    const { connection } = this.#session;
    const topic = this.#topicOf(packet);
    if (!isTopicName(topic)) throw new MqttError('malformed', ReasonCode.topicNameInvalid, 'this is no topic name');
    if (packet.properties?.responseTopic !== undefined && !isTopicName(packet.properties.responseTopic)) {
      throw new MqttError('malformed', ReasonCode.protocolError, 'the response topic is no topic name');
    }
    if (retain && !this.#broker.retained) {
      throw new MqttError('malformed', ReasonCode.retainNotSupported, 'retained messages are not kept here');
    }
    if (qos > 0) this.#mustHaveRoom(packet);
    // [MQTT-55] It came already: it is acknowledged, and published once.
    if (qos === 2 && this.#state.received?.has(packetId)) return this.#answer(packet, ReasonCode.success);
    if (problemOnBus(topic) !== undefined) return this.#refuse(packet, ReasonCode.topicNameInvalid);
    const request = this.#broker.requestOf(connection, this.#state.clientId, { action: 'publish', topic, qos, retain });
    this.#session.settle(this.#broker.verdict(request, 'write', false), (verdict: Verdict) => {
      if (verdict === 'refused') this.#refuse(packet, ReasonCode.notAuthorized);
      else this.#send(packet, topic);
    });
  }

  /** PUBREL: the packet identifier may be used for another message ([MQTT-55]). */
  release(packetId: number): void {
    const { level, connection } = this.#session;
    const known = this.#forget(packetId);
    connection.send(encodeAck(level, 'pubcomp', packetId, known ? ReasonCode.success : ReasonCode.packetIdNotFound));
  }

  /** False: it was not known. */
  #forget(packetId: number): boolean {
    const known = this.#state.received?.delete(packetId) === true;
    if (known) this.#state.charge(-entryCost);
    return known;
  }

  #receive(packetId: number): void {
    this.#state.received ??= new Set();
    this.#state.received.add(packetId);
    this.#state.charge(entryCost);
  }

  /** [MQTT-57] */
  #mustHaveRoom({ qos, packetId }: PublishPacket): void {
    const { received } = this.#state;
    if (this.#session.level === 4 || (qos === 2 && received?.has(packetId))) return;
    const underWay = (received?.size ?? 0) + (this.#owed?.filter(({ packet }) => packet.qos === 1).length ?? 0);
    if (underWay < this.#broker.parts.limits.receiveMaximum) return;
    throw new MqttError(
      'tooMany',
      ReasonCode.receiveMaximumExceeded,
      'more messages under way than the receive maximum',
    );
  }

  /** [MQTT-58] */
  #topicOf({ topic, properties }: PublishPacket): string {
    const alias = properties?.topicAlias;
    if (alias === undefined) return topic;
    if (alias === 0 || alias > this.#broker.parts.limits.topicAliasMaximum) {
      throw new MqttError('malformed', ReasonCode.topicAliasInvalid, `a topic alias of ${alias}`);
    }
    this.#aliases ??= new Map();
    if (topic === '') return this.#aliases.get(alias) ?? unknownAlias(alias);
    const known = this.#aliases.get(alias) ?? '';
    this.#session.charge(2 * (topic.length - known.length));
    this.#aliases.set(alias, topic);
    return topic;
  }

  #send(packet: PublishPacket, topic: string): void {
    const { payload, qos, retain, properties } = packet;
    const { connection } = this.#session;
    const from = this.#hearsItself() ? this.#state.tag : undefined;
    const owed = qos > 0 ? this.#owe(packet) : undefined;
    this.pending++;
    if (this.pending >= this.#broker.parts.limits.maxPending && !this.#isHeld) {
      this.#isHeld = true;
      this.#session.hold();
    }
    if (qos === 2) this.#receive(packet.packetId);
    const taken = this.#broker.publish({ topic, payload, qos, retain, properties, from, owner: this.#state.owner });
    // Whether or not the connection is still there: a message that nobody has is not taken for a double.
    if (qos === 2) taken.catch(() => this.#forget(packet.packetId));
    connection.resume(
      taken,
      () => this.#taken(owed, ReasonCode.success),
      (error) => {
        connection.report(error);
        if (!owed) this.#broker.lost++;
        this.#taken(owed, ReasonCode.unspecified);
      },
    );
  }

  /** Has this session asked not to hear what it publishes itself? */
  #hearsItself(): boolean {
    for (const { special } of this.#state.subscriptions.values()) if (special?.noLocal) return true;
    return false;
  }

  #taken(owed: Owed | undefined, reasonCode: number): void {
    this.pending--;
    if (this.#isHeld && this.pending <= this.#broker.parts.limits.maxPending / 2) {
      this.#isHeld = false;
      this.#session.release();
    }
    if (owed) this.#settle(owed, reasonCode);
  }

  #owe(packet: PublishPacket): Owed {
    const owed: Owed = { packet, reasonCode: undefined };
    this.#owed ??= [];
    this.#owed.push(owed);
    return owed;
  }

  /** [MQTT-54] */
  #settle(owed: Owed, reasonCode: number): void {
    owed.reasonCode = reasonCode;
    const all = this.#owed as Owed[];
    let done = 0;
    for (; done < all.length; done++) {
      const { packet, reasonCode: outcome } = all[done] as Owed;
      if (outcome === undefined) break;
      this.#acknowledge(packet, outcome);
    }
    if (done > 0) all.splice(0, done);
  }

  /** An answer that needs no outcome, behind those that are owed. */
  #answer(packet: PublishPacket, reasonCode: number): void {
    this.#settle(this.#owe(packet), reasonCode);
  }

  #acknowledge({ qos, packetId }: PublishPacket, reasonCode: number): void {
    const { level, connection } = this.#session;
    if (reasonCode >= 0x80) {
      // [MQTT-53] 3.1.1 has no word for it, and an acknowledgement would be a lie.
      if (level === 4) throw new ProtocolError(reasonCode === ReasonCode.unspecified ? 'unavailable' : 'forbidden');
    }
    connection.send(encodeAck(level, qos === 1 ? 'puback' : 'pubrec', packetId, reasonCode));
  }

  /** [MQTT-53] */
  #refuse(packet: PublishPacket, reasonCode: number): void {
    if (packet.qos > 0) return this.#answer(packet, reasonCode);
    this.#broker.refused++;
  }
}

function unknownAlias(alias: number): never {
  throw new MqttError('malformed', ReasonCode.protocolError, `the topic alias ${alias} stands for no topic`);
}
