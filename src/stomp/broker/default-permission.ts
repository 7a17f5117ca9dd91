import { closedTopic } from '../../bus/access.ts';
import type { Bus } from '../../bus/bus.ts';
import type { DefaultPermission } from '../server/application.ts';
import { fannedQueue, isOwnTopic } from '../server/destinations.ts';
import type { QueueAccess } from './queue-access.ts';

/** What the bus calls the clients of the broker. */
export const protocol = 'stomp';

/**
 * What is allowed where the application has not said anything: topics as far as the bus says, wildcards topic by topic
 * ([BUS-1]), queues as far as `open` says ([STOMP-89]), the own user's destinations and all temporary queues, and what
 * the application answers. Whatever lies at a broker behind this one is for that broker to judge.
 */
export const permittedBy =
  (bus: Bus, queues: QueueAccess, prefix: string): DefaultPermission =>
  (client, command, route) => {
    const operation = command === 'SEND' ? 'write' : 'read';
    if (route.kind === 'queue') return queues.refusal(route.name, operation);
    if (route.kind !== 'topic' || route.pattern) return undefined;
    const queued = fannedQueue(route.topic);
    if (queued !== undefined) return queues.refusal(`${prefix}${queued}`, operation);
    if (route.open) {
      return bus.permits(route.topic, protocol, operation) ? undefined : closedTopic(route.topic, operation);
    }
    if (operation === 'read' || isOwnTopic(client, route.topic)) return undefined;
    return 'what other users get is for the application to send, unless authorize answers true';
  };
