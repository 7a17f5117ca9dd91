import { contest } from '../arena.ts';
import type { QueuePlan } from '../load/queue-loop.ts';
import type { ServerReady } from '../servers/harness.ts';
import type { Workload } from '../workload.ts';
import { stompGreeting } from './stomp-topic.ts';

const destination = '/queue/work';

function load({ port }: ServerReady): { name: string; plan: QueuePlan } {
  const producer = { port, path: '/ws', ...stompGreeting };
  const subscribe = `SUBSCRIBE\nid:$id\ndestination:${destination}\nack:client-individual\nprefetch-count:20\n\n\0`;
  return {
    name: 'queue',
    plan: {
      consumer: { ...producer, subscribe },
      producer,
      consumers: 10,
      producers: 10,
      inFlight: 100,
      destination,
      bodyBytes: 100,
    },
  };
}

export const stompQueue: Workload = {
  name: 'stomp-queue',
  run: (scale) =>
    contest(
      'STOMP queue, client-individual acks, 10 producers, 10 consumers, 100 in flight, 100 B',
      [
        { label: 'subwire', server: 'subwire-stomp', needs: [], load },
        { label: 'RabbitMQ', server: 'rabbitmq', needs: ['rabbitmq-server'], load },
      ],
      scale,
      {
        goals: [{ subject: 'subwire', peer: 'RabbitMQ', atLeast: 3.5 }],
        notes: ['One message is one SEND, its MESSAGE and its ACK.'],
      },
    ),
};
