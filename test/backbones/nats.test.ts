import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { natsBackbone, natsCoreBackbone } from '../../src/backbones/nats.ts';
import { subjectOf, topicOf } from '../../src/backbones/subjects.ts';
import { natsPackage } from '../support/nats-clients.ts';
import { startNats } from '../support/programs/nats.ts';
import { requireProgram } from '../support/programs/program.ts';
import { describeContract } from './contract.ts';
import { until } from './world.ts';
import { natsCoreWorld, natsWorld } from './worlds/nats.ts';

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

describeContract({
  name: 'nats, subjects without a stream',
  program: 'nats',
  abilities: {
    ...{ ids: true, positions: false, patterns: 'broker', queues: false, history: false },
    maxBody: 8_388_608 - 65_536,
  },
  durable: false,
  shared: true,
  world: natsCoreWorld,
  unclaimed: { 16: 'the servers of NATS keep the order of each publisher alone' },
});

requireProgram('nats', test)('JetStream knows ids for 5 min (case 14), and queues for 2 min', async () => {
  const storeIn = await mkdtemp(join(tmpdir(), 'subwire-nats-store-'));
  const nats = await startNats({ storeIn });
  const { connect, headers } = await natsPackage();
  const connection = await connect({ servers: `127.0.0.1:${nats.port}` });
  const backbone = natsBackbone({ connection, headers });
  backbone.open({ message() {}, gap() {}, state() {}, unreadable() {} });
  await backbone.publish('a', Buffer.from('x'), {});
  await backbone.queues?.put('q', Buffer.from('x'), {});
  const windows = await Promise.all(
    ['subwire-log', 'subwire-queues'].map(async (stream) => {
      const { data } = await connection.request(`$JS.API.STREAM.INFO.${stream}`);
      return JSON.parse(Buffer.from(data).toString()).config.duplicate_window / 1e9;
    }),
  );
  expect(windows).toEqual([300, 120]);
  await backbone.close();
  await connection.close();
  await nats.stop();
  await rm(storeIn, { recursive: true, force: true });
});

requireProgram('nats', test)(
  'somebody removes the stream of the queues: it is made anew, and consumers go on',
  async () => {
    const storeIn = await mkdtemp(join(tmpdir(), 'subwire-nats-store-'));
    const nats = await startNats({ storeIn });
    const { connect, headers } = await natsPackage();
    const connection = await connect({ servers: `127.0.0.1:${nats.port}` });
    const backbone = natsBackbone({ connection, headers });
    const heard: string[] = [];
    const consumer = backbone.queues?.consume('q', 10, (delivery) => {
      heard.push(Buffer.from(delivery.body).toString());
      delivery.settle('consumed');
    });
    await consumer?.active;
    await backbone.queues?.put('q', Buffer.from('1'), {});
    await until(() => heard.length === 1, 'the first message');
    await connection.request('$JS.API.STREAM.DELETE.subwire-queues');
    await backbone.queues?.put('q', Buffer.from('2'), {});
    await until(() => heard.length === 2, 'the second message', 12_000);
    await backbone.close();
    await connection.close();
    await nats.stop();
    await rm(storeIn, { recursive: true, force: true });
  },
);

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
  expect(() => natsCoreBackbone({} as never)).toThrow('natsCoreBackbone(): connection must be what connect()');
  expect(() => natsCoreBackbone(undefined as never)).toThrow('options must be an object with a connection');
  const core = { flush() {}, status() {} } as never;
  expect(() => natsCoreBackbone({ connection: core, prefix: '>' })).toThrow('prefix must be made of letters');
  expect(() => natsCoreBackbone({ connection: core, headers } as never)).toThrow('has no option "headers"');
});
