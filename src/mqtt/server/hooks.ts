import type { Handshake, Principal } from '../../core/subprotocol.ts';
import type { QoS } from '../protocol/packets.ts';

/** What a client wants to do, for hooks. */
export interface MqttRequest {
  /** What it wants to do there. */
  readonly action: 'publish' | 'subscribe';
  /**
   * A topic, or the filter of a subscription. A subscription with wildcards is also asked for each topic that it is about
   * to see.
   */
  readonly topic: string;
  /** The QoS that is asked for. */
  readonly qos: QoS;
  /** The message is to be kept; false for subscriptions. */
  readonly retain: boolean;
  /** What its session is called, which is no proof of anything. */
  readonly clientId: string;
  /** Whom `authenticate` named; undefined where nobody asked. */
  readonly principal: Principal | undefined;
  /** The request that opened the connection. */
  readonly handshake: Handshake;
}

/** `true` allows, also what the bus would refuse; `undefined` leaves it to the bus; all else refuses. */
export type MqttAuthorization = boolean | undefined;

/** The application's code in front of the broker. */
export interface MqttHooks {
  /**
   * May this client do that? Asked for every PUBLISH, every will and every topic filter; see {@link MqttAuthorization}. A
   * throw or a rejection ends the connection by the fault `internal`.
   */
  readonly authorize?: ((request: MqttRequest) => MqttAuthorization | PromiseLike<MqttAuthorization>) | undefined;
}
