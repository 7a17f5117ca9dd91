import { tcp } from '../../src/adapters/tcp.ts';
import { startActiveMq } from '../support/programs/activemq.ts';
import { stompBrokerSuite } from './stomp-broker-suite.ts';

stompBrokerSuite('ActiveMQ', {
  program: 'activemq',
  server: /ActiveMQ/,
  start: startActiveMq,
  restart: ({ port }) => startActiveMq({ port }),
  ways: { 'over TCP': ({ port }) => ({ transport: tcp({ port }) }) },
  refusedTo: () => '/queue/ActiveMQ.DLQ',
});
