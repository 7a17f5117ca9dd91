import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BackboneError } from '../../src/bus/backbone.ts';
import type { Position } from '../../src/bus/message.ts';
import { createCountingClock } from '../support/counting-clock.ts';
import { createFakeClock } from '../support/fake-clock.ts';
import { requireProgram } from '../support/programs/program.ts';
import { queueCases } from './queue-cases.ts';
import { type Contract, Server, type SmallHistory, until, type World } from './world.ts';

type Need =
  | 'aged'
  | 'subscribers'
  | 'branch'
  | 'client'
  | 'ids'
  | 'positions'
  | 'history'
  | 'shared'
  | 'faults'
  | 'queues'
  | 'foreign'
  | 'intruder'
  | 'maxBody'
  | 'patterns';

/** Why a case is not run where it needs this. */
const reasons: Readonly<Record<Need, string>> = {
  ids: 'it does not claim ids',
  aged: 'ids are kept by a clock that no test can move for 5 min',
  subscribers: 'a backbone has one connection for everything',
  branch: 'it cannot be made to forget a part of its log alone',
  client: 'the application gives it no client',
  positions: 'it does not claim positions',
  history: 'it does not claim history',
  shared: 'it is one process alone',
  faults: 'there is no broker that could fail',
  queues: 'it does not claim queues',
  foreign: 'nobody else can write to it',
  intruder: 'it has no password',
  patterns: 'every message comes, and the bus filters',
  maxBody: 'it has no largest body that a test could pass',
};

/** Publish so many messages, one after the other. */
async function past(one: Server, topic: string, count: number): Promise<Position[]> {
  const positions: Position[] = [];
  for (let index = 0; index < count; index++) positions.push((await one.publish(topic, String(index)))!);
  return positions;
}

/** The bodies of what came after a position. */
const since = async (one: Server, topic: string, after: Position, limit = 1_000) =>
  (await one.backbone.since!(topic, after, limit))?.map(({ body }) => Buffer.from(body).toString());

/**
 * What every backbone has to do, case by case, as far as it claims it. A case that is not claimed is printed with its
 * reason.
 *
 * @example
 * describeContract({ name: 'memory', abilities, world: async () => …, durable: false, shared: false });
 */
export function describeContract(contract: Contract): void {
  const { name, abilities, unclaimed = {} } = contract;
  const tested = contract.program === undefined ? test : requireProgram(contract.program, test);
  let shared: World;
  let worlds: World[] = [];
  let servers: Server[] = [];
  let topics = 0;

  /** A name that no other case uses. */
  const fresh = (): string => `contract.${++topics}`;

  function serverOf(world: World, options: Parameters<World['backbone']>[0] = {}): Server {
    const server = new Server(world.backbone(options));
    servers.push(server);
    return server;
  }

  const server = (options: Parameters<World['backbone']>[0] = {}): Server => serverOf(shared, options);

  /** A broker of its own, for what harms it. */
  async function ownWorld(history: SmallHistory = {}): Promise<World> {
    const world = await contract.world(history);
    worlds.push(world);
    return world;
  }

  async function closeAll(): Promise<void> {
    await Promise.all(servers.map(({ backbone }) => backbone.close()));
    servers = [];
    for (const world of worlds) await world.close();
    worlds = [];
  }

  function missing(needs: readonly Need[]): string | undefined {
    const has: Readonly<Record<Need, boolean>> = {
      ids: abilities.ids,
      aged: shared.aged !== undefined,
      subscribers: shared.faults?.cutSubscribers !== undefined,
      branch: shared.faults?.remember !== undefined,
      client: shared.clientWorks !== undefined,
      positions: abilities.positions,
      history: abilities.history,
      shared: contract.shared,
      faults: shared.faults !== undefined,
      queues: abilities.queues,
      foreign: shared.writeForeign !== undefined,
      intruder: shared.intruder !== undefined,
      patterns: abilities.patterns === 'broker',
      maxBody: abilities.maxBody <= 134_217_728,
    };
    const lacking = needs.find((need) => !has[need]);
    return lacking && reasons[lacking];
  }

  /** A part of the contract; where some cases are chosen there may be none of it. */
  const group = (title: string, run: () => void): void => {
    if (contract.only) run();
    else describe(title, run);
  };

  /** Why a case is left out where nobody asked for all of them. */
  function tooSlow(number: number): string | undefined {
    const { slow } = contract;
    if (process.env['CONTRACT'] === 'all' || !slow?.cases.includes(number)) return undefined;
    return `not run: ${slow.because}; CONTRACT=all runs it`;
  }

  function holds(number: number, title: string, needs: readonly Need[], run: () => Promise<void>): void {
    if (contract.only && !contract.only.includes(number)) return;
    tested(`${number}: ${title}`, { timeout: contract.slow ? 90_000 : 30_000 }, async ({ skip }) => {
      const reason = unclaimed[number] ?? missing(needs);
      if (reason !== undefined) skip(`not claimed: ${reason}`);
      const slow = tooSlow(number);
      if (slow !== undefined) skip(slow);
      try {
        await run();
      } finally {
        await closeAll();
      }
    });
  }

  describe(`the contract of backbones, over ${name}`, () => {
    beforeAll(async () => {
      shared = await contract.world();
    }, 90_000);
    afterAll(async () => {
      await closeAll();
      await shared.close();
    });

    tested('it claims what it is said to claim, and has a name', async () => {
      const { backbone } = server();
      expect(backbone.abilities).toEqual(abilities);
      expect(backbone.name).toMatch(/^[a-z]+$/);
      expect(backbone.queues !== undefined).toBe(abilities.queues);
      expect([backbone.since !== undefined, typeof backbone.position]).toEqual([abilities.history, expect.any(String)]);
      expect(() => backbone.open({ message() {}, gap() {}, state() {}, unreadable() {} })).toThrow(TypeError);
      await closeAll();
    });

    group('publishing', () => {
      const bodies: readonly [number, string, Uint8Array][] = [
        [1, 'a body comes as it was', Buffer.from('{"a":1}')],
        [2, 'an empty body comes', Buffer.alloc(0)],
        [3, 'NUL, LF and 0xFF come', Buffer.from([0, 255, 10, 13, 0, 128])],
        [4, 'a body of 1 MiB comes', Buffer.alloc(1_048_576, 'ab\0')],
      ];
      for (const [number, title, body] of bodies) {
        holds(number, title, [], async () => {
          const topic = fresh();
          const one = server();
          await one.backbone.subscribe(topic);
          await one.backbone.publish(topic, body, {});
          await until(() => one.messages.length === 1, 'the message');
          const [message] = one.messages;
          expect([message?.topic, Buffer.from(message!.body).equals(body)]).toEqual([topic, true]);
        });
      }

      holds(5, 'a body over maxBody is refused as tooLarge, and not stored', ['maxBody'], async () => {
        const one = server();
        const refused = one.backbone.publish(fresh(), new Uint8Array(abilities.maxBody + 1), {});
        await expect(refused).rejects.toMatchObject({ name: 'BackboneError', reason: 'tooLarge', stored: 'no' });
      });

      holds(6, 'headers come as they were: colons, line ends, unicode, empty ones', [], async () => {
        const topic = fresh();
        const one = server();
        await one.backbone.subscribe(topic);
        const headers = new Map([
          ['a:b', 'c:d'],
          ['line', 'one\ntwo\r\n'],
          ['ü€漢', '\\ 🦊'],
          ['empty', ''],
          ['content-type', 'mine'],
          ['id', 'mine too'],
        ]);
        await one.backbone.publish(topic, Buffer.from('x'), { headers });
        await until(() => one.messages.length === 1, 'the message');
        expect([...(one.messages[0]?.headers ?? [])].sort()).toEqual([...headers].sort());
      });

      holds(7, 'a content type comes, and none where none was given', [], async () => {
        const topic = fresh();
        const one = server();
        await one.backbone.subscribe(topic);
        await one.publish(topic, '1', { contentType: 'application/json' });
        await one.publish(topic, '2');
        await until(() => one.messages.length === 2, 'both messages');
        expect(one.messages.map(({ contentType }) => contentType)).toEqual(['application/json', undefined]);
      });

      const names = ['a/b.c', 'with space', '100%', 'ü€漢🦊', 'n'.repeat(200), '$user/x', 'a:b', 'a\\b', 'line\nend'];
      const wild = ['a>b.>', 'a#b.#', 'x*y.c', 'a.?', 'a[b]', '{x}', 'a+b/+', '**x', 'dot..dot', '.', '%2E'];
      for (const [number, title, list] of [
        [8, 'names of topics may hold what names hold', names],
        [9, 'names that look like wildcards of the broker are names', wild],
      ] as const) {
        holds(number, title, [], async () => {
          const one = server();
          const other = server();
          for (const topic of list) await one.backbone.subscribe(topic);
          await other.backbone.subscribe('unrelated');
          for (const topic of list) await one.publish(topic, topic);
          await until(() => one.messages.length >= list.length, `${list.length} messages`);
          expect(one.messages.map(({ topic }) => topic)).toEqual(list);
          expect(one.bodies()).toEqual(list);
          if (abilities.patterns === 'broker') expect(other.messages).toEqual([]);
        });
      }

      holds(10, 'what a server publishes comes back to it, once', [], async () => {
        const topic = fresh();
        const one = server();
        await one.backbone.subscribe(topic);
        for (const text of ['1', '2', '3']) await one.publish(topic, text);
        await one.settled(topic);
        expect(one.bodies()).toEqual(['1', '2', '3']);
      });

      holds(11, 'positions grow within the epoch', ['positions'], async () => {
        const topic = fresh();
        const one = server();
        await one.backbone.subscribe(topic);
        for (let count = 0; count < 5; count++) await one.publish(topic, String(count));
        await until(() => one.messages.length === 5, 'five messages');
        const positions = one.messages.map(({ position }) => position);
        expect(new Set(positions.map(({ epoch }) => epoch)).size).toBe(1);
        expect(positions.every(({ offset }, index) => index === 0 || offset > positions[index - 1]!.offset)).toBe(true);
        expect(positions.every(({ offset }) => Number.isSafeInteger(offset))).toBe(true);
      });

      holds(12, 'a message has the same position on all servers', ['positions', 'shared'], async () => {
        const topic = fresh();
        const [one, other] = [server(), server()];
        for (const each of [one, other]) await each.backbone.subscribe(topic);
        for (const text of ['1', '2', '3']) await one.publish(topic, text);
        await until(() => one.messages.length === 3 && other.messages.length === 3, 'three messages on both');
        expect(one.messages.map(({ position }) => position)).toEqual(other.messages.map(({ position }) => position));
      });

      holds(13, 'the same id twice is one message; on another topic it is another', ['ids'], async () => {
        const topic = fresh();
        const one = server();
        for (const each of [topic, `${topic}x`]) await one.backbone.subscribe(each);
        const first = await one.publish(topic, '1', { id: 'a' });
        const second = await one.publish(topic, '2', { id: 'a' });
        await one.publish(`${topic}x`, '3', { id: 'a' });
        await one.publish(topic, '4', { id: 'b' });
        await one.settled(topic);
        await until(() => one.messages.length >= 3, 'three messages');
        expect([one.bodies(topic), one.bodies(`${topic}x`)]).toEqual([['1', '4'], ['3']]);
        expect(second).toEqual(first);
      });

      holds(14, 'the same id after 5 min is another message', ['ids', 'aged'], async () => {
        const clock = createFakeClock();
        const one = new Server(shared.aged!(clock));
        servers.push(one);
        await one.backbone.subscribe('aged');
        await one.publish('aged', '1', { id: 'a' });
        clock.advance(299_000);
        await one.publish('aged', '2', { id: 'a' });
        clock.advance(2_000);
        await one.publish('aged', '3', { id: 'a' });
        expect(one.bodies()).toEqual(['1', '3']);
      });

      holds(15, '10,000 publishes keep their order', [], async () => {
        const topic = fresh();
        const [one, other] = [server(), contract.shared ? server() : undefined];
        await one.backbone.subscribe(topic);
        await other?.backbone.subscribe(topic);
        const texts = Array.from({ length: 10_000 }, (_, index) => String(index));
        for (let at = 0; at < texts.length; at += 1_000) {
          await Promise.all(texts.slice(at, at + 1_000).map((text) => one.publish(topic, text)));
        }
        for (const each of other ? [one, other] : [one]) {
          await until(() => each.messages.length >= texts.length, 'all messages', 15_000);
          expect(each.bodies()).toEqual(texts);
        }
      });

      holds(16, 'two publishers: two servers hear the same order', ['shared'], async () => {
        const topic = fresh();
        const [one, other] = [server(), server()];
        for (const each of [one, other]) await each.backbone.subscribe(topic);
        const all: Promise<unknown>[] = [];
        for (let count = 0; count < 300; count++) {
          all.push(one.publish(topic, `a${count}`), other.publish(topic, `b${count}`));
          if (count % 20 === 0) await sleep(1);
        }
        await Promise.all(all);
        await until(() => one.messages.length === 600 && other.messages.length === 600, '600 messages on both');
        expect(one.bodies()).toEqual(other.bodies());
        for (const letter of ['a', 'b']) {
          const own = one.bodies().filter((text) => text.startsWith(letter));
          expect(own).toEqual(Array.from({ length: 300 }, (_, index) => `${letter}${index}`));
        }
      });

      holds(17, 'the position of a publish is that of its message', ['positions'], async () => {
        const topic = fresh();
        const one = server();
        await one.backbone.subscribe(topic);
        const positions = await Promise.all(['1', '2', '3'].map((text) => one.publish(topic, text)));
        await until(() => one.messages.length === 3, 'three messages');
        const told = positions.filter((position) => position !== undefined);
        const heard = one.messages.map(({ position }) => position);
        if (told.length > 0) expect(told).toEqual(heard);
      });
    });

    group('subscribing', () => {
      holds(18, 'nothing comes from before the subscribe', [], async () => {
        const topic = fresh();
        const one = server();
        await one.publish(topic, 'before');
        await one.backbone.subscribe(topic);
        await one.publish(topic, 'after');
        await one.settled(topic);
        expect(one.bodies()).toEqual(['after']);
      });

      holds(19, 'everything comes that is published after it has resolved', ['shared'], async () => {
        const [one, other] = [server(), server()];
        for (let count = 0; count < 20; count++) {
          const topic = fresh();
          await one.backbone.subscribe(topic);
          await other.publish(topic, topic);
        }
        await until(() => one.messages.length === 20, '20 messages');
      });

      holds(20, 'the position of a subscribe is before that of the first message', ['positions'], async () => {
        const topic = fresh();
        const one = server();
        await one.publish(topic, 'before');
        const start = await one.backbone.subscribe(topic);
        await one.publish(topic, 'after');
        await until(() => one.bodies(topic).includes('after'), 'the message');
        const { position } = one.messages.at(-1)!;
        expect([start?.epoch, start!.offset < position.offset]).toEqual([position.epoch, true]);
      });

      holds(21, 'the same name twice is one subscription', [], async () => {
        const topic = fresh();
        const one = server();
        await Promise.all([one.backbone.subscribe(topic), one.backbone.subscribe(topic)]);
        await one.backbone.subscribe(topic);
        await one.publish(topic, '1');
        await one.settled(topic);
        expect(one.bodies()).toEqual(['1']);
        await one.backbone.unsubscribe(topic);
        await one.backbone.unsubscribe(topic);
      });

      holds(22, 'after an unsubscribe nothing comes', [], async () => {
        const [topic, kept] = [fresh(), fresh()];
        const one = server();
        for (const each of [topic, kept]) await one.backbone.subscribe(each);
        await one.publish(topic, '1');
        await until(() => one.messages.length === 1, 'the message');
        const gone = one.backbone.unsubscribe(topic);
        const { length } = one.messages;
        await one.publish(topic, '2');
        await gone;
        await one.settled(kept);
        if (abilities.patterns === 'broker') expect(one.messages.length).toBe(length);
      });

      holds(23, 'unsubscribed and subscribed at once, everything comes', [], async () => {
        const topic = fresh();
        const one = server();
        await one.backbone.subscribe(topic);
        for (let count = 0; count < 10; count++) {
          void one.backbone.unsubscribe(topic);
          await one.backbone.subscribe(topic);
          await one.publish(topic, String(count));
          await until(() => one.messages.length > count, 'the message');
        }
        await one.settled(topic);
        expect(one.bodies()).toEqual(Array.from({ length: 10 }, (_, index) => String(index)));
      });

      async function heardBy(pattern: string, names: readonly string[]): Promise<string[]> {
        const one = server();
        await one.backbone.subscribe(pattern);
        await one.backbone.subscribe('the.last');
        for (const each of names) await one.publish(each, each);
        await one.settled('the.last');
        return one.bodies();
      }

      holds(24, 'a * stands for one segment', ['patterns'], async () => {
        const root = fresh();
        const names = [`${root}.a`, `${root}/b`, root, `${root}x.a`];
        expect(await heardBy(`${root}.*`, names)).toEqual(names.slice(0, 2));
      });

      holds(25, 'a last ** stands for any number of segments, none included', ['patterns'], async () => {
        const root = fresh();
        const names = [`${root}.a`, `${root}.a.b/c`, root, `${root}x`, `${root}x.a`];
        expect(await heardBy(`${root}.**`, names)).toEqual(names.slice(0, 3));
      });

      holds(26, 'a * does not cross a separator', ['patterns'], async () => {
        const root = fresh();
        const names = [`${root}.x.b`, `${root}.x.y.b`, `${root}.x/y.b`, `${root}.b`];
        expect(await heardBy(`${root}.*.b`, names)).toEqual(names.slice(0, 1));
      });
      holds(27, 'a topic and a pattern of one server: each message once', [], async () => {
        const root = fresh();
        const one = server();
        for (const each of [`${root}.a`, `${root}.*`]) await one.backbone.subscribe(each);
        for (const text of ['1', '2']) await one.publish(`${root}.a`, text);
        await one.settled(`${root}.a`);
        expect(one.bodies()).toEqual(['1', '2']);
        await one.backbone.unsubscribe(`${root}.a`);
        await one.publish(`${root}.a`, '3');
        await one.settled(`${root}.a`);
        expect(one.bodies()).toEqual(['1', '2', '3']);
      });

      holds(28, 'two patterns that overlap: each message once', [], async () => {
        const root = fresh();
        const one = server();
        for (const each of [`${root}.*`, `${root}.**`, `${root}.a.**`]) await one.backbone.subscribe(each);
        for (const text of ['1', '2']) await one.publish(`${root}.a`, text);
        await one.settled(`${root}.a`);
        expect(one.bodies()).toEqual(['1', '2']);
      });

      holds(29, 'a pattern hears topics that are born later', [], async () => {
        const root = fresh();
        const one = server();
        await one.backbone.subscribe(`${root}.**`);
        for (let count = 0; count < 20; count++) await one.publish(`${root}.${count}`, String(count));
        await until(() => one.messages.length >= 20, '20 messages');
        expect(one.bodies()).toEqual(Array.from({ length: 20 }, (_, index) => String(index)));
      });

      holds(30, '10,000 names', [], async () => {
        const root = fresh();
        const one = server();
        const names = Array.from({ length: 10_000 }, (_, index) => `${root}.n${index}`);
        await Promise.all(names.map((each) => one.backbone.subscribe(each)));
        await Promise.all([0, 5_000, 9_999].map((index) => one.publish(names[index]!, String(index))));
        await until(() => one.messages.length >= 3, 'three messages');
        expect(one.bodies().sort()).toEqual(['0', '5000', '9999']);
        await Promise.all(names.map((each) => one.backbone.unsubscribe(each)));
      });

      holds(31, 'a pattern that begins with a wildcard hears no name that begins with $', ['patterns'], async () => {
        const topic = fresh();
        const one = server();
        for (const pattern of ['**', '*.b', '*']) await one.backbone.subscribe(pattern);
        for (const name of ['$secret', '$secret.b', '$user/ada/x', topic]) await one.publish(name, name);
        await one.settled(topic);
        expect(one.bodies()).toEqual([topic]);
      });
    });

    group('history', () => {
      holds(32, 'all that came after a position, oldest first, as it was', ['history', 'positions'], async () => {
        const topic = fresh();
        const one = server();
        const [start] = await past(one, topic, 1);
        const headers = new Map([['a', 'b']]);
        await one.publish(topic, '1', { contentType: 'text/plain', headers });
        await one.publish(topic, '2');
        const found = await one.backbone.since!(topic, start!, 10);
        expect(found?.map(({ body }) => Buffer.from(body).toString())).toEqual(['1', '2']);
        expect(found?.[0]).toMatchObject({ topic, contentType: 'text/plain', headers });
        expect(found![1]!.position.offset).toBeGreaterThan(found![0]!.position.offset);
      });

      holds(33, 'nothing came since, on this topic: an empty answer', ['history'], async () => {
        const topic = fresh();
        const one = server();
        const positions = await past(one, topic, 2);
        await past(one, fresh(), 3);
        expect(await since(one, topic, positions.at(-1)!)).toEqual([]);
      });

      holds(34, 'after the last message of the log: an empty answer', ['history'], async () => {
        const topic = fresh();
        const one = server();
        const positions = await past(one, topic, 2);
        expect(await since(one, topic, positions.at(-1)!)).toEqual([]);
      });

      holds(35, 'trimmed by number: undefined', ['history'], async () => {
        const topic = fresh();
        const one = serverOf(await ownWorld({ maxMessages: 20 }));
        const [start] = await past(one, topic, 1);
        const positions = await Promise.all(Array.from({ length: 600 }, (_, index) => one.publish(topic, `${index}`)));
        expect(await since(one, topic, start!)).toBe(undefined);
        expect(await since(one, topic, positions.at(-3)!)).toEqual(['598', '599']);
      });

      holds(36, 'trimmed by age: undefined', ['history'], async () => {
        const topic = fresh();
        const one = serverOf(await ownWorld({ maxAge: 300 }));
        const [start] = await past(one, topic, 2);
        await sleep(1_500);
        expect(await since(one, topic, start!)).toBe(undefined);
      });

      holds(37, 'a quiet topic within the window: an empty answer', ['history', 'positions'], async () => {
        const [topic, busy] = [fresh(), fresh()];
        const one = server();
        await one.backbone.subscribe(topic);
        const [position] = await past(one, busy, 5);
        expect(await since(one, topic, position!)).toEqual([]);
      });

      holds(38, 'of a foreign epoch: undefined', ['history'], async () => {
        const topic = fresh();
        const one = server();
        const [position] = await past(one, topic, 2);
        expect(await since(one, topic, { ...position!, epoch: 'another' })).toBe(undefined);
      });

      holds(39, 'of the future: undefined', ['history'], async () => {
        const topic = fresh();
        const one = server();
        const [position] = await past(one, topic, 2);
        expect(await since(one, topic, { ...position!, offset: position!.offset + 1e12 })).toBe(undefined);
      });

      holds(40, 'below zero, or none at all: undefined', ['history'], async () => {
        const topic = fresh();
        const one = server();
        const [position] = await past(one, topic, 2);
        for (const offset of [-1, -Infinity, NaN, 0.5, Infinity]) {
          expect([offset, await since(one, topic, { ...position!, offset })]).toEqual([offset, undefined]);
        }
      });

      holds(41, 'of a pattern: the messages of all its topics, in order', ['history', 'positions'], async () => {
        const root = fresh();
        const one = server();
        const [start] = await past(one, `${root}.a`, 1);
        for (const [topic, text] of [
          ['a', '1'],
          ['b', '2'],
          ['a', '3'],
        ] as const) {
          await one.publish(`${root}.${topic}`, text);
        }
        await one.publish(`${root}x`, 'another');
        expect(await since(one, `${root}.*`, start!)).toEqual(['1', '2', '3']);
      });

      holds(42, 'more than the limit: undefined', ['history'], async () => {
        const topic = fresh();
        const one = server();
        const [start] = await past(one, topic, 6);
        expect([await since(one, topic, start!, 4), await since(one, topic, start!, 5)]).toEqual([
          undefined,
          ['1', '2', '3', '4', '5'],
        ]);
      });

      holds(43, 'asked while others publish, past and present fit without hole and double', ['history'], async () => {
        const topic = fresh();
        const [one, other] = [server(), server()];
        const [start] = await past(other, topic, 1);
        let count = 0;
        let stopped = false;
        const publishing = (async () => {
          for (; !stopped; count++) await other.publish(topic, `n${count}`);
        })();
        await sleep(20);
        await one.backbone.subscribe(topic);
        const found = await one.backbone.since!(topic, start!, 10_000);
        await sleep(20);
        stopped = true;
        await publishing;
        await one.settled(topic);
        const last = found!.at(-1)!.position.offset;
        const live = one.messages.filter(({ position }) => position.offset > last);
        expect([...found!, ...live].map(({ body }) => Buffer.from(body).toString())).toEqual(
          Array.from({ length: count }, (_, index) => `n${index}`),
        );
      });

      holds(44, 'the first message of a topic is in it', ['history', 'positions'], async () => {
        const [topic, earlier] = [fresh(), fresh()];
        const one = server();
        const [start] = await past(one, earlier, 1);
        await one.publish(topic, 'first');
        expect(await since(one, topic, start!)).toEqual(['first']);
      });

      holds(45, 'of a topic without history: undefined', ['history', 'positions'], async () => {
        const topic = fresh();
        const one = server({ history: (each) => each !== topic });
        await one.backbone.subscribe(topic);
        const first = await one.publish(topic, '1');
        await one.publish(topic, '2');
        await until(() => one.messages.length === 2, 'both live');
        expect(await since(one, topic, first!)).toBe(undefined);
      });

      holds(46, 'the mark moves on without messages', ['history', 'positions', 'shared'], async () => {
        const [topic, busy] = [fresh(), fresh()];
        const [one, other] = [server(), server()];
        await one.backbone.subscribe(topic);
        const [position] = await past(other, busy, 1);
        await until(() => (one.backbone.position?.offset ?? 0) >= position!.offset, 'the mark', 12_000);
        expect(one.messages).toEqual([]);
      });

      holds(
        66,
        'a server that heard other topics alone does not answer for this one',
        ['history', 'shared'],
        async () => {
          const [topic, busy] = [fresh(), fresh()];
          const [one, other] = [server(), server()];
          await other.backbone.subscribe(busy);
          const [start] = await past(one, topic, 6);
          await past(one, busy, 2);
          await until(() => other.messages.length === 2, 'what it hears');
          expect(await since(other, topic, start!)).toEqual(['1', '2', '3', '4', '5']);
        },
      );
    });

    group('faults', () => {
      const texts = (count: number, from = 0): string[] => Array.from({ length: count }, (_, i) => String(from + i));

      holds(47, 'no broker at the start: connecting, and up when it is there', ['faults'], async () => {
        const world = await ownWorld();
        await world.faults!.kill();
        const one = serverOf(world);
        const topic = fresh();
        const live = one.backbone.subscribe(topic);
        const published = one.publish(topic, '1');
        await sleep(150);
        expect(one.backbone.state).toBe('connecting');
        await world.faults!.restart();
        await Promise.all([live, published]);
        await until(() => one.backbone.state === 'up', 'it is up');
        await one.settled(topic);
      });

      holds(48, 'no broker at a publish: it waits, and is stored when the broker is back', ['faults'], async () => {
        const world = await ownWorld();
        const one = serverOf(world);
        const topic = fresh();
        await one.backbone.subscribe(topic);
        await world.faults!.kill();
        await until(() => one.backbone.state === 'down', 'it is down');
        const published = Promise.all(texts(5).map((text) => one.publish(topic, text)));
        await sleep(100);
        await world.faults!.restart();
        await published;
        await until(() => one.messages.length >= 5, 'five messages');
        expect(one.bodies()).toEqual(texts(5));
      });

      holds(49, 'over the deadline it is rejected, and not stored', ['faults'], async () => {
        const world = await ownWorld();
        const one = serverOf(world);
        const topic = fresh();
        await one.backbone.subscribe(topic);
        await world.faults!.kill();
        await until(() => one.backbone.state === 'down', 'it is down');
        const failed = one.publish(topic, 'late', { timeout: 100 });
        await expect(failed).rejects.toMatchObject({ reason: 'unavailable', stored: 'no' });
        await world.faults!.restart();
        await one.settled(topic);
        expect(one.bodies()).toEqual([]);
      });

      holds(50, 'the answer is lost: stored once', ['faults', 'ids'], async () => {
        const world = await ownWorld();
        const [one, other] = [serverOf(world), serverOf(world)];
        const topic = fresh();
        await other.backbone.subscribe(topic);
        await one.publish(topic, 'first');
        await until(() => other.messages.length === 1, 'the first message');
        world.faults!.swallowAnswers();
        const published = Promise.all(texts(10).map((text) => one.publish(topic, text)));
        await sleep(150);
        world.faults!.cut();
        await published;
        await other.settled(topic);
        const heard = other.bodies();
        // Without history its own connection, which was cut too, is a gap.
        if (!abilities.history) expect([new Set(heard).size, other.gaps.length]).toEqual([heard.length, 1]);
        else expect(heard).toEqual(['first', ...texts(10)]);
      });

      holds(51, 'no broker at a subscribe: live when it is back', ['faults'], async () => {
        const world = await ownWorld();
        const one = serverOf(world);
        await one.publish(fresh(), 'x');
        await world.faults!.kill();
        await until(() => one.backbone.state === 'down', 'it is down');
        const topic = fresh();
        const live = one.backbone.subscribe(topic);
        await world.faults!.restart();
        await live;
        await one.publish(topic, '1');
        await one.settled(topic);
        expect(one.bodies()).toEqual(['1']);
      });

      holds(
        52,
        'the subscribing connection is cut: the gap is closed without a word',
        ['faults', 'subscribers'],
        async () => {
          const [one, other] = [server(), server()];
          const topic = fresh();
          await other.backbone.subscribe(topic);
          for (let count = 0; count < 200; count++) {
            await one.publish(topic, String(count));
            if (count % 50 === 20) await shared.faults?.cutSubscribers?.();
          }
          await other.settled(topic);
          expect([other.bodies(), other.gaps]).toEqual([texts(200), []]);
        },
      );

      holds(53, 'all connections cut, again and again: nothing is lost, doubled or swapped', ['faults'], async () => {
        const world = await ownWorld();
        const [one, other] = [serverOf(world), serverOf(world)];
        const topic = fresh();
        await other.backbone.subscribe(topic);
        const failed: string[] = [];
        const sent: Promise<unknown>[] = [];
        for (let count = 0; count < 400; count++) {
          sent.push(one.publish(topic, String(count)).catch(() => failed.push(String(count))));
          if (count % 5 === 0) await sleep(3);
          if (count % 100 === 50) world.faults!.cut();
        }
        await Promise.all(sent);
        await other.settled(topic);
        const due = texts(400).filter((text) => !failed.includes(text));
        if (abilities.history) expect([other.bodies(), other.gaps]).toEqual([due, []]);
        else expect(other.gaps.length).toBeGreaterThan(0);
      });

      holds(54, 'nothing comes and nothing is closed: it is noticed within 15 s, and mended', ['faults'], async () => {
        const world = await ownWorld({ hasty: true });
        const [one, other] = [serverOf(world), serverOf(world)];
        const topic = fresh();
        await other.backbone.subscribe(topic);
        await one.publish(topic, '0');
        await until(() => other.messages.length === 1, 'the first message');
        world.faults!.freeze();
        await until(() => other.backbone.state === 'down', 'it is noticed', 1_700);
        world.faults!.thaw();
        await until(() => other.backbone.state === 'up', 'it is mended', 10_000);
        await until(() => one.backbone.state === 'up', 'it is mended there too', 10_000);
        await one.publish(topic, '1', { timeout: 60_000 });
        await until(() => other.bodies().includes('1'), 'the second message');
        if (abilities.history) expect([other.bodies(), other.gaps]).toEqual([['0', '1'], []]);
      });

      holds(55, 'the broker stands still for a while: nothing is lost', ['faults'], async () => {
        const world = await ownWorld();
        const [one, other] = [serverOf(world), serverOf(world)];
        const topic = fresh();
        await other.backbone.subscribe(topic);
        await one.publish(topic, '0');
        world.faults!.stop();
        const sent = texts(50, 1).map((text) => one.publish(topic, text));
        await sleep(1_000);
        world.faults!.resume();
        await Promise.all(sent);
        await other.settled(topic);
        expect([other.bodies(), other.gaps]).toEqual([texts(51), []]);
      });

      holds(56, 'the broker is killed: what was confirmed is delivered, or a gap is said', ['faults'], async () => {
        const world = await ownWorld();
        const [one, other] = [serverOf(world), serverOf(world)];
        const topic = fresh();
        await other.backbone.subscribe(topic);
        const confirmed: string[] = [];
        const sent: Promise<unknown>[] = [];
        const publish = (text: string): void => {
          sent.push(
            one.publish(topic, text).then(
              () => confirmed.push(text),
              (error) => expect(error).toBeInstanceOf(BackboneError),
            ),
          );
        };
        for (let count = 0; count < 200; count++) {
          publish(String(count));
          if (count % 5 === 0) await sleep(2);
          if (count === 100) void world.faults!.kill().then(() => world.faults!.restart());
        }
        await Promise.all(sent);
        await other.settled(topic);
        const heard = other.bodies();
        const lost = confirmed.filter((text) => !heard.includes(text));
        if (contract.durable || other.gaps.length === 0) expect(lost).toEqual([]);
        if (contract.durable) expect(other.gaps).toEqual([]);
        else expect(other.gaps.length).toBeGreaterThan(0);
        expect(heard.length).toBe(new Set(heard).size);
        expect(heard.map(Number)).toEqual(heard.map(Number).sort((a, b) => a - b));
      });

      holds(57, 'killed without memory of its own: a new epoch', ['faults', 'positions', 'history'], async () => {
        const world = await ownWorld();
        const one = serverOf(world);
        const topic = fresh();
        await one.backbone.subscribe(topic);
        const before = (await one.publish(topic, '1'))!;
        await world.faults!.kill();
        await world.faults!.restart();
        await until(() => one.backbone.state === 'up' && one.states.includes('down'), 'down and up');
        const after = (await one.publish(topic, '2'))!;
        expect(after.epoch === before.epoch).toBe(contract.durable);
        expect(await one.backbone.since!(topic, before, 10)).toEqual(
          contract.durable ? [expect.objectContaining({ position: after })] : undefined,
        );
      });

      holds(
        58,
        'the log lost its end, as in a failover: a gap, and no answer about the past',
        ['branch', 'history'],
        async () => {
          const world = await ownWorld();
          const [one, other] = [serverOf(world), serverOf(world)];
          const topic = fresh();
          await other.backbone.subscribe(topic);
          const kept = await past(one, topic, 3);
          await until(() => other.messages.length === 3, 'three messages');
          await world.faults!.remember?.();
          const lost = await past(one, topic, 3);
          await until(() => other.messages.length === 6, 'six messages');
          await world.faults!.kill();
          await world.faults!.restart();
          await one.publish(topic, 'after');
          await until(() => other.bodies().includes('after'), 'the message after it');
          expect(other.gaps.length).toBeGreaterThan(0);
          for (const position of [...kept, ...lost]) expect(await since(other, topic, position!)).toBe(undefined);
        },
      );

      holds(59, 'a wrong password: it says so, is not up, and harms nobody', ['intruder'], async () => {
        const intruder = new Server(shared.intruder!());
        servers.push(intruder);
        const one = server();
        const topic = fresh();
        await one.backbone.subscribe(topic);
        await expect(intruder.publish(topic, 'x', { timeout: 400 })).rejects.toMatchObject({ stored: 'no' });
        expect(intruder.backbone.state).not.toBe('up');
        expect(intruder.errors.length).toBeGreaterThan(0);
        await one.settled(topic);
        expect(one.bodies()).toEqual([]);
      });

      holds(
        60,
        'closed with publishes under way: each is rejected as closed, and so is what comes after',
        [],
        async () => {
          const one = server();
          const topic = fresh();
          const outcomes = texts(20).map((text) => one.publish(topic, text));
          const all = Promise.allSettled(outcomes);
          await one.backbone.close();
          for (const outcome of await all) {
            if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ reason: 'closed' });
          }
          await expect(one.publish(topic, 'x')).rejects.toMatchObject({ reason: 'closed', stored: 'no' });
          expect(one.backbone.state).toBe('closed');
        },
      );

      holds(61, 'closed twice, and unsubscribed after it', [], async () => {
        const one = server();
        await one.backbone.subscribe(fresh());
        await Promise.all([one.backbone.close(), one.backbone.close()]);
        await one.backbone.close();
        await one.backbone.unsubscribe('never');
        expect(one.states.filter((state) => state === 'closed')).toEqual(['closed']);
      });

      holds(63, 'a sink that throws harms nobody', [], async () => {
        const topic = fresh();
        const backbone = shared.backbone();
        let heard = 0;
        backbone.open({
          message() {
            heard++;
            throw new Error('the sink of this test');
          },
          gap() {},
          state() {},
          unreadable() {},
        });
        await backbone.subscribe(topic);
        for (const text of ['1', '2']) await backbone.publish(topic, Buffer.from(text), {});
        await until(() => heard === 2, 'both messages');
        await backbone.close();
      });

      holds(62, 'closed, it leaves no socket and no timer behind', [], async () => {
        const resources = (): Record<string, number> => {
          const counts: Record<string, number> = {};
          for (const name of process.getActiveResourcesInfo()) {
            if (/Socket|Pipe|Connect|TCP/.test(name)) counts[name] = (counts[name] ?? 0) + 1;
          }
          return counts;
        };
        const clock = createCountingClock();
        const before = resources();
        const one = serverOf(shared, { clock });
        const topic = fresh();
        await one.backbone.subscribe(topic);
        await one.publish(topic, '1');
        await until(() => one.messages.length === 1, 'the message');
        const sent = one.publish(topic, '2').catch(() => {});
        await one.backbone.close();
        await sent;
        expect(clock.watched).toEqual([]);
        // A client that the application gave stays, and what the world has opened meanwhile.
        if (shared.clientWorks) return;
        await until(() => JSON.stringify(resources()) === JSON.stringify(before), 'no socket is left');
      });

      holds(
        64,
        'a slow sink is waited for: nothing is lost, doubled or swapped, and nothing is kept for it',
        [],
        async () => {
          const topic = fresh();
          const backbone = shared.backbone();
          const heard: string[] = [];
          let gaps = 0;
          backbone.open({
            message({ body }) {
              heard.push(Buffer.from(body).toString());
              for (const end = performance.now() + 1; performance.now() < end; );
            },
            gap: () => gaps++,
            state() {},
            unreadable() {},
          });
          await backbone.subscribe(topic);
          const sent = Array.from({ length: 500 }, (_, index) => String(index));
          await Promise.all(sent.map((text) => backbone.publish(topic, Buffer.from(text), { timeout: 20_000 })));
          await until(() => heard.length >= 500, 'all of them');
          expect([heard, gaps]).toEqual([sent, 0]);
          await backbone.close();
        },
      );

      holds(65, 'the client that the application gave works on after close', ['client'], async () => {
        const one = server();
        await one.backbone.subscribe(fresh());
        await one.backbone.close();
        await one.backbone.close();
        expect(await shared.clientWorks?.()).toBe(true);
      });

      holds(67, 'what a foreign writer puts there costs itself and is said', ['foreign'], async () => {
        const topic = fresh();
        const one = server();
        await one.backbone.subscribe(topic);
        await one.publish(topic, '1');
        const rubbish = [
          Buffer.from('{"no":"envelope"}'),
          Buffer.alloc(0),
          Buffer.from([0xb5]),
          Buffer.from([0xb5, 1, 255]),
        ];
        for (const bytes of rubbish) await shared.writeForeign!(topic, bytes);
        await one.publish(topic, '2');
        await one.settled(topic);
        expect([one.bodies(), one.unreadable.length]).toEqual([['1', '2'], rubbish.length]);
        expect(one.unreadable[0]?.message).toContain('not written by subwire');
      });

      holds(68, 'a message of a later version is passed over and said', ['foreign'], async () => {
        const topic = fresh();
        const one = server();
        await one.backbone.subscribe(topic);
        await shared.writeForeign!(topic, Buffer.from([0xb5, 9, 0, 0, 0, 1]));
        await one.publish(topic, '1');
        await one.settled(topic);
        expect([one.bodies(), one.unreadable.map(({ message }) => message)]).toEqual([
          ['1'],
          [expect.stringContaining('version is 9')],
        ]);
      });

      holds(69, 'a prefix separates applications on one broker', ['shared', 'foreign'], async () => {
        const topic = fresh();
        const [one, other] = [server({ prefix: 'one' }), server({ prefix: 'other' })];
        for (const each of [one, other]) await each.backbone.subscribe(topic);
        for (const each of [one, other]) await each.backbone.subscribe('**');
        await one.publish(topic, 'one');
        await other.publish(topic, 'other');
        await one.settled(topic);
        await other.settled(topic);
        expect([one.bodies(topic), other.bodies(topic)]).toEqual([['one'], ['other']]);
      });
    });

    group('queues', () => queueCases({ holds, server, serverOf, ownWorld, shared: () => shared, fresh }));
  });
}
