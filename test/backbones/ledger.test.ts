import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { requireProgram } from '../support/programs/program.ts';
import { Server, until, type World } from './world.ts';
import { localWorld } from './worlds/local.ts';
import { natsWorld } from './worlds/nats.ts';
import { redisWorld } from './worlds/redis.ts';

/** What a run came to: all that was confirmed was heard by all servers, or its loss was said to those who lost it. */
interface Ledger {
  readonly due: number;
  readonly rejected: number;
  readonly lost: number;
  readonly lostAndSaid: number;
  readonly doubled: number;
  readonly swapped: number;
  readonly gaps: number;
}

const topics = ['ledger.a', 'ledger.b', 'ledger/c'];
/** Between messages of a publisher, in ms. */
const pause = 4;

/** Three servers publish numbered messages to three topics and hear all of them, while something goes wrong. */
async function run(world: World, fault: (world: World) => Promise<void>): Promise<Ledger> {
  const servers = [0, 1, 2].map(() => new Server(world.backbone()));
  // One of them by a pattern.
  for (const server of servers.slice(0, 2)) for (const topic of topics) await server.backbone.subscribe(topic);
  await servers[2]?.backbone.subscribe('ledger.*');
  const confirmed: { readonly topic: string; readonly text: string; readonly heardBy: number[] }[] = [];
  let rejected = 0;
  let stopped = false;
  const publishers = servers.map(async (server, index) => {
    const sent: Promise<unknown>[] = [];
    for (let count = 0; !stopped; count++) {
      const topic = topics[count % topics.length] as string;
      const text = `${index}:${count}`;
      sent.push(
        server.publish(topic, text).then(
          () => confirmed.push({ topic, text, heardBy: servers.map(({ messages }) => messages.length) }),
          () => rejected++,
        ),
      );
      await sleep(pause);
    }
    await Promise.all(sent);
  });
  await sleep(300);
  await fault(world);
  await sleep(300);
  stopped = true;
  await Promise.all(publishers);
  for (const topic of topics) for (const server of servers) await server.publish(topic, 'end');
  for (const server of servers) {
    await until(() => server.bodies().filter((text) => text === 'end').length >= 9, 'the ends');
  }
  const ledger = { due: 0, rejected, lost: 0, lostAndSaid: 0, doubled: 0, swapped: 0, gaps: 0 };
  for (const server of servers) {
    const heard = new Map<string, number>();
    const last = new Map<string, number>();
    for (const { topic, body } of server.messages) {
      const text = Buffer.from(body).toString();
      if (text === 'end') continue;
      heard.set(text, (heard.get(text) ?? 0) + 1);
      const [publisher = '', count] = text.split(':');
      const key = `${publisher} ${topic}`;
      if (Number(count) < (last.get(key) ?? -1)) ledger.swapped++;
      last.set(key, Number(count));
    }
    ledger.gaps += server.gaps.length;
    ledger.due += confirmed.length;
    for (const times of heard.values()) ledger.doubled += times - 1;
    for (const { text } of confirmed) {
      if (heard.has(text)) continue;
      if (server.gaps.length > 0) ledger.lostAndSaid++;
      else ledger.lost++;
    }
  }
  await Promise.all(servers.map(({ backbone }) => backbone.close()));
  return ledger;
}

const faults: readonly [string, (world: World) => Promise<void>][] = [
  [
    'connections cut 5 times',
    async ({ faults }) => {
      for (let count = 0; count < 5; count++) {
        faults?.cut();
        await sleep(150);
      }
    },
  ],
  [
    'SIGSTOP for 1 s',
    async ({ faults }) => {
      faults?.stop();
      await sleep(1_000);
      faults?.resume();
    },
  ],
  [
    'answers lost, then cut, 3 times',
    async ({ faults }) => {
      for (let count = 0; count < 3; count++) {
        faults?.swallowAnswers();
        await sleep(60);
        faults?.cut();
        await sleep(200);
      }
    },
  ],
  [
    'kill -9 and restart',
    async ({ faults }) => {
      await faults?.kill();
      await sleep(100);
      await faults?.restart();
    },
  ],
];

const brokers: readonly [string, boolean, () => Promise<World>, typeof test][] = [
  ['local', false, () => localWorld(), test],
  ['redis, memory only', false, () => redisWorld('redis', false), requireProgram('redis', test)],
  ['ioredis, on disk', true, () => redisWorld('ioredis', true), requireProgram('redis', test)],
  ['nats', true, () => natsWorld(), requireProgram('nats', test)],
];

describe.each(brokers)('the ledger of three servers over %s', (name, durable, make, tested) => {
  for (const [fault, cause] of faults) {
    tested(`${fault}: nothing is lost, doubled or swapped, or it is said`, { timeout: 30_000 }, async () => {
      const world = await make();
      try {
        const ledger = await run(world, cause);
        console.log(`${name}, ${fault}: ${JSON.stringify(ledger)}`);
        const { lost, doubled, swapped, lostAndSaid, gaps } = ledger;
        expect({ lost, doubled, swapped }).toEqual({ lost: 0, doubled: 0, swapped: 0 });
        if (durable || !fault.startsWith('kill')) expect({ lostAndSaid, gaps }).toEqual({ lostAndSaid: 0, gaps: 0 });
        else expect(gaps).toBeGreaterThan(0);
        expect(ledger.due).toBeGreaterThan(100);
      } finally {
        await world.close();
      }
    });
  }
});
