import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { natsBackbone } from '../../src/backbones/nats.ts';
import { subjectOf, topicOf } from '../../src/backbones/subjects.ts';
import { startFaultProxy } from '../support/fault-proxy.ts';
import { type ClosableNats, natsPackage } from '../support/nats-clients.ts';
import { startNats } from '../support/programs/nats.ts';
import { freePort } from '../support/programs/program.ts';
import { describeContract } from './contract.ts';
import type { SmallHistory, World } from './world.ts';

/** A NATS behind a proxy, and some connections in advance, since a backbone is made of one that is there. */
async function world(history: SmallHistory = {}): Promise<World> {
  const { connect, headers } = await natsPackage();
  const storeIn = await mkdtemp(join(tmpdir(), 'subwire-nats-store-'));
  let nats = await startNats({ storeIn });
  const { port } = nats;
  const proxyPort = await freePort();
  const proxy = await startFaultProxy(proxyPort, port);
  const opened: ClosableNats[] = [];
  const ready: ClosableNats[] = [];
  async function more(): Promise<void> {
    const connection = await connect({
      servers: `127.0.0.1:${proxyPort}`,
      maxReconnectAttempts: -1,
      reconnectTimeWait: 50,
    });
    opened.push(connection);
    ready.push(connection);
  }
  const refill: Promise<void>[] = [];
  for (let count = 0; count < 6; count++) await more();
  const [writer] = ready.splice(0, 1);
  return {
    backbone({ prefix } = {}) {
      const connection = ready.shift();
      if (!connection) throw new Error('no connection is ready');
      refill.push(more().catch(() => {}));
      return natsBackbone({ connection, headers, prefix, ...history });
    },
    async writeForeign(topic, bytes) {
      const { publish } = writer as unknown as { publish(subject: string, body: Uint8Array, options: object): void };
      const own = headers();
      // Whatever it says of the place: the server has the last word.
      if (bytes[0] === 0xb5) {
        own.set('Nats-Sequence', '900000');
        own.set('Nats-Last-Sequence', '0');
      }
      publish.call(writer, `subwire.${bytes[0] === 0xb5 ? 'in' : 'out'}.${subjectOf(topic, '>')}`, bytes, {
        headers: own,
      });
      await writer?.flush();
    },
    faults: {
      kill: () => nats.kill(),
      async restart() {
        nats = await startNats({ storeIn, port });
      },
      stop: () => void nats.signal('SIGSTOP'),
      resume: () => void nats.signal('SIGCONT'),
      cut: proxy.cut,
      swallowAnswers: proxy.swallowAnswers,
    },
    async close() {
      await Promise.all(refill);
      await Promise.all(opened.map((connection) => connection.close()));
      await proxy.close();
      await nats.stop();
      await rm(storeIn, { recursive: true, force: true });
    },
  };
}

describeContract({
  name: 'nats',
  program: 'nats',
  abilities: {
    ...{ ids: true, positions: true, patterns: 'broker', queues: false, history: true },
    maxBody: 8_388_608 - 65_536,
  },
  durable: true,
  shared: true,
  world,
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
