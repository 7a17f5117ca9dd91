import { closedTopic } from '../../bus/access.ts';
import type { Bus } from '../../bus/bus.ts';
import type { DefaultPermission } from '../server/application.ts';

/** What the bus calls the clients of the broker. */
export const protocol = 'stomp';

/** What the bus allows, where the application has not said anything. Wildcards are judged topic by topic ([BUS-1]). */
export const permittedBy =
  (bus: Bus): DefaultPermission =>
  (_client, command, route) => {
    if (route.kind !== 'topic' || route.pattern || !route.open) return undefined;
    const operation = command === 'SEND' ? 'write' : 'read';
    return bus.permits(route.topic, protocol, operation) ? undefined : closedTopic(route.topic, operation);
  };
