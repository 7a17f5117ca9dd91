import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import type { BackboneQueues, QueueConsumer, QueueDelivery } from '../../src/bus/backbone.ts';
import { type Server, until, type World } from './world.ts';

/** What the cases of queues are given by the contract. */
export interface QueueDesk {
  holds(number: number, title: string, needs: readonly ('queues' | 'faults')[], run: () => Promise<void>): void;
  /** A server on the broker of all cases. */
  server(options?: { readonly prefix?: string }): Server;
  serverOf(world: World): Server;
  ownWorld(): Promise<World>;
  /** The broker of all cases; nobody else uses it while a case runs. */
  shared(): World;
  fresh(): string;
}

/** Somebody who takes messages and keeps them until it is told what became of them. */
class Taker {
  readonly taken: QueueDelivery[] = [];
  readonly consumer: QueueConsumer;

  constructor({ backbone }: Server, queue: string, credit = 10, settle?: (delivery: QueueDelivery) => void) {
    this.consumer = (backbone.queues as BackboneQueues).consume(queue, credit, (delivery) => {
      this.taken.push(delivery);
      settle?.(delivery);
    });
  }

  get texts(): string[] {
    return this.taken.map(({ body }) => Buffer.from(body).toString());
  }
}

const consume = (delivery: QueueDelivery): void => delivery.settle('consumed');

const put = ({ backbone }: Server, queue: string, text: string, timeout?: number): Promise<void> =>
  (backbone.queues as BackboneQueues).put(queue, Buffer.from(text), { timeout });

const texts = (count: number): string[] => Array.from({ length: count }, (_, index) => String(index));

/** The cases of work queues, which all servers share. */
export function queueCases({ holds, server, serverOf, ownWorld, shared, fresh }: QueueDesk): void {
  holds(70, 'a message goes to one consumer of all servers, and each of them gets some', ['queues'], async () => {
    const queue = fresh();
    const [one, other] = [server(), server()];
    const takers = [new Taker(one, queue, 1, consume), new Taker(other, queue, 1, consume)];
    await Promise.all(takers.map(({ consumer }) => consumer.active));
    await Promise.all(texts(60).map((text) => put(one, queue, text)));
    await until(() => takers.flatMap(({ taken }) => taken).length >= 60, '60 messages');
    await sleep(100);
    expect(takers.flatMap((taker) => taker.texts).toSorted()).toEqual(texts(60).toSorted());
    for (const { taken } of takers) expect(taken.length).toBeGreaterThan(0);
  });

  holds(71, 'what was put before there was a consumer comes, in order, as it was', ['queues'], async () => {
    const queue = `${fresh()}/ü €>*#`;
    const one = server();
    const { queues } = one.backbone;
    const headers = new Map([
      ['a:b', 'c\nd'],
      ['expires', '0'],
    ]);
    await queues?.put(queue, Buffer.from([0, 255, 10]), { contentType: 'application/x-a', headers });
    for (const text of texts(20)) await put(one, queue, text);
    const taker = new Taker(server(), queue, 100, consume);
    await until(() => taker.taken.length === 21, '21 messages');
    const [first, ...rest] = taker.taken;
    expect([[...(first?.body ?? [])], first?.contentType, [...(first?.headers ?? [])], first?.deliveries]).toEqual([
      [0, 255, 10],
      'application/x-a',
      [...headers],
      1,
    ]);
    expect(rest.map(({ body }) => Buffer.from(body).toString())).toEqual(texts(20));
  });

  holds(72, 'fewer than credit are unsettled at a time', ['queues'], async () => {
    const queue = fresh();
    const one = server();
    const taker = new Taker(one, queue, 3);
    await taker.consumer.active;
    for (const text of texts(8)) await put(one, queue, text);
    await until(() => taker.taken.length >= 3, 'three messages');
    await sleep(200);
    expect(taker.taken.length).toBe(3);
    taker.taken[0]?.settle('consumed');
    await until(() => taker.taken.length === 4, 'one more');
    for (let index = 1; index < 8; index++) {
      await until(() => taker.taken.length > index, 'the next');
      taker.taken[index]?.settle('consumed');
    }
    expect(taker.texts).toEqual(texts(8));
  });

  holds(73, 'what failed comes again and is counted; what was consumed does not', ['queues'], async () => {
    const queue = fresh();
    const one = server();
    const counts: number[] = [];
    const taker = new Taker(one, queue, 10, (delivery) => {
      const isBad = Buffer.from(delivery.body).toString() === 'bad';
      if (isBad) counts.push(delivery.deliveries);
      delivery.settle(isBad && delivery.deliveries < 4 ? 'failed' : 'consumed');
      delivery.settle('failed');
    });
    await put(one, queue, 'bad');
    await put(one, queue, 'good');
    await until(() => taker.taken.length >= 5, 'four attempts and the other one');
    await sleep(200);
    expect([counts, taker.texts.filter((text) => text === 'good')]).toEqual([[1, 2, 3, 4], ['good']]);
  });

  holds(74, 'a consumer that stops gives back what it did not settle, and gets nothing more', ['queues'], async () => {
    const queue = fresh();
    const [one, other] = [server(), server()];
    const leaver = new Taker(one, queue, 5);
    await leaver.consumer.active;
    for (const text of texts(8)) await put(one, queue, text);
    await until(() => leaver.taken.length === 5, 'five messages');
    leaver.taken[0]?.settle('consumed');
    leaver.consumer.stop();
    leaver.consumer.stop();
    leaver.taken[1]?.settle('consumed');
    const taker = new Taker(other, queue, 10, consume);
    await until(() => taker.taken.length >= 6, 'the rest');
    const { length } = leaver.taken;
    await sleep(200);
    expect([...new Set(['0', ...taker.texts])].toSorted()).toEqual(expect.arrayContaining(texts(8).slice(2)));
    expect(leaver.taken.length).toBe(length);
  });

  holds(75, 'a server that ends without a word loses what it had: others get it', ['queues', 'faults'], async () => {
    const [one, other] = [server(), server()];
    const queue = fresh();
    const sleeper = new Taker(one, queue, 5);
    await sleeper.consumer.active;
    for (const text of texts(5)) await put(other, queue, text);
    await until(() => sleeper.taken.length === 5, 'five messages');
    // As near to kill -9 as one process comes: the connection is cut, and nothing is settled.
    shared().faults!.cut();
    const taker = new Taker(other, queue, 10, consume);
    sleeper.consumer.stop();
    await until(() => new Set(taker.texts).size === 5, 'all of them', 15_000);
    expect(taker.taken.every(({ deliveries }) => deliveries > 0)).toBe(true);
  });

  holds(76, 'the broker is killed and comes back: what it confirmed is there', ['queues', 'faults'], async () => {
    const world = await ownWorld();
    const one = serverOf(world);
    const queue = fresh();
    for (const text of texts(10)) await put(one, queue, text);
    await world.faults!.kill();
    const late = put(one, queue, 'late', 15_000).then(
      () => true,
      ({ stored }) => stored,
    );
    await sleep(100);
    await world.faults!.restart();
    const taker = new Taker(one, queue, 100, consume);
    await until(() => new Set(taker.texts).size >= 10, 'ten messages', 20_000);
    expect([...new Set(taker.texts)].filter((text) => text !== 'late').toSorted()).toEqual(texts(10));
    expect([true, 'no', 'unknown']).toContain(await late);
  });

  holds(
    77,
    'a put is refused in time where there is no broker, and says what is known',
    ['queues', 'faults'],
    async () => {
      const world = await ownWorld();
      const one = serverOf(world);
      const queue = fresh();
      await put(one, queue, 'first');
      await until(() => one.backbone.state === 'up', 'it is up');
      await world.faults!.kill();
      await until(() => one.backbone.state === 'down', 'it is down');
      const before = performance.now();
      await expect(put(one, queue, 'late', 300)).rejects.toMatchObject({ name: 'BackboneError' });
      expect(performance.now() - before).toBeLessThan(3_000);
      const waiting = put(one, queue, 'closed', 20_000);
      await one.backbone.close();
      await expect(waiting).rejects.toMatchObject({ reason: 'closed' });
      await expect(put(one, queue, 'after')).rejects.toMatchObject({ reason: 'closed', stored: 'no' });
    },
  );

  holds(78, 'a prefix separates queues as well, and queues are no topics', ['queues'], async () => {
    const queue = fresh();
    const [one, other] = [server({ prefix: 'one' }), server({ prefix: 'other' })];
    const [mine, foreign] = [new Taker(one, queue, 10, consume), new Taker(other, queue, 10, consume)];
    await one.backbone.subscribe('**');
    await Promise.all([mine, foreign].map(({ consumer }) => consumer.active));
    await put(one, queue, 'mine');
    await until(() => mine.taken.length === 1, 'the message');
    await sleep(100);
    expect([foreign.texts, one.messages]).toEqual([[], []]);
  });

  holds(79, '2,000 messages over a cut of all connections: none is missing', ['queues', 'faults'], async () => {
    const [one, other] = [server(), server()];
    const queue = fresh();
    const takers = [new Taker(one, queue, 50, consume), new Taker(other, queue, 50, consume)];
    await Promise.all(takers.map(({ consumer }) => consumer.active));
    const confirmed: string[] = [];
    let refused = 0;
    for (let at = 0; at < 2_000; at += 100) {
      if (at === 1_000) shared().faults!.cut();
      const some = texts(100).map((text) => String(at + Number(text)));
      await Promise.all(
        some.map((text) =>
          put(one, queue, text, 10_000).then(
            () => confirmed.push(text),
            () => refused++,
          ),
        ),
      );
    }
    const allHeard = (): boolean => {
      const heard = new Set(takers.flatMap((taker) => taker.texts));
      return confirmed.every((text) => heard.has(text));
    };
    await until(allHeard, 'all that was confirmed', 20_000);
    expect(confirmed.length + refused).toBe(2_000);
    expect(confirmed.length).toBeGreaterThan(1_500);
  });
}
