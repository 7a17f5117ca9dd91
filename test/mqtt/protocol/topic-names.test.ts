import { expect, test } from 'vitest';
import { filterMatches, hasWildcard, isTopicFilter, isTopicName } from '../../../src/mqtt/protocol/topic-names.ts';

test('[MQTT-20] a topic name has a character and no wildcard', () => {
  expect(['a', '/', '//', 'a b', '$SYS/x', 'a.b/*'].filter(isTopicName)).toHaveLength(6);
  expect(['', '+', 'a/#', 'a+b'].filter(isTopicName)).toEqual([]);
});

test('[MQTT-21] + stands for a level, # for the rest', () => {
  const good = ['a', '#', '+', '/', '+/+', 'a/+/b', 'a/#', '+/#', '/+', '$SYS/#'];
  expect(good.filter(isTopicFilter)).toEqual(good);
  expect(['', 'a+', 'a/b#', '#/a', 'a/#/b', '++', 'a/+b/c', '##'].filter(isTopicFilter)).toEqual([]);
  expect(['a/+', '#', 'a/b'].map(hasWildcard)).toEqual([true, true, false]);
});

test.each([
  ['sport/tennis/+', 'sport/tennis/player1', true],
  ['sport/tennis/+', 'sport/tennis/player1/ranking', false],
  ['sport/+', 'sport', false],
  ['sport/+', 'sport/', true],
  ['sport/#', 'sport', true],
  ['sport/#', 'sport/tennis/x', true],
  ['#', 'a/b', true],
  ['+/+', '/finance', true],
  ['/+', '/finance', true],
  ['+', '/finance', false],
  ['+/x', 'v1.2/x', true],
  ['#', '$SYS/a', false],
  ['+/a', '$SYS/a', false],
  ['$SYS/#', '$SYS/a', true],
  ['$SYS/+', '$SYS/a', true],
  ['a/b', 'a/b', true],
  ['a/b', 'a/c', false],
  ['a', 'a/b', false],
])('[MQTT-21] [MQTT-22] %s and %s: %s', (filter, topic, matches) => {
  expect(filterMatches(filter, topic)).toBe(matches);
});
