import type { Bus } from '../../bus/bus.ts';
import { type Clock, systemClock } from '../../core/clock.ts';
import { resolveLimits } from '../../core/limits.ts';
import { assertOption, checkNames, mustBeFunctions } from '../../core/options.ts';
import type { Subprotocol } from '../../core/subprotocol.ts';
import { Broker } from './broker.ts';
import { mqttFaults } from './faults.ts';
import type { MqttHooks } from './hooks.ts';
import { type MqttLimitOptions, type MqttLimits, mqttLimits } from './limits.ts';
import { MqttSession } from './mqtt-session.ts';

/** What `mqttBroker` takes. */
export interface MqttBrokerOptions extends MqttHooks {
  /** Where the topic `a/b` of MQTT is the topic `a/b`. */
  readonly bus: Bus;
  /** Limits of each connection, and of what is kept for all: see spec-notes/limits.md. */
  readonly limits?: MqttLimitOptions | undefined;
  /**
   * Sessions of clients whom `authenticate` gave no name outlive their connections. Whoever knows a client identifier can
   * have such a session, and what waits in it.
   *
   * @defaultValue `false`
   */
  readonly anonymousSessions?: boolean | undefined;
  /** Told of errors that belong to no connection, such as a will that the backbone did not take. */
  readonly onError?: ((error: unknown) => void) | undefined;
  /** @internal */
  readonly clock?: Clock | undefined;
}

const optionNames = {
  bus: true,
  authorize: true,
  limits: true,
  anonymousSessions: true,
  onError: true,
  clock: true,
} as const satisfies Record<keyof MqttBrokerOptions, true>;

/** How a broker stands. */
export interface MqttStats {
  /** Sessions, with a connection or without. */
  readonly sessions: number;
  /** Sessions without a connection. */
  readonly sessionsAway: number;
  /** What those cost in memory, in bytes. */
  readonly sessionBytes: number;
  /** Sessions that were forgotten since they would have cost too much. */
  readonly sessionsForgotten: number;
  /** Retained messages. */
  readonly retained: number;
  /** What they cost in memory, in bytes. */
  readonly retainedBytes: number;
  /** Messages that were to be retained and were not, since there were too many. */
  readonly retainedDropped: number;
  /** Messages of QoS 0 that were refused and dropped. */
  readonly refused: number;
  /** Messages of QoS 0 that the backbone did not take. */
  readonly lost: number;
}

/** An MQTT broker as a subprotocol: mount it on as many endpoints as you like, they share its sessions. */
export interface MqttBroker extends Subprotocol {
  /** Its limits as they hold, defaults filled in: see spec-notes/limits.md. */
  readonly limits: MqttLimits;
  /** What it keeps, and what became of messages. */
  stats(): MqttStats;
}

/**
 * MQTT 3.1.1 and 5 for an endpoint, over WebSocket by the token `mqtt` and over TCP: topics are those of the bus, with
 * QoS 0, 1 and 2, wildcards, wills, retained messages and sessions. Sessions and retained messages live in this process.
 *
 * Throws a `TypeError` that names the option when one is wrong.
 *
 * @example
 * const mqtt = mqttBroker({ bus: createBus({ open: { 'sensors.**': 'readwrite' } }) });
 * const endpoint = attach(http, { protocols: [mqtt] });
 */
export function mqttBroker(options: MqttBrokerOptions): MqttBroker {
  if (typeof options?.bus?.listen !== 'function') {
    throw new TypeError('mqttBroker() needs a bus, such as mqttBroker({ bus: createBus() })');
  }
  checkNames(options, optionNames, 'mqttBroker()');
  const { bus, authorize, anonymousSessions = false, clock = systemClock } = options;
  const { onError = (error: unknown) => console.error('subwire: mqtt:', error) } = options;
  mustBeFunctions({ authorize, onError });
  assertOption(typeof anonymousSessions === 'boolean', 'anonymousSessions', 'true or false', anonymousSessions);
  const report = (error: unknown): void => {
    try {
      onError(error);
    } catch {
      // A logger that throws must not end the process.
    }
  };
  const limits = resolveLimits(mqttLimits, options.limits);
  const broker = new Broker({ bus, limits, hooks: { authorize }, anonymousSessions, clock, report });
  return {
    names: ['mqtt'],
    acceptsUnnamed: true,
    faults: mqttFaults,
    limits,
    open: (connection) => new MqttSession(connection, broker),
    dispose: () => broker.dispose(),
    stats: () => ({
      sessions: broker.sessions.size,
      sessionsAway: broker.sessions.away,
      sessionBytes: broker.sessions.bytes,
      sessionsForgotten: broker.sessions.forgotten,
      retained: broker.retained?.size ?? 0,
      retainedBytes: broker.retained?.bytes ?? 0,
      retainedDropped: broker.retained?.dropped ?? 0,
      refused: broker.refused,
      lost: broker.lost,
    }),
  };
}
