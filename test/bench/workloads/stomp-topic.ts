import { contest, type ServerContender } from '../arena.ts';
import type { Goal } from '../contest.ts';
import type { Dialect } from '../load/dialect.ts';
import type { FanOutPlan } from '../load/fan-out.ts';
import { marker } from '../servers/events.ts';
import type { ServerReady } from '../servers/harness.ts';
import type { Workload } from '../workload.ts';

const destination = '/topic/prices';

/** How STOMP over WebSocket begins. No heart-beats: they would be counted. */
export const stompGreeting = {
  protocol: 'v12.stomp',
  greeting: 'CONNECT\naccept-version:1.2\nhost:/\nlogin:guest\npasscode:guest\nheart-beat:0,0\n\n\0',
};

/** What a MESSAGE adds to its body, as text: the raw server sends as many bytes as the brokers. */
const messageHead = `MESSAGE\nsubscription:01234567-89ab-cdef-0123-456789abcdef\nmessage-id:0123abcd-1234\ndestination:${destination}\n`;

export function stompLoad(bytes: number, sockets: number, path: string, isRaw: boolean) {
  const body = marker.padEnd(bytes, '.');
  return ({ port }: ServerReady): { name: string; plan: FanOutPlan } => {
    const dialect: Dialect = isRaw ? { port, path } : { port, path, ...stompGreeting };
    return {
      name: 'fanOut',
      plan: {
        dialect: {
          ...dialect,
          subscribe: isRaw ? 'subscribe' : `SUBSCRIBE\nid:$id\ndestination:${destination}\nack:auto\n\n\0`,
        },
        sockets,
        messagesPerEvent: sockets,
        contains: marker,
        trigger: {
          publisher: dialect,
          message: `SEND\ndestination:${destination}\ncontent-length:${bytes}\n\n${body}\0`,
        },
      },
    };
  };
}

function contenders(bytes: number, sockets: number): ServerContender[] {
  const text = `${messageHead}content-length:${bytes}\n\n${marker.padEnd(bytes, '.')}\0`;
  return [
    { label: 'subwire', server: 'subwire-stomp', needs: [], load: stompLoad(bytes, sockets, '/ws', false) },
    {
      label: 'raw ws',
      server: 'raw-ws',
      needs: ['ws'],
      options: { kind: 'tick', burst: 1, text },
      load: stompLoad(bytes, sockets, '/ws', true),
    },
    {
      label: 'stomp-broker-js',
      server: 'stomp-broker-js',
      needs: ['stomp-broker-js'],
      load: stompLoad(bytes, sockets, '/ws', false),
    },
    {
      label: 'RabbitMQ',
      server: 'rabbitmq',
      needs: ['rabbitmq-server'],
      load: stompLoad(bytes, sockets, '/ws', false),
    },
  ];
}

const goals: Goal[] = [
  { subject: 'subwire', peer: 'RabbitMQ', atLeast: 8 },
  { subject: 'subwire', peer: 'raw ws', atLeast: 1 / 0.8 },
];

function topicWorkload(name: string, title: string, bytes: number): Workload {
  return { name, run: (scale) => contest(title, contenders(bytes, scale.quick ? 20 : 1_000), scale, { goals }) };
}

export const stompTopic: readonly Workload[] = [
  topicWorkload('stomp-100b', 'STOMP topic, 1 to 1,000, 100 B', 100),
  topicWorkload('stomp-2kb', 'STOMP topic, 1 to 1,000, 2 KB', 2_000),
];
