import { expect, test } from 'vitest';
import { natsBackbone } from '../../src/backbones/nats.ts';
import { subjectOf, topicOf } from '../../src/backbones/subjects.ts';
import { describeContract } from './contract.ts';
import { natsWorld } from './worlds/nats.ts';

describeContract({
  name: 'nats',
  program: 'nats',
  abilities: {
    ...{ ids: true, positions: true, patterns: 'broker', queues: true, history: true },
    maxBody: 8_388_608 - 65_536,
  },
  durable: true,
  shared: true,
  world: natsWorld,
  unclaimed: { 45: 'all topics are in one stream' },
});

test('a subject is one topic, and a pattern of topics is one of subjects', () => {
  const names = ['a', 'a.b', 'a/b', 'a/b.c', '', '.', 'a..b', 'x*y', '>', '%', '%2E', 'ü 漢', '$user/x', "!'()~"];
  expect(names.map((name) => topicOf(subjectOf(name, '>')))).toEqual(names);
  expect(new Set(names.map((name) => subjectOf(name, '>'))).size).toBe(names.length);
  for (const name of names) expect(subjectOf(name, '>')).toMatch(/^[^\s*>]+$/);
  expect(['a.*', '*/b', 'a.**', '**'].map((name) => subjectOf(name, '>'))).toEqual(['a.*.*', '*.b.*', 'a.>', '>']);
  expect(() => topicOf('foreign.subject')).toThrow('is no topic');
});

test('what is no connection says so, and a wrong option names itself', () => {
  const connection = { request() {}, status() {} } as never;
  const headers = () => ({}) as never;
  expect(() => natsBackbone({ connection: {} as never, headers })).toThrow('connection must be what connect()');
  expect(() => natsBackbone({ connection, headers: undefined as never })).toThrow('headers must be a function');
  expect(() => natsBackbone({ connection, headers, prefix: 'a.b' })).toThrow('prefix must be made of letters');
  expect(() => natsBackbone({ connection, headers, maxage: 1 } as never)).toThrow('has no option "maxage"');
});
