/** Is this a topic name: at least one character, no wildcard (section 4.7) ([MQTT-20])? */
export const isTopicName = (name: string): boolean => name !== '' && !/[+#]/.test(name);

/**
 * Is this a topic filter: `+` stands for a whole level, `#` for the rest, and comes last (section 4.7.1) ([MQTT-21])?
 *
 * @example
 * isTopicFilter('a/+/#'); // true
 * isTopicFilter('a+'); // false
 */
export function isTopicFilter(filter: string): boolean {
  if (filter === '') return false;
  const levels = filter.split('/');
  return levels.every((level, index) => {
    if (level === '#') return index === levels.length - 1;
    return level === '+' || !/[+#]/.test(level);
  });
}

/** Does this filter have a wildcard? */
export const hasWildcard = (filter: string): boolean => /[+#]/.test(filter);

/**
 * Does this filter match this topic? A wildcard in the first level matches no topic that begins with `$`
 * (section 4.7.2) ([MQTT-22]).
 *
 * @example
 * filterMatches('a/#', 'a'); // true
 */
export function filterMatches(filter: string, topic: string): boolean {
  if (topic.startsWith('$') && /^[+#]/.test(filter)) return false;
  const wanted = filter.split('/');
  const levels = topic.split('/');
  for (let index = 0; index < wanted.length; index++) {
    if (wanted[index] === '#') return true;
    if (index >= levels.length || (wanted[index] !== '+' && wanted[index] !== levels[index])) return false;
  }
  return wanted.length === levels.length;
}
