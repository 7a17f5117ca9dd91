import { webSocket } from '../../src/adapters/node-client.ts';
import { tcp } from '../../src/adapters/tcp.ts';
import type { StompClientOptions } from '../../src/stomp/client/client.ts';
import { type RabbitMq, startRabbitMq } from '../support/programs/rabbitmq.ts';
import { type BrokerUnderTest, stompBrokerSuite } from './stomp-broker-suite.ts';

const guest = { host: '/', connectHeaders: { login: 'guest', passcode: 'guest' } };
const overWebSocket = ({ url }: RabbitMq): StompClientOptions => ({ brokerURL: url, transport: webSocket(), ...guest });

const rabbit: Omit<BrokerUnderTest<RabbitMq>, 'start' | 'ways'> = {
  program: 'rabbitmq',
  server: /^RabbitMQ\/3/,
  unwelcome: { login: 'guest', passcode: 'wrong' },
  // It puts the message back into its queue.
  refusedTo: (destination) => destination,
};

stompBrokerSuite('RabbitMQ', {
  ...rabbit,
  start: startRabbitMq,
  restart: ({ port, webPort }) => startRabbitMq({ port, webPort }),
  ways: {
    'over TCP': ({ port }) => ({ transport: tcp({ port }), ...guest }),
    'over WebSocket, in text': overWebSocket,
  },
  textOnly: ['over WebSocket, in text'],
});

stompBrokerSuite('RabbitMQ with binary frames', {
  ...rabbit,
  start: () => startRabbitMq({ frames: 'binary' }),
  versions: ['1.2'],
  ways: { 'over WebSocket, in binary': overWebSocket },
});
