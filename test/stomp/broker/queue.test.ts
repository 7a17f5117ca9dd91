import { describe, expect, test } from 'vitest';
import { createMessage } from '../../../src/bus/message.ts';
import { encodeUtf8 } from '../../../src/core/wire.ts';
import { type Consumer, Queue, type QueueItem } from '../../../src/stomp/broker/queue.ts';
import { Quota } from '../../../src/stomp/broker/quota.ts';
import { createFakeClock } from '../../support/fake-clock.ts';

const message = (body: string) =>
  createMessage({ topic: 'q', body: encodeUtf8(body), position: { epoch: 'e', offset: 1 } });
const textOf = (item: QueueItem): string => Buffer.from(item.message.body).toString();

/** Takes up to `room` items and keeps them. */
class Taker implements Consumer {
  readonly items: QueueItem[] = [];
  room: number;

  constructor(room = Number.POSITIVE_INFINITY) {
    this.room = room;
  }

  get ready(): boolean {
    return this.items.length < this.room;
  }

  take(item: QueueItem): void {
    this.items.push(item);
  }

  get texts(): string[] {
    return this.items.map(textOf);
  }
}

function createQueue({ maxQueueMessages = 100, maxQueueBytes = 100_000, maxDeliveries = 3 } = {}) {
  const clock = createFakeClock();
  const dead: string[] = [];
  let unused = 0;
  let expired = 0;
  const queue = new Queue({
    topic: '$=/queue/q',
    allowance: new Quota('/queue/q is full: it keeps', maxQueueMessages, maxQueueBytes),
    maxDeliveries,
    clock,
    isOver: (time) => time <= 1_000,
    expired: (messages) => {
      expired += messages;
    },
    dead: (item) => dead.push(textOf(item)),
    unused: () => unused++,
  });
  return { queue, clock, dead, unused: () => unused, expired: () => expired };
}

/** As a subscription does at its end. */
function leave(queue: Queue, consumer: Consumer, unconsumed: readonly QueueItem[], failed: boolean): void {
  queue.remove(consumer);
  if (failed) queue.putBack([], unconsumed);
  else queue.putBack(unconsumed, []);
}

test('consumers take turns, and those without room are passed over', () => {
  const { queue } = createQueue();
  const [first, second, third] = [new Taker(), new Taker(1), new Taker()];
  for (const taker of [first, second, third]) queue.add(taker);
  for (const body of ['1', '2', '3', '4', '5', '6']) queue.put(message(body));
  expect([first.texts, second.texts, third.texts]).toEqual([['1', '4', '6'], ['2'], ['3', '5']]);
  expect(queue.size).toBe(6);
});

test('the turn stays right when an earlier consumer leaves', () => {
  const { queue } = createQueue();
  const takers = [new Taker(), new Taker(), new Taker()] as const;
  for (const taker of takers) queue.add(taker);
  queue.put(message('1'));
  queue.put(message('2'));
  leave(queue, takers[0], [], false);
  leave(queue, takers[0], [], false);
  queue.put(message('3'));
  expect(takers.map(({ texts }) => texts)).toEqual([['1'], ['2'], ['3']]);
});

describe('what is put back', () => {
  test('stands before what waits, in its old order, whoever gave it back first', () => {
    const { queue } = createQueue();
    const [first, second] = [new Taker(2), new Taker(2)];
    queue.add(first);
    queue.add(second);
    for (const body of ['1', '2', '3', '4', '5']) queue.put(message(body));
    leave(queue, second, second.items, false);
    leave(queue, first, first.items, false);
    const heir = new Taker();
    queue.add(heir);
    expect(heir.texts).toEqual(['1', '2', '3', '4', '5']);
  });

  test('counts as a delivery where its consumer failed; too many, and it is dead', () => {
    const { queue, dead, unused } = createQueue({ maxDeliveries: 2 });
    queue.put(message('poison'));
    for (let round = 0; round < 2; round++) {
      const taker = new Taker();
      queue.add(taker);
      leave(queue, taker, taker.items, true);
    }
    expect(dead).toEqual(['poison']);
    expect(queue.size).toBe(0);
    expect(unused()).toBe(1);
  });

  test('goes back for ever where nobody failed', () => {
    const { queue, dead } = createQueue({ maxDeliveries: 1 });
    queue.put(message('x'));
    for (let round = 0; round < 5; round++) {
      const taker = new Taker();
      queue.add(taker);
      leave(queue, taker, taker.items, false);
    }
    expect(dead).toEqual([]);
    expect(queue.size).toBe(1);
  });
});

test('a queue that is full says so, in messages and in bytes; what is not consumed counts', () => {
  const { queue } = createQueue({ maxQueueMessages: 2, maxQueueBytes: 1_003 });
  const taker = new Taker();
  queue.add(taker);
  queue.put(message('ab'));
  expect(() => queue.put(message('cd'))).toThrow('/queue/q is full: it keeps 1003 bytes');
  queue.put(message('c'));
  expect(() => queue.put(message(''))).toThrow('/queue/q is full: it keeps 2 messages');
  queue.consumed(taker.items[0]!);
  queue.put(message('de'));
});

test('is unused once nobody waits and nothing is kept', () => {
  const { queue, unused } = createQueue();
  const taker = new Taker();
  queue.add(taker);
  queue.put(message('x'));
  queue.consumed(taker.items[0]!);
  expect(unused()).toBe(0);
  leave(queue, taker, [], false);
  expect(unused()).toBe(1);
});

test('a consumer that gives back while it is handed something out does not upset the queue', () => {
  const { queue } = createQueue();
  const taker = new Taker(2);
  queue.add({
    ready: true,
    take(item) {
      leave(queue, this, [item], false);
    },
  });
  queue.add(taker);
  for (const body of ['1', '2']) queue.put(message(body));
  expect(taker.texts).toEqual(['1', '2']);
});

test('a consumer that throws does not stop the queue', () => {
  const { queue } = createQueue();
  let room = true;
  const broken: Consumer = {
    get ready() {
      return room;
    },
    take() {
      room = false;
      throw new Error('broken');
    },
  };
  queue.add(broken);
  expect(() => queue.put(message('1'))).toThrow('broken');
  const taker = new Taker();
  queue.add(taker);
  queue.put(message('2'));
  expect(taker.texts).toEqual(['2']);
});

test('[STOMP-134] much that waits is handed out in shares, in its order; what comes meanwhile stands behind it', () => {
  const { queue, clock } = createQueue({ maxQueueMessages: 1_000, maxQueueBytes: 1_000_000 });
  const heard: string[] = [];
  for (let number = 0; number < 500; number++) queue.put(message(String(number)));
  queue.add({
    ready: true,
    charge() {},
    take(item) {
      heard.push(textOf(item));
      if (heard.length % 10 === 0) clock.sleep(1);
      queue.consumed(item);
    },
  });
  expect(heard.length).toBeLessThan(200);
  queue.put(message('500'));
  const first = heard.length;
  clock.turn();
  expect(heard.length).toBeGreaterThan(first);
  clock.flushTurn();
  expect(heard).toEqual(Array.from({ length: 501 }, (_, number) => String(number)));
});

test('[STOMP-95] priorities come first, and within one the order stays, however many there are', () => {
  const { queue } = createQueue({ maxQueueMessages: 1_000, maxQueueBytes: 1_000_000 });
  for (let number = 0; number < 300; number++)
    queue.put(message(`${number % 10}:${number}`), { priority: number % 10 });
  const heard: string[] = [];
  queue.add({ ready: true, charge() {}, take: (item) => void heard.push(textOf(item)) });
  const [by, at] = [(text: string) => Number(text.split(':')[0]), (text: string) => Number(text.split(':')[1])];
  expect(heard).toEqual([...heard].sort((one, other) => by(other) - by(one) || at(one) - at(other)));
  expect(heard).toHaveLength(300);
});
