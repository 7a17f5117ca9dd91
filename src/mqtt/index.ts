/** The server's side of MQTT 3.1.1 and 5. */
export type { QoS } from './protocol/packets.ts';
export { ReasonCode } from './protocol/reason-codes.ts';
export type { MqttAuthorization, MqttHooks, MqttRequest } from './server/hooks.ts';
export { type MqttLimitOptions, type MqttLimits, mqttLimits } from './server/limits.ts';
export { type MqttBroker, type MqttBrokerOptions, type MqttStats, mqttBroker } from './server/mqtt-broker.ts';
