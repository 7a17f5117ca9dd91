import { declaredTopic } from '../../bus/topic.ts';
import type { DefaultPermission } from '../server/application.ts';

/** What a typed topic allows, where the application has not said anything. */
export const permittedByTopic: DefaultPermission = (_client, command, route) => {
  if (route.kind !== 'topic' || route.pattern || !route.open) return true;
  const access = declaredTopic(route.topic)?.stomp;
  return access === undefined || access === 'readwrite' || access === (command === 'SEND' ? 'write' : 'read');
};
