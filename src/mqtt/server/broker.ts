import type { Bus } from '../../bus/bus.ts';
import { isEmbedded } from '../../bus/memory-backbone.ts';
import type { Clock } from '../../core/clock.ts';
import { isPromise } from '../../core/promise-or.ts';
import type { Connection } from '../../core/subprotocol.ts';
import type { QoS, Will } from '../protocol/packets.ts';
import { FilterListeners } from './filter-listeners.ts';
import type { MqttHooks, MqttRequest } from './hooks.ts';
import type { MqttLimits } from './limits.ts';
import { headersOf } from './message-headers.ts';
import { Retained } from './retained.ts';
import { Sessions } from './sessions.ts';

/** What the bus calls the clients of the broker. */
export const protocol = 'mqtt';

/** What is allowed: by the application's word, as far as the bus says, or not at all. */
export type Verdict = 'byApplication' | 'byBus' | 'refused';

/** What a broker is made of. */
export interface BrokerParts {
  /** Where topics live. */
  readonly bus: Bus;
  /** Checked, with defaults. */
  readonly limits: MqttLimits;
  /** The application. */
  readonly hooks: MqttHooks;
  /** Sessions of clients that nobody authenticated outlive their connections. */
  readonly anonymousSessions: boolean;
  /** The source of time. */
  readonly clock: Clock;
  /** Told of errors that belong to no connection. */
  readonly report: (error: unknown) => void;
}

/** What all MQTT connections share: sessions, retained messages, who listens to what. */
export class Broker {
  /** What it was made of. */
  readonly parts: BrokerParts;
  /** Sessions, with a connection or without. */
  readonly sessions: Sessions;
  /** Messages that are kept; undefined where the bus reaches other servers ([MQTT-73]). */
  readonly retained: Retained | undefined;
  /** Who listens to filters with wildcards. */
  readonly filters: FilterListeners;
  /** Messages that were refused and dropped, since nothing was promised for them. */
  refused = 0;
  /** Messages of QoS 0 that the backbone did not take. */
  lost = 0;

  constructor(parts: BrokerParts) {
    this.parts = parts;
    this.sessions = new Sessions(parts.limits, parts.clock, (will, owner) => this.publishWill(will, owner));
    this.retained = isEmbedded(parts.bus.backbone) ? new Retained(parts.limits) : undefined;
    this.filters = new FilterListeners(parts.bus);
  }

  /** Asks the application, then the bus ([MQTT-33]). Only `true` lets in. */
  verdict(request: MqttRequest, operation: 'read' | 'write', isFilter: boolean): Verdict | Promise<Verdict> {
    const { authorize } = this.parts.hooks;
    // Names that begin with $ are private, whatever the application says.
    if (request.topic.startsWith('$')) return 'refused';
    const decide = (answer: unknown): Verdict => {
      if (answer === true) return 'byApplication';
      if (answer !== undefined) return 'refused';
      // A filter is decided topic by topic.
      return isFilter || this.parts.bus.permits(request.topic, protocol, operation) ? 'byBus' : 'refused';
    };
    try {
      const answer: unknown = authorize?.(request);
      return isPromise(answer) ? Promise.resolve(answer).then(decide) : decide(answer);
    } catch (error) {
      // A hook that throws at once is treated as one that rejects.
      return Promise.reject(error);
    }
  }

  /** Publish for a client. Resolves when the backbone has the message, and rejects with what it says. */
  async publish(message: ClientMessage): Promise<void> {
    const { topic, payload, qos, retain, properties, from, owner } = message;
    const headers = headersOf(qos, retain, properties, from);
    const contentType = properties?.contentType;
    if (retain) this.retained?.keep(topic, payload, contentType, headers, qos, owner, this.parts.clock.now());
    await this.parts.bus.publish(topic, payload, { headers, contentType });
  }

  /** The last will of a client that was lost ([MQTT-52]). */
  publishWill(will: Will, owner: string | undefined): void {
    const { topic, payload, qos, retain, properties } = will;
    this.publish({ topic, payload, qos, retain, properties, from: undefined, owner }).catch(this.parts.report);
  }

  /** What a hook is asked about a connection. */
  requestOf(
    connection: Connection,
    clientId: string,
    what: {
      readonly action: MqttRequest['action'];
      readonly topic: string;
      readonly qos: QoS;
      readonly retain: boolean;
    },
  ): MqttRequest {
    const { principal, handshake } = connection;
    return { ...what, clientId, principal, handshake };
  }

  /** Let go of everything. */
  dispose(): void {
    this.sessions.dispose();
    this.retained?.clear();
  }
}

/** A message of a client on its way to the bus. */
export interface ClientMessage extends Omit<Will, 'properties'>, Pick<Will, 'properties'> {
  /** Names the session, where that does not want to hear it. */
  readonly from: string | undefined;
  /** The name of the principal. */
  readonly owner: string | undefined;
}
