import { problemOfName, problemOfTopic } from '../../bus/names.ts';

/** What is wrong with a topic of MQTT as the name of a topic of the bus; undefined: nothing ([MQTT-41]). */
export const problemOnBus = (topic: string): string | undefined => problemOfTopic(topic);

/** What is wrong with a topic filter, for the bus; undefined: nothing. */
export function problemOfFilter(filter: string): string | undefined {
  const problem = problemOfName(filter);
  if (problem !== undefined) return problem;
  const starred = filter.split(/[./]/).some((segment) => segment === '*' || segment === '**');
  return starred ? 'has a segment * or **, which is a wildcard to the bus' : undefined;
}

/**
 * The pattern of the bus that has all topics of a filter, and others: what stands before the first wildcard, and all below.
 *
 * @example
 * widePattern('a/+/c'); // 'a/**'
 */
export function widePattern(filter: string): string {
  const levels = filter.split('/');
  const first = levels.findIndex((level) => level === '+' || level === '#');
  return [...levels.slice(0, first), '**'].join('/');
}
