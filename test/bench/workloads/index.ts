import type { Workload } from '../workload.ts';
import { clients } from './client.ts';
import { graphqlFanOut } from './graphql-fan-out.ts';
import { graphqlQuery } from './graphql-query.ts';
import { growth } from './growth.ts';
import { memory } from './memory.ts';
import { stompCodec } from './stomp-codec.ts';
import { stompQueue } from './stomp-queue.ts';
import { stompTopic } from './stomp-topic.ts';
import { storm } from './storm.ts';

/** Every table, in the order in which they are printed. */
export const workloads: readonly Workload[] = [
  ...graphqlFanOut,
  graphqlQuery,
  ...stompTopic,
  stompQueue,
  stompCodec,
  ...clients,
  memory,
  storm,
  ...growth,
];
